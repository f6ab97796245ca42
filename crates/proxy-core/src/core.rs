//! The entry points: what a driver calls, and how a datagram finds its handler.
//!
//! Steps 3 to 7 of the walk in the architecture document begin here. Handlers live in the files of their RFC
//! section; this one holds the state and sorts events.

use crate::{
    answer_budget::AnswerBudget,
    branch::BranchMint,
    calls::{CallView, Calls},
    config::CoreConfig,
    context::{BranchRef, ContextRef, Contexts, NOBODY, SharedSnapshot},
    cookie::CookieKeys,
    loops::{LoopDigest, LoopText, NO_LOOP},
    names::Names,
    output::{JobAnswer, JobFailure, JobResult, Now, Output},
    park::ParkedJobs,
    refused::Refused,
    reply::Own,
    stats::{Stat, Stats},
    timers::CoreTimer,
};
use accounting::Cause;
use routing::Snapshot;
use sip_parser::{Edits, HeaderTable, Message, Method, is_keepalive, parse_datagram};
use siphasher::sip::SipHasher24;
use std::{hash::Hasher as _, mem, net::SocketAddr, rc::Rc, sync::Arc};
use transaction_layer::{
    Flow, RequestArrival, ResponseArrival, TimerWheel, TransactionEvent, Transactions,
};

/// The proxy core of one lane.
pub struct ProxyCore {
    pub(crate) config: CoreConfig,
    pub(crate) snapshot: SharedSnapshot,
    pub(crate) draining: bool,
    pub(crate) transactions: Transactions,
    pub(crate) contexts: Contexts,
    pub(crate) calls: Calls,
    pub(crate) wheel: TimerWheel<CoreTimer>,
    pub(crate) jobs: ParkedJobs,
    pub(crate) names: Names,
    pub(crate) refused: Refused,
    pub(crate) refused_timer: bool,
    /// Answers to malformed requests of trunks.
    pub(crate) answers: AnswerBudget,
    /// Answers to sources that are no trunk, whatever they ask.
    pub(crate) stranger_answers: AnswerBudget,
    pub(crate) stats: Stats,
    pub(crate) branches: BranchMint,
    pub(crate) loops: LoopDigest,
    /// The digest of the request in hand.
    pub(crate) loop_text: LoopText,
    /// The request in hand as a strict router sent it, when it was put into its loose form: its retransmissions will
    /// look like this.
    pub(crate) as_received: Option<Vec<u8>>,
    pub(crate) keys: CookieKeys,
    pub(crate) own: Own,
    pub(crate) rng: fastrand::Rng,
    /// Index of headers of the message in hand, and of one built or kept here.
    table: HeaderTable,
    pub(crate) inner_table: HeaderTable,
    pub(crate) edits: Edits,
    pub(crate) buffers: Vec<Vec<u8>>,
    events: Vec<TransactionEvent>,
    fired: Vec<CoreTimer>,
}

/// Buffers kept for requests to come, at most.
const SPARE_BUFFERS_MAX: usize = 4096;
/// A buffer that has grown beyond this is not kept, bytes.
const SPARE_BUFFER_LEN_MAX: usize = 4096;

impl ProxyCore {
    /// A core without calls.
    #[must_use]
    pub fn new(config: CoreConfig, snapshot: Arc<Snapshot>) -> Self {
        // What one of these gives away to those who see its work tells nothing about the others.
        let key = |purpose: &[u8]| {
            let mut key = SipHasher24::new_with_keys(config.seed, config.hash_seed);
            key.write(purpose);
            key.finish()
        };
        let policy = &config.policy;
        Self {
            snapshot: Rc::new(snapshot),
            draining: false,
            transactions: Transactions::with_limit(
                config.timers,
                key(b"transactions"),
                policy.transactions_max,
            ),
            contexts: Contexts::default(),
            calls: Calls::default(),
            wheel: TimerWheel::new(),
            jobs: ParkedJobs::default(),
            names: Names::default(),
            refused: Refused::default(),
            refused_timer: false,
            answers: AnswerBudget::new(
                policy.malformed_answers_per_s,
                policy.malformed_answers_per_source_s,
                key(b"answers"),
            ),
            stranger_answers: AnswerBudget::new(
                policy.stranger_answers_per_s,
                policy.stranger_answers_per_source_s,
                key(b"stranger answers"),
            ),
            stats: Stats::default(),
            branches: BranchMint::new(config.lane, config.boot, config.hash_seed),
            loops: LoopDigest::new(&config.cookie_key, &config.node),
            loop_text: NO_LOOP,
            as_received: None,
            keys: CookieKeys::new(&config.cookie_key, config.cookie_key_previous.as_ref()),
            own: Own::new(&config),
            rng: fastrand::Rng::with_seed(key(b"identifiers")),
            table: HeaderTable::default(),
            inner_table: HeaderTable::default(),
            edits: Edits::new(),
            buffers: Vec::new(),
            events: Vec::new(),
            fired: Vec::new(),
            config,
        }
    }

    /// Routes new requests by `snapshot` from now on; requests under way keep the one they began with.
    pub fn set_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = Rc::new(snapshot);
    }

    /// While draining, whatever would begin something is answered 503.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Handles one datagram.
    pub fn handle_datagram(&mut self, now: Now, bytes: &[u8], flow: &Flow, out: &mut Output) {
        self.stats.count(Stat::DatagramsIn);
        if is_keepalive(bytes) {
            self.stats.count(Stat::Keepalives);
            return;
        }
        let mut table = mem::take(&mut self.table);
        match parse_datagram(bytes, &mut table) {
            Ok(message) if message.is_request() => self.on_request(now, &message, flow, out),
            Ok(message) => self.on_response(now, &message, out),
            Err(error) => self.on_malformed(now, bytes, error, flow, out),
        }
        self.table = table;
    }

    fn on_request(&mut self, now: Now, message: &Message<'_>, flow: &Flow, out: &mut Output) {
        match self
            .transactions
            .on_request(now.mono_us, message, &mut out.outbox)
        {
            RequestArrival::Retransmission => self.stats.count(Stat::RequestsRetransmitted),
            RequestArrival::AckNon2xx { .. } => self.stats.count(Stat::AcksAbsorbed),
            RequestArrival::StrayAck => self.on_ack(now, message, flow, out),
            RequestArrival::New if message.method() == Method::Cancel => {
                self.on_cancel(now, message, flow, out)
            }
            RequestArrival::New => {
                self.stats.count(Stat::RequestsNew);
                self.on_new_request(now, message, flow, out);
            }
        }
    }

    fn on_response(&mut self, now: Now, message: &Message<'_>, out: &mut Output) {
        //= RFC 3261 §18.1.2: a response whose top Via names somebody else is dropped
        if !message.top_via().is_ok_and(|via| self.own.is_sent_by(&via)) {
            return self.stats.count(Stat::ResponsesForeign);
        }
        match self
            .transactions
            .on_response(now.mono_us, message, &mut out.outbox)
        {
            //= RFC 6026 §7.3: a response that no transaction waits for is dropped
            ResponseArrival::Stray => self.stats.count(Stat::ResponsesStray),
            ResponseArrival::Absorbed { .. } => self.stats.count(Stat::ResponsesAbsorbed),
            ResponseArrival::Deliver { user, .. } => {
                self.stats.count(Stat::ResponsesHandled);
                if user != NOBODY {
                    //= RFC 3261 §16.7(1): the client transaction names its branch, and that its response context
                    self.on_branch_response(now, BranchRef::from_user(user), message, out);
                }
            }
        }
    }

    /// Resumes whatever waited for a job.
    pub fn handle_job_result(&mut self, now: Now, result: JobResult, out: &mut Output) {
        self.on_job_answer(now, result.id, result.answer, out);
    }

    /// Runs every timer that is due, of the transactions and of the proxy.
    pub fn handle_timeouts(&mut self, now: Now, out: &mut Output) {
        let mut events = mem::take(&mut self.events);
        self.transactions
            .expire(now.mono_us, &mut out.outbox, &mut events);
        for event in events.drain(..) {
            self.on_transaction_event(now, event, out);
        }
        self.events = events;
        let mut fired = mem::take(&mut self.fired);
        self.wheel.expire(now.mono_us, &mut fired);
        for timer in fired.drain(..) {
            self.on_timer(now, timer, out);
        }
        self.fired = fired;
    }

    /// When [`Self::handle_timeouts`] is next due, monotonic µs.
    #[must_use]
    pub fn next_deadline_us(&self) -> Option<u64> {
        match (
            self.transactions.next_deadline_us(),
            self.wheel.next_deadline_us(),
        ) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The network says that `remote` cannot be reached (ICMP, or an error of the socket).
    pub fn handle_unreachable(&mut self, now: Now, remote: SocketAddr, out: &mut Output) {
        let mut events = mem::take(&mut self.events);
        self.transactions
            .on_unreachable(now.mono_us, remote, &mut events);
        for event in events.drain(..) {
            self.on_transaction_event(now, event, out);
        }
        self.events = events;
    }

    fn on_transaction_event(&mut self, now: Now, event: TransactionEvent, out: &mut Output) {
        match event {
            TransactionEvent::ClientTimeout { user, .. } if user != NOBODY => {
                self.on_branch_silent(now, BranchRef::from_user(user), 408, Cause::TimeoutB, out);
            }
            TransactionEvent::ClientUnreachable { user, .. } if user != NOBODY => {
                self.on_branch_silent(
                    now,
                    BranchRef::from_user(user),
                    503,
                    Cause::Unreachable,
                    out,
                );
            }
            TransactionEvent::ClientTerminated { user, .. } if user != NOBODY => {
                self.on_branch_terminated(now, BranchRef::from_user(user), out);
            }
            TransactionEvent::ServerTerminated { user, .. } => {
                self.on_server_gone(BranchRef::from_user(user).context);
            }
            TransactionEvent::AckTimeout { user, .. } => {
                self.stats.count(Stat::AckTimeouts);
                self.on_server_gone(BranchRef::from_user(user).context);
            }
            _ => {}
        }
    }

    /// The server transaction of a context has ended.
    pub(crate) fn on_server_gone(&mut self, name: ContextRef) {
        if let Some(context) = self.contexts.at_mut(name) {
            context.server_alive = false;
        }
        self.release_context(name);
    }

    fn on_timer(&mut self, now: Now, timer: CoreTimer, out: &mut Output) {
        match timer {
            CoreTimer::No1xx(name) => self.on_no_1xx(now, name, out),
            CoreTimer::Ring(name) => self.on_ring_timeout(now, name, out),
            CoreTimer::TimerC(name) => self.on_timer_c(now, name, out),
            CoreTimer::CancelWait(name) => self.on_cancel_wait(now, name, out),
            CoreTimer::Job(id) => {
                self.on_job_answer(now, id, JobAnswer::Failed(JobFailure::Timeout), out)
            }
            CoreTimer::MaxCall(id) => self.on_max_call(now, id, out),
            CoreTimer::Unacknowledged(id) => self.end_untaken(now, id, out),
            CoreTimer::Session(id, dialog) => self.on_session_timer(now, id, dialog, out),
            CoreTimer::Overdue(name) => self.on_overdue(now, name, out),
            CoreTimer::Refused => self.on_refused_minute(now, out),
        }
    }

    /// Writes the minute of refused sources that is running; a driver calls it before it stops.
    pub fn flush_refused(&mut self, out: &mut Output) {
        self.refused.flush(&self.config.node, &mut out.records);
    }

    /// Server and client transactions that still wait for something to happen: while draining, these finish first.
    #[must_use]
    pub fn live_transactions(&self) -> usize {
        self.transactions.live_servers() + self.transactions.live_clients()
    }

    /// Contexts whose final response has not been sent: the requests that a drain waits for.
    #[must_use]
    pub fn live_contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Requests that have had no final response yet.
    #[must_use]
    pub fn unfinished_requests(&self) -> usize {
        self.contexts
            .iter()
            .filter(|context| context.final_sent.is_none() && context.server_alive)
            .count()
    }

    /// Calls in setup and up.
    #[must_use]
    pub fn live_calls(&self) -> usize {
        self.calls.len()
    }

    /// At most `limit` calls, for a list.
    #[must_use]
    pub fn calls(&self, now: Now, limit: usize) -> Vec<CallView> {
        self.calls
            .iter()
            .take(limit)
            .map(|call| call.view(now))
            .collect()
    }

    /// The counters of this lane.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Forgets a context in which nothing can happen any more.
    pub(crate) fn release_context(&mut self, name: ContextRef) {
        if self
            .contexts
            .at(name)
            .is_some_and(crate::context::ResponseContext::is_over)
            && let Some(context) = self.contexts.remove(name)
        {
            self.recycle(context.request);
        }
    }

    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > 0
            && buffer.capacity() <= SPARE_BUFFER_LEN_MAX
            && self.buffers.len() < SPARE_BUFFERS_MAX
        {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

//! A lane: one pinned thread that owns its sockets, its calls, its timers and its journal.
//! One turn: receive → steer → handle → expire timers → write the journal → send. RFC 3261 §18 for the sockets.
//! Leaves out every decision about a message (`proxy_core`) and starting and stopping (`lanes.rs`).

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use offload::{Failure, Reply};
use proxy_core::steer::{SteerKind, owner};
use proxy_core::{
    CallView, Job, JobAnswer, JobFailure, JobKind, JobResult, Now, Output, ProxyCore, Stats,
};
use routing::Snapshot;
use storage::{Journal, LaneProgress};
use tokio::io::{Interest, Ready};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use transaction_layer::Flow;

use crate::clock::Clock;
use crate::jobs::{LaneJob, LaneJobs};
use crate::lane_stats::{LaneCells, LaneCounters, LaneStat};
use crate::net::sys::{ReceiveBatch, SendBatch};
use crate::net::udp::{self, SendTally, UdpPort};
use crate::steer::{Doorbell, LaneRings, Parcel, RingReceiver, RingSender};
use crate::tuning::Tuning;

/// How often a turn may go round because what it sent failed at once, or because the offload queue was full.
const ROUNDS_MAX: usize = 16;
/// How long datagrams that found the send buffer full wait before they are tried again.
const UNSENT_RETRY: Duration = Duration::from_millis(1);
/// The window of [`LaneStat::KernelWaitMaxUs`], µs.
const WAIT_WINDOW_US: u64 = 1_000_000;
/// How long a lane whose journal can't be written waits before it tries again by itself, µs.
const JOURNAL_RETRY_US: u64 = 100_000;
/// How long a lane that is told to stop goes on trying to write its last records.
const FINISH_PATIENCE: Duration = Duration::from_secs(3);

/// What other threads ask of a lane.
pub enum Control {
    /// Refuse whatever would begin something, or take it again.
    Drain(bool),
    /// Refuse what is still being set up: the drain has lasted as long as it may.
    EndSetup,
    /// List at most so many calls.
    Calls(usize, oneshot::Sender<Vec<CallView>>),
    /// Write everything out and end.
    Stop,
}

/// What a lane publishes for other threads.
#[derive(Default)]
pub struct Published {
    /// The lane's own numbers, every turn.
    pub cells: LaneCells,
    /// The core's counters, every few milliseconds. The lane never waits for this lock: it tries again later.
    pub stats: Mutex<Stats>,
}

/// Everything a lane is made of; built by `lanes.rs`, on the lane's own thread.
pub struct Parts {
    /// Its number, 0-based.
    pub lane: u8,
    /// The number of lanes.
    pub lanes: u8,
    /// Generation of this start.
    pub boot: u32,
    /// Places Call-IDs on lanes.
    pub hash_seed: u64,
    /// Sizes.
    pub tuning: Tuning,
    /// The clocks.
    pub clock: Clock,
    /// The core, with its restored calls.
    pub core: ProxyCore,
    /// One socket per listener, with the address its group is bound to.
    pub sockets: Vec<(UdpSocket, SocketAddr)>,
    /// The rings to and from the other lanes.
    pub rings: LaneRings,
    /// The journal.
    pub journal: Journal,
    /// The offload queue.
    pub jobs: LaneJobs,
    /// The routing data in use, as it is swapped.
    pub routing: Arc<ArcSwap<Snapshot>>,
    /// What the core was made with.
    pub snapshot: Arc<Snapshot>,
    /// Where routing data that is no longer used goes to be dropped.
    pub retired: mpsc::UnboundedSender<Arc<Snapshot>>,
    /// Where the numbers go.
    pub published: Arc<Published>,
    /// Questions of other threads.
    pub control: mpsc::Receiver<Control>,
}

/// Runs a lane until it is told to stop. Call within its runtime.
///
/// # Errors
/// When a socket can't be registered, or when a part of the lane has ended by itself, which is a defect.
pub async fn run(parts: Parts) -> io::Result<()> {
    let Parts {
        mut control,
        sockets,
        ..
    } = parts;
    let tuning = parts.tuning;
    let mut ports = Vec::with_capacity(sockets.len());
    for (index, (socket, address)) in sockets.into_iter().enumerate() {
        let listener = u16::try_from(index).map_err(|_| io::Error::other("too many listeners"))?;
        ports.push(Rc::new(UdpPort::new(
            socket,
            listener,
            address,
            tuning.unsent_len_max,
        )?));
    }
    let (results_sender, results) = mpsc::unbounded_channel();
    let progress = parts.journal.progress();
    let worker = Rc::new(RefCell::new(Worker {
        lane: parts.lane,
        lanes: parts.lanes,
        boot: parts.boot,
        hash_seed: parts.hash_seed,
        tuning,
        clock: parts.clock,
        core: parts.core,
        out: Output::new(),
        jobs_scratch: Vec::new(),
        ports: ports.clone(),
        receive: ReceiveBatch::new(tuning.receive_batch),
        send: SendBatch::new(tuning.send_batch),
        to: parts.rings.to,
        from: parts.rings.from,
        bells: Arc::clone(&parts.rings.bells),
        to_ring: Vec::with_capacity(usize::from(parts.lanes)),
        unreachable: Vec::new(),
        journal: parts.journal,
        progress,
        journal_retry_us: None,
        jobs: parts.jobs,
        results: results_sender,
        routing: parts.routing,
        snapshot: parts.snapshot,
        retired: parts.retired,
        draining: false,
        refusing: false,
        armed_us: u64::MAX,
        timer_bell: Rc::new(Notify::new()),
        counters: LaneCounters::default(),
        published: parts.published,
        stats_published_us: 0,
        stats_pending: true,
        wait_window_us: 0,
    }));
    // The restored calls may have timers that are due, and records to write.
    worker.borrow_mut().other_turn(|_, _| {});

    let mut tasks = JoinSet::new();
    for port in ports {
        tasks.spawn_local(socket_task(Rc::clone(&worker), Rc::clone(&port)));
        tasks.spawn_local(unsent_task(Rc::clone(&worker), port));
    }
    if parts.lanes > 1 {
        tasks.spawn_local(ring_task(
            Rc::clone(&worker),
            Arc::clone(&parts.rings.bells),
        ));
    }
    tasks.spawn_local(timer_task(Rc::clone(&worker)));
    tasks.spawn_local(result_task(
        Rc::clone(&worker),
        results,
        tuning.result_batch,
    ));
    loop {
        tokio::select! {
            asked = control.recv() => match asked {
                Some(Control::Drain(draining)) => worker.borrow_mut().drain(draining),
                Some(Control::EndSetup) => worker
                    .borrow_mut()
                    .other_turn(|worker, now| worker.core.end_setup(now, &mut worker.out)),
                Some(Control::Calls(limit, reply)) => {
                    // Whoever asked may have gone; nothing is lost then.
                    let _ = reply.send(worker.borrow().calls(limit));
                }
                Some(Control::Stop) | None => break,
            },
            Some(ended) = tasks.join_next() => {
                return Err(io::Error::other(match ended {
                    Err(error) if error.is_panic() => "a task has panicked".to_owned(),
                    Err(error) => error.to_string(),
                    Ok(why) => why,
                }));
            }
        }
    }
    tasks.abort_all();
    finish(&worker).await;
    Ok(())
}

type Shared = Rc<RefCell<Worker>>;

/// Reads one socket; returns only when that is no longer possible, and says why.
async fn socket_task(worker: Shared, port: Rc<UdpPort>) -> String {
    loop {
        let mut guard = match port
            .readiness()
            .ready(Interest::READABLE | Interest::ERROR)
            .await
        {
            Ok(guard) => guard,
            Err(error) => return format!("socket readiness: {error}"),
        };
        let ready = guard.ready();
        let mut more = false;
        if ready.is_error() {
            match worker.borrow_mut().error_turn(&port) {
                Drained::Empty => guard.clear_ready_matching(Ready::ERROR),
                Drained::More => more = true,
            }
        }
        if ready.is_readable() {
            match worker.borrow_mut().socket_turn(&port) {
                Drained::Empty => guard.clear_ready_matching(Ready::READABLE),
                Drained::More => more = true,
            }
        }
        drop(guard);
        if more {
            // Timers, rings and other sockets get their turn.
            tokio::task::yield_now().await;
        }
    }
}

/// Sends what found the send buffer full.
async fn unsent_task(worker: Shared, port: Rc<UdpPort>) -> String {
    loop {
        port.unsent().await;
        tokio::time::sleep(UNSENT_RETRY).await;
        worker.borrow_mut().unsent_turn(&port);
    }
}

/// Writes the last records out, and goes on trying for a while when the disk refuses them.
async fn finish(worker: &Shared) {
    let give_up = Instant::now() + FINISH_PATIENCE;
    worker.borrow_mut().finish();
    while worker.borrow().journal_retry_us.is_some() && Instant::now() < give_up {
        tokio::time::sleep(Duration::from_micros(JOURNAL_RETRY_US)).await;
        worker.borrow_mut().other_turn(|_, _| {});
    }
}

/// Takes what other lanes pass on.
async fn ring_task(worker: Shared, bells: Arc<[Doorbell]>) -> String {
    let lane = usize::from(worker.borrow().lane);
    let Some(bell) = bells.get(lane) else {
        return "no bell".to_owned();
    };
    loop {
        bell.wait(|| worker.borrow().has_parcels()).await;
        while let Drained::More = { worker.borrow_mut().ring_turn() } {
            tokio::task::yield_now().await;
        }
    }
}

/// Wakes the lane for timers when no traffic does.
async fn timer_task(worker: Shared) -> String {
    let bell = Rc::clone(&worker.borrow().timer_bell);
    loop {
        let (wake_us, clock) = {
            let mut worker = worker.borrow_mut();
            (worker.arm(), worker.clock)
        };
        if wake_us == u64::MAX {
            bell.notified().await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep_until(clock.instant_at(wake_us).into()) => {
                worker.borrow_mut().other_turn(|_, _| {});
            }
            () = bell.notified() => {}
        }
    }
}

/// Gives the answers of jobs to the core.
async fn result_task(
    worker: Shared,
    mut results: mpsc::UnboundedReceiver<JobResult>,
    batch: usize,
) -> String {
    let mut taken = Vec::with_capacity(batch);
    loop {
        if results.recv_many(&mut taken, batch).await == 0 {
            return "no results any more".to_owned();
        }
        worker.borrow_mut().other_turn(|worker, now| {
            for result in taken.drain(..) {
                worker.core.handle_job_result(now, result, &mut worker.out);
            }
        });
        tokio::task::yield_now().await;
    }
}

/// Whether a source was read to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drained {
    Empty,
    More,
}

struct Worker {
    lane: u8,
    lanes: u8,
    boot: u32,
    hash_seed: u64,
    tuning: Tuning,
    clock: Clock,
    core: ProxyCore,
    out: Output,
    jobs_scratch: Vec<Job>,
    ports: Vec<Rc<UdpPort>>,
    receive: ReceiveBatch,
    send: SendBatch,
    to: Vec<Option<RingSender>>,
    from: Vec<Option<RingReceiver>>,
    bells: Arc<[Doorbell]>,
    /// Lanes that were passed something in this turn.
    to_ring: Vec<usize>,
    /// Remotes that were found unreachable in this turn.
    unreachable: Vec<SocketAddr>,
    journal: Journal,
    progress: Arc<LaneProgress>,
    /// The last write failed, and is tried again at this monotonic time, µs.
    journal_retry_us: Option<u64>,
    jobs: LaneJobs,
    results: mpsc::UnboundedSender<JobResult>,
    routing: Arc<ArcSwap<Snapshot>>,
    snapshot: Arc<Snapshot>,
    retired: mpsc::UnboundedSender<Arc<Snapshot>>,
    /// An operator has asked for a drain.
    draining: bool,
    /// What the core was told last: a drain, or a journal that can't be written.
    refusing: bool,
    /// When the timer task will wake, monotonic µs.
    armed_us: u64,
    timer_bell: Rc<Notify>,
    counters: LaneCounters,
    published: Arc<Published>,
    stats_published_us: u64,
    stats_pending: bool,
    wait_window_us: u64,
}

impl Worker {
    fn socket_turn(&mut self, port: &UdpPort) -> Drained {
        let now = self.begin();
        let count = match port.receive(&mut self.receive) {
            Ok(count) => count,
            Err(error) => {
                self.counters.add(LaneStat::ReceiveErrors, 1);
                tracing::debug!(%error, "reading a socket");
                0
            }
        };
        self.handle_received(now, port);
        self.end(now);
        // A batch that is not full has emptied the socket: what comes later makes it ready anew.
        if count == self.receive.capacity() {
            Drained::More
        } else {
            Drained::Empty
        }
    }

    fn handle_received(&mut self, now: Now, port: &UdpPort) {
        let Self {
            receive,
            core,
            out,
            to,
            to_ring,
            counters,
            ..
        } = self;
        let me = usize::from(self.lane);
        let (mut datagrams, mut bytes, mut wait_us, mut wait_max_us) = (0, 0, 0, 0);
        for received in receive.iter() {
            datagrams += 1;
            bytes += received.bytes.len() as u64;
            let waited = received
                .stamp_us
                .map_or(0, |stamp| now.wall_us.saturating_sub(stamp));
            let waited = u64::try_from(waited).unwrap_or(0);
            wait_us += waited;
            wait_max_us = waited.max(wait_max_us);
            let flow = Flow {
                transport: transaction_layer::Transport::Udp,
                listener: port.listener(),
                local: port.local_of(received.local),
                remote: received.remote,
                connection: 0,
            };
            if self.lanes > 1 {
                let steer = owner(received.bytes, self.lanes, self.boot, self.hash_seed);
                let lane = usize::from(steer.lane);
                if lane != me {
                    let is_new = steer.kind == SteerKind::New;
                    let pushed = to
                        .get_mut(lane)
                        .and_then(Option::as_mut)
                        .is_some_and(|ring| {
                            ring.push(Parcel::Datagram(flow), received.bytes, !is_new)
                        });
                    counters.add(
                        match (pushed, is_new) {
                            (true, _) => LaneStat::HandedOff,
                            (false, true) => LaneStat::RingOverflowNew,
                            (false, false) => LaneStat::RingOverflowKept,
                        },
                        1,
                    );
                    if !to_ring.contains(&lane) {
                        to_ring.push(lane);
                    }
                    continue;
                }
            }
            core.handle_datagram(now, received.bytes, &flow, out);
        }
        counters.add(LaneStat::DatagramsIn, datagrams);
        counters.add(LaneStat::BytesIn, bytes);
        counters.add(LaneStat::KernelWaitUs, wait_us);
        self.note_wait(now, wait_max_us);
    }

    fn note_wait(&mut self, now: Now, wait_max_us: u64) {
        let over = now.mono_us >= self.wait_window_us + WAIT_WINDOW_US;
        if over {
            self.wait_window_us = now.mono_us;
        }
        if over || wait_max_us > self.counters.value(LaneStat::KernelWaitMaxUs) {
            self.counters.set(LaneStat::KernelWaitMaxUs, wait_max_us);
        }
    }

    fn has_parcels(&self) -> bool {
        self.from.iter().flatten().any(|ring| !ring.is_empty())
    }

    fn ring_turn(&mut self) -> Drained {
        let now = self.begin();
        let Self {
            from,
            core,
            out,
            tuning,
            counters,
            ..
        } = self;
        let mut most = 0;
        for ring in from.iter_mut().flatten() {
            let mut datagrams = 0;
            let count = ring.drain(tuning.ring_batch, |parcel, bytes| match parcel {
                Parcel::Datagram(flow) => {
                    datagrams += 1;
                    core.handle_datagram(now, bytes, &flow, out);
                }
                Parcel::Unreachable(remote) => core.handle_unreachable(now, remote, out),
            });
            counters.add(LaneStat::TakenOver, datagrams);
            most = most.max(count);
        }
        self.end(now);
        if most == self.tuning.ring_batch {
            Drained::More
        } else {
            Drained::Empty
        }
    }

    /// Reads the error queue. ICMP finds any socket of the group, so all lanes hear of it.
    fn error_turn(&mut self, port: &UdpPort) -> Drained {
        let now = self.begin();
        let mut drained = Drained::More;
        for _ in 0..self.tuning.error_batch {
            match port.take_error() {
                Ok(Some(error)) => match error.remote.filter(|_| udp::is_unreachable(&error)) {
                    Some(remote) => {
                        self.counters.add(LaneStat::Unreachable, 1);
                        if !self.unreachable.contains(&remote) {
                            self.unreachable.push(remote);
                        }
                    }
                    None => self.counters.add(LaneStat::OtherSocketErrors, 1),
                },
                Ok(None) => {
                    drained = Drained::Empty;
                    break;
                }
                Err(error) => {
                    self.counters.add(LaneStat::ReceiveErrors, 1);
                    tracing::debug!(%error, "reading an error queue");
                    drained = Drained::Empty;
                    break;
                }
            }
        }
        for remote in &self.unreachable {
            for (lane, ring) in self.to.iter_mut().enumerate() {
                let Some(ring) = ring else { continue };
                // Without room the other lane finds out by its timers.
                if ring.push(Parcel::Unreachable(*remote), &[], true)
                    && !self.to_ring.contains(&lane)
                {
                    self.to_ring.push(lane);
                }
            }
        }
        self.end(now);
        drained
    }

    fn unsent_turn(&mut self, port: &UdpPort) {
        let now = self.begin();
        let mut tally = SendTally::default();
        let unreachable = &mut self.unreachable;
        port.send_unsent(&mut self.send, &mut tally, |remote| {
            unreachable.push(remote)
        });
        self.count_sent(tally);
        self.end(now);
    }

    /// A turn for anything but datagrams: timers, results, requests of other threads.
    fn other_turn(&mut self, act: impl FnOnce(&mut Self, Now)) {
        let now = self.begin();
        act(self, now);
        self.end(now);
    }

    fn drain(&mut self, draining: bool) {
        self.draining = draining;
        self.other_turn(|_, _| {});
    }

    fn calls(&self, limit: usize) -> Vec<CallView> {
        self.core.calls(self.clock.now(), limit)
    }

    fn finish(&mut self) {
        self.other_turn(|worker, now| {
            worker.core.end_branches(now, &mut worker.out);
            worker.core.flush_refused(&mut worker.out);
        });
        self.publish_stats(u64::MAX);
    }

    /// Starts a turn: the time, the routing data, whether new calls are taken.
    fn begin(&mut self) -> Now {
        let current = self.routing.load();
        if !Arc::ptr_eq(&current, &self.snapshot) {
            let old = std::mem::replace(&mut self.snapshot, Arc::clone(&current));
            // Freeing millions of routes takes time that is not a lane's. Without the pool it is freed here.
            let _ = self.retired.send(old);
            self.core.set_snapshot(Arc::clone(&self.snapshot));
        }
        // A call that can't be recorded is not taken.
        let refusing = self.draining || self.progress.is_failing();
        if refusing != self.refusing {
            self.refusing = refusing;
            self.core.set_draining(refusing);
        }
        self.clock.now()
    }

    /// Ends a turn: timers, records, jobs, datagrams, numbers; in this order, because a record must be out of our
    /// memory before the message that tells it leaves.
    fn end(&mut self, now: Now) {
        for lane in self.to_ring.drain(..) {
            if self.bells.get(lane).is_some_and(Doorbell::ring) {
                self.counters.add(LaneStat::LanesWoken, 1);
            }
        }
        if self
            .core
            .next_deadline_us()
            .is_some_and(|due| due <= now.mono_us)
        {
            self.core.handle_timeouts(now, &mut self.out);
        }
        for _ in 0..ROUNDS_MAX {
            for remote in self.unreachable.drain(..) {
                self.core.handle_unreachable(now, remote, &mut self.out);
            }
            self.settle(now);
            self.flush();
            if self.unreachable.is_empty() {
                break;
            }
        }
        // A remote still left here is found again by the timers of its transactions.
        self.unreachable.clear();
        self.publish(now);
        let wake_us = self.wake_us();
        if wake_us < self.armed_us {
            self.armed_us = wake_us;
            self.timer_bell.notify_one();
        }
    }

    /// Journals the records and submits the jobs; a job that finds the queue full is answered here and now.
    fn settle(&mut self, now: Now) {
        for _ in 0..ROUNDS_MAX {
            let mut lost = false;
            self.counters
                .add(LaneStat::Records, self.out.records.len() as u64);
            for record in self.out.records.drain(..) {
                lost |= self.journal.append(&record).is_err();
            }
            if lost {
                self.counters
                    .set(LaneStat::RecordsLost, self.progress.lost());
            }
            let mut refused = false;
            std::mem::swap(&mut self.out.jobs, &mut self.jobs_scratch);
            let mut jobs = std::mem::take(&mut self.jobs_scratch);
            for job in jobs.drain(..) {
                if let Some((id, failure)) = self.submit(job, lost) {
                    refused = true;
                    let result = JobResult {
                        id,
                        answer: JobAnswer::Failed(failure),
                    };
                    self.core.handle_job_result(now, result, &mut self.out);
                }
            }
            self.jobs_scratch = jobs;
            if !refused {
                break;
            }
        }
        self.write_journal(now);
    }

    /// Takes the records out of our memory. A failing disk is said once, when it begins and when it is over; the next
    /// turn refuses new calls, and there is one soon even when nothing else happens.
    fn write_journal(&mut self, now: Now) {
        match self.journal.write_out() {
            Ok(()) => {
                if self.journal_retry_us.take().is_some() {
                    tracing::info!(lane = self.lane, "the journal can be written again");
                }
            }
            Err(error) => {
                if self.journal_retry_us.is_none() {
                    tracing::error!(lane = self.lane, %error, "the journal can't be written: new calls are refused");
                }
                self.journal_retry_us = Some(now.mono_us + JOURNAL_RETRY_US);
            }
        }
        let waiting = self.journal.appended_seq() - self.progress.written_seq();
        self.counters.set(LaneStat::RecordsWaiting, waiting);
    }

    /// Hands a job to the pool; the failure to answer it with when that is not possible.
    fn submit(&mut self, job: Job, records_lost: bool) -> Option<(u64, JobFailure)> {
        let Job {
            id,
            deadline_us,
            kind,
        } = job;
        let deadline = self.clock.instant_at(deadline_us);
        let kind = match kind {
            JobKind::Lookup {
                query,
                number,
                caller,
                customer,
            } => LaneJob::Lookup {
                query,
                number,
                caller,
                customer,
                deadline,
            },
            JobKind::Resolve {
                host,
                port,
                transport,
            } => LaneJob::Resolve {
                host,
                port,
                transport,
            },
            JobKind::Commit if records_lost => return Some((id, JobFailure::Error)),
            JobKind::Commit => LaneJob::Commit {
                progress: Arc::clone(&self.progress),
                seq: self.journal.appended_seq(),
            },
        };
        let results = self.results.clone();
        let reply = Reply::new(move |answer: Result<JobAnswer, Failure>| {
            let answer = answer.unwrap_or_else(|failure| {
                JobAnswer::Failed(match failure {
                    Failure::Timeout => JobFailure::Timeout,
                    Failure::Panicked | Failure::Stopped => JobFailure::Error,
                })
            });
            // A lane that has ended waits for nothing.
            let _ = results.send(JobResult { id, answer });
        });
        match self.jobs.try_submit(kind, deadline, reply) {
            Ok(()) => {
                self.counters.add(LaneStat::JobsSubmitted, 1);
                None
            }
            Err(_) => {
                self.counters.add(LaneStat::JobsFull, 1);
                Some((id, JobFailure::QueueFull))
            }
        }
    }

    fn flush(&mut self) {
        let Self {
            out,
            ports,
            send,
            unreachable,
            ..
        } = self;
        let outbox = &out.outbox;
        let mut tally = SendTally::default();
        let mut next = 0;
        while let Some((flow, _)) = outbox.iter().nth(next) {
            match ports.get(usize::from(flow.listener)) {
                Some(port) => {
                    let on_unreachable = |remote| {
                        if !unreachable.contains(&remote) {
                            unreachable.push(remote);
                        }
                    };
                    next = port.send_run(send, outbox, next, &mut tally, on_unreachable);
                }
                None => {
                    debug_assert!(false, "a flow names a listener that is not there");
                    tally.dropped += 1;
                    next += 1;
                }
            }
        }
        out.outbox.clear();
        self.count_sent(tally);
    }

    fn count_sent(&mut self, tally: SendTally) {
        self.counters.add(LaneStat::DatagramsOut, tally.datagrams);
        self.counters.add(LaneStat::BytesOut, tally.bytes);
        self.counters.add(LaneStat::SendErrors, tally.errors);
        self.counters.add(LaneStat::SendDelayed, tally.delayed);
        self.counters.add(LaneStat::SendDropped, tally.dropped);
    }

    fn publish(&mut self, now: Now) {
        self.counters.add(LaneStat::Turns, 1);
        let end_us = self.clock.mono_us();
        self.counters
            .add(LaneStat::BusyUs, end_us.saturating_sub(now.mono_us));
        self.counters.set(
            LaneStat::KernelDrops,
            self.ports.iter().map(|port| port.kernel_drops()).sum(),
        );
        self.counters
            .set(LaneStat::LiveCalls, self.core.live_calls() as u64);
        self.counters.set(
            LaneStat::LiveTransactions,
            self.core.live_transactions() as u64,
        );
        self.counters
            .set(LaneStat::LiveContexts, self.core.live_contexts() as u64);
        let unfinished = if self.draining {
            self.core.unfinished_requests()
        } else {
            0
        };
        self.counters
            .set(LaneStat::UnfinishedRequests, unfinished as u64);
        self.published.cells.publish(&self.counters);
        self.stats_pending = true;
        self.publish_stats(now.mono_us);
    }

    /// Publishes the core's counters when it is time. A reader that holds them just now makes it later.
    fn publish_stats(&mut self, now_us: u64) {
        if now_us
            < self
                .stats_published_us
                .saturating_add(self.tuning.publish_us)
        {
            return;
        }
        match self.published.stats.try_lock() {
            Ok(mut stats) => stats.clone_from(self.core.stats()),
            Err(TryLockError::Poisoned(poisoned)) => {
                poisoned.into_inner().clone_from(self.core.stats())
            }
            Err(TryLockError::WouldBlock) => return,
        }
        self.stats_published_us = now_us;
        self.stats_pending = false;
    }

    /// Tells the timer task when it has to wake, monotonic µs; `u64::MAX`: not before it is told.
    fn arm(&mut self) -> u64 {
        self.armed_us = self.wake_us();
        self.armed_us
    }

    fn wake_us(&self) -> u64 {
        let publish_us = if self.stats_pending {
            self.stats_published_us
                .saturating_add(self.tuning.publish_us)
        } else {
            u64::MAX
        };
        self.core
            .next_deadline_us()
            .unwrap_or(u64::MAX)
            .min(publish_us)
            .min(self.journal_retry_us.unwrap_or(u64::MAX))
    }
}

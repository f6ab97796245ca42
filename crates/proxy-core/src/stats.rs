//! Counters of a lane: plain integers with one writer.
//!
//! Every datagram counts once under [`Stat::DatagramsIn`] and once under exactly one outcome, so nothing that came
//! in disappears. Refusals are counted by [`Cause`] as well.

use accounting::Cause;

macro_rules! stats {
    ($($(#[doc = $doc:literal])+ $name:ident => $label:literal),+ $(,)?) => {
        /// One counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Stat { $($(#[doc = $doc])+ $name),+ }

        impl Stat {
            /// All of them, in the order of their values.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The metric's name without prefix and suffix.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }
        }
    };
}

stats! {
    /// Datagrams given to the core.
    DatagramsIn => "datagrams_in",
    /// Outcome: keep-alives (CRLF, zero bytes), ignored.
    Keepalives => "keepalives",
    /// Outcome: did not parse and could not be answered.
    ParseDropped => "parse_dropped",
    /// Outcome: did not parse, answered 400 (505, 513).
    ParseAnswered => "parse_answered",
    /// Outcome: did not parse, and had its share of answers before (`proxy.malformed_answers_per_s`, for sources that
    /// are no trunk `proxy.stranger_answers_per_s`): dropped.
    ParseLimited => "parse_limited",
    /// Outcome: a new request, handled (forwarded, answered or held).
    RequestsNew => "requests_new",
    /// Outcome: a retransmission, absorbed.
    RequestsRetransmitted => "requests_retransmitted",
    /// Outcome: the ACK of a final response other than 2xx, absorbed.
    AcksAbsorbed => "acks_absorbed",
    /// Outcome: the ACK of a 2xx, forwarded or held.
    AcksForwarded => "acks_forwarded",
    /// Outcome: an ACK that belongs to nothing known, dropped.
    AcksDropped => "acks_dropped",
    /// Outcome: a CANCEL.
    Cancels => "cancels",
    /// Outcome: a response to a request of ours, handled.
    ResponsesHandled => "responses_handled",
    /// Outcome: a response that repeats one, absorbed by its transaction.
    ResponsesAbsorbed => "responses_absorbed",
    /// Outcome: a response without a transaction, dropped (RFC 6026 §7.3).
    ResponsesStray => "responses_stray",
    /// Outcome: a response whose top Via is not ours, dropped (RFC 3261 §18.1.2).
    ResponsesForeign => "responses_foreign",
    /// INVITEs without To-tag that were seen new.
    Invites => "invites",
    /// Calls that were answered.
    CallsAnswered => "calls_answered",
    /// Calls whose record was closed.
    CallsEnded => "calls_ended",
    /// Sessions that nobody refreshed in time (RFC 4028 §8.3).
    SessionsExpired => "sessions_expired",
    /// Calls taken up again after a restart.
    CallsRestored => "calls_restored",
    /// INVITEs sent to vendors.
    Attempts => "attempts",
    /// Contacts of redirects that were tried.
    RedirectsFollowed => "redirects_followed",
    /// Attempts made because an earlier target of the call, or its whole group, had failed.
    Failovers => "failovers",
    /// Candidates passed over because the vendor was at its limit.
    VendorLimited => "vendor_limited",
    /// 2xx responses beyond the first of a call, of vendors that had not answered it: each bills.
    ExtraAnswers => "extra_answers",
    /// 2xx responses beyond the first of a vendor: more endpoints behind it, one bill.
    ForkedAnswers => "forked_answers",
    /// 2xx responses after another final response had gone upstream.
    LateAnswers => "late_answers",
    /// Channels taken beyond a limit, by answers of calls or attempts that had ended: they cannot be refused any more.
    ChannelsBeyondLimit => "channels_beyond_limit",
    /// Messages that had to wait for a job.
    Parked => "parked",
    /// Jobs that failed, by error.
    JobsFailed => "jobs_failed",
    /// Jobs that missed their deadline.
    JobsTimedOut => "jobs_timed_out",
    /// Jobs that found the queue full.
    JobsRefused => "jobs_refused",
    /// Results of jobs that nobody waits for any more.
    JobsStale => "jobs_stale",
    /// Responses that left although their record was not known to be on disk: a commit failed or came too late.
    CommitsMissed => "commits_missed",
    /// Messages of a parked dialog dropped because too many wait.
    HeldOverflow => "held_overflow",
    /// ACKs and requests of a dialog whose next hop could not be found.
    NextHopUnknown => "next_hop_unknown",
    /// Requests that break a rule answered 400, or came from no trunk, and had their share of answers before.
    RefusalsLimited => "refusals_limited",
    /// Responses that the server transaction no longer took.
    ResponsesTooLate => "responses_too_late",
    /// Entries that did not fit the table of refused sources and were added up under one name.
    RefusedOverflow => "refused_overflow",
    /// BYEs of our own.
    OwnByes => "own_byes",
    /// INVITE server transactions whose ACK never came.
    AckTimeouts => "ack_timeouts",
    /// Requests refused because the table of transactions or calls is full.
    TablesFull => "tables_full",
    /// Messages of a dialog whose next hop may not be a target: a multicast, broadcast, loopback or own address.
    TargetsRefused => "targets_refused",
}

/// The counters of one lane.
#[derive(Clone)]
pub struct Stats {
    counters: [u64; Stat::ALL.len()],
    refused: [u64; Cause::ALL.len()],
    parse_errors: Vec<(&'static str, u64)>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            counters: [0; Stat::ALL.len()],
            refused: [0; Cause::ALL.len()],
            parse_errors: Vec::new(),
        }
    }
}

impl Stats {
    pub(crate) fn count(&mut self, stat: Stat) {
        self.counters[stat as usize] += 1;
    }

    pub(crate) fn refuse(&mut self, cause: Cause) {
        self.refused[cause as usize] += 1;
    }

    pub(crate) fn parse_error(&mut self, kind: &'static str) {
        match self
            .parse_errors
            .iter_mut()
            .find(|(known, _)| *known == kind)
        {
            Some((_, count)) => *count += 1,
            None => self.parse_errors.push((kind, 1)),
        }
    }

    /// One counter since the start.
    #[must_use]
    pub fn value(&self, stat: Stat) -> u64 {
        self.counters[stat as usize]
    }

    /// Requests refused for `cause` since the start.
    #[must_use]
    pub fn refused(&self, cause: Cause) -> u64 {
        self.refused[cause as usize]
    }

    /// Datagrams that did not parse, by the parser's label; a closed set.
    #[must_use]
    pub fn parse_errors(&self) -> &[(&'static str, u64)] {
        &self.parse_errors
    }
}

//! What the core is given besides datagrams, and what it gives back.
//!
//! A [`Job`] is the one detour of a message: work that needs the outside world. Its answer, or its deadline,
//! resumes the message at the point where it waits.

use accounting::Record;
use std::{net::SocketAddr, sync::Arc};
use transaction_layer::{Outbox, Transport};

/// The time, as the driver read it once for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic microseconds since the process started. Every duration comes from this.
    pub mono_us: u64,
    /// Microseconds since 1970, UTC. Only stamps the setup of a call and bridges a restart.
    pub wall_us: i64,
}

/// What one call into the core produced. The driver empties it before the next turn.
///
/// Order matters to the promise of the journal: `records` must be out of the process's memory before
/// `outbox` is sent.
#[derive(Default)]
pub struct Output {
    /// Datagrams to send, in order.
    pub outbox: Outbox,
    /// Work for the offload pool.
    pub jobs: Vec<Job>,
    /// Records for the journal, in order.
    pub records: Vec<Record>,
    /// What an operator should hear about.
    pub notices: Vec<Notice>,
}

/// Something that costs money and is worth a line in the log; counted as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A vendor answered after another one had, or after the caller had been refused: it bills all the same.
    FurtherAnswer {
        /// The CDR's id.
        cdr_id: uuid::Uuid,
        /// Call-ID, as a peer wrote it.
        call_id: String,
        /// The vendor's name.
        vendor: String,
        /// The caller had had another final response: counted as `late_answers`, else as `extra_answers`.
        late: bool,
    },
}

impl Output {
    /// An empty output.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Work that a message waits for.
#[derive(Clone, Debug)]
pub struct Job {
    /// Names the job in its [`JobResult`].
    pub id: u64,
    /// Monotonic time at which the core stops waiting, µs.
    pub deadline_us: u64,
    /// What is to be done.
    pub kind: JobKind,
}

/// The kinds of work that leave the lane.
#[derive(Clone, Debug)]
pub enum JobKind {
    /// A query in the store that may rewrite the number or refuse the call.
    Lookup {
        /// The text of the query, with `{number}`, `{caller}` and `{customer}` to be bound, never spliced.
        query: Arc<str>,
        /// The number that is called, after the customer's rules.
        number: String,
        /// The user part of From.
        caller: String,
        /// The customer's name.
        customer: String,
    },
    /// The addresses of a host name (RFC 3263).
    Resolve {
        /// The host name.
        host: String,
        /// The port, when the URI names one: then no SRV query is made (RFC 3263 §4.2).
        port: Option<u16>,
        /// The transport that will be used.
        transport: Transport,
    },
    /// Answered when every record up to and including those of this output is on disk.
    Commit,
}

/// The end of a job.
#[derive(Clone, Debug)]
pub struct JobResult {
    /// The job's [`Job::id`].
    pub id: u64,
    /// What came of it.
    pub answer: JobAnswer,
}

/// What came of a job.
#[derive(Clone, Debug)]
pub enum JobAnswer {
    /// A lookup's answer.
    Lookup(LookupAnswer),
    /// The addresses of a name, most wanted first; empty when the name does not exist.
    Resolved {
        /// Addresses with their ports.
        addresses: Vec<SocketAddr>,
        /// How long the answer may be used, seconds.
        ttl_s: u32,
    },
    /// Everything recorded so far is on disk.
    Committed,
    /// It could not be done.
    Failed(JobFailure),
}

/// What a lookup may say. With neither field set, the call goes on as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookupAnswer {
    /// Route by this number instead.
    pub number: Option<String>,
    /// Refuse the call with this SIP status, 400 to 699.
    pub refuse: Option<u16>,
}

/// Why a job has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobFailure {
    /// The other side failed.
    Error,
    /// The deadline passed.
    Timeout,
    /// The bounded queue was full: nothing was started.
    QueueFull,
}

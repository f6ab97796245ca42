//! What the admin interface says, as JSON: the shapes of `/v1/status` and `/v1/calls`.
//! The commands `status`, `ps` and `calls` read the same types back.
//! Leaves out secrets: the store is shown by its scheme alone.

use serde::{Deserialize, Serialize};

/// `GET /v1/status`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusView {
    /// The node's name.
    pub node: String,
    /// The version of the binary.
    pub version: String,
    /// `serving`, `draining`, or `refusing` while the journal can't be written.
    pub state: String,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// The configuration file; null: built-in defaults and environment.
    pub config_file: Option<String>,
    /// The store's scheme, `sqlite://…`.
    pub store: String,
    /// Where SIP is received.
    pub listen: Vec<ListenView>,
    /// The workers, by lane.
    pub workers: Vec<WorkerView>,
    /// The routing data in use.
    pub routing: RoutingView,
    /// The journal and its shipping.
    pub journal: JournalView,
    /// The offload pool.
    pub offload: OffloadView,
    /// Log lines dropped because stderr was too slow.
    pub log_lines_dropped: u64,
}

/// A listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListenView {
    /// `udp`.
    pub transport: String,
    /// The address bound.
    pub address: String,
    /// What Via and Record-Route say.
    pub advertise: String,
}

/// A worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its lane.
    pub lane: u8,
    /// The processor its thread is pinned to; null where pinning is not possible.
    pub cpu: Option<usize>,
    /// Calls it owns now.
    pub live_calls: u64,
    /// Transactions it has now.
    pub live_transactions: u64,
    /// INVITEs without To-tag seen new.
    pub invites: u64,
    /// Calls answered.
    pub calls_answered: u64,
    /// Calls ended.
    pub calls_ended: u64,
    /// Datagrams its sockets received.
    pub datagrams_in: u64,
    /// Datagrams it sent.
    pub datagrams_out: u64,
    /// Datagrams it passed to their owner.
    pub handed_over: u64,
    /// Datagrams lost in this process or in the kernel's queue before it: full rings, full buffers.
    pub dropped: u64,
    /// Time its thread has worked, milliseconds.
    pub busy_ms: u64,
}

/// The routing data in use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoutingView {
    /// Their version.
    pub version: u64,
    /// Customers.
    pub customers: usize,
    /// Vendors.
    pub vendors: usize,
    /// Rates.
    pub rates: usize,
}

/// The journal and its shipping.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JournalView {
    /// Records written and not yet in the store.
    pub backlog_records: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// How long the oldest of them waits, seconds.
    pub oldest_unshipped_s: u64,
    /// Batches that the store refused; each is tried again.
    pub ship_errors: u64,
    /// The last try to bring records into the store failed.
    pub ship_failing: bool,
    /// What the last failed try said, also when it is over.
    pub ship_last_error: Option<String>,
    /// Answered calls without an end, as far as the journal has been read.
    pub open_calls: u64,
    /// Segment files on the disk.
    pub segments: u64,
    /// Segments found damaged while running; repaired and shipped at the next start.
    pub segments_damaged: u64,
    /// Segments with records of a newer version; kept until a version that knows them runs.
    pub segments_undecodable: u64,
    /// The disk refuses writes: new calls are refused until it takes them.
    pub failing: bool,
    /// Writes and syncs that failed.
    pub errors: u64,
    /// Records lost because the disk refused writes for too long.
    pub lost: u64,
    /// The writing side, lane by lane.
    pub lanes: Vec<JournalLaneView>,
}

/// The journal of one lane.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JournalLaneView {
    /// The lane.
    pub lane: u8,
    /// Its last write failed: it takes no new calls.
    pub failing: bool,
}

/// The offload pool.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OffloadView {
    /// Jobs waiting.
    pub waiting: u64,
    /// Jobs running.
    pub running: u64,
    /// Jobs answered.
    pub answered: u64,
    /// Jobs that found the queue full.
    pub full: u64,
    /// Jobs that missed their deadline.
    pub timed_out: u64,
}

/// One call of `GET /v1/calls`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallRow {
    /// The CDR's id.
    pub cdr_id: String,
    /// Call-ID.
    pub call_id: String,
    /// `setup` or `up`.
    pub state: String,
    /// The customer's name.
    pub customer: String,
    /// The vendor of the latest attempt.
    pub vendor: Option<String>,
    /// The caller's number.
    pub caller: String,
    /// The number called, as received.
    pub callee: String,
    /// Where the call came from.
    pub source: String,
    /// Where the latest attempt went.
    pub next_hop: Option<String>,
    /// When the INVITE came, RFC 3339.
    pub setup_at: String,
    /// Since when it has been up, milliseconds.
    pub up_for_ms: Option<u64>,
    /// When its session expires unless it is refreshed (RFC 4028), RFC 3339.
    pub session_expires_at: Option<String>,
}

//! The proxy's own timers, beside those of the transactions.

use crate::context::{BranchRef, ContextRef};
use uuid::Uuid;

/// What a timer of the core is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CoreTimer {
    /// The vendor has said nothing at all: try the next.
    No1xx(BranchRef),
    /// The vendor has been ringing for too long: CANCEL.
    Ring(BranchRef),
    /// Timer C, RFC 3261 §16.8: no progress on a branch.
    TimerC(BranchRef),
    /// The final response to a cancelled branch never came (RFC 3261 §9.1).
    CancelWait(BranchRef),
    /// The deadline of a job.
    Job(u64),
    /// A call has lasted for as long as calls may.
    MaxCall(Uuid),
    /// An answer beside the first has waited for its ACK for as long as a UAS does (RFC 3261 §13.3.1.4).
    Unacknowledged(Uuid),
    /// A session that nobody refreshed expires (RFC 4028 §8.3).
    Session(Uuid, u8),
    /// A non-INVITE request has had no final response for a while (RFC 4320 §4.1), or has one that must not be sent.
    Overdue(ContextRef),
    /// The minute of the refused sources has ended.
    Refused,
}

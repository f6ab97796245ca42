//! The journal of call records: one series of segment files per lane, each record framed with a CRC32C.
//! A record is out of our memory after [`Journal::write_out`] and on the disk after the next sync of [`JournalSync`].
//! Leaves out: shipping to the store (`ship.rs`).

pub(crate) mod frame;
mod open_calls;
mod reader;
mod recover;
mod segment;
mod sync;
mod writer;

pub(crate) use open_calls::OpenCalls;
pub(crate) use reader::{SegmentReader, Step, read_header};
pub(crate) use segment::{CARRY_LANE, SegmentHeader, SegmentKey, list_segments, sync_directory};

pub use recover::{Damage, Recovery, TornTail, recover};
pub use segment::next_boot;
pub use sync::{JournalSync, LaneProgress, SyncFailed};
pub use writer::{BufferFull, Journal, JournalOptions};

//! What outlives the process: the journal of call records, its shipping, and the SQL store with schema and migrations.
//! The store is SQLite through `sqlx`; nothing in here ever runs on a worker except [`Journal::append`] and
//! [`Journal::write_out`]. Leaves out: what records mean (`accounting`) and how tables are compiled (`routing`).

mod cdrs;
mod lock;
mod lookup;
mod private;
mod routing_tables;
mod ship;
mod store;
#[cfg(test)]
mod test_records;

pub mod journal;

pub use cdrs::{CdrFilter, ShipBatch, ShipPart, ShipRecord};
pub use journal::{
    BufferFull, Journal, JournalOptions, JournalSync, LaneProgress, Recovery, SyncFailed,
    next_boot, recover,
};
pub use lock::{DirectoryLock, LockError};
pub use lookup::{LookupAnswer, LookupError, check_lookup};
pub use ship::{ShipProgress, ShipStatus, Shipper, ShipperOptions};
pub use store::{Store, StoreError};

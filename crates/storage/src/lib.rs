//! What outlives the process: the journal of call records, its shipping, and the SQL store with schema and migrations.
//! The store is SQLite through `sqlx`; nothing in here ever runs on a worker except [`Journal::append`] and
//! [`Journal::write_out`]. Leaves out: what records mean (`accounting`) and how tables are compiled (`routing`).

mod lock;
#[cfg(test)]
mod test_records;

pub mod journal;

pub use journal::{
    Journal, JournalOptions, JournalSync, LaneProgress, Recovery, next_boot, recover,
};
pub use lock::{DirectoryLock, LockError};

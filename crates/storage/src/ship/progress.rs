//! What the shipper lets others see: how much waits, how old it is, what went wrong.
//! Leaves out: the figures of the journal's writers ([`crate::LaneProgress`]).

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::segments::Segments;

/// Figures of the shipper, written by it alone.
#[derive(Debug, Default)]
pub struct ShipProgress {
    backlog_bytes: AtomicU64,
    backlog_records: AtomicU64,
    oldest_us: AtomicI64,
    open_calls: AtomicU64,
    segments: AtomicU64,
    damaged: AtomicU64,
    undecodable: AtomicU64,
    shipped: AtomicU64,
    batches: AtomicU64,
    errors: AtomicU64,
    failing: AtomicBool,
    last_error: Mutex<Option<String>>,
}

/// The figures at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShipStatus {
    /// Bytes of the journal that are not in the store yet.
    pub backlog_bytes: u64,
    /// About how many records these are: exact for those being stored, by their mean size for those not yet read.
    pub backlog_records: u64,
    /// End of the oldest call that is being stored and not in the store yet, UTC µs since 1970; 0 when there is none.
    pub oldest_us: i64,
    /// Answered calls without an end, as far as the journal has been read.
    pub open_calls: u64,
    /// Segment files on the disk, the shipper's own included.
    pub segments: u64,
    /// Segments that turned out to be damaged while running; they are repaired and shipped at the next start.
    pub damaged: u64,
    /// Segments with records that this build can't decode (a newer one wrote them); they are never deleted.
    pub undecodable: u64,
    /// Records stored since start.
    pub shipped: u64,
    /// Transactions since start.
    pub batches: u64,
    /// Failed tries since start.
    pub errors: u64,
    /// The last try failed: raise an alarm when this stays so.
    pub failing: bool,
    /// What the last failed try said, also when it is over.
    pub last_error: Option<String>,
}

impl ShipProgress {
    /// The figures now.
    #[must_use]
    pub fn status(&self) -> ShipStatus {
        let figure = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        ShipStatus {
            backlog_bytes: figure(&self.backlog_bytes),
            backlog_records: figure(&self.backlog_records),
            oldest_us: self.oldest_us.load(Ordering::Relaxed),
            open_calls: figure(&self.open_calls),
            segments: figure(&self.segments),
            damaged: figure(&self.damaged),
            undecodable: figure(&self.undecodable),
            shipped: figure(&self.shipped),
            batches: figure(&self.batches),
            errors: figure(&self.errors),
            failing: self.failing.load(Ordering::Relaxed),
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    pub(super) fn publish(&self, segments: &Segments) {
        let backlog = segments.backlog();
        self.backlog_bytes.store(backlog.bytes, Ordering::Relaxed);
        self.backlog_records
            .store(backlog.records, Ordering::Relaxed);
        self.oldest_us
            .store(backlog.oldest_us.unwrap_or(0), Ordering::Relaxed);
        self.open_calls.store(backlog.open_calls, Ordering::Relaxed);
        self.segments.store(backlog.segments, Ordering::Relaxed);
        self.damaged.store(backlog.damaged, Ordering::Relaxed);
        self.undecodable
            .store(backlog.undecodable, Ordering::Relaxed);
    }

    pub(super) fn note_batch(&self, records: u64) {
        self.shipped.fetch_add(records, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_success(&self) {
        self.failing.store(false, Ordering::Relaxed);
    }

    pub(super) fn note_error(&self, error: &dyn Display) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.failing.store(true, Ordering::Relaxed);
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }
}

//! The shipper: reads the journal from the disk, stores it in batches, deletes segments that hold nothing new.
//! Exactly once in the store: each batch carries the cursors of its segments. The journal is the queue; memory holds one
//! batch and the positions of open calls. Leaves out: a row the database refuses for good, which holds up the rest.

mod progress;
mod segments;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::Store;
pub use progress::{ShipProgress, ShipStatus};
use segments::Segments;

/// How the shipper works.
#[derive(Clone, Debug)]
pub struct ShipperOptions {
    /// The journal directory.
    pub directory: PathBuf,
    /// Name of the node, for the segments that the shipper writes itself.
    pub node: String,
    /// Generation of this start: segments of older ones are complete.
    pub boot: u32,
    /// Most records in one transaction.
    pub batch_records_max: usize,
    /// Pause between looks into the journal when there was less than a full batch.
    pub poll: Duration,
    /// First pause after a failed transaction; doubled up to `retry_max`, then a random part of it is taken.
    pub retry_min: Duration,
    /// Longest pause after a failed transaction.
    pub retry_max: Duration,
    /// Size from which the shipper's own segment is followed by a new one.
    pub segment_bytes: u64,
}

impl ShipperOptions {
    /// Batches of at most 500 records or 20 ms, retries after 50 ms to 10 s.
    #[must_use]
    pub fn new(directory: PathBuf, node: String, boot: u32) -> Self {
        Self {
            directory,
            node,
            boot,
            batch_records_max: 500,
            poll: Duration::from_millis(20),
            retry_min: Duration::from_millis(50),
            retry_max: Duration::from_secs(10),
            segment_bytes: 64 << 20,
        }
    }
}

/// Reads the journal and fills the store. Needs a multi-threaded Tokio runtime: file reads block their thread.
#[derive(Debug)]
pub struct Shipper {
    options: ShipperOptions,
    store: Arc<Store>,
    segments: Segments,
    progress: Arc<ShipProgress>,
}

impl Shipper {
    /// Prepares shipping; to be called after [`crate::recover`] has repaired the directory.
    ///
    /// # Errors
    /// When the shipper's own segment can't be created.
    pub fn new(options: ShipperOptions, store: Arc<Store>) -> io::Result<Self> {
        let segments = Segments::new(&options)?;
        Ok(Self {
            options,
            store,
            segments,
            progress: Arc::new(ShipProgress::default()),
        })
    }

    /// Figures for metrics and status; valid while the shipper runs and after.
    #[must_use]
    pub fn progress(&self) -> Arc<ShipProgress> {
        Arc::clone(&self.progress)
    }

    /// Ships until `stop` becomes true, and then until the journal is empty or a transaction fails. What is not shipped
    /// stays in the journal for the next start. Returns whether the journal was empty at the end.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> bool {
        let mut failures = 0;
        loop {
            // Read before the pass: what was written before the stop is then seen by the pass.
            let stopping = *stop.borrow_and_update();
            let pause = match self.pass().await {
                Ok(Pass::Full) => {
                    failures = 0;
                    continue;
                }
                Ok(Pass::CaughtUp) if stopping => return true,
                Err(error) if stopping => {
                    tracing::warn!(%error, "journal not shipped to its end; the rest is shipped after the next start");
                    return false;
                }
                Ok(Pass::CaughtUp) => {
                    failures = 0;
                    self.options.poll
                }
                Err(error) => {
                    failures += 1;
                    let pause = backoff(&self.options, failures);
                    self.progress.note_error(&error);
                    tracing::warn!(%error, failures, pause_ms = pause.as_millis(), "journal not shipped, trying again");
                    pause
                }
            };
            // A closed channel means that whoever could stop us is gone: go on without it.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Ok(()) = stop.changed() => {}
            }
        }
    }

    /// One look into the journal: read, store, delete what is done with.
    async fn pass(&mut self) -> Result<Pass, ShipError> {
        if tokio::task::block_in_place(|| self.segments.discover())? {
            // The store may be down: what waits must show all the same.
            self.progress.publish(&self.segments);
            for id in self.segments.without_cursor() {
                let cursor = self.store.cursor(id).await?;
                self.segments.set_cursor(id, cursor.unwrap_or(0));
            }
        }
        let max = self.options.batch_records_max;
        tokio::task::block_in_place(|| self.segments.read(max))?;
        self.progress.publish(&self.segments);
        let shipped = self.segments.batch().len();
        if self.segments.has_news() {
            self.store.insert_batch(self.segments.batch()).await?;
            tokio::task::block_in_place(|| self.segments.committed())?;
            self.progress.note_batch(shipped as u64);
        }
        let deleted = tokio::task::block_in_place(|| self.segments.prune())?;
        self.progress.publish(&self.segments);
        if !deleted.is_empty() {
            self.store.forget_segments(&deleted).await?;
        }
        self.progress.note_success();
        Ok(if shipped >= max {
            Pass::Full
        } else {
            Pass::CaughtUp
        })
    }
}

/// How a look into the journal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// The batch was full, so there is more.
    Full,
    /// Everything in the journal is in the store.
    CaughtUp,
}

/// Why a pass failed; it is tried again.
#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error(transparent)]
    Store(#[from] crate::StoreError),
    #[error("journal: {0}")]
    Journal(#[from] io::Error),
}

/// A random pause between half of and the whole of the doubled minimum, so that nodes do not return in step.
fn backoff(options: &ShipperOptions, failures: u32) -> Duration {
    let doubled = options
        .retry_min
        .saturating_mul(1 << (failures - 1).min(20))
        .min(options.retry_max);
    doubled.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}

#[cfg(test)]
mod tests;

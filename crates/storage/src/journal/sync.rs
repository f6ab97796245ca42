//! Group commit: one plain thread syncs every lane that has written since, one after another, each `flush` interval, and
//! wakes who waits. So a record is on the disk at most `flush` and one sync of every lane after its write.
//! Workers never sync. Leaves out: writing ([`super::Journal`]).

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

/// A lock whose holder panicked still guards sound data here: every update is a single push or assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk reported an error for data that had been written; whether the record survives a power cut is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal could not be synced to the disk")]
pub struct SyncFailed;

/// Failed ranges told apart; with more, the two oldest become one, which can only make a late question hear of a failure.
const FAILED_RANGES_MAX: usize = 64;

/// What is known of a lane's records on the disk.
#[derive(Debug, Default)]
struct Synced {
    /// All records up to here are on the disk, those of the failed ranges apart.
    seq: u64,
    /// Records after the first number up to the second were in a sync that failed; oldest range first. After a failed
    /// sync the kernel may have dropped the pages, so a later success says nothing about them.
    failed: Vec<(u64, u64)>,
}

impl Synced {
    fn note(&mut self, written: u64, failed: bool) {
        if failed && written > self.seq {
            match self.failed.last_mut() {
                Some(last) if last.1 == self.seq => last.1 = written,
                _ => self.failed.push((self.seq, written)),
            }
            if self.failed.len() > FAILED_RANGES_MAX {
                let (from, _) = self.failed.remove(0);
                if let Some(oldest) = self.failed.first_mut() {
                    oldest.0 = from;
                }
            }
        }
        self.seq = written;
    }

    /// What is known of a record, once something is.
    fn fate(&self, seq: u64) -> Option<Result<(), SyncFailed>> {
        if self
            .failed
            .iter()
            .any(|(from, to)| seq > *from && seq <= *to)
        {
            Some(Err(SyncFailed))
        } else {
            (self.seq >= seq).then_some(Ok(()))
        }
    }
}

/// What other threads may know of a lane: read by the syncing thread, the metrics and whoever waits for a commit.
#[derive(Debug)]
pub struct LaneProgress {
    lane: u8,
    directory: PathBuf,
    written: AtomicU64,
    /// Segments not synced since they were written: usually the current one alone. Locked at rotation and sync only.
    files: Mutex<Vec<Arc<File>>>,
    /// A file was created since the directory was last synced.
    created: AtomicBool,
    synced: watch::Sender<Synced>,
    failing: AtomicBool,
    write_errors: AtomicU64,
    sync_errors: AtomicU64,
    lost: AtomicU64,
}

impl LaneProgress {
    pub(crate) fn new(lane: u8, directory: PathBuf, file: Arc<File>) -> Self {
        Self {
            lane,
            directory,
            written: AtomicU64::new(0),
            files: Mutex::new(vec![file]),
            created: AtomicBool::new(true),
            synced: watch::Sender::new(Synced::default()),
            failing: AtomicBool::new(false),
            write_errors: AtomicU64::new(0),
            sync_errors: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// The lane.
    #[must_use]
    pub fn lane(&self) -> u8 {
        self.lane
    }

    /// Sequence number of the last record that is out of the process's memory.
    #[must_use]
    pub fn written_seq(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Sequence number of the last record that is on the disk.
    #[must_use]
    pub fn synced_seq(&self) -> u64 {
        self.synced.borrow().seq
    }

    /// The last write failed and records wait in memory: raise an alarm, take no new calls.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Writes that failed since start.
    #[must_use]
    pub fn write_errors(&self) -> u64 {
        self.write_errors.load(Ordering::Relaxed)
    }

    /// Syncs that failed since start.
    #[must_use]
    pub fn sync_errors(&self) -> u64 {
        self.sync_errors.load(Ordering::Relaxed)
    }

    /// Records lost since start because the disk refused writes and the buffer was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until the record `seq` of this lane is on the disk.
    ///
    /// # Errors
    /// [`SyncFailed`] when the disk reported an error for it.
    pub async fn wait_synced(&self, seq: u64) -> Result<(), SyncFailed> {
        let mut synced = self.synced.subscribe();
        loop {
            let fate = synced.borrow_and_update().fate(seq);
            if let Some(fate) = fate {
                return fate;
            }
            // The sender lives in `self`, so the channel can't close while we wait.
            if synced.changed().await.is_err() {
                return Err(SyncFailed);
            }
        }
    }

    pub(crate) fn note_written(&self, seq: u64) {
        self.written.store(seq, Ordering::Release);
        if self.failing.load(Ordering::Relaxed) {
            self.set_failing(false);
        }
    }

    pub(crate) fn note_write_error(&self) {
        self.write_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    pub(crate) fn add_file(&self, file: Arc<File>) {
        locked(&self.files).push(file);
        self.created.store(true, Ordering::Release);
    }

    /// Puts everything written so far on the disk; does nothing when nothing was written since the last time.
    pub(crate) fn sync(&self) -> io::Result<()> {
        // Read before the list of files: every record up to here lies in a file that is in the list.
        let written = self.written_seq();
        let before = self.synced.borrow().seq;
        let files: Vec<_> = locked(&self.files).clone();
        if written == before && files.len() == 1 {
            return Ok(());
        }
        let mut result = Ok(());
        if self.created.swap(false, Ordering::AcqRel) {
            result = super::sync_directory(&self.directory);
            if result.is_err() {
                // The entries of the new files are not known to be on the disk: the next sync tries them again.
                self.created.store(true, Ordering::Release);
            }
        }
        for file in &files {
            result = result.and(file.sync_data());
        }
        // All but the last are complete: rotation never comes back to an older file. A failed sync is not tried
        // again, for a success after it would mean nothing.
        locked(&self.files).drain(..files.len() - 1);
        if result.is_err() {
            self.sync_errors.fetch_add(1, Ordering::Relaxed);
        }
        self.synced
            .send_modify(|synced| synced.note(written, result.is_err()));
        result
    }
}

#[derive(Debug, Default)]
struct Shared {
    lanes: Mutex<Vec<Arc<LaneProgress>>>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

/// The thread that syncs all lanes. Dropping it syncs once more and ends the thread.
#[derive(Debug)]
pub struct JournalSync {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl JournalSync {
    /// Starts the thread: a sync of every lane that has written, each `flush`.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn start(flush: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("journal-sync".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || run(&shared, flush)
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Adds a lane, at any time.
    pub fn add(&self, progress: Arc<LaneProgress>) {
        locked(&self.shared.lanes).push(progress);
    }

    /// The lanes added so far.
    #[must_use]
    pub fn lanes(&self) -> Vec<Arc<LaneProgress>> {
        locked(&self.shared.lanes).clone()
    }

    /// Waits until the record `seq` of a lane is on the disk.
    ///
    /// # Errors
    /// [`SyncFailed`] when the disk reported an error for it, or when there is no such lane.
    pub async fn wait_synced(&self, lane: u8, seq: u64) -> Result<(), SyncFailed> {
        let progress = self
            .lanes()
            .into_iter()
            .find(|progress| progress.lane() == lane)
            .ok_or(SyncFailed)?;
        progress.wait_synced(seq).await
    }
}

impl Drop for JournalSync {
    fn drop(&mut self) {
        *locked(&self.shared.stop) = true;
        self.shared.stopped.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, flush: Duration) {
    loop {
        let stop = locked(&shared.stop);
        let stop = if *stop {
            true
        } else {
            *shared
                .stopped
                .wait_timeout(stop, flush)
                .unwrap_or_else(PoisonError::into_inner)
                .0
        };
        let lanes = locked(&shared.lanes).clone();
        for lane in lanes {
            if let Err(error) = lane.sync() {
                tracing::error!(lane = lane.lane(), %error, "journal could not be synced");
            }
        }
        if stop {
            return;
        }
    }
}

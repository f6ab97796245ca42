//! One node: its parts in the order they start, and in the order they end.
//! Locks, secrets, store, routing data, the journal and the calls it holds, lanes, shipper, admin; a drain takes them down.
//! Leaves out signals (`shutdown.rs`) and everything a part does by itself.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offload::{Pool, PoolConfig, PoolError};
use routing::TrunkCounters;
use storage::{
    DirectoryLock, JournalSync, LockError, Recovery, Shipper, ShipperOptions, Store, StoreError,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::admin::{self, AdminState};
use crate::config::Config;
use crate::journal_view::JournalHandles;
use crate::keys::{self, KeyError};
use crate::lanes::{Lanes, LanesError, LanesInput};
use crate::logging::LogDrops;
use crate::reload::{ReloadError, Reloader};
use crate::shutdown::{DrainHandle, Requests};

/// How long a drain goes on after the last request was answered: for ACKs, and for answers that were lost on the way.
const DRAIN_LINGER: Duration = Duration::from_secs(1);
/// How often a drain looks whether the last request was answered.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// How long the shipper may take at the end to empty the journal into the store; the rest waits for the next start.
const SHIP_PATIENCE: Duration = Duration::from_secs(5);
/// How long the last sync of the journal may take.
const SYNC_PATIENCE: Duration = Duration::from_secs(5);
/// How long tasks of the offload pool may take to end.
const POOL_PATIENCE: Duration = Duration::from_secs(1);
/// Threads for blocking calls of the pool, at most.
const BLOCKING_THREADS_MAX: usize = 8;

/// Why a node did not start: one clear line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the data or journal directory, or it can't be written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A secret file can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The routing data in the store can't be used.
    #[error(transparent)]
    Routing(#[from] ReloadError),
    /// The offload pool can't start.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The journal can't be read or written.
    #[error("journal {directory}: {error}")]
    Journal {
        /// `journal.directory`
        directory: String,
        /// What the system said.
        error: io::Error,
    },
    /// The workers can't start: an address in use, mostly.
    #[error(transparent)]
    Lanes(#[from] LanesError),
    /// Somebody asked for the end before the node ran.
    #[error("asked to end while starting")]
    Interrupted,
    /// The admin address can't be bound.
    #[error("admin.address {address}: {error}")]
    Admin {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// Why a drain was not clean: records of calls that a power cut, or the end of the process, loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "ended with the journal incomplete: {unwritten} records could not be written and are lost, {unsynced} were written \
     but may not be on the disk"
)]
pub struct Unclean {
    /// Records that the disk refused to the end.
    pub unwritten: u64,
    /// Records that were written, but whose sync failed or did not end in time.
    pub unsynced: u64,
}

/// A node that runs.
pub struct Node {
    config: Arc<Config>,
    lanes: Arc<Lanes>,
    drain: DrainHandle,
    shipping: JoinHandle<bool>,
    stop_shipping: watch::Sender<bool>,
    store: Arc<Store>,
    admin_address: SocketAddr,
    pool: Pool,
    /// Outlives the lanes: their last records are synced by it.
    journal_sync: Arc<JournalSync>,
    /// Given back last.
    _locks: Vec<DirectoryLock>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Node")
            .field("node", &self.config.runtime.node)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Starts every part. Must not be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: one line that says what to change; nothing keeps running then.
    pub fn start(config: Arc<Config>, log_drops: LogDrops) -> Result<Self, StartError> {
        Self::start_with(config, log_drops, Requests::default())
    }

    /// [`Node::start`] for a process that listens to `requests` already.
    ///
    /// # Errors
    /// As [`Node::start`]; [`StartError::Interrupted`] when a drain is asked for before the first socket is read.
    pub fn start_with(
        config: Arc<Config>,
        log_drops: LogDrops,
        requests: Requests,
    ) -> Result<Self, StartError> {
        let started = Instant::now();
        let locks = lock_directories(&config)?;
        let cookie_keys = keys::cookie_keys(&config.proxy.cookie_key_file)?;
        let token = keys::admin_token(&config.admin.token_file)?;
        // Bound early: a port in use is found before any call is accepted.
        let admin_listener = bind_admin(config.admin.address)?;
        let nice = config.offload.nice;
        let pool = Pool::start(
            PoolConfig {
                threads: usize::from(config.runtime.offload_threads),
                blocking_threads_max: BLOCKING_THREADS_MAX,
            },
            Arc::new(move || {
                // Where it is not permitted the pool runs at the workers' priority: slower, never wrong.
                let _ = crate::net::sys::lower_thread_priority(nice);
            }),
        )?;
        let handle = pool.handle().clone();
        let (store, reloader) = handle.block_on(async {
            tokio::select! {
                read = read_store(&config) => read,
                () = requests.drain.wait() => Err(StartError::Interrupted),
            }
        })?;

        let journal_failed = |error| StartError::Journal {
            directory: config.journal.directory.display().to_string(),
            error,
        };
        let recovery = storage::recover(&config.journal.directory).map_err(journal_failed)?;
        report(&recovery);
        if requests.drain.is_requested() {
            return Err(StartError::Interrupted);
        }
        let boot = storage::next_boot(&config.journal.directory).map_err(journal_failed)?;
        let flush = Duration::from_millis(u64::from(config.journal.flush_ms));
        let journal_sync = Arc::new(JournalSync::start(flush).map_err(journal_failed)?);

        let lanes = Arc::new(Lanes::start(LanesInput {
            config: Arc::clone(&config),
            cookie_keys,
            boot,
            routing: reloader.current(),
            counters: Arc::new(TrunkCounters::new()),
            store: Arc::clone(&store),
            journal_sync: Arc::clone(&journal_sync),
            restored: recovery.calls,
            pool: handle.clone(),
        })?);

        let mut options = ShipperOptions::new(
            config.journal.directory.clone(),
            config.runtime.node.clone(),
            boot,
        );
        options.segment_bytes = config.journal.segment_bytes;
        let shipper = Shipper::new(options, Arc::clone(&store)).map_err(journal_failed)?;
        let progress = shipper.progress();
        let (stop_shipping, stop) = watch::channel(false);
        let shipping = handle.spawn(shipper.run(stop));

        let drain = requests.drain;
        handle.spawn(reload_when_asked(Arc::clone(&reloader), requests.reload));
        let state = Arc::new(AdminState {
            config: Arc::clone(&config),
            lanes: Arc::clone(&lanes),
            reloader: Arc::clone(&reloader),
            drain: drain.clone(),
            log_drops,
            started,
            journal: JournalHandles {
                sync: Arc::clone(&journal_sync),
                shipping: progress,
            },
        });
        let admin_address =
            start_admin(&handle, admin_listener, state, token).map_err(|error| {
                StartError::Admin {
                    address: config.admin.address,
                    error,
                }
            })?;
        tracing::info!(node = config.runtime.node, addresses = ?lanes.addresses(), %admin_address, boot, "running");
        Ok(Self {
            config,
            lanes,
            drain,
            shipping,
            stop_shipping,
            store,
            admin_address,
            pool,
            journal_sync,
            _locks: locks,
        })
    }

    /// Where SIP is received, in the order of the configuration, with the ports bound.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.lanes.addresses()
    }

    /// Where the admin interface listens, with the port bound.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Waits until somebody asks for a drain.
    pub fn wait_for_drain(&self) {
        self.pool.handle().block_on(self.drain.wait());
    }

    /// Refuses new calls, lets live transactions finish (at most `runtime.drain_timeout_s`; what is in setup then gets
    /// 503), flushes the journal, ships what it can, and ends. Calls that are up stay in the journal and are taken up by the next start.
    ///
    /// # Errors
    /// [`Unclean`]: the journal does not hold every record. What could not be shipped is no error, the next start does.
    pub fn drain(self) -> Result<(), Unclean> {
        self.drain.request();
        self.lanes.drain();
        let unfinished = self.wait_for_requests();
        self.lanes.stop();
        let handle = self.pool.handle().clone();
        // A shipper that has already ended needs no telling.
        let _ = self.stop_shipping.send(true);
        let shipped =
            handle.block_on(async { tokio::time::timeout(SHIP_PATIENCE, self.shipping).await });
        let emptied = matches!(shipped, Ok(Ok(true)));
        let unsynced = handle.block_on(unsynced_records(&self.journal_sync));
        let unwritten = self.lanes.records_waiting() as u64;
        handle.block_on(self.store.close());
        self.pool.stop(POOL_PATIENCE);
        tracing::info!(
            unfinished,
            unwritten,
            unsynced,
            journal_shipped = emptied,
            "drained"
        );
        if unwritten + unsynced > 0 {
            return Err(Unclean {
                unwritten,
                unsynced,
            });
        }
        Ok(())
    }

    /// Waits until every request has had its final response and a moment has passed; returns how many have not.
    fn wait_for_requests(&self) -> usize {
        let limit = Duration::from_secs(u64::from(self.config.runtime.drain_timeout_s));
        let deadline = Instant::now() + limit;
        let mut quiet_since = None;
        loop {
            let unfinished = self.lanes.unfinished_requests();
            let now = Instant::now();
            if unfinished > 0 {
                quiet_since = None;
            }
            let quiet = now - *quiet_since.get_or_insert(now);
            if unfinished == 0 && quiet >= DRAIN_LINGER {
                return 0;
            }
            if now >= deadline {
                tracing::warn!(
                    unfinished,
                    "drain_timeout_s is over: calls that are still being set up get 503"
                );
                self.lanes.end_setup();
                // For the ACK upstream, and for the 487 of what was cancelled.
                std::thread::sleep(DRAIN_LINGER);
                return self.lanes.unfinished_requests();
            }
            std::thread::sleep(DRAIN_POLL);
        }
    }
}

/// What takes long when there is much of it.
async fn read_store(config: &Config) -> Result<(Arc<Store>, Arc<Reloader>), StartError> {
    let store = Arc::new(Store::open(config.store.url()).await?);
    let reloader = Arc::new(Reloader::start((*store).clone()).await?);
    Ok((store, reloader))
}

/// Takes the routing data over anew whenever a signal has asked for it.
async fn reload_when_asked(reloader: Arc<Reloader>, asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        reloader.reload_and_log("SIGHUP").await;
    }
}

/// Waits until all that the lanes wrote is on the disk; how many records did not get there.
async fn unsynced_records(journal_sync: &JournalSync) -> u64 {
    let deadline = tokio::time::Instant::now() + SYNC_PATIENCE;
    let mut unsynced = 0;
    for lane in journal_sync.lanes() {
        let (before, written) = (lane.synced_seq(), lane.written_seq());
        let synced = tokio::time::timeout_at(deadline, lane.wait_synced(written)).await;
        if !matches!(synced, Ok(Ok(()))) {
            // A failed sync moves the number on, though nothing is known of what it covered.
            unsynced += written.saturating_sub(before).max(1);
        }
    }
    unsynced
}

/// One process per data directory and per journal directory; they may be the same.
fn lock_directories(config: &Config) -> Result<Vec<DirectoryLock>, LockError> {
    let data = config.store.directory();
    let mut locks = vec![DirectoryLock::acquire(&data)?];
    let journal = &config.journal.directory;
    // Call records are personal data: a directory made here is for its owner alone.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(journal)
        .map_err(|error| LockError::Io {
            directory: journal.clone(),
            error,
        })?;
    let same = |left: &std::path::Path, right: &std::path::Path| {
        left.canonicalize()
            .ok()
            .zip(right.canonicalize().ok())
            .is_some_and(|(left, right)| left == right)
    };
    if !same(&data, journal) {
        locks.push(DirectoryLock::acquire(journal)?);
    }
    Ok(locks)
}

fn bind_admin(address: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |error| StartError::Admin { address, error };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

fn start_admin(
    handle: &tokio::runtime::Handle,
    listener: TcpListener,
    state: Arc<AdminState>,
    token: keys::AdminToken,
) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let _inside = handle.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    handle.spawn(async move {
        if let Err(error) = admin::serve(listener, state, token).await {
            tracing::error!(%error, "the admin interface has ended");
        }
    });
    Ok(address)
}

/// Says what the journal held; damage is never silent.
fn report(recovery: &Recovery) {
    for torn in &recovery.torn {
        tracing::warn!(file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes,
            "journal: a record was half written when the node went down, and was cut off");
    }
    for damage in &recovery.damaged {
        tracing::error!(file = %damage.file.display(), offset = damage.offset, bytes = damage.bytes,
            records_lost = damage.records_lost, error = damage.error, "journal: damaged bytes were set aside");
    }
    if recovery.records > 0 {
        tracing::info!(
            records = recovery.records,
            segments = recovery.segments,
            calls = recovery.calls.len(),
            "journal read: the calls that were up are taken up again"
        );
    }
}

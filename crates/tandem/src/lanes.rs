//! All lanes of a node: binds the sockets, opens the journals, starts one pinned thread each, and speaks to them.
//! No RFC. What one lane does is in `worker.rs`.
//! Leaves out configuration files, the shipper and the order in which a node starts (`node.rs`).

mod thread;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use accounting::AnsweredCall;
use arc_swap::ArcSwap;
use offload::{QueueConfig, QueueStats};
use proxy_core::steer::lane_of_call_id;
use proxy_core::{CallView, Stats};
use routing::{Snapshot, TrunkCounters};
use storage::{Journal, JournalOptions, JournalSync, Store};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config::Config;
use crate::jobs::{JobRunner, LaneJobs};
use crate::keys::CookieKeys;
use crate::lane_stats::{LaneCounters, LaneStat};
use crate::net::udp::{self, BindError, GroupConfig, UdpGroup};
use crate::resolve::{Families, NameResolver};
use crate::steer::{RingConfig, mesh};
use crate::tuning::Tuning;
use crate::worker::{Control, Published};

use thread::{Ready, Seat, Shared, spawn};

/// Questions that may wait for a lane.
const CONTROL_LEN: usize = 64;
/// How long a list of calls waits for a lane.
const CALLS_PATIENCE: Duration = Duration::from_secs(2);
/// How often routing data that was replaced is looked at, to see whether the last call has let go of it.
const RETIRED_POLL: Duration = Duration::from_secs(1);

/// Everything the lanes need from the node.
pub struct LanesInput {
    /// Workers, listeners, policy, journal directory and segment size, offload bounds.
    pub config: Arc<Config>,
    /// Keys of the Record-Route cookie.
    pub cookie_keys: CookieKeys,
    /// Generation of this start, from the journal.
    pub boot: u32,
    /// The routing data in use; a swap is seen by every lane at its next turn.
    pub routing: Arc<ArcSwap<Snapshot>>,
    /// Channels and calls per second of every trunk.
    pub counters: Arc<TrunkCounters>,
    /// Where lookups go.
    pub store: Arc<Store>,
    /// Syncs the lanes' journals.
    pub journal_sync: Arc<JournalSync>,
    /// Calls that the journal still holds open; each is given to the lane its Call-ID belongs to now.
    pub restored: Vec<AnsweredCall>,
    /// Where jobs run.
    pub pool: Handle,
}

/// Why the lanes did not start: one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LanesError {
    /// A listen address can't be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A lane's journal can't be created.
    #[error("journal {directory}: lane {lane}: {source}")]
    Journal {
        /// `journal.directory`
        directory: String,
        /// The lane.
        lane: u8,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or its runtime can't be started.
    #[error("worker {lane}: {source}")]
    Worker {
        /// The lane.
        lane: u8,
        /// What the system said.
        source: io::Error,
    },
}

/// What one lane is doing.
#[derive(Clone)]
pub struct LaneStatus {
    /// Its number, 0-based.
    pub lane: u8,
    /// The processor its thread is pinned to; `None` when pinning was not possible.
    pub cpu: Option<usize>,
    /// The kernel's id of its thread.
    pub thread_id: i32,
    /// Calls it owns.
    pub live_calls: u64,
    /// Transactions it has.
    pub live_transactions: u64,
    /// Its own numbers.
    pub counters: LaneCounters,
    /// The core's counters, at most some milliseconds old.
    pub stats: Stats,
}

/// Calls of all lanes.
#[derive(Debug, Default)]
pub struct CallList {
    /// The calls, lane by lane.
    pub calls: Vec<CallView>,
    /// Whether there are more: a lane has more than it was asked for, or did not answer in time.
    pub truncated: bool,
}

struct LaneHandle {
    lane: u8,
    cpu: Option<usize>,
    thread_id: i32,
    published: Arc<Published>,
    control: mpsc::Sender<Control>,
}

/// Lanes whose threads are there and read nothing yet. Dropped, they end without having run.
struct Prepared {
    /// Before `lanes`: a lane that never gets its word must end before its thread is joined.
    starting: Vec<Starting>,
    lanes: Lanes,
}

impl Prepared {
    fn go(self) -> Lanes {
        let Self {
            starting,
            mut lanes,
        } = self;
        for Starting { handle, go, .. } in starting {
            // A lane that is gone by now has taken the process with it.
            let _ = go.send(());
            lanes.lanes.push(handle);
        }
        lanes
    }
}

/// A lane on its way up.
struct Starting {
    handle: LaneHandle,
    ready: std::sync::mpsc::Receiver<io::Result<Ready>>,
    go: std::sync::mpsc::Sender<()>,
}

impl Starting {
    /// Waits until the lane has taken up its calls.
    fn wait_ready(&self) -> io::Result<Ready> {
        self.ready
            .recv()
            .map_err(|_| io::Error::other("the thread ended while it was starting"))?
    }
}

/// The running lanes.
pub struct Lanes {
    lanes: Vec<LaneHandle>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    addresses: Vec<SocketAddr>,
    counters: Arc<TrunkCounters>,
    routing: Arc<ArcSwap<Snapshot>>,
    jobs: LaneJobs,
}

/// The lanes a process should have: as many as asked for, or one per hardware thread it may use.
#[must_use]
pub fn lane_count(asked: u8) -> u8 {
    if asked > 0 {
        return asked.min(crate::config::WORKERS_MAX);
    }
    // The affinity mask ignores a cgroup's quota; available_parallelism knows it.
    let permitted = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = core_affinity::get_core_ids().map_or(permitted, |ids| ids.len());
    u8::try_from(permitted.min(cores))
        .unwrap_or(u8::MAX)
        .clamp(1, crate::config::WORKERS_MAX)
}

impl Lanes {
    /// Binds all listeners (before anything else), creates the journals and starts the threads; no lane reads a socket
    /// before every lane has taken up its calls, so that no channel limit is judged by half of them.
    /// Must not be called from a thread of the pool: lanes would inherit its low priority.
    ///
    /// # Errors
    /// [`LanesError`]; nothing keeps running then.
    pub fn start(input: LanesInput) -> Result<Self, LanesError> {
        Ok(Self::prepare(input)?.go())
    }

    /// All of [`Lanes::start`] up to the moment when the first datagram may be read.
    fn prepare(input: LanesInput) -> Result<Prepared, LanesError> {
        let lanes = lane_count(input.config.runtime.workers);
        let tuning = Tuning::for_lanes(usize::from(lanes));
        let groups = bind(&input.config, lanes, &tuning)?;
        let addresses: Vec<SocketAddr> = groups.iter().map(|group| group.address).collect();
        let journals = (0..lanes)
            .map(|lane| journal(&input, lane))
            .collect::<Result<Vec<_>, _>>()?;
        let clock = Clock::start();
        let jobs = start_jobs(&input, &addresses, clock);
        let shared = Shared::new(&input, lanes, tuning, clock, jobs.clone(), &addresses);
        let rings = mesh(
            usize::from(lanes),
            RingConfig {
                bytes: tuning.ring_bytes,
                parcels: tuning.ring_parcels,
                reserve_percent: tuning.ring_reserve_percent,
            },
        );
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let mut prepared = Prepared {
            starting: Vec::with_capacity(usize::from(lanes)),
            lanes: Self {
                lanes: Vec::with_capacity(usize::from(lanes)),
                threads: Mutex::default(),
                addresses,
                counters: Arc::clone(&input.counters),
                routing: Arc::clone(&input.routing),
                jobs,
            },
        };
        let mut restored = distribute(input.restored, lanes, shared.hash_seed);
        let mut sockets = sockets_by_lane(groups, lanes);
        for (lane, (journal, rings)) in (0..lanes).zip(journals.into_iter().zip(rings)) {
            let seat = Seat {
                lane,
                core: cores.get(usize::from(lane) % cores.len().max(1)).copied(),
                sockets: sockets.next().unwrap_or_default(),
                rings,
                journal,
                restored: restored.next().unwrap_or_default(),
            };
            // On an error `prepared` is dropped, and the lanes that wait already end without having run.
            let failed = |source| LanesError::Worker { lane, source };
            let (starting, thread) = spawn(seat, shared.clone()).map_err(failed)?;
            prepared
                .lanes
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(thread);
            prepared.starting.push(starting);
        }
        // All restore at the same time; each says when it has.
        for starting in &mut prepared.starting {
            let lane = starting.handle.lane;
            let (pinned, thread_id) = starting
                .wait_ready()
                .map_err(|source| LanesError::Worker { lane, source })?;
            starting.handle.cpu = starting.handle.cpu.filter(|_| pinned);
            starting.handle.thread_id = thread_id;
        }
        Ok(prepared)
    }

    /// The addresses bound, in the order of the configuration, with their real ports.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Channels and calls per second of every trunk.
    #[must_use]
    pub fn counters(&self) -> &TrunkCounters {
        &self.counters
    }

    /// What every lane published last; asks nobody to wait.
    #[must_use]
    pub fn status(&self) -> Vec<LaneStatus> {
        self.lanes
            .iter()
            .map(|lane| {
                let counters = lane.published.cells.read();
                LaneStatus {
                    lane: lane.lane,
                    cpu: lane.cpu,
                    thread_id: lane.thread_id,
                    live_calls: counters.value(LaneStat::LiveCalls),
                    live_transactions: counters.value(LaneStat::LiveTransactions),
                    counters,
                    stats: lane
                        .published
                        .stats
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .clone(),
                }
            })
            .collect()
    }

    /// At most `limit` calls of each lane. A lane that does not answer within two seconds is left out.
    pub async fn calls(&self, limit: usize) -> CallList {
        let mut list = CallList::default();
        let mut asked = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            let (reply, answer) = oneshot::channel();
            // One more than asked for tells whether there are more.
            match lane.control.try_send(Control::Calls(limit + 1, reply)) {
                Ok(()) => asked.push(answer),
                Err(_) => list.truncated = true,
            }
        }
        let deadline = tokio::time::Instant::now() + CALLS_PATIENCE;
        for answer in asked {
            let Ok(Ok(mut found)) = tokio::time::timeout_at(deadline, answer).await else {
                list.truncated = true;
                continue;
            };
            list.truncated |= found.len() > limit;
            found.truncate(limit);
            list.calls.append(&mut found);
        }
        list
    }

    /// Makes every lane refuse whatever would begin something.
    pub fn drain(&self) {
        self.tell(|| Control::Drain(true));
    }

    /// Makes every lane refuse the requests that are still being set up, and cancel their branches.
    pub fn end_setup(&self) {
        self.tell(|| Control::EndSetup);
    }

    /// Makes every lane route by `snapshot` from its next turn on.
    pub fn set_snapshot(&self, snapshot: Arc<Snapshot>) {
        self.routing.store(snapshot);
    }

    /// Transactions of all lanes, as published last.
    #[must_use]
    pub fn live_transactions(&self) -> usize {
        self.sum(LaneStat::LiveTransactions)
    }

    /// Requests of all lanes that have had no final response; known while draining only.
    #[must_use]
    pub fn unfinished_requests(&self) -> usize {
        self.sum(LaneStat::UnfinishedRequests)
    }

    /// Records of all lanes that could not be written to the journal, as published last.
    #[must_use]
    pub fn records_waiting(&self) -> usize {
        self.sum(LaneStat::RecordsWaiting)
    }

    /// Calls of all lanes, as published last.
    #[must_use]
    pub fn live_calls(&self) -> usize {
        self.sum(LaneStat::LiveCalls)
    }

    /// What the offload queue has done.
    #[must_use]
    pub fn job_stats(&self) -> QueueStats {
        self.jobs.stats()
    }

    /// Ends all lanes: each writes its journal out, and its thread is joined. Calling it again does nothing.
    pub fn stop(&self) {
        self.tell(|| Control::Stop);
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker has panicked while it was stopping");
            }
        }
    }

    fn tell(&self, what: impl Fn() -> Control) {
        for lane in &self.lanes {
            let mut message = what();
            // The queue is short and read at every turn; a lane that is gone needs no telling.
            while let Err(mpsc::error::TrySendError::Full(back)) = lane.control.try_send(message) {
                message = back;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn sum(&self, stat: LaneStat) -> usize {
        let sum: u64 = self
            .lanes
            .iter()
            .map(|lane| lane.published.cells.value(stat))
            .sum();
        usize::try_from(sum).unwrap_or(usize::MAX)
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Binds every listener and says when the kernel gave less buffer than it was asked for.
fn bind(config: &Config, lanes: u8, tuning: &Tuning) -> Result<Vec<UdpGroup>, BindError> {
    let mut groups = Vec::with_capacity(config.listen.len());
    for listen in &config.listen {
        let group = udp::bind_group(GroupConfig {
            address: listen.address,
            sockets: usize::from(lanes),
            receive_buffer_bytes: tuning.receive_buffer_bytes,
            send_buffer_bytes: tuning.send_buffer_bytes,
        })?;
        if let Some(given) = group.receive_buffer_short {
            tracing::warn!(
                listen = %group.address,
                asked_bytes = tuning.receive_buffer_bytes,
                given_bytes = given,
                "the receive buffer is smaller than asked for, bursts may be dropped: raise it with \
                 `sysctl -w net.core.rmem_max={}`",
                tuning.receive_buffer_bytes
            );
        }
        groups.push(group);
    }
    Ok(groups)
}

fn journal(input: &LanesInput, lane: u8) -> Result<Journal, LanesError> {
    let directory = &input.config.journal.directory;
    let mut options = JournalOptions::new(
        directory.clone(),
        input.config.runtime.node.clone(),
        input.boot,
        lane,
    );
    options.segment_bytes = input.config.journal.segment_bytes;
    let failed = |source| LanesError::Journal {
        directory: directory.display().to_string(),
        lane,
        source,
    };
    let journal = Journal::create(options).map_err(failed)?;
    input.journal_sync.add(journal.progress());
    Ok(journal)
}

fn start_jobs(input: &LanesInput, addresses: &[SocketAddr], clock: Clock) -> LaneJobs {
    let families = Families {
        v4: addresses.iter().any(SocketAddr::is_ipv4),
        v6: addresses.iter().any(SocketAddr::is_ipv6),
    };
    let _inside = input.pool.enter();
    let runner = JobRunner::new(
        Arc::clone(&input.store),
        NameResolver::system(families, input.config.proxy.hosts_file.clone()),
        clock,
    );
    let bounds = QueueConfig {
        queue_len_max: input.config.offload.queue_len_max,
        concurrency_max: input.config.offload.concurrency_max,
    };
    runner.start(&input.pool, bounds)
}

/// Frees routing data on the pool, once no lane and no call uses it any more.
async fn free_retired(mut retired: mpsc::UnboundedReceiver<Arc<Snapshot>>) {
    let mut kept: Vec<Arc<Snapshot>> = Vec::new();
    loop {
        tokio::select! {
            snapshot = retired.recv() => match snapshot {
                // Every lane sends its own; one is enough.
                Some(snapshot) if kept.iter().any(|known| Arc::ptr_eq(known, &snapshot)) => {}
                Some(snapshot) => kept.push(snapshot),
                None => return,
            },
            () = tokio::time::sleep(RETIRED_POLL), if !kept.is_empty() => {
                kept.retain(|snapshot| Arc::strong_count(snapshot) > 1);
            }
        }
    }
}

/// The calls of each lane.
fn distribute(
    calls: Vec<AnsweredCall>,
    lanes: u8,
    hash_seed: u64,
) -> impl Iterator<Item = Vec<AnsweredCall>> {
    let mut by_lane: Vec<Vec<AnsweredCall>> = (0..lanes).map(|_| Vec::new()).collect();
    for call in calls {
        // A cookie of an earlier start names no lane of this one, so the Call-ID decides for every later message too.
        let lane = lane_of_call_id(call.cdr.call_id.as_bytes(), lanes, hash_seed);
        if let Some(owned) = by_lane.get_mut(usize::from(lane)) {
            owned.push(call);
        }
    }
    by_lane.into_iter()
}

/// One socket of every group for each lane.
fn sockets_by_lane(
    groups: Vec<UdpGroup>,
    lanes: u8,
) -> impl Iterator<Item = Vec<(UdpSocket, SocketAddr)>> {
    let mut by_lane: Vec<Vec<(UdpSocket, SocketAddr)>> = (0..lanes).map(|_| Vec::new()).collect();
    for UdpGroup {
        address, sockets, ..
    } in groups
    {
        for (owned, socket) in by_lane.iter_mut().zip(sockets) {
            owned.push((socket, address));
        }
    }
    by_lane.into_iter()
}

#[cfg(test)]
mod tests;

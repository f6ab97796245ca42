//! A lane: one pinned thread that owns its sockets, its calls, its timers and its journal.
//! One turn: receive → steer → handle → expire timers → write the journal → send. RFC 3261 §18 for the sockets.
//! Leaves out every decision about a message (`proxy_core`) and starting and stopping (`lanes.rs`).

mod arrivals;
mod publish;
mod settle;

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use proxy_core::{CallView, Job, JobResult, Now, Output, ProxyCore, Stats};
use routing::Snapshot;
use storage::{Journal, LaneProgress};
use tokio::io::{Interest, Ready};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::jobs::LaneJobs;
use crate::lane_stats::{LaneCells, LaneCounters, LaneStat};
use crate::net::sys::{ReceiveBatch, SendBatch};
use crate::net::udp::UdpPort;
use crate::steer::{Doorbell, LaneRings, RingReceiver, RingSender};
use crate::tuning::Tuning;

/// How often a turn may go round because what it sent failed at once, or because the offload queue was full.
const ROUNDS_MAX: usize = 16;
/// How long datagrams that found the send buffer full wait before they are tried again.
const UNSENT_RETRY: Duration = Duration::from_millis(1);
/// The window of [`LaneStat::KernelWaitMaxUs`], µs.
const WAIT_WINDOW_US: u64 = 1_000_000;
/// How long a lane whose journal can't be written waits before it tries again by itself, µs.
const JOURNAL_RETRY_US: u64 = 100_000;
/// How long a lane that is told to stop goes on trying to write its last records.
const FINISH_PATIENCE: Duration = Duration::from_secs(3);

/// What other threads ask of a lane.
pub enum Control {
    /// Refuse whatever would begin something, or take it again.
    Drain(bool),
    /// Refuse what is still being set up: the drain has lasted as long as it may.
    EndSetup,
    /// List at most so many calls.
    Calls(usize, oneshot::Sender<Vec<CallView>>),
    /// Write everything out and end.
    Stop,
}

/// What a lane publishes for other threads.
#[derive(Default)]
pub struct Published {
    /// The lane's own numbers, every turn.
    pub cells: LaneCells,
    /// The core's counters, every few milliseconds. The lane never waits for this lock: it tries again later.
    pub stats: Mutex<Stats>,
}

/// Everything a lane is made of; built by `lanes.rs`, on the lane's own thread.
pub struct Parts {
    /// Its number, 0-based.
    pub lane: u8,
    /// The number of lanes.
    pub lanes: u8,
    /// Generation of this start.
    pub boot: u32,
    /// Places Call-IDs on lanes.
    pub hash_seed: u64,
    /// Sizes.
    pub tuning: Tuning,
    /// The clocks.
    pub clock: Clock,
    /// The core, with its restored calls.
    pub core: ProxyCore,
    /// One socket per listener, with the address its group is bound to.
    pub sockets: Vec<(UdpSocket, SocketAddr)>,
    /// The rings to and from the other lanes.
    pub rings: LaneRings,
    /// The journal.
    pub journal: Journal,
    /// The offload queue.
    pub jobs: LaneJobs,
    /// The routing data in use, as it is swapped.
    pub routing: Arc<ArcSwap<Snapshot>>,
    /// What the core was made with.
    pub snapshot: Arc<Snapshot>,
    /// Where routing data that is no longer used goes to be dropped.
    pub retired: mpsc::UnboundedSender<Arc<Snapshot>>,
    /// Where the numbers go.
    pub published: Arc<Published>,
    /// Questions of other threads.
    pub control: mpsc::Receiver<Control>,
}

/// Runs a lane until it is told to stop. Call within its runtime.
///
/// # Errors
/// When a socket can't be registered, or when a part of the lane has ended by itself, which is a defect.
pub async fn run(parts: Parts) -> io::Result<()> {
    let Parts {
        mut control,
        sockets,
        ..
    } = parts;
    let tuning = parts.tuning;
    let mut ports = Vec::with_capacity(sockets.len());
    for (index, (socket, address)) in sockets.into_iter().enumerate() {
        let listener = u16::try_from(index).map_err(|_| io::Error::other("too many listeners"))?;
        ports.push(Rc::new(UdpPort::new(
            socket,
            listener,
            address,
            tuning.unsent_len_max,
        )?));
    }
    let (results_sender, results) = mpsc::unbounded_channel();
    let progress = parts.journal.progress();
    let worker = Rc::new(RefCell::new(Worker {
        lane: parts.lane,
        lanes: parts.lanes,
        boot: parts.boot,
        hash_seed: parts.hash_seed,
        tuning,
        clock: parts.clock,
        core: parts.core,
        out: Output::new(),
        jobs_scratch: Vec::new(),
        ports: ports.clone(),
        receive: ReceiveBatch::new(tuning.receive_batch),
        send: SendBatch::new(tuning.send_batch),
        to: parts.rings.to,
        from: parts.rings.from,
        bells: Arc::clone(&parts.rings.bells),
        to_ring: Vec::with_capacity(usize::from(parts.lanes)),
        unreachable: Vec::new(),
        journal: parts.journal,
        progress,
        journal_retry_us: None,
        jobs: parts.jobs,
        results: results_sender,
        routing: parts.routing,
        snapshot: parts.snapshot,
        retired: parts.retired,
        draining: false,
        refusing: false,
        armed_us: u64::MAX,
        timer_bell: Rc::new(Notify::new()),
        counters: LaneCounters::default(),
        published: parts.published,
        stats_published_us: 0,
        stats_pending: true,
        wait_window_us: 0,
    }));
    // The restored calls may have timers that are due, and records to write.
    worker.borrow_mut().other_turn(|_, _| {});

    let mut tasks = JoinSet::new();
    for port in ports {
        tasks.spawn_local(socket_task(Rc::clone(&worker), Rc::clone(&port)));
        tasks.spawn_local(unsent_task(Rc::clone(&worker), port));
    }
    if parts.lanes > 1 {
        tasks.spawn_local(ring_task(
            Rc::clone(&worker),
            Arc::clone(&parts.rings.bells),
        ));
    }
    tasks.spawn_local(timer_task(Rc::clone(&worker)));
    tasks.spawn_local(result_task(
        Rc::clone(&worker),
        results,
        tuning.result_batch,
    ));
    loop {
        tokio::select! {
            asked = control.recv() => match asked {
                Some(Control::Drain(draining)) => worker.borrow_mut().drain(draining),
                Some(Control::EndSetup) => worker
                    .borrow_mut()
                    .other_turn(|worker, now| worker.core.end_setup(now, &mut worker.out)),
                Some(Control::Calls(limit, reply)) => {
                    // Whoever asked may have gone; nothing is lost then.
                    let _ = reply.send(worker.borrow().calls(limit));
                }
                Some(Control::Stop) | None => break,
            },
            Some(ended) = tasks.join_next() => {
                return Err(io::Error::other(match ended {
                    Err(error) if error.is_panic() => "a task has panicked".to_owned(),
                    Err(error) => error.to_string(),
                    Ok(why) => why,
                }));
            }
        }
    }
    tasks.abort_all();
    finish(&worker).await;
    Ok(())
}

type Shared = Rc<RefCell<Worker>>;

/// Reads one socket; returns only when that is no longer possible, and says why.
async fn socket_task(worker: Shared, port: Rc<UdpPort>) -> String {
    loop {
        let mut guard = match port
            .readiness()
            .ready(Interest::READABLE | Interest::ERROR)
            .await
        {
            Ok(guard) => guard,
            Err(error) => return format!("socket readiness: {error}"),
        };
        let ready = guard.ready();
        let mut more = false;
        if ready.is_error() {
            match worker.borrow_mut().error_turn(&port) {
                Drained::Empty => guard.clear_ready_matching(Ready::ERROR),
                Drained::More => more = true,
            }
        }
        if ready.is_readable() {
            match worker.borrow_mut().socket_turn(&port) {
                Drained::Empty => guard.clear_ready_matching(Ready::READABLE),
                Drained::More => more = true,
            }
        }
        drop(guard);
        if more {
            // Timers, rings and other sockets get their turn.
            tokio::task::yield_now().await;
        }
    }
}

/// Sends what found the send buffer full.
async fn unsent_task(worker: Shared, port: Rc<UdpPort>) -> String {
    loop {
        port.unsent().await;
        tokio::time::sleep(UNSENT_RETRY).await;
        worker.borrow_mut().unsent_turn(&port);
    }
}

/// Writes the last records out, and goes on trying for a while when the disk refuses them.
async fn finish(worker: &Shared) {
    let give_up = Instant::now() + FINISH_PATIENCE;
    worker.borrow_mut().finish();
    while worker.borrow().journal_retry_us.is_some() && Instant::now() < give_up {
        tokio::time::sleep(Duration::from_micros(JOURNAL_RETRY_US)).await;
        worker.borrow_mut().other_turn(|_, _| {});
    }
}

/// Takes what other lanes pass on.
async fn ring_task(worker: Shared, bells: Arc<[Doorbell]>) -> String {
    let lane = usize::from(worker.borrow().lane);
    let Some(bell) = bells.get(lane) else {
        return "no bell".to_owned();
    };
    loop {
        bell.wait(|| worker.borrow().has_parcels()).await;
        while let Drained::More = { worker.borrow_mut().ring_turn() } {
            tokio::task::yield_now().await;
        }
    }
}

/// Wakes the lane for timers when no traffic does.
async fn timer_task(worker: Shared) -> String {
    let bell = Rc::clone(&worker.borrow().timer_bell);
    loop {
        let (wake_us, clock) = {
            let mut worker = worker.borrow_mut();
            (worker.arm(), worker.clock)
        };
        if wake_us == u64::MAX {
            bell.notified().await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep_until(clock.instant_at(wake_us).into()) => {
                worker.borrow_mut().other_turn(|_, _| {});
            }
            () = bell.notified() => {}
        }
    }
}

/// Gives the answers of jobs to the core.
async fn result_task(
    worker: Shared,
    mut results: mpsc::UnboundedReceiver<JobResult>,
    batch: usize,
) -> String {
    let mut taken = Vec::with_capacity(batch);
    loop {
        if results.recv_many(&mut taken, batch).await == 0 {
            return "no results any more".to_owned();
        }
        worker.borrow_mut().other_turn(|worker, now| {
            for result in taken.drain(..) {
                worker.core.handle_job_result(now, result, &mut worker.out);
            }
        });
        tokio::task::yield_now().await;
    }
}

/// Whether a source was read to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drained {
    Empty,
    More,
}

struct Worker {
    lane: u8,
    lanes: u8,
    boot: u32,
    hash_seed: u64,
    tuning: Tuning,
    clock: Clock,
    core: ProxyCore,
    out: Output,
    jobs_scratch: Vec<Job>,
    ports: Vec<Rc<UdpPort>>,
    receive: ReceiveBatch,
    send: SendBatch,
    to: Vec<Option<RingSender>>,
    from: Vec<Option<RingReceiver>>,
    bells: Arc<[Doorbell]>,
    /// Lanes that were passed something in this turn.
    to_ring: Vec<usize>,
    /// Remotes that were found unreachable in this turn.
    unreachable: Vec<SocketAddr>,
    journal: Journal,
    progress: Arc<LaneProgress>,
    /// The last write failed, and is tried again at this monotonic time, µs.
    journal_retry_us: Option<u64>,
    jobs: LaneJobs,
    results: mpsc::UnboundedSender<JobResult>,
    routing: Arc<ArcSwap<Snapshot>>,
    snapshot: Arc<Snapshot>,
    retired: mpsc::UnboundedSender<Arc<Snapshot>>,
    /// An operator has asked for a drain.
    draining: bool,
    /// What the core was told last: a drain, or a journal that can't be written.
    refusing: bool,
    /// When the timer task will wake, monotonic µs.
    armed_us: u64,
    timer_bell: Rc<Notify>,
    counters: LaneCounters,
    published: Arc<Published>,
    stats_published_us: u64,
    stats_pending: bool,
    wait_window_us: u64,
}

impl Worker {
    /// A turn for anything but datagrams: timers, results, requests of other threads.
    fn other_turn(&mut self, act: impl FnOnce(&mut Self, Now)) {
        let now = self.begin();
        act(self, now);
        self.end(now);
    }

    fn drain(&mut self, draining: bool) {
        self.draining = draining;
        self.other_turn(|_, _| {});
    }

    fn calls(&self, limit: usize) -> Vec<CallView> {
        self.core.calls(self.clock.now(), limit)
    }

    fn finish(&mut self) {
        self.other_turn(|worker, now| {
            worker.core.end_branches(now, &mut worker.out);
            worker.core.flush_refused(&mut worker.out);
        });
        self.publish_stats(u64::MAX);
    }

    /// Starts a turn: the time, the routing data, whether new calls are taken.
    fn begin(&mut self) -> Now {
        let current = self.routing.load();
        if !Arc::ptr_eq(&current, &self.snapshot) {
            let old = std::mem::replace(&mut self.snapshot, Arc::clone(&current));
            // Freeing millions of routes takes time that is not a lane's. Without the pool it is freed here.
            let _ = self.retired.send(old);
            self.core.set_snapshot(Arc::clone(&self.snapshot));
        }
        // A call that can't be recorded is not taken.
        let refusing = self.draining || self.progress.is_failing();
        if refusing != self.refusing {
            self.refusing = refusing;
            self.core.set_draining(refusing);
        }
        self.clock.now()
    }

    /// Ends a turn: timers, records, jobs, datagrams, numbers; in this order, because a record must be out of our
    /// memory before the message that tells it leaves.
    fn end(&mut self, now: Now) {
        for lane in self.to_ring.drain(..) {
            if self.bells.get(lane).is_some_and(Doorbell::ring) {
                self.counters.add(LaneStat::LanesWoken, 1);
            }
        }
        if self
            .core
            .next_deadline_us()
            .is_some_and(|due| due <= now.mono_us)
        {
            self.core.handle_timeouts(now, &mut self.out);
        }
        for _ in 0..ROUNDS_MAX {
            for remote in self.unreachable.drain(..) {
                self.core.handle_unreachable(now, remote, &mut self.out);
            }
            self.settle(now);
            self.flush();
            if self.unreachable.is_empty() {
                break;
            }
        }
        // A remote still left here is found again by the timers of its transactions.
        self.unreachable.clear();
        self.publish(now);
        let wake_us = self.wake_us();
        if wake_us < self.armed_us {
            self.armed_us = wake_us;
            self.timer_bell.notify_one();
        }
    }

    /// Tells the timer task when it has to wake, monotonic µs; `u64::MAX`: not before it is told.
    fn arm(&mut self) -> u64 {
        self.armed_us = self.wake_us();
        self.armed_us
    }

    fn wake_us(&self) -> u64 {
        let publish_us = if self.stats_pending {
            self.stats_published_us
                .saturating_add(self.tuning.publish_us)
        } else {
            u64::MAX
        };
        self.core
            .next_deadline_us()
            .unwrap_or(u64::MAX)
            .min(publish_us)
            .min(self.journal_retry_us.unwrap_or(u64::MAX))
    }
}

//! The thread of a lane: pinned, with a runtime of its own, from its first word to its last.
//! No RFC. A lane that fails ends the process; its calls are in the journal.
//! Leaves out binding and everything that is done once for all lanes (`lanes.rs`).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;

use accounting::AnsweredCall;
use arc_swap::ArcSwap;
use core_affinity::CoreId;
use proxy_core::{CoreConfig, ListenerInfo, ProxyCore};
use routing::Snapshot;
use storage::Journal;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use transaction_layer::TimerConfig;

use super::{CONTROL_LEN, LaneHandle, LanesInput, Starting, free_retired};
use crate::clock::Clock;
use crate::jobs::LaneJobs;
use crate::net::sys;
use crate::output;
use crate::steer::LaneRings;
use crate::tuning::Tuning;
use crate::worker::{self, Control, Parts, Published};

/// What all lanes have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) lanes: u8,
    pub(super) boot: u32,
    pub(super) hash_seed: u64,
    pub(super) tuning: Tuning,
    pub(super) clock: Clock,
    pub(super) config: CoreConfig,
    pub(super) jobs: LaneJobs,
    pub(super) routing: Arc<ArcSwap<Snapshot>>,
    pub(super) retired: mpsc::UnboundedSender<Arc<Snapshot>>,
}

impl Shared {
    pub(super) fn new(
        input: &LanesInput,
        lanes: u8,
        tuning: Tuning,
        clock: Clock,
        jobs: LaneJobs,
        addresses: &[SocketAddr],
    ) -> Self {
        let (retired, receiver) = mpsc::unbounded_channel();
        input.pool.spawn(free_retired(receiver));
        let hash_seed = random();
        let listeners = input
            .config
            .listen
            .iter()
            .zip(addresses)
            .map(|(listen, address)| ListenerInfo {
                transport: listen.transport,
                address: *address,
                // With port 0 the configuration can't know what to tell peers.
                advertise: if listen.address.port() == 0
                    && listen.advertise == listen.address.to_string()
                {
                    address.to_string()
                } else {
                    listen.advertise.clone()
                },
            });
        let config = CoreConfig {
            lane: 0,
            lanes,
            boot: input.boot,
            node: input.config.runtime.node.clone(),
            hash_seed,
            listeners: listeners.collect(),
            cookie_key: input.cookie_keys.current,
            cookie_key_previous: input.cookie_keys.previous,
            timers: TimerConfig::default(),
            policy: input.config.policy.clone(),
            seed: 0,
            counters: Arc::clone(&input.counters),
        };
        let routing = Arc::clone(&input.routing);
        Self {
            lanes,
            boot: input.boot,
            hash_seed,
            tuning,
            clock,
            config,
            jobs,
            routing,
            retired,
        }
    }
}

/// What is one lane's own.
pub(super) struct Seat {
    pub(super) lane: u8,
    pub(super) core: Option<CoreId>,
    pub(super) sockets: Vec<(UdpSocket, SocketAddr)>,
    pub(super) rings: LaneRings,
    pub(super) journal: Journal,
    pub(super) restored: Vec<AnsweredCall>,
}

/// What a lane says when it has taken up its calls: whether it is pinned, and its thread's id.
pub(super) type Ready = (bool, i32);

pub(super) fn spawn(seat: Seat, shared: Shared) -> io::Result<(Starting, JoinHandle<()>)> {
    let lane = seat.lane;
    let cpu = seat.core.map(|core| core.id);
    let published = Arc::new(Published::default());
    let (control, questions) = mpsc::channel(CONTROL_LEN);
    let (ready, is_ready) = std::sync::mpsc::channel::<io::Result<Ready>>();
    let (go, may_go) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(format!("tandem-lane-{lane}"))
        .spawn({
            let published = Arc::clone(&published);
            move || run(seat, shared, published, questions, &ready, &may_go)
        })?;
    let starting = Starting {
        handle: LaneHandle {
            lane,
            cpu,
            thread_id: 0,
            published,
            control,
        },
        ready: is_ready,
        go,
    };
    Ok((starting, thread))
}

/// The body of a lane's thread.
fn run(
    seat: Seat,
    shared: Shared,
    published: Arc<Published>,
    control: mpsc::Receiver<Control>,
    ready: &std::sync::mpsc::Sender<io::Result<Ready>>,
    may_go: &std::sync::mpsc::Receiver<()>,
) {
    let lane = seat.lane;
    let ended = guarded(|| live(seat, shared, published, control, ready, may_go));
    if let Err(error) = ended {
        // A lane that is gone would leave its calls unanswered and its ring filling up. The journal has what peers
        // were told, so the process ends and its supervisor starts it anew. The log would end with us: not through it.
        output::fault(format!(
            "worker {lane} has failed, the process ends: {error}"
        ));
        std::process::abort();
    }
}

/// Runs a lane; a panic anywhere in it is a failure like any other.
pub(super) fn guarded(lane: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    // Nothing of the lane is looked at after a panic.
    std::panic::catch_unwind(AssertUnwindSafe(lane)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(io::Error::other(format!(
            "panicked: {}",
            said.unwrap_or("without a word")
        )))
    })
}

fn live(
    seat: Seat,
    shared: Shared,
    published: Arc<Published>,
    control: mpsc::Receiver<Control>,
    ready: &std::sync::mpsc::Sender<io::Result<Ready>>,
    may_go: &std::sync::mpsc::Receiver<()>,
) -> io::Result<()> {
    let lane = seat.lane;
    let pinned = seat.core.is_some_and(core_affinity::set_for_current);
    if !pinned {
        tracing::warn!(lane, "the worker could not be pinned to a processor");
    }
    let runtime = match Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
    {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever started this thread waits for the word.
            let _ = ready.send(Err(error));
            return Ok(());
        }
    };
    let parts = assemble(seat, shared, published, control);
    let _ = ready.send(Ok((pinned, sys::thread_id())));
    if may_go.recv().is_err() {
        // Another lane could not start: nobody runs.
        return Ok(());
    }
    runtime.block_on(worker::run(parts))
}

fn assemble(
    seat: Seat,
    shared: Shared,
    published: Arc<Published>,
    control: mpsc::Receiver<Control>,
) -> Parts {
    let mut config = shared.config;
    config.lane = seat.lane;
    config.seed = random();
    let snapshot = shared.routing.load_full();
    let mut core = ProxyCore::new(config, Arc::clone(&snapshot));
    let now = shared.clock.now();
    for call in &seat.restored {
        core.restore_call(now, call);
    }
    Parts {
        lane: seat.lane,
        lanes: shared.lanes,
        boot: shared.boot,
        hash_seed: shared.hash_seed,
        tuning: shared.tuning,
        clock: shared.clock,
        core,
        sockets: seat.sockets,
        rings: seat.rings,
        journal: seat.journal,
        jobs: shared.jobs,
        routing: shared.routing,
        snapshot,
        retired: shared.retired,
        published,
        control,
    }
}

/// An unpredictable number: peers choose Call-IDs, and must not be able to choose lanes or guess tags.
fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| fastrand::u64(..))
}

//! The whole run: lanes of the core, customers' hosts, vendors' gateways, the network between them, one virtual clock.
//! A step takes the next event, lets its owner act and hands on what comes of it; checks run after every step.
//! Leaves out sockets and threads: a lane is a value, and so is a ring between two of them.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use accounting::Record;
use proxy_core::{CoreConfig, JobResult, ListenerInfo, Now, Output, ProxyCore, Stat};
use routing::{SlotRegistry, Snapshot, TrunkCounters, TrunkId};
use transaction_layer::{TimerConfig, Transport};

use crate::clock::{EventQueue, SECOND, wall_us};
use crate::network::{Datagram, Network};
use crate::peer_caller::CallerHost;
use crate::peer_vendor::VendorHost;
use crate::routing_data::{self, VendorSpec, customer_trunk, round_trunks, vendor_trunk};
use crate::tap::Tap;

mod channels;
mod config;
mod delivery;
mod handoff;
mod output;
mod restart;
mod trace;
mod views;

use channels::ChannelWatch;
pub use config::{Handoff, VendorPlan, WorldConfig};
pub(crate) use delivery::OUTCOMES;
use handoff::Rings;

/// Where the proxy listens.
pub const PROXY: &str = "192.0.2.1:5060";
/// Events at one moment before a run counts as stuck.
const STUCK_EVENTS_MAX: u32 = 20_000;

/// A record with its moment.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When it was handed over, µs.
    pub at_us: u64,
    /// The record.
    pub record: Record,
}

/// Something that comes by itself at its moment.
#[derive(Debug)]
enum Pending {
    Job {
        boot: u32,
        lane: usize,
        result: JobResult,
    },
    Unreachable(SocketAddr),
}

/// The run.
pub struct World {
    /// Virtual time, µs.
    pub now_us: u64,
    /// Customers' hosts.
    pub callers: Vec<CallerHost>,
    /// Vendors' gateways, one for each vendor, in the order of the plans.
    pub vendors: Vec<VendorHost>,
    /// Everything recorded.
    pub records: Vec<Recorded>,
    /// The watcher at the proxy's boundary.
    pub tap: Tap,
    /// The network.
    pub network: Network,
    /// Faults found by the run itself.
    pub faults: Vec<String>,
    /// Channels and calls per second of the current boot.
    pub counters: Arc<TrunkCounters>,
    /// Datagrams given to lanes, over all boots.
    pub given: u64,
    /// Datagrams sent to addresses that nobody has.
    pub to_nowhere: Vec<Datagram>,
    /// Added to the wall clock, µs: an operator sets the time.
    pub wall_step_us: i64,
    /// Whose replies are kept.
    pub keep_replies: Option<SocketAddr>,
    /// What that host heard, as text.
    pub replies: Vec<String>,
    cores: Vec<ProxyCore>,
    output: Output,
    pending: EventQueue<Pending>,
    rings: Rings,
    traffic: VecDeque<(u64, Datagram)>,
    rng: fastrand::Rng,
    config: WorldConfig,
    proxy: SocketAddr,
    snapshot: Arc<Snapshot>,
    slots: SlotRegistry,
    limits: Vec<(TrunkId, Option<u32>)>,
    channel_watch: ChannelWatch,
    boot: u32,
    boot_us: u64,
    stuck: (u64, u32),
    down: bool,
    past: HashMap<&'static str, u64>,
}

impl World {
    /// A world with `caller_hosts` hosts of the customer and a gateway for every vendor.
    ///
    /// # Panics
    /// When the routing data of the run itself is wrong.
    #[expect(clippy::expect_used, reason = "constants of the simulation, not input")]
    pub fn new(config: WorldConfig, caller_hosts: u8, plans: Vec<VendorPlan>) -> Self {
        let proxy: SocketAddr = PROXY.parse().expect("the proxy's address");
        let callers = (0..caller_hosts).map(|place| {
            let address = SocketAddr::from(([198, 51, 100, 10 + place], 5060));
            CallerHost::new(&format!("c{place}"), address, proxy)
        });
        let vendor_address = |place: usize| {
            SocketAddr::from(([203, 0, 113, 10 + u8::try_from(place).unwrap_or(0)], 5060))
        };
        let specs: Vec<VendorSpec> = plans
            .iter()
            .enumerate()
            .map(|(place, plan)| VendorSpec {
                name: format!("v{place}"),
                rate: plan.rate.clone(),
                channel_limit: plan.channel_limit,
                redirect: plan.redirect,
                stops_at_6xx: plan.stops_at_6xx,
                gateways: vec![
                    plan.gateway
                        .clone()
                        .unwrap_or_else(|| vendor_address(place).to_string()),
                ],
            })
            .collect();
        let mut slots = SlotRegistry::new();
        let snapshot =
            routing_data::snapshot(&config.customer, config.parallel, &specs, &mut slots)
                .expect("the run's routing data");
        let limits = std::iter::once((customer_trunk(), config.customer.channel_limit));
        let limits = limits.chain(
            specs
                .iter()
                .enumerate()
                .map(|(at, spec)| (vendor_trunk(at), spec.channel_limit)),
        );
        let round = config.customer.round.map(|_| round_trunks());
        let limits = limits.chain(round.into_iter().flatten().map(|trunk| (trunk, None)));
        let vendors = plans.into_iter().enumerate().map(|(place, plan)| {
            VendorHost::new(
                &format!("v{place}"),
                vendor_address(place),
                proxy,
                plan.scripts,
            )
        });
        let mut world = Self {
            now_us: 0,
            callers: callers.collect(),
            vendors: vendors.collect(),
            records: Vec::new(),
            tap: Tap::default(),
            network: match config.transport {
                Transport::Udp => Network::new(config.seed ^ 0x6e65_7477, config.link),
                _ => Network::of_streams(config.seed ^ 0x6e65_7477, config.link),
            },
            faults: Vec::new(),
            counters: Arc::new(TrunkCounters::new()),
            given: 0,
            to_nowhere: Vec::new(),
            wall_step_us: 0,
            keep_replies: None,
            replies: Vec::new(),
            cores: Vec::new(),
            output: Output::new(),
            pending: EventQueue::default(),
            traffic: VecDeque::new(),
            rings: Rings::new(config.seed ^ 0x7269_6e67),
            rng: fastrand::Rng::with_seed(config.seed ^ 0x6a6f_6273),
            limits: limits.collect(),
            channel_watch: ChannelWatch::default(),
            config,
            proxy,
            snapshot: Arc::new(snapshot),
            slots,
            boot: 1,
            boot_us: 0,
            stuck: (0, 0),
            down: false,
            past: HashMap::new(),
        };
        if world.config.transport.is_reliable() {
            let callers = world.callers.iter_mut().map(|host| &mut host.agent);
            let vendors = world.vendors.iter_mut().map(|host| &mut host.agent);
            callers
                .chain(vendors)
                .for_each(|agent| agent.reliable = true);
        }
        world.boot();
        world
    }

    /// Starts the lanes of the current boot.
    fn boot(&mut self) {
        self.counters = Arc::new(TrunkCounters::new());
        let listener = ListenerInfo {
            transport: self.config.transport,
            address: self.proxy,
            advertise: self.proxy.to_string(),
        };
        self.cores = (0..self.config.lanes)
            .map(|lane| {
                let config = CoreConfig {
                    lane,
                    lanes: self.config.lanes,
                    boot: self.boot,
                    node: "sim".to_owned(),
                    hash_seed: self.hash_seed(),
                    listeners: vec![listener.clone()],
                    cookie_key: [7; 16],
                    cookie_key_previous: None,
                    timers: TimerConfig::default(),
                    policy: self.config.policy.clone(),
                    seed: self
                        .config
                        .seed
                        .wrapping_mul(31)
                        .wrapping_add(u64::from(self.boot) << 8 | u64::from(lane)),
                    counters: Arc::clone(&self.counters),
                };
                ProxyCore::new(config, Arc::clone(&self.snapshot))
            })
            .collect();
    }

    fn hash_seed(&self) -> u64 {
        self.config.seed ^ u64::from(self.boot)
    }

    fn now(&self) -> Now {
        Now {
            mono_us: self.now_us - self.boot_us,
            wall_us: wall_us(self.now_us) + self.wall_step_us,
        }
    }

    /// New routing data while calls are up: vendors without a rate are taken out.
    ///
    /// # Panics
    /// When the routing data of the run itself is wrong.
    #[expect(clippy::expect_used, reason = "constants of the simulation, not input")]
    pub fn reload(&mut self, rates: &[Option<&str>]) {
        let limits = self.limits.iter().skip(1);
        let vendors = self.vendors.iter().zip(rates).zip(limits);
        let specs: Vec<VendorSpec> = vendors
            .filter_map(|((host, rate), (_, limit))| {
                Some(VendorSpec {
                    name: host.agent.name().to_owned(),
                    rate: (*rate)?.to_owned(),
                    channel_limit: *limit,
                    redirect: false,
                    stops_at_6xx: false,
                    gateways: vec![host.agent.address.to_string()],
                })
            })
            .collect();
        let (customer, parallel) = (&self.config.customer, self.config.parallel);
        let snapshot = routing_data::snapshot(customer, parallel, &specs, &mut self.slots);
        self.snapshot = Arc::new(snapshot.expect("the run's routing data"));
        for core in &mut self.cores {
            core.set_snapshot(Arc::clone(&self.snapshot));
        }
    }

    /// No new calls from now on.
    pub fn set_draining(&mut self, draining: bool) {
        for core in &mut self.cores {
            core.set_draining(draining);
        }
    }

    fn keep_stats(&mut self) {
        for stat in Stat::ALL {
            let value: u64 = self
                .cores
                .iter()
                .map(|core| core.stats().value(*stat))
                .sum();
            *self.past.entry(stat.as_str()).or_default() += value;
        }
    }

    /// Runs until `end_us` of virtual time.
    pub fn run_until(&mut self, end_us: u64) {
        self.flush_peers();
        while let Some(next_us) = self.next_us() {
            if next_us > end_us || !self.faults.is_empty() {
                break;
            }
            self.now_us = self.now_us.max(next_us);
            self.step();
            if self.is_stuck() {
                break;
            }
        }
        self.now_us = self.now_us.max(end_us);
    }

    /// Runs until every peer is done, at most until `latest_us`; true when they are.
    pub fn run_until_peers_are_done(&mut self, latest_us: u64) -> bool {
        while self.now_us < latest_us && self.faults.is_empty() {
            if self.peers_are_done() {
                return true;
            }
            self.run_until((self.now_us + SECOND).min(latest_us));
        }
        self.peers_are_done()
    }

    fn peers_are_done(&self) -> bool {
        self.callers.iter().all(CallerHost::is_done)
            && self.vendors.iter().all(VendorHost::is_done)
            && self.network.next_us().is_none()
    }

    /// Who is not done, for a report.
    pub fn waiting_peers(&self) -> String {
        let callers = self.callers.iter().filter(|host| !host.is_done());
        let callers =
            callers.map(|host| format!("{} {:?}", host.agent.name(), host.waiting_calls()));
        let vendors = self.vendors.iter().filter(|host| !host.is_done());
        let vendors =
            vendors.map(|host| format!("{} {:?}", host.agent.name(), host.waiting_calls()));
        format!(
            "peers are not done: {:?}",
            callers.chain(vendors).collect::<Vec<_>>()
        )
    }

    /// Requests that have had no final response yet, in all lanes.
    pub fn unfinished_requests(&self) -> usize {
        self.cores.iter().map(ProxyCore::unfinished_requests).sum()
    }

    fn is_stuck(&mut self) -> bool {
        if self.stuck.0 == self.now_us {
            self.stuck.1 += 1;
        } else {
            self.stuck = (self.now_us, 0);
        }
        if self.stuck.1 > STUCK_EVENTS_MAX {
            let deadlines: Vec<_> = self.cores.iter().map(ProxyCore::next_deadline_us).collect();
            let fault = format!(
                "{}: time stands still, deadlines of the lanes {deadlines:?}",
                self.now_us
            );
            self.faults.push(fault);
        }
        !self.faults.is_empty()
    }

    fn next_us(&self) -> Option<u64> {
        let callers = self.callers.iter().filter_map(CallerHost::next_us);
        let vendors = self.vendors.iter().filter_map(VendorHost::next_us);
        let cores = self
            .cores
            .iter()
            .filter_map(ProxyCore::next_deadline_us)
            .map(|us| us + self.boot_us);
        let cores = cores.filter(|_| !self.down);
        let others = [
            self.network.next_us(),
            self.rings.next_us(),
            self.pending.next_us(),
        ];
        callers
            .chain(vendors)
            .chain(cores)
            .chain(others.into_iter().flatten())
            .min()
    }

    fn step(&mut self) {
        if let Some(datagram) = self.network.arrive(self.now_us) {
            self.deliver(datagram);
        } else if let Some(handed) = self.rings.pop(self.now_us) {
            self.take_over(&handed);
        } else if let Some(pending) = self.pending.pop_due(self.now_us) {
            self.resume(pending);
        } else {
            self.expire();
        }
        self.flush_peers();
        self.check_channels();
    }

    fn expire(&mut self) {
        let now = self.now();
        if !self.down {
            for lane in 0..self.cores.len() {
                if self.cores[lane]
                    .next_deadline_us()
                    .is_some_and(|at_us| at_us <= now.mono_us)
                {
                    self.cores[lane].handle_timeouts(now, &mut self.output);
                    self.drain(Some(lane));
                }
            }
        }
        for host in &mut self.callers {
            host.on_time(self.now_us);
        }
        for host in &mut self.vendors {
            host.on_time(self.now_us);
        }
    }
}

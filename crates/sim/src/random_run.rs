//! A run drawn from its seed alone: how many lanes, callers and vendors, what they do, what the network does to them.
//! The same seed always gives the same run; a failure is reported with its seed and can be traced.
//! Leaves out routes to nowhere, which the named scenarios cover.

use accounting::Record;
use proxy_core::LookupAnswer;
use transaction_layer::Transport;

use crate::clock::{MS, SECOND};
use crate::invariants::faults_at_end;
use crate::jobs::JobsConfig;
use crate::leg::{Act, Fraud};
use crate::network::LinkQuality;
use crate::peer_caller::{CallPlan, CancelPlan};
use crate::peer_vendor::{OnCancel, Outcome, VendorHost, VendorScript};
use crate::routing_data::Round;
use crate::world::{Handoff, VendorPlan, World, WorldConfig};

/// The end of every run, µs: longer than any script.
const LATEST_US: u64 = 1_500 * SECOND;
/// After the peers have finished: 64·T1 for the last transaction, 64·T1 for a CANCEL before it, slack.
const SETTLE_US: u64 = 90 * SECOND;

/// Timer C and a CANCEL without an answer after it, for three vendors in turn, µs.
const TIMER_C_US: u64 = 3 * 240 * SECOND;

/// What a run amounted to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// INVITEs that reached the proxy.
    pub calls: usize,
    /// Calls with an answer.
    pub answered: usize,
    /// Datagrams through the network.
    pub datagrams: u64,
}

/// Draws the run of a seed, runs it to its end and checks it.
///
/// # Errors
/// Everything that was found wrong.
pub fn run_seed(seed: u64, trace: bool) -> Result<Summary, Vec<String>> {
    let mut world = draw(seed, trace);
    kill_some(seed, &mut world);
    let done = world.run_until_peers_are_done(LATEST_US);
    // A vendor may leave an INVITE open that its caller has given up: Timer C ends it.
    let latest_us = world.now_us + TIMER_C_US;
    while world.unfinished_requests() > 0 && world.now_us < latest_us {
        world.run_until(world.now_us + SECOND);
    }
    world.run_until(world.now_us + SETTLE_US);
    let mut faults = faults_at_end(&world);
    if !done && world.faults.is_empty() {
        faults.push(world.waiting_peers());
    }
    if faults.is_empty() {
        Ok(summary(&world))
    } else {
        Err(faults)
    }
}

/// In one run of six the process dies, is away for a while and comes back with another number of lanes.
fn kill_some(seed: u64, world: &mut World) {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x6b69_6c6c);
    // The journal knows one dialog of an attempt: a fork behind a vendor is not restored whole.
    // What was under way on a connection dies with it, and no transaction sends it again.
    let spared = world.vendors.iter().any(VendorHost::forks)
        || world.network.streams().is_some()
        || world.comes_round();
    if rng.u8(0..6) != 0 || spared {
        return;
    }
    world.run_until(rng.u64(3 * SECOND..40 * SECOND));
    world.kill();
    world.run_until(world.now_us + rng.u64(0..3 * SECOND));
    if world.faults.is_empty() {
        world.restart(rng.u8(1..=3));
    }
}

fn summary(world: &World) -> Summary {
    let answered = world
        .records
        .iter()
        .filter(|recorded| matches!(recorded.record, Record::Answered(_)));
    Summary {
        calls: world.tap.invites.len(),
        answered: answered.count(),
        datagrams: world.network.counts().sent,
    }
}

/// Datagrams that cross the proxy's boundary in the first minute of a seed's run, every few moments those of late.
pub fn messages_of(seed: u64) -> Vec<Vec<u8>> {
    let mut world = draw(seed, false);
    world.keep_traffic();
    let mut messages = Vec::new();
    for _ in 0..120 {
        world.run_until(world.now_us + SECOND / 2);
        messages.extend(
            world
                .traffic()
                .iter()
                .map(|(_, datagram)| datagram.bytes.clone()),
        );
    }
    messages
}

/// The world of a seed.
pub fn draw(seed: u64, trace: bool) -> World {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut config = WorldConfig {
        seed,
        lanes: rng.u8(1..=3),
        icmp: rng.bool(),
        parallel: seed % 3 == 1,
        trace,
        jobs: draw_jobs(&mut rng),
        ..WorldConfig::default()
    };
    if rng.u8(0..4) == 0 {
        config.customer.lookup = Some("SELECT {number}".to_owned());
    }
    if rng.u8(0..4) == 0 {
        config.customer.plan_lookup = Some("SELECT {number}".to_owned());
    }
    if rng.u8(0..4) == 0 {
        config.customer.channel_limit = Some(rng.u32(1..4));
    }
    if rng.u8(0..6) == 0 {
        config.policy.durability = proxy_core::Durability::Strict;
    }
    if rng.u8(0..6) == 0 {
        config.policy.max_call_us = rng.u64(5 * SECOND..40 * SECOND);
    }
    if rng.u8(0..4) == 0 {
        config.policy.ring_timeout_us = rng.u64(5 * SECOND..60 * SECOND);
    }
    if rng.u8(0..5) == 0 {
        config.transport = Transport::Tcp;
    }
    if rng.bool() {
        let delay_min_us = rng.u64(0..5 * MS);
        config.handoff = Some(Handoff {
            delay_min_us,
            delay_max_us: delay_min_us + rng.u64(0..60 * MS),
            keeps_order: true,
        });
    }
    if rng.u8(0..4) == 0 {
        config.stranger_permille = rng.u16(0..500);
    }
    let rates = ["0.06", "0.12", "0.24"];
    let mut timers = SessionTimers::of(seed);
    timers.set_policy(&mut config);
    // Without its call, a cookie of the one pass does not lead on to the other.
    config.customer.round = draw_round(seed).filter(|_| !timers.on);
    let vendors: Vec<VendorPlan> = (0..rng.usize(1..=3))
        .map(|place| {
            let scripts = (0..rng.usize(1..=3))
                .map(|_| VendorScript {
                    headers: timers.of_vendor(),
                    ..draw_script(&mut rng, place)
                })
                .collect();
            let mut plan = VendorPlan::new(rates[place], scripts);
            if rng.u8(0..5) == 0 {
                plan.channel_limit = Some(rng.u32(1..3));
            }
            plan.redirect = (seed >> place) & 1 == 1;
            plan.stops_at_6xx = (seed >> (place + 3)) & 1 == 1;
            if rng.u8(0..5) == 0 {
                plan.gateway = Some(format!("gateway{place}.example"));
            }
            plan
        })
        .collect();
    let hosts = rng.u8(1..=2);
    let mut world = World::new(config, hosts, vendors);
    for host in 0..usize::from(hosts) {
        let link = LinkQuality::random(&mut rng);
        let address = world.callers[host].agent.address;
        world.network.set_link(address, link);
        for _ in 0..rng.usize(1..=4) {
            let mut plan = draw_call(&mut rng, host);
            timers.set_call(&mut plan);
            world.callers[host].plan(plan);
        }
    }
    for place in 0..world.vendors.len() {
        let link = LinkQuality::random(&mut rng);
        let address = world.vendors[place].agent.address;
        world.network.set_link(address, link);
        world.vendors[place].up = rng.u8(0..12) != 0;
    }
    world
}

/// One run of ten goes through the proxy twice, and one of sixty for ever; drawn apart, as session timers are.
fn draw_round(seed: u64) -> Option<Round> {
    match fastrand::Rng::with_seed(seed ^ 0x726f_756e).u8(0..60) {
        0..6 => Some(Round::Spiral),
        6 => Some(Round::Loop),
        _ => None,
    }
}

/// Session timers (RFC 4028), which one run of three has; drawn apart, so that the rest of a seed's run stays as it is.
struct SessionTimers {
    rng: fastrand::Rng,
    on: bool,
}

impl SessionTimers {
    fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x7469_6d65);
        let on = rng.u8(0..3) == 0;
        Self { rng, on }
    }

    fn set_policy(&mut self, config: &mut WorldConfig) {
        let timer = &mut config.policy.session_timer;
        if self.on && self.rng.bool() {
            timer.session_expires_s = self.rng.u32(90..200);
        }
        if self.on && self.rng.u8(0..4) == 0 {
            timer.min_se_s = self.rng.u32(90..=timer.session_expires_s.max(90));
        }
    }

    /// What a vendor says in its final responses.
    fn of_vendor(&mut self) -> Vec<(String, String)> {
        if !self.on || self.rng.bool() {
            return Vec::new();
        }
        let expires = format!("{};refresher=uac", self.rng.u32(60..180));
        vec![
            ("Session-Expires".to_owned(), expires),
            ("Require".to_owned(), "timer".to_owned()),
        ]
    }

    /// What a caller asks for; some talk for longer than their session lasts.
    fn set_call(&mut self, plan: &mut CallPlan) {
        if !self.on {
            return;
        }
        if self.rng.bool() {
            plan.headers
                .push(("Supported".to_owned(), "timer".to_owned()));
        }
        if self.rng.bool() {
            let expires = self.rng.u32(60..180).to_string();
            plan.headers.push(("Session-Expires".to_owned(), expires));
        }
        if self.rng.bool()
            && let Some((at_us, Act::Bye)) = plan.acts.last_mut()
        {
            let from_us = *at_us;
            *at_us += self.rng.u64(60 * SECOND..300 * SECOND);
            // After the expiry only its cookie speaks for a BYE: the callee would wait for one for ever.
            plan.drop_route = false;
            if self.rng.bool() {
                refresh(&mut self.rng, plan, from_us);
            }
        }
    }
}

/// Refreshes up to the BYE, some of them too late.
fn refresh(rng: &mut fastrand::Rng, plan: &mut CallPlan, from_us: u64) {
    let Some((bye_us, bye)) = plan.acts.pop() else {
        return;
    };
    let mut at_us = from_us;
    loop {
        at_us += rng.u64(30 * SECOND..110 * SECOND);
        if at_us >= bye_us {
            break;
        }
        let act = if rng.bool() {
            Act::Update
        } else {
            Act::ReInvite
        };
        plan.acts.push((at_us, act));
    }
    plan.acts.push((bye_us, bye));
}

fn draw_jobs(rng: &mut fastrand::Rng) -> JobsConfig {
    let mut jobs = JobsConfig {
        delay_min_us: MS,
        delay_max_us: rng.u64(MS..=400 * MS),
        ttl_s: rng.u32(0..60),
        ..JobsConfig::default()
    };
    if rng.bool() {
        jobs.error_permille = rng.u16(0..200);
        jobs.timeout_permille = rng.u16(0..100);
        jobs.full_permille = rng.u16(0..100);
        jobs.late_permille = rng.u16(0..100);
    }
    let refused = LookupAnswer {
        number: None,
        refuse: Some(404),
    };
    let rewritten = LookupAnswer {
        number: Some("4940999".to_owned()),
        refuse: None,
    };
    jobs.numbers.insert("4930404".to_owned(), refused);
    jobs.numbers.insert("4930777".to_owned(), rewritten);
    for place in 0..3_u8 {
        let vendor = ([203, 0, 113, 10 + place], 5060).into();
        let caller = ([198, 51, 100, 10 + place], 5060).into();
        jobs.names
            .insert(format!("gateway{place}.example"), vec![vendor]);
        jobs.names
            .insert(format!("media{place}.example"), vec![vendor]);
        jobs.names
            .insert(format!("pbx{place}.example"), vec![caller]);
    }
    jobs
}

fn draw_script(rng: &mut fastrand::Rng, place: usize) -> VendorScript {
    let mut script = VendorScript {
        trying_us: (rng.u8(0..4) != 0).then(|| rng.u64(0..300 * MS)),
        rings: (0..rng.u8(0..3))
            .map(|_| {
                (
                    rng.u64(0..6 * SECOND),
                    if rng.bool() { 180 } else { 183 },
                    rng.u8(0..3) == 0,
                )
            })
            .collect(),
        outcome: match rng.u8(0..10) {
            0..=4 => Outcome::Answer(rng.u64(0..15 * SECOND)),
            5..=7 => {
                let statuses = [503, 503, 500, 486, 404, 603, 401, 407, 302, 480, 600, 408];
                Outcome::Refuse(
                    rng.u64(0..8 * SECOND),
                    statuses[rng.usize(0..statuses.len())],
                )
            }
            8 => Outcome::Answer(rng.u64(0..60 * SECOND)),
            _ => Outcome::Never,
        },
        on_cancel: match rng.u8(0..6) {
            0 => OnCancel::AnswerAnyway(rng.u64(0..3 * SECOND)),
            1 => OnCancel::Ignore,
            _ => OnCancel::Obey,
        },
        acts: draw_acts(rng, false),
        contact_host: (rng.u8(0..6) == 0).then(|| format!("media{place}.example")),
        drop_route: rng.u8(0..5) == 0,
        fork_us: (rng.u8(0..8) == 0).then(|| rng.u64(0..3 * SECOND)),
        bye_refusals: Vec::new(),
        headers: Vec::new(),
    };
    if rng.u8(0..10) == 0 {
        script = VendorScript::silent();
    }
    if script.outcome == Outcome::Never && rng.bool() {
        script.on_cancel = OnCancel::Ignore;
    }
    script
}

fn draw_acts(rng: &mut fastrand::Rng, hangs_up: bool) -> Vec<(u64, Act)> {
    let mut acts = Vec::new();
    let mut at_us = 0;
    for _ in 0..rng.u8(0..4) {
        at_us += rng.u64(0..8 * SECOND);
        let act = match rng.u8(0..6) {
            0 | 1 => Act::ReInvite,
            2 => Act::Update,
            3 => Act::Info,
            4 => Act::Fraud(match rng.u8(0..4) {
                0 => Fraud::MaxForwardsZero,
                1 => Fraud::WrongTag,
                2 => Fraud::LowCseq,
                _ => Fraud::ForeignSource,
            }),
            _ => Act::Info,
        };
        acts.push((at_us, act));
    }
    if hangs_up || rng.u8(0..3) == 0 {
        acts.push((at_us + rng.u64(0..30 * SECOND), Act::Bye));
    }
    acts
}

fn draw_call(rng: &mut fastrand::Rng, host: usize) -> CallPlan {
    let numbers = ["4930123456", "4930404", "4930777", "15551234", "+4930123"];
    let starts_us = rng.u64(0..10 * SECOND);
    CallPlan {
        starts_us,
        number: numbers[rng.usize(0..numbers.len())].to_owned(),
        cancel: match rng.u8(0..10) {
            0 => CancelPlan::After(rng.u64(0..300 * MS)),
            1 | 2 => CancelPlan::After(rng.u64(0..12 * SECOND)),
            3 => CancelPlan::Rudely(rng.u64(0..50 * MS)),
            4 => CancelPlan::AfterRinging(rng.u64(0..5 * SECOND)),
            _ => CancelPlan::Never,
        },
        patience_us: rng.u64(30 * SECOND..200 * SECOND),
        acts: draw_acts(rng, true),
        drop_route: rng.u8(0..4) == 0,
        reliable: rng.bool(),
        takes_one_answer: starts_us.is_multiple_of(3),
        contact_host: (rng.u8(0..8) == 0).then(|| format!("pbx{host}.example")),
        max_forwards: if rng.u8(0..30) == 0 { 0 } else { 70 },
        headers: match rng.u8(0..6) {
            0 => vec![("Max-Breadth".to_owned(), rng.u8(1..5).to_string())],
            _ => Vec::new(),
        },
    }
}

//! Named call flows on a clean network, with exact counters and prices.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing fails")]

mod calls;
mod cancel;
mod dialogs;
mod failover;
mod forks;
mod fraud;
mod handoff;
mod late;
mod limits;
mod lookups;
mod peers_alone;
mod redirect;
mod restart;
mod seeds;
mod session_timer;
mod spirals;
mod streams;
mod torture_streams;

use accounting::{Cause, Cdr};
use proxy_core::Stat;
use rust_decimal::Decimal;
use sim::clock::SECOND;
use sim::invariants::faults_at_end;
use sim::peer_caller::{CallPlan, CallerCall};
use sim::peer_vendor::{Outcome, VendorScript};
use sim::world::{VendorPlan, World, WorldConfig};

/// A world with one caller's host.
fn world(config: WorldConfig, vendors: Vec<VendorPlan>) -> World {
    World::new(config, 1, vendors)
}

/// A default world in which the vendors follow one script each, at 0.06, 0.12 and 0.18 a minute.
fn world_of(scripts: Vec<VendorScript>) -> World {
    world(WorldConfig::default(), vendors_of(scripts))
}

fn vendors_of(scripts: Vec<VendorScript>) -> Vec<VendorPlan> {
    let rates = ["0.06", "0.12", "0.18"];
    scripts
        .into_iter()
        .zip(rates)
        .map(|(script, rate)| VendorPlan::new(rate, vec![script]))
        .collect()
}

/// Lets everything end, and asserts every invariant.
fn finish(world: &mut World) {
    assert!(
        world.run_until_peers_are_done(20_000 * SECOND),
        "peers are not done: {:?}",
        world.faults
    );
    world.run_until(world.now_us + 200 * SECOND);
    let faults = faults_at_end(world);
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Runs one call to its end in that world.
fn call(world: &mut World, plan: CallPlan) {
    world.callers[0].plan(plan);
    finish(world);
}

/// The only CDR of the run.
fn only_cdr(world: &World) -> &Cdr {
    let cdrs = world.cdrs();
    assert_eq!(cdrs.len(), 1, "{cdrs:#?}");
    cdrs[0]
}

/// Status and cause of every attempt.
fn attempts(cdr: &Cdr) -> Vec<(&str, u16, Cause)> {
    let attempts = cdr.attempts.iter();
    attempts
        .map(|attempt| (attempt.vendor.as_str(), attempt.status, attempt.cause))
        .collect()
}

/// Final statuses a caller's call heard.
fn heard(call: &CallerCall) -> Vec<u16> {
    call.saw
        .finals
        .iter()
        .map(|(_, status, _)| *status)
        .collect()
}

fn stats<const N: usize>(world: &World, stats: [Stat; N]) -> [u64; N] {
    stats.map(|stat| world.stat(stat))
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn answers_after(us: u64) -> VendorScript {
    VendorScript {
        outcome: Outcome::Answer(us),
        ..VendorScript::default()
    }
}

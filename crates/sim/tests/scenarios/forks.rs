//! Equal targets tried at the same time: several vendors ring, one wins, or two do.

use accounting::Cause;
use proxy_core::Stat;
use sim::clock::{MS, SECOND};
use sim::leg::Act;
use sim::network::LinkQuality;
use sim::peer_caller::{CallPlan, CancelPlan};
use sim::peer_vendor::{OnCancel, Outcome, VendorScript};
use sim::world::{World, WorldConfig};

use crate::{
    answers_after, attempts, call, decimal, finish, heard, only_cdr, stats, vendors_of, world,
};

/// A world that tries all its vendors at once.
fn fork_of(scripts: Vec<VendorScript>) -> World {
    world(parallel(), vendors_of(scripts))
}

fn parallel() -> WorldConfig {
    WorldConfig {
        parallel: true,
        ..WorldConfig::default()
    }
}

/// Status and cause by vendor: the order of a fork depends on the call.
fn by_vendor(world: &World) -> Vec<(&str, u16, Cause)> {
    let mut attempts = attempts(only_cdr(world));
    attempts.sort_by_key(|(vendor, ..)| *vendor);
    attempts
}

//= proves RFC 3261 §16.7(10)
#[test]
fn the_first_of_three_to_answer_gets_the_call() {
    let mut world = fork_of(vec![
        answers_after(9 * SECOND),
        answers_after(3 * SECOND),
        VendorScript::rings_for_ever(),
    ]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    assert_eq!(
        by_vendor(&world),
        [
            ("v0", 487, Cause::Cancelled),
            ("v1", 200, Cause::Answered),
            ("v2", 487, Cause::Cancelled)
        ]
    );
    let cdr = only_cdr(&world);
    assert_eq!(cdr.vendor.as_deref(), Some("v1"));
    assert_eq!(cdr.rated().vendor_price, Some(decimal("0.022")));
    // All three rang at the same moment.
    let started: Vec<i64> = cdr
        .attempts
        .iter()
        .map(|attempt| attempt.started_us)
        .collect();
    assert!(started.iter().all(|at_us| *at_us == started[0]));
    assert_eq!(
        stats(
            &world,
            [Stat::Attempts, Stat::Failovers, Stat::ExtraAnswers]
        ),
        [3, 0, 0]
    );
}

//= proves RFC 3261 §16.7(5)
#[test]
fn two_vendors_that_answer_in_the_same_moment_both_bill() {
    let mut world = fork_of(vec![answers_after(2 * SECOND), answers_after(2 * SECOND)]);
    call(&mut world, CallPlan::default());
    let call = &world.callers[0].calls[0];
    assert_eq!(heard(call), [200, 200]);
    assert!(
        call.legs
            .iter()
            .all(|(_, leg)| leg.log.bye_answered.map(|(_, status)| status) == Some(200))
    );
    let cdr = only_cdr(&world);
    assert_eq!(
        by_vendor(&world),
        [("v0", 200, Cause::Answered), ("v1", 200, Cause::Answered)]
    );
    let prices: Vec<_> = cdr
        .rated()
        .attempts
        .iter()
        .map(|attempt| attempt.price)
        .collect();
    // The caller ends the second dialog at once: a second begun of v1.
    assert!(prices.contains(&Some(decimal("0.011"))), "{prices:?}");
    assert!(prices.contains(&Some(decimal("0.002"))), "{prices:?}");
    assert_eq!(world.stat(Stat::ExtraAnswers), 1);
}

//= proves RFC 3261 §16.7(6)
#[test]
fn when_all_refuse_the_best_refusal_is_heard() {
    let mut world = fork_of(vec![
        VendorScript::refuse(503),
        VendorScript::refuse(480),
        VendorScript::refuse(500),
    ]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [480]);
    assert_eq!(only_cdr(&world).attempts.len(), 3);
}

#[test]
fn a_cancel_reaches_every_vendor_that_rings() {
    let mut world = fork_of(vec![
        VendorScript::rings_for_ever(),
        VendorScript::rings_for_ever(),
        VendorScript::silent(),
    ]);
    let plan = CallPlan {
        cancel: CancelPlan::After(SECOND),
        ..CallPlan::default()
    };
    call(&mut world, plan);
    assert_eq!(heard(&world.callers[0].calls[0]), [487]);
    for vendor in &world.vendors[..2] {
        assert!(vendor.calls[0].cancelled_us.is_some());
    }
    assert_eq!(only_cdr(&world).cause, Cause::Cancelled);
}

#[test]
fn a_group_without_channels_is_passed_over_and_each_channel_comes_back() {
    let mut plans = vendors_of(vec![answers_after(SECOND), answers_after(20 * SECOND)]);
    plans[0].channel_limit = Some(1);
    plans[1].channel_limit = Some(1);
    let mut world = world(parallel(), plans);
    for _ in 0..3 {
        world.callers[0].plan(CallPlan::default());
    }
    // The end asserts that no channel is left.
    finish(&mut world);
    let statuses: Vec<u16> = world.cdrs().iter().map(|cdr| cdr.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 2);
}

//= proves RFC 5393 §5.3.3
#[test]
fn max_breadth_of_1_makes_a_fork_serial() {
    let mut world = fork_of(vec![
        VendorScript::refuse(503),
        VendorScript::refuse(503),
        VendorScript::refuse(503),
    ]);
    let plan = CallPlan {
        headers: vec![("Max-Breadth".to_owned(), "1".to_owned())],
        ..CallPlan::default()
    };
    // The watcher at the boundary sees that no two branches are out.
    call(&mut world, plan);
    let cdr = only_cdr(&world);
    assert_eq!(cdr.attempts.len(), 3);
    let mut started: Vec<i64> = cdr
        .attempts
        .iter()
        .map(|attempt| attempt.started_us)
        .collect();
    started.dedup();
    assert_eq!(started.len(), 3);
}

//= proves RFC 3261 §16.7(5)
#[test]
fn a_6xx_of_a_vendor_that_stops_ends_the_fork() {
    let script = VendorScript {
        outcome: Outcome::Refuse(SECOND, 603),
        ..VendorScript::default()
    };
    for (stops, heard_upstream) in [(true, 603), (false, 200)] {
        let mut plans = vendors_of(vec![script.clone(), answers_after(5 * SECOND)]);
        plans[0].stops_at_6xx = stops;
        let mut world = world(parallel(), plans);
        call(&mut world, CallPlan::default());
        assert_eq!(heard(&world.callers[0].calls[0]), [heard_upstream]);
        assert_eq!(world.vendors[1].calls[0].cancelled_us.is_some(), stops);
    }
}

#[test]
fn two_dialogs_of_one_call_outlive_the_process() {
    let mut world = fork_of(vec![answers_after(2 * SECOND), answers_after(2 * SECOND)]);
    world.callers[0].plan(CallPlan::default());
    world.run_until(6 * SECOND);
    world.kill();
    world.run_until(7 * SECOND);
    world.restart(2);
    assert_eq!(world.live_calls(), 1);
    finish(&mut world);
    let cdr = only_cdr(&world);
    assert_eq!(
        by_vendor(&world),
        [("v0", 200, Cause::Answered), ("v1", 200, Cause::Answered)]
    );
    // Both answered in the same moment; the call is that of the one which the caller kept.
    assert_eq!(cdr.vendor.as_deref(), Some("v0"));
    let lasted = |vendor: &str| {
        let attempt = cdr.attempts.iter().find(|attempt| attempt.vendor == vendor);
        attempt.map(|attempt| attempt.duration_us)
    };
    assert_eq!(lasted("v0"), Some(10_010_000));
    assert_eq!(lasted("v1"), Some(10_000));
    assert_eq!(cdr.rated().vendor_price, Some(decimal("0.011")));
}

/// A vendor of the race: it answers, refuses or rings around the moment at which everything happens.
fn racer(rng: &mut fastrand::Rng) -> VendorScript {
    let at_us = SECOND + rng.u64(0..60 * MS);
    VendorScript {
        trying_us: rng.bool().then(|| rng.u64(0..200 * MS)),
        rings: (0..rng.u8(0..3))
            .map(|_| (rng.u64(0..1_050 * MS), 180, rng.bool()))
            .collect(),
        outcome: match rng.u8(0..5) {
            0..=2 => Outcome::Answer(at_us),
            3 => Outcome::Refuse(at_us, [486, 503, 603, 408, 302][rng.usize(0..5)]),
            _ => Outcome::Never,
        },
        on_cancel: match rng.u8(0..4) {
            0 => OnCancel::AnswerAnyway(rng.u64(0..100 * MS)),
            1 => OnCancel::Ignore,
            _ => OnCancel::Obey,
        },
        ..VendorScript::default()
    }
}

#[test]
fn answers_and_cancels_that_cross_in_a_fork_under_loss_leave_nothing_behind() {
    let (mut several, mut cancelled, mut answered) = (0, 0, 0);
    for seed in 0..120 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let config = WorldConfig {
            seed,
            lanes: rng.u8(1..=2),
            ..parallel()
        };
        let mut plans = vendors_of((0..3).map(|_| racer(&mut rng)).collect());
        for plan in &mut plans {
            plan.stops_at_6xx = rng.bool();
            plan.redirect = rng.bool();
        }
        let mut world = world(config, plans);
        let hosts: Vec<_> = world
            .vendors
            .iter()
            .map(|host| host.agent.address)
            .collect();
        for address in hosts.into_iter().chain([world.callers[0].agent.address]) {
            let link = LinkQuality {
                loss_permille: rng.u16(0..300),
                duplicate_permille: rng.u16(0..100),
                reorder_permille: rng.u16(0..200),
                delay_min_us: rng.u64(0..20 * MS),
                delay_max_us: 20 * MS + rng.u64(0..40 * MS),
            };
            world.network.set_link(address, link);
        }
        for _ in 0..2 {
            world.callers[0].plan(CallPlan {
                cancel: if rng.bool() {
                    CancelPlan::After(SECOND + rng.u64(0..80 * MS))
                } else {
                    CancelPlan::Never
                },
                ..CallPlan::default()
            });
        }
        let faults = run(&mut world);
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
        several += world.stat(Stat::ExtraAnswers);
        cancelled += world.stat(Stat::Cancels);
        answered += world.stat(Stat::CallsAnswered);
    }
    // The races must have happened.
    assert!(
        several > 10 && cancelled > 40 && answered > 60,
        "{several} {cancelled} {answered}"
    );
}

/// Runs to the end; everything that is wrong then.
fn run(world: &mut World) -> Vec<String> {
    world.run_until_peers_are_done(1_500 * SECOND);
    let latest_us = world.now_us + 800 * SECOND;
    while world.unfinished_requests() > 0 && world.now_us < latest_us {
        world.run_until(world.now_us + SECOND);
    }
    world.run_until(world.now_us + 100 * SECOND);
    sim::invariants::faults_at_end(world)
}

#[test]
fn a_caller_who_ignores_the_second_answer_pays_for_the_first_alone() {
    let mut world = fork_of(vec![answers_after(2 * SECOND), answers_after(2 * SECOND)]);
    let plan = CallPlan {
        takes_one_answer: true,
        acts: vec![(5 * SECOND, Act::Bye)],
        ..CallPlan::default()
    };
    call(&mut world, plan);
    assert_eq!(heard(&world.callers[0].calls[0]), [200, 200]);
    let cdr = only_cdr(&world);
    assert!(cdr.duration_us < 6 * SECOND, "{}", cdr.duration_us);
    let longest = cdr.attempts.iter().map(|attempt| attempt.duration_us).max();
    // The vendor that waits for its ACK bills until it gives up.
    assert!(longest.unwrap() >= 31 * SECOND, "{longest:?}");
}

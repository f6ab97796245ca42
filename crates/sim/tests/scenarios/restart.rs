//! The process dies and starts again; what peers were told is still true.

use accounting::Record;
use proxy_core::Stat;
use sim::clock::{MS, SECOND};
use sim::leg::Act;
use sim::peer_caller::CallPlan;
use sim::peer_vendor::VendorScript;
use sim::world::{World, WorldConfig};

use crate::{finish, vendors_of, world};

/// Six calls that are up at 10 s; even ones hang up from the caller at 20 s, odd ones from the callee at 25 s.
fn six_calls(lanes: u8) -> World {
    let script = VendorScript {
        acts: vec![(25 * SECOND, Act::Bye)],
        ..VendorScript::default()
    };
    let mut world = world(
        WorldConfig {
            lanes,
            ..WorldConfig::default()
        },
        vendors_of(vec![script]),
    );
    for number in 0..6 {
        let acts = if number % 2 == 0 {
            vec![(20 * SECOND, Act::Bye)]
        } else {
            Vec::new()
        };
        world.callers[0].plan(CallPlan {
            acts,
            drop_route: number % 3 == 0,
            ..CallPlan::default()
        });
    }
    world
}

#[test]
fn calls_that_were_up_are_ended_and_billed_after_a_restart_with_other_lanes() {
    for (before, after) in [(1, 3), (3, 2), (2, 1)] {
        let mut world = six_calls(before);
        world.run_until(10 * SECOND);
        world.kill();
        world.run_until(12 * SECOND);
        assert_eq!(world.restart(after), 6);
        assert_eq!(world.channels(), [6, 6]);
        assert_eq!(world.live_calls(), 6);
        finish(&mut world);
        let mut durations: Vec<u64> = world.cdrs().iter().map(|cdr| cdr.duration_us).collect();
        durations.sort_unstable();
        assert_eq!(
            durations,
            [
                20_010_000, 20_010_000, 20_010_000, 25_000_000, 25_000_000, 25_000_000
            ]
        );
        assert_eq!(world.stat(Stat::CallsRestored), 6);
    }
}

#[test]
fn a_step_of_the_wall_clock_changes_no_duration() {
    let mut world = six_calls(1);
    world.run_until(10 * SECOND);
    world.wall_step_us = -3_600_000_000;
    assert!(world.run_until_peers_are_done(200 * SECOND));
    world.run_until(world.now_us + 90 * SECOND);
    assert!(
        world
            .cdrs()
            .iter()
            .all(|cdr| matches!(cdr.duration_us, 20_010_000 | 25_000_000))
    );
    assert_eq!(world.cdrs().len(), 6);
}

#[test]
fn a_call_in_setup_at_the_kill_leaves_nothing_behind() {
    let mut world = six_calls(1);
    world.callers[0].plan(CallPlan {
        starts_us: 9 * SECOND,
        ..CallPlan::default()
    });
    // Rings at the vendor, not answered yet.
    world.run_until(10 * SECOND);
    world.kill();
    world.run_until(10 * SECOND + 100 * MS);
    assert_eq!(world.restart(2), 6);
    assert!(world.run_until_peers_are_done(400 * SECOND));
    world.run_until(world.now_us + 200 * SECOND);
    assert!(world.faults.is_empty(), "{:?}", world.faults);
    assert_eq!((world.live_calls(), world.live_transactions()), (0, 0));
    assert_eq!(world.channels(), [0, 0]);
    let ended = world
        .records
        .iter()
        .filter(|recorded| matches!(recorded.record, Record::Ended(_)))
        .count();
    assert_eq!(ended, 6);
}

#[test]
fn an_end_that_was_told_outlives_the_process_though_a_branch_is_still_out() {
    // The first vendor never says a word, so its branch lives until Timer B; the second one's call is over by then.
    let vendors = vendors_of(vec![VendorScript::silent(), VendorScript::default()]);
    let mut world = world(WorldConfig::default(), vendors);
    world.callers[0].plan(CallPlan {
        acts: vec![(3 * SECOND, Act::Bye)],
        ..CallPlan::default()
    });
    world.run_until(12 * SECOND);
    let leg = world.callers[0].calls[0].first_leg().unwrap();
    assert_eq!(leg.bye_answered.map(|(_, status)| status), Some(200));
    assert!(world.cdrs().is_empty());
    world.kill();
    world.run_until(13 * SECOND);
    assert_eq!(world.restart(2), 1);
    finish(&mut world);
    assert_eq!(world.cdrs().len(), 1);
    assert_eq!(world.cdrs()[0].duration_us, 3_010_000);
    assert_eq!(world.stat(Stat::OwnByes), 0);
}

#[test]
fn in_dialog_requests_pass_after_a_restart_and_keep_the_record_current() {
    let script = VendorScript {
        acts: vec![(15 * SECOND, Act::ReInvite)],
        ..VendorScript::default()
    };
    let mut world = world(WorldConfig::default(), vendors_of(vec![script]));
    let acts = vec![
        (5 * SECOND, Act::ReInvite),
        (20 * SECOND, Act::Update),
        (30 * SECOND, Act::Bye),
    ];
    world.callers[0].plan(CallPlan {
        acts,
        ..CallPlan::default()
    });
    world.run_until(12 * SECOND);
    assert_eq!(world.restart(3), 1);
    finish(&mut world);
    let leg = world.callers[0].calls[0].first_leg().unwrap();
    assert_eq!(leg.answers, [(Act::ReInvite, 200), (Act::Update, 200)]);
    assert_eq!(leg.heard, ["INVITE", "ACK"]);
    assert_eq!(world.cdrs()[0].duration_us, 30_010_000);
}

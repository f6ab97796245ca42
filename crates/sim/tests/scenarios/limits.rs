//! Channels and calls per second: never above the limit, never lost.

use accounting::Cause;
use proxy_core::Stat;
use sim::clock::{MS, SECOND};
use sim::leg::Act;
use sim::peer_caller::{CallPlan, CancelPlan};
use sim::peer_vendor::VendorScript;
use sim::world::{World, WorldConfig};

use crate::{finish, heard, vendors_of, world};

fn plan_calls(world: &mut World, count: u64, apart_us: u64) {
    for number in 0..count {
        world.callers[0].plan(CallPlan {
            starts_us: number * apart_us,
            ..CallPlan::default()
        });
    }
}

fn finals(world: &World) -> Vec<Vec<u16>> {
    world.callers[0].calls.iter().map(heard).collect()
}

#[test]
fn a_customer_at_its_channel_limit_hears_503() {
    let mut config = WorldConfig {
        lanes: 3,
        ..WorldConfig::default()
    };
    config.customer.channel_limit = Some(2);
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    plan_calls(&mut world, 4, 100 * MS);
    // The first has ended by then: its channel is free again.
    world.callers[0].plan(CallPlan {
        starts_us: 15 * SECOND,
        ..CallPlan::default()
    });
    world.run_until(5 * SECOND);
    assert_eq!(world.channels(), [2, 2]);
    finish(&mut world);
    assert_eq!(finals(&world), [[200], [200], [503], [503], [200]]);
    assert_eq!(world.refused(Cause::LimitChannels), 2);
}

#[test]
fn a_call_that_is_over_holds_no_channel_of_the_customer_though_a_branch_is_still_out() {
    let mut config = WorldConfig::default();
    config.customer.channel_limit = Some(1);
    let vendors = vendors_of(vec![VendorScript::silent(), VendorScript::default()]);
    let mut world = world(config, vendors);
    let plan = CallPlan {
        acts: vec![(SECOND, Act::Bye)],
        ..CallPlan::default()
    };
    world.callers[0].plan(plan.clone());
    // The first vendor's branches live 32 s; the CANCEL is answered when the vendor is given up, after 4 s.
    world.callers[0].plan(CallPlan {
        starts_us: 10 * SECOND,
        cancel: CancelPlan::After(SECOND),
        ..plan.clone()
    });
    world.callers[0].plan(CallPlan {
        starts_us: 15 * SECOND,
        ..plan
    });
    finish(&mut world);
    assert_eq!(finals(&world), [[200], [487], [200]]);
}

#[test]
fn a_customer_over_its_calls_per_second_hears_503() {
    let mut config = WorldConfig {
        lanes: 2,
        ..WorldConfig::default()
    };
    config.customer.cps_limit = Some(3);
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    plan_calls(&mut world, 5, 10 * MS);
    finish(&mut world);
    let refused = finals(&world)
        .iter()
        .filter(|heard| **heard == [503])
        .count();
    assert_eq!(refused, 2);
    assert_eq!(world.refused(Cause::LimitCps), 2);
    assert_eq!(world.stat(Stat::CallsAnswered), 3);
}

#[test]
fn a_vendor_at_its_limit_is_passed_over() {
    let mut vendors = vendors_of(vec![VendorScript::default(), VendorScript::default()]);
    vendors[0].channel_limit = Some(1);
    let mut world = world(WorldConfig::default(), vendors);
    plan_calls(&mut world, 3, 10 * MS);
    world.run_until(5 * SECOND);
    assert_eq!(world.channels(), [3, 1, 2]);
    finish(&mut world);
    assert_eq!(finals(&world), [[200], [200], [200]]);
    assert_eq!(world.stat(Stat::VendorLimited), 2);
    assert_eq!(
        (world.vendors[0].calls.len(), world.vendors[1].calls.len()),
        (1, 2)
    );
}

#[test]
fn when_every_vendor_is_at_its_limit_upstream_hears_503() {
    let mut vendors = vendors_of(vec![VendorScript::default()]);
    vendors[0].channel_limit = Some(1);
    let mut world = world(WorldConfig::default(), vendors);
    plan_calls(&mut world, 2, 10 * MS);
    finish(&mut world);
    assert_eq!(finals(&world), [[200], [503]]);
    assert_eq!(
        world.cdr("call-c0-1").map(|cdr| cdr.cause),
        Some(Cause::VendorLimit)
    );
}

#[test]
fn a_full_table_of_transactions_refuses_and_recovers() {
    let mut config = WorldConfig::default();
    config.policy.transactions_max = 7;
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    plan_calls(&mut world, 12, 10 * MS);
    finish(&mut world);
    assert!(world.stat(Stat::TablesFull) > 0);
    let finals = finals(&world);
    let count = |status| {
        finals
            .iter()
            .filter(|heard| heard.contains(&status))
            .count()
    };
    assert!(count(200) > 0, "{finals:?}");
    // Nobody is left without an answer, and afterwards there is room again.
    assert!(finals.iter().all(|heard| !heard.is_empty()), "{finals:?}");
    let now_us = world.now_us;
    world.callers[0].plan(CallPlan {
        starts_us: now_us,
        ..CallPlan::default()
    });
    finish(&mut world);
    assert_eq!(heard(world.callers[0].calls.last().unwrap()), [200]);
}

#[test]
fn an_answer_after_the_end_of_its_call_is_counted_beyond_the_limits_that_another_call_has_filled() {
    let mut config = WorldConfig {
        parallel: true,
        ..WorldConfig::default()
    };
    config.customer.channel_limit = Some(1);
    let forks = VendorScript {
        fork_us: Some(5 * SECOND),
        ..VendorScript::default()
    };
    let mut vendors = vendors_of(vec![forks, VendorScript::silent()]);
    vendors[0].channel_limit = Some(1);
    vendors[0].scripts.push(VendorScript::default());
    let mut world = world(config, vendors);
    // The first call lasts from 2 s to 3 s, and the silent vendor's branch is still out when another endpoint answers at
    // 7 s. The second call has taken both channels by then.
    for (starts_us, lasts_us) in [(0, SECOND), (4 * SECOND, 20 * SECOND), (8 * SECOND, SECOND)] {
        world.callers[0].plan(CallPlan {
            starts_us,
            acts: vec![(lasts_us, Act::Bye)],
            ..CallPlan::default()
        });
    }
    world.run_until(6 * SECOND);
    assert_eq!(world.channels()[..2], [1, 1]);
    assert_eq!(world.stat(Stat::ChannelsBeyondLimit), 0);
    world.run_until(7 * SECOND + 100 * MS);
    assert_eq!(world.stat(Stat::ChannelsBeyondLimit), 2);
    finish(&mut world);
    assert_eq!(finals(&world), [vec![200, 200], vec![200], vec![503]]);
    assert_eq!(world.stat(Stat::ChannelsBeyondLimit), 2);
}

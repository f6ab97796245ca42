//! The one detour: a lookup before routing rewrites, refuses, fails, comes late or finds the queue full.

use accounting::Cause;
use proxy_core::{Durability, LookupAnswer, LookupOnError, Stat};
use sim::clock::{MS, SECOND};
use sim::peer_caller::{CallPlan, CancelPlan};
use sim::peer_vendor::VendorScript;
use sim::world::{World, WorldConfig};

use crate::{call, heard, only_cdr, vendors_of, world};

fn config() -> WorldConfig {
    let mut config = WorldConfig::default();
    config.customer.lookup =
        Some("SELECT number, refuse FROM lrn WHERE number = {number}".to_owned());
    config
}

fn one_call(config: WorldConfig) -> World {
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    call(&mut world, CallPlan::default());
    world
}

#[test]
fn a_lookup_rewrites_the_number() {
    let mut config = config();
    let answer = LookupAnswer {
        number: Some("4940555".to_owned()),
        refuse: None,
    };
    config.jobs.numbers.insert("4930123456".to_owned(), answer);
    let world = one_call(config);
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    assert!(
        world.vendors[0].calls[0].uri.starts_with("sip:4940555@"),
        "{}",
        world.vendors[0].calls[0].uri
    );
    let cdr = only_cdr(&world);
    assert_eq!(
        (cdr.callee.as_str(), cdr.callee_sent.as_deref()),
        ("4930123456", Some("4940555"))
    );
    assert_eq!(world.stat(Stat::Parked), 1);
}

#[test]
fn a_lookup_refuses_the_call() {
    let mut config = config();
    let answer = LookupAnswer {
        number: None,
        refuse: Some(604),
    };
    config.jobs.numbers.insert("4930123456".to_owned(), answer);
    let world = one_call(config);
    assert_eq!(heard(&world.callers[0].calls[0]), [604]);
    assert!(world.vendors[0].calls.is_empty());
    assert_eq!(only_cdr(&world).cause, Cause::LookupRefused);
}

#[test]
fn a_full_queue_is_answered_503_at_once() {
    let mut config = config();
    config.jobs.full_permille = 1000;
    let world = one_call(config);
    let call = &world.callers[0].calls[0];
    assert_eq!(heard(call), [503]);
    assert_eq!(call.saw.finals[0].0, 10 * MS);
    assert_eq!(only_cdr(&world).cause, Cause::QueueFull);
    assert_eq!(world.stat(Stat::JobsRefused), 1);
}

#[test]
fn a_lookup_that_times_out_or_fails_lets_the_call_go_on_unless_told_otherwise() {
    let faults: [(u16, u16, Cause); 2] = [
        (1000, 0, Cause::LookupTimeout),
        (0, 1000, Cause::LookupFailed),
    ];
    for (timeout_permille, error_permille, cause) in faults {
        let mut config = config();
        config.jobs.timeout_permille = timeout_permille;
        config.jobs.error_permille = error_permille;
        let world = one_call(config.clone());
        assert_eq!(heard(&world.callers[0].calls[0]), [200]);

        config.policy.lookup_on_error = LookupOnError::Refuse;
        let world = one_call(config);
        assert_eq!(heard(&world.callers[0].calls[0]), [503]);
        assert_eq!(only_cdr(&world).cause, cause);
    }
}

#[test]
fn an_answer_after_the_deadline_is_stale() {
    let mut config = config();
    config.jobs.late_permille = 1000;
    let world = one_call(config);
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    // The core gave up by itself at the deadline of 500 ms.
    assert!((505 * MS..530 * MS).contains(&world.vendors[0].calls[0].invited_us));
    assert_eq!(
        (world.stat(Stat::JobsTimedOut), world.stat(Stat::JobsStale)),
        (1, 1)
    );
}

#[test]
fn retransmissions_while_parked_are_absorbed() {
    let mut config = config();
    config.policy.lookup_deadline_us = 20 * SECOND;
    config.jobs.delay_min_us = 10 * SECOND;
    config.jobs.delay_max_us = 10 * SECOND;
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    // The caller never hears the 100: every INVITE is sent again.
    let caller = world.callers[0].agent.address;
    let lossy = sim::network::LinkQuality {
        duplicate_permille: 1000,
        ..sim::network::LinkQuality::CLEAN
    };
    world.network.set_link(caller, lossy);
    call(&mut world, CallPlan::default());
    assert_eq!(world.vendors[0].calls.len(), 1);
    assert!(world.stat(Stat::RequestsRetransmitted) >= 1);
    assert_eq!(only_cdr(&world).duration_us / SECOND, 10);
}

#[test]
fn with_strict_durability_the_2xx_waits_for_its_record() {
    let mut config = WorldConfig::default();
    config.policy.durability = Durability::Strict;
    config.jobs.delay_min_us = 40 * MS;
    config.jobs.delay_max_us = 40 * MS;
    let world = one_call(config);
    let call = &world.callers[0].calls[0];
    // 2.015 s at the proxy, 40 ms for the disk, 5 ms to the caller.
    assert_eq!(call.saw.finals[0].0, 2_060_000);
    assert_eq!(
        only_cdr(&world).answer_us,
        Some(sim::clock::WALL_START_US + 2_015_000)
    );
}

#[test]
fn a_cancel_while_the_2xx_waits_for_its_record_comes_too_late() {
    let mut config = WorldConfig::default();
    config.policy.durability = Durability::Strict;
    config.jobs.delay_min_us = 300 * MS;
    config.jobs.delay_max_us = 300 * MS;
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    // The 2xx reaches the proxy at 2.015 s and leaves it at 2.315 s; the CANCEL comes at 2.105 s.
    let plan = CallPlan {
        cancel: CancelPlan::After(2_100 * MS),
        ..CallPlan::default()
    };
    call(&mut world, plan);
    let call = &world.callers[0].calls[0];
    assert_eq!(
        (heard(call), call.saw.cancel_answer),
        (vec![200], Some(200))
    );
    assert!(world.vendors[0].calls[0].cancelled_us.is_none());
    assert!(only_cdr(&world).answer_us.is_some());
}

#[test]
fn a_caller_who_cancels_and_repeats_while_a_lookup_is_parked_is_answered_at_once() {
    let mut config = config();
    config.policy.lookup_deadline_us = 20 * SECOND;
    config.jobs.delay_min_us = 10 * SECOND;
    config.jobs.delay_max_us = 10 * SECOND;
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    let caller = world.callers[0].agent.address;
    let doubled = sim::network::LinkQuality {
        duplicate_permille: 1000,
        ..sim::network::LinkQuality::CLEAN
    };
    world.network.set_link(caller, doubled);
    let plan = CallPlan {
        cancel: CancelPlan::After(SECOND),
        ..CallPlan::default()
    };
    call(&mut world, plan);
    let call = &world.callers[0].calls[0];
    assert_eq!(heard(call), [487]);
    assert!(call.saw.finals[0].0 < 1_100 * MS);
    assert!(world.vendors[0].calls.is_empty());
    assert_eq!(world.stat(Stat::Attempts), 0);
}

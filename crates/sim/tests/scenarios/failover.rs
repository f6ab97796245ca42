//! The next vendor takes over, or nobody does.

use accounting::Cause;
use proxy_core::Stat;
use sim::clock::{MS, SECOND};
use sim::leg::Act;
use sim::peer_caller::CallPlan;
use sim::peer_vendor::{OnCancel, Outcome, VendorScript};
use sim::world::WorldConfig;

use crate::{
    answers_after, attempts, call, decimal, heard, only_cdr, stats, vendors_of, world, world_of,
};

//= proves RFC 3261 §16.5
#[test]
fn a_503_makes_the_next_vendor_be_tried() {
    let mut world = world_of(vec![VendorScript::refuse(503), VendorScript::default()]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    let cdr = only_cdr(&world);
    assert_eq!(
        attempts(cdr),
        [("v0", 503, Cause::Vendor5xx), ("v1", 200, Cause::Answered)]
    );
    assert_eq!(cdr.vendor.as_deref(), Some("v1"));
    assert_eq!(cdr.rated().vendor_price, Some(decimal("0.022")));
    assert_eq!(cdr.rated().attempts[0].price, Some(decimal("0")));
    assert_eq!(stats(&world, [Stat::Attempts, Stat::Failovers]), [2, 1]);
}

//= proves RFC 3261 §16.7(6)
#[test]
fn when_all_say_503_upstream_hears_500() {
    let mut world = world_of(vec![VendorScript::refuse(503), VendorScript::refuse(503)]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [500]);
    let cdr = only_cdr(&world);
    assert_eq!(cdr.status, 500);
    assert_eq!(
        attempts(cdr),
        [("v0", 503, Cause::Vendor5xx), ("v1", 503, Cause::Vendor5xx)]
    );
}

//= proves departure RFC 3261 §17.1.1.2
#[test]
fn a_silent_vendor_is_given_up_after_the_no_1xx_time() {
    let mut world = world_of(vec![VendorScript::silent(), VendorScript::default()]);
    call(&mut world, CallPlan::default());
    let cdr = only_cdr(&world);
    assert_eq!(
        attempts(cdr),
        [("v0", 0, Cause::TimeoutNo1xx), ("v1", 200, Cause::Answered)]
    );
    let gap_us = cdr.attempts[1].started_us - cdr.attempts[0].started_us;
    assert!((4_000_000..4_050_000).contains(&gap_us), "{gap_us}");
}

#[test]
fn a_vendor_that_rings_after_it_was_given_up_and_never_ends_leaves_nothing_behind() {
    let script = VendorScript {
        trying_us: None,
        rings: vec![(6 * SECOND, 180, false)],
        outcome: Outcome::Never,
        on_cancel: OnCancel::Ignore,
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script]);
    // The end asserts that no call, transaction or context is left.
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [408]);
    assert!(world.vendors[0].calls[0].cancelled_us.is_some());
    assert_eq!(only_cdr(&world).cause, Cause::TimeoutNo1xx);
}

//= proves RFC 3261 §16.8
#[test]
fn silence_everywhere_ends_in_408() {
    let mut world = world_of(vec![VendorScript::silent(), VendorScript::silent()]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [408]);
    let cdr = only_cdr(&world);
    assert_eq!(
        attempts(cdr),
        [
            ("v0", 0, Cause::TimeoutNo1xx),
            ("v1", 0, Cause::TimeoutNo1xx)
        ]
    );
    assert_eq!(cdr.cause, Cause::TimeoutNo1xx);
}

#[test]
fn a_vendor_that_rings_for_ever_is_cancelled() {
    let mut world = world_of(vec![
        VendorScript::rings_for_ever(),
        VendorScript::default(),
    ]);
    call(
        &mut world,
        CallPlan {
            patience_us: 400 * SECOND,
            ..CallPlan::default()
        },
    );
    // It has rung: nobody else is tried.
    assert_eq!(heard(&world.callers[0].calls[0]), [408]);
    assert!(world.vendors[0].calls[0].cancelled_us.is_some());
    assert!(world.vendors[1].calls.is_empty());
    let cdr = only_cdr(&world);
    assert_eq!(cdr.cause, Cause::TimeoutRing);
    assert_eq!(cdr.status, 408);
}

//= proves departure RFC 3261 §16.7(6)
//= proves departure RFC 3261 §16.7(7)
#[test]
fn challenges_and_redirections_of_vendors_stay_hidden() {
    for (status, cause) in [
        (401, Cause::VendorAuth),
        (407, Cause::VendorAuth),
        (302, Cause::VendorRedirect),
    ] {
        let mut world = world_of(vec![VendorScript::refuse(status), VendorScript::default()]);
        call(&mut world, CallPlan::default());
        assert_eq!(heard(&world.callers[0].calls[0]), [200]);
        assert_eq!(attempts(only_cdr(&world))[0], ("v0", status, cause));

        let mut world = world_of(vec![VendorScript::refuse(status)]);
        call(&mut world, CallPlan::default());
        let heard = heard(&world.callers[0].calls[0]);
        assert!(
            heard.len() == 1 && heard[0] >= 500,
            "{status} became {heard:?}"
        );
        assert_eq!(attempts(only_cdr(&world)), [("v0", status, cause)]);
    }
}

#[test]
fn a_vendor_that_rang_and_then_fails_ends_the_hunt() {
    let script = VendorScript {
        outcome: Outcome::Refuse(SECOND, 503),
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script, VendorScript::default()]);
    call(&mut world, CallPlan::default());
    assert_eq!(attempts(only_cdr(&world)), [("v0", 503, Cause::Vendor5xx)]);
    assert!(world.vendors[1].calls.is_empty());
}

#[test]
fn hunting_after_ringing_can_be_allowed() {
    let script = VendorScript {
        outcome: Outcome::Refuse(SECOND, 503),
        ..VendorScript::default()
    };
    let mut config = WorldConfig::default();
    config.policy.hunt_after_ringing = true;
    let mut world = world(config, vendors_of(vec![script, VendorScript::default()]));
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    assert_eq!(only_cdr(&world).attempts.len(), 2);
}

#[test]
fn a_vendor_given_up_on_that_answers_first_wins_and_the_other_is_cancelled() {
    let late = VendorScript {
        trying_us: None,
        rings: Vec::new(),
        outcome: Outcome::Answer(6 * SECOND),
        ..VendorScript::default()
    };
    let mut world = world_of(vec![late, answers_after(20 * SECOND)]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    let cdr = only_cdr(&world);
    assert_eq!(cdr.vendor.as_deref(), Some("v0"));
    assert!(cdr.attempts[0].answer_us.is_some() && cdr.attempts[1].answer_us.is_none());
    assert!(world.vendors[1].calls[0].cancelled_us.is_some());
    assert_eq!(cdr.rated().vendor_price, Some(decimal("0.011")));
}

//= proves RFC 3261 §16.7(5)
#[test]
fn two_answers_make_two_dialogs_and_both_are_billed() {
    let late = VendorScript {
        trying_us: None,
        rings: Vec::new(),
        outcome: Outcome::Answer(6 * SECOND),
        on_cancel: OnCancel::Ignore,
        ..VendorScript::default()
    };
    // Answers 2 ms after the first vendor: the CANCEL comes too late.
    let crossing = VendorScript {
        outcome: Outcome::Answer(2 * SECOND - 8 * MS),
        ..VendorScript::default()
    };
    let mut world = world_of(vec![late, crossing]);
    call(&mut world, CallPlan::default());
    let call = &world.callers[0].calls[0];
    assert_eq!(heard(call), [200, 200]);
    let cdr = only_cdr(&world);
    assert!(
        cdr.attempts
            .iter()
            .all(|attempt| attempt.answer_us.is_some() && attempt.duration_us > 0),
        "{cdr:#?}"
    );
    assert_eq!(world.stat(Stat::ExtraAnswers), 1);
    assert!(
        call.legs
            .iter()
            .all(|(_, leg)| leg.log.bye_answered.map(|(_, status)| status) == Some(200))
    );
}

#[test]
fn two_endpoints_behind_one_vendor_answer_and_both_dialogs_are_ended() {
    let script = VendorScript {
        fork_us: Some(20 * MS),
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script]);
    call(&mut world, CallPlan::default());
    let call = &world.callers[0].calls[0];
    assert_eq!(heard(call), [200, 200]);
    assert!(
        call.legs
            .iter()
            .all(|(_, leg)| leg.log.bye_answered.map(|(_, status)| status) == Some(200))
    );
    let cdr = only_cdr(&world);
    // One INVITE to one vendor is one attempt; it lasts as long as its longest dialog.
    assert_eq!(attempts(cdr), [("v0", 200, Cause::Answered)]);
    assert_eq!(cdr.duration_us, 10_010_000);
}

//= proves RFC 3261 §16.9
#[test]
fn an_unreachable_gateway_is_left_at_once() {
    let config = WorldConfig {
        icmp: true,
        ..WorldConfig::default()
    };
    let mut world = world(
        config,
        vendors_of(vec![VendorScript::default(), VendorScript::default()]),
    );
    world.vendors[0].up = false;
    call(
        &mut world,
        CallPlan {
            acts: vec![(SECOND, Act::Bye)],
            ..CallPlan::default()
        },
    );
    let cdr = only_cdr(&world);
    assert_eq!(
        attempts(cdr),
        [("v0", 0, Cause::Unreachable), ("v1", 200, Cause::Answered)]
    );
    assert!(cdr.attempts[1].started_us - cdr.attempts[0].started_us < 50_000);
}

#[test]
fn a_gateway_name_is_resolved_and_a_name_without_address_is_passed_over() {
    let mut config = WorldConfig::default();
    config.jobs.names.insert(
        "good.example".to_owned(),
        vec!["203.0.113.11:5060".parse().unwrap()],
    );
    let mut vendors = vendors_of(vec![VendorScript::default(), VendorScript::default()]);
    vendors[0].gateway = Some("bad.example".to_owned());
    vendors[1].gateway = Some("good.example".to_owned());
    let mut world = world(config, vendors);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    let cdr = only_cdr(&world);
    assert_eq!(cdr.vendor.as_deref(), Some("v1"));
    assert_eq!(world.stat(Stat::Parked), 2);
}

//! CANCEL at every moment of a call (RFC 3261 §9, §16.10).

use accounting::Cause;
use proxy_core::Stat;
use sim::agent::cancel_of;
use sim::clock::{MS, SECOND};
use sim::peer_caller::{CallPlan, CancelPlan};
use sim::peer_vendor::{OnCancel, Outcome, VendorScript};
use sim::world::WorldConfig;

use crate::{call, decimal, heard, only_cdr, stats, vendors_of, world, world_of};

fn cancels_after(us: u64) -> CallPlan {
    CallPlan {
        cancel: CancelPlan::After(us),
        ..CallPlan::default()
    }
}

//= proves RFC 3261 §16.10
#[test]
fn a_cancel_while_ringing_reaches_the_vendor_and_upstream_hears_487() {
    let mut world = world_of(vec![VendorScript::rings_for_ever()]);
    call(&mut world, cancels_after(SECOND));
    let call = &world.callers[0].calls[0];
    assert_eq!(
        (heard(call), call.saw.cancel_answer),
        (vec![487], Some(200))
    );
    assert_eq!(
        world.vendors[0].calls[0]
            .final_sent
            .map(|(_, status)| status),
        Some(487)
    );
    let cdr = only_cdr(&world);
    assert_eq!((cdr.status, cdr.cause), (487, Cause::Cancelled));
    assert_eq!(cdr.rated().customer_price, Some(decimal("0")));
    assert_eq!(stats(&world, [Stat::Cancels, Stat::AcksAbsorbed]), [1, 1]);
}

//= proves RFC 3261 §9.1
#[test]
fn a_cancel_before_any_provisional_waits_for_one_before_it_goes_on() {
    let slow = VendorScript {
        trying_us: Some(2 * SECOND),
        rings: Vec::new(),
        outcome: Outcome::Never,
        ..VendorScript::default()
    };
    let mut world = world_of(vec![slow]);
    call(&mut world, cancels_after(500 * MS));
    assert_eq!(heard(&world.callers[0].calls[0]), [487]);
    let vendor = &world.vendors[0].calls[0];
    assert!(vendor.cancelled_us.unwrap() >= vendor.invited_us + 2 * SECOND);
    assert_eq!(only_cdr(&world).cause, Cause::Cancelled);
}

#[test]
fn a_cancel_of_a_call_at_a_silent_vendor_ends_it_without_a_further_attempt() {
    let mut world = world_of(vec![VendorScript::silent(), VendorScript::default()]);
    call(&mut world, cancels_after(SECOND));
    assert_eq!(heard(&world.callers[0].calls[0]), [487]);
    assert!(world.vendors[1].calls.is_empty());
    assert_eq!(only_cdr(&world).attempts.len(), 1);
}

#[test]
fn a_cancel_between_attempts_stops_the_hunt() {
    let mut config = WorldConfig::default();
    config.jobs.delay_min_us = SECOND;
    config.jobs.delay_max_us = SECOND;
    config.jobs.names.insert(
        "slow.example".to_owned(),
        vec!["203.0.113.11:5060".parse().unwrap()],
    );
    let mut vendors = vendors_of(vec![VendorScript::refuse(503), VendorScript::default()]);
    vendors[1].gateway = Some("slow.example".to_owned());
    let mut world = world(config, vendors);
    call(&mut world, cancels_after(500 * MS));
    let call = &world.callers[0].calls[0];
    assert_eq!(
        (heard(call), call.saw.cancel_answer),
        (vec![487], Some(200))
    );
    assert!(call.saw.finals[0].0 < 600 * MS);
    assert!(world.vendors[1].calls.is_empty());
    assert_eq!(only_cdr(&world).cause, Cause::Cancelled);
}

#[test]
fn a_cancel_while_a_lookup_is_parked_ends_the_call_without_an_attempt() {
    let mut config = WorldConfig::default();
    config.customer.lookup = Some("SELECT 1".to_owned());
    config.jobs.delay_min_us = 400 * MS;
    config.jobs.delay_max_us = 400 * MS;
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    call(&mut world, cancels_after(100 * MS));
    assert_eq!(heard(&world.callers[0].calls[0]), [487]);
    assert!(world.vendors[0].calls.is_empty());
    let cdr = only_cdr(&world);
    assert_eq!((cdr.cause, cdr.attempts.len()), (Cause::Cancelled, 0));
    assert_eq!(stats(&world, [Stat::Parked, Stat::Attempts]), [1, 0]);
}

#[test]
fn a_2xx_after_the_cancel_is_let_through_and_billed() {
    let script = VendorScript {
        outcome: Outcome::Never,
        on_cancel: OnCancel::AnswerAnyway(10 * MS),
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script]);
    call(&mut world, cancels_after(SECOND));
    let call = &world.callers[0].calls[0];
    assert!(heard(call).contains(&200), "{:?}", heard(call));
    let cdr = only_cdr(&world);
    assert!(cdr.answer_us.is_some() && cdr.duration_us > 0);
    assert_eq!(cdr.rated().customer_price, Some(decimal("0.01")));
}

#[test]
fn a_2xx_that_crosses_the_cancel_wins() {
    // The CANCEL leaves at 2.005 s, the 2xx reaches the proxy at 2.015 s.
    let mut world = world_of(vec![VendorScript {
        outcome: Outcome::Answer(2 * SECOND),
        ..VendorScript::default()
    }]);
    call(&mut world, cancels_after(2 * SECOND + 5 * MS));
    assert_eq!(heard(&world.callers[0].calls[0]).last(), Some(&200));
    assert!(only_cdr(&world).answer_us.is_some());
}

#[test]
fn a_refusal_that_crosses_the_cancel_is_heard_as_487() {
    let busy = VendorScript {
        outcome: Outcome::Refuse(2 * SECOND, 486),
        ..VendorScript::default()
    };
    let mut world = world_of(vec![busy, VendorScript::default()]);
    call(&mut world, cancels_after(2 * SECOND + 5 * MS));
    assert_eq!(heard(&world.callers[0].calls[0]), [487]);
    assert!(world.vendors[1].calls.is_empty());
}

//= proves RFC 3261 §9.1
#[test]
fn a_vendor_that_ignores_the_cancel_does_not_keep_upstream_waiting_for_ever() {
    let script = VendorScript {
        on_cancel: OnCancel::Ignore,
        ..VendorScript::rings_for_ever()
    };
    let mut world = world_of(vec![script]);
    call(&mut world, cancels_after(SECOND));
    assert_eq!(heard(&world.callers[0].calls[0]), [487]);
    assert_eq!(only_cdr(&world).cause, Cause::Cancelled);
}

//= proves RFC 3261 §16.10
#[test]
fn a_cancel_that_matches_nothing_is_answered_481() {
    let mut world = world_of(vec![VendorScript::default()]);
    let invite = sim::sip_text::SipText::request("INVITE", "sip:1@192.0.2.1")
        .with(
            "Via",
            "SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKnone;rport",
        )
        .with("From", "<sip:x@198.51.100.10>;tag=1")
        .with("To", "<sip:1@192.0.2.1>")
        .with("Call-ID", "none")
        .with("CSeq", "1 INVITE");
    let (proxy, agent) = (
        sim::world::PROXY.parse().unwrap(),
        &mut world.callers[0].agent,
    );
    agent.start_client(0, cancel_of(&invite), proxy);
    world.run_until(SECOND);
    // Answered: the client transaction has ended its retransmissions.
    assert_eq!(world.network.counts().sent, 2);
    assert_eq!(world.stat(Stat::Cancels), 1);
    assert!(world.cdrs().is_empty());
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut world = world_of(vec![VendorScript::default()]);
    // The CANCEL reaches the proxy at 2.02 s, after the 2xx has left it.
    call(&mut world, cancels_after(2 * SECOND + 15 * MS));
    let call = &world.callers[0].calls[0];
    assert_eq!(
        (heard(call), call.saw.cancel_answer),
        (vec![200], Some(200))
    );
    assert!(world.vendors[0].calls[0].cancelled_us.is_none());
    assert!(only_cdr(&world).answer_us.is_some());
}

#[test]
fn a_cancel_that_crosses_the_180_ends_the_call() {
    // The 180 reaches the proxy at 215 ms, the CANCEL at 210 ms.
    let mut world = world_of(vec![VendorScript::rings_for_ever()]);
    call(&mut world, cancels_after(205 * MS));
    let call = &world.callers[0].calls[0];
    assert_eq!(
        (heard(call), call.saw.cancel_answer),
        (vec![487], Some(200))
    );
    assert_eq!(only_cdr(&world).cause, Cause::Cancelled);
}

#[test]
fn a_cancel_in_the_moment_of_its_invite_ends_the_call() {
    let mut world = world_of(vec![VendorScript::rings_for_ever()]);
    let plan = CallPlan {
        cancel: CancelPlan::Rudely(0),
        ..CallPlan::default()
    };
    call(&mut world, plan);
    let call = &world.callers[0].calls[0];
    assert_eq!(
        (heard(call), call.saw.cancel_answer),
        (vec![487], Some(200))
    );
    assert_eq!(only_cdr(&world).cause, Cause::Cancelled);
}

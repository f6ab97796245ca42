//! Calls that one vendor takes or refuses.

use accounting::{Cause, EndedBy};
use proxy_core::Stat;
use sim::clock::{MS, SECOND, WALL_START_US};
use sim::leg::Act;
use sim::peer_caller::CallPlan;
use sim::peer_vendor::VendorScript;
use sim::world::WorldConfig;

use crate::{attempts, call, decimal, finish, heard, only_cdr, stats, vendors_of, world, world_of};

//= proves RFC 3261 §13.2.2.4
//= proves RFC 3261 §16.11
//= proves RFC 3261 §16.7(3)
//= proves RFC 3261 §15.1.1
#[test]
fn a_normal_call_is_answered_hung_up_and_billed() {
    let mut world = world_of(vec![VendorScript::default()]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    let provisionals: Vec<u16> = world.callers[0].calls[0]
        .saw
        .provisionals
        .iter()
        .map(|heard| heard.1)
        .collect();
    assert_eq!(provisionals, [100, 180]);
    let cdr = only_cdr(&world);
    // 5 ms each way: the 2xx passes the proxy at 2.015 s, the BYE at 12.025 s.
    assert_eq!(cdr.setup_us, WALL_START_US + 5_000);
    assert_eq!(cdr.ring_us, Some(WALL_START_US + 215_000));
    assert_eq!(cdr.answer_us, Some(WALL_START_US + 2_015_000));
    assert_eq!(cdr.end_us, Some(WALL_START_US + 12_025_000));
    assert_eq!(cdr.duration_us, 10_010_000);
    assert_eq!(
        (cdr.status, cdr.cause, cdr.ended_by),
        (200, Cause::Answered, Some(EndedBy::Caller))
    );
    assert_eq!(attempts(cdr), [("v0", 200, Cause::Answered)]);
    let rated = cdr.rated();
    assert_eq!(rated.customer_billed_s, 11);
    assert_eq!(rated.customer_price, Some(decimal("0.11")));
    assert_eq!(rated.vendor_price, Some(decimal("0.011")));
    // INVITE, 100, 180, 200, ACK, BYE, 200.
    assert_eq!(
        stats(
            &world,
            [
                Stat::DatagramsIn,
                Stat::Invites,
                Stat::Attempts,
                Stat::CallsAnswered,
                Stat::CallsEnded
            ]
        ),
        [7, 1, 1, 1, 1]
    );
    assert_eq!(
        stats(
            &world,
            [
                Stat::AcksForwarded,
                Stat::ResponsesAbsorbed,
                Stat::ResponsesStray
            ]
        ),
        [1, 0, 0]
    );
    // 100 to the caller; INVITE, 180, 200, ACK, BYE, 200 through.
    assert_eq!(world.network.counts().sent, 14);
}

#[test]
fn the_callee_hangs_up_and_is_named() {
    let script = VendorScript {
        acts: vec![(3 * SECOND, Act::Bye)],
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script]);
    call(
        &mut world,
        CallPlan {
            acts: Vec::new(),
            ..CallPlan::default()
        },
    );
    let cdr = only_cdr(&world);
    assert_eq!(cdr.ended_by, Some(EndedBy::Callee));
    assert_eq!(cdr.duration_us, 3 * SECOND - 5 * MS + 5 * MS);
    assert_eq!(cdr.rated().customer_price, Some(decimal("0.03")));
}

#[test]
fn both_hang_up_at_once_and_one_cdr_is_written() {
    let script = VendorScript {
        acts: vec![(3 * SECOND + 10 * MS, Act::Bye)],
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script]);
    call(
        &mut world,
        CallPlan {
            acts: vec![(3 * SECOND, Act::Bye)],
            ..CallPlan::default()
        },
    );
    assert_eq!(only_cdr(&world).duration_us / SECOND, 3);
}

#[test]
fn a_busy_callee_ends_the_hunt() {
    let mut world = world_of(vec![VendorScript::refuse(486), VendorScript::default()]);
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [486]);
    let cdr = only_cdr(&world);
    assert_eq!((cdr.status, cdr.cause), (486, Cause::Busy));
    assert_eq!(attempts(cdr), [("v0", 486, Cause::Busy)]);
    assert_eq!(cdr.rated().customer_price, Some(decimal("0")));
    assert_eq!(world.stat(Stat::AcksAbsorbed), 1);
    assert!(world.vendors[1].calls.is_empty());
}

//= proves RFC 3261 §16.3(3)
#[test]
fn an_invite_without_hops_left_is_refused_with_483() {
    let mut world = world_of(vec![VendorScript::default()]);
    call(
        &mut world,
        CallPlan {
            max_forwards: 0,
            ..CallPlan::default()
        },
    );
    assert_eq!(heard(&world.callers[0].calls[0]), [483]);
    assert!(world.vendors[0].calls.is_empty());
}

#[test]
fn a_draining_proxy_takes_no_new_call_and_ends_the_old_one() {
    let mut world = world_of(vec![VendorScript::default()]);
    world.callers[0].plan(CallPlan::default());
    world.callers[0].plan(CallPlan {
        starts_us: 5 * SECOND,
        ..CallPlan::default()
    });
    world.run_until(4 * SECOND);
    world.set_draining(true);
    finish(&mut world);
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    assert_eq!(heard(&world.callers[0].calls[1]), [503]);
    assert_eq!(world.refused(Cause::Draining), 1);
}

//= proves departure RFC 3261 §16.1
#[test]
fn a_call_that_lasts_too_long_is_ended_to_both_sides() {
    let mut config = WorldConfig::default();
    config.policy.max_call_us = 30 * SECOND;
    let mut world = world(config, vendors_of(vec![VendorScript::default()]));
    call(
        &mut world,
        CallPlan {
            acts: Vec::new(),
            ..CallPlan::default()
        },
    );
    let cdr = only_cdr(&world);
    assert_eq!(
        (cdr.cause, cdr.ended_by),
        (Cause::MaxDuration, Some(EndedBy::Proxy))
    );
    assert_eq!(cdr.duration_us / SECOND, 30);
    assert_eq!(world.stat(Stat::OwnByes), 2);
    assert!(
        world.callers[0].calls[0]
            .first_leg()
            .unwrap()
            .bye_heard_us
            .is_some()
    );
    assert!(
        world.vendors[0].calls[0]
            .leg
            .as_ref()
            .unwrap()
            .log
            .bye_heard_us
            .is_some()
    );
}

#[test]
fn a_request_of_an_unknown_source_is_refused_and_added_up() {
    let mut world = world_of(vec![VendorScript::default()]);
    // A vendor's gateway is no customer.
    let proxy = sim::world::PROXY.parse().unwrap();
    let invite = sim::sip_text::SipText::request("INVITE", "sip:1@192.0.2.1")
        .with("Max-Forwards", "70")
        .with("From", "<sip:x@203.0.113.10>;tag=1")
        .with("To", "<sip:1@192.0.2.1>")
        .with("Call-ID", "stranger")
        .with("CSeq", "1 INVITE")
        .with("Contact", "<sip:x@203.0.113.10>");
    world.vendors[0].agent.start_client(0, invite, proxy);
    world.run_until(300 * SECOND);
    assert!(world.faults.is_empty(), "{:?}", world.faults);
    assert!(world.cdrs().is_empty());
    assert_eq!(
        world
            .tap
            .finals("stranger", world.vendors[0].agent.address)
            .iter()
            .map(|heard| heard.status)
            .collect::<Vec<_>>(),
        [403]
    );
    assert_eq!(world.refused(Cause::UnknownSource), 1);
    let refused: Vec<u64> = world
        .records
        .iter()
        .filter_map(|recorded| match &recorded.record {
            accounting::Record::Refused(refused) => Some(refused.count),
            _ => None,
        })
        .collect();
    assert_eq!(refused, [1]);
}

#[test]
fn a_reload_in_mid_call_changes_neither_its_price_nor_its_channels() {
    let mut world = world_of(vec![VendorScript::default(), VendorScript::default()]);
    world.callers[0].plan(CallPlan::default());
    world.callers[0].plan(CallPlan {
        starts_us: 7 * SECOND,
        ..CallPlan::default()
    });
    world.run_until(5 * SECOND);
    // The first vendor's price is ten times what it was, and the second one is taken out.
    world.reload(&[Some("0.60"), None]);
    finish(&mut world);
    let prices: Vec<_> = world
        .cdrs()
        .iter()
        .map(|cdr| cdr.rated().vendor_price)
        .collect();
    assert_eq!(prices, [Some(decimal("0.011")), Some(decimal("0.11"))]);
}

#[test]
fn a_vendor_taken_out_in_mid_call_can_still_hang_up() {
    let script = VendorScript {
        acts: vec![(8 * SECOND, Act::Bye)],
        ..VendorScript::default()
    };
    let mut world = world_of(vec![VendorScript::refuse(503), script]);
    world.callers[0].plan(CallPlan {
        acts: Vec::new(),
        ..CallPlan::default()
    });
    world.run_until(5 * SECOND);
    world.reload(&[Some("0.06"), None]);
    finish(&mut world);
    let cdr = only_cdr(&world);
    assert_eq!(cdr.ended_by, Some(EndedBy::Callee));
    assert_eq!(cdr.duration_us, 8 * SECOND);
}

/// Sends a request outside any dialog from the customer's host, and gives the statuses that came back.
fn ask(world: &mut sim::world::World, method: &str, uri: &str) -> Vec<String> {
    let proxy = sim::world::PROXY.parse().unwrap();
    let request = sim::sip_text::SipText::request(method, uri)
        .with("Max-Forwards", "70")
        .with("From", "<sip:x@198.51.100.10>;tag=1")
        .with("To", &format!("<{uri}>"))
        .with("Call-ID", &format!("{method}-{}", world.now_us))
        .with("CSeq", &format!("1 {method}"));
    let start_us = world.now_us;
    let here = world.callers[0].agent.address;
    world.callers[0]
        .agent
        .start_client(start_us, request, proxy);
    world.keep_replies = Some(here);
    world.run_until(start_us + 100 * MS);
    assert!(world.faults.is_empty(), "{:?}", world.faults);
    std::mem::take(&mut world.replies)
}

//= proves RFC 3261 §11.2
#[test]
fn options_to_the_proxy_itself_says_whether_it_takes_calls() {
    let mut world = world_of(vec![VendorScript::default()]);
    let heard = ask(&mut world, "OPTIONS", "sip:192.0.2.1:5060");
    assert!(
        heard.len() == 1 && heard[0].starts_with("SIP/2.0 200 "),
        "{heard:?}"
    );
    world.set_draining(true);
    let heard = ask(&mut world, "OPTIONS", "sip:192.0.2.1:5060");
    assert!(
        heard.len() == 1 && heard[0].starts_with("SIP/2.0 503 "),
        "{heard:?}"
    );
}

//= proves RFC 3261 §8.2.1
#[test]
fn a_refused_method_is_answered_405_with_allow_and_others_are_routed() {
    let mut world = world_of(vec![VendorScript::default()]);
    let heard = ask(&mut world, "REGISTER", "sip:192.0.2.1:5060");
    assert!(
        heard.len() == 1 && heard[0].starts_with("SIP/2.0 405 "),
        "{heard:?}"
    );
    assert!(heard[0].contains("\r\nAllow: "), "{heard:?}");
    let heard = ask(&mut world, "MESSAGE", "sip:4930123@192.0.2.1:5060");
    assert!(
        heard.len() == 1 && heard[0].starts_with("SIP/2.0 200 "),
        "{heard:?}"
    );
    assert_eq!(world.vendors[0].other, ["MESSAGE"]);
    world.run_until(60 * SECOND);
    assert_eq!((world.live_transactions(), world.cdrs().len()), (0, 0));
}

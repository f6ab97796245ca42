//! A BYE that is not one never stops the meter.

use accounting::EndedBy;
use sim::clock::SECOND;
use sim::leg::{Act, FOREIGN, Fraud, NOWHERE};
use sim::peer_caller::CallPlan;
use sim::peer_vendor::VendorScript;
use sim::world::World;

use crate::{call, only_cdr, world_of};

/// Frauds 2 s after the answer, hangs up in earnest at 20 s.
fn defrauds(fraud: Fraud, drop_route: bool) -> World {
    let mut world = world_of(vec![VendorScript::default()]);
    let acts = vec![(2 * SECOND, Act::Fraud(fraud)), (20 * SECOND, Act::Bye)];
    call(
        &mut world,
        CallPlan {
            acts,
            drop_route,
            ..CallPlan::default()
        },
    );
    world
}

fn answer_to_fraud(world: &World) -> u16 {
    world.callers[0].calls[0].first_leg().unwrap().answers[0].1
}

fn assert_billed_in_full(world: &World) {
    let cdr = only_cdr(world);
    assert_eq!(cdr.duration_us, 20_010_000);
    assert_eq!(cdr.ended_by, Some(EndedBy::Caller));
    let callee = &world.vendors[0].calls[0].leg.as_ref().unwrap().log;
    assert_eq!(callee.heard, ["ACK", "BYE"]);
}

#[test]
fn a_bye_without_hops_left() {
    let world = defrauds(Fraud::MaxForwardsZero, false);
    assert_eq!(answer_to_fraud(&world), 483);
    assert_billed_in_full(&world);
}

#[test]
fn a_bye_with_a_wrong_tag() {
    for drop_route in [false, true] {
        let world = defrauds(Fraud::WrongTag, drop_route);
        assert_eq!(answer_to_fraud(&world), 481);
        assert_billed_in_full(&world);
    }
}

//= proves departure RFC 3261 §12.2.2
#[test]
fn a_bye_with_a_cseq_already_used() {
    for drop_route in [false, true] {
        let world = defrauds(Fraud::LowCseq, drop_route);
        assert_eq!(answer_to_fraud(&world), 500);
        assert_billed_in_full(&world);
    }
}

#[test]
fn a_bye_from_a_foreign_source() {
    for drop_route in [false, true] {
        let world = defrauds(Fraud::ForeignSource, drop_route);
        assert_billed_in_full(&world);
        let foreign: std::net::SocketAddr = FOREIGN.parse().unwrap();
        let told: Vec<_> = world
            .to_nowhere
            .iter()
            .filter(|datagram| datagram.to == foreign)
            .collect();
        assert!(
            told.iter()
                .all(|datagram| datagram.bytes.starts_with(b"SIP/2.0 403")
                    || datagram.bytes.starts_with(b"SIP/2.0 481"))
        );
    }
}

//= proves departure RFC 3261 §16.6(6)
//= proves departure RFC 3261 §12.2
#[test]
fn a_bye_whose_second_route_leads_nowhere() {
    let world = defrauds(Fraud::RouteNowhere, false);
    assert_nothing_went_nowhere(&world);
    let cdr = only_cdr(&world);
    let callee = &world.vendors[0].calls[0].leg.as_ref().unwrap().log;
    // Either it was refused, or it went to the real callee and ended the call for real.
    match answer_to_fraud(&world) {
        200 => assert_eq!((cdr.duration_us, callee.heard.len()), (2_010_000, 2)),
        _ => assert_billed_in_full(&world),
    }
}

//= proves departure RFC 3261 §16.6(6)
//= proves departure RFC 3261 §12.2
#[test]
fn a_bye_whose_request_uri_leads_nowhere() {
    let world = defrauds(Fraud::TargetNowhere, true);
    assert_nothing_went_nowhere(&world);
    let cdr = only_cdr(&world);
    let callee = &world.vendors[0].calls[0].leg.as_ref().unwrap().log;
    match answer_to_fraud(&world) {
        200 => assert_eq!((cdr.duration_us, callee.heard.len()), (2_010_000, 2)),
        _ => assert_billed_in_full(&world),
    }
}

fn assert_nothing_went_nowhere(world: &World) {
    let nowhere: std::net::SocketAddr = NOWHERE.parse().unwrap();
    assert!(
        world
            .to_nowhere
            .iter()
            .all(|datagram| datagram.to != nowhere)
    );
}

#[test]
fn the_callee_cannot_stop_the_meter_either() {
    for fraud in [
        Fraud::MaxForwardsZero,
        Fraud::WrongTag,
        Fraud::LowCseq,
        Fraud::ForeignSource,
    ] {
        let script = VendorScript {
            acts: vec![(SECOND, Act::Info), (2 * SECOND, Act::Fraud(fraud))],
            ..VendorScript::default()
        };
        let mut world = world_of(vec![script]);
        call(
            &mut world,
            CallPlan {
                acts: vec![(20 * SECOND, Act::Bye)],
                ..CallPlan::default()
            },
        );
        assert_eq!(only_cdr(&world).duration_us, 20_010_000, "{fraud:?}");
    }
}

#[test]
fn a_bye_that_the_far_side_refuses_leaves_the_meter_running() {
    for status in [400, 403, 483, 500, 503, 603] {
        let script = VendorScript {
            bye_refusals: vec![status],
            ..VendorScript::default()
        };
        let mut world = world_of(vec![script]);
        let acts = vec![
            (2 * SECOND, Act::Fraud(Fraud::Collusion)),
            (20 * SECOND, Act::Bye),
        ];
        call(
            &mut world,
            CallPlan {
                acts,
                ..CallPlan::default()
            },
        );
        assert_eq!(answer_to_fraud(&world), status);
        assert_eq!(only_cdr(&world).duration_us, 20_010_000, "{status}");
    }
}

//= proves RFC 3261 §15.1.1
#[test]
fn a_bye_answered_481_ends_the_call_when_it_came() {
    let script = VendorScript {
        bye_refusals: vec![481],
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script]);
    world.callers[0].plan(CallPlan {
        acts: vec![(2 * SECOND, Act::Bye)],
        ..CallPlan::default()
    });
    world.run_until(200 * SECOND);
    assert_eq!(only_cdr(&world).duration_us, 2_010_000);
    assert_eq!((world.live_calls(), world.channels()), (0, vec![0, 0]));
}

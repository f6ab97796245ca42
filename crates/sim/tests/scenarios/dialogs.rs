//! Requests within the dialog: they pass, in order, whichever way the peers find to send them.

use accounting::Record;
use proxy_core::Stat;
use sim::clock::{MS, SECOND};
use sim::leg::Act;
use sim::peer_caller::CallPlan;
use sim::peer_vendor::VendorScript;
use sim::world::{VendorPlan, WorldConfig};

use crate::{call, only_cdr, vendors_of, world, world_of};

fn busy_dialog() -> (CallPlan, VendorScript) {
    let plan = CallPlan {
        acts: vec![
            (SECOND, Act::ReInvite),
            (3 * SECOND, Act::Update),
            (5 * SECOND, Act::Info),
            (8 * SECOND, Act::Bye),
        ],
        ..CallPlan::default()
    };
    let script = VendorScript {
        acts: vec![
            (2 * SECOND, Act::ReInvite),
            (4 * SECOND, Act::Update),
            (6 * SECOND, Act::Info),
        ],
        ..VendorScript::default()
    };
    (plan, script)
}

fn assert_busy_dialog(world: &sim::world::World) {
    let leg = world.callers[0].calls[0].first_leg().unwrap();
    assert_eq!(
        leg.answers,
        [(Act::ReInvite, 200), (Act::Update, 200), (Act::Info, 200)]
    );
    assert_eq!(leg.heard, ["INVITE", "ACK", "UPDATE", "INFO"]);
    let callee = &world.vendors[0].calls[0].leg.as_ref().unwrap().log;
    assert_eq!(
        callee.answers,
        [(Act::ReInvite, 200), (Act::Update, 200), (Act::Info, 200)]
    );
    assert_eq!(
        callee.heard,
        ["ACK", "INVITE", "ACK", "UPDATE", "INFO", "BYE"]
    );
    // 2xx at the proxy at 2.015 s, BYE at 10.025 s.
    assert_eq!(only_cdr(world).duration_us, 8_010_000);
}

//= proves RFC 3261 §12.2
//= proves RFC 3311 §5.1
//= proves RFC 3261 §16.4
#[test]
fn requests_of_both_sides_pass_by_route() {
    let (plan, script) = busy_dialog();
    let mut world = world_of(vec![script]);
    call(&mut world, plan);
    assert_busy_dialog(&world);
    assert!(
        world
            .records
            .iter()
            .any(|recorded| matches!(recorded.record, Record::Updated(_)))
    );
}

#[test]
fn requests_of_both_sides_pass_without_route() {
    for lanes in [1, 3] {
        let (plan, script) = busy_dialog();
        let config = WorldConfig {
            lanes,
            ..WorldConfig::default()
        };
        let mut world = world(
            config,
            vendors_of(vec![VendorScript {
                drop_route: true,
                ..script
            }]),
        );
        call(
            &mut world,
            CallPlan {
                drop_route: true,
                ..plan
            },
        );
        assert_busy_dialog(&world);
    }
}

#[test]
fn a_reliable_provisional_response_gets_its_prack() {
    let script = VendorScript {
        rings: vec![(100 * MS, 183, true), (400 * MS, 180, true)],
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script]);
    call(
        &mut world,
        CallPlan {
            reliable: true,
            ..CallPlan::default()
        },
    );
    assert_eq!(world.vendors[0].calls[0].pracks, 2);
    assert_eq!(only_cdr(&world).duration_us, 10_010_000);
}

#[test]
fn an_ack_and_a_bye_keep_their_order_while_a_contact_is_resolved() {
    // The ACK waits for the name in the vendor's Contact; the BYE that follows 1 ms later must wait behind it.
    for delay_us in [MS, 20 * MS, 300 * MS] {
        let mut config = WorldConfig::default();
        config.jobs.delay_min_us = delay_us;
        config.jobs.delay_max_us = delay_us;
        config.jobs.names.insert(
            "media.example".to_owned(),
            vec!["203.0.113.10:5060".parse().unwrap()],
        );
        let script = VendorScript {
            contact_host: Some("media.example".to_owned()),
            ..VendorScript::default()
        };
        let mut world = world(config, vendors_of(vec![script]));
        call(
            &mut world,
            CallPlan {
                acts: vec![(MS, Act::Bye)],
                ..CallPlan::default()
            },
        );
        let leg = world.vendors[0].calls[0].leg.as_ref().unwrap();
        assert_eq!(leg.log.heard, ["ACK", "BYE"]);
        assert!(world.stat(Stat::Parked) >= 1);
        assert_eq!(only_cdr(&world).duration_us, 11_000);
    }
}

#[test]
fn a_callee_reaches_a_caller_whose_contact_is_a_name() {
    let mut config = WorldConfig::default();
    config.jobs.names.insert(
        "pbx.example".to_owned(),
        vec!["198.51.100.10:5060".parse().unwrap()],
    );
    let script = VendorScript {
        acts: vec![(SECOND, Act::ReInvite), (2 * SECOND, Act::Bye)],
        ..VendorScript::default()
    };
    let mut world = world(config, vendors_of(vec![script]));
    let plan = CallPlan {
        acts: Vec::new(),
        contact_host: Some("pbx.example".to_owned()),
        ..CallPlan::default()
    };
    call(&mut world, plan);
    assert_eq!(
        world.callers[0].calls[0].first_leg().unwrap().heard,
        ["INVITE", "ACK", "BYE"]
    );
}

//= proves departure RFC 3263 §4
#[test]
fn a_contact_whose_name_does_not_resolve_is_reached_where_it_was_last_heard() {
    let script = VendorScript {
        contact_host: Some("nowhere.example".to_owned()),
        ..VendorScript::default()
    };
    let mut world = world_of(vec![script]);
    call(
        &mut world,
        CallPlan {
            acts: vec![(120 * SECOND, Act::Bye)],
            ..CallPlan::default()
        },
    );
    let leg = world.vendors[0].calls[0].leg.as_ref().unwrap();
    assert_eq!(leg.log.heard, ["ACK", "BYE"]);
    // The BYE waits for the name once more, and is billed from when it came.
    assert_eq!(only_cdr(&world).duration_us, 120_010_000);
}

#[test]
fn every_lane_carries_calls_and_no_dialog_is_swapped() {
    let config = WorldConfig {
        lanes: 3,
        ..WorldConfig::default()
    };
    let vendors = vec![VendorPlan::new("0.06", vec![VendorScript::default()])];
    let mut world = world(config, vendors);
    for number in 0..60 {
        let (plan, _) = busy_dialog();
        world.callers[0].plan(CallPlan {
            starts_us: number * 50 * MS,
            drop_route: number % 2 == 0,
            ..plan
        });
    }
    crate::finish(&mut world);
    assert_eq!(world.cdrs().len(), 60);
    assert_eq!(world.stat(Stat::ResponsesStray), 0);
    assert_eq!(world.stat(Stat::RequestsRetransmitted), 0);
}

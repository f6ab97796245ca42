//! Lanes that hand datagrams over through rings which take their time: two sources may change places, one never does.

use proxy_core::Stat;
use sim::agent::cancel_of;
use sim::clock::{MS, SECOND};
use sim::leg::Act;
use sim::peer_caller::CallPlan;
use sim::peer_vendor::VendorScript;
use sim::sip_text::SipText;
use sim::world::{Handoff, PROXY, World, WorldConfig};

use crate::{finish, vendors_of, world_of};

/// Twelve calls of two hosts, busy in their dialogs, over four lanes.
fn busy_lanes(seed: u64, keeps_order: bool) -> World {
    let config = WorldConfig {
        seed,
        lanes: 4,
        handoff: Some(Handoff {
            delay_min_us: 0,
            delay_max_us: 200 * MS,
            keeps_order,
        }),
        ..WorldConfig::default()
    };
    let script = VendorScript {
        acts: vec![(SECOND, Act::Info), (0, Act::Update)],
        ..VendorScript::default()
    };
    let mut world = World::new(config, 2, vendors_of(vec![script]));
    for number in 0..12 {
        let plan = CallPlan {
            starts_us: number * 30 * MS,
            // The BYE leaves in the moment of the ACK.
            acts: vec![(0, Act::Info), (0, Act::Bye)],
            ..CallPlan::default()
        };
        world.callers[usize::try_from(number).unwrap() % 2].plan(plan);
    }
    world
}

#[test]
fn messages_of_a_dialog_keep_their_order_on_the_way_between_lanes() {
    for seed in 0..20 {
        finish(&mut busy_lanes(seed, true));
    }
}

#[test]
fn a_ring_that_swaps_messages_is_noticed() {
    let swapped = (0..20).filter(|seed| {
        let mut world = busy_lanes(*seed, false);
        world.run_until_peers_are_done(300 * SECOND);
        world
            .faults
            .iter()
            .any(|fault| fault.contains("was overtaken by"))
    });
    assert!(swapped.count() > 0);
}

/// An INVITE that no scripted caller sent, with its Via.
fn invite(world: &mut World) -> SipText {
    let agent = &mut world.callers[0].agent;
    let mut invite = SipText::request("INVITE", "sip:4930123456@192.0.2.1")
        .with("Max-Forwards", "70")
        .with("From", "<sip:x@198.51.100.10>;tag=1")
        .with("To", "<sip:4930123456@192.0.2.1>")
        .with("Call-ID", "overtaken")
        .with("CSeq", "1 INVITE")
        .with("Contact", "<sip:x@198.51.100.10:5060>");
    agent.put_via(&mut invite);
    invite
}

/// Statuses that the caller's host heard, with the method they answer.
fn replies(world: &World) -> Vec<String> {
    let replies = world
        .replies
        .iter()
        .filter_map(|text| SipText::parse(text.as_bytes()));
    replies
        .filter(|reply| !reply.is_request())
        .map(|reply| format!("{} {}", reply.status(), reply.method()))
        .collect()
}

//= proves RFC 3261 §16.10
#[test]
fn a_cancel_that_overtakes_its_invite_is_answered_481_and_the_call_goes_on() {
    let mut world = world_of(vec![VendorScript::refuse(486)]);
    world.keep_replies = Some(world.callers[0].agent.address);
    let (invite, proxy) = (invite(&mut world), PROXY.parse().unwrap());
    let agent = &mut world.callers[0].agent;
    agent.start_client(0, cancel_of(&invite), proxy);
    agent.start_client(0, invite, proxy);
    world.run_until(10 * SECOND);
    assert_eq!(replies(&world), ["481 CANCEL", "100 INVITE", "486 INVITE"]);
    assert_eq!(world.vendors[0].calls.len(), 1);
    assert!(world.vendors[0].calls[0].cancelled_us.is_none());
    finish(&mut world);
}

#[test]
fn an_ack_that_overtakes_its_invite_is_dropped_and_counted() {
    let mut world = world_of(vec![VendorScript::refuse(486)]);
    world.keep_replies = Some(world.callers[0].agent.address);
    let (invite, proxy) = (invite(&mut world), PROXY.parse().unwrap());
    let mut ack = invite.clone();
    ack.start = ack.start.replace("INVITE", "ACK");
    ack.set("CSeq", "1 ACK");
    let agent = &mut world.callers[0].agent;
    agent.send(proxy, ack.encode());
    agent.start_client(0, invite, proxy);
    world.run_until(10 * SECOND);
    assert_eq!(world.stat(Stat::AcksDropped), 1);
    assert_eq!(replies(&world), ["100 INVITE", "486 INVITE"]);
    finish(&mut world);
}

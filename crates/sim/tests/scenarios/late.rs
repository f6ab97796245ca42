//! Responses that come late, twice, or after their transaction has ended.

use proxy_core::Stat;
use sim::clock::SECOND;
use sim::network::{Datagram, LinkQuality};
use sim::peer_caller::CallPlan;
use sim::peer_vendor::{Outcome, VendorScript};
use sim::sip_text::SipText;
use sim::world::{VendorPlan, World, WorldConfig};

use crate::{answers_after, call, finish, heard, only_cdr, stats, world};

fn watched(script: VendorScript) -> World {
    let config = WorldConfig {
        keep_traffic: true,
        ..WorldConfig::default()
    };
    world(config, vec![VendorPlan::new("0.06", vec![script])])
}

/// The vendor's response of that status, as it reached the proxy.
fn response(world: &World, status: u16) -> Datagram {
    let vendor = world.vendors[0].agent.address;
    let mut seen = world.traffic().iter().map(|(_, datagram)| datagram);
    let found = seen.find(|datagram| {
        datagram.from == vendor
            && SipText::parse(&datagram.bytes).is_some_and(|message| message.status() == status)
    });
    found.unwrap().clone()
}

#[test]
fn every_datagram_twice_makes_one_call() {
    let mut world = watched(VendorScript::default());
    let doubled = LinkQuality {
        duplicate_permille: 1000,
        ..LinkQuality::CLEAN
    };
    for address in [
        world.vendors[0].agent.address,
        world.callers[0].agent.address,
    ] {
        world.network.set_link(address, doubled);
    }
    call(&mut world, CallPlan::default());
    assert_eq!(heard(&world.callers[0].calls[0]), [200]);
    assert_eq!(world.vendors[0].calls.len(), 1);
    assert_eq!(
        stats(
            &world,
            [
                Stat::Invites,
                Stat::CallsAnswered,
                Stat::CallsEnded,
                Stat::ExtraAnswers
            ]
        ),
        [1, 1, 1, 0]
    );
    assert!(only_cdr(&world).duration_us > 9 * SECOND);
}

//= proves RFC 6026 §8.4
#[test]
fn a_180_that_comes_after_the_200_goes_no_further() {
    let mut world = watched(answers_after(2 * SECOND));
    world.callers[0].plan(CallPlan::default());
    world.run_until(SECOND);
    let ringing = response(&world, 180);
    world.run_until(4 * SECOND);
    let provisionals = world.callers[0].calls[0].saw.provisionals.len();
    let absorbed = world.stat(Stat::ResponsesAbsorbed);
    world.network.send(world.now_us, ringing);
    world.run_until(5 * SECOND);
    assert_eq!(world.stat(Stat::ResponsesAbsorbed), absorbed + 1);
    assert_eq!(
        world.callers[0].calls[0].saw.provisionals.len(),
        provisionals
    );
    finish(&mut world);
}

#[test]
fn a_refusal_again_after_its_ack_is_acknowledged_again_and_goes_no_further() {
    let mut world = watched(VendorScript {
        outcome: Outcome::Refuse(SECOND, 486),
        ..VendorScript::default()
    });
    world.callers[0].plan(CallPlan::default());
    world.run_until(2 * SECOND);
    let busy = response(&world, 486);
    let sent = world.network.counts().sent;
    world.network.send(world.now_us, busy);
    world.run_until(3 * SECOND);
    // The copy itself, and the ACK that the client transaction makes again.
    assert_eq!(world.network.counts().sent, sent + 2);
    assert_eq!(heard(&world.callers[0].calls[0]), [486]);
    finish(&mut world);
}

//= proves RFC 6026 §7.3
#[test]
fn a_200_after_its_transaction_has_ended_is_dropped_and_counted() {
    let mut world = watched(answers_after(2 * SECOND));
    world.callers[0].plan(CallPlan::default());
    world.run_until(3 * SECOND);
    let answer = response(&world, 200);
    world.run_until(60 * SECOND);
    let sent = world.network.counts().sent;
    world.network.send(world.now_us, answer);
    world.run_until(61 * SECOND);
    assert_eq!(world.network.counts().sent, sent + 1);
    assert_eq!(world.stat(Stat::ResponsesStray), 1);
    finish(&mut world);
}

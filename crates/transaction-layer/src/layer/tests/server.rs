//! Server transactions through the layer.

use crate::fixture::{Request, World, parsed, tick_us};
use crate::{RequestArrival, TransactionEvent, Transport};

const BRANCH: &str = "z9hG4bKpeer";

fn invite() -> Request {
    Request::new("INVITE", BRANCH)
}

//= proves RFC 3261 §17.2.1
#[test]
fn a_repeated_invite_gets_the_last_provisional_again() {
    let mut world = World::new(Transport::Udp);
    let server = world.serve(&invite(), 5);
    assert_eq!(
        world.request(&invite().bytes()),
        RequestArrival::Retransmission
    );
    assert_eq!(world.sent(), [], "there is nothing to repeat yet");
    for status in [100, 180] {
        assert!(world.respond(server, status, &invite().response(status, "t")));
        let first = world.sent();
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].0, "198.51.100.7:40000", "rport is honoured");
        assert_eq!(
            world.request(&invite().bytes()),
            RequestArrival::Retransmission
        );
        assert_eq!(world.sent(), first);
    }
    assert_eq!(world.run_until(3_600_000_000), []);
    assert_eq!(world.layer.live_servers(), 1, "the TU ends it");
}

//= proves RFC 6026 §8.8
#[test]
fn a_server_transaction_stays_in_its_state_when_its_peer_cannot_be_reached() {
    for status in [180, 200, 486] {
        let mut world = World::new(Transport::Udp);
        let server = world.serve(&invite(), 5);
        assert!(world.respond(server, status, &invite().response(status, "t")));
        let remote = world.layer.server_flow(server).unwrap().remote;
        let sent = world.sent();
        world.unreachable(remote);
        assert_eq!(world.take_events(), [], "{status}");
        assert_eq!(world.layer.live_servers(), 1, "{status}");
        let again = world.request(&invite().bytes());
        assert_eq!(again, RequestArrival::Retransmission);
        // After a 2xx the far end takes care of its repetition.
        let expected = if status == 200 { Vec::new() } else { sent };
        assert_eq!(world.sent(), expected, "{status}");
    }
}

//= proves RFC 3261 §17.2.1
#[test]
fn timer_g_repeats_a_refusal_up_to_t2_until_timer_h() {
    let mut world = World::new(Transport::Udp);
    let server = world.serve(&invite(), 5);
    assert!(world.respond(server, 486, &invite().response(486, "t")));
    world.outbox.clear();
    let repeated = world.run_until(100_000_000);
    let mut at_ms = 0;
    let expected: Vec<_> = [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000]
        .iter()
        .map(|ms| {
            at_ms += ms;
            (tick_us(at_ms * 1000), "486".to_owned())
        })
        .collect();
    assert_eq!(repeated, expected);
    assert_eq!(
        world.take_events(),
        [TransactionEvent::AckTimeout { server, user: 5 }]
    );
    assert_eq!(world.layer.live().total(), 0);
}

#[test]
fn over_tcp_a_refusal_is_sent_once_and_still_waits_for_its_ack() {
    let mut world = World::new(Transport::Tcp);
    let server = world.serve(&invite(), 5);
    assert!(world.respond(server, 486, &invite().response(486, "t")));
    world.outbox.clear();
    assert_eq!(world.run_until(100_000_000), []);
    assert_eq!(
        world.take_events(),
        [TransactionEvent::AckTimeout { server, user: 5 }]
    );
}

//= proves RFC 3261 §17.2.3(3)
#[test]
fn the_ack_for_a_refusal_stops_it_and_repeated_acks_are_absorbed_for_t4() {
    let mut world = World::new(Transport::Udp);
    let server = world.serve(&invite(), 5);
    assert!(world.respond(server, 486, &invite().response(486, "t")));
    world.outbox.clear();
    let ack = Request::new("ACK", BRANCH).bytes();
    assert_eq!(
        world.request(&ack),
        RequestArrival::AckNon2xx { server, user: 5 }
    );
    assert_eq!(world.request(&ack), RequestArrival::Retransmission);
    // The INVITE may have been overtaken by the ACK: absorbed without an answer.
    assert_eq!(
        world.request(&invite().bytes()),
        RequestArrival::Retransmission
    );
    assert_eq!(world.sent(), []);
    assert_eq!(world.run_until(tick_us(5_000_000) - 1), []);
    assert_eq!(world.take_events(), []);
    world.run_until(tick_us(5_000_000));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ServerTerminated { server, user: 5 }]
    );
    assert_eq!(world.request(&ack), RequestArrival::StrayAck);
}

//= proves RFC 6026 §7.1
//= proves RFC 6026 §8.7
#[test]
fn after_a_2xx_invites_are_absorbed_and_acks_and_further_2xx_pass_until_timer_l() {
    let mut world = World::new(Transport::Udp);
    let server = world.serve(&invite(), 5);
    for tag in ["one", "one", "two"] {
        assert!(world.respond(server, 200, &invite().response(200, tag)));
        assert_eq!(world.sent().len(), 1);
    }
    for status in [180, 486] {
        assert!(!world.respond(server, status, &invite().response(status, "t")));
    }
    assert_eq!(
        world.request(&invite().bytes()),
        RequestArrival::Retransmission
    );
    assert_eq!(world.sent(), []);
    // RFC 6026 §8.7: even one with the INVITE's branch goes to the TU.
    for branch in [BRANCH, "z9hG4bKother"] {
        let ack = Request::new("ACK", branch).bytes();
        assert_eq!(world.request(&ack), RequestArrival::StrayAck);
    }
    assert_eq!(world.run_until(tick_us(32_000_000) - 1), []);
    assert_eq!(world.take_events(), []);
    world.run_until(tick_us(32_000_000));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ServerTerminated { server, user: 5 }]
    );
    assert!(
        !world.respond(server, 200, &invite().response(200, "one")),
        "RFC 6026 §8.3: a response without a transaction is discarded"
    );
    assert_eq!(world.sent(), []);
}

#[test]
fn a_second_final_is_refused() {
    for first in [302, 486, 603] {
        let mut world = World::new(Transport::Udp);
        let server = world.serve(&invite(), 5);
        assert!(world.respond(server, first, &invite().response(first, "t")));
        world.outbox.clear();
        for status in [180, 200, 487] {
            assert!(!world.respond(server, status, &invite().response(status, "t")));
        }
        assert_eq!(world.sent(), []);
        assert_eq!(
            world.request(&invite().bytes()),
            RequestArrival::Retransmission
        );
        assert!(world.sent()[0].1.starts_with(&format!("SIP/2.0 {first} ")));
    }
}

//= proves RFC 3261 §17.2.2
#[test]
fn a_repeated_request_gets_its_final_again_for_64_t1() {
    let mut world = World::new(Transport::Udp);
    let request = Request::new("BYE", BRANCH);
    let server = world.serve(&request, 5);
    assert_eq!(
        world.request(&request.bytes()),
        RequestArrival::Retransmission
    );
    assert_eq!(world.sent(), []);
    assert!(world.respond(server, 200, &request.response(200, "t")));
    let first = world.sent();
    assert!(!world.respond(server, 500, &request.response(500, "t")));
    world.run_until(tick_us(32_000_000) - 1);
    assert_eq!(
        world.request(&request.bytes()),
        RequestArrival::Retransmission
    );
    assert_eq!(world.sent(), first);
    assert_eq!(world.take_events(), []);
    world.run_until(tick_us(32_000_000));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ServerTerminated { server, user: 5 }]
    );
    assert_eq!(world.request(&request.bytes()), RequestArrival::New);
}

#[test]
fn an_ack_before_any_final_confirms_nothing() {
    let mut world = World::new(Transport::Udp);
    let server = world.serve(&invite(), 5);
    let ack = Request::new("ACK", BRANCH).bytes();
    assert_eq!(world.request(&ack), RequestArrival::StrayAck);
    assert!(world.respond(server, 486, &invite().response(486, "t")));
}

//= proves RFC 3261 §9.2
#[test]
fn a_cancel_is_new_and_finds_its_invite() {
    let mut world = World::new(Transport::Udp);
    let server = world.serve(&invite(), 5);
    let cancel = Request::new("CANCEL", BRANCH);
    assert_eq!(world.cancelled(&cancel), Some((server, 5, false)));
    let cancel_server = world.serve(&cancel, 6);
    assert_ne!(cancel_server, server);
    assert!(world.respond(cancel_server, 200, &cancel.response(200, "t")));
    world.outbox.clear();
    assert_eq!(
        world.request(&cancel.bytes()),
        RequestArrival::Retransmission
    );
    assert!(world.sent()[0].1.contains("CSeq: 4711 CANCEL"));

    assert!(world.respond(server, 487, &invite().response(487, "t")));
    assert_eq!(world.cancelled(&cancel), Some((server, 5, true)));

    assert_eq!(world.cancelled(&Request::new("CANCEL", "z9hG4bKx")), None);
    let mut other_host = cancel.clone();
    other_host.via = format!("SIP/2.0/UDP 198.51.100.8:5070;branch={BRANCH}");
    assert_eq!(world.cancelled(&other_host), None);
}

#[test]
fn a_cancel_does_not_find_a_transaction_of_another_method() {
    let mut world = World::new(Transport::Udp);
    world.serve(&Request::new("OPTIONS", BRANCH), 5);
    assert_eq!(world.cancelled(&Request::new("CANCEL", BRANCH)), None);
}

//= proves RFC 3261 §17.2.3
//= proves RFC 3261 §9.2
#[test]
fn an_rfc_2543_invite_its_ack_and_its_cancel_match() {
    let mut world = World::new(Transport::Udp);
    let invite = Request::legacy("INVITE");
    let server = world.serve(&invite, 5);
    assert_eq!(
        world.request(&invite.bytes()),
        RequestArrival::Retransmission
    );
    let mut next = invite.clone();
    next.cseq += 1;
    assert_eq!(world.request(&next.bytes()), RequestArrival::New);
    let mut tagged = invite.clone();
    tagged.to_tag = "t";
    assert_eq!(world.request(&tagged.bytes()), RequestArrival::New);
    assert_eq!(
        world.cancelled(&Request::legacy("CANCEL")),
        Some((server, 5, false))
    );
    assert!(world.respond(server, 486, &invite.response(486, "mine")));
    assert_eq!(
        world.sent()[0].0,
        "198.51.100.7:5070",
        "no rport: the port of the sent-by"
    );

    let mut ack = Request::legacy("ACK");
    ack.to_tag = "another";
    assert_eq!(
        world.request(&ack.bytes()),
        RequestArrival::StrayAck,
        "the To tag must be that of the response"
    );
    ack.to_tag = "mine";
    assert_eq!(
        world.request(&ack.bytes()),
        RequestArrival::AckNon2xx { server, user: 5 }
    );
    assert_eq!(world.request(&ack.bytes()), RequestArrival::Retransmission);
}

#[test]
fn an_rfc_2543_ack_for_a_2xx_goes_to_the_tu() {
    // RFC 6026 §6: its key is that of the INVITE, which is in Accepted.
    let mut world = World::new(Transport::Udp);
    let invite = Request::legacy("INVITE");
    let server = world.serve(&invite, 5);
    assert!(world.respond(server, 200, &invite.response(200, "mine")));
    let mut ack = Request::legacy("ACK");
    ack.to_tag = "mine";
    assert_eq!(world.request(&ack.bytes()), RequestArrival::StrayAck);
}

//= proves RFC 4320 §4.2
#[test]
fn a_server_without_a_final_can_be_abandoned_and_its_id_is_then_stale() {
    for method in ["INVITE", "OPTIONS"] {
        let mut world = World::new(Transport::Udp);
        let request = Request::new(method, BRANCH);
        let old = world.serve(&request, 5);
        assert!(world.layer.abandon_server(world.now_us, old));
        assert_eq!(world.layer.live().total(), 0);
        let new = world.serve(&request, 6);
        assert_ne!(old, new);
        assert!(!world.layer.abandon_server(world.now_us, old));
        assert!(!world.respond(old, 200, &request.response(200, "t")));
        assert!(world.layer.server_flow(old).is_none());
        assert!(world.respond(new, 404, &request.response(404, "t")));
        assert!(!world.layer.abandon_server(world.now_us, new));
    }
}

#[test]
fn live_counts_are_by_kind() {
    let mut world = World::new(Transport::Udp);
    world.serve(&invite(), 1);
    world.serve(&Request::new("BYE", "z9hG4bKb"), 2);
    world.serve(&Request::new("BYE", "z9hG4bKc"), 3);
    world.call(&Request::new("INVITE", "z9hG4bKd"), "z9hG4bKd", 4);
    let live = world.layer.live();
    assert_eq!(
        (
            live.server_invite,
            live.server_non_invite,
            live.client_invite,
            live.client_non_invite
        ),
        (1, 2, 1, 0)
    );
    assert_eq!(
        (world.layer.live_servers(), world.layer.live_clients()),
        (3, 1)
    );
    parsed(&invite().bytes(), |message| assert!(message.is_request()));
}

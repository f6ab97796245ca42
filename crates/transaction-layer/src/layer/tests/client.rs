//! Client transactions through the layer.

use sip_parser::Method;

use crate::fixture::{Request, START_US, World, parsed, tick_us};
use crate::{ResponseArrival, TransactionEvent, Transport};

const BRANCH: &str = "z9hG4bK-branch-1";

fn invite() -> Request {
    Request::new("INVITE", BRANCH)
}

/// Sums of intervals, µs, as a driver sees them: at the tick.
fn schedule(intervals_ms: &[u64], word: &str) -> Vec<(u64, String)> {
    let mut at_us = 0;
    intervals_ms
        .iter()
        .map(|ms| {
            at_us += ms * 1000;
            (tick_us(at_us), word.to_owned())
        })
        .collect()
}

//= proves RFC 3261 §17.1.1.2
#[test]
fn timer_a_doubles_and_timer_b_ends_it_without_an_ack() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&invite(), BRANCH, 9);
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, "203.0.113.9:5060");
    let repeated = world.run_until(100_000_000);
    // RFC 3261 §17.1.1.2: seven requests in 64·T1, the first included.
    assert_eq!(
        repeated,
        schedule(&[500, 1000, 2000, 4000, 8000, 16000], "INVITE")
    );
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ClientTimeout { client, user: 9 }]
    );
    assert_eq!(world.layer.live().total(), 0);
    assert_eq!(world.layer.next_deadline_us(), None);
}

#[test]
fn timer_b_fires_at_64_t1_over_tcp_and_nothing_is_repeated() {
    let mut world = World::new(Transport::Tcp);
    let client = world.call(&invite(), BRANCH, 9);
    world.outbox.clear();
    assert_eq!(world.run_until(tick_us(32_000_000) - 1), []);
    assert_eq!(world.take_events(), []);
    assert_eq!(world.run_until(tick_us(32_000_000)), []);
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ClientTimeout { client, user: 9 }]
    );
}

#[test]
fn timer_e_doubles_up_to_t2_until_timer_f() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&Request::new("BYE", BRANCH), BRANCH, 9);
    world.outbox.clear();
    let repeated = world.run_until(100_000_000);
    let intervals = [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000];
    assert_eq!(repeated, schedule(&intervals, "BYE"));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ClientTimeout { client, user: 9 }]
    );
}

//= proves RFC 3261 §17.1.2.2
#[test]
fn after_a_provisional_timer_e_takes_t2_and_timer_f_stays() {
    let mut world = World::new(Transport::Udp);
    let request = Request::new("BYE", BRANCH);
    let client = world.call(&request, BRANCH, 9);
    world.outbox.clear();
    world.run_until(600_000);
    let arrival = world.response(&request.response(100, "t"));
    assert_eq!(arrival, ResponseArrival::Deliver { client, user: 9 });
    assert!(world.layer.client_has_provisional(client));
    // The running interval ends at 1.5 s; then every T2.
    let repeated = world.run_until(100_000_000);
    let intervals = [1500, 4000, 4000, 4000, 4000, 4000, 4000, 4000];
    assert_eq!(repeated, schedule(&intervals, "BYE"));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ClientTimeout { client, user: 9 }]
    );
}

#[test]
fn a_late_driver_does_not_send_in_bursts() {
    let mut world = World::new(Transport::Udp);
    world.call(&invite(), BRANCH, 9);
    world.outbox.clear();
    world.now_us += 10_000_000;
    world
        .layer
        .expire(world.now_us, &mut world.outbox, &mut world.events);
    assert_eq!(world.sent().len(), 1);
    let next = world.run_until(11_500_000);
    assert_eq!(next.len(), 1, "one interval later, not at once");
    assert!(next[0].0 > 10_900_000);
}

#[test]
fn a_provisional_stops_the_repetition_of_an_invite_for_good() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&invite(), BRANCH, 9);
    world.outbox.clear();
    assert!(!world.layer.client_has_provisional(client));
    for status in [100, 180, 183, 180] {
        let arrival = world.response(&invite().response(status, "t"));
        assert_eq!(arrival, ResponseArrival::Deliver { client, user: 9 });
    }
    assert!(world.layer.client_has_provisional(client));
    assert_eq!(world.run_until(3_600_000_000), []);
    assert_eq!(world.take_events(), []);
    assert_eq!(world.layer.live_clients(), 1, "the TU's Timer C ends it");
    assert_eq!(world.layer.next_deadline_us(), None);
}

//= proves RFC 3261 §17.1.1.2
#[test]
fn a_refusal_is_delivered_once_and_acknowledged_each_time() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&invite(), BRANCH, 9);
    world.outbox.clear();
    let busy = invite().response(486, "callee");
    assert_eq!(
        world.response(&busy),
        ResponseArrival::Deliver { client, user: 9 }
    );
    let first = world.sent();
    assert_eq!(first.len(), 1);
    assert_eq!(
        world.layer.client_request(client),
        None,
        "it is the ACK now"
    );
    for _ in 0..3 {
        assert_eq!(
            world.response(&busy),
            ResponseArrival::Absorbed { client, user: 9 }
        );
        assert_eq!(world.sent(), first);
    }
    // A provisional or a 2xx after it is absorbed, and gets no ACK.
    for status in [180, 200] {
        assert_eq!(
            world.response(&invite().response(status, "callee")),
            ResponseArrival::Absorbed { client, user: 9 }
        );
        assert_eq!(world.sent(), []);
    }
    assert_eq!(world.run_until(tick_us(32_000_000) - 1), []);
    assert_eq!(world.take_events(), []);
    world.run_until(tick_us(32_000_000));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ClientTerminated { client, user: 9 }]
    );
    assert_eq!(world.response(&busy), ResponseArrival::Stray);
}

//= proves RFC 3261 §17.1.1.3
#[test]
fn the_ack_is_made_as_section_17_1_1_3_says() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut world = World::new(transport);
        world.call(&invite(), BRANCH, 9);
        world.outbox.clear();
        world.response(&invite().response(503, "callee"));
        let sent = world.sent();
        let [(to, ack)] = sent.as_slice() else {
            panic!("one ACK, not {sent:?}");
        };
        assert_eq!(to, "203.0.113.9:5060");
        parsed(ack.as_bytes(), |ack| {
            parsed(&invite().bytes(), |invite| {
                assert_eq!(ack.method(), Method::Ack);
                assert_eq!(ack.request_uri(), invite.request_uri());
                assert_eq!(ack.call_id(), invite.call_id());
                assert_eq!(ack.from_tag(), invite.from_tag());
                assert_eq!(ack.to_tag(), Some(&b"callee"[..]));
                assert_eq!(ack.cseq().number, invite.cseq().number);
                assert_eq!(ack.vias().count(), 1);
                assert_eq!(
                    ack.top_via().unwrap().value,
                    invite.top_via().unwrap().value
                );
                assert_eq!(ack.routes().count(), 1);
            });
        });
    }
}

#[test]
fn over_tcp_a_refused_invite_is_gone_at_the_next_tick() {
    let mut world = World::new(Transport::Tcp);
    let client = world.call(&invite(), BRANCH, 9);
    world.response(&invite().response(503, "t"));
    world.run_until(tick_us(1));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ClientTerminated { client, user: 9 }]
    );
}

//= proves RFC 6026 §7.2
//= proves RFC 6026 §7.3
#[test]
fn every_2xx_is_delivered_until_timer_m_and_then_none() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&invite(), BRANCH, 9);
    world.response(&invite().response(180, "one"));
    world.outbox.clear();
    // The same again, and that of another fork.
    for tag in ["one", "one", "two"] {
        let arrival = world.response(&invite().response(200, tag));
        assert_eq!(arrival, ResponseArrival::Deliver { client, user: 9 });
    }
    for status in [180, 486] {
        let arrival = world.response(&invite().response(status, "three"));
        assert_eq!(arrival, ResponseArrival::Absorbed { client, user: 9 });
    }
    assert_eq!(world.sent(), [], "the ACK for a 2xx is the TU's");
    assert_eq!(world.layer.client_request(client), None);
    world.run_until(tick_us(32_000_000) - 1);
    assert_eq!(
        world.response(&invite().response(200, "one")),
        ResponseArrival::Deliver { client, user: 9 }
    );
    world.run_until(tick_us(32_000_000));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ClientTerminated { client, user: 9 }]
    );
    assert_eq!(
        world.response(&invite().response(200, "one")),
        ResponseArrival::Stray,
        "RFC 6026 §7.3: a late 2xx without a transaction is not forwarded"
    );
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_delivered() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&invite(), BRANCH, 9);
    world.response(&invite().response(180, "t"));
    let cancel_request = Request::new("CANCEL", BRANCH);
    let cancel = world.call(&cancel_request, BRANCH, 10);
    assert_ne!(client, cancel);
    assert_eq!(
        world.response(&cancel_request.response(200, "t")),
        ResponseArrival::Deliver {
            client: cancel,
            user: 10
        },
        "the CSeq method tells the CANCEL from its INVITE"
    );
    assert_eq!(
        world.response(&invite().response(200, "t")),
        ResponseArrival::Deliver { client, user: 9 }
    );
}

#[test]
fn an_abandoned_invite_is_gone_and_a_late_2xx_is_stray() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&invite(), BRANCH, 9);
    world.response(&invite().response(180, "t"));
    assert_eq!(
        world.layer.client_request(client),
        Some(&invite().bytes()[..])
    );
    assert!(world.layer.abandon_client(world.now_us, client));
    assert!(!world.layer.abandon_client(world.now_us, client));
    assert_eq!(
        world.response(&invite().response(200, "t")),
        ResponseArrival::Stray
    );
    assert_eq!(world.layer.live().total(), 0);
    assert_eq!(world.layer.client_request(client), None);
    assert!(world.layer.client_flow(client).is_none());
    world.run_until(100_000_000);
    assert_eq!(world.take_events(), []);
}

#[test]
fn a_transaction_with_a_final_response_cannot_be_abandoned() {
    for status in [200, 486] {
        let mut world = World::new(Transport::Udp);
        let client = world.call(&invite(), BRANCH, 9);
        world.response(&invite().response(status, "t"));
        assert!(!world.layer.abandon_client(world.now_us, client));
        assert_eq!(world.layer.live_clients(), 1);
    }
}

#[test]
fn an_invite_that_is_no_longer_repeated_still_hears_until_timer_b() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&invite(), BRANCH, 9);
    world.run_until(4_000_000);
    world.outbox.clear();
    world.layer.stop_retransmitting(world.now_us, client);
    assert_eq!(world.run_until(20_000_000), []);
    assert_eq!(
        world.response(&invite().response(200, "t")),
        ResponseArrival::Deliver { client, user: 9 }
    );

    // The same tick: the earlier deadline still comes first.
    world.now_us += 1;
    let silent = world.call(&Request::new("INVITE", "z9hG4bKb"), "z9hG4bKb", 10);
    world.outbox.clear();
    world.layer.stop_retransmitting(world.now_us, silent);
    assert_eq!(world.run_until(20_000_000 + tick_us(32_100_000)), []);
    assert_eq!(
        world.take_events(),
        [
            TransactionEvent::ClientTerminated { client, user: 9 },
            TransactionEvent::ClientTimeout {
                client: silent,
                user: 10
            },
        ]
    );
}

//= proves RFC 3261 §17.1.3
#[test]
fn a_response_matches_by_branch_and_method_only() {
    let mut world = World::new(Transport::Udp);
    let client = world.call(&invite(), BRANCH, 9);
    let mut other = invite();
    other.call_id = "another";
    other.from_tag = "another";
    assert_eq!(
        world.response(&other.response(180, "t")),
        ResponseArrival::Deliver { client, user: 9 }
    );
    for stray in [
        Request::new("BYE", BRANCH),
        Request::new("INVITE", "z9hG4bK-branch-2"),
        Request::legacy("INVITE"),
    ] {
        assert_eq!(
            world.response(&stray.response(200, "t")),
            ResponseArrival::Stray
        );
    }
}

#[test]
fn a_final_to_another_request_is_delivered_once() {
    let mut world = World::new(Transport::Udp);
    let request = Request::new("OPTIONS", BRANCH);
    let client = world.call(&request, BRANCH, 9);
    world.outbox.clear();
    let answer = request.response(404, "t");
    assert_eq!(
        world.response(&answer),
        ResponseArrival::Deliver { client, user: 9 }
    );
    for status in [404, 200, 100] {
        assert_eq!(
            world.response(&request.response(status, "t")),
            ResponseArrival::Absorbed { client, user: 9 }
        );
    }
    assert_eq!(world.sent(), []);
    assert_eq!(world.run_until(tick_us(5_000_000) - 1), []);
    assert_eq!(world.take_events(), []);
    world.run_until(tick_us(5_000_000));
    assert_eq!(
        world.take_events(),
        [TransactionEvent::ClientTerminated { client, user: 9 }]
    );
}

//= proves RFC 3261 §17.1.4
#[test]
fn unreachable_ends_those_that_heard_nothing_from_that_address() {
    let mut world = World::new(Transport::Udp);
    let silent = world.call(&Request::new("INVITE", "z9hG4bKa"), "z9hG4bKa", 1);
    let ringing = world.call(&Request::new("INVITE", "z9hG4bKb"), "z9hG4bKb", 2);
    let options = world.call(&Request::new("OPTIONS", "z9hG4bKc"), "z9hG4bKc", 3);
    let refused = world.call(&Request::new("INVITE", "z9hG4bKd"), "z9hG4bKd", 4);
    let remote = world.client_flow.remote;
    world.client_flow.remote.set_port(5080);
    let elsewhere = world.call(&Request::new("INVITE", "z9hG4bKe"), "z9hG4bKe", 5);
    world.response(&Request::new("INVITE", "z9hG4bKb").response(180, "t"));
    world.response(&Request::new("INVITE", "z9hG4bKd").response(500, "t"));

    world.unreachable(remote);
    let mut ended: Vec<_> = world
        .take_events()
        .into_iter()
        .map(|event| match event {
            TransactionEvent::ClientUnreachable { client, user } => (user, client),
            other => panic!("{other:?}"),
        })
        .collect();
    ended.sort_by_key(|(user, _)| *user);
    assert_eq!(ended, [(1, silent), (3, options)]);
    world.unreachable(remote);
    assert_eq!(world.take_events(), []);
    assert!(world.layer.client_has_provisional(ringing));
    for client in [refused, elsewhere] {
        assert!(world.layer.client_flow(client).is_some());
    }
}

#[test]
fn the_lists_of_silent_transactions_hold_in_any_order_of_leaving() {
    let branches = ["z9hG4bKa", "z9hG4bKb", "z9hG4bKc"];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        for leaving in 0..=3 {
            let mut world = World::new(Transport::Udp);
            for branch in branches {
                world.call(&Request::new("INVITE", branch), branch, 0);
            }
            for index in &order[..leaving] {
                world.response(&Request::new("INVITE", branches[*index]).response(100, "t"));
            }
            world.unreachable(world.client_flow.remote);
            assert_eq!(world.take_events().len(), 3 - leaving);
            assert_eq!(world.layer.unheard.len(), 0, "no empty list stays behind");
        }
    }
}

#[test]
fn a_full_table_refuses_and_sends_nothing() {
    let mut world = World::with_limit(Transport::Udp, 2);
    world.call(&Request::new("INVITE", "z9hG4bKa"), "z9hG4bKa", 1);
    world.serve(&Request::new("INVITE", "z9hG4bKb"), 2);
    world.outbox.clear();
    let refused = world.layer.start_client(
        START_US,
        Method::Bye,
        b"z9hG4bKc",
        b"BYE",
        &world.client_flow,
        3,
        &mut world.outbox,
    );
    let refusal = refused.unwrap_err();
    assert_eq!(refusal.transactions_max, 2);
    assert_eq!(refusal.to_string(), "all 2 transactions are in use");
    assert_eq!(world.sent(), []);
    parsed(&Request::new("BYE", "z9hG4bKd").bytes(), |message| {
        let refused = world.layer.start_server(message, &world.server_flow, 4);
        assert_eq!(refused, Err(refusal));
    });
    world.run_until(32_100_000);
    world.call(&Request::new("BYE", "z9hG4bKc"), "z9hG4bKc", 5);
}

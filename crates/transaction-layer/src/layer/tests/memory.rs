//! What transactions cost while they live and linger, and that a steady load takes nothing from the allocator.

use crate::fixture::{Request, World};
use crate::layer::clients::Client;
use crate::layer::servers::Server;
use crate::layer::{Due, Indexed};
use crate::slots::Slots;
use crate::wheel::TimerWheel;
use crate::{TransactionEvent, Transport};

#[test]
fn a_lingering_transaction_takes_less_than_400_bytes_beside_its_message() {
    // The slot, the index entry in a table that is 7/16 full at worst, and the one timer that still runs.
    let index_bytes = (size_of::<Indexed>() + 1) * 16 / 7;
    let shared_bytes = index_bytes + TimerWheel::<Due>::TIMER_BYTES;
    let server_bytes = Slots::<Server>::SLOT_BYTES + shared_bytes;
    let client_bytes = Slots::<Client>::SLOT_BYTES + shared_bytes;
    assert!(server_bytes < 400, "{server_bytes}");
    assert!(client_bytes < 400, "{client_bytes}");
}

#[test]
fn finished_transactions_hold_no_message_they_do_not_need() {
    let mut world = World::new(Transport::Udp);
    // Accepted on both sides, Confirmed, and a completed client request.
    let invite = Request::new("INVITE", "z9hG4bKa");
    let accepted = world.serve(&invite, 1);
    world.respond(accepted, 180, &invite.response(180, "t"));
    world.respond(accepted, 200, &invite.response(200, "t"));
    let refused_invite = Request::new("INVITE", "z9hG4bKb");
    let confirmed = world.serve(&refused_invite, 2);
    world.respond(confirmed, 486, &refused_invite.response(486, "t"));
    world.request(&Request::new("ACK", "z9hG4bKb").bytes());
    world.call(&invite, "z9hG4bKa", 3);
    world.response(&invite.response(200, "t"));
    let bye = Request::new("BYE", "z9hG4bKc");
    world.call(&bye, "z9hG4bKc", 4);
    world.response(&bye.response(200, "t"));

    assert_eq!(world.layer.live().total(), 4);
    assert_eq!(world.layer.stored_bytes(), 0);
    // A refused client INVITE keeps its ACK in place of the INVITE.
    world.call(&refused_invite, "z9hG4bKb", 5);
    world.outbox.clear();
    world.response(&refused_invite.response(486, "t"));
    let sent = world.sent();
    assert!(sent[0].1.starts_with("ACK "));
    assert_eq!(world.layer.stored_bytes(), sent[0].1.len());
}

#[test]
fn a_steady_load_takes_nothing_from_the_allocator() {
    let mut world = World::new(Transport::Udp);
    let mut taken = [0; 10];
    for round in 0..1000_u32 {
        for (number, status) in (0..).zip([200, 486]) {
            let branch = format!("z9hG4bK{round}-{number}");
            let long = format!("{branch}-{}", "x".repeat(120));
            let invite = Request::new("INVITE", &long);
            let server = world.serve(&invite, 1);
            world.respond(server, 100, &invite.response(100, "t"));
            world.call(&invite, &branch, 2);
            let mut answered = invite.clone();
            answered.via = format!("SIP/2.0/UDP 192.0.2.1;branch={branch}");
            world.response(&answered.response(status, "t"));
            world.respond(server, status, &invite.response(status, "t"));
            world.request(&Request::new("ACK", &long).bytes());
        }
        world.outbox.clear();
        world.events.clear();
        world.now_us += 1_000_000;
        world
            .layer
            .expire(world.now_us, &mut world.outbox, &mut world.events);
        // Every growable thing of the layer; the first rounds warm it up. An index that is more than half full grows
        // once more when removals have worn it, and never again.
        let layer = &world.layer;
        let found = [
            layer.buffers.made(),
            layer.wheel.made(),
            layer.servers.made(),
            layer.clients.made(),
            layer.server_index.allocation_size(),
            layer.client_index.allocation_size(),
            layer.unheard.allocation_size(),
            layer.key.capacity(),
            layer.due.capacity(),
            world.outbox.capacity(),
        ];
        if round > 500 {
            assert_eq!(found, taken, "round {round}");
        }
        taken = found;
    }
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, TransactionEvent::ServerTerminated { .. })),
        "the load is steady: transactions end as others begin"
    );
}

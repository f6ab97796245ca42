//! Nothing outlives its timers, whatever peers and the TU do.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{Request, START_US, World};
use crate::{ClientId, RequestArrival, ServerId, TICK_US, TransactionEvent, Transport};

#[derive(Clone, Debug)]
enum Act {
    /// A request arrives: method, branch.
    Request(usize, usize),
    /// The TU responds on the server transaction started so long ago.
    Respond(usize, u16),
    AbandonServer(usize),
    /// The TU sends a request: method, branch.
    Call(usize, usize),
    /// A response arrives: method, branch, status.
    Response(usize, usize, u16),
    AbandonClient(usize),
    Unreachable,
    /// Time passes, ms.
    Wait(u64),
}

const METHODS: [&str; 4] = ["INVITE", "ACK", "BYE", "CANCEL"];
const CALLED: [&str; 3] = ["INVITE", "BYE", "CANCEL"];

fn branch(number: usize) -> String {
    format!("z9hG4bK{number}")
}

fn act() -> impl Strategy<Value = Act> {
    let status = prop_oneof![
        Just(100_u16),
        Just(180),
        Just(200),
        Just(302),
        Just(486),
        Just(603)
    ];
    let back = 0..4_usize;
    prop_oneof![
        6 => (0..METHODS.len(), 0..6_usize).prop_map(|(m, b)| Act::Request(m, b)),
        4 => (back.clone(), status.clone()).prop_map(|(b, s)| Act::Respond(b, s)),
        1 => back.clone().prop_map(Act::AbandonServer),
        4 => (0..CALLED.len(), 0..6_usize).prop_map(|(m, b)| Act::Call(m, b)),
        5 => (0..CALLED.len(), 0..6_usize, status).prop_map(|(m, b, s)| Act::Response(m, b, s)),
        1 => back.prop_map(Act::AbandonClient),
        1 => Just(Act::Unreachable),
        5 => prop_oneof![0..3_u64, 0..6_000_u64, 0..40_000_u64].prop_map(Act::Wait),
    ]
}

/// What the TU remembers: it must hear exactly one ending of everything that it does not end itself.
#[derive(Default)]
struct Ledger {
    servers: Vec<(ServerId, u64, &'static str)>,
    clients: Vec<(ClientId, u64, &'static str, usize)>,
    /// Server transactions whose final response was sent, by user.
    finals: Vec<u64>,
    open: Vec<u64>,
    users: u64,
}

impl Ledger {
    fn open(&mut self) -> u64 {
        self.users += 1;
        self.open.push(self.users);
        self.users
    }

    fn close(&mut self, user: u64) {
        let place = self.open.iter().position(|open| *open == user);
        self.open
            .swap_remove(place.expect("one ending for each transaction"));
    }

    fn hear(&mut self, world: &mut World) {
        for event in world.take_events() {
            match event {
                TransactionEvent::ClientTimeout { user, .. }
                | TransactionEvent::ClientUnreachable { user, .. }
                | TransactionEvent::ClientTerminated { user, .. }
                | TransactionEvent::AckTimeout { user, .. }
                | TransactionEvent::ServerTerminated { user, .. } => self.close(user),
            }
        }
        assert_eq!(world.layer.live().total(), self.open.len());
    }

    fn server_back(&self, back: usize) -> Option<(ServerId, u64, &'static str)> {
        self.servers.iter().rev().nth(back).copied()
    }
}

fn perform(world: &mut World, ledger: &mut Ledger, act: &Act) {
    match *act {
        Act::Request(method, number) => {
            let request = Request::new(METHODS[method], &branch(number));
            if world.request(&request.bytes()) == RequestArrival::New {
                let user = ledger.open();
                let server = world.serve(&request, user);
                ledger.servers.push((server, user, request.method));
            }
        }
        Act::Respond(back, status) => {
            let Some((server, user, method)) = ledger.server_back(back) else {
                return;
            };
            let request = Request::new(method, "z9hG4bK1");
            if world.respond(server, status, &request.response(status, "t")) && status >= 200 {
                if ledger.finals.contains(&user) {
                    assert!(method == "INVITE" && status < 300, "a second {status}");
                }
                ledger.finals.push(user);
            }
        }
        Act::AbandonServer(back) => {
            let Some((server, user, _)) = ledger.server_back(back) else {
                return;
            };
            if world.layer.abandon_server(world.now_us, server) {
                ledger.close(user);
            }
        }
        Act::Call(method, number) => {
            let request = Request::new(CALLED[method], &branch(number));
            let is_live = ledger.clients.iter().any(|(client, _, known, n)| {
                *known == request.method
                    && *n == number
                    && world.layer.client_flow(*client).is_some()
            });
            if !is_live {
                let user = ledger.open();
                let client = world.call(&request, &branch(number), user);
                ledger.clients.push((client, user, request.method, number));
            }
        }
        Act::Response(method, number, status) => {
            let request = Request::new(CALLED[method], &branch(number));
            world.response(&request.response(status, "t"));
        }
        Act::AbandonClient(back) => {
            let Some((client, user, ..)) = ledger.clients.iter().rev().nth(back).copied() else {
                return;
            };
            if world.layer.abandon_client(world.now_us, client) {
                ledger.close(user);
            }
        }
        Act::Unreachable => world.unreachable(world.client_flow.remote),
        Act::Wait(ms) => {
            let until_us = world.now_us - START_US + ms * 1000;
            world.run_until(until_us);
        }
    }
    world.outbox.clear();
    ledger.hear(world);
}

proptest! {
    #[test]
    fn only_what_the_tu_must_end_outlives_64_t1(
        is_reliable in any::<bool>(),
        acts in vec(act(), 1..120),
    ) {
        let transport = if is_reliable { Transport::Tcp } else { Transport::Udp };
        let mut world = World::new(transport);
        let mut ledger = Ledger::default();
        for act in &acts {
            perform(&mut world, &mut ledger, act);
        }
        let until_us = world.now_us - START_US + 32_000_000 + 2 * TICK_US;
        world.run_until(until_us);
        ledger.hear(&mut world);

        for (server, user, _) in &ledger.servers {
            if world.layer.server_flow(*server).is_some() {
                prop_assert!(!ledger.finals.contains(user), "a final bounds a transaction");
            }
        }
        for (client, _, method, _) in &ledger.clients {
            if world.layer.client_flow(*client).is_some() {
                prop_assert_eq!(*method, "INVITE");
                prop_assert!(world.layer.client_has_provisional(*client));
            }
        }
        prop_assert_eq!(world.layer.next_deadline_us(), None);

        for (server, user, _) in std::mem::take(&mut ledger.servers) {
            if world.layer.abandon_server(world.now_us, server) {
                ledger.close(user);
            }
        }
        for (client, user, ..) in std::mem::take(&mut ledger.clients) {
            if world.layer.abandon_client(world.now_us, client) {
                ledger.close(user);
            }
        }
        prop_assert_eq!(&ledger.open, &[] as &[u64]);
        prop_assert_eq!(world.layer.live().total(), 0);
        prop_assert_eq!(world.layer.unheard.len(), 0);
        prop_assert!(world.layer.server_index.is_empty() && world.layer.client_index.is_empty());
    }
}

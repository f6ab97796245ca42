//! New calls through a core: each INVITE is answered 100, admitted, routed and forwarded to the one vendor.
//! No call ends, so that what is counted is the way forward and the growth of the tables that hold the calls.
//! Leaves out timers: the clock moves, and nobody asks for what is due.

use std::hint::black_box;
use std::sync::Arc;

use proxy_core::{CoreConfig, ListenerInfo, Now, Output, Policy, ProxyCore};
use routing::{SlotRegistry, Snapshot, TableKind, Tables, TrunkCounters};
use transaction_layer::{Flow, TimerConfig, Transport};

const ADDRESS: ([u8; 4], u16) = ([198, 51, 100, 10], 5060);

const TABLES: [(TableKind, &str); 7] = [
    (
        TableKind::Customers,
        "name,rate_sheet,routing_plan\nacme,acme,plan\n",
    ),
    (
        TableKind::CustomerAddresses,
        "customer,address\nacme,192.0.2.20\n",
    ),
    (TableKind::Vendors, "name,rate_sheet\nv0,v0\n"),
    (
        TableKind::VendorGateways,
        "vendor,address\nv0,203.0.113.10\n",
    ),
    (TableKind::RoutingPlans, "name,mode\nplan,lcr\n"),
    (TableKind::Routes, "plan,prefix,vendor\nplan,,v0\n"),
    (
        TableKind::Rates,
        "sheet,prefix,rate\nacme,,0.60\nv0,,0.06\n",
    ),
];

/// What stands in the Call-ID and the branch of the INVITE, and makes way for the number of the call.
const UNIQUE: [&[u8]; 2] = [b"118273645", b"524287-1-"];

/// So many new calls; the octets sent, or 0 when one of them was not forwarded.
pub(crate) fn forward(times: usize, invite: &[u8]) -> usize {
    let Some(snapshot) = snapshot() else {
        return 0;
    };
    let mut core = ProxyCore::new(config(), Arc::new(snapshot));
    let mut out = Output::new();
    let flow = Flow {
        transport: Transport::Udp,
        listener: 0,
        local: ADDRESS.into(),
        remote: ([192, 0, 2, 20], 5060).into(),
        connection: 0,
    };
    let mut invite = invite.to_vec();
    let places = UNIQUE.map(|unique| invite.windows(9).position(|octets| octets == unique));
    let mut sum = 0;
    let mut now = Now {
        mono_us: 1,
        wall_us: 1_700_000_000_000_000,
    };
    for call in 0..times {
        for place in places.into_iter().flatten() {
            invite[place..place + 9].copy_from_slice(format!("{call:09}").as_bytes());
        }
        now.mono_us += 100;
        now.wall_us += 100;
        core.handle_datagram(now, black_box(&invite), &flow, &mut out);
        let sent = out.outbox.iter().map(|(_, bytes)| bytes.len());
        let (messages, octets) = sent.fold((0, 0), |(count, sum), len| (count + 1, sum + len));
        if messages != 2 {
            return 0;
        }
        sum += octets;
        out.outbox.clear();
        out.records.clear();
        out.jobs.clear();
        out.notices.clear();
    }
    sum
}

fn snapshot() -> Option<Snapshot> {
    let (mut tables, mut faults) = (Tables::default(), Vec::new());
    for (kind, text) in TABLES {
        let name = kind.file_name();
        let text = text.as_bytes();
        routing::read_csv(kind, name, text, &mut tables, &mut faults, &mut |_| {});
    }
    routing::compile(&tables, 1, &mut SlotRegistry::new()).ok()
}

fn config() -> CoreConfig {
    let (ip, port) = ADDRESS;
    CoreConfig {
        lane: 0,
        lanes: 1,
        boot: 1,
        node: "instructions".to_owned(),
        hash_seed: 1,
        listeners: vec![ListenerInfo {
            transport: Transport::Udp,
            address: ADDRESS.into(),
            advertise: format!("{}.{}.{}.{}:{port}", ip[0], ip[1], ip[2], ip[3]),
        }],
        cookie_key: [7; 16],
        cookie_key_previous: None,
        timers: TimerConfig::default(),
        policy: Policy::default(),
        seed: 1,
        counters: Arc::new(TrunkCounters::new()),
    }
}

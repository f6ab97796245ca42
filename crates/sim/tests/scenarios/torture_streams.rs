//! The messages of RFC 4475 over a connection, each alone: framed as they arrive in pieces, then through the whole proxy.
//! The outcome is the one that the index wants on a stream (`tcp_prefer`), or else of any proxy (`proxy_prefer`).

use std::fs;
use std::path::PathBuf;

use proxy_core::{PreloadedRoute, UnknownDialog};
use sim::clock::SECOND;
use sim::network::Datagram;
use sim::peer_vendor::VendorScript;
use sim::sip_text::SipText;
use sim::world::{PROXY, World, WorldConfig};
use sip_parser::{HeaderTable, salvage};
use transaction_layer::Transport;

use crate::{vendors_of, world};

struct Torture {
    name: String,
    wanted: Vec<String>,
    bytes: Vec<u8>,
}

fn torture() -> Vec<Torture> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sip-parser/tests/rfc4475");
    let index = fs::read_to_string(folder.join("index.tsv")).unwrap();
    let rows = index.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let wanted = match columns[10] {
            "" => columns[7],
            tcp => tcp,
        };
        Torture {
            name: columns[1].to_owned(),
            wanted: wanted.split(',').map(str::to_owned).collect(),
            bytes: fs::read(folder.join(format!("{}.dat", columns[1]))).unwrap(),
        }
    });
    rows.collect()
}

/// A proxy that routes everything and follows what a message says, behind connections.
fn trusting(seed: u64) -> World {
    let mut config = WorldConfig {
        seed,
        transport: Transport::Tcp,
        keep_traffic: true,
        ..WorldConfig::default()
    };
    config.policy.refuse_methods = Vec::new();
    config.policy.preloaded_route = PreloadedRoute::Follow;
    config.policy.unknown_dialog = UnknownDialog::Forward;
    let services = "198.18.0.99:5060".parse().unwrap();
    config
        .jobs
        .names
        .insert("services.example.com".to_owned(), vec![services]);
    let mut world = world(config, vendors_of(vec![VendorScript::refuse(486)]));
    world.tap.tortuous = true;
    world.keep_replies = Some(world.callers[0].agent.address);
    world
}

/// What became of the message, in the words of the index.
fn outcome(world: &mut World, bytes: &[u8]) -> String {
    let proxy = PROXY.parse().unwrap();
    let datagram = Datagram {
        from: world.callers[0].agent.address,
        to: proxy,
        bytes: bytes.to_vec(),
    };
    world.network.send(0, datagram);
    world.run_until(3 * SECOND);
    assert!(world.faults.is_empty(), "{:?}", world.faults);
    let caller = world.callers[0].agent.address;
    let forwarded = |datagram: &Datagram| datagram.from == proxy && datagram.to != caller;
    if world
        .traffic()
        .iter()
        .any(|(_, datagram)| forwarded(datagram))
    {
        return "fwd".to_owned();
    }
    if let [broken] = world.network.broken() {
        // The owner of the connection answers what can be answered, and closes.
        let mut table = HeaderTable::default();
        return match salvage(&broken.pending, &mut table) {
            Some(_) => format!("{}+close", broken.error.status()),
            None => "close".to_owned(),
        };
    }
    let mut replies = world
        .replies
        .iter()
        .filter_map(|text| SipText::parse(text.as_bytes()));
    let last = replies.rfind(|reply| reply.status() >= 200);
    match last {
        Some(reply) => reply.status().to_string(),
        // A message that never became whole: the connection's owner has its patience, and closes.
        None if world.given == 0 => "close".to_owned(),
        None => "drop".to_owned(),
    }
}

fn meets(outcome: &str, wanted: &str) -> bool {
    outcome == wanted
        || (outcome, wanted) == ("400+close", "4xx+close")
        || (outcome, wanted) == ("400", "4xx")
}

//= proves RFC 3261 §18.3
#[test]
fn every_torture_message_over_a_connection_gets_the_outcome_of_the_index() {
    let all = torture();
    assert_eq!(all.len(), 49);
    let mut failed = Vec::new();
    for torture in &all {
        for seed in 0..10 {
            let found = outcome(&mut trusting(seed), &torture.bytes);
            if !torture.wanted.iter().any(|wanted| meets(&found, wanted)) {
                failed.push(format!(
                    "{} (seed {seed}): {found}, wanted {:?}",
                    torture.name, torture.wanted
                ));
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

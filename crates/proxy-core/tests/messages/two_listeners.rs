//! A call from an IPv4 listener to an IPv6 one, of the same transport or another, RFC 5658: both are recorded, and the whole dialog works across.

use crate::bench::*;
use accounting::EndedBy;
use proxy_core::{CoreConfig, ListenerInfo};
use transaction_layer::Transport;

const INNER: &str = "[2001:db8::1]:5060";
const GATEWAY: &str = "[2001:db8::10]:5060";
const CALLEE: &str = "sip:callee@[2001:db8::10]";
const TARGET: &str = "sip:caller@198.51.100.10";

fn bench(inner: Transport, boot: u32) -> Bench {
    let mut config = CoreConfig { boot, ..config() };
    config.listeners.push(ListenerInfo {
        transport: inner,
        address: INNER.parse().unwrap(),
        advertise: INNER.to_owned(),
    });
    let routes = Routes {
        vendor_gateways: "vendor,address\nv0,2001:db8::10\n",
        vendors: "name,rate_sheet\nv0,v0\n",
        ..ONE_VENDOR
    };
    Bench::with(config, &routes)
}

/// The listener that each of the two peers talks to.
fn listener_of(peer: &str) -> u16 {
    u16::from(peer == GATEWAY)
}

/// What a message from a peer makes of the core: one message to the other.
fn across(bench: &mut Bench, from: &str, text: &str, what: &str) -> Sent {
    let to = if from == CALLER { GATEWAY } else { CALLER };
    let sent = bench.send_to(listener_of(from), from, text);
    let passed = only(&sent, what).clone();
    assert_eq!(passed.to.to_string(), to);
    if !what.starts_with(|first: char| first.is_ascii_digit()) {
        // Our Via is the listener that faces the peer, and no Route of ours is left.
        let ours = if to == CALLER { PROXY } else { INNER };
        let via = passed.header("Via").unwrap();
        assert!(via.contains(&format!(" {ours};branch=")), "{via}");
        assert_eq!(passed.header("Route"), None, "{}", passed.text);
    }
    passed
}

/// A request of one side, and its answer.
fn exchange(bench: &mut Bench, side: &Dialog, method: &str, cseq: u32) {
    let (from, to, uri) = if side.address == CALLER {
        (CALLER, GATEWAY, CALLEE)
    } else {
        (GATEWAY, CALLER, TARGET)
    };
    let contact = format!(
        "Contact: <{}>\r\n",
        if from == CALLER { TARGET } else { CALLEE }
    );
    let request = bench.request(side, method, uri, cseq, &contact);
    let passed = across(bench, from, &request, method);
    assert_eq!(passed.uri(), uri);
    let contact = format!("Contact: <{uri}>\r\n");
    let ok = reply(&passed.text, 200, "", &contact);
    across(bench, to, &ok, "200");
    if method == "INVITE" {
        let ack = bench.request(side, "ACK", uri, cseq, "");
        across(bench, from, &ack, "ACK");
    }
}

/// A call over both listeners with every kind of request from both sides.
fn whole_dialog(inner: Transport, ends: EndedBy) {
    let mut bench = bench(inner, 1);
    let invite = bench.invite();
    let forwarded = across(&mut bench, CALLER, &invite, "INVITE");
    let (protocol, transport) = match inner {
        Transport::Udp => ("SIP/2.0/UDP", ""),
        Transport::Tcp => ("SIP/2.0/TCP", "transport=tcp;"),
        Transport::Tls => ("SIP/2.0/TLS", "transport=tls;"),
    };
    assert!(forwarded.header("Via").unwrap().starts_with(protocol));
    let recorded: Vec<&str> = lines_of(&forwarded.text, "Record-Route").collect();
    assert_eq!(recorded.len(), 2);
    // Each peer finds on top the address that it can reach, and the cookie is in both.
    assert!(recorded[0].starts_with(&format!("Record-Route: <sip:{INNER};{transport}lr;tdm=")));
    assert!(recorded[1].starts_with(&format!("Record-Route: <sip:{PROXY};lr;tdm=")));
    let contact = format!("Contact: <{CALLEE}>\r\nRequire: 100rel\r\nRSeq: 1\r\n");
    let ringing = reply(&forwarded.text, 180, "callee", &contact);
    let heard = across(&mut bench, GATEWAY, &ringing, "180");
    let (caller, mut callee) = Dialog::pair(&heard);
    GATEWAY.clone_into(&mut callee.address);
    assert!(caller.routes.starts_with(&format!("Route: <sip:{PROXY};")));
    assert!(callee.routes.starts_with(&format!("Route: <sip:{INNER};")));
    exchange(&mut bench, &caller, "PRACK", 2);
    exchange(&mut bench, &callee, "UPDATE", 1);
    let ok = reply(&forwarded.text, 200, "callee", &contact);
    across(&mut bench, GATEWAY, &ok, "200");
    let ack = bench.request(&caller, "ACK", CALLEE, 1, "");
    across(&mut bench, CALLER, &ack, "ACK");
    exchange(&mut bench, &callee, "INVITE", 2);
    exchange(&mut bench, &caller, "INVITE", 3);
    exchange(&mut bench, &caller, "INFO", 4);
    match ends {
        EndedBy::Callee => exchange(&mut bench, &callee, "BYE", 3),
        _ => exchange(&mut bench, &caller, "BYE", 5),
    }
    assert_eq!(bench.only_cdr().ended_by, Some(ends));
    bench.rest();
}

//= proves RFC 3261 §16.6(4)
//= proves RFC 5658 §5
#[test]
fn every_request_of_a_dialog_passes_between_two_listeners_both_ways() {
    for inner in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        whole_dialog(inner, EndedBy::Caller);
        whole_dialog(inner, EndedBy::Callee);
    }
}

//= proves RFC 3261 §16.12
//= proves RFC 5658 §5
#[test]
fn the_cookie_of_either_listener_opens_the_way_without_the_call() {
    let mut before = bench(Transport::Udp, 1);
    let invite = before.invite();
    let forwarded = across(&mut before, CALLER, &invite, "INVITE");
    let contact = format!("Contact: <{CALLEE}>\r\n");
    let ok = reply(&forwarded.text, 200, "callee", &contact);
    let (caller, mut callee) = Dialog::pair(&across(&mut before, GATEWAY, &ok, "200"));
    GATEWAY.clone_into(&mut callee.address);
    // Another process, with the same key and nothing of the call.
    for side in [&caller, &callee] {
        let mut bench = bench(Transport::Udp, 2);
        exchange(&mut bench, side, "BYE", 9);
        assert_eq!(bench.records.len(), 1, "who said BYE, alone");
    }
}

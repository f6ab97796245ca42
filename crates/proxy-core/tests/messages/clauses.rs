//! Clauses of RFC 3261 §16 that one message each shows: what is refused, and what a forwarded request looks like.
//! RFC 3261 §16.3, §16.6, §16.7(2); RFC 5658 §5 for two listeners.
//! Leaves out everything that takes more than one hop's view.

use crate::bench::*;
use accounting::Cause;
use proxy_core::{ListenerInfo, Now, Output};
use transaction_layer::{Flow, Transport};

/// The only response to the INVITE with that piece of it replaced.
fn refusal(from: &str, to: &str) -> (Bench, Sent) {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    assert!(invite.contains(from));
    let sent = bench.send(CALLER, &invite.replace(from, to));
    assert_eq!(sent.len(), 1, "{:?}", summary(&sent));
    assert_eq!(sent[0].to.to_string(), CALLER);
    let only = sent[0].clone();
    (bench, only)
}

/// The INVITE as it leaves with that piece of it replaced.
fn forwarded(from: &str, to: &str) -> Sent {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    assert!(invite.contains(from));
    only(&bench.send(CALLER, &invite.replace(from, to)), "INVITE").clone()
}

//= proves RFC 3261 §16.3(1)
#[test]
fn a_request_that_does_not_parse_is_answered_400_with_the_fault_named() {
    let (bench, sent) = refusal("Max-Forwards: 70", "Max-Forwards: seventy");
    assert_eq!(
        sent.text.split("\r\n").next(),
        Some("SIP/2.0 400 Invalid Max-Forwards")
    );
    assert_eq!(bench.core.stats().refused(Cause::BadRequest), 1);
}

//= proves RFC 3261 §16.3(2)
#[test]
fn a_scheme_that_cannot_be_routed_is_answered_416() {
    for uri in ["soap.beep://192.0.2.1", "sips:4930123@192.0.2.1"] {
        let (bench, sent) = refusal("INVITE sip:4930123@192.0.2.1", &format!("INVITE {uri}"));
        assert_eq!(sent.what(), "416", "{uri}");
        assert_eq!(bench.core.stats().refused(Cause::UnsupportedScheme), 1);
    }
}

//= proves RFC 3261 §16.3(5)
#[test]
fn a_required_extension_is_answered_420_with_its_name() {
    let (_, sent) = refusal("Contact:", "Proxy-Require: foo,\r\n bar\r\nContact:");
    assert_eq!(sent.what(), "420");
    assert_eq!(sent.header("Unsupported"), Some("foo, bar"));
}

//= proves RFC 3261 §8.2.6
//= proves RFC 3261 §8.2.7
#[test]
fn a_refusal_without_state_is_the_same_for_a_retransmission_and_copies_its_request() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let stranger = "192.0.2.99:5060";
    let first = bench.send(stranger, &invite);
    let first = only(&first, "403");
    assert_eq!(only(&bench.send(stranger, &invite), "403").text, first.text);
    for name in ["From", "Call-ID", "CSeq"] {
        assert_eq!(first.header(name), header(&invite, name), "{name}");
    }
    let via = header(&invite, "Via").unwrap();
    assert_eq!(
        first.header("Via"),
        Some(&*format!("{via};received=192.0.2.99"))
    );
    let to = first.header("To").unwrap();
    assert!(to.starts_with("<sip:4930123@192.0.2.1>;tag="), "{to}");
    let ack = beside(&invite, "ACK", to, "");
    assert!(bench.send(stranger, &ack).is_empty());
    assert_eq!(bench.core.live_transactions(), 0);
}

//= proves RFC 3261 §16.6(3)
#[test]
fn max_forwards_falls_by_one_and_is_70_where_there_was_none() {
    for (from, to, leaves_with) in [
        ("Max-Forwards: 70", "Max-Forwards: 12", "11"),
        ("Max-Forwards: 70\r\n", "", "70"),
    ] {
        assert_eq!(
            forwarded(from, to).header("Max-Forwards"),
            Some(leaves_with)
        );
    }
}

//= proves RFC 3261 §16.6(4)
#[test]
fn a_forwarded_invite_has_one_record_route_with_lr_above_those_it_came_with() {
    let other = "<sip:192.0.2.77;lr>";
    let sent = forwarded("Contact:", &format!("Record-Route: {other}\r\nContact:"));
    let routes: Vec<&str> = sent
        .text
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("Record-Route: "))
        .collect();
    assert_eq!(routes.len(), 2, "{routes:?}");
    assert!(
        routes[0].starts_with("<sip:192.0.2.1:5060;lr;tdm="),
        "{routes:?}"
    );
    assert_eq!(routes[1], other);
}

//= proves RFC 5658 §5
#[test]
fn a_call_from_one_listener_to_another_is_recorded_once_for_each() {
    let inner = "[2001:db8::1]:5060";
    let mut with_two = config();
    with_two.listeners.push(ListenerInfo {
        transport: Transport::Udp,
        address: inner.parse().unwrap(),
        advertise: inner.to_owned(),
    });
    let routes = Routes {
        vendor_gateways: "vendor,address\nv0,2001:db8::10\n",
        vendors: "name,rate_sheet\nv0,v0\n",
        ..ONE_VENDOR
    };
    let mut bench = Bench::with(with_two, &routes);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let sent = only(&sent, "INVITE").clone();
    assert_eq!(sent.to.to_string(), "[2001:db8::10]:5060");
    let hosts: Vec<&str> = sent
        .text
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("Record-Route: <sip:")?.split(';').next())
        .collect();
    assert_eq!(hosts, [inner, PROXY]);

    // The callee's request comes by the inner listener, and both of our routes are done.
    let ok = reply(
        &sent.text,
        200,
        "callee",
        "Contact: <sip:callee@[2001:db8::10]>\r\n",
    );
    let flow = Flow {
        transport: Transport::Udp,
        listener: 1,
        local: inner.parse().unwrap(),
        remote: "[2001:db8::10]:5060".parse().unwrap(),
        connection: 0,
    };
    let now = Now {
        mono_us: 2,
        wall_us: bench.wall_us(),
    };
    let mut out = Output::new();
    bench
        .core
        .handle_datagram(now, ok.as_bytes(), &flow, &mut out);
    let (to, bytes) = out.outbox.iter().next().unwrap();
    let answer = Sent {
        to: to.remote,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    };
    assert_eq!(
        (answer.to.to_string().as_str(), answer.what()),
        (CALLER, "200")
    );
    let (_, callee) = Dialog::pair(&answer);
    let bye = bench.request(&callee, "BYE", "sip:caller@198.51.100.10", 7, "");
    out.outbox.clear();
    bench
        .core
        .handle_datagram(now, bye.as_bytes(), &flow, &mut out);
    let (to, bytes) = out.outbox.iter().next().unwrap();
    let bye = String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(to.remote.to_string(), CALLER);
    assert!(
        bye.starts_with("BYE ") && header(&bye, "Route").is_none(),
        "{bye}"
    );
}

//= proves RFC 3261 §16.6(7)
#[test]
fn a_maddr_is_where_the_request_goes() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let contact = "<sip:callee@sip.example;maddr=203.0.113.99>";
    let contact = format!("Contact: {contact}\r\n");
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", &contact);
    let sent = bench.send(VENDOR, &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    let info = bench.request(&caller, "INFO", "sip:callee@sip.example", 2, "");
    assert_eq!(
        summary(&bench.send(CALLER, &info)),
        [("203.0.113.99:5060".to_owned(), "INFO")]
    );
}

//= proves RFC 3261 §16.6(11)
//= proves RFC 3261 §16.7(2)
//= proves RFC 3261 §16.8
#[test]
fn timer_c_cancels_a_branch_and_begins_anew_with_each_provisional() {
    let mut patient = config();
    patient.policy.ring_timeout_us = 4_000 * SECOND;
    let mut bench = Bench::with(patient, &ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    for status in [180, 183] {
        bench.send(VENDOR, &reply(&forwarded.text, status, "callee", ""));
        let sent = bench.wait(190 * SECOND);
        assert!(sent.is_empty(), "{status}: {:?}", summary(&sent));
    }
    let sent = bench.wait(11 * SECOND);
    assert_eq!(summary(&sent[..1]), [(VENDOR.to_owned(), "CANCEL")]);
}

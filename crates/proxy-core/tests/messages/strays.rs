//! Messages that belong to nothing here: dropped, counted, and never answered when they are ACKs or responses.

use crate::bench::*;
use proxy_core::{CoreConfig, Stat};

//= proves RFC 6026 §7.3
//= proves RFC 3261 §18.1.2
#[test]
fn a_response_is_dropped_whether_its_transaction_or_its_via_is_unknown() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").text.clone();
    let ok = reply(
        &forwarded,
        200,
        "callee",
        "Contact: <sip:callee@203.0.113.10>\r\n",
    );
    let branch = header(&forwarded, "Via")
        .unwrap()
        .split("branch=")
        .nth(1)
        .unwrap();
    let stray = ok.replace(branch, "z9hG4bKt0000000000000000000000000000000");
    let foreign = ok.replace("SIP/2.0/UDP 192.0.2.1:5060", "SIP/2.0/UDP 192.0.2.250:5060");
    let port = ok.replace("SIP/2.0/UDP 192.0.2.1:5060", "SIP/2.0/UDP 192.0.2.1:5999");
    for (text, strays, foreigners) in [(&stray, 1, 0), (&foreign, 1, 1), (&port, 1, 2)] {
        assert_ne!(**text, *ok);
        assert!(bench.send(VENDOR, text).is_empty());
        assert_eq!(bench.stat(Stat::ResponsesStray), strays);
        assert_eq!(bench.stat(Stat::ResponsesForeign), foreigners);
    }
    // The real one, its sent-by spelled by a peer in its own way, still finds its transaction.
    let spelled = ok.replace(
        "SIP/2.0/UDP 192.0.2.1:5060",
        "SIP / 2.0 / UDP 192.0.2.1 : 5060 ",
    );
    let sent = bench.send(VENDOR, &spelled);
    assert_eq!(only(&sent, "200").to.to_string(), CALLER);
}

//= proves RFC 3261 §16.11
#[test]
fn an_ack_passes_with_a_valid_cookie_and_is_dropped_with_none() {
    let (caller, callee) = Bench::new(&ONE_VENDOR).answered_call();
    let mut bench = Bench::with(
        CoreConfig {
            boot: 2,
            ..config()
        },
        &ONE_VENDOR,
    );
    let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &ack)),
        [(VENDOR.to_owned(), "ACK")]
    );
    assert_eq!(bench.stat(Stat::AcksForwarded), 1);

    let forged = ack.replace(caller.cookie(), &caller.cookie().replace('A', "B"));
    let elsewhere = ack.replace("sip:callee@203.0.113.10", "sip:callee@203.0.113.99");
    let none = ack.replace(&caller.routes, "");
    let loud = ack.replace("Max-Forwards: 70", "Max-Forwards: 0");
    for (from, text) in [
        (CALLER, &forged),
        (CALLER, &none),
        (CALLER, &loud),
        // Not the trunk that the cookie names.
        ("198.51.200.1:5060", &ack),
    ] {
        assert_ne!((from, text), (CALLER, &ack));
        assert!(bench.send(from, text).is_empty(), "{text}");
    }
    assert_eq!(bench.stat(Stat::AcksDropped), 4);
    assert!(bench.send(CALLER, &elsewhere).is_empty());
    assert_eq!(bench.stat(Stat::NextHopUnknown), 1);
    let _ = callee;
}

//= proves RFC 3261 §16.11
#[test]
fn an_ack_that_leads_nowhere_counts_as_dropped() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let contact = "Contact: <sip:callee@media.example>\r\n";
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", contact);
    let sent = bench.send(VENDOR, &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    let mut held = 0;
    // The first one has the name asked for, and the dialog holds no more than so many behind it.
    for _ in 0..40 {
        let ack = bench.request(&caller, "ACK", "sip:callee@media.example", 1, "");
        assert!(bench.send(CALLER, &ack).is_empty());
        held = bench.stat(Stat::AcksForwarded);
    }
    assert_eq!(bench.stat(Stat::AcksDropped), 40 - held);
    assert_eq!(bench.stat(Stat::HeldOverflow), 40 - held);
    assert!((16..=17).contains(&held), "{held}");
}

//! Requests that come back: unchanged they loop and are refused, changed they spiral and pass (RFC 5393 §4.2).

use crate::bench::*;
use accounting::Cause;
use proxy_core::{CoreConfig, Stat, UnknownDialog};

/// The vendor sends what it gets back to us, as a customer.
const MIRROR: Routes = Routes {
    customer_addresses: "customer,address\nacme,198.51.100.0/24\nacme,203.0.113.10\n",
    ..ONE_VENDOR
};

/// A message as the next hop passes it on: its own Via on top.
fn passed_on(bench: &mut Bench, hop: &str, text: &str) -> String {
    let via = format!("\r\nVia: SIP/2.0/UDP {hop};branch={}\r\n", bench.branch());
    text.replacen("\r\n", &via, 1)
}

//= proves RFC 3261 §16.3(4)
//= proves RFC 5393 §4.1
//= proves RFC 5393 §4.2.2
#[test]
fn an_invite_that_comes_back_as_it_came_first_is_answered_482() {
    let mut bench = Bench::new(&MIRROR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").text.clone();
    let gateway = "sip:4930123@203.0.113.10:5060";
    assert!(forwarded.starts_with(&format!("INVITE {gateway} ")));
    let back = passed_on(&mut bench, VENDOR, &forwarded).replace(gateway, "sip:4930123@192.0.2.1");
    let sent = bench.send(VENDOR, &back);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "482")]);
    assert_eq!(bench.core.stats().refused(Cause::LoopDetected), 1);
    // Another lane and another boot of the node know it too; another node does not.
    for (config, what) in [
        (
            CoreConfig {
                lane: 1,
                lanes: 2,
                seed: 9,
                ..config()
            },
            "482",
        ),
        (
            CoreConfig {
                boot: 2,
                seed: 8,
                hash_seed: 7,
                ..config()
            },
            "482",
        ),
        (
            CoreConfig {
                node: "other".to_owned(),
                ..config()
            },
            "INVITE",
        ),
    ] {
        let mut bench = Bench::with(config, &MIRROR);
        let sent = bench.send(VENDOR, &back);
        only(&sent, what);
    }
}

//= proves RFC 5393 §4.2.2
#[test]
fn an_invite_that_comes_back_changed_spirals_until_it_comes_back_unchanged() {
    let mut bench = Bench::new(&MIRROR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").text.clone();
    // The number is the same, the Request-URI is not: it has the host that we wrote.
    let back = passed_on(&mut bench, VENDOR, &forwarded);
    let sent = bench.send(VENDOR, &back);
    let again = only(&sent, "INVITE").text.clone();
    let back = passed_on(&mut bench, VENDOR, &again);
    let sent = bench.send(VENDOR, &back);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "482")]);
    assert_eq!(bench.stat(Stat::Invites), 3);
}

//= proves RFC 5393 §4.2.2
#[test]
fn requests_within_a_dialog_loop_too_and_an_ack_that_does_is_dropped() {
    let mut trusting = config();
    trusting.policy.unknown_dialog = UnknownDialog::Forward;
    let mut bench = Bench::with(trusting, &ONE_VENDOR);
    let mirror = "203.0.113.50:5060";
    let caller = Dialog::caller("callee");
    for method in ["INFO", "ACK"] {
        let mut text = bench.request(&caller, method, "sip:x@203.0.113.50", 2, "");
        let mut from = CALLER;
        // From the caller, then from the mirror, which is another way into the same lane.
        for _ in 0..2 {
            let sent = bench.send(from, &text);
            let forwarded = only(&sent, method);
            assert_eq!(forwarded.to.to_string(), mirror);
            text = forwarded.text.clone();
            text = passed_on(&mut bench, mirror, &text);
            from = mirror;
        }
        let sent = bench.send(mirror, &text);
        match method {
            "ACK" => assert!(sent.is_empty(), "{:?}", summary(&sent)),
            _ => assert_eq!(summary(&sent), [(mirror.to_owned(), "482")]),
        }
    }
    assert_eq!(bench.stat(Stat::AcksDropped), 1);
}

#[test]
fn a_cancel_and_the_ack_of_a_refusal_have_the_branch_of_their_invite() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    bench.send(VENDOR, &reply(&forwarded.text, 180, "callee", ""));
    let cancel = beside(&invite, "CANCEL", "<sip:4930123@192.0.2.1>", "");
    let sent = bench.send(CALLER, &cancel);
    assert_eq!(only(&sent, "CANCEL").header("Via"), forwarded.header("Via"));
    let sent = bench.send(VENDOR, &reply(&forwarded.text, 487, "callee", ""));
    assert_eq!(only(&sent, "ACK").header("Via"), forwarded.header("Via"));
}

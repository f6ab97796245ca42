//! Reliable provisional responses (RFC 3262) and UPDATE (RFC 3311), which a proxy passes: nothing of theirs is changed or
//! kept back, and each reaches its own dialog.

use crate::bench::*;
use proxy_core::Stat;

const CONTACT: &str = "Contact: <sip:callee@203.0.113.10>\r\n";

/// An INVITE that asks for reliable provisionals, as it left for the vendor.
fn invite(bench: &mut Bench) -> Sent {
    let more = "Contact: <sip:caller@198.51.100.10>\r\nSupported: 100rel\r\n";
    let uri = "sip:4930123@192.0.2.1";
    let invite = bench.request(&Dialog::caller(""), "INVITE", uri, 1, more);
    let sent = bench.send(CALLER, &invite);
    only(&sent, "INVITE").clone()
}

/// A reliable provisional with this tag and number, as the caller hears it.
fn reliable(bench: &mut Bench, invite: &Sent, tag: &str, rseq: u32) -> Sent {
    let more = format!("Contact: <sip:{tag}@203.0.113.10>\r\nRequire: 100rel\r\nRSeq: {rseq}\r\n");
    let response = reply(&invite.text, 183, tag, &more);
    let sent = bench.send(VENDOR, &response);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "183")]);
    sent[0].clone()
}

/// A request of one side reaches this URI on the other, and its answer comes back.
fn passes(
    bench: &mut Bench,
    side: &Dialog,
    request: (&str, u32, &str),
    uri: &str,
    answer: (u16, &str),
) -> (Sent, Sent) {
    let (from, to) = if side.address == CALLER {
        (CALLER, VENDOR)
    } else {
        (VENDOR, CALLER)
    };
    let (method, cseq, more) = request;
    let text = bench.request(side, method, "sip:whatever@203.0.113.99", cseq, more);
    let sent = bench.send(from, &text);
    let forwarded = only(&sent, method).clone();
    assert_eq!(
        (forwarded.to.to_string().as_str(), forwarded.uri()),
        (to, uri)
    );
    let response = reply(&forwarded.text, answer.0, "", answer.1);
    let sent = bench.send(to, &response);
    assert_eq!(
        summary(&sent),
        [(from.to_owned(), answer.0.to_string().as_str())]
    );
    let heard = sent[0].clone();
    (forwarded, heard)
}

//= proves RFC 3262 §4
#[test]
fn the_prack_of_each_early_dialog_reaches_its_own_callee() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = invite(&mut bench);
    assert_eq!(invite.header("Supported"), Some("100rel"));
    let early: Vec<(Dialog, &str)> = [("one", 100), ("two", 200)]
        .map(|(tag, rseq)| {
            let heard = reliable(&mut bench, &invite, tag, rseq);
            assert_eq!(heard.header("Require"), Some("100rel"));
            assert_eq!(heard.header("RSeq"), Some(rseq.to_string().as_str()));
            (Dialog::pair(&heard).0, tag)
        })
        .into();
    // The second first: each dialog counts by itself.
    for (cseq, (caller, tag)) in (2..).zip(early.iter().rev()) {
        let more = format!(
            "RAck: {} 1 INVITE\r\n",
            if *tag == "one" { 100 } else { 200 }
        );
        let uri = format!("sip:{tag}@203.0.113.10");
        let (prack, _) = passes(&mut bench, caller, ("PRACK", cseq, &more), &uri, (200, ""));
        assert_eq!(format!("RAck: {}\r\n", prack.header("RAck").unwrap()), more);
        assert!(prack.header("To").unwrap().ends_with(&format!("tag={tag}")));
    }
}

//= proves RFC 3262 §3
#[test]
fn a_reliable_provisional_that_comes_again_is_passed_again() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = invite(&mut bench);
    let first = reliable(&mut bench, &invite, "callee", 1);
    for _ in 0..3 {
        bench.wait(SECOND / 2);
        assert_eq!(reliable(&mut bench, &invite, "callee", 1).text, first.text);
    }
    assert_eq!(bench.stat(Stat::ResponsesAbsorbed), 0);
}

#[test]
fn a_prack_that_comes_again_is_absorbed_and_answered_again() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = invite(&mut bench);
    let (caller, _) = Dialog::pair(&reliable(&mut bench, &invite, "callee", 1));
    let prack = bench.request(&caller, "PRACK", "sip:x@y", 2, "RAck: 1 1 INVITE\r\n");
    let sent = bench.send(CALLER, &prack);
    let forwarded = only(&sent, "PRACK").clone();
    assert!(bench.send(CALLER, &prack).is_empty(), "it is under way");
    let ok = reply(&forwarded.text, 200, "", "");
    let heard = bench.send(VENDOR, &ok);
    let again = bench.send(CALLER, &prack);
    assert_eq!(only(&heard, "200").text, only(&again, "200").text);
}

//= proves RFC 3311 §5.1
#[test]
fn an_update_in_an_early_dialog_passes_both_ways_and_moves_the_targets() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = invite(&mut bench);
    let heard = reliable(&mut bench, &invite, "callee", 1);
    let (caller, callee) = Dialog::pair(&heard);
    let offer = |at: &str| format!("Contact: <sip:{at}>\r\nContent-Type: application/sdp\r\n");
    let moved = "Contact: <sip:callee2@203.0.113.10>\r\nContent-Type: application/sdp\r\n";
    let uri = "sip:callee@203.0.113.10";
    let more = offer("caller2@198.51.100.10");
    let (update, answer) = passes(&mut bench, &caller, ("UPDATE", 2, &more), uri, (200, moved));
    assert_eq!(update.header("Content-Type"), Some("application/sdp"));
    assert_eq!(answer.header("Content-Type"), Some("application/sdp"));
    let uri = "sip:caller2@198.51.100.10";
    let more = offer("callee3@203.0.113.10");
    passes(&mut bench, &callee, ("UPDATE", 1, &more), uri, (200, ""));
    let uri = "sip:callee3@203.0.113.10";
    passes(
        &mut bench,
        &caller,
        ("PRACK", 3, "RAck: 1 1 INVITE\r\n"),
        uri,
        (200, ""),
    );
}

//= proves RFC 3311 §5.2
#[test]
fn the_refusals_of_glare_pass_as_they_are_and_change_nothing() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, callee) = bench.answered_call();
    let uri = "sip:callee@203.0.113.10";
    let moved = "Contact: <sip:elsewhere@198.51.100.10>\r\n";
    let late = (500, "Retry-After: 7\r\n");
    let (_, heard) = passes(&mut bench, &caller, ("UPDATE", 2, moved), uri, late);
    assert_eq!(heard.header("Retry-After"), Some("7"));
    passes(&mut bench, &caller, ("UPDATE", 3, moved), uri, (491, ""));
    passes(&mut bench, &caller, ("UPDATE", 4, moved), uri, (504, ""));
    // Two that cross: each is refused by the side that has sent its own.
    let of_caller = bench.request(&caller, "UPDATE", uri, 5, moved);
    let of_callee = bench.request(&callee, "UPDATE", "sip:x@y", 1, CONTACT);
    let to_callee = bench.send(CALLER, &of_caller)[0].clone();
    let to_caller = bench.send(VENDOR, &of_callee)[0].clone();
    assert_eq!((to_callee.what(), to_caller.what()), ("UPDATE", "UPDATE"));
    let pending = reply(&to_caller.text, 491, "", "");
    assert_eq!(
        summary(&bench.send(CALLER, &pending)),
        [(VENDOR.to_owned(), "491")]
    );
    let pending = reply(&to_callee.text, 491, "", "");
    assert_eq!(
        summary(&bench.send(VENDOR, &pending)),
        [(CALLER.to_owned(), "491")]
    );
    // Nobody has moved.
    let target = "sip:caller@198.51.100.10";
    passes(&mut bench, &callee, ("INFO", 2, ""), target, (200, ""));
    assert_eq!(bench.core.live_calls(), 1);
}

//= proves RFC 3261 §12.2.2
#[test]
fn requests_that_interleave_each_rise_in_cseq_and_all_pass() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = invite(&mut bench);
    let (caller, callee) = Dialog::pair(&reliable(&mut bench, &invite, "callee", 1));
    let uri = "sip:callee@203.0.113.10";
    let target = "sip:caller@198.51.100.10";
    let rack = "RAck: 1 1 INVITE\r\n";
    // In setup: PRACK, then an UPDATE of each side while the INVITE has no answer.
    passes(&mut bench, &caller, ("PRACK", 2, rack), uri, (200, ""));
    passes(&mut bench, &caller, ("UPDATE", 3, ""), uri, (200, ""));
    passes(&mut bench, &callee, ("UPDATE", 1, ""), target, (200, ""));
    let ok = reply(&invite.text, 200, "callee", CONTACT);
    assert_eq!(
        summary(&bench.send(VENDOR, &ok)),
        [(CALLER.to_owned(), "200")]
    );
    // The ACK has the number of its INVITE, far below by now.
    let ack = bench.request(&caller, "ACK", uri, 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &ack)),
        [(VENDOR.to_owned(), "ACK")]
    );
    // A re-INVITE that rings reliably, with a PRACK and an UPDATE before its answer.
    let again = bench.request(&caller, "INVITE", uri, 4, "Supported: 100rel\r\n");
    let sent = bench.send(CALLER, &again);
    let again = only(&sent, "INVITE").clone();
    let heard = reliable(&mut bench, &again, "callee", 9);
    assert_eq!(heard.header("CSeq"), Some("4 INVITE"));
    passes(
        &mut bench,
        &caller,
        ("PRACK", 5, "RAck: 9 4 INVITE\r\n"),
        uri,
        (200, ""),
    );
    passes(&mut bench, &callee, ("INFO", 2, ""), target, (200, ""));
    passes(
        &mut bench,
        &caller,
        ("UPDATE", 6, ""),
        uri,
        (500, "Retry-After: 1\r\n"),
    );
    let ok = reply(&again.text, 200, "callee", CONTACT);
    assert_eq!(
        summary(&bench.send(VENDOR, &ok)),
        [(CALLER.to_owned(), "200")]
    );
    let ack = bench.request(&caller, "ACK", uri, 4, "");
    assert_eq!(
        summary(&bench.send(CALLER, &ack)),
        [(VENDOR.to_owned(), "ACK")]
    );
    // What does not rise is out of order, whatever its method.
    for (cseq, expected) in [(6, "500"), (5, "500"), (7, "INFO")] {
        let info = bench.request(&caller, "INFO", uri, cseq, "");
        assert_eq!(bench.send(CALLER, &info)[0].what(), expected, "{cseq}");
    }
}

//= proves RFC 3262 §4
#[test]
fn two_vendors_tried_at_once_each_get_the_prack_of_their_own_early_dialog() {
    let fork = Routes {
        routing_plans: "name,mode,forking\nplan,static,parallel\n",
        routes: "plan,prefix,vendor,priority\nplan,,v0,1\nplan,,v1,1\n",
        ..TWO_VENDORS
    };
    let mut bench = Bench::new(&fork);
    let more = "Contact: <sip:caller@198.51.100.10>\r\nSupported: 100rel\r\n";
    let uri = "sip:4930123@192.0.2.1";
    let invite = bench.request(&Dialog::caller(""), "INVITE", uri, 1, more);
    let sent = bench.send(CALLER, &invite);
    let mut early = Vec::new();
    for invite in sent.iter().filter(|sent| sent.what() == "INVITE") {
        let (at, tag) = (invite.to.to_string(), format!("at-{}", invite.to.ip()));
        let more = format!("Contact: <sip:callee@{at}>\r\nRequire: 100rel\r\nRSeq: 7\r\n");
        let ringing = reply(&invite.text, 180, &tag, &more);
        let heard = bench.send(&at, &ringing);
        early.push((Dialog::pair(only(&heard, "180")).0, at));
    }
    assert_eq!(early.len(), 2);
    for (caller, at) in &early {
        let prack = bench.request(caller, "PRACK", "sip:x@y", 2, "RAck: 7 1 INVITE\r\n");
        let sent = bench.send(CALLER, &prack);
        assert_eq!(summary(&sent), [(at.clone(), "PRACK")]);
        assert_eq!(sent[0].uri(), format!("sip:callee@{at}"));
        let ok = bench.send(at, &reply(&sent[0].text, 200, "", ""));
        assert_eq!(summary(&ok), [(CALLER.to_owned(), "200")]);
    }
}

//= proves RFC 3262 §4
#[test]
fn a_ninth_early_dialog_has_its_prack_passed() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = invite(&mut bench);
    for at in 1..=40 {
        let tag = format!("e{at}");
        let (caller, _) = Dialog::pair(&reliable(&mut bench, &invite, &tag, 1));
        let uri = format!("sip:{tag}@203.0.113.10");
        let rack = "RAck: 1 1 INVITE\r\n";
        passes(&mut bench, &caller, ("PRACK", 2, rack), &uri, (200, ""));
    }
}

//! CANCEL and the Reason that comes with it: what goes on to a vendor, and what the CDR keeps.

use crate::bench::*;
use accounting::EndedBy;

const CONTACT: &str = "Contact: <sip:callee@203.0.113.10>\r\n";
const CLEARED: &str = "Reason: Q.850;cause=16\r\n";

#[test]
fn the_cancel_of_a_reinvite_leaves_the_end_of_the_call_open() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, callee) = bench.answered_call();
    let invite = bench.request(&caller, "INVITE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let ringing = reply(&forwarded.text, 180, "", CONTACT);
    bench.send(VENDOR, &ringing);
    let cancel = beside(&invite, "CANCEL", &caller.to, CLEARED);
    let sent = bench.send(CALLER, &cancel);
    assert_eq!(
        summary(&sent),
        [(CALLER.to_owned(), "200"), (VENDOR.to_owned(), "CANCEL")]
    );
    let terminated = reply(&forwarded.text, 487, "", "");
    let sent = bench.send(VENDOR, &terminated);
    assert_eq!(only(&sent, "487").to.to_string(), CALLER);
    let ack = beside(&invite, "ACK", &caller.to, "");
    bench.send(CALLER, &ack);

    bench.wait(5 * SECOND);
    let bye = bench.request(&callee, "BYE", "sip:caller@198.51.100.10", 1, "");
    let sent = bench.send(VENDOR, &bye);
    let ok = reply(&only(&sent, "BYE").text, 200, "", "");
    bench.send(CALLER, &ok);
    let cdr = bench.only_cdr();
    assert_eq!(cdr.ended_by, Some(EndedBy::Callee));
    assert_eq!((cdr.reason.as_deref(), cdr.q850_cause), (None, None));
    bench.rest();
}

/// A vendor fails with a Reason, the next one rings, and the caller cancels with these lines: the CANCEL that went on.
fn cancelled_after_a_failure(bench: &mut Bench, more: &str) -> Sent {
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let failed = reply(
        &only(&sent, "INVITE").text,
        503,
        "v0",
        "Reason: Q.850;cause=34\r\n",
    );
    let sent = bench.send(VENDOR, &failed);
    let second = only(&sent, "INVITE").clone();
    assert_eq!(second.to.to_string(), SECOND_VENDOR);
    let ringing = reply(&second.text, 180, "v1", CONTACT);
    bench.send(SECOND_VENDOR, &ringing);
    let cancel = beside(&invite, "CANCEL", "<sip:4930123@192.0.2.1>", more);
    let sent = bench.send(CALLER, &cancel);
    let cancel = only(&sent, "CANCEL").clone();
    bench.send(SECOND_VENDOR, &reply(&cancel.text, 200, "v1", ""));
    let sent = bench.send(SECOND_VENDOR, &reply(&second.text, 487, "v1", ""));
    let terminated = only(&sent, "487");
    let ack = beside(&invite, "ACK", terminated.header("To").unwrap(), "");
    bench.send(CALLER, &ack);
    bench.rest();
    assert_eq!(bench.only_cdr().ended_by, Some(EndedBy::Caller));
    cancel
}

//= proves RFC 3326 §2
#[test]
fn the_reason_of_a_cancel_goes_on() {
    let mut bench = Bench::new(&TWO_VENDORS);
    let cancel = cancelled_after_a_failure(&mut bench, CLEARED);
    assert_eq!(cancel.header("Reason"), Some("Q.850;cause=16"));
    assert_eq!(bench.only_cdr().q850_cause, Some(16));
}

#[test]
fn the_reason_of_a_failed_vendor_is_no_reason_to_cancel_the_next() {
    let mut bench = Bench::new(&TWO_VENDORS);
    let cancel = cancelled_after_a_failure(&mut bench, "");
    assert_eq!(cancel.header("Reason"), None);
    assert_eq!(bench.only_cdr().q850_cause, None);
}

//= proves departure RFC 3261 §16.10
#[test]
fn a_cancel_from_another_address_than_the_invite_ends_nothing() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    bench.send(VENDOR, &reply(&forwarded.text, 180, "callee", ""));
    let cancel = beside(&invite, "CANCEL", "<sip:4930123@192.0.2.1>", "");
    let neighbour = "198.51.100.11:5060";
    let sent = bench.send(neighbour, &cancel);
    assert_eq!(summary(&sent), [(neighbour.to_owned(), "481")]);
    let sent = bench.send(CALLER, &cancel);
    assert_eq!(only(&sent, "200").to.to_string(), CALLER);
    assert_eq!(only(&sent, "CANCEL").to.to_string(), VENDOR);
}

//= proves RFC 3261 §16.10
#[test]
fn a_cancel_that_finds_the_answer_of_a_re_invite_waiting_for_its_turn_comes_too_late() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let named = invite.replace("caller@198.51.100.10>", "caller@pbx.example>");
    assert_ne!(invite, named);
    let forwarded = only(&bench.send(CALLER, &named), "INVITE").clone();
    let ok = reply(&forwarded.text, 200, "callee", CONTACT);
    let (caller, callee) = Dialog::pair(only(&bench.send(VENDOR, &ok), "200"));
    let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
    bench.send(CALLER, &ack);

    let reinvite = bench.request(&caller, "INVITE", "sip:callee@203.0.113.10", 2, "");
    let forwarded = only(&bench.send(CALLER, &reinvite), "INVITE").clone();
    // The callee's INFO waits for the caller's address, and the answer after it for the INFO.
    let info = bench.request(&callee, "INFO", "sip:caller@pbx.example", 1, "");
    assert!(bench.send(VENDOR, &info).is_empty());
    let job = bench.take_job();
    let moved = "Contact: <sip:moved@203.0.113.10>\r\n";
    assert!(
        bench
            .send(VENDOR, &reply(&forwarded.text, 200, "", moved))
            .is_empty()
    );
    let cancel = beside(&reinvite, "CANCEL", &caller.to, "");
    let sent = bench.send(CALLER, &cancel);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "200")], "no 487");
    let answer = proxy_core::JobAnswer::Resolved {
        addresses: vec![CALLER.parse().unwrap()],
        ttl_s: 60,
    };
    let sent = bench.end_job(&job, answer);
    assert_eq!(
        summary(&sent),
        [(CALLER.to_owned(), "INFO"), (CALLER.to_owned(), "200")]
    );
    assert_eq!(sent[1].header("CSeq"), Some("2 INVITE"));
    let info = sent[0].clone();
    bench.send(CALLER, &reply(&info.text, 200, "", ""));
    let ack = bench.request(&caller, "ACK", "sip:moved@203.0.113.10", 2, "");
    bench.send(CALLER, &ack);
    let bye = bench.request(&caller, "BYE", "sip:elsewhere@203.0.113.10", 3, "");
    let sent = bench.send(CALLER, &bye);
    let bye = only(&sent, "BYE");
    assert_eq!(bye.uri(), "sip:moved@203.0.113.10", "its target counts");
    bench.send(VENDOR, &reply(&bye.text, 200, "", ""));
    bench.rest();
}

//= proves RFC 3261 §9.2
#[test]
fn a_cancel_of_an_invite_that_was_refused_for_a_limit_is_answered_200() {
    let mut bench = Bench::new(&Routes {
        customers: "name,rate_sheet,routing_plan,channel_limit\nacme,acme,plan,0\n",
        ..ONE_VENDOR
    });
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "503")]);
    let cancel = beside(&invite, "CANCEL", "<sip:4930123@192.0.2.1>", "");
    let sent = bench.send(CALLER, &cancel);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "200")]);
    let sent = bench.send("198.51.100.11:5060", &cancel);
    assert_eq!(only(&sent, "481").to.to_string(), "198.51.100.11:5060");
}

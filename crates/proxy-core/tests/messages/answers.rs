//! Answers that are out of the ordinary: without a tag, one dialog too many, too late, or of a call that is over.

use crate::bench::*;
use accounting::{Cause, EndedBy, Record};
use proxy_core::{CoreConfig, Policy, Stat};

const CONTACT: &str = "Contact: <sip:callee@203.0.113.10>\r\n";

/// A call that was answered by a 200 without To-tag, or with one of its own after these early dialogs.
fn call_answered_as(bench: &mut Bench, early: &[&str], tag: &str) -> (Dialog, Dialog) {
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    for early in early {
        let ringing = reply(&forwarded.text, 180, early, CONTACT);
        assert_eq!(
            summary(&bench.send(VENDOR, &ringing)),
            [(CALLER.to_owned(), "180")]
        );
    }
    let ok = reply(&forwarded.text, 200, tag, CONTACT);
    let sent = bench.send(VENDOR, &ok);
    let (caller, callee) = Dialog::pair(only(&sent, "200"));
    let answered = bench
        .records
        .iter()
        .filter(|record| matches!(record, Record::Answered(_)));
    assert_eq!(answered.count(), 1);
    let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &ack)),
        [(VENDOR.to_owned(), "ACK")]
    );
    (caller, callee)
}

/// A BYE of one side passes to the other and back, and closes the one CDR after ten seconds.
fn hang_up(bench: &mut Bench, side: &Dialog, cseq: u32) {
    let (from, to) = if side.address == CALLER {
        (CALLER, VENDOR)
    } else {
        (VENDOR, CALLER)
    };
    bench.wait(10 * SECOND);
    let bye = bench.request(side, "BYE", &format!("sip:x@{to}"), cseq, "");
    let sent = bench.send(from, &bye);
    assert_eq!(summary(&sent), [(to.to_owned(), "BYE")]);
    let ok = reply(&sent[0].text, 200, "", "");
    assert_eq!(summary(&bench.send(to, &ok)), [(from.to_owned(), "200")]);
    assert_eq!(bench.only_cdr().duration_us, 10 * SECOND);
    assert_eq!(bench.only_cdr().cause, Cause::Answered);
    bench.rest();
    assert_eq!(bench.cdrs().len(), 1);
}

//= proves RFC 3261 §12.1.2
//= proves RFC 3261 §12.2.1.1
#[test]
fn a_200_without_to_tag_is_an_answer_that_the_caller_can_end() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = call_answered_as(&mut bench, &[], "");
    assert!(!caller.to.contains("tag="), "{}", caller.to);
    hang_up(&mut bench, &caller, 2);
}

#[test]
fn a_200_without_to_tag_is_an_answer_that_the_callee_can_end() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (_, callee) = call_answered_as(&mut bench, &[], "");
    hang_up(&mut bench, &callee, 1);
}

#[test]
fn one_dialog_more_than_are_followed_while_they_ring_can_answer() {
    let early: Vec<String> = (0..64).map(|at| format!("e{at}")).collect();
    let early: Vec<&str> = early.iter().map(String::as_str).collect();
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = call_answered_as(&mut bench, &early, "one-more");
    hang_up(&mut bench, &caller, 2);
}

#[test]
fn what_is_under_way_on_an_early_dialog_moves_no_other() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let sent = bench.send(VENDOR, &reply(&forwarded.text, 183, "e0", CONTACT));
    let (early, _) = Dialog::pair(only(&sent, "183"));
    let update = bench.request(&early, "UPDATE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &update);
    let update = only(&sent, "UPDATE").clone();
    for at in 1..80 {
        let ringing = reply(&forwarded.text, 180, &format!("e{at}"), CONTACT);
        assert_eq!(bench.send(VENDOR, &ringing).len(), 1);
    }
    let ok = reply(&forwarded.text, 200, "answer", CONTACT);
    let sent = bench.send(VENDOR, &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    let moved = "Contact: <sip:moved@203.0.113.77>\r\n";
    let sent = bench.send(VENDOR, &reply(&update.text, 200, "", moved));
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "200")]);
    let bye = bench.request(&caller, "BYE", "sip:x@192.0.2.9", 3, "");
    let sent = bench.send(CALLER, &bye);
    assert_eq!(only(&sent, "BYE").uri(), "sip:callee@203.0.113.10");
    bench.send(VENDOR, &reply(&sent[0].text, 200, "", ""));
    bench.rest();
}

#[test]
fn a_call_that_nobody_ends_is_ended_at_its_greatest_length() {
    for (early, tag) in [
        (&[][..], ""),
        (&["a", "b", "c", "d", "e", "f", "g", "h"], "ninth"),
    ] {
        let policy = Policy {
            max_call_us: 100 * SECOND,
            ..Policy::default()
        };
        let mut bench = Bench::with(CoreConfig { policy, ..config() }, &ONE_VENDOR);
        let (caller, callee) = call_answered_as(&mut bench, early, tag);
        assert!(
            bench
                .wait(99 * SECOND)
                .iter()
                .all(|sent| sent.what() != "BYE")
        );
        let sent = bench.wait(1_100_000);
        let mut byes: Vec<&Sent> = sent.iter().filter(|sent| sent.what() == "BYE").collect();
        byes.dedup_by_key(|bye| bye.to);
        byes.sort_by_key(|bye| bye.to);
        let [to_caller, to_vendor] = byes[..] else {
            panic!("{:?}", summary(&sent))
        };
        assert_eq!(
            (
                to_caller.to.to_string().as_str(),
                to_vendor.to.to_string().as_str()
            ),
            (CALLER, VENDOR)
        );
        assert_eq!(to_vendor.header("From"), Some(caller.from.as_str()));
        assert_eq!(to_vendor.header("To"), Some(callee.from.as_str()));
        assert_eq!(to_caller.header("From"), Some(callee.from.as_str()));
        let cdr = bench.only_cdr();
        assert_eq!(
            (cdr.cause, cdr.ended_by),
            (Cause::MaxDuration, Some(EndedBy::Proxy))
        );
        assert!(
            (100 * SECOND..100 * SECOND + 20_000).contains(&cdr.duration_us),
            "{}",
            cdr.duration_us
        );
        bench.rest();
    }
}

/// The only vendor is silent, upstream hears 408, and then the 200 comes.
fn late_answer(bench: &mut Bench) -> (Dialog, Dialog) {
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let sent = bench.wait(5 * SECOND);
    let refused = sent.iter().find(|sent| sent.what() == "408").unwrap();
    let ack = beside(&invite, "ACK", refused.header("To").unwrap(), "");
    assert!(bench.send(CALLER, &ack).is_empty());
    let ok = reply(&forwarded.text, 200, "callee", CONTACT);
    let sent = bench.send(VENDOR, &ok);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "200")]);
    assert_eq!(bench.stat(Stat::LateAnswers), 1);
    Dialog::pair(&sent[0])
}

/// The callee hangs up ten seconds later.
fn callee_ends(bench: &mut Bench, callee: &Dialog) {
    bench.wait(10 * SECOND);
    let bye = bench.request(callee, "BYE", "sip:caller@198.51.100.10", 1, "");
    let sent = bench.send(VENDOR, &bye);
    let ok = reply(&only(&sent, "BYE").text, 200, "", "");
    bench.send(CALLER, &ok);
    bench.rest();
}

#[test]
fn an_answer_after_our_final_response_is_billed_by_the_vendor() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (_, callee) = late_answer(&mut bench);
    callee_ends(&mut bench, &callee);
    let cdr = bench.only_cdr();
    assert_eq!((cdr.status, cdr.answer_us, cdr.duration_us), (408, None, 0));
    let rated = cdr.rated();
    assert_eq!(rated.customer_price, Some("0".parse().unwrap()));
    assert_eq!(rated.vendor_price, Some("0.01".parse().unwrap()));
    assert_eq!(cdr.attempts[0].duration_us, 10 * SECOND);
}

#[test]
fn a_late_answer_is_what_the_record_is_about_though_another_vendor_came_after() {
    let mut bench = Bench::new(&TWO_VENDORS);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let first = only(&sent, "INVITE").clone();
    let sent = bench.wait(5 * SECOND);
    let second = sent
        .iter()
        .find(|sent| sent.to.to_string() == SECOND_VENDOR);
    let busy = reply(&second.unwrap().text, 486, "v1", "");
    let sent = bench.send(SECOND_VENDOR, &busy);
    let refused = only(&sent, "486");
    bench.send(
        CALLER,
        &beside(&invite, "ACK", refused.header("To").unwrap(), ""),
    );
    let ok = reply(&first.text, 200, "v0", CONTACT);
    let sent = bench.send(VENDOR, &ok);
    let (_, callee) = Dialog::pair(only(&sent, "200"));
    callee_ends(&mut bench, &callee);
    let cdr = bench.only_cdr();
    assert_eq!((cdr.status, cdr.vendor.as_deref()), (486, Some("v0")));
    assert_eq!(cdr.rated().vendor_price, Some("0.01".parse().unwrap()));
}

//= proves RFC 3261 §16.7(5)
#[test]
fn an_answer_after_our_final_response_that_the_caller_takes_is_billed_to_him_too() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, callee) = late_answer(&mut bench);
    let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &ack)),
        [(VENDOR.to_owned(), "ACK")]
    );
    callee_ends(&mut bench, &callee);
    let cdr = bench.only_cdr();
    assert_eq!(
        (cdr.status, cdr.cause, cdr.duration_us),
        (200, Cause::Answered, 10 * SECOND)
    );
    assert_eq!(cdr.ended_by, Some(EndedBy::Callee));
    let rated = cdr.rated();
    assert_eq!(rated.customer_price, Some("0.1".parse().unwrap()));
    assert_eq!(rated.vendor_price, Some("0.01".parse().unwrap()));
}

#[test]
fn an_answer_taken_after_our_final_response_is_billed_though_the_process_dies() {
    let mut before = Bench::new(&ONE_VENDOR);
    let (caller, _) = late_answer(&mut before);
    let ack = before.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
    before.send(CALLER, &ack);
    let journal = before.records.iter().rev().find_map(|record| match record {
        Record::Answered(call) => Some((**call).clone()),
        _ => None,
    });
    let mut bench = Bench::with(
        CoreConfig {
            boot: 2,
            ..config()
        },
        &ONE_VENDOR,
    );
    bench.wait(5 * SECOND);
    bench.restore(&journal.unwrap());
    bench.wait(10 * SECOND);
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    bench.send(VENDOR, &reply(&only(&sent, "BYE").text, 200, "", ""));
    let cdr = bench.only_cdr();
    assert_eq!((cdr.status, cdr.cause), (200, Cause::Answered));
    assert!(cdr.duration_us.abs_diff(10 * SECOND) < 10, "{cdr:?}");
    bench.rest();
}

#[test]
fn a_late_answer_that_is_ended_at_its_greatest_length_leaves_the_calls_own_cause() {
    let policy = Policy {
        max_call_us: 20 * SECOND,
        ..Policy::default()
    };
    let mut bench = Bench::with(CoreConfig { policy, ..config() }, &ONE_VENDOR);
    late_answer(&mut bench);
    bench.rest();
    let cdr = bench.only_cdr();
    assert_eq!((cdr.status, cdr.answer_us), (408, None));
    assert_eq!(cdr.cause, Cause::TimeoutNo1xx);
    assert_eq!(cdr.attempts[0].cause, Cause::MaxDuration);
}

//= proves departure RFC 3261 §13.3.1.4
#[test]
fn an_answer_after_the_call_was_settled_is_dropped_and_counted() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let ok = reply(&forwarded.text, 200, "one", CONTACT);
    let sent = bench.send(VENDOR, &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    let ok = reply(&only(&sent, "BYE").text, 200, "", "");
    bench.send(VENDOR, &ok);
    assert_eq!(bench.core.live_calls(), 0);

    let second = reply(&forwarded.text, 200, "two", CONTACT);
    let sent = bench.send(VENDOR, &second);
    assert!(sent.is_empty(), "{:?}", summary(&sent));
    assert_eq!(bench.stat(Stat::ResponsesTooLate), 1);
    bench.rest();
    assert_eq!(bench.cdrs().len(), 1);
}

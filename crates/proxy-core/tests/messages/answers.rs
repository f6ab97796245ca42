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
fn a_ninth_dialog_that_answers_takes_the_place_of_an_early_one() {
    let early = ["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"];
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = call_answered_as(&mut bench, &early, "ninth");
    hang_up(&mut bench, &caller, 2);
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

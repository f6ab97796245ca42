//! Non-INVITE requests that take long, RFC 4320: 100 once Timer E has reached T2, no other provisional, no 408.

use crate::bench::*;
use proxy_core::Stat;

const CALLEE: &str = "sip:callee@203.0.113.10";

/// A call, and an INFO of its caller as it left for the vendor.
fn info() -> (Bench, String, Sent) {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    let info = bench.request(&caller, "INFO", CALLEE, 2, "");
    let sent = bench.send(CALLER, &info);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "INFO")], "no 100 yet");
    let forwarded = sent[0].clone();
    (bench, info, forwarded)
}

fn to_caller(sent: &[Sent]) -> Vec<&str> {
    let to_caller = sent.iter().filter(|sent| sent.to.to_string() == CALLER);
    to_caller.map(Sent::what).collect()
}

//= proves RFC 4320 §4.1
#[test]
fn a_request_without_an_answer_hears_100_when_timer_e_has_reached_t2_and_not_before() {
    let (mut bench, info, forwarded) = info();
    assert!(to_caller(&bench.wait(3_490_000)).is_empty());
    assert!(bench.send(CALLER, &info).is_empty(), "nothing to repeat");
    assert_eq!(to_caller(&bench.wait(20_000)), ["100"]);
    assert_eq!(
        summary(&bench.send(CALLER, &info)),
        [(CALLER.to_owned(), "100")]
    );
    assert!(
        to_caller(&bench.wait(10 * SECOND)).is_empty(),
        "once is enough"
    );
    let ok = reply(&forwarded.text, 200, "", "");
    assert_eq!(
        summary(&bench.send(VENDOR, &ok)),
        [(CALLER.to_owned(), "200")]
    );
}

//= proves RFC 4320 §4.1
#[test]
fn a_request_answered_in_time_hears_no_100() {
    let (mut bench, _, forwarded) = info();
    bench.wait(3 * SECOND);
    let ok = reply(&forwarded.text, 200, "", "");
    assert_eq!(
        summary(&bench.send(VENDOR, &ok)),
        [(CALLER.to_owned(), "200")]
    );
    assert!(to_caller(&bench.wait(10 * SECOND)).is_empty());
}

//= proves RFC 4320 §4.1
#[test]
fn a_provisional_of_a_vendor_stays_here() {
    let (mut bench, _, forwarded) = info();
    for status in [100, 180, 183, 199] {
        let provisional = reply(&forwarded.text, status, "", "");
        assert!(bench.send(VENDOR, &provisional).is_empty(), "{status}");
    }
    let ok = reply(&forwarded.text, 200, "", "");
    assert_eq!(
        summary(&bench.send(VENDOR, &ok)),
        [(CALLER.to_owned(), "200")]
    );
}

//= proves RFC 4320 §4.2
#[test]
fn a_408_of_a_vendor_is_not_passed_on_and_the_request_is_not_taken_for_a_new_one() {
    let (mut bench, info, forwarded) = info();
    bench.wait(SECOND);
    let timeout = reply(&forwarded.text, 408, "", "");
    assert!(bench.send(VENDOR, &timeout).is_empty());
    assert!(
        bench.send(CALLER, &info).is_empty(),
        "its repetition is absorbed"
    );
    let sent = bench.wait(40 * SECOND);
    assert!(to_caller(&sent).is_empty(), "{:?}", summary(&sent));
    assert_eq!(bench.stat(Stat::RequestsRetransmitted), 1);
    assert_eq!(bench.core.live_contexts(), 0);
    assert_eq!(bench.core.live_transactions(), 0);
    assert_eq!(bench.core.live_calls(), 1);
}

//= proves RFC 4320 §4.2
#[test]
fn a_request_that_nobody_answers_hears_no_408_and_a_late_answer_goes_nowhere() {
    let (mut bench, _, forwarded) = info();
    let sent = bench.wait(40 * SECOND);
    assert_eq!(to_caller(&sent), ["100"]);
    assert_eq!(bench.core.live_contexts(), 0);
    let late = reply(&forwarded.text, 200, "", "");
    assert!(bench.send(VENDOR, &late).is_empty());
    assert_eq!(bench.stat(Stat::ResponsesStray), 1);
}

//= proves RFC 4320 §4.1
//= proves RFC 4320 §4.2
#[test]
fn the_same_holds_outside_a_dialog() {
    for answer in [Some(408), None] {
        let mut bench = Bench::new(&ONE_VENDOR);
        let uri = "sip:4930123@192.0.2.1";
        let message = bench.request(&Dialog::caller(""), "MESSAGE", uri, 1, "");
        let sent = bench.send(CALLER, &message);
        assert_eq!(summary(&sent), [(VENDOR.to_owned(), "MESSAGE")]);
        if let Some(status) = answer {
            let response = reply(&sent[0].text, status, "x", "");
            assert!(bench.send(VENDOR, &response).is_empty());
        }
        let sent = bench.wait(70 * SECOND);
        let expected: &[&str] = if answer.is_some() { &[] } else { &["100"] };
        assert_eq!(to_caller(&sent), expected, "{answer:?}");
        bench.rest();
    }
}

//= proves RFC 3261 §17.1.2.2
#[test]
fn a_provisional_slows_the_repetition_down_to_t2_and_timer_f_still_ends_it() {
    let (mut bench, _, forwarded) = info();
    let trying = reply(&forwarded.text, 100, "", "");
    bench.send(VENDOR, &trying);
    // Timer E was running when the 100 came, and takes T2 from then on: 0.5, 4.5, 8.5 … 28.5 s; Timer F at 32 s.
    let sent = bench.wait(40 * SECOND);
    let again = sent.iter().filter(|sent| sent.what() == "INFO").count();
    assert_eq!(again, 8);
    assert_eq!(bench.core.live_contexts(), 0);
}

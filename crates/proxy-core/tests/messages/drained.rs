//! A drain that has lasted as long as it may.

use crate::bench::*;
use accounting::{Cause, EndedBy};

#[test]
fn a_call_that_rings_is_cancelled_and_refused_with_503_and_has_its_record() {
    let mut bench = Bench::new(&TWO_VENDORS);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    bench.send(VENDOR, &reply(&forwarded.text, 180, "callee", ""));
    let sent = bench.end_setup();
    only(&sent, "CANCEL");
    let refused = only(&sent, "503");
    assert_eq!(refused.to.to_string(), CALLER);
    bench.send(
        CALLER,
        &beside(&invite, "ACK", refused.header("To").unwrap(), ""),
    );
    assert!(bench.cdrs().is_empty(), "the vendor may still answer");
    let sent = bench.send(VENDOR, &reply(&forwarded.text, 487, "callee", ""));
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "ACK")]);
    bench.rest();
    let cdr = bench.only_cdr();
    assert_eq!(
        (cdr.status, cdr.cause, cdr.ended_by),
        (503, Cause::Restart, Some(EndedBy::Proxy))
    );
    assert_eq!(cdr.attempts.len(), 1, "no other vendor is asked");
}

#[test]
fn a_vendor_that_never_says_how_it_ended_costs_no_record() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    bench.send(CALLER, &invite);
    let sent = bench.end_setup();
    // RFC 3261 §9.1: no CANCEL for what has heard nothing yet.
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "503")]);
    assert!(bench.cdrs().is_empty());
    bench.end_branches();
    assert_eq!(bench.only_cdr().cause, Cause::Restart);
    bench.rest();
    bench.only_cdr();
}

#[test]
fn a_call_that_is_up_stays_up() {
    let mut bench = Bench::new(&ONE_VENDOR);
    bench.answered_call();
    assert!(bench.end_setup().is_empty());
    bench.end_branches();
    assert!(bench.cdrs().is_empty());
    assert_eq!(bench.core.live_calls(), 1);
}

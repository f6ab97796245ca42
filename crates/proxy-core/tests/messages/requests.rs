//! Requests at the edge of what is valid.

use crate::bench::*;
use accounting::Cause;

//= proves RFC 3261 §8.1.1.5
#[test]
fn a_cseq_beyond_31_bits_is_answered_400() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    let info = bench.request(&caller, "INFO", "sip:callee@203.0.113.10", 1 << 31, "");
    assert_eq!(
        summary(&bench.send(CALLER, &info)),
        [(CALLER.to_owned(), "400")]
    );
    assert_eq!(bench.core.stats().refused(Cause::BadRequest), 1);
    let info = bench.request(
        &caller,
        "INFO",
        "sip:callee@203.0.113.10",
        (1 << 31) - 1,
        "",
    );
    assert_eq!(
        summary(&bench.send(CALLER, &info)),
        [(VENDOR.to_owned(), "INFO")]
    );

    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite().replace("CSeq: 1 ", "CSeq: 2147483648 ");
    assert_eq!(
        summary(&bench.send(CALLER, &invite)),
        [(CALLER.to_owned(), "400")]
    );
    assert_eq!(bench.core.live_calls(), 0);
}

//= proves RFC 3261 §16.6(2)
#[test]
fn a_request_uri_without_user_stays_without() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench
        .invite()
        .replace("INVITE sip:4930123@192.0.2.1 ", "INVITE sip:192.0.2.1 ");
    let sent = bench.send(CALLER, &invite);
    let uri = only(&sent, "INVITE").uri();
    assert!(
        uri.starts_with("sip:203.0.113.10") && !uri.contains('@'),
        "{uri}"
    );
}

#[test]
fn the_ack_of_a_reinvite_that_was_out_of_order_ends_here() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    let invite = bench.request(&caller, "INVITE", "sip:callee@203.0.113.10", 1, "");
    let sent = bench.send(CALLER, &invite);
    assert_eq!(only(&sent, "500").to.to_string(), CALLER);
    assert!(
        sent.iter().all(|sent| sent.to.to_string() == CALLER),
        "{:?}",
        summary(&sent)
    );
    let ack = beside(&invite, "ACK", &caller.to, "");
    let sent = bench.send(CALLER, &ack);
    assert!(sent.is_empty(), "{:?}", summary(&sent));
    assert_eq!(bench.core.live_calls(), 1);
}

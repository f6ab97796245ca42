//! Sources that are no trunk: answered at a bounded rate, briefly, and out of no customer's share.

use crate::bench::*;
use proxy_core::{CoreConfig, Stat};

const STRANGER: &str = "192.0.2.200:5060";

fn bounded() -> CoreConfig {
    let mut config = config();
    config.policy.malformed_answers_per_s = 10;
    config.policy.stranger_answers_per_s = 10;
    config.policy.stranger_answers_per_source_s = 5;
    config
}

fn answers(bench: &mut Bench, from: &str, request: impl Fn(&mut Bench) -> String) -> usize {
    let mut count = 0;
    for n in 0..50 {
        let text = request(bench).replace("call@", &format!("{n}@"));
        count += bench.send(from, &text).len();
    }
    count
}

fn options(bench: &mut Bench) -> String {
    let text = bench.request(&Dialog::caller(""), "OPTIONS", "sip:192.0.2.1", 1, "");
    text.replace("sip:4930123@192.0.2.1", "sip:192.0.2.1")
}

#[test]
fn whatever_a_stranger_asks_is_answered_at_a_bounded_rate() {
    let asked: [fn(&mut Bench) -> String; 6] = [
        Bench::invite,
        options,
        |bench| bench.request(&Dialog::caller(""), "REGISTER", "sip:192.0.2.1", 1, ""),
        |bench| bench.request(&Dialog::caller("x"), "BYE", "sip:192.0.2.1", 1, ""),
        |bench| bench.request(&Dialog::caller(""), "CANCEL", "sip:1@192.0.2.1", 1, ""),
        |bench| {
            bench
                .invite()
                .replace("Max-Forwards: 70", "Max-Forwards: 0")
        },
    ];
    for (n, request) in asked.into_iter().enumerate() {
        let mut bench = Bench::with(bounded(), &ONE_VENDOR);
        assert_eq!(answers(&mut bench, STRANGER, request), 5, "request {n}");
        assert_eq!(bench.stat(Stat::RefusalsLimited), 45, "request {n}");
        bench.wait(SECOND);
        assert_eq!(answers(&mut bench, STRANGER, request), 5, "request {n}");
    }
    let mut bench = Bench::with(bounded(), &ONE_VENDOR);
    assert_eq!(answers(&mut bench, CALLER, options), 50, "a customer");
    assert_eq!(answers(&mut bench, VENDOR, options), 50, "a vendor");
}

#[test]
fn strangers_use_up_no_answer_of_a_customer() {
    let mut bench = Bench::with(bounded(), &ONE_VENDOR);
    let malformed = |bench: &mut Bench| bench.invite().replace("To: <sip", "To: <<sip");
    let out_of_range = |bench: &mut Bench| bench.invite().replace("CSeq: 1 ", "CSeq: 4000000000 ");
    let all: usize = (10..20)
        .map(|n| answers(&mut bench, &format!("192.0.2.{n}:5060"), malformed))
        .sum();
    assert_eq!(all, 10);
    assert_eq!(answers(&mut bench, STRANGER, out_of_range), 0);
    assert_eq!(answers(&mut bench, CALLER, out_of_range), 10);
}

//= proves departure RFC 3261 §11.2
//= proves RFC 3261 §8.2.1
#[test]
fn a_stranger_is_told_no_methods_but_where_one_is_refused() {
    let mut bench = Bench::new(&ONE_VENDOR);
    for (from, told) in [(STRANGER, false), (CALLER, true), (VENDOR, true)] {
        let text = options(&mut bench);
        let sent = bench.send(from, &text);
        assert_eq!(only(&sent, "200").header("Allow").is_some(), told, "{from}");
    }
    let register = bench.request(&Dialog::caller(""), "REGISTER", "sip:192.0.2.1", 1, "");
    let sent = bench.send(STRANGER, &register);
    assert!(only(&sent, "405").header("Allow").is_some());
}

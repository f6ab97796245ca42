//! A BYE that never arrives, or that cannot: neither stops the meter early nor lets it run on.

use crate::bench::*;
use accounting::EndedBy;
use proxy_core::Stat;

/// What the core does with a BYE that the vendor treats so, from its arrival.
fn end_by_unheard_bye(answer: Option<u16>) {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    bench.wait(10 * SECOND);
    let arrived_us = bench.wall_us();
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "BYE")]);
    let sent = match answer {
        Some(status) => {
            let text = reply(&sent[0].text, status, "", "");
            bench.wait(SECOND);
            bench.send(VENDOR, &text)
        }
        None => bench.wait(40 * SECOND),
    };
    let own: Vec<&Sent> = sent
        .iter()
        .filter(|sent| sent.what() == "BYE" && sent.cseq() > 2)
        .collect();
    assert!(!own.is_empty(), "{:?}", summary(&sent));
    for own in own {
        assert_eq!(
            (own.to.to_string().as_str(), own.uri()),
            (VENDOR, "sip:callee@203.0.113.10")
        );
        assert_eq!(own.header("From"), Some(caller.from.as_str()));
        assert_eq!(own.header("To"), Some("<sip:4930123@192.0.2.1>;tag=callee"));
    }
    assert_eq!(bench.stat(Stat::OwnByes), 1);
    let cdr = bench.only_cdr();
    assert_eq!(cdr.end_us, Some(arrived_us));
    assert_eq!(cdr.ended_by, Some(EndedBy::Caller));
    assert_eq!(cdr.duration_us, 10 * SECOND);
    bench.rest();
}

//= proves RFC 3261 §15.1.1
//= proves departure RFC 3261 §15.1
#[test]
fn a_bye_that_nobody_answers_is_followed_by_one_of_our_own() {
    end_by_unheard_bye(None);
}

//= proves RFC 3261 §15.1.1
//= proves departure RFC 3261 §15.1
#[test]
fn a_bye_that_is_answered_408_is_followed_by_one_of_our_own() {
    end_by_unheard_bye(Some(408));
}

#[test]
fn a_bye_too_large_to_be_forwarded_does_not_stop_the_meter() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    bench.wait(SECOND);
    // What we strip would make room for what we add.
    let without_route = Dialog {
        routes: String::new(),
        ..caller.clone()
    };
    let bye = bench.request(&without_route, "BYE", "sip:callee@203.0.113.10", 2, "");
    let body_len = 65_450 - bye.len() - "65000".len() + "0".len();
    let large = bye.replace(
        "Content-Length: 0\r\n",
        &format!("Content-Length: {body_len}\r\n"),
    ) + &"x".repeat(body_len);
    assert_eq!(large.len(), 65_450);
    let sent = bench.send(CALLER, &large);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "513")]);
    assert_eq!((bench.core.live_calls(), bench.cdrs().len()), (1, 0));

    bench.wait(60 * SECOND);
    assert_eq!(bench.core.live_calls(), 1);
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 3, "");
    let sent = bench.send(CALLER, &bye);
    let ok = reply(&only(&sent, "BYE").text, 200, "", "");
    let sent = bench.send(VENDOR, &ok);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "200")]);
    assert_eq!(bench.only_cdr().duration_us, 61 * SECOND);
    bench.rest();
}

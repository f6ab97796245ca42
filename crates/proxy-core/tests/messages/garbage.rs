//! What malformed datagrams get: an answer that names the fault, at a bounded rate, and a count of each.

use crate::bench::*;
use accounting::Cause;
use proxy_core::Stat;

fn garbage(n: usize) -> String {
    format!(
        "INVITE sip:1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.10;branch=z9hG4bK{n}\r\n\
         From: <sip:2@h>;tag=a\r\nTo: <sip:1@h\r\nCall-ID: {n}\r\nCSeq: 1 INVITE\r\n\r\n"
    )
}

#[test]
fn a_flood_of_garbage_is_answered_at_a_bounded_rate_and_counted_to_the_last() {
    let mut bounded = config();
    bounded.policy.malformed_answers_per_source_s = 10;
    bounded.policy.malformed_answers_per_s = 15;
    let mut bench = Bench::with(bounded, &ONE_VENDOR);
    let answered = |bench: &mut Bench, from: &str| {
        (0..100)
            .filter(|n| {
                let sent = bench.send(from, &garbage(*n));
                assert!(
                    sent.iter()
                        .all(|sent| sent.text.starts_with("SIP/2.0 400 Malformed To\r\n"))
                );
                !sent.is_empty()
            })
            .count()
    };
    assert_eq!(answered(&mut bench, CALLER), 10);
    assert_eq!(
        answered(&mut bench, "198.51.100.77:5060"),
        5,
        "what is left for all"
    );
    bench.wait(SECOND);
    assert_eq!(answered(&mut bench, CALLER), 10);
    assert_eq!(bench.stat(Stat::ParseAnswered), 25);
    assert_eq!(bench.stat(Stat::ParseLimited), 275);
    assert_eq!(bench.core.stats().refused(Cause::BadRequest), 25);
    assert_eq!(bench.core.stats().parse_errors(), [("to_syntax", 300)]);
    // A call from the same source is not held back.
    let invite = bench.invite();
    only(&bench.send(CALLER, &invite), "INVITE");
}

#[test]
fn what_parses_but_breaks_a_rule_has_no_more_answers_than_what_does_not_parse() {
    let mut bounded = config();
    bounded.policy.malformed_answers_per_source_s = 10;
    let mut bench = Bench::with(bounded, &ONE_VENDOR);
    let mut answers = 0;
    for n in 0..50 {
        let invite = bench.invite().replace("CSeq: 1 ", "CSeq: 4000000000 ");
        answers += bench
            .send(CALLER, &invite.replace("call@", &format!("{n}@")))
            .len();
    }
    assert_eq!(answers, 10);
    assert_eq!(bench.core.stats().refused(Cause::BadRequest), 50);
    assert_eq!(bench.stat(Stat::RefusalsLimited), 40);
}

#[test]
fn each_fault_has_a_phrase_of_its_own_and_no_answer_goes_to_a_response_or_an_ack() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    for (from, to, line) in [
        (
            "Max-Forwards: 70",
            "Max-Forwards: x",
            "400 Invalid Max-Forwards",
        ),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE", "400 CSeq Method Mismatch"),
        (
            "Content-Length: 0",
            "Content-Length: 9",
            "400 Body Shorter Than Content-Length",
        ),
        (
            "Content-Length: 0",
            "Content-Length: -1",
            "400 Invalid Content-Length",
        ),
        ("SIP/2.0\r\n", "SIP/3.0\r\n", "505 Version Not Supported"),
        ("Call-ID: call@bench\r\n", "", "400 Missing Call-ID"),
    ] {
        assert!(invite.contains(from));
        let sent = bench.send(CALLER, &invite.replacen(from, to, 1));
        assert_eq!(sent.len(), 1, "{to}");
        assert_eq!(
            sent[0].text.split("\r\n").next(),
            Some(format!("SIP/2.0 {line}").as_str())
        );
    }
    let ack = invite
        .replace("INVITE", "ACK")
        .replace("To: <sip", "To: <<sip");
    let ok = reply(&invite, 200, "x", "").replace("To: <sip", "To: <<sip");
    for text in [
        ack.as_str(),
        ok.as_str(),
        "\0\0\u{1}",
        "INVITE",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        assert!(bench.send(CALLER, text).is_empty(), "{text}");
    }
    assert_eq!(bench.stat(Stat::ParseDropped), 5);
}

//= proves RFC 3261 §18.3
#[test]
fn octets_behind_the_body_are_cut_and_a_body_that_is_too_short_is_answered_400() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let body = "v=0\r\n";
    let with = |invite: String, length: usize| {
        let length = format!("Content-Length: {length}");
        invite.replace("Content-Length: 0", &length) + body
    };
    let invite = bench.invite();
    let sent = bench.send(CALLER, &with(invite, 3));
    let forwarded = &only(&sent, "INVITE").text;
    assert!(forwarded.ends_with("\r\n\r\nv=0"), "{forwarded}");
    assert_eq!(header(forwarded, "Content-Length"), Some("3"));

    let invite = bench.invite().replace("Call-ID: ", "Call-ID: 2");
    let sent = bench.send(CALLER, &with(invite, 6));
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "400")]);
}

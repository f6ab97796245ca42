//! How what leaves is written: the version, the Vias, and which status stands for no way at all (RFC 3261 §7.1, §8.2.6, §16.9).
//! Each message is looked at where it leaves the core.
//! Leaves out what the writer of messages does with any of them: that is shown where it lives.

use crate::bench::*;

/// The text with the version of its first line in lower case.
fn lower(text: &str) -> String {
    let (line, rest) = text.split_once("\r\n").unwrap();
    assert!(line.contains("SIP/2.0"), "{line}");
    format!("{}\r\n{rest}", line.replace("SIP/2.0", "sip/2.0"))
}

fn assert_upper(sent: &Sent) {
    let line = sent.text.split("\r\n").next().unwrap();
    assert!(
        line.starts_with("SIP/2.0 ") || line.ends_with(" SIP/2.0"),
        "{line}"
    );
}

//= proves RFC 3261 §7.1
#[test]
fn a_version_in_lower_case_is_understood_and_goes_on_in_upper_case() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = lower(&bench.invite());
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    assert_upper(&forwarded);
    let contact = "Contact: <sip:callee@203.0.113.10>\r\n";
    let sent = bench.send(
        VENDOR,
        &lower(&reply(&forwarded.text, 180, "callee", contact)),
    );
    assert_upper(only(&sent, "180"));
    let sent = bench.send(
        VENDOR,
        &lower(&reply(&forwarded.text, 200, "callee", contact)),
    );
    let answer = only(&sent, "200");
    assert_upper(answer);
    let (caller, _) = Dialog::pair(answer);
    for (cseq, method) in [(1, "ACK"), (2, "INFO"), (3, "BYE")] {
        let request = bench.request(&caller, method, "sip:callee@203.0.113.10", cseq, "");
        let sent = bench.send(CALLER, &lower(&request));
        let forwarded = only(&sent, method).clone();
        assert_upper(&forwarded);
        if method != "ACK" {
            let sent = bench.send(VENDOR, &lower(&reply(&forwarded.text, 200, "", "")));
            assert_upper(only(&sent, "200"));
        }
    }
}

//= proves RFC 3261 §7.1
#[test]
fn a_refusal_with_a_version_in_lower_case_goes_upstream_in_upper_case() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let refusal = reply(&only(&sent, "INVITE").text, 486, "callee", "");
    let sent = bench.send(VENDOR, &lower(&refusal));
    assert_upper(only(&sent, "486"));
}

//= proves RFC 3261 §8.2.6
#[test]
fn a_response_of_our_own_has_all_the_vias_of_its_request_in_their_order() {
    let more = ["SIP/2.0/UDP b;branch=z9hG4bKb", "SIP/2.0/TCP c;branch=1"];
    let stranger = "192.0.2.99:5060";
    // One refusal without state, one of a transaction.
    for (from, status) in [(stranger, "403"), (CALLER, "500")] {
        let mut bench = Bench::new(&ONE_VENDOR);
        let invite = bench.invite();
        let top = header(&invite, "Via").unwrap().to_owned();
        let invite = invite.replace(
            "Max-Forwards:",
            &format!("Via: {}, {}\r\nMax-Forwards:", more[0], more[1]),
        );
        let mut sent = bench.send(from, &invite);
        if from == CALLER {
            let forwarded = only(&sent, "INVITE").clone();
            sent = bench.send(VENDOR, &reply(&forwarded.text, 503, "v", ""));
        }
        let refusal = only(&sent, status);
        let vias: Vec<&str> = lines_of(&refusal.text, "Via")
            .flat_map(|line| line["Via: ".len()..].split(", "))
            .collect();
        assert!(vias[0].starts_with(&top), "{vias:?}");
        assert_eq!(vias[1..], more, "{status}");
    }
}

//= proves RFC 3261 §16.9
#[test]
fn within_a_known_dialog_too_a_next_hop_that_cannot_be_reached_is_500_upstream() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    for (cseq, method) in [(2, "INFO"), (3, "INVITE"), (4, "BYE")] {
        let request = bench.request(&caller, method, "sip:callee@203.0.113.10", cseq, "");
        let sent = bench.send(CALLER, &request);
        assert!(
            sent.iter().any(|sent| sent.what() == method),
            "{:?}",
            summary(&sent)
        );
        let sent = bench.unreachable(VENDOR);
        let heard = sent.iter().filter(|sent| sent.to.to_string() == CALLER);
        assert_eq!(heard.map(Sent::what).collect::<Vec<_>>(), ["500"]);
    }
}

//= proves RFC 3261 §11
//= proves RFC 3261 §16.3(3)
#[test]
fn without_hops_an_options_for_the_proxy_is_answered_and_one_for_another_is_not_forwarded() {
    let mut bench = Bench::new(&ONE_VENDOR);
    for (uri, status) in [
        ("sip:192.0.2.1:5060", "200"),
        ("sip:4930123@192.0.2.1", "483"),
    ] {
        let options = bench
            .request(&Dialog::caller(""), "OPTIONS", uri, 1, "")
            .replace("Max-Forwards: 70", "Max-Forwards: 0");
        let sent = bench.send(CALLER, &options);
        assert_eq!(summary(&sent), [(CALLER.to_owned(), status)], "{uri}");
    }
}

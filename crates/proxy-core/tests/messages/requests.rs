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

//= proves departure RFC 3261 §16.5
#[test]
fn a_number_is_routed_whatever_host_or_maddr_its_request_uri_names() {
    for host in [
        "elsewhere.example",
        "203.0.113.99:5099",
        "192.0.2.1;maddr=203.0.113.99;ttl=1",
    ] {
        let mut bench = Bench::new(&ONE_VENDOR);
        let invite = bench.invite().replace("@192.0.2.1 ", &format!("@{host} "));
        let sent = bench.send(CALLER, &invite);
        let forwarded = only(&sent, "INVITE");
        assert_eq!(forwarded.to.to_string(), VENDOR, "{host}");
        assert_eq!(forwarded.uri(), "sip:4930123@203.0.113.10:5060", "{host}");
    }
}

//= proves RFC 3261 §16.6(2)
#[test]
fn a_number_that_no_rule_changes_keeps_its_octets_and_a_changed_one_its_parameters() {
    let user = "%34930123;npdi;rn=+1%2d2:pass%20word";
    for (vendors, expected) in [
        (TWO_VENDORS.vendors, user),
        (
            "name,rate_sheet,prepend\nv0,v0,00\nv1,v1,\n",
            "004930123;npdi;rn=+1%2d2",
        ),
    ] {
        let mut bench = Bench::new(&Routes {
            vendors,
            ..ONE_VENDOR
        });
        let invite = bench
            .invite()
            .replace("sip:4930123@192.0.2.1 ", &format!("sip:{user}@192.0.2.1 "));
        let sent = bench.send(CALLER, &invite);
        let expected = format!("sip:{expected}@203.0.113.10:5060");
        assert_eq!(only(&sent, "INVITE").uri(), expected);
    }
}

#[test]
fn a_bye_with_a_malformed_route_still_ends_its_call() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    let caller = Dialog {
        routes: "Route: <sip:192.0.2.1\r\nContact: <\r\n".to_owned(),
        ..caller
    };
    let info = bench.request(&caller, "INFO", "sip:callee@203.0.113.10", 2, "");
    assert_eq!(
        summary(&bench.send(CALLER, &info)),
        [(CALLER.to_owned(), "400")]
    );
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 3, "");
    let sent = bench.send(CALLER, &bye);
    bench.send(VENDOR, &reply(&only(&sent, "BYE").text, 200, "", ""));
    assert_eq!(bench.core.live_calls(), 0);
}

//= proves RFC 3261 §16.6(1)
#[test]
fn a_forwarded_request_is_the_received_one_but_for_what_a_proxy_writes() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let odd = "x-Odd : ;;,,;;,;\r\ns:\r\nSubject-2:  a\r\n\t folded\r\n  value\r\nX-ODD:again\r\nc: text/plain\r\n";
    let invite = bench.invite();
    let invite = invite.replace(
        "Content-Length: 0\r\n\r\n",
        &format!("{odd}l: 4\r\n\r\n\0\r\n\u{1}"),
    );
    let sent = bench.send(CALLER, &invite);
    let written = |line: &&str| {
        !["INVITE ", "Via: ", "Max-", "Record-Route: "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let received: Vec<&str> = invite.split("\r\n").filter(written).collect();
    let forwarded: Vec<&str> = only(&sent, "INVITE")
        .text
        .split("\r\n")
        .filter(written)
        .collect();
    assert_eq!(received, forwarded);
}

//= proves RFC 3261 §16.6(10)
#[test]
fn a_forwarded_request_is_sent_again_until_it_is_heard() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").text.clone();
    let again = bench.wait(600_000);
    assert_eq!(only(&again, "INVITE").text, forwarded);
    bench.send(VENDOR, &reply(&forwarded, 100, "", ""));
    assert!(bench.wait(2 * SECOND).is_empty());
}

#[test]
fn a_record_shows_no_control_characters() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let named = "P-Asserted-Identity: \"a\u{1}\tb\" <sip:1@h>\r\nContact:";
    let invite = bench.invite();
    let invite = invite
        .replacen("4930123@", "4930%00%1b@", 1)
        .replace("Contact:", named);
    let sent = bench.send(CALLER, &invite);
    let refused = reply(
        &only(&sent, "INVITE").text,
        486,
        "callee",
        "Reason: SIP;text=\"\u{1b}[2J\"\r\n",
    );
    bench.send(VENDOR, &refused);
    bench.rest();
    let cdr = bench.only_cdr();
    assert_eq!(cdr.callee, "4930%00%1b");
    assert_eq!(cdr.callee_routed.as_deref(), Some("4930\u{FFFD}\u{FFFD}"));
    assert_eq!(cdr.pai.as_deref(), Some("\"a\u{FFFD} b\" <sip:1@h>"));
    assert_eq!(cdr.reason.as_deref(), Some("SIP;text=\"\u{FFFD}[2J\""));
}

#[test]
fn an_id_that_peers_see_is_not_made_of_the_seed_itself() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    bench.send(CALLER, &invite);
    let id = bench.views()[0].cdr_id;
    let mut random = [0; 10];
    fastrand::Rng::with_seed(config().seed).fill(&mut random);
    let millis = u64::try_from(bench.wall_us() / 1000).unwrap();
    let guessed = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    assert_eq!(guessed.get_timestamp(), id.get_timestamp());
    assert_ne!(guessed, id);
}

use crate::{Edits, HeaderTable, parse_datagram, write_message};

/// The top Via line after a request with `via` came from `remote`.
fn amended(via: &str, remote: &str, force_rport: bool) -> String {
    let text = format!(
        "OPTIONS sip:a SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n\
         Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
    );
    let mut table = HeaderTable::default();
    let message = parse_datagram(text.as_bytes(), &mut table).unwrap();
    let mut edits = Edits::new();
    edits.amend_top_via(&message, remote.parse().unwrap(), force_rport);
    let mut out = Vec::new();
    write_message(&message, &edits, &mut out);
    let out = String::from_utf8(out).unwrap();
    out.lines().nth(1).unwrap()["Via: ".len()..].to_owned()
}

//= proves RFC 3261 §18.2.1
#[test]
fn received_is_added_when_the_sent_by_is_not_the_source() {
    let remote = "192.0.2.7:4711";
    for (via, expected) in [
        (
            "SIP/2.0/UDP 192.0.2.7;branch=b",
            "SIP/2.0/UDP 192.0.2.7;branch=b",
        ),
        (
            "SIP/2.0/UDP h;branch=b",
            "SIP/2.0/UDP h;branch=b;received=192.0.2.7",
        ),
        (
            "SIP/2.0/UDP 192.0.2.8:99;branch=b , SIP/2.0/UDP x",
            "SIP/2.0/UDP 192.0.2.8:99;branch=b;received=192.0.2.7 , SIP/2.0/UDP x",
        ),
    ] {
        assert_eq!(amended(via, remote, false), expected);
    }
}

//= proves RFC 3581 §4
#[test]
fn rport_is_filled_in_and_brings_received_along() {
    let remote = "192.0.2.7:4711";
    for (via, expected) in [
        (
            "SIP/2.0/UDP 192.0.2.7;rport;branch=b",
            "SIP/2.0/UDP 192.0.2.7;rport=4711;branch=b;received=192.0.2.7",
        ),
        (
            "SIP/2.0/UDP h;branch=b;rport",
            "SIP/2.0/UDP h;branch=b;rport=4711;received=192.0.2.7",
        ),
    ] {
        assert_eq!(amended(via, remote, false), expected);
    }
    assert_eq!(
        amended("SIP/2.0/UDP 192.0.2.7;branch=b", remote, true),
        "SIP/2.0/UDP 192.0.2.7;branch=b;received=192.0.2.7;rport=4711"
    );
}

#[test]
fn what_the_sender_claims_is_overwritten() {
    assert_eq!(
        amended(
            "SIP/2.0/UDP h;received=10.0.0.1;rport=1;branch=b",
            "192.0.2.7:4711",
            false
        ),
        "SIP/2.0/UDP h;received=192.0.2.7;rport=4711;branch=b"
    );
}

#[test]
fn an_ipv6_source_is_written_without_brackets_and_a_mapped_one_as_ipv4() {
    assert_eq!(
        amended("SIP/2.0/UDP h;branch=b", "[2001:db8::1]:5060", false),
        "SIP/2.0/UDP h;branch=b;received=2001:db8::1"
    );
    assert_eq!(
        amended(
            "SIP/2.0/UDP 192.0.2.7;branch=b",
            "[::ffff:192.0.2.7]:5060",
            false
        ),
        "SIP/2.0/UDP 192.0.2.7;branch=b"
    );
}

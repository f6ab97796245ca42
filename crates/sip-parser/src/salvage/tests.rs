use super::*;
use crate::parse::tests::INVITE;
use crate::parse_datagram;

fn changed(from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(INVITE).unwrap();
    assert!(text.contains(from));
    text.replace(from, to).into_bytes()
}

#[test]
fn a_sound_request_reads_the_same_in_both_ways() {
    let (mut one, mut two) = (HeaderTable::default(), HeaderTable::default());
    let strict = parse_datagram(INVITE, &mut one).unwrap();
    let salvaged = salvage(INVITE, &mut two).unwrap();
    assert_eq!(salvaged.method(), strict.method());
    assert_eq!(salvaged.request_uri(), strict.request_uri());
    assert_eq!(salvaged.cseq(), strict.cseq());
    assert_eq!(
        salvaged.top_via().unwrap().value,
        strict.top_via().unwrap().value
    );
    assert_eq!(salvaged.from_tag(), strict.from_tag());
    assert_eq!(salvaged.headers().count(), strict.headers().count());
    assert_eq!(salvaged.body(), b"");
}

#[test]
fn faults_elsewhere_are_passed_over() {
    let mut table = HeaderTable::default();
    for (from, to) in [
        ("\r\n", "\n"),
        ("Max-Forwards: 70", "Max Forwards: 70"),
        ("Max-Forwards: 70", "no colon here"),
        ("Max-Forwards: 70", ": no name"),
        ("Content-Length: 4", "To: <sip:another>"),
        ("SIP/2.0\r\n", "SIP/9.9\r\n"),
        ("INVITE sip:", "INVITE  sip:"),
        (";branch=", ";;branch="),
        ("\r\n\r\nv=0\n", ""),
        ("314159", "99999999999"),
    ] {
        let bytes = changed(from, to);
        assert!(parse_datagram(&bytes, &mut table).is_err(), "{to}");
        let message = salvage(&bytes, &mut table).unwrap();
        assert_eq!(message.call_id(), b"a84b4c76e66710@pbx.example.org", "{to}");
        assert_eq!(message.to().unwrap().uri, b"sip:+4930123456@gw.example.net");
    }
}

#[test]
fn without_what_a_response_copies_there_is_nothing_to_save() {
    let mut table = HeaderTable::default();
    for name in ["Via", "CSeq"] {
        let bytes = changed(&format!("\r\n{name}: "), "\r\nX: ");
        assert!(salvage(&bytes, &mut table).is_none(), "{name}");
    }
    for name in ["From", "To", "Call-ID"] {
        let bytes = changed(&format!("\r\n{name}: "), "\r\nX: ");
        let message = salvage(&bytes, &mut table).unwrap();
        assert_eq!(message.from().is_err(), name == "From");
        assert_eq!(message.to().is_err(), name == "To");
        assert_eq!(message.call_id().is_empty(), name == "Call-ID");
    }
    for (from, to) in [
        ("INVITE sip", "ACK sip"),
        ("INVITE sip:+4930123456@gw.example.net;user=phone", "INVITE"),
        ("SIP/2.0\r\n", "HTTP/1.1\r\n"),
        (
            "INVITE sip:+4930123456@gw.example.net;user=phone SIP/2.0",
            "SIP/2.0 200 OK",
        ),
        ("SIP/2.0/UDP", "UDP"),
        ("314159 INVITE", "INVITE"),
    ] {
        assert!(salvage(&changed(from, to), &mut table).is_none(), "{to}");
    }
    assert!(salvage(b"", &mut table).is_none());
    assert!(salvage(b"\r\n\r\n", &mut table).is_none());
}

use super::*;
use crate::{HeaderTable, parse_datagram};

const INVITE: &[u8] = b"INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bKp, SIP/2.0/UDP u\r\n\
Via: SIP/2.0/UDP v\r\nMax-Forwards: 3\r\nRoute: <sip:r1;lr>,\r\n <sip:r2;lr>\r\nRoute: <sip:r3;lr>\r\n\
From: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContent-Length: 2\r\n\r\nhi";

const BUSY: &[u8] =
    b"SIP/2.0 486 Busy\r\nVia: SIP/2.0/UDP p;branch=z9hG4bKp\r\nFrom: <sip:a>;tag=1\r\n\
To: <sip:b>;tag=2\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\r\n";

#[test]
fn the_ack_takes_its_to_from_the_response_and_all_else_from_the_invite() {
    let (mut one, mut two) = (HeaderTable::default(), HeaderTable::default());
    let invite = parse_datagram(INVITE, &mut one).unwrap();
    let busy = parse_datagram(BUSY, &mut two).unwrap();
    let mut out = Vec::new();
    write_ack_non_2xx(&invite, &busy, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "ACK sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bKp\r\nMax-Forwards: 70\r\n\
         Route: <sip:r1;lr>, <sip:r2;lr>\r\nRoute: <sip:r3;lr>\r\nFrom: <sip:a>;tag=1\r\n\
         To: <sip:b>;tag=2\r\nCall-ID: c\r\nCSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn the_cancel_keeps_the_to_of_the_invite_and_may_say_why() {
    let mut table = HeaderTable::default();
    let invite = parse_datagram(INVITE, &mut table).unwrap();
    let mut out = Vec::new();
    write_cancel(&invite, Some(b"SIP;cause=200"), &mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("CANCEL sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bKp\r\nMax"));
    assert!(out.contains("\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: 7 CANCEL\r\n"));
    assert!(out.contains("\r\nReason: SIP;cause=200\r\n"));
}

#[test]
fn a_request_of_our_own_reads_back() {
    let parts = RequestParts {
        method: b"BYE",
        uri: b"sip:b@192.0.2.1",
        via: b"SIP/2.0/UDP p;branch=z9hG4bKq",
        from: b"<sip:a>;tag=1",
        to: b"<sip:b>;tag=2",
        call_id: b"c",
        cseq: 8,
        routes: &[b"<sip:r1;lr>", b"<sip:r2;lr>"],
        max_forwards: 70,
        headers: &[(b"Reason", b"Q.850;cause=102")],
    };
    let mut out = Vec::new();
    write_request(&parts, &mut out);
    let mut table = HeaderTable::default();
    let bye = parse_datagram(&out, &mut table).unwrap();
    assert_eq!(bye.method(), crate::Method::Bye);
    assert_eq!(bye.request_uri(), b"sip:b@192.0.2.1");
    assert_eq!(bye.routes().count(), 2);
    assert_eq!(
        (bye.from_tag(), bye.to_tag()),
        (Some(&b"1"[..]), Some(&b"2"[..]))
    );
    assert_eq!(bye.cseq().number, 8);
    assert_eq!(
        bye.header(KnownHeader::Reason).unwrap().value,
        b"Q.850;cause=102"
    );
    assert_eq!(bye.content_length(), Some(0));
}

use super::*;
use crate::{HeaderTable, parse_datagram, salvage};

const REQUEST: &[u8] =
    b"INVITE sip:b@h SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKa\r\n ;rport, SIP/2.0/UDP i\r\n\
Record-Route: <sip:p;lr>\r\nVia: SIP/2.0/TCP j\r\nf: <sip:a>;\r\n\ttag=1\r\nt: <sip:b>\r\ni: c\r\n\
CSeq: 7\r\n INVITE\r\nTimestamp: 54\r\nContent-Length: 2\r\n\r\nhi";

fn response(status: u16, to_tag: Option<&[u8]>, copy_record_route: bool) -> String {
    let mut table = HeaderTable::default();
    let request = parse_datagram(REQUEST, &mut table).unwrap();
    let parts = ResponseParts {
        status,
        reason: b"Why",
        to_tag,
        received_from: Some(([192, 0, 2, 7], 4711).into()),
        headers: &[(b"Allow", b"ACK")],
        copy_record_route,
    };
    let mut out = Vec::new();
    write_response(&request, &parts, &mut out);
    String::from_utf8(out).unwrap()
}

//= proves RFC 3261 §8.2.6.2
#[test]
fn a_response_copies_what_it_must_and_undoes_folds() {
    assert_eq!(
        response(405, Some(b"t"), true),
        "SIP/2.0 405 Why\r\n\
         Via: SIP/2.0/UDP h;branch=z9hG4bKa ;rport=4711;received=192.0.2.7, SIP/2.0/UDP i\r\n\
         Via: SIP/2.0/TCP j\r\nRecord-Route: <sip:p;lr>\r\nFrom: <sip:a>; tag=1\r\n\
         To: <sip:b>;tag=t\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nAllow: ACK\r\nContent-Length: 0\r\n\r\n"
    );
}

//= proves RFC 3261 §8.2.6.1
#[test]
fn a_100_has_no_tag_and_copies_the_timestamp() {
    let text = response(100, Some(b"t"), false);
    assert!(text.contains("\r\nTo: <sip:b>\r\n"));
    assert!(text.contains("\r\nTimestamp: 54\r\n"));
    assert!(!text.contains("Record-Route"));
    assert!(!response(200, None, false).contains("Timestamp"));
}

#[test]
fn a_tag_that_is_there_is_kept_even_in_a_to_that_is_malformed() {
    for to in ["<sip:b>;tag=x", "< sip:b >;tag=x", "sip:b;tag=x;;"] {
        let text = String::from_utf8_lossy(REQUEST).replace("t: <sip:b>", &format!("t: {to}"));
        let mut table = HeaderTable::default();
        let request = salvage(text.as_bytes(), &mut table).unwrap();
        let parts = ResponseParts {
            status: 400,
            reason: b"Bad",
            to_tag: Some(b"ours"),
            received_from: None,
            headers: &[],
            copy_record_route: false,
        };
        let mut out = Vec::new();
        write_response(&request, &parts, &mut out);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(&format!("\r\nTo: {to}\r\n")), "{out}");
    }
}

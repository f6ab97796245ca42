use super::*;
use crate::{HeaderTable, parse_datagram};

fn with_headers(lines: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a>;tag=1\r\n\
         To: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n{lines}\r\n"
    )
    .into_bytes()
}

//= proves RFC 3261 §7.3.1
#[test]
fn a_list_runs_over_commas_lines_and_compact_names() {
    let bytes = with_headers("Supported: a, b\r\nX: y\r\nk: c ,\r\n d,\r\nsupported:\r\n");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let tags: Vec<_> = message.supported().collect();
    assert_eq!(tags, [&b"a"[..], b"b", b"c", b"d"]);
}

#[test]
fn commas_in_quotes_and_brackets_do_not_separate() {
    let bytes =
        with_headers("Route: \"a, b\" <sip:a,b@h>;x=\"1,2\", <sip:c>\r\nRoute: <sip:d>\r\n");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let uris: Vec<_> = message.routes().map(|route| route.unwrap().uri).collect();
    assert_eq!(uris, [&b"sip:a,b@h"[..], b"sip:c", b"sip:d"]);
    assert_eq!(
        count_values(b"\"a, b\" <sip:a,b@h>;x=\"1,2\", <sip:c>", 9),
        2
    );
}

#[test]
fn a_list_ends_at_its_first_error() {
    let bytes = with_headers("Route: <sip:a>, oops, <sip:b>\r\nRoute: <sip:c>\r\n");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let routes: Vec<_> = message.routes().collect();
    assert_eq!(routes.len(), 2);
    let error = routes[1].as_ref().unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::NameAddrSyntax);
    assert!(bytes[..error.offset].ends_with(b"oops"));
}

#[test]
fn an_element_that_is_no_token_is_handed_out_as_it_stands() {
    let bytes = with_headers("Require: a b, (c)\r\n");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let tags: Vec<_> = message.require().collect();
    assert_eq!(tags, [&b"a b"[..], b"(c)"]);
}

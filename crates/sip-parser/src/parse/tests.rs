use super::*;
use crate::{Host, Limits, Method};

pub(crate) const INVITE: &[u8] = b"INVITE sip:+4930123456@gw.example.net;user=phone SIP/2.0\r\n\
Via: SIP/2.0/UDP pbx.example.org:5070;branch=z9hG4bK776asdhds;rport\r\n\
Max-Forwards: 70\r\n\
From: \"Alice \\\"A\\\" Liddell\" <sip:alice@example.org>;tag=1928301774\r\n\
To: <sip:+4930123456@gw.example.net>\r\n\
Call-ID: a84b4c76e66710@pbx.example.org\r\n\
CSeq: 314159 INVITE\r\n\
Contact: <sip:alice@192.0.2.7:5070;transport=udp>\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 4\r\n\
\r\n\
v=0\n";

fn error_of(text: &[u8]) -> ParseErrorKind {
    let mut table = HeaderTable::default();
    parse_datagram(text, &mut table).unwrap_err().kind
}

#[test]
fn an_ordinary_invite_is_read() {
    let mut table = HeaderTable::new(Limits::default());
    let message = parse_datagram(INVITE, &mut table).unwrap();
    assert!(message.is_request());
    assert_eq!(message.method(), Method::Invite);
    assert_eq!(
        message.request_uri(),
        b"sip:+4930123456@gw.example.net;user=phone"
    );
    let via = message.top_via().unwrap();
    assert_eq!(via.transport, b"UDP");
    assert_eq!(via.host, Host::Name(b"PBX.example.org"));
    assert_eq!(via.port, Some(5070));
    assert_eq!(via.branch, Some(&b"z9hG4bK776asdhds"[..]));
    assert_eq!(via.rport, Some(None));
    assert_eq!(via.sent_by, b"pbx.example.org:5070");
    assert_eq!(
        message.from().unwrap().display,
        Some(&b"Alice \\\"A\\\" Liddell"[..])
    );
    assert_eq!(message.from_tag(), Some(&b"1928301774"[..]));
    assert_eq!(message.to_tag(), None);
    assert_eq!(message.call_id(), b"a84b4c76e66710@pbx.example.org");
    assert_eq!(message.cseq().number, 314_159);
    assert_eq!(message.max_forwards(), Ok(Some(70)));
    assert_eq!(message.content_length(), Some(4));
    assert_eq!(message.body(), b"v=0\n");
    assert_eq!(message.headers().count(), 9);
}

//= proves RFC 3261 §18.3
#[test]
fn a_body_shorter_than_content_length_is_refused() {
    assert_eq!(
        error_of(&INVITE[..INVITE.len() - 1]),
        ParseErrorKind::BodyTooShort
    );
}

/// The INVITE with `from` changed to `to`.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(INVITE).unwrap();
    assert!(text.contains(from));
    text.replace(from, to).into_bytes()
}

#[test]
fn each_fault_of_a_header_has_its_own_kind() {
    for (from, to, kind) in [
        ("\r\nVia: ", "\r\nX: ", ParseErrorKind::ViaMissing),
        ("\r\nFrom: ", "\r\nX: ", ParseErrorKind::FromMissing),
        ("\r\nTo: ", "\r\nX: ", ParseErrorKind::ToMissing),
        ("\r\nCall-ID: ", "\r\nX: ", ParseErrorKind::CallIdMissing),
        ("\r\nCSeq: ", "\r\nX: ", ParseErrorKind::CSeqMissing),
        ("SIP/2.0/UDP", "SIP/3.0/UDP", ParseErrorKind::ViaSyntax),
        ("SIP/2.0/UDP", "SIP/2.0", ParseErrorKind::ViaSyntax),
        (
            "<sip:alice@example.org>",
            "alice",
            ParseErrorKind::FromSyntax,
        ),
        (
            "<sip:+4930123456@gw.example.net>\r\n",
            "<>\r\n",
            ParseErrorKind::ToSyntax,
        ),
        (
            "<sip:+4930123456@gw.example.net>\r\n",
            "<sip:a>, <sip:b>\r\n",
            ParseErrorKind::ToSyntax,
        ),
        ("a84b4c76e66710@", "a b@", ParseErrorKind::CallIdSyntax),
        (
            "a84b4c76e66710@pbx.example.org",
            "",
            ParseErrorKind::CallIdSyntax,
        ),
        ("314159 INVITE", "314159", ParseErrorKind::CSeqSyntax),
        (
            "314159 INVITE",
            "4294967296 INVITE",
            ParseErrorKind::CSeqSyntax,
        ),
        (
            "314159 INVITE",
            "314159 invite",
            ParseErrorKind::CSeqMethodMismatch,
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 256",
            ParseErrorKind::MaxForwards,
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards:",
            ParseErrorKind::MaxForwards,
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 7\r\nMax-Forwards: 7",
            ParseErrorKind::HeaderRepeated,
        ),
        (
            "Max-Forwards: 70",
            "f: <sip:a>;tag=1",
            ParseErrorKind::HeaderRepeated,
        ),
        (
            "Max-Forwards: 70",
            "Max Forwards: 70",
            ParseErrorKind::HeaderLine,
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards",
            ParseErrorKind::HeaderLine,
        ),
        ("Max-Forwards: 70", ": 70", ParseErrorKind::HeaderLine),
        (
            "Max-Forwards: 70\r\n",
            "Max-Forwards: 70\n",
            ParseErrorKind::LineEnding,
        ),
        (
            "Max-Forwards: 70\r\n",
            "X: a\rb\r\n",
            ParseErrorKind::LineEnding,
        ),
        (
            "Content-Length: 4",
            "Content-Length: -4",
            ParseErrorKind::ContentLength,
        ),
        (
            "Content-Length: 4",
            "Content-Length: 4 4",
            ParseErrorKind::ContentLength,
        ),
        (
            "Content-Length: 4",
            "Content-Length: 99999999999999999999",
            ParseErrorKind::ContentLength,
        ),
        (
            "Content-Length: 4",
            "Content-Length: 4294967295",
            ParseErrorKind::BodyTooShort,
        ),
        ("\r\n\r\nv=0\n", "\r\n", ParseErrorKind::HeadersUnterminated),
        ("\r\n\r\nv=0\n", "", ParseErrorKind::HeadersUnterminated),
        (" SIP/2.0\r\n", "\r\n", ParseErrorKind::StartLine),
    ] {
        assert_eq!(error_of(&changed(from, to)), kind, "{to:?}");
    }
    assert_eq!(error_of(b""), ParseErrorKind::Empty);
    assert_eq!(error_of(b"\r\n\r\n"), ParseErrorKind::Empty);
}

#[test]
fn the_offset_of_an_error_counts_from_the_start_of_the_datagram() {
    let bytes = [
        b"\r\n\r\n",
        &changed("Max-Forwards: 70", "Max-Forwards: 700")[..],
    ]
    .concat();
    let mut table = HeaderTable::default();
    let error = parse_datagram(&bytes, &mut table).unwrap_err();
    assert!(bytes[error.offset..].starts_with(b"700\r\n"));
}

#[test]
fn line_ends_before_and_octets_behind_a_message_are_left_out() {
    let bytes = [b"\r\n\r\n", INVITE, b"INVITE sip:other SIP/2.0\r\n"].concat();
    let mut table = HeaderTable::default();
    assert_eq!(parse_datagram(&bytes, &mut table).unwrap().bytes(), INVITE);
}

#[test]
fn each_limit_has_its_own_error() {
    let limits = Limits {
        size_max: 2_000,
        headers_max: 12,
        line_max: 300,
        list_max: 5,
        params_max: 6,
    };
    let routes = |count: usize| format!("Route: {}<sip:a>", "<sip:a>,".repeat(count - 1));
    for (from, fits, exceeds, kind) in [
        (
            "v=0\n",
            "v=0\n".to_owned(),
            "v".repeat(2_000),
            ParseErrorKind::TooLarge,
        ),
        (
            "Max-Forwards: 70",
            "X: 1\r\n".repeat(3) + "X: 1",
            "X: 1\r\n".repeat(4) + "X: 1",
            ParseErrorKind::HeadersTooMany,
        ),
        (
            "Max-Forwards: 70",
            format!("X: {}", "x".repeat(295)),
            format!("X: {}", "x".repeat(296)),
            ParseErrorKind::LineTooLong,
        ),
        (
            "Max-Forwards: 70",
            "X: ".to_owned() + &"\r\n x".repeat(73),
            "X: ".to_owned() + &"\r\n x".repeat(75),
            ParseErrorKind::LineTooLong,
        ),
        (
            "Max-Forwards: 70",
            routes(5),
            routes(6),
            ParseErrorKind::ListTooLong,
        ),
        (
            "Max-Forwards: 70",
            [routes(2), routes(3)].join("\r\n"),
            [routes(3), routes(3)].join("\r\n"),
            ParseErrorKind::ListTooLong,
        ),
        (
            ";tag=1928301774",
            ";a".repeat(6),
            ";a".repeat(7),
            ParseErrorKind::ParamsTooMany,
        ),
        (
            ";rport",
            ";a".repeat(5),
            ";a".repeat(6),
            ParseErrorKind::ParamsTooMany,
        ),
    ] {
        let mut table = HeaderTable::new(limits);
        let text = changed(from, &fits);
        assert!(parse_datagram(&text, &mut table).is_ok(), "{fits}");
        let text = changed(from, &exceeds);
        let error = parse_datagram(&text, &mut table).unwrap_err();
        assert_eq!(error.kind, kind, "{exceeds}");
    }
}

#[test]
fn a_table_forgets_the_message_before() {
    let mut table = HeaderTable::default();
    assert!(parse_datagram(INVITE, &mut table).is_ok());
    let bytes = changed("Max-Forwards: 70\r\n", "");
    let message = parse_datagram(&bytes, &mut table).unwrap();
    assert_eq!(message.max_forwards(), Ok(None));
    assert_eq!(message.headers_named(KnownHeader::MaxForwards).count(), 0);
    assert_eq!(message.headers().count(), 8);
}

#[test]
fn headers_are_found_by_any_spelling_of_their_name() {
    let bytes = changed("Max-Forwards: 70", "x-trunk: 1\r\nX-Trunk : 2\r\nk: a");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let values: Vec<_> = message
        .other(b"X-TRUNK")
        .map(|header| header.value)
        .collect();
    assert_eq!(values, [b"1", b"2"]);
    assert_eq!(message.other(b"Supported").count(), 1);
    let header = message.header(KnownHeader::Supported).unwrap();
    assert_eq!(header.name.as_bytes(), b"k");
    assert_eq!(&bytes[header.line], b"k: a\r\n");
}

#[test]
fn ranges_are_given_for_parts_of_the_message_only() {
    let mut table = HeaderTable::default();
    let message = parse_datagram(INVITE, &mut table).unwrap();
    assert_eq!(message.range_of(message.request_uri()), Some(7..48));
    assert_eq!(message.range_of(b"INVITE"), None);
}

#[test]
fn line_ends_and_nuls_keep_a_path_open_and_nothing_else_does() {
    for bytes in [&b""[..], b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0"] {
        assert!(is_keepalive(bytes));
    }
    assert!(!is_keepalive(b"\r\n\r\nINVITE"));
    assert!(!is_keepalive(b" "));
}

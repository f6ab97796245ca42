//! The torture messages of RFC 4475, each through the strict parser and through `salvage`.
//! `rfc4475/index.tsv` says what each message is; the table below says what this parser makes of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::PathBuf;

use sip_parser::{
    ContactValue, HeaderTable, Host, KnownHeader, Message, Method, ParseErrorKind, Uri,
    parse_datagram, salvage,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475")
}

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.dat"))).unwrap()
}

/// One row of the index.
struct Row {
    name: String,
    validity: String,
    is_request: bool,
    method_or_code: String,
}

fn index() -> Vec<Row> {
    let text = fs::read_to_string(folder().join("index.tsv")).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            Row {
                name: columns[1].to_owned(),
                validity: columns[4].to_owned(),
                is_request: columns[5] == "request",
                method_or_code: columns[6].to_owned(),
            }
        })
        .collect()
}

/// The messages that the strict parser refuses, and why.
const REFUSED: [(&str, ParseErrorKind); 18] = [
    ("badinv01", ParseErrorKind::ViaSyntax),
    ("clerr", ParseErrorKind::BodyTooShort),
    ("ncl", ParseErrorKind::ContentLength),
    ("scalar02", ParseErrorKind::CSeqSyntax),
    ("scalarlg", ParseErrorKind::CSeqSyntax),
    ("quotbal", ParseErrorKind::ToSyntax),
    ("ltgtruri", ParseErrorKind::RequestUri),
    ("lwsruri", ParseErrorKind::StartLine),
    ("lwsstart", ParseErrorKind::StartLine),
    ("trws", ParseErrorKind::StartLine),
    ("escruri", ParseErrorKind::RequestUriHeaders),
    ("badaspec", ParseErrorKind::ToSyntax),
    ("baddn", ParseErrorKind::HeadersUnterminated),
    ("badvers", ParseErrorKind::Version),
    ("mismatch01", ParseErrorKind::CSeqMethodMismatch),
    ("mismatch02", ParseErrorKind::CSeqMethodMismatch),
    ("bigcode", ParseErrorKind::StatusCode),
    ("insuf", ParseErrorKind::FromMissing),
];

/// Refused too, for headers that may appear once.
const REPEATED: [&str; 2] = ["multi01", "mcl01"];

/// Invalid by the letter, but not refused here: a Date is never read, and the fault of a Contact is found by who reads it.
const TOLERATED: [&str; 2] = ["baddate", "regbadct"];

fn refusal(name: &str) -> Option<ParseErrorKind> {
    REFUSED
        .iter()
        .find(|(refused, _)| *refused == name)
        .map(|(_, kind)| *kind)
        .or_else(|| {
            REPEATED
                .contains(&name)
                .then_some(ParseErrorKind::HeaderRepeated)
        })
}

/// Calls every accessor, so that none of them panics on what was let through.
fn touch(message: &Message<'_>) {
    let _ = (message.method(), message.cseq(), message.call_id());
    let _ = (message.top_via(), message.from(), message.to());
    let _ = (message.from_tag(), message.to_tag(), message.body());
    for header in message.headers() {
        assert_eq!(
            &message.bytes()[header.value_range.clone()],
            header.value,
            "the range is that of the value"
        );
    }
    let _ = message.vias().count() + message.contacts().count();
    let _ = message.routes().count() + message.record_routes().count();
    let _ = message.require().count() + message.supported().count();
    let _ = Uri::parse(message.request_uri());
}

#[test]
fn all_forty_nine_messages_get_the_verdict_of_the_table() {
    let mut table = HeaderTable::default();
    let rows = index();
    assert_eq!(rows.len(), 49);
    for row in &rows {
        let bytes = bytes_of(&row.name);
        match (parse_datagram(&bytes, &mut table), refusal(&row.name)) {
            (Ok(message), None) => {
                touch(&message);
                assert_eq!(message.is_request(), row.is_request, "{}", row.name);
                let method_or_code = if row.is_request {
                    message.method().as_bytes().to_vec()
                } else {
                    message.status().to_string().into_bytes()
                };
                assert_eq!(method_or_code, row.method_or_code.as_bytes());
            }
            (Err(error), Some(kind)) => {
                assert_eq!(error.kind, kind, "{}", row.name);
                assert!(error.offset <= bytes.len(), "{}", row.name);
            }
            (outcome, expected) => {
                panic!("{}: {outcome:?}, expected {expected:?}", row.name)
            }
        }
    }
}

#[test]
fn every_valid_message_is_parsed_and_every_invalid_one_refused_unless_a_proxy_may_let_it_pass() {
    for row in index() {
        let is_refused = refusal(&row.name).is_some();
        match row.validity.as_str() {
            "valid" => assert!(!is_refused, "{}", row.name),
            "invalid" => assert!(
                is_refused || TOLERATED.contains(&row.name.as_str()),
                "{}",
                row.name
            ),
            _ => {}
        }
    }
}

#[test]
fn every_refused_request_can_be_answered() {
    let mut table = HeaderTable::default();
    for row in index() {
        let bytes = bytes_of(&row.name);
        let salvaged = salvage(&bytes, &mut table);
        assert_eq!(salvaged.is_some(), row.is_request, "{}", row.name);
        if let Some(message) = salvaged {
            touch(&message);
            assert_eq!(message.method().as_bytes(), row.method_or_code.as_bytes());
            let call_id = message.call_id();
            assert_eq!(call_id.is_empty(), row.name == "insuf");
            assert!(!call_id.contains(&b' '));
        }
    }
}

//= proves RFC 3261 §7.3.1
#[test]
fn the_tortuous_invite_is_read_through_its_folds() {
    let bytes = bytes_of("wsinv");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    assert_eq!(message.to_tag(), Some(&b"1918181833n"[..]));
    assert_eq!(message.from_tag(), Some(&b"98asjd8"[..]));
    assert_eq!(
        message.from().unwrap().display,
        Some(&b"J Rosenberg \\\\\\\""[..])
    );
    assert_eq!(message.max_forwards(), Ok(Some(68)));
    assert_eq!(message.cseq().number, 9);
    assert_eq!(message.cseq().method, Method::Invite);
    assert_eq!(message.content_length(), Some(150));
    assert_eq!(message.body().len(), 150);
    assert_eq!(message.header(KnownHeader::Subject).unwrap().value, b"");

    let vias: Vec<_> = message.vias().map(Result::unwrap).collect();
    let transports: Vec<_> = vias.iter().map(|via| via.transport).collect();
    assert_eq!(transports, [&b"UDP"[..], b"TCP", b"UDP"]);
    let branches: Vec<_> = vias.iter().map(|via| via.branch.unwrap()).collect();
    assert_eq!(
        branches,
        [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]
    );
    assert_eq!(vias[0].host, Host::V4([192, 0, 2, 2].into()));
    assert_eq!(vias[1].host, Host::Name(b"spindle.example.com"));

    let route = message.routes().next().unwrap().unwrap();
    assert_eq!(
        route.uri,
        b"sip:services.example.com;lr;unknownwith=value;unknown-no-value"
    );
    let Some(Ok(ContactValue::Address(contact))) = message.contacts().next() else {
        panic!("a contact");
    };
    assert_eq!(contact.display, Some(&b"Quoted string \\\"\\\""[..]));
    assert_eq!(contact.params.get(b"newparam"), Some(&b"newvalue"[..]));
    assert_eq!(contact.params.get(b"q"), Some(&b"0.33"[..]));
    assert!(contact.params.contains(b"secondparam"));
}

//= proves RFC 3261 §18.3
#[test]
fn octets_behind_the_body_are_cut_off() {
    let bytes = bytes_of("dblreq");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    assert_eq!(message.method(), Method::Register);
    assert_eq!(message.body(), b"");
    assert!(memchr::memmem::find(message.bytes(), b"INVITE").is_none());
    assert!(message.bytes().ends_with(b"\r\n\r\n"));
}

#[test]
fn a_semicolon_in_the_user_part_belongs_to_the_user() {
    let bytes = bytes_of("semiuri");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let Ok(Uri::Sip(uri)) = Uri::parse(message.request_uri()) else {
        panic!("a SIP URI");
    };
    assert_eq!(uri.user, Some(&b"user;par=u%40example.net"[..]));
    assert_eq!(uri.host, Host::Name(b"example.com"));
}

#[test]
fn the_wide_range_of_characters_is_taken_apart_where_it_should() {
    let bytes = bytes_of("intmeth");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let Ok(Uri::Sip(uri)) = Uri::parse(message.request_uri()) else {
        panic!("a SIP URI");
    };
    assert_eq!(
        uri.user,
        Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..])
    );
    assert_eq!(
        uri.password,
        Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..])
    );
    assert_eq!(message.from_tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(
        message.from().unwrap().display,
        Some(&b"token1~` token2'+_ token3*%!.-"[..])
    );
    assert_eq!(message.max_forwards(), Ok(Some(255)));
}

#[test]
fn an_escaped_nul_does_not_shorten_a_user_part() {
    let bytes = bytes_of("escnull");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let Ok(Uri::Sip(uri)) = Uri::parse(message.to().unwrap().uri) else {
        panic!("a SIP URI");
    };
    let mut user = Vec::new();
    sip_parser::unescape(uri.user.unwrap(), &mut user);
    assert_eq!(user, b"null-\0-null");
}

#[test]
fn percent_is_an_escape_in_uris_only() {
    let bytes = bytes_of("esc02");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    assert_eq!(message.method(), Method::Other(b"RE%47IST%45R"));
    assert_eq!(message.contacts().count(), 2);
    assert_eq!(message.other(b"c%6fntact").count(), 1);
}

#[test]
fn a_contact_with_a_bare_question_mark_is_an_error_of_its_own() {
    let bytes = bytes_of("regbadct");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    let error = message.contacts().next().unwrap().unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::NameAddrSyntax);
    assert_eq!(bytes[error.offset], b'?');
}

#[test]
fn an_rfc_2543_invite_has_neither_branch_nor_tag_nor_length() {
    let bytes = bytes_of("inv2543");
    let mut table = HeaderTable::default();
    let message = parse_datagram(&bytes, &mut table).unwrap();
    assert_eq!(message.top_via().unwrap().branch, None);
    assert_eq!(message.from_tag(), None);
    assert_eq!(message.content_length(), None);
    assert_eq!(message.max_forwards(), Ok(None));
    assert!(message.body().starts_with(b"v=0"));
}

#[test]
fn a_salvaged_request_says_what_is_wrong_with_its_to() {
    let bytes = bytes_of("quotbal");
    let mut table = HeaderTable::default();
    let message = salvage(&bytes, &mut table).unwrap();
    assert_eq!(message.to().unwrap_err().kind, ParseErrorKind::ToSyntax);
    assert_eq!(message.from_tag(), Some(&b"93334"[..]));
}

#[test]
fn a_salvaged_cseq_number_that_is_too_large_is_the_largest() {
    let bytes = bytes_of("scalar02");
    let mut table = HeaderTable::default();
    let message = salvage(&bytes, &mut table).unwrap();
    assert_eq!(message.cseq().number, u32::MAX);
    assert_eq!(message.cseq().method, Method::Register);
    assert!(message.max_forwards().is_err());
}

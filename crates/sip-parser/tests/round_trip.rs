//! Parse, edit, write, parse again: over generated messages, and over mangled ones.
//! What was edited reads as edited; every other octet and the order of the headers stay as they were.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::net::SocketAddr;

use proptest::prelude::*;
use sip_parser::{
    Edits, HeaderTable, KnownHeader, Message, NameAddr, ResponseParts, SipUri, Uri, is_keepalive,
    parse_datagram, salvage, write_ack_non_2xx, write_cancel, write_message, write_response,
};

/// White space that may stand where a header allows any.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just(""),
        4 => Just(" "),
        1 => Just("\t"),
        1 => Just("\r\n "),
        1 => Just(" \r\n\t"),
    ]
}

fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+`'~-]{1,12}"
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{2,5}){0,2}",
        any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
        any::<[u8; 16]>().prop_map(|ip| format!("[{}]", std::net::Ipv6Addr::from(ip))),
    ]
}

fn port() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (1u16..).prop_map(|port| format!(":{port}"))
    ]
}

fn params() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just(String::new()),
        token().prop_map(|token| format!("={token}")),
        "[ -!#-\\[\\]-~]{0,10}".prop_map(|text| format!("=\"{text}\\\"\"")),
    ];
    prop::collection::vec((space(), space(), "x[a-z]{1,6}", value), 0..4).prop_map(|params| {
        params
            .into_iter()
            .map(|(before, after, name, value)| format!("{before};{after}{name}{value}"))
            .collect()
    })
}

fn via() -> impl Strategy<Value = String> {
    (space(), host(), port(), params(), token(), params(), any::<bool>()).prop_map(
        |(space, host, port, before, branch, after, rport)| {
            let rport = if rport { ";rport" } else { "" };
            format!(
                "SIP{space}/{space}2.0{space}/UDP {space}{host}{port}{before};branch=z9hG4bK{branch}{rport}{after}"
            )
        },
    )
}

fn address() -> impl Strategy<Value = String> {
    let display = prop_oneof![
        Just(String::new()),
        "[a-z]{1,8}( [a-z]{1,8})?".prop_map(|name| format!("{name} ")),
        "[ -!#-\\[\\]-~]{0,12}".prop_map(|text| format!("\"{text}\\\\\"")),
    ];
    (
        display,
        space(),
        "[a-z0-9+]{1,10}",
        host(),
        port(),
        params(),
    )
        .prop_map(|(display, space, user, host, port, params)| {
            format!("{display}{space}<sip:{user}@{host}{port};lr>{params}")
        })
}

/// Values joined by commas or set on lines of their own, under the full or the compact name.
fn lines(names: &'static [&'static str], values: Vec<String>, joins: &[bool]) -> String {
    let mut text = String::new();
    for (index, value) in values.iter().enumerate() {
        let joined = index > 0 && joins[index % joins.len()];
        if joined {
            text.push_str(" , ");
        } else {
            if index > 0 {
                text.push_str("\r\n");
            }
            text.push_str(names[index % names.len()]);
            text.push_str(": ");
        }
        text.push_str(value);
    }
    if !values.is_empty() {
        text.push_str("\r\n");
    }
    text
}

#[derive(Clone, Debug)]
struct Generated {
    text: String,
    vias: usize,
    routes: usize,
    has_max_forwards: bool,
}

fn request() -> impl Strategy<Value = Generated> {
    let vias = prop::collection::vec(via(), 1..4);
    let routes = prop::collection::vec(address(), 0..4);
    let joins = prop::collection::vec(any::<bool>(), 1..4);
    let ends = (address(), address(), token(), token(), any::<u32>());
    let other = prop::collection::vec(("X-[a-z]{1,5}", "[!-~]{0,20}"), 0..3);
    (
        vias,
        routes,
        joins,
        ends,
        other,
        any::<bool>(),
        "[ -~]{0,30}",
        space(),
    )
        .prop_map(
            |(vias, routes, joins, (from, to, tag, call_id, cseq), other, hops, body, space)| {
                let (via_count, route_count) = (vias.len(), routes.len());
                let mut headers = vec![
                    lines(&["Via", "v"], vias, &joins),
                    lines(&["Route"], routes, &joins),
                    format!("f\t:{space}{from};tag={tag}\r\n"),
                    format!("To : {space}{to}\r\n"),
                    format!("i: {call_id}\r\n"),
                    format!("CSEQ: {cseq} {space}INVITE\r\n"),
                    format!("l: {}\r\n", body.len()),
                ];
                if hops {
                    headers.push("max-forwards: 0070\r\n".to_owned());
                }
                for (name, value) in other {
                    headers.push(format!("{name}: {value}\r\n"));
                }
                let middle = cseq as usize % headers.len();
                headers.rotate_left(middle);
                Generated {
                    text: format!(
                        "INVITE sip:x@example.com SIP/2.0\r\n{}\r\n{body}",
                        headers.concat()
                    ),
                    vias: via_count,
                    routes: route_count,
                    has_max_forwards: hops,
                }
            },
        )
}

fn values<'b>(
    list: impl Iterator<Item = Result<NameAddr<'b>, sip_parser::ParseError>>,
) -> Vec<&'b [u8]> {
    list.map(|value| value.unwrap().value).collect()
}

/// Lines that no edit of the test touches.
fn other_lines<'b>(message: &Message<'b>) -> Vec<&'b [u8]> {
    message
        .headers()
        .filter(|header| {
            !matches!(
                header.name.known(),
                Some(
                    KnownHeader::Via
                        | KnownHeader::Route
                        | KnownHeader::RecordRoute
                        | KnownHeader::MaxForwards
                )
            )
        })
        .map(|header| &message.bytes()[header.line])
        .collect()
}

fn sip(message_uri: &[u8]) -> SipUri<'_> {
    match Uri::parse(message_uri) {
        Ok(Uri::Sip(uri)) => uri,
        other => panic!("{other:?}"),
    }
}

/// Reads everything there is to read.
fn touch(message: &Message<'_>) {
    for header in message.headers() {
        assert_eq!(&message.bytes()[header.value_range.clone()], header.value);
        let mut unfolded = Vec::new();
        header.unfold_into(&mut unfolded);
        assert!(!unfolded.contains(&b'\n'));
    }
    let _ = message.vias().count() + message.contacts().count();
    let _ = message.routes().count() + message.record_routes().count();
    let _ = message.require().count() + message.supported().count();
    let _ = (
        message.top_via(),
        message.from(),
        message.to(),
        message.cseq(),
    );
    let _ = (message.from_tag(), message.to_tag(), message.max_forwards());
    let _ = Uri::parse(message.request_uri());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edits_change_what_they_name_and_nothing_else(generated in request(), remote in any::<[u8; 4]>(), port in 1u16..) {
        let mut table = HeaderTable::default();
        let before = parse_datagram(generated.text.as_bytes(), &mut table)
            .map_err(|error| TestCaseError::fail(format!("{error} in\n{}", generated.text)))?;
        touch(&before);
        prop_assert_eq!(before.vias().count(), generated.vias);
        prop_assert_eq!(before.routes().count(), generated.routes);
        prop_assert_eq!(before.max_forwards(), Ok(generated.has_max_forwards.then_some(70)));
        let old_vias: Vec<_> = before.vias().map(Result::unwrap).collect();

        let remote = SocketAddr::from((remote, port));
        let mut edits = Edits::new();
        edits.set_request_uri(&before, b"sip:y@example.net");
        edits.push_via(&before, b"SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKnew");
        edits.amend_top_via(&before, remote, true);
        edits.set_max_forwards(&before, 69);
        edits.push_record_route(&before, b"<sip:198.51.100.1;lr>");
        edits.remove_first_route(&before);
        let mut written = Vec::new();
        write_message(&before, &edits, &mut written);

        let mut second = HeaderTable::default();
        let after = parse_datagram(&written, &mut second)
            .map_err(|error| TestCaseError::fail(format!("{error} in\n{}", String::from_utf8_lossy(&written))))?;
        prop_assert_eq!(after.request_uri(), b"sip:y@example.net");
        prop_assert_eq!(after.max_forwards(), Ok(Some(69)));
        prop_assert_eq!(values(after.record_routes()), vec![&b"<sip:198.51.100.1;lr>"[..]]);
        prop_assert_eq!(values(after.routes()), values(before.routes().skip(1)));
        prop_assert_eq!(other_lines(&after), other_lines(&before));
        prop_assert_eq!(after.body(), before.body());

        let vias: Vec<_> = after.vias().map(Result::unwrap).collect();
        prop_assert_eq!(vias.len(), generated.vias + 1);
        prop_assert_eq!(vias[0].branch, Some(&b"z9hG4bKnew"[..]));
        prop_assert_eq!(vias[1].branch, old_vias[0].branch);
        prop_assert_eq!(vias[1].rport, Some(Some(port)));
        let ip = remote.ip().to_string();
        prop_assert_eq!(vias[1].received, Some(ip.as_bytes()));
        for (new, old) in vias[2..].iter().zip(&old_vias[1..]) {
            prop_assert_eq!(new.value, old.value);
        }
    }

    #[test]
    fn the_top_via_comes_off_and_leaves_the_others(generated in request()) {
        let mut table = HeaderTable::default();
        let before = parse_datagram(generated.text.as_bytes(), &mut table).unwrap();
        let mut edits = Edits::new();
        edits.remove_top_via(&before);
        let mut written = Vec::new();
        write_message(&before, &edits, &mut written);
        let mut second = HeaderTable::default();
        match parse_datagram(&written, &mut second) {
            Ok(after) => {
                let left: Vec<_> = after.vias().map(|via| via.unwrap().value).collect();
                let expected: Vec<_> = before.vias().skip(1).map(|via| via.unwrap().value).collect();
                prop_assert_eq!(left, expected);
                prop_assert_eq!(other_lines(&after), other_lines(&before));
            }
            Err(error) => {
                prop_assert_eq!(generated.vias, 1);
                prop_assert_eq!(error.kind, sip_parser::ParseErrorKind::ViaMissing);
            }
        }
    }

    #[test]
    fn a_response_carries_the_vias_and_ends_of_its_request(generated in request(), remote in any::<[u8; 4]>()) {
        let mut table = HeaderTable::default();
        let request = parse_datagram(generated.text.as_bytes(), &mut table).unwrap();
        let parts = ResponseParts {
            status: 404,
            reason: b"Not Found",
            to_tag: Some(b"our-tag"),
            received_from: Some(SocketAddr::from((remote, 5060))),
            headers: &[],
            copy_record_route: true,
        };
        let mut written = Vec::new();
        write_response(&request, &parts, &mut written);
        let mut second = HeaderTable::default();
        let response = parse_datagram(&written, &mut second)
            .map_err(|error| TestCaseError::fail(format!("{error} in\n{}", String::from_utf8_lossy(&written))))?;
        prop_assert_eq!(response.status(), 404);
        prop_assert_eq!(response.vias().count(), generated.vias);
        let branches = |message: &Message<'_>| -> Vec<Vec<u8>> {
            message.vias().map(|via| via.unwrap().branch.unwrap().to_vec()).collect()
        };
        prop_assert_eq!(branches(&response), branches(&request));
        prop_assert_eq!(response.to_tag(), Some(&b"our-tag"[..]));
        prop_assert_eq!(response.from_tag(), request.from_tag());
        prop_assert_eq!(response.call_id(), request.call_id());
        prop_assert_eq!(response.cseq(), request.cseq());
        prop_assert!(sip(response.from().unwrap().uri).equivalent(&sip(request.from().unwrap().uri)));

        for write in [write_ack_non_2xx, |invite: &Message<'_>, _: &Message<'_>, out: &mut Vec<u8>| write_cancel(invite, None, out)] {
            let mut text = Vec::new();
            write(&request, &response, &mut text);
            let mut third = HeaderTable::default();
            let own = parse_datagram(&text, &mut third).unwrap();
            prop_assert_eq!(own.cseq().number, request.cseq().number);
            prop_assert_eq!(own.request_uri(), request.request_uri());
            prop_assert_eq!(own.vias().count(), 1);
            prop_assert_eq!(own.top_via().unwrap().branch, request.top_via().unwrap().branch);
            prop_assert_eq!(own.routes().count(), generated.routes);
        }
    }

    #[test]
    fn mangled_messages_are_refused_or_read_but_never_panic(
        generated in request(),
        mangles in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..8),
    ) {
        let mut bytes = generated.text.into_bytes();
        for (index, octet, kind) in mangles {
            let at = index.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            let special = b"\r\n;,:<>\"\\ =@[]"[usize::from(octet) % 14];
            match kind {
                0 => bytes[at] = octet,
                1 => bytes[at] = special,
                2 => bytes.insert(at, special),
                _ => { bytes.remove(at); }
            }
        }
        let mut table = HeaderTable::default();
        if let Ok(message) = parse_datagram(&bytes, &mut table) {
            touch(&message);
            let mut edits = Edits::new();
            edits.push_via(&message, b"SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKnew");
            edits.amend_top_via(&message, SocketAddr::from(([192, 0, 2, 1], 5060)), true);
            edits.set_max_forwards(&message, 3);
            edits.remove_first_route(&message);
            let mut written = Vec::new();
            write_message(&message, &edits, &mut written);
            let mut second = HeaderTable::default();
            if let Err(error) = parse_datagram(&written, &mut second) {
                return Err(TestCaseError::fail(format!("{error} in\n{}", String::from_utf8_lossy(&written))));
            }
        }
        if let Some(message) = salvage(&bytes, &mut table) {
            touch(&message);
            let parts = ResponseParts {
                status: 400,
                reason: b"Bad Request",
                to_tag: Some(b"t"),
                received_from: Some(SocketAddr::from(([192, 0, 2, 1], 5060))),
                headers: &[],
                copy_record_route: false,
            };
            let mut written = Vec::new();
            write_response(&message, &parts, &mut written);
            prop_assert!(written.ends_with(b"\r\nContent-Length: 0\r\n\r\n"));
            prop_assert_eq!(memchr::memmem::find_iter(&written, b"\r\n\r\n").count(), 1);
        }
    }

    #[test]
    fn arbitrary_octets_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut table = HeaderTable::default();
        let _ = is_keepalive(&bytes);
        let _ = Uri::parse(&bytes);
        let _ = NameAddr::parse(&bytes);
        let _ = sip_parser::Via::parse(&bytes);
        let _ = parse_datagram(&bytes, &mut table).map(|message| message.method());
        let _ = salvage(&bytes, &mut table).map(|message| message.method());
    }
}

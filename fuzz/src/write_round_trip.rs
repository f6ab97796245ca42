//! Parse, edit, write, parse: the same message but for the edits.
//! The last eight bytes choose the edits, at most one for each header; what they should come to is worked out here on lists.
//! Leaves out edits that overlap, which the writer refuses by an assertion.

use std::net::SocketAddr;

use sip_parser::{
    Edits, HeaderTable, KnownHeader, Limits, Message, Via, parse_datagram, write_message,
};

use crate::datagram::roomy;

/// Bytes that choose the edits.
pub const PROGRAM_LEN: usize = 8;

const VIA: &[u8] = b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKfuzz";
const ROUTE: &[u8] = b"<sip:192.0.2.1;lr>";

/// A message as far as it is compared: lists of raw values.
#[derive(Debug, PartialEq, Eq)]
struct Model {
    uri: Vec<u8>,
    status: u16,
    vias: Vec<Vec<u8>>,
    routes: Vec<Vec<u8>>,
    record_routes: Vec<Vec<u8>>,
    hops: Option<u8>,
    others: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

impl Model {
    fn of(message: &Message<'_>) -> Self {
        let modelled = [
            KnownHeader::Via,
            KnownHeader::Route,
            KnownHeader::RecordRoute,
            KnownHeader::MaxForwards,
        ];
        let others = message.headers().filter(|header| {
            let known = header.name.known();
            known.is_none_or(|known| !modelled.contains(&known))
        });
        Self {
            uri: message.request_uri().to_vec(),
            status: message.status(),
            vias: message
                .vias()
                .map_while(Result::ok)
                .map(|via| via.value.to_vec())
                .collect(),
            routes: message
                .routes()
                .map_while(Result::ok)
                .map(|route| route.value.to_vec())
                .collect(),
            record_routes: message
                .record_routes()
                .map_while(Result::ok)
                .map(|route| route.value.to_vec())
                .collect(),
            hops: message.max_forwards().ok().flatten(),
            others: others
                .map(|header| (header.name.as_bytes().to_vec(), header.value.to_vec()))
                .collect(),
            body: message.body().to_vec(),
        }
    }
}

/// Holds the writer against one message and one choice of edits.
pub fn check(bytes: &[u8]) {
    let Some((bytes, program)) = bytes.split_last_chunk::<PROGRAM_LEN>() else {
        return;
    };
    let mut table = HeaderTable::new(Limits::default());
    let Ok(message) = parse_datagram(bytes, &mut table) else {
        return;
    };
    let mut edits = Edits::new();
    let mut out = b"before".to_vec();
    write_message(&message, &edits, &mut out);
    assert_eq!(&out[6..], message.bytes(), "without edits nothing changes");

    let mut expected = Model::of(&message);
    apply(&message, program, &mut edits, &mut expected);
    let mut out = Vec::new();
    write_message(&message, &edits, &mut out);
    let mut other = HeaderTable::new(roomy());
    if expected.vias.is_empty() {
        assert!(
            parse_datagram(&out, &mut other).is_err(),
            "a message without Via"
        );
        return;
    }
    match parse_datagram(&out, &mut other) {
        Ok(read) => {
            let found = Model::of(&read);
            assert_eq!(found, expected);
            assert_eq!(
                (read.from_tag(), read.to_tag()),
                (message.from_tag(), message.to_tag())
            );
            assert_eq!(
                (read.call_id(), read.cseq().number),
                (message.call_id(), message.cseq().number)
            );
        }
        Err(error) => panic!("{error:?} in {}", String::from_utf8_lossy(&out)),
    }
}

fn apply(
    message: &Message<'_>,
    program: &[u8; PROGRAM_LEN],
    edits: &mut Edits,
    expected: &mut Model,
) {
    let lists_are_whole = message.vias().all(|via| via.is_ok())
        && message.routes().all(|route| route.is_ok())
        && message.record_routes().all(|route| route.is_ok());
    if program[0] & 1 == 1 && message.is_request() {
        edits.set_request_uri(message, b"sip:1@192.0.2.9;x=y");
        expected.uri = b"sip:1@192.0.2.9;x=y".to_vec();
    }
    if program[1] & 1 == 1 {
        edits.push_via(message, VIA);
    }
    match program[1] >> 1 & 3 {
        // Of the values below the top one the parser asks less.
        1 if message.vias().nth(1).is_none_or(|via| {
            via.is_ok_and(|via| Via::parse(via.value).is_ok_and(|via| via.version == b"2.0"))
        }) =>
        {
            edits.remove_top_via(message);
            expected.vias.remove(0);
        }
        2 => amend(message, program, edits, expected),
        _ => {}
    }
    if program[1] & 1 == 1 {
        expected.vias.insert(0, VIA.to_vec());
    }
    if program[2] & 1 == 1 {
        edits.set_max_forwards(message, program[3]);
        expected.hops = Some(program[3]);
    }
    if lists_are_whole {
        edit_lists(message, program, edits, expected);
    }
    if program[6] & 1 == 1 {
        edits.remove_all(message, KnownHeader::Subject);
        expected
            .others
            .retain(|(name, _)| KnownHeader::from_name(name) != Some(KnownHeader::Subject));
    }
    if program[6] & 2 == 2 {
        edits.add_header(message, b"X-Fuzz", b"one, \"two\"");
        expected
            .others
            .push((b"X-Fuzz".to_vec(), b"one, \"two\"".to_vec()));
    }
}

/// What the top Via should say is asked of the parser again, since its place among the parameters is free.
fn amend(
    message: &Message<'_>,
    program: &[u8; PROGRAM_LEN],
    edits: &mut Edits,
    expected: &mut Model,
) {
    let remote = SocketAddr::from(([192, 0, 2, program[7]], 5062));
    let force = program[7] & 1 == 1;
    let asked = message.top_via().is_ok_and(|via| via.rport.is_some());
    edits.amend_top_via(message, remote, force);
    let mut out = Vec::new();
    let mut alone = Edits::new();
    alone.amend_top_via(message, remote, force);
    write_message(message, &alone, &mut out);
    let mut table = HeaderTable::new(roomy());
    let read = parse_datagram(&out, &mut table).expect("an amended message parses");
    let via = read.top_via().expect("its Via too");
    if asked || force {
        assert_eq!(via.rport, Some(Some(5062)), "RFC 3581 §4");
        assert_eq!(via.received, Some(remote.ip().to_string().as_bytes()));
    }
    expected.vias[0] = via.value.to_vec();
}

fn edit_lists(
    message: &Message<'_>,
    program: &[u8; PROGRAM_LEN],
    edits: &mut Edits,
    expected: &mut Model,
) {
    match program[4] & 3 {
        1 => {
            edits.remove_first_route(message);
            if !expected.routes.is_empty() {
                expected.routes.remove(0);
            }
        }
        2 => {
            edits.set_routes(message, &[ROUTE, ROUTE]);
            expected.routes = vec![ROUTE.to_vec(), ROUTE.to_vec()];
        }
        3 => {
            edits.remove_all(message, KnownHeader::Route);
            expected.routes.clear();
        }
        _ => {}
    }
    if program[5] & 1 == 1 {
        edits.push_record_route(message, ROUTE);
        expected.record_routes.insert(0, ROUTE.to_vec());
    }
}

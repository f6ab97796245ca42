//! The pieces of work, each over buffers that stay warm.
//! Each gives a number that depends on what was done, so that nothing of it can be left out.

use std::hint::black_box;
use std::net::SocketAddr;

use crate::{forward, hostile};

use sip_parser::{
    ContactValue, Edits, Frame, FrameLimits, Framer, HeaderTable, ResponseParts, has_active_media,
    parse_datagram, salvage, write_message, write_response,
};

const INVITE: &[u8] = include_bytes!("../../messages/invite.sip");

/// A piece of work.
pub(crate) struct Work {
    /// Its name in `instructions.toml`.
    pub(crate) name: &'static str,
    /// How often it is done to be counted.
    pub(crate) times: usize,
    /// Does it so many times.
    pub(crate) run: fn(usize) -> usize,
}

/// Every piece of work.
pub(crate) const ALL: &[Work] = &[
    often("parse_l1", parse_l1),
    often("parse_edit_write", parse_edit_write),
    often("parse_answer", parse_answer),
    often("parse_stream", parse_stream),
    often("read_sdp", read_sdp),
    often("salvage", salvage_again),
    often("forward", |times| forward::forward(times, INVITE)),
    once("hostile_16k", |times| hostile(times, 16_384)),
    once("hostile_64k", |times| hostile(times, 65_536)),
];

const fn often(name: &'static str, run: fn(usize) -> usize) -> Work {
    let times = 1_000;
    Work { name, times, run }
}

const fn once(name: &'static str, run: fn(usize) -> usize) -> Work {
    let times = 1;
    Work { name, times, run }
}

/// The strict parse, and what every proxy reads of an INVITE.
fn parse_l1(times: usize) -> usize {
    let mut table = HeaderTable::default();
    let mut sum = 0;
    for _ in 0..times {
        let Ok(message) = parse_datagram(black_box(INVITE), &mut table) else {
            return 0;
        };
        let Some(Ok(ContactValue::Address(contact))) = message.contacts().next() else {
            return 0;
        };
        let read = black_box((message.top_via(), message.from(), message.to(), contact));
        let _ = black_box((message.cseq(), message.call_id(), message.max_forwards()));
        sum += read.3.value.len();
    }
    sum
}

/// The INVITE as it is forwarded.
fn parse_edit_write(times: usize) -> usize {
    let remote = SocketAddr::from(([192, 0, 2, 20], 5062));
    let mut table = HeaderTable::default();
    let mut edits = Edits::new();
    let mut out = Vec::new();
    let mut sum = 0;
    for _ in 0..times {
        let Ok(message) = parse_datagram(black_box(INVITE), &mut table) else {
            return 0;
        };
        edits.clear();
        edits.set_request_uri(
            &message,
            black_box(b"sip:4930123456@203.0.113.9:5060;user=phone"),
        );
        edits.push_via(
            &message,
            black_box(b"SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK.0.1a2b3c4d5e6f7081.0"),
        );
        edits.amend_top_via(&message, remote, false);
        if let Ok(Some(hops)) = message.max_forwards() {
            edits.set_max_forwards(&message, hops - 1);
        }
        edits.push_record_route(
            &message,
            black_box(
                b"<sip:198.51.100.10:5060;lr;tdm=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8>",
            ),
        );
        edits.remove_first_route(&message);
        out.clear();
        write_message(&message, &edits, &mut out);
        sum += black_box(&out).len();
    }
    sum
}

/// The INVITE and our 100 to it.
fn parse_answer(times: usize) -> usize {
    let parts = ResponseParts {
        status: 100,
        reason: b"Trying",
        to_tag: None,
        received_from: Some(SocketAddr::from(([192, 0, 2, 20], 5062))),
        headers: &[],
        copy_record_route: false,
    };
    let mut table = HeaderTable::default();
    let mut out = Vec::new();
    let mut sum = 0;
    for _ in 0..times {
        let Ok(message) = parse_datagram(black_box(INVITE), &mut table) else {
            return 0;
        };
        out.clear();
        write_response(&message, &parts, &mut out);
        sum += black_box(&out).len();
    }
    sum
}

/// The INVITE off a stream, in two pieces.
fn parse_stream(times: usize) -> usize {
    let mut framer = Framer::new(FrameLimits::default());
    let mut table = HeaderTable::default();
    let mut sum = 0;
    for _ in 0..times {
        let (one, two) = black_box(INVITE).split_at(600);
        for mut piece in [one, two] {
            if let Ok(Some(Frame::Message(message))) = framer.next_frame(&mut piece) {
                sum += usize::from(parse_datagram(message, &mut table).is_ok());
            }
        }
    }
    sum
}

/// What is left of an INVITE that was refused.
fn salvage_again(times: usize) -> usize {
    let mut table = HeaderTable::default();
    let mut sum = 0;
    for _ in 0..times {
        if let Some(message) = salvage(black_box(INVITE), &mut table) {
            sum += message.call_id().len();
        }
    }
    sum
}

/// Whether media flows under the session description of the INVITE.
fn read_sdp(times: usize) -> usize {
    let mut table = HeaderTable::default();
    let Ok(message) = parse_datagram(INVITE, &mut table) else {
        return 0;
    };
    (0..times)
        .filter(|_| has_active_media(black_box(message.body())))
        .count()
}

/// Every message that is made to be slow to read, at the size of a datagram or a part of it.
fn hostile(times: usize, size: usize) -> usize {
    let inputs = hostile::inputs(size);
    let mut table = HeaderTable::new(hostile::UNLIMITED);
    let mut sum = 0;
    for _ in 0..times {
        for (_, bytes) in &inputs {
            sum += hostile::read(black_box(bytes), &mut table);
        }
    }
    sum
}

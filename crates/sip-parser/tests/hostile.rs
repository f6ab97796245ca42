//! Datagrams of full size that are made to be slow to read: each is done with in the time of a linear walk.
//! A quadratic step over 64 kB takes seconds in a debug build, a linear one about a millisecond.

use std::time::{Duration, Instant};

use sip_parser::{
    Edits, FrameLimits, Framer, HeaderTable, Limits, Message, ResponseParts, Sdp, Uri,
    parse_datagram, salvage, write_message, write_response,
};

const SIZE: usize = 65_000;

/// A request whose `line` is repeated or stretched to the size of a datagram by `fill`.
fn request(line: &str, fill: &str) -> Vec<u8> {
    let head = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a>;tag=1\r\n\
                To: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";
    let times = (SIZE - head.len() - line.len()) / fill.len();
    format!("{head}{line}{}\r\n\r\n", fill.repeat(times)).into_bytes()
}

fn read_all(message: &Message<'_>) -> usize {
    let mut out = Vec::new();
    let mut edits = Edits::new();
    edits.amend_top_via(message, ([192, 0, 2, 1], 5060).into(), true);
    edits.set_routes(message, &[]);
    write_message(message, &edits, &mut out);
    let parts = ResponseParts {
        status: 400,
        reason: b"Bad Request",
        to_tag: Some(b"t"),
        received_from: Some(([192, 0, 2, 1], 5060).into()),
        headers: &[],
        copy_record_route: true,
    };
    write_response(message, &parts, &mut out);
    let uris = message.contacts().filter(Result::is_ok).count();
    out.len()
        + uris
        + message.vias().count()
        + message.routes().count()
        + message.require().count()
        + message.other(b"x").count()
        + usize::from(Uri::parse(message.request_uri()).is_ok())
}

#[test]
fn hostile_datagrams_cost_no_more_than_a_linear_walk() {
    // Without the smaller limits, so that every walk goes to the end.
    let unlimited = Limits {
        size_max: SIZE * 2,
        headers_max: SIZE,
        line_max: SIZE * 2,
        list_max: SIZE,
        params_max: SIZE,
    };
    for (line, fill) in [
        ("", "X: y\r\n"),
        ("", "Require: a\r\n"),
        ("", "v: SIP/2.0/UDP h\r\n"),
        ("", "Route: <sip:a>\r\n"),
        ("X: ", "\r\n "),
        ("X: ", "\r\n x"),
        ("X:", " "),
        ("X", " "),
        ("", "x"),
        ("X: ", "\r"),
        ("X: ", "\n"),
        ("Route: ", "<sip:a>,"),
        ("Route: ", "<"),
        ("Route: ", "\""),
        ("Route: ", "\\\""),
        ("Route: \"", "\\"),
        ("Route: ", ","),
        ("Route: ", "a "),
        ("Route: <sip:a>", ";"),
        ("Route: <sip:a>", ";a"),
        ("Route: <sip:a>", ";a=\"b\""),
        ("v: SIP/2.0/UDP h", ";rport"),
        ("v: SIP/2.0/UDP h;a=b", " "),
        ("v: ", "SIP/2.0/UDP h,"),
        ("Require: ", ","),
        ("Require: ", "a,"),
        ("Require: ", "a, "),
        ("m: ", "*,"),
        ("m: <sip:", "a;"),
    ] {
        let bytes = request(line, fill);
        let mut table = HeaderTable::new(unlimited);
        let fastest = (0..3)
            .map(|_| {
                #[expect(clippy::disallowed_methods, reason = "a test of the time taken")]
                let start = Instant::now();
                let read = parse_datagram(&bytes, &mut table)
                    .map(|message| read_all(&message))
                    .unwrap_or_default();
                let saved = salvage(&bytes, &mut table).map(|message| read_all(&message));
                assert!(read + saved.unwrap_or_default() < 20 * SIZE);
                start.elapsed()
            })
            .min()
            .unwrap_or_default();
        assert!(
            fastest < Duration::from_millis(400),
            "{line:?} {fill:?} took {fastest:?}"
        );
    }
}

#[test]
fn hostile_uris_cost_no_more_than_a_linear_walk() {
    for fill in [
        "a", ":", "@", ";", ";a", "%41", "?", "&", "a.", "1.", "[", "#",
    ] {
        for start in ["sip:", "sip:a@", "sip:h;", "sip:h?", "tel:+", "tel:1;"] {
            let uri = [start, &fill.repeat(SIZE / fill.len())].concat();
            #[expect(clippy::disallowed_methods, reason = "a test of the time taken")]
            let began = Instant::now();
            if let Ok(uri) = Uri::parse(uri.as_bytes()) {
                assert!(uri.equivalent(&uri) || matches!(uri, Uri::Other { .. }));
            }
            assert!(
                began.elapsed() < Duration::from_millis(400),
                "{start} {fill}"
            );
        }
    }
}

#[test]
fn hostile_session_descriptions_cost_no_more_than_a_linear_walk() {
    for fill in [
        "\n",
        "\r",
        "a=",
        "a=\n",
        "m=",
        "m=a 1 b c\n",
        "m=a 1 b c\nc=IN IP4 0.0.0.0\n",
        "c=IN IP4 0.0.0.0\n",
        "a=rtpmap:1 \n",
        "a=:",
        " ",
        "\nm",
    ] {
        for start in [
            "v=0\n",
            "v=0\nm=audio 1 RTP/AVP ",
            "v=0\nm=audio 1 RTP/AVP 0\n",
        ] {
            let body = [start, &fill.repeat(SIZE / fill.len())].concat();
            #[expect(clippy::disallowed_methods, reason = "a test of the time taken")]
            let began = Instant::now();
            if let Ok(sdp) = Sdp::parse(body.as_bytes()) {
                let _ = sdp.has_active_media();
                let formats: usize = sdp.media().map(|media| media.formats().count()).sum();
                assert!(formats < body.len());
                assert!(sdp.media().filter_map(|media| media.rtpmap(b"99")).count() == 0);
            }
            assert!(
                began.elapsed() < Duration::from_millis(400),
                "{start:?} {fill:?}"
            );
        }
    }
}

#[test]
fn a_stream_of_single_octets_costs_no_more_than_a_linear_walk() {
    let head = "OPTIONS sip:a SIP/2.0\r\nX: ";
    for fill in ["x", "\r", "\r\n ", "\r\nl", "l: 1\r\n", "\r\nX: y"] {
        let stream = [head, &fill.repeat(SIZE / fill.len())].concat();
        let mut framer = Framer::new(FrameLimits {
            head_max: SIZE * 2,
            size_max: SIZE * 2,
        });
        #[expect(clippy::disallowed_methods, reason = "a test of the time taken")]
        let began = Instant::now();
        for mut octet in stream.as_bytes().chunks(1) {
            let _ = framer.next_frame(&mut octet);
        }
        assert!(began.elapsed() < Duration::from_millis(400), "{fill:?}");
    }
}

//! An ordinary INVITE is parsed, edited, written and answered without a single allocation once buffers are warm.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::net::SocketAddr;

use sip_parser::{
    Edits, FrameLimits, Framer, HeaderTable, KnownHeader, ResponseParts, Sdp, Uri,
    has_active_media, parse_datagram, write_ack_non_2xx, write_cancel, write_message,
    write_response,
};

const INVITE: &[u8] = b"INVITE sip:+4930123456@gw.example.net;user=phone SIP/2.0\r\n\
Via: SIP/2.0/UDP pbx.example.org:5070;branch=z9hG4bK776asdhds;rport\r\n\
Max-Forwards: 70\r\n\
Route: <sip:proxy.example.net;lr>, <sip:other.example.net;lr>\r\n\
From: \"Alice\" <sip:alice@example.org>;tag=1928301774\r\n\
To: <sip:+4930123456@gw.example.net>\r\n\
Call-ID: a84b4c76e66710@pbx.example.org\r\n\
CSeq: 314159 INVITE\r\n\
Contact: <sip:alice@192.0.2.7:5070;transport=udp>\r\n\
Supported: 100rel, timer\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 4\r\n\
\r\n\
v=0\n";

struct Buffers {
    table: HeaderTable,
    edits: Edits,
    out: Vec<u8>,
    second: HeaderTable,
    answers: Vec<u8>,
}

/// Everything a proxy does with an INVITE; the number of octets written.
fn handle(buffers: &mut Buffers, remote: SocketAddr) -> usize {
    let message = parse_datagram(INVITE, &mut buffers.table).unwrap();
    for part in [message.from().unwrap().uri, message.request_uri()] {
        assert!(matches!(Uri::parse(part), Ok(Uri::Sip(_))));
    }
    assert_eq!(message.vias().count() + message.contacts().count(), 2);
    assert_eq!(message.supported().count(), 2);

    let edits = &mut buffers.edits;
    edits.clear();
    edits.set_request_uri(&message, b"sip:4930123456@203.0.113.9:5060");
    edits.amend_top_via(&message, remote, false);
    edits.push_via(&message, b"SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKabcdef");
    edits.set_max_forwards(&message, 69);
    edits.push_record_route(&message, b"<sip:198.51.100.1;lr;c=0123456789abcdef>");
    edits.remove_first_route(&message);
    edits.remove_all(&message, KnownHeader::Supported);
    edits.add_header(&message, b"X-Trunk", b"7");
    buffers.out.clear();
    write_message(&message, edits, &mut buffers.out);

    buffers.answers.clear();
    let parts = ResponseParts {
        status: 503,
        reason: b"Service Unavailable",
        to_tag: Some(b"abc"),
        received_from: Some(remote),
        headers: &[(b"Retry-After", b"2")],
        copy_record_route: false,
    };
    write_response(&message, &parts, &mut buffers.answers);
    let response_len = buffers.answers.len();
    let forwarded = parse_datagram(&buffers.out, &mut buffers.second).unwrap();
    write_cancel(&forwarded, None, &mut buffers.answers);
    write_ack_non_2xx(&forwarded, &forwarded, &mut buffers.answers);
    assert!(response_len < buffers.answers.len());
    buffers.out.len() + buffers.answers.len()
}

#[test]
fn an_ordinary_invite_costs_no_allocation_once_buffers_are_warm() {
    let remote = SocketAddr::from(([192, 0, 2, 7], 5070));
    let mut buffers = Buffers {
        table: HeaderTable::default(),
        edits: Edits::new(),
        out: Vec::new(),
        second: HeaderTable::default(),
        answers: Vec::new(),
    };
    let first = allocation_counter::measure(|| {
        handle(&mut buffers, remote);
    });
    assert!(first.count_total > 0, "the counter counts");
    let mut written = 0;
    let warm = allocation_counter::measure(|| {
        for _ in 0..10 {
            written += handle(&mut buffers, remote);
        }
    });
    assert!(written > 10 * INVITE.len());
    assert_eq!(warm.count_total, 0);
}

#[test]
fn frames_and_session_descriptions_are_read_without_an_allocation() {
    let sdp = b"v=0\r\nc=IN IP6 2001:db8::1\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    let mut framer = Framer::new(FrameLimits::default());
    let stream = [INVITE, INVITE].concat();
    let mut messages = 0;
    let cost = allocation_counter::measure(|| {
        let mut rest = &stream[..];
        while let Ok(Some(_)) = framer.next_frame(&mut rest) {
            messages += 1;
        }
        assert!(has_active_media(sdp));
        let sdp = Sdp::parse(sdp).unwrap();
        assert!(sdp.media().all(|media| media.rtpmap(b"101").is_some()));
    });
    assert_eq!((messages, cost.count_total), (2, 0));
}

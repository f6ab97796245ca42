//! Any bytes as a datagram: parse, salvage, and every accessor of what came of it.
//! Nothing may panic, every view must lie within the datagram, and a parsed message must parse again to the same.
//! Leaves out what a message means.

use sip_parser::{
    HeaderTable, KnownHeader, Limits, Message, ResponseParts, Uri, is_keepalive, parse_datagram,
    salvage, unescape, write_ack_non_2xx, write_cancel, write_response,
};

/// Holds the parser against one datagram.
pub fn check(bytes: &[u8]) {
    let mut table = HeaderTable::new(Limits::default());
    let keepalive = is_keepalive(bytes);
    match parse_datagram(bytes, &mut table) {
        Ok(message) => {
            assert!(!keepalive, "a keep-alive is no message");
            look_at(&message, bytes);
            assert!(message.top_via().is_ok() && message.from().is_ok() && message.to().is_ok());
            assert!(message.max_forwards().is_ok());
            answer(&message);
            // What is behind Content-Length is cut off, and cut off it stays.
            let again = message.bytes().to_vec();
            let mut other = HeaderTable::new(Limits::default());
            let twice = parse_datagram(&again, &mut other).expect("what was parsed parses again");
            assert_eq!(twice.bytes(), &again[..]);
            assert_eq!(twice.headers().count(), message.headers().count());
        }
        Err(error) => {
            assert!(error.offset <= bytes.len(), "{error:?} of {}", bytes.len());
            assert!(!error.kind.as_str().is_empty() && !error.kind.reason().is_empty());
        }
    }
    if let Some(message) = salvage(bytes, &mut table) {
        assert!(message.is_request());
        look_at(&message, bytes);
        answer(&message);
    }
}

/// Walks over everything that can be asked of a message.
fn look_at(message: &Message<'_>, bytes: &[u8]) {
    assert!(within(message.bytes(), bytes) && within(message.body(), bytes));
    let mut scratch = Vec::new();
    for header in message.headers() {
        assert!(within(header.value, bytes) && within(header.name.as_bytes(), bytes));
        assert!(
            header.line.end <= message.bytes().len() && header.value_range.end <= header.line.end
        );
        header.unfold_into(&mut scratch);
        scratch.clear();
    }
    let _ = (
        message.method(),
        message.status(),
        message.reason(),
        message.from_tag(),
        message.to_tag(),
    );
    let _ = (
        message.call_id(),
        message.cseq(),
        message.content_length(),
        message.content_type(),
    );
    assert!(within(message.request_uri(), bytes));
    for uri in [message.from(), message.to()]
        .into_iter()
        .flatten()
        .map(|address| address.uri)
    {
        look_at_uri(uri);
    }
    look_at_uri(message.request_uri());
    for via in message.vias().flatten() {
        assert!(within(via.value, bytes) && within(via.sent_by, bytes));
        assert!(via.params.iter().count() <= Limits::default().params_max);
    }
    for contact in message.contacts().flatten() {
        if let sip_parser::ContactValue::Address(address) = contact {
            look_at_uri(address.uri);
        }
    }
    for address in message.routes().chain(message.record_routes()).flatten() {
        look_at_uri(address.uri);
        assert!(within(address.value, bytes));
    }
    for token in message
        .require()
        .chain(message.proxy_require())
        .chain(message.supported())
    {
        assert!(within(token, bytes));
    }
}

fn look_at_uri(uri: &[u8]) {
    let mut out = Vec::new();
    unescape(uri, &mut out);
    assert!(out.len() <= uri.len());
    if let Ok(Uri::Sip(uri)) = Uri::parse(uri) {
        let _ = uri.params.iter().count();
        let _ = uri.host.ip();
    }
}

/// What is written of a message must be a message.
fn answer(message: &Message<'_>) {
    if !message.is_request() {
        return;
    }
    let mut response = Vec::new();
    let parts = ResponseParts {
        status: 400,
        reason: b"Bad Request",
        to_tag: Some(b"tag1"),
        received_from: Some(([192, 0, 2, 1], 5060).into()),
        headers: &[(b"Server", b"x")],
        copy_record_route: true,
    };
    write_response(message, &parts, &mut response);
    let mut table = HeaderTable::new(roomy());
    // A request that was only salvaged may hold header fields that no parser takes.
    let mut strict = HeaderTable::new(Limits::default());
    let own = message.bytes().to_vec();
    if parse_datagram(&own, &mut strict).is_err() {
        return;
    }
    let read = parse_datagram(&response, &mut table).expect("a response of ours parses");
    assert_eq!((read.status(), read.call_id()), (400, message.call_id()));
    assert_eq!(read.cseq().number, message.cseq().number);
    assert!(read.to_tag().is_some());
    if message.method() == sip_parser::Method::Invite {
        for write in [
            |invite: &Message<'_>, _: &Message<'_>, out: &mut Vec<u8>| {
                write_cancel(invite, None, out)
            },
            |invite: &Message<'_>, response: &Message<'_>, out: &mut Vec<u8>| {
                write_ack_non_2xx(invite, response, out)
            },
        ] {
            let mut out = Vec::new();
            write(message, &read, &mut out);
            let mut table = HeaderTable::new(roomy());
            let request = parse_datagram(&out, &mut table).expect("a request of ours parses");
            assert_eq!(request.call_id(), message.call_id());
            assert_eq!(
                request.header(KnownHeader::Via).is_some(),
                message.header(KnownHeader::Via).is_some()
            );
        }
    }
}

/// The default limits with room for what we add.
pub(crate) fn roomy() -> Limits {
    let limits = Limits::default();
    Limits {
        size_max: limits.size_max * 2,
        headers_max: limits.headers_max + 16,
        line_max: limits.line_max + 256,
        list_max: limits.list_max + 4,
        params_max: limits.params_max + 4,
    }
}

fn within(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    part.start == part.end || (whole.start <= part.start && part.end <= whole.end)
}

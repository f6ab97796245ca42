//! Responses of our own to a request (RFC 3261 §8.2.6, §18.2.1).
//! Via, From, To, Call-ID, CSeq and, when wanted, Record-Route come from the request, unfolded.
//! They carry no body; what else they say is given by the caller.

use std::net::SocketAddr;

use crate::edits::push_line;
use crate::header::name::KnownHeader;
use crate::message::{Header, Message, push_unfolded};
use crate::octet;
use crate::top_via;

/// What a response adds to what it copies from its request.
#[derive(Clone, Copy, Debug)]
pub struct ResponseParts<'a> {
    /// The status code, 100 to 699.
    pub status: u16,
    /// The reason phrase; see [`reason_phrase`](crate::reason_phrase).
    pub reason: &'a [u8],
    /// Added to the To when that has no tag and the status is above 100 (§8.2.6.2).
    pub to_tag: Option<&'a [u8]>,
    /// Where the request came from, when the top Via is to say so (§18.2.1, RFC 3581 §4).
    pub received_from: Option<SocketAddr>,
    /// Further header fields: name and value.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Whether the Record-Route of the request is copied (§12.1.1).
    pub copy_record_route: bool,
}

/// Appends the response to `request` that `parts` describe; `Content-Length: 0`.
//= RFC 3261 §8.2.6.2: Via, From, To, Call-ID and CSeq of the request; a tag in the To unless it is a 100
pub fn write_response(request: &Message<'_>, parts: &ResponseParts<'_>, out: &mut Vec<u8>) {
    out.reserve(request.headers_end() + 256);
    out.extend_from_slice(b"SIP/2.0 ");
    octet::push_decimal(out, u32::from(parts.status));
    out.push(b' ');
    out.extend_from_slice(parts.reason);
    out.extend_from_slice(b"\r\n");

    for (index, via) in request.headers_named(KnownHeader::Via).enumerate() {
        match parts.received_from {
            Some(remote) if index == 0 => push_top_via(out, request, &via, remote),
            _ => push_field(out, b"Via", via.value),
        }
    }
    if parts.copy_record_route {
        for route in request.headers_named(KnownHeader::RecordRoute) {
            push_field(out, b"Record-Route", route.value);
        }
    }
    copy_first(out, request, KnownHeader::From);
    if let Some(to) = request.header(KnownHeader::To) {
        out.extend_from_slice(b"To: ");
        push_unfolded(out, to.value);
        if let Some(tag) = parts.to_tag
            && parts.status > 100
            && request.to_tag().is_none()
        {
            out.extend_from_slice(b";tag=");
            out.extend_from_slice(tag);
        }
        out.extend_from_slice(b"\r\n");
    }
    copy_first(out, request, KnownHeader::CallId);
    copy_first(out, request, KnownHeader::CSeq);
    if parts.status == 100 {
        //= RFC 3261 §8.2.6.1: the 100 copies a Timestamp
        copy_first(out, request, KnownHeader::Timestamp);
    }
    for (name, value) in parts.headers {
        push_line(out, name, value);
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// Appends the first Via line of `request`, its top value saying where the request came from.
fn push_top_via(out: &mut Vec<u8>, request: &Message<'_>, header: &Header<'_>, remote: SocketAddr) {
    out.extend_from_slice(b"Via: ");
    let mut copied = header.value_range.start;
    for amendment in top_via::amendments(request, remote, false)
        .into_iter()
        .flatten()
    {
        push_unfolded(out, &request.bytes()[copied..amendment.range.start]);
        amendment.write(out);
        copied = amendment.range.end;
    }
    push_unfolded(out, &request.bytes()[copied..header.value_range.end]);
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: value`, folds undone.
pub(crate) fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    push_unfolded(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the first field of `header`, under its full name.
pub(crate) fn copy_first(out: &mut Vec<u8>, message: &Message<'_>, header: KnownHeader) {
    if let Some(field) = message.header(header) {
        push_field(out, header.name().as_bytes(), field.value);
    }
}

#[cfg(test)]
mod tests;

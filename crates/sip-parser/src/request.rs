//! Requests that a proxy makes itself: the ACK to a failure, CANCEL, and one within a dialog.
//! RFC 3261 §17.1.1.3 (ACK), §9.1 (CANCEL), §12.2.1.1 (a BYE built from stored dialog state).
//! None has a body; none is changed after it was written.

use crate::edits::push_line;
use crate::header::name::KnownHeader;
use crate::message::Message;
use crate::octet;
use crate::response::{copy_first, push_field};

/// Hops given to a request of our own (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// Appends the ACK of the transaction for `response`, a final response above 299 to `invite` as we sent it.
pub fn write_ack_non_2xx(invite: &Message<'_>, response: &Message<'_>, out: &mut Vec<u8>) {
    // RFC 3261 §17.1.1.3: the To is that of the response, with its tag.
    write_of_transaction(invite, response, b"ACK", None, out);
}

/// Appends the CANCEL of `invite` as we sent it; `reason` is a Reason value (RFC 3326).
pub fn write_cancel(invite: &Message<'_>, reason: Option<&[u8]>, out: &mut Vec<u8>) {
    // RFC 3261 §9.1: all as in the request, To tag (or none) included.
    write_of_transaction(invite, invite, b"CANCEL", reason, out);
}

/// ACK and CANCEL differ from their INVITE in the method, and carry its top Via alone.
fn write_of_transaction(
    invite: &Message<'_>,
    to_of: &Message<'_>,
    method: &[u8],
    reason: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    out.reserve(invite.headers_end() + 64);
    push_request_line(out, method, invite.request_uri());
    if let Ok(via) = invite.top_via() {
        push_field(out, b"Via", via.value);
    }
    push_max_forwards(out, MAX_FORWARDS);
    for route in invite.headers_named(KnownHeader::Route) {
        push_field(out, b"Route", route.value);
    }
    copy_first(out, invite, KnownHeader::From);
    copy_first(out, to_of, KnownHeader::To);
    copy_first(out, invite, KnownHeader::CallId);
    push_cseq(out, invite.cseq().number, method);
    if let Some(reason) = reason {
        push_line(out, b"Reason", reason);
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// A request of our own within a dialog.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The Request-URI: the remote target, or the first route when that is a strict router.
    pub uri: &'a [u8],
    /// The value of its only Via, branch included.
    pub via: &'a [u8],
    /// The From value with its tag.
    pub from: &'a [u8],
    /// The To value with its tag.
    pub to: &'a [u8],
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The CSeq number.
    pub cseq: u32,
    /// The Route values, one line each.
    pub routes: &'a [&'a [u8]],
    /// The Max-Forwards.
    pub max_forwards: u8,
    /// Further header fields: name and value.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

/// Appends the request that `parts` describe; `Content-Length: 0`.
pub fn write_request(parts: &RequestParts<'_>, out: &mut Vec<u8>) {
    push_request_line(out, parts.method, parts.uri);
    push_line(out, b"Via", parts.via);
    push_max_forwards(out, parts.max_forwards);
    for route in parts.routes {
        push_line(out, b"Route", route);
    }
    push_line(out, b"From", parts.from);
    push_line(out, b"To", parts.to);
    push_line(out, b"Call-ID", parts.call_id);
    push_cseq(out, parts.cseq, parts.method);
    for (name, value) in parts.headers {
        push_line(out, name, value);
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

fn push_request_line(out: &mut Vec<u8>, method: &[u8], uri: &[u8]) {
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(uri);
    out.extend_from_slice(b" SIP/2.0\r\n");
}

fn push_max_forwards(out: &mut Vec<u8>, hops: u8) {
    out.extend_from_slice(b"Max-Forwards: ");
    octet::push_decimal(out, u32::from(hops));
    out.extend_from_slice(b"\r\n");
}

fn push_cseq(out: &mut Vec<u8>, number: u32, method: &[u8]) {
    out.extend_from_slice(b"CSeq: ");
    octet::push_decimal(out, number);
    out.push(b' ');
    out.extend_from_slice(method);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;

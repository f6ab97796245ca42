//! What is left of a request that failed to parse, so that it can still be answered 400 (RFC 3261 §8.2, §16.3(1)).
//! Lines are found by any line end, bad ones are passed over, and only what a response copies is looked at.
//! Nothing read here may be forwarded or matched to a transaction of importance.

use crate::error::{ParseError, ParseErrorKind};
use crate::header::cseq::CSeq;
use crate::header::name::KnownHeader;
use crate::header::param::Params;
use crate::header::via::Via;
use crate::message::Message;
use crate::octet::{self, TOKEN};
use crate::parse::{address, keep_cseq, leading_line_ends, trimmed};
use crate::span::Span;
use crate::table::{Field, HeaderTable, NO_FIELD, StartLine, ViaParts};

/// The request in `bytes` as far as a response to it needs it, whatever else is wrong with it.
///
/// `None` for responses, for ACK (which is never answered), and when Via or CSeq is not usable. The Request-URI may be
/// malformed, From and To may be that or missing: their accessors say so. The body is empty.
pub fn salvage<'b>(bytes: &'b [u8], table: &'b mut HeaderTable) -> Option<Message<'b>> {
    let bytes = &bytes[..bytes.len().min(table.limits.size_max)];
    let bytes = &bytes[leading_line_ends(bytes)..];
    table.clear();
    let (first_end, mut at) = any_line_end(bytes, 0);
    table.start = request_line(&bytes[..first_end])?;
    while at < bytes.len() && table.fields.len() < table.limits.headers_max {
        let start = at;
        let (mut end, mut next) = any_line_end(bytes, at);
        while matches!(bytes.get(next), Some(b' ' | b'\t')) && next > start && end > start {
            (end, next) = any_line_end(bytes, next);
        }
        if end == start {
            break;
        }
        at = next;
        if next - start <= table.limits.line_max {
            index_line(bytes, start, end, next, table);
        }
    }
    table.headers_end = at;
    table.body_start = at;
    keep_values(bytes, table)?;
    Some(Message {
        bytes: &bytes[..at],
        table,
    })
}

/// The end of the line at `from`, without and with its CRLF, LF or CR.
fn any_line_end(bytes: &[u8], from: usize) -> (usize, usize) {
    let Some(length) = memchr::memchr2(b'\r', b'\n', &bytes[from..]) else {
        return (bytes.len(), bytes.len());
    };
    let end = from + length;
    let is_crlf = bytes[end..].starts_with(b"\r\n");
    (end, end + 1 + usize::from(is_crlf))
}

/// The first and the second word, and that there is a third.
fn request_line(line: &[u8]) -> Option<StartLine> {
    let method_end = octet::run(line, 0, TOKEN);
    let version_start = memchr::memrchr(b' ', octet::trim_end(line))? + 1;
    let version = line.get(version_start..)?;
    if method_end == 0
        || line.get(method_end) != Some(&b' ')
        || version_start <= method_end + 1
        || !version.get(..4)?.eq_ignore_ascii_case(b"SIP/")
        || &line[..method_end] == b"ACK"
    {
        return None;
    }
    Some(StartLine {
        method: Span::new(0, method_end),
        uri: trimmed(line, method_end, version_start),
        ..StartLine::EMPTY
    })
}

/// Indexes a line if it has a name and a colon.
fn index_line(bytes: &[u8], start: usize, end: usize, next: usize, table: &mut HeaderTable) {
    let name_end = octet::run(bytes, start, TOKEN);
    let colon = octet::skip_lws(&bytes[..end], name_end);
    if name_end == start || bytes.get(colon) != Some(&b':') || colon >= end {
        return;
    }
    table.push(Field {
        line: Span::new(start, next),
        value: trimmed(bytes, colon + 1, end),
        #[expect(clippy::cast_possible_truncation, reason = "below Limits::size_max")]
        name_len: (name_end - start) as u32,
        known: KnownHeader::from_name(&bytes[start..name_end]),
        next: NO_FIELD,
    });
}

/// Reads what a response needs; `None` when something of it is missing.
fn keep_values(bytes: &[u8], table: &mut HeaderTable) -> Option<()> {
    let params_max = table.limits.params_max;
    let value = |table: &HeaderTable, header| {
        let field = table.first_of(header)?;
        (field.value.start() < field.value.end()).then_some(field.value)
    };
    let via = value(table, KnownHeader::Via)?;
    let (top, _) = Via::parse_at(via.slice(bytes), 0, params_max, true).ok()?;
    table.top_via = Ok(ViaParts::of(&top, bytes));
    // A request without these is answered without them: the top Via alone says where the answer goes.
    let missing = |kind| ParseError::new(kind, table.headers_end);
    let no_from = missing(ParseErrorKind::FromMissing);
    let no_to = missing(ParseErrorKind::ToMissing);
    table.from = value(table, KnownHeader::From).map_or(Err(no_from), |from| {
        address(bytes, from, params_max, ParseErrorKind::FromSyntax)
    });
    table.to = value(table, KnownHeader::To).map_or(Err(no_to), |to| {
        address(bytes, to, params_max, ParseErrorKind::ToSyntax)
    });
    let cseq = value(table, KnownHeader::CSeq)?;
    let parsed = CSeq::parse_forgiving(cseq.slice(bytes))?;
    keep_cseq(table, cseq, &parsed);
    if let Some(hops) = value(table, KnownHeader::MaxForwards) {
        table.max_forwards = octet::decimal(hops.slice(bytes), 255)
            .and_then(|hops| u8::try_from(hops).ok())
            .map(Some)
            .ok_or(ParseError::new(ParseErrorKind::MaxForwards, hops.start()));
    }
    Some(())
}

/// The tag of an address that is malformed: behind its last bracket, or its first semicolon.
pub(crate) fn guess_tag(value: &[u8]) -> Option<&[u8]> {
    let after = memchr::memrchr(b'>', value).map_or(0, |close| close + 1);
    let semicolon = memchr::memchr(b';', &value[after..])?;
    Params::new(&value[after + semicolon..]).get(b"tag")
}

#[cfg(test)]
mod tests;

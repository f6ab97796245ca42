//! From the bytes of a datagram to a [`Message`]: framing, header index, and the checks that every proxy needs.
//! RFC 3261 §7 (format), §8.1.1 (what must be there), §16.3(1) (reasonable syntax), §18.3 (where the body ends).
//! Bytes are visited a fixed number of times whatever they are, and nothing is allocated once the table is warm.

use crate::error::{ParseError, ParseErrorKind};
use crate::header::cseq::CSeq;
use crate::header::list;
use crate::header::name::KnownHeader;
use crate::header::name_addr::NameAddr;
use crate::header::usual;
use crate::header::via::Via;
use crate::message::Message;
use crate::octet::{self, TOKEN};
use crate::span::Span;
use crate::start_line;
use crate::table::{AddressParts, Field, HeaderTable, NO_FIELD, ViaParts};

/// Whether a datagram only keeps a path open: it is empty or holds nothing but CR, LF and NUL (RFC 5626 §3.5.1).
pub fn is_keepalive(bytes: &[u8]) -> bool {
    bytes.iter().all(|octet| matches!(octet, b'\r' | b'\n' | 0))
}

/// Parses the message in a datagram.
///
/// Line ends before the first line are skipped (RFC 3261 §7.5) and octets behind the body are cut off (§18.3).
/// `table` is overwritten; the message borrows it.
///
/// # Errors
/// The first fault found, with its offset in `bytes`; see [`ParseErrorKind`].
pub fn parse_datagram<'b>(
    bytes: &'b [u8],
    table: &'b mut HeaderTable,
) -> Result<Message<'b>, ParseError> {
    if bytes.len() > table.limits.size_max {
        let at = table.limits.size_max;
        return Err(ParseError::new(ParseErrorKind::TooLarge, at));
    }
    let skipped = leading_line_ends(bytes);
    let message = &bytes[skipped..];
    if message.is_empty() {
        return Err(ParseError::new(ParseErrorKind::Empty, 0));
    }
    match index(message, table) {
        Ok(end) => Ok(Message {
            bytes: &message[..end],
            table,
        }),
        Err(error) => Err(error.shifted(skipped)),
    }
}

/// How many octets of line ends precede the message.
pub(crate) fn leading_line_ends(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|octet| matches!(octet, b'\r' | b'\n'))
        .count()
}

/// Fills `table` from a message that starts at its first line; gives the end of the message.
fn index(bytes: &[u8], table: &mut HeaderTable) -> Result<usize, ParseError> {
    table.clear();
    let start_end = line_end(bytes, 0, table.limits.line_max)?;
    table.start = start_line::parse(bytes, start_end)?;
    index_headers(bytes, start_end + 2, table)?;
    check_lists(bytes, table)?;
    check_values(bytes, table)?;
    body_end(bytes, table)
}

/// The offset of the CRLF that ends the line at `from`.
fn line_end(bytes: &[u8], from: usize, line_max: usize) -> Result<usize, ParseError> {
    let length = match octet::ordinary_line_len(&bytes[from..]) {
        Some(length) if bytes[from + length..].starts_with(b"\r\n") => length,
        _ => any_line_len(bytes, from)?,
    };
    if length + 2 > line_max {
        return Err(ParseError::new(ParseErrorKind::LineTooLong, from));
    }
    Ok(from + length)
}

/// The length of the line at `from`, whatever is in it.
fn any_line_len(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let line = &bytes[from..];
    let Some(length) = memchr::memchr2(b'\r', b'\n', line) else {
        return Err(ParseError::new(
            ParseErrorKind::HeadersUnterminated,
            bytes.len(),
        ));
    };
    if !line[length..].starts_with(b"\r\n") {
        return Err(ParseError::new(ParseErrorKind::LineEnding, from + length));
    }
    Ok(length)
}

/// Indexes the lines from `at` up to the empty one.
#[inline(never)]
fn index_headers(bytes: &[u8], mut at: usize, table: &mut HeaderTable) -> Result<(), ParseError> {
    let mut rest = bytes.get(at..).unwrap_or_default();
    loop {
        let start = at;
        let is_repeated = match usual_line(rest) {
            Some((line, after)) if table.accepts(line.len) => {
                at += line.len;
                rest = after;
                table.push(Field {
                    line: Span::new(start, at),
                    value: Span::new(start + line.name_len + 2, at - 2),
                    #[expect(clippy::cast_possible_truncation, reason = "at most 19")]
                    name_len: line.name_len as u32,
                    known: Some(line.known),
                    next: NO_FIELD,
                })
            }
            // No usual line starts so, therefore it is asked here.
            _ if rest.starts_with(b"\r\n") => break,
            _ => {
                let is_repeated;
                (at, is_repeated) = push_any(bytes, at, table)?;
                rest = bytes.get(at..).unwrap_or_default();
                is_repeated
            }
        };
        if is_repeated {
            return Err(ParseError::new(ParseErrorKind::HeaderRepeated, start));
        }
    }
    table.headers_end = at;
    table.body_start = at + 2;
    Ok(())
}

/// A line written as most are: a usual name, one space behind its colon, no fold.
struct UsualLine {
    known: KnownHeader,
    name_len: usize,
    /// With its CRLF.
    len: usize,
}

/// The usual line that starts `bytes`, and what follows it. `None` says that a second look is needed.
#[inline]
fn usual_line(bytes: &[u8]) -> Option<(UsualLine, &[u8])> {
    let (known, name_len) = usual::name_of(bytes)?;
    let text = bytes.get(name_len + 1..)?;
    let text_len = octet::ordinary_line_len(text)?;
    let (text, after) = text.split_at_checked(text_len)?;
    let [b' ', first, ..] = text else {
        return None;
    };
    let Some([b'\r', b'\n', next]) = after.first_chunk::<3>() else {
        return None;
    };
    if *first <= b' ' || *text.last()? <= b' ' || (*next <= b' ' && *next != b'\r') {
        return None;
    }
    let line = UsualLine {
        known,
        name_len,
        len: name_len + 1 + text_len + 2,
    };
    Some((line, &after[2..]))
}

/// Indexes the field at `at`, however it is written; gives its end, and whether it repeats one that may appear once.
#[cold]
#[inline(never)]
fn push_any(bytes: &[u8], at: usize, table: &mut HeaderTable) -> Result<(usize, bool), ParseError> {
    let field = any_field(bytes, at, table)?;
    Ok((field.line.end(), table.push(field)))
}

/// The field at `at`, however it is written.
fn any_field(bytes: &[u8], at: usize, table: &HeaderTable) -> Result<Field, ParseError> {
    if table.fields.len() >= table.limits.headers_max {
        return Err(ParseError::new(ParseErrorKind::HeadersTooMany, at));
    }
    let name_end = octet::run(bytes, at, TOKEN);
    let colon = skip_blanks(bytes, name_end);
    if name_end == at || bytes.get(colon) != Some(&b':') {
        let kind = if name_end == bytes.len() {
            ParseErrorKind::HeadersUnterminated
        } else {
            ParseErrorKind::HeaderLine
        };
        return Err(ParseError::new(kind, colon));
    }
    let end = field_end(bytes, at, colon + 1, table.limits.line_max)?;
    Ok(Field {
        line: Span::new(at, end + 2),
        value: trimmed(bytes, colon + 1, end),
        #[expect(clippy::cast_possible_truncation, reason = "below Limits::size_max")]
        name_len: (name_end - at) as u32,
        known: KnownHeader::from_name(&bytes[at..name_end]),
        next: NO_FIELD,
    })
}

/// Whether the line goes on behind its CRLF at `end` (RFC 3261 §7.3.1).
#[inline]
fn is_fold(bytes: &[u8], end: usize) -> bool {
    matches!(bytes.get(end + 2), Some(b' ' | b'\t'))
}

#[inline]
fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// The offset of the CRLF that ends the field, behind all its folds (RFC 3261 §7.3.1).
fn field_end(
    bytes: &[u8],
    line_start: usize,
    from: usize,
    line_max: usize,
) -> Result<usize, ParseError> {
    let mut end = line_end(bytes, from, line_max)?;
    while is_fold(bytes, end) {
        end = line_end(bytes, end + 2, line_max)?;
    }
    if end + 2 - line_start > line_max {
        return Err(ParseError::new(ParseErrorKind::LineTooLong, line_start));
    }
    Ok(end)
}

/// The span of the value in `bytes[from..end]` without white space around it.
#[inline]
pub(crate) fn trimmed(bytes: &[u8], from: usize, end: usize) -> Span {
    let start = octet::skip_lws(&bytes[..end], from);
    Span::new(start, start + octet::trim_end(&bytes[start..end]).len())
}

/// Enforces `Limits::list_max` on the lists that a message takes apart.
fn check_lists(bytes: &[u8], table: &HeaderTable) -> Result<(), ParseError> {
    for header in KnownHeader::LISTS {
        // A value takes an octet and a comma at least, so short lines need no counting.
        let mut at_most = 0;
        let mut next = table.first_field(header);
        while let Some(field) = table.field(next) {
            at_most += field.value.len() / 2 + 1;
            next = field.next;
        }
        if at_most > table.limits.list_max {
            check_list(bytes, table, header)?;
        }
    }
    Ok(())
}

/// Counts the values of one list.
#[cold]
fn check_list(bytes: &[u8], table: &HeaderTable, header: KnownHeader) -> Result<(), ParseError> {
    let list_max = table.limits.list_max;
    let mut count = 0;
    let mut next = table.first_field(header);
    while let Some(field) = table.field(next) {
        count += list::count_values(field.value.slice(bytes), list_max);
        if count > list_max {
            return Err(list::too_long(field.line.start()));
        }
        next = field.next;
    }
    Ok(())
}

/// Reads the headers that every proxy needs, and keeps what was read.
fn check_values(bytes: &[u8], table: &mut HeaderTable) -> Result<(), ParseError> {
    let params_max = table.limits.params_max;

    let via = required(table, KnownHeader::Via, ParseErrorKind::ViaMissing)?;
    let (top, _) = Via::parse_at(via.slice(bytes), 0, params_max, false)
        .map_err(|(kind, at)| ParseError::new(kind, via.start() + at))?;
    if top.version != b"2.0" {
        return Err(ParseError::new(ParseErrorKind::ViaSyntax, via.start()));
    }
    table.top_via = Ok(ViaParts::of(&top, bytes));

    let from = required(table, KnownHeader::From, ParseErrorKind::FromMissing)?;
    table.from = Ok(address(
        bytes,
        from,
        params_max,
        ParseErrorKind::FromSyntax,
    )?);
    let to = required(table, KnownHeader::To, ParseErrorKind::ToMissing)?;
    table.to = Ok(address(bytes, to, params_max, ParseErrorKind::ToSyntax)?);

    let call_id = required(table, KnownHeader::CallId, ParseErrorKind::CallIdMissing)?;
    let value = call_id.slice(bytes);
    let visible = octet::run_visible(value, 0);
    if value.is_empty() || visible != value.len() {
        let at = call_id.start() + visible;
        return Err(ParseError::new(ParseErrorKind::CallIdSyntax, at));
    }

    let cseq = required(table, KnownHeader::CSeq, ParseErrorKind::CSeqMissing)?;
    check_cseq(bytes, cseq, table)?;

    if let Some(field) = table.first_of(KnownHeader::MaxForwards) {
        let hops = octet::decimal(field.value.slice(bytes), 255);
        match hops.and_then(|hops| u8::try_from(hops).ok()) {
            Some(hops) => table.max_forwards = Ok(Some(hops)),
            None => {
                let at = field.value.start();
                return Err(ParseError::new(ParseErrorKind::MaxForwards, at));
            }
        }
    }
    Ok(())
}

/// The CSeq must be well formed, and name the method of the request.
#[inline]
fn check_cseq(bytes: &[u8], cseq: Span, table: &mut HeaderTable) -> Result<(), ParseError> {
    let value = cseq.slice(bytes);
    let method = table.start.method;
    if table.start.status == 0
        && let Some(number) = CSeq::usual_number(value, method.slice(bytes))
    {
        table.cseq_number = number;
        table.cseq_method = Span::new(cseq.end() - method.len(), cseq.end());
        return Ok(());
    }
    let Some(parsed) = CSeq::parse(value) else {
        return Err(ParseError::new(ParseErrorKind::CSeqSyntax, cseq.start()));
    };
    keep_cseq(table, cseq, &parsed);
    if table.start.status == 0 && table.cseq_method.slice(bytes) != method.slice(bytes) {
        let at = table.cseq_method.start();
        return Err(ParseError::new(ParseErrorKind::CSeqMethodMismatch, at));
    }
    Ok(())
}

/// The method ends the value, so its span follows from its length.
pub(crate) fn keep_cseq(table: &mut HeaderTable, value: Span, cseq: &CSeq<'_>) {
    table.cseq_number = cseq.number;
    table.cseq_method = Span::new(value.end() - cseq.method.as_bytes().len(), value.end());
}

/// The value of the first field of `header`.
#[inline]
fn required(
    table: &HeaderTable,
    header: KnownHeader,
    missing: ParseErrorKind,
) -> Result<Span, ParseError> {
    table
        .first_of(header)
        .map(|field| field.value)
        .ok_or(ParseError::new(missing, table.headers_end))
}

/// Reads From or To, which hold exactly one address.
#[inline]
pub(crate) fn address(
    bytes: &[u8],
    span: Span,
    params_max: usize,
    kind: ParseErrorKind,
) -> Result<AddressParts, ParseError> {
    let value = span.slice(bytes);
    match NameAddr::parse_at(value, 0, params_max) {
        Ok((address, end)) if end == value.len() => Ok(AddressParts::of(&address, bytes)),
        Ok((_, end)) => Err(ParseError::new(kind, span.start() + end)),
        Err((found, at)) => Err(ParseError::new(found, span.start() + at).syntax_as(kind)),
    }
}

/// Where the body ends (RFC 3261 §18.3): without Content-Length, with the datagram.
//= RFC 3261 §18.3: octets behind Content-Length are cut off, a body shorter than it is 400
fn body_end(bytes: &[u8], table: &mut HeaderTable) -> Result<usize, ParseError> {
    let Some(field) = table.first_of(KnownHeader::ContentLength) else {
        return Ok(bytes.len());
    };
    let at = field.value.start();
    let Some(length) = octet::decimal(field.value.slice(bytes), u32::MAX) else {
        return Err(ParseError::new(ParseErrorKind::ContentLength, at));
    };
    let length = length as usize;
    table.content_length = Some(length);
    if length > bytes.len() - table.body_start {
        return Err(ParseError::new(ParseErrorKind::BodyTooShort, at));
    }
    Ok(table.body_start + length)
}

#[cfg(test)]
pub(crate) mod tests;

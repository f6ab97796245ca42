//! Comma lists that run over all lines of one header (RFC 3261 §7.3.1).
//! A cursor keeps the place; who uses it knows what one value looks like.
//! Each octet is visited once, whatever the list holds.

use super::name::KnownHeader;
use super::param::Fault;
use crate::error::{ParseError, ParseErrorKind};
use crate::message::Message;
use crate::octet;
use crate::table::NO_FIELD;

/// A place in the values of one header.
#[derive(Clone, Debug)]
pub(crate) struct ListCursor<'b> {
    message: Message<'b>,
    /// Index of the line the cursor stands in.
    field: u16,
    /// Offset within the value of that line; `None` before its first value.
    at: Option<usize>,
}

impl<'b> ListCursor<'b> {
    pub(crate) fn new(message: Message<'b>, header: KnownHeader) -> Self {
        Self {
            message,
            field: message.table.first_field(header),
            at: None,
        }
    }

    pub(crate) fn params_max(&self) -> usize {
        self.message.table.limits.params_max
    }

    /// The next value, read by `parse_at`, which gives the value and where it ended.
    /// After an error the list is over.
    //= RFC 3261 §7.3.1: a comma list is one with the lines of the same name
    pub(crate) fn next_with<T>(
        &mut self,
        parse_at: impl FnOnce(&'b [u8], usize) -> Result<(T, usize), Fault>,
    ) -> Option<Result<T, ParseError>> {
        let field = self.message.table.field(self.field)?;
        let value = field.value.slice(self.message.bytes);
        match parse_at(value, self.at.unwrap_or(0)) {
            Ok((parsed, end)) if end >= value.len() => {
                self.field = field.next;
                self.at = None;
                Some(Ok(parsed))
            }
            Ok((parsed, comma)) => {
                self.at = Some(comma + 1);
                Some(Ok(parsed))
            }
            Err((kind, at)) => {
                self.field = NO_FIELD;
                Some(Err(ParseError::new(kind, field.value.start() + at)))
            }
        }
    }
}

/// Iterator over the elements of Require, Proxy-Require, Supported …
/// Empty elements are skipped; one that is not a token is handed out as it stands, for a 420 to name.
#[derive(Clone, Debug)]
pub struct Tokens<'b> {
    pub(crate) values: ListCursor<'b>,
}

impl<'b> Iterator for Tokens<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        loop {
            let element = self.values.next_with(|bytes, at| {
                let end =
                    memchr::memchr(b',', &bytes[at..]).map_or(bytes.len(), |comma| at + comma);
                Ok((octet::trim(&bytes[at..end]), end))
            })?;
            match element {
                Ok([]) => {}
                Ok(element) => return Some(element),
                Err(_) => return None,
            }
        }
    }
}

/// How many values the comma list in `value` holds, up to `stop_above`.
/// Commas in quoted strings and angle brackets do not separate.
pub(crate) fn count_values(value: &[u8], stop_above: usize) -> usize {
    let mut count = 1;
    let mut at = 0;
    while let Some(distance) =
        memchr::memchr3(b',', b'"', b'<', value.get(at..).unwrap_or_default())
    {
        at += distance;
        at = match value[at] {
            b'"' => octet::skip_quoted(value, at),
            b'<' => memchr::memchr(b'>', &value[at..]).map(|close| at + close + 1),
            _ => {
                count += 1;
                (count <= stop_above).then_some(at + 1)
            }
        }
        .unwrap_or(value.len());
    }
    count
}

/// The error of a list with more values than `Limits::list_max`.
pub(crate) fn too_long(at: usize) -> ParseError {
    ParseError::new(ParseErrorKind::ListTooLong, at)
}

#[cfg(test)]
mod tests;

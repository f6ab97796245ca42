//! Addresses in headers: `"Name" <uri>;params` and the bare form (RFC 3261 §20.10, §20.20, §20.30, §20.34, §20.39).
//! The URI is handed out as bytes; [`Uri::parse`](crate::Uri::parse) takes it apart when somebody wants to know.
//! Display names keep their quoted-pairs.

use super::param::{Fault, ParamCursor, Params};
use crate::error::{ParseError, ParseErrorKind};
use crate::octet::{self, LWS, TOKEN, VISIBLE, WORDS};

/// One address: From, To, Contact, Route, Record-Route, P-Asserted-Identity …
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'b> {
    /// The display name without its quotes, escapes kept; `None` when there is none.
    pub display: Option<&'b [u8]>,
    /// The URI without its angle brackets.
    pub uri: &'b [u8],
    /// The parameters of the header (behind the brackets, or behind the bare URI: §20.10).
    pub params: Params<'b>,
    /// The `tag` value.
    pub tag: Option<&'b [u8]>,
    /// The whole value as received.
    pub value: &'b [u8],
}

impl<'b> NameAddr<'b> {
    /// Parses one address; the offset of an error counts from the start of `value`.
    ///
    /// # Errors
    /// `NameAddrSyntax` when malformed, `ParamsTooMany` beyond the default limit.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        let params_max = crate::Limits::default().params_max;
        match Self::parse_at(value, 0, params_max) {
            Ok((address, end)) if end == value.len() => Ok(address),
            Ok((_, end)) => Err(ParseError::new(ParseErrorKind::NameAddrSyntax, end)),
            Err((kind, at)) => Err(ParseError::new(kind, at)),
        }
    }

    /// Parses the address at `at`; gives also where it ended: a comma or the end.
    #[inline]
    pub(crate) fn parse_at(
        bytes: &'b [u8],
        at: usize,
        params_max: usize,
    ) -> Result<(Self, usize), Fault> {
        let start = octet::skip_lws(bytes, at);
        let (display, uri, after) = match display_name(bytes, start)? {
            Some((display, open)) => {
                let (uri, after) = bracketed(bytes, open)?;
                (display, uri, after)
            }
            None => {
                let (uri, after) = bare(bytes, start)?;
                (None, uri, after)
            }
        };
        let mut tag = None;
        let mut cursor = ParamCursor::new(bytes, after, params_max, false);
        while let Some(param) = cursor.next_param()? {
            if param.name.len() == 3 && param.name.eq_ignore_ascii_case(b"tag") {
                // A second tag would let two elements see two dialogs in one message.
                if tag.is_some() || param.value.is_none() {
                    return Err(fault(cursor.at));
                }
                tag = param.value;
            }
        }
        let address = Self {
            display,
            uri,
            params: Params::new(&bytes[after..cursor.end]),
            tag,
            value: &bytes[start..cursor.end],
        };
        Ok((address, cursor.at))
    }
}

fn fault(at: usize) -> Fault {
    (ParseErrorKind::NameAddrSyntax, at)
}

/// The display name and the offset of the `<` behind it; `None` when the value is a bare URI.
#[inline]
#[expect(
    clippy::type_complexity,
    reason = "private, and said in one line above"
)]
fn display_name(bytes: &[u8], start: usize) -> Result<Option<(Option<&[u8]>, usize)>, Fault> {
    match bytes.get(start) {
        Some(b'<') => Ok(Some((None, start))),
        Some(b'"') => {
            let end = octet::skip_quoted(bytes, start).ok_or_else(|| fault(start))?;
            let open = octet::skip_lws(bytes, end);
            match bytes.get(open) {
                Some(b'<') => Ok(Some((Some(&bytes[start + 1..end - 1]), open))),
                _ => Err(fault(open)),
            }
        }
        _ => {
            let token_end = octet::run(bytes, start, TOKEN);
            if bytes.get(token_end) == Some(&b':') {
                return Ok(None);
            }
            // RFC 3261 §25.1: display-name = *(token LWS); UTF-8 without quotes is common and harmless.
            let open = octet::run(bytes, token_end, WORDS);
            match bytes.get(open) {
                Some(b'<') => {
                    let display = octet::trim_end(&bytes[start..open]);
                    Ok(Some(((!display.is_empty()).then_some(display), open)))
                }
                _ => Err(fault(open)),
            }
        }
    }
}

/// The URI in the brackets that open at `open`, and the offset behind them.
#[inline]
fn bracketed(bytes: &[u8], open: usize) -> Result<(&[u8], usize), Fault> {
    let start = open + 1;
    let mut end = start;
    loop {
        end = octet::run_uri(bytes, end);
        match bytes.get(end) {
            Some(b'>') => break,
            // UTF-8 that should have been escaped: only passed on.
            Some(0x80..) => end += 1,
            _ => return Err(fault(end)),
        }
    }
    has_scheme(&bytes[start..end])
        .then_some((&bytes[start..end], end + 1))
        .ok_or_else(|| fault(start))
}

/// The bare URI at `start`, and the offset behind it.
#[inline]
fn bare(bytes: &[u8], start: usize) -> Result<(&[u8], usize), Fault> {
    let mut end = start;
    while let Some(&octet) = bytes.get(end) {
        match octet {
            b';' | b',' => break,
            // RFC 3261 §20.10: a URI with comma, question mark or semicolon needs its brackets.
            b'?' | b'"' | b'<' | b'>' => return Err(fault(end)),
            _ if octet::is(octet, VISIBLE) => end += 1,
            _ if octet::is(octet, LWS) => break,
            _ => return Err(fault(end)),
        }
    }
    has_scheme(&bytes[start..end])
        .then_some((&bytes[start..end], end))
        .ok_or_else(|| fault(start))
}

/// Whether `uri` starts with a scheme and has something behind it.
#[inline]
fn has_scheme(uri: &[u8]) -> bool {
    if uri.starts_with(b"sip:") && uri.len() > 4 {
        return true;
    }
    crate::uri::split_scheme(uri).is_some_and(|(_, rest)| !rest.is_empty())
}

/// Iterator over the addresses of one list header of a message.
#[derive(Clone, Debug)]
pub struct NameAddrs<'b> {
    pub(crate) values: super::list::ListCursor<'b>,
}

impl<'b> Iterator for NameAddrs<'b> {
    type Item = Result<NameAddr<'b>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let params_max = self.values.params_max();
        self.values
            .next_with(|bytes, at| NameAddr::parse_at(bytes, at, params_max))
    }
}

#[cfg(test)]
mod tests;

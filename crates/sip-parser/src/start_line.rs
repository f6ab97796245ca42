//! The first line: Request-Line and Status-Line (RFC 3261 §7.1, §7.2).
//! Exactly one space between elements, as §7.1 says: what reads two may be read in two ways.
//! Which URI schemes and methods are served is decided elsewhere.

use crate::error::{ParseError, ParseErrorKind};
use crate::octet::{self, TOKEN};
use crate::span::Span;
use crate::table::StartLine;
use crate::uri::{Uri, UriError};

/// Reads the line `bytes[..end]`, which has no CRLF.
#[inline]
pub(crate) fn parse(bytes: &[u8], end: usize) -> Result<StartLine, ParseError> {
    let line = &bytes[..end];
    if line.len() > 4 && line[3] == b'/' && line[..3].eq_ignore_ascii_case(b"SIP") {
        status_line(line)
    } else {
        request_line(line)
    }
}

fn request_line(line: &[u8]) -> Result<StartLine, ParseError> {
    let method_end = octet::run(line, 0, TOKEN);
    if method_end == 0 || line.get(method_end) != Some(&b' ') {
        return Err(ParseError::new(ParseErrorKind::Method, method_end));
    }
    let uri_start = method_end + 1;
    let Some(uri_len) = memchr::memchr(b' ', &line[uri_start..]) else {
        return Err(ParseError::new(ParseErrorKind::StartLine, line.len()));
    };
    let uri_end = uri_start + uri_len;
    let version = &line[uri_end + 1..];
    if version != b"SIP/2.0" {
        check_version(version).map_err(|kind| ParseError::new(kind, uri_end + 1))?;
    }
    check_uri(&line[uri_start..uri_end]).map_err(|kind| ParseError::new(kind, uri_start))?;
    Ok(StartLine {
        method: Span::new(0, method_end),
        uri: Span::new(uri_start, uri_end),
        ..StartLine::EMPTY
    })
}

fn status_line(line: &[u8]) -> Result<StartLine, ParseError> {
    let version_end = memchr::memchr(b' ', line).unwrap_or(line.len());
    check_version(&line[..version_end]).map_err(|kind| ParseError::new(kind, 0))?;
    let code_start = line.len().min(version_end + 1);
    let code_end = octet::run(line, code_start, octet::DIGIT);
    let status = match &line[code_start..code_end] {
        code @ [_, _, _] => octet::decimal(code, 699).and_then(|code| u16::try_from(code).ok()),
        _ => None,
    };
    let Some(status) = status.filter(|status| *status >= 100) else {
        return Err(ParseError::new(ParseErrorKind::StatusCode, code_start));
    };
    // RFC 3261 §7.2 wants a space even before an empty phrase; without one nothing is ambiguous.
    let reason_start = match line.get(code_end) {
        None => code_end,
        Some(b' ') => code_end + 1,
        Some(_) => return Err(ParseError::new(ParseErrorKind::StatusCode, code_end)),
    };
    Ok(StartLine {
        status,
        reason: Span::new(reason_start, line.len()),
        ..StartLine::EMPTY
    })
}

/// `SIP/2.0`, in any case (RFC 3261 §7.1).
fn check_version(version: &[u8]) -> Result<(), ParseErrorKind> {
    match version.split_at_checked(4) {
        Some((name, number)) if name.eq_ignore_ascii_case(b"SIP/") => {
            if number == b"2.0" {
                return Ok(());
            }
            let major = octet::run(number, 0, octet::DIGIT);
            let minor = octet::run(number, major + 1, octet::DIGIT);
            let is_version = major > 0
                && number.get(major) == Some(&b'.')
                && minor > major + 1
                && minor == number.len();
            Err(if is_version {
                ParseErrorKind::Version
            } else {
                ParseErrorKind::StartLine
            })
        }
        _ => Err(ParseErrorKind::StartLine),
    }
}

/// The Request-URI must be a URI; one that is SIP or tel must be well formed.
fn check_uri(uri: &[u8]) -> Result<(), ParseErrorKind> {
    match Uri::parse(uri) {
        // RFC 3261 §19.1.1, table 1: no headers in a Request-URI.
        Ok(Uri::Sip(sip)) if !sip.headers.is_empty() => Err(ParseErrorKind::RequestUriHeaders),
        Ok(_) => Ok(()),
        Err(UriError::ParamsTooMany) => Err(ParseErrorKind::ParamsTooMany),
        Err(_) => Err(ParseErrorKind::RequestUri),
    }
}

#[cfg(test)]
mod tests;

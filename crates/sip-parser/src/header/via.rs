//! Via: who sent the message, by which transport, and where the response goes (RFC 3261 §20.42, RFC 3581).
//! A response address is worked out by the transaction layer; here are only the parts.
//! Comments, an RFC 2543 relic, are refused.

use super::param::{Fault, ParamCursor, Params};
use crate::error::{ParseError, ParseErrorKind};
use crate::octet::{self, DIGIT, TOKEN};
use crate::uri::host::Host;

/// One Via value.
#[derive(Clone, Copy, Debug)]
pub struct Via<'b> {
    /// The protocol version, `2.0`.
    pub version: &'b [u8],
    /// The transport as received: `UDP`, `TCP` … compare without regard to case.
    pub transport: &'b [u8],
    /// The host of sent-by.
    pub host: Host<'b>,
    /// The port of sent-by; `None` means the default of the transport (§18.2.2).
    pub port: Option<u16>,
    /// The `branch` value.
    pub branch: Option<&'b [u8]>,
    /// The `received` value as sent.
    pub received: Option<&'b [u8]>,
    /// `None`: no `rport`; `Some(None)`: asked for; `Some(Some(port))`: filled in (RFC 3581).
    pub rport: Option<Option<u16>>,
    /// The `maddr` value.
    pub maddr: Option<&'b [u8]>,
    /// The `ttl` value.
    pub ttl: Option<u8>,
    /// sent-by as received, `host[:port]`.
    pub sent_by: &'b [u8],
    /// All parameters.
    pub params: Params<'b>,
    /// The whole value as received.
    pub value: &'b [u8],
}

impl<'b> Via<'b> {
    /// Parses one Via value; the offset of an error counts from the start of `value`.
    ///
    /// # Errors
    /// `ViaSyntax` when malformed, `ParamsTooMany` beyond the default limit.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        let params_max = crate::Limits::default().params_max;
        match Self::parse_at(value, 0, params_max, false) {
            Ok((via, end)) if end == value.len() => Ok(via),
            Ok((_, end)) => Err(ParseError::new(ParseErrorKind::ViaSyntax, end)),
            Err((kind, at)) => Err(ParseError::new(kind, at)),
        }
    }

    /// Parses the value at `at`; gives also where it ended: a comma or the end.
    #[inline]
    pub(crate) fn parse_at(
        bytes: &'b [u8],
        at: usize,
        params_max: usize,
        forgiving: bool,
    ) -> Result<(Self, usize), Fault> {
        let start = octet::skip_lws(bytes, at);
        let (version, transport, after) = sent_protocol(bytes, start)?;
        let host_start = octet::skip_lws(bytes, after);
        if host_start == after {
            return Err(fault(after));
        }
        let (host, port, sent_by_end) = sent_by(bytes, host_start)?;

        let mut via = Self {
            version,
            transport,
            host,
            port,
            branch: None,
            received: None,
            rport: None,
            maddr: None,
            ttl: None,
            sent_by: &bytes[host_start..sent_by_end],
            params: Params::default(),
            value: &[],
        };
        let mut cursor = ParamCursor::new(bytes, sent_by_end, params_max, forgiving);
        while let Some(param) = cursor.next_param().map_err(as_via)? {
            let at = cursor.at;
            via.take(param.name, param.value, forgiving)
                .ok_or_else(|| fault(at))?;
        }
        via.params = Params::new(&bytes[sent_by_end..cursor.end]);
        via.value = &bytes[start..cursor.end];
        Ok((via, cursor.at))
    }

    /// Keeps a parameter that has a field of its own; `None` when its value is malformed, or it was kept before.
    #[inline]
    fn take(&mut self, name: &'b [u8], value: Option<&'b [u8]>, forgiving: bool) -> Option<()> {
        //= RFC 3261 §7.3.1: no parameter appears twice; with two branches two elements could see two transactions
        let is_first = match name.len() {
            6 if is(name, b"branch") => self.branch.replace(value?).is_none(),
            8 if is(name, b"received") => self.received.replace(value?).is_none(),
            5 if is(name, b"rport") => {
                let port = match value {
                    None | Some([]) => None,
                    Some(digits) => Some(port_number(digits)?),
                };
                self.rport.replace(port).is_none()
            }
            5 if is(name, b"maddr") => self.maddr.replace(value?).is_none(),
            3 if is(name, b"ttl") => {
                let ttl = u8::try_from(octet::decimal(value?, 255)?).ok()?;
                self.ttl.replace(ttl).is_none()
            }
            _ => true,
        };
        (is_first || forgiving).then_some(())
    }
}

/// Whether `name` is `known`, which is in lower case as nearly everybody writes it.
#[inline]
fn is<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    name == known || name.eq_ignore_ascii_case(known)
}

fn fault(at: usize) -> Fault {
    (ParseErrorKind::ViaSyntax, at)
}

fn as_via((kind, at): Fault) -> Fault {
    match kind {
        ParseErrorKind::NameAddrSyntax => (ParseErrorKind::ViaSyntax, at),
        other => (other, at),
    }
}

fn port_number(digits: &[u8]) -> Option<u16> {
    octet::decimal(digits, 65_535).and_then(|port| u16::try_from(port).ok())
}

/// `protocol-name SLASH protocol-version SLASH transport`: version, transport and the offset behind.
#[inline]
fn sent_protocol(bytes: &[u8], start: usize) -> Result<(&[u8], &[u8], usize), Fault> {
    if let [
        b'S',
        b'I',
        b'P',
        b'/',
        b'2',
        b'.',
        b'0',
        b'/',
        b'U',
        b'D',
        b'P',
        b' ',
        ..,
    ] = &bytes[start..]
    {
        return Ok((
            &bytes[start + 4..start + 7],
            &bytes[start + 8..start + 11],
            start + 11,
        ));
    }
    let version_start = if bytes[start..].starts_with(b"SIP/2.0/") {
        start + 4
    } else {
        let name_end = octet::run(bytes, start, TOKEN);
        if !bytes[start..name_end].eq_ignore_ascii_case(b"SIP") {
            return Err(fault(start));
        }
        slash(bytes, name_end)?
    };
    let version_end = octet::run(bytes, version_start, TOKEN);
    let transport_start = slash(bytes, version_end)?;
    let transport_end = octet::run(bytes, transport_start, TOKEN);
    if version_end == version_start || transport_end == transport_start {
        return Err(fault(transport_start));
    }
    Ok((
        &bytes[version_start..version_end],
        &bytes[transport_start..transport_end],
        transport_end,
    ))
}

/// The offset behind `SWS "/" SWS`.
#[inline]
fn slash(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let at = octet::skip_lws(bytes, at);
    if bytes.get(at) != Some(&b'/') {
        return Err(fault(at));
    }
    Ok(octet::skip_lws(bytes, at + 1))
}

/// `host [ COLON port ]`: both, and the offset behind.
#[inline]
fn sent_by(bytes: &[u8], start: usize) -> Result<(Host<'_>, Option<u16>, usize), Fault> {
    let (host, host_len) = match &bytes[start..] {
        reference @ [b'[', ..] => {
            let len = memchr::memchr(b']', reference).ok_or_else(|| fault(start))? + 1;
            (Host::parse(&reference[..len]), len)
        }
        other => match Host::parse_prefix(other) {
            Some((host, len)) => (Some(host), len),
            None => (None, 0),
        },
    };
    let host = host.ok_or_else(|| fault(start))?;
    let host_end = start + host_len;
    let colon = octet::skip_lws(bytes, host_end);
    if bytes.get(colon) != Some(&b':') {
        return Ok((host, None, host_end));
    }
    let digits = octet::skip_lws(bytes, colon + 1);
    let end = octet::run(bytes, digits, DIGIT);
    match port_number(&bytes[digits..end]) {
        Some(port) if port != 0 => Ok((host, Some(port), end)),
        _ => Err(fault(digits)),
    }
}

/// Iterator over the Via values of a message, top first.
#[derive(Clone, Debug)]
pub struct Vias<'b> {
    pub(crate) values: super::list::ListCursor<'b>,
}

impl<'b> Iterator for Vias<'b> {
    type Item = Result<Via<'b>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let params_max = self.values.params_max();
        self.values
            .next_with(|bytes, at| Via::parse_at(bytes, at, params_max, false))
    }
}

#[cfg(test)]
mod tests;

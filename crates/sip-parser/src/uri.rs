//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).
//! Other schemes are named and otherwise left alone; user parts and numbers keep their escapes.
//! What a URI resolves to, and what its number means, is decided elsewhere.

pub(crate) mod compare;
pub(crate) mod escape;
pub(crate) mod host;
pub(crate) mod tel;

use thiserror::Error;

use crate::header::param::Params;
use crate::octet::{
    self, DIGIT, HOST, NAME, PARAM_PLAIN, TOKEN, URI, URI_PLAIN, USER_PLAIN, VALUE,
};
use host::Host;
use tel::TelUri;

/// Most parameters, and most headers, of one URI.
const URI_PARAMS_MAX: usize = 64;

/// A URI taken apart.
#[derive(Clone, Copy, Debug)]
pub enum Uri<'b> {
    /// `sip:` or `sips:`
    Sip(SipUri<'b>),
    /// `tel:`
    Tel(TelUri<'b>),
    /// Any other scheme.
    Other {
        /// The scheme as received, without its colon.
        scheme: &'b [u8],
    },
}

/// A SIP or SIPS URI: `sip:user:password@host:port;params?headers`.
#[derive(Clone, Copy, Debug)]
pub struct SipUri<'b> {
    /// Whether the scheme is `sips`.
    pub secure: bool,
    /// The user part as received, escapes kept; it may hold semicolons that belong to it.
    pub user: Option<&'b [u8]>,
    /// The password as received.
    pub password: Option<&'b [u8]>,
    /// The host.
    pub host: Host<'b>,
    /// The port, 1 to 65,535.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'b>,
    /// The headers behind the question mark, as received; empty when there are none.
    pub headers: &'b [u8],
}

/// Why a URI could not be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UriError {
    /// No scheme, or nothing behind it.
    #[error("no scheme")]
    Scheme,
    /// An octet that no URI may hold.
    #[error("octet not allowed in a URI")]
    Octet,
    /// A percent sign that starts no escape.
    #[error("malformed escape")]
    Escape,
    /// An empty user part in front of an `@`.
    #[error("empty user part")]
    User,
    /// The host is neither a name nor an address.
    #[error("malformed host")]
    Host,
    /// The port is not a number from 1 to 65,535.
    #[error("malformed port")]
    Port,
    /// A parameter without name or with a bad value.
    #[error("malformed parameter")]
    Params,
    /// More than 64 parameters or headers.
    #[error("too many parameters")]
    ParamsTooMany,
    /// A tel URI whose number has no digits, or other octets than those of a number.
    #[error("malformed telephone number")]
    Number,
}

impl<'b> Uri<'b> {
    /// Takes a URI apart; `uri` has no angle brackets around it.
    ///
    /// # Errors
    /// The first fault found; see [`UriError`].
    pub fn parse(uri: &'b [u8]) -> Result<Self, UriError> {
        if let [b's', b'i', b'p', b':', rest @ ..] = uri
            && let Some(plain) = SipUri::parse_plain(rest)
        {
            return Ok(Self::Sip(plain));
        }
        Self::parse_any(uri)
    }

    /// As [`Uri::parse`], whatever the URI looks like.
    fn parse_any(uri: &'b [u8]) -> Result<Self, UriError> {
        let (scheme, rest) = match uri {
            [b's', b'i', b'p', b':', rest @ ..] => (&uri[..3], rest),
            _ => split_scheme(uri).ok_or(UriError::Scheme)?,
        };
        if rest.is_empty() {
            return Err(UriError::Scheme);
        }
        let plain = octet::run(rest, 0, URI_PLAIN);
        if plain != rest.len() {
            if octet::run(rest, plain, URI) != rest.len() {
                return Err(UriError::Octet);
            }
            if !escape::is_well_formed(&rest[plain..]) {
                return Err(UriError::Escape);
            }
        }
        if scheme.eq_ignore_ascii_case(b"sip") {
            SipUri::parse_rest(rest, false).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case(b"sips") {
            SipUri::parse_rest(rest, true).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case(b"tel") {
            TelUri::parse_rest(rest).map(Self::Tel)
        } else {
            Ok(Self::Other { scheme })
        }
    }
}

impl<'b> SipUri<'b> {
    /// Reads what stands behind `sip:` when it is as most are: `user@host:port;params` without escapes, password,
    /// headers and IPv6 reference. `None` says that a second look is needed, not that something is wrong.
    fn parse_plain(rest: &'b [u8]) -> Option<Self> {
        let user_end = octet::run(rest, 0, USER_PLAIN);
        let (user, host_part) = match &rest[user_end..] {
            [b'@', host_part @ ..] if user_end > 0 => (Some(&rest[..user_end]), host_part),
            after if memchr::memchr(b'@', after).is_none() => (None, rest),
            _ => return None,
        };
        let (host, host_len) = Host::parse_prefix(host_part)?;
        let mut raw = &host_part[host_len..];
        let mut port = None;
        if let [b':', after @ ..] = raw {
            let (number, rest) = octet::leading_decimal(after)?;
            port = Some(u16::try_from(number).ok().filter(|port| *port != 0)?);
            raw = rest;
        }
        let params = raw;
        let mut count = 0;
        while let [b';', name @ ..] = raw {
            let name_len = octet::run(name, 0, PARAM_PLAIN);
            raw = &name[name_len..];
            if let [b'=', value @ ..] = raw {
                let value_len = octet::run(value, 0, PARAM_PLAIN);
                if value_len == 0 {
                    return None;
                }
                raw = &value[value_len..];
            }
            count += 1;
            if name_len == 0 || count > URI_PARAMS_MAX {
                return None;
            }
        }
        raw.is_empty().then_some(Self {
            secure: false,
            user,
            password: None,
            host,
            port,
            params: Params::new(params),
            headers: &[],
        })
    }

    /// Parses what stands behind `sip:`.
    fn parse_rest(rest: &'b [u8], secure: bool) -> Result<Self, UriError> {
        // No `@` may stand unescaped in any other part, so the first one ends the user part.
        let (user, password, host_part) = match memchr::memchr(b'@', rest) {
            None => (None, None, rest),
            Some(at) => {
                let (user, password) = match memchr::memchr(b':', &rest[..at]) {
                    None => (&rest[..at], None),
                    Some(colon) => (&rest[..colon], Some(&rest[colon + 1..at])),
                };
                if user.is_empty() {
                    return Err(UriError::User);
                }
                (Some(user), password, &rest[at + 1..])
            }
        };
        let host_end = match host_part.first() {
            Some(b'[') => memchr::memchr(b']', host_part).ok_or(UriError::Host)? + 1,
            _ => octet::run(host_part, 0, HOST),
        };
        let host = Host::parse(&host_part[..host_end]).ok_or(UriError::Host)?;
        let mut at = host_end;
        let mut port = None;
        if host_part.get(at) == Some(&b':') {
            let end = octet::run(host_part, at + 1, DIGIT);
            port = octet::decimal(&host_part[at + 1..end], 65_535)
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port != 0);
            if port.is_none() {
                return Err(UriError::Port);
            }
            at = end;
        }
        let (params, headers) = split_headers(&host_part[at..])?;
        Ok(Self {
            secure,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }
}

/// The scheme, and what stands behind its colon.
pub(crate) fn split_scheme(uri: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = octet::run(uri, 0, TOKEN);
    let scheme = &uri[..end];
    let is_scheme = scheme.first()?.is_ascii_alphabetic()
        && scheme
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'));
    (is_scheme && uri.get(end) == Some(&b':')).then(|| (scheme, &uri[end + 1..]))
}

/// The parameters and the headers in what stands behind the host.
fn split_headers(tail: &[u8]) -> Result<(Params<'_>, &[u8]), UriError> {
    if tail.is_empty() {
        return Ok((Params::default(), &[]));
    }
    let question = memchr::memchr(b'?', tail);
    let raw = &tail[..question.unwrap_or(tail.len())];
    if !matches!(tail[0], b';' | b'?') {
        return Err(UriError::Host);
    }
    check_params(raw)?;
    let headers = question.map_or(&[][..], |at| &tail[at + 1..]);
    if question.is_some() && headers.is_empty() {
        return Err(UriError::Params);
    }
    if memchr::memchr_iter(b'&', headers).count() >= URI_PARAMS_MAX {
        return Err(UriError::ParamsTooMany);
    }
    Ok((Params::new(raw), headers))
}

/// Whether `;name=value;name …` is well formed and not too long.
pub(crate) fn check_params(raw: &[u8]) -> Result<(), UriError> {
    let mut at = 0;
    let mut count = 0;
    while at < raw.len() {
        let name = at + 1;
        let name_end = octet::run(raw, name, NAME);
        if raw[at] != b';' || name_end == name {
            return Err(UriError::Params);
        }
        at = name_end;
        if raw.get(at) == Some(&b'=') {
            at = octet::run(raw, name_end + 1, VALUE);
            if at == name_end + 1 {
                return Err(UriError::Params);
            }
        }
        count += 1;
        if count > URI_PARAMS_MAX {
            return Err(UriError::ParamsTooMany);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

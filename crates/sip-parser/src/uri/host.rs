//! The host of a URI or of a Via: name, IPv4 address or IPv6 reference (RFC 3261 §25.1).
//! Names are compared without regard to case, addresses by value.
//! Resolving names is RFC 3263's business, elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::octet::{self, HOST};

/// A host as it stands in a message.
#[derive(Clone, Copy, Debug)]
pub enum Host<'b> {
    /// A domain name, as received.
    Name(&'b [u8]),
    /// A dotted IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 reference in brackets.
    V6(Ipv6Addr),
}

impl<'b> Host<'b> {
    /// Parses a host that has no port; `None` when it is none of the three.
    #[inline]
    pub fn parse(host: &'b [u8]) -> Option<Self> {
        match host {
            [b'[', address @ .., b']'] => ipv6(address).map(Self::V6),
            // RFC 3261 §25.1: the last label of a name starts with a letter, so digits and dots are an address.
            [b'0'..=b'9', .., b'0'..=b'9'] => match ipv4(host) {
                Some(address) => Some(Self::V4(address)),
                None if is_dotted(host) => None,
                None => name(host),
            },
            _ => name(host),
        }
    }

    /// Reads the name or IPv4 address at the start of `bytes`; gives also its length.
    /// `None` when there is neither, and for an IPv6 reference.
    #[inline]
    pub(crate) fn parse_prefix(bytes: &'b [u8]) -> Option<(Self, usize)> {
        if let Some((address, len)) = ipv4_prefix(bytes)
            && !bytes.get(len).is_some_and(|octet| octet::is(*octet, HOST))
        {
            return Some((Self::V4(address), len));
        }
        let len = octet::run(bytes, 0, HOST);
        Some((Self::parse(&bytes[..len])?, len))
    }

    /// The address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

/// Hosts are equal when they are the same name without regard to case, or the same address;
/// a name is never equal to an address (RFC 3261 §19.1.4).
impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(two)) => one.eq_ignore_ascii_case(two),
            (Self::V4(one), Self::V4(two)) => one == two,
            (Self::V6(one), Self::V6(two)) => one == two,
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

fn name(host: &[u8]) -> Option<Host<'_>> {
    let is_name = !host.is_empty()
        && octet::run(host, 0, HOST) == host.len()
        && !matches!(host[0], b'.' | b'-');
    is_name.then_some(Host::Name(host))
}

fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().or_else(|| {
        // The grammar of RFC 3261 §25.1 puts a colon too many before an IPv4 address, and some write it (RFC 5118).
        let (head, tail) = text.split_once(":::")?;
        tail.parse::<Ipv4Addr>().ok()?;
        format!("{head}::{tail}").parse().ok()
    })
}

/// Whether `host` is made of digits and dots.
fn is_dotted(host: &[u8]) -> bool {
    host.iter().all(|octet| matches!(octet, b'0'..=b'9' | b'.'))
}

fn ipv4(host: &[u8]) -> Option<Ipv4Addr> {
    let (address, len) = ipv4_prefix(host)?;
    (len == host.len()).then_some(address)
}

/// The IPv4 address at the start of `bytes`, and its length; what follows is not looked at, but for a digit too many.
#[inline]
fn ipv4_prefix(bytes: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let mut octets = [0u8; 4];
    let mut rest = bytes;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let mut value = 0u16;
        let mut digits = 0;
        while let [digit @ b'0'..=b'9', after @ ..] = rest {
            value = value * 10 + u16::from(digit - b'0');
            digits += 1;
            rest = after;
            if digits > 3 {
                return None;
            }
        }
        if digits == 0 {
            return None;
        }
        *octet = u8::try_from(value).ok()?;
    }
    Some((Ipv4Addr::from(octets), bytes.len() - rest.len()))
}

#[cfg(test)]
mod tests;

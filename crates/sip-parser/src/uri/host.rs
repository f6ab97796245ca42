//! The host of a URI or of a Via: name, IPv4 address or IPv6 reference (RFC 3261 §25.1).
//! Names are compared without regard to case, addresses by value.
//! Resolving names is RFC 3263's business, elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::octet::{self, DIGIT, HOST};

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
            [b'[', address @ .., b']'] => std::str::from_utf8(address)
                .ok()?
                .parse()
                .ok()
                .map(Self::V6),
            // RFC 3261 §25.1: the last label of a name starts with a letter, so digits and dots are an address.
            [first, .., last] if octet::is(*first, DIGIT) && octet::is(*last, DIGIT) => {
                if is_dotted(host) {
                    ipv4(host).map(Self::V4)
                } else {
                    name(host)
                }
            }
            _ => name(host),
        }
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

/// Whether `host` is made of digits and dots.
fn is_dotted(host: &[u8]) -> bool {
    host.iter().all(|octet| matches!(octet, b'0'..=b'9' | b'.'))
}

fn ipv4(host: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut at = 0;
    for (index, slot) in octets.iter_mut().enumerate() {
        let end = octet::run(host, at, DIGIT);
        if end - at > 3 {
            return None;
        }
        *slot = u8::try_from(octet::decimal(&host[at..end], 255)?).ok()?;
        at = end;
        if index < 3 {
            if host.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
    }
    (at == host.len()).then(|| Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests;

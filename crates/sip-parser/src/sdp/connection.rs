//! `c=` lines: the address that media is sent to (RFC 8866 §5.7).
//! IPv4, IPv6 and names are told apart; the addresses of other networks are kept as text.
//! Whether the address can be reached, and what a multicast group is for, is not asked.

use super::media::words;
use crate::octet;
use crate::uri::host::Host;

/// The value of a `c=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'b> {
    /// The address type as sent: `IP4` or `IP6` on the Internet.
    pub address_type: &'b [u8],
    /// The address; a name also when the network is another one.
    pub address: Host<'b>,
    /// The time to live of an IPv4 multicast group.
    pub ttl: Option<u8>,
    /// How many addresses from this one on, 1 at least.
    pub count: u32,
}

impl<'b> Connection<'b> {
    /// Reads what stands behind `c=`; `None` when malformed.
    pub fn parse(value: &'b [u8]) -> Option<Self> {
        let mut words = words(value);
        let (network, address_type, address) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let is_ip6 = address_type == b"IP6";
        if network != b"IN" || !(is_ip6 || address_type == b"IP4") {
            return Some(Self {
                address_type,
                address: Host::Name(address),
                ttl: None,
                count: 1,
            });
        }
        let mut parts = address.split(|octet| *octet == b'/');
        let base = parts.next()?;
        //= RFC 8866 §5.7: an IPv4 group has a time to live before the number of addresses, an IPv6 group has none
        let ttl = match parts.clone().next() {
            Some(ttl) if !is_ip6 => {
                parts.next();
                Some(u8::try_from(octet::decimal(ttl, 255)?).ok()?)
            }
            _ => None,
        };
        let count = match parts.next() {
            None => 1,
            Some(count) => octet::decimal(count, u32::MAX).filter(|count| *count > 0)?,
        };
        let address = match base {
            _ if is_ip6 && memchr::memchr(b':', base).is_some() => {
                Host::V6(std::str::from_utf8(base).ok()?.parse().ok()?)
            }
            [b'[', ..] => return None,
            _ => Host::parse(base)?,
        };
        let fits = !(is_ip6 && matches!(address, Host::V4(_)));
        (fits && parts.next().is_none()).then_some(Self {
            address_type,
            address,
            ttl,
            count,
        })
    }

    /// Whether the address is all zeros, as senders put a call on hold before `a=inactive` (RFC 3264 §8.4).
    pub fn is_unspecified(&self) -> bool {
        self.address.ip().is_some_and(|ip| ip.is_unspecified())
    }
}

#[cfg(test)]
mod tests;

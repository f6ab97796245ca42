//! Address patterns of customers: an IP network and perhaps a port.
//!
//! `192.0.2.1`, `192.0.2.0/24`, `192.0.2.1:5060`, `2001:db8::1`, `[2001:db8::1]:5060`, `2001:db8::/32`.
//! Leaves out host names, which only gateways may use.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 or IPv6 network; a single address is one of full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpNet {
    address: IpAddr,
    length: u8,
}

impl IpNet {
    /// A network.
    ///
    /// # Errors
    /// A sentence that names the fault: a length above 32 or 128, or bits set behind the length.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, String> {
        // An IPv4-mapped network is the IPv4 network: peers of dual-stack sockets are seen that way.
        let (address, length) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if (96..=128).contains(&length) => {
                (canonical, length - 96)
            }
            _ => (address, length),
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        if length > width {
            return Err(format!(
                "/{length} is too long a network length; allowed: 0 to {width}"
            ));
        }
        let net = Self { address, length };
        let network = net.network();
        if network != address {
            return Err(format!(
                "{address}/{length} has bits set behind /{length}; write {network}/{length}"
            ));
        }
        Ok(net)
    }

    /// The network of one address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            length: if address.is_ipv4() { 32 } else { 128 },
        }
    }

    /// The first address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Bits of the network part: 0 to 32 (IPv4) or 0 to 128 (IPv6).
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether `address` lies in the network; an IPv4-mapped address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.length) == self.address
    }

    /// First and last address as numbers, for searches in sorted ranges.
    pub(crate) fn range(&self) -> (u128, u128) {
        let (first, width) = bits(self.address);
        let tail = (1u128 << (width - u32::from(self.length)).min(127)) - 1;
        let tail = if width - u32::from(self.length) == 128 {
            u128::MAX
        } else {
            tail
        };
        (first, first | tail)
    }

    fn network(&self) -> IpAddr {
        masked(self.address, self.length)
    }
}

/// The address as a number, and the width of its family in bits.
pub(crate) fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

/// The address with all bits behind `length` cleared.
pub(crate) fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(length.min(32)))
                .unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(length.min(128)))
                .unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        if self.length == width {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

/// What a source must look like: a network, and a source port if one is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressPattern {
    /// The network the source must lie in.
    pub net: IpNet,
    /// The source port; `None` matches any.
    pub port: Option<u16>,
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.net.address) {
            (None, _) => write!(f, "{}", self.net),
            (Some(port), IpAddr::V4(_)) => write!(f, "{}:{port}", self.net),
            (Some(port), IpAddr::V6(_)) => {
                if self.net.length == 128 {
                    write!(f, "[{}]:{port}", self.net.address)
                } else {
                    write!(f, "[{}]/{}:{port}", self.net.address, self.net.length)
                }
            }
        }
    }
}

impl FromStr for AddressPattern {
    type Err = String;

    /// Reads the forms named in the module documentation; with a port a network may be written too
    /// (`192.0.2.0/24:5060`, `[2001:db8::]/32:5060`). The error says what is allowed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || {
            format!(
                "{} is not an address; allowed: 192.0.2.1, 192.0.2.0/24, 2001:db8::1, 2001:db8::/32, each with a \
                 port as 192.0.2.1:5060 or [2001:db8::1]:5060",
                crate::fault::quoted(text)
            )
        };
        let (address, rest) = split_address(text).ok_or_else(refused)?;
        let (length, port) = split_tail(rest).ok_or_else(refused)?;
        if port == Some(0) {
            return Err("port 0 can't be a source; allowed: 1 to 65535".to_owned());
        }
        let length = length.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
        Ok(Self {
            net: IpNet::new(address, length)?,
            port,
        })
    }
}

/// The address, and what stands behind it.
fn split_address(text: &str) -> Option<(IpAddr, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, rest) = inner.split_once(']')?;
        return Some((IpAddr::V6(address.parse().ok()?), rest));
    }
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    let end = if colons > 1 {
        text.find('/')
    } else {
        text.find(['/', ':'])
    }
    .unwrap_or(text.len());
    let (address, rest) = text.split_at(end);
    Some((address.parse().ok()?, rest))
}

/// `/length` and `:port`, both optional, in this order.
fn split_tail(rest: &str) -> Option<(Option<u8>, Option<u16>)> {
    let (length, port) = match rest.split_once(':') {
        Some((length, port)) => (length, Some(digits(port)?)),
        None => (rest, None),
    };
    let length = match length {
        "" => None,
        _ => Some(u8::try_from(digits(length.strip_prefix('/')?)?).ok()?),
    };
    Some((length, port))
}

/// Decimal digits only: no sign, no blanks.
fn digits(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests;

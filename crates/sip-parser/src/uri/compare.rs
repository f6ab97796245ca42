//! When two URIs are the same (RFC 3261 §19.1.4, RFC 3966 §4).
//! Equality is not transitive there, so these are methods and not `Eq`.
//! Header components are compared as escaped text, not by the rules of each header.

use super::escape::Unescaped;
use super::tel::{self, TelUri};
use super::{SipUri, Uri};
use crate::header::param::Params;

impl Uri<'_> {
    /// Whether both are equivalent; URIs of unknown schemes never are, of different kinds neither.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        match (self, other) {
            (Uri::Sip(one), Uri::Sip(two)) => one.equivalent(two),
            (Uri::Tel(one), Uri::Tel(two)) => one.equivalent(two),
            _ => false,
        }
    }
}

impl SipUri<'_> {
    /// Whether both are equivalent (RFC 3261 §19.1.4).
    //= RFC 3261 §19.1.4: components with and without case, escapes undone, parameters that must match on both sides
    pub fn equivalent(&self, other: &SipUri<'_>) -> bool {
        self.secure == other.secure
            && same_option(self.user, other.user, same_exactly)
            && same_option(self.password, other.password, same_exactly)
            && self.host == other.host
            && self.port == other.port
            && shared_params_match(self.params, other.params)
            && shared_params_match(other.params, self.params)
            && lone_params_allowed(self.params, other.params)
            && lone_params_allowed(other.params, self.params)
            && same_headers(self.headers, other.headers)
    }
}

impl TelUri<'_> {
    //= RFC 3966 §4: digits without their separators, parameters in any order
    /// Whether both are equivalent (RFC 3966 §4).
    pub fn equivalent(&self, other: &TelUri<'_>) -> bool {
        same_number(self.number, other.number)
            && tel_params_within(self.params, other.params)
            && tel_params_within(other.params, self.params)
    }
}

fn same_option(
    one: Option<&[u8]>,
    two: Option<&[u8]>,
    same: impl FnOnce(&[u8], &[u8]) -> bool,
) -> bool {
    match (one, two) {
        (None, None) => true,
        (Some(one), Some(two)) => same(one, two),
        _ => false,
    }
}

/// RFC 2396: an escaped octet of this set is not the octet itself.
fn is_reserved(octet: u8) -> bool {
    matches!(
        octet,
        b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b','
    )
}

/// The text with escapes resolved; a reserved octet keeps whether it was escaped.
fn folded(text: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    Unescaped::new(text).map(|(octet, escaped)| (octet, escaped && is_reserved(octet)))
}

fn same_exactly(one: &[u8], two: &[u8]) -> bool {
    one == two || folded(one).eq(folded(two))
}

fn same_ignoring_case(one: &[u8], two: &[u8]) -> bool {
    let lower = |(octet, escaped): (u8, bool)| (octet.to_ascii_lowercase(), escaped);
    folded(one).map(lower).eq(folded(two).map(lower))
}

/// The values of the parameters called `name`, escapes resolved on both sides. One that says a parameter twice is
/// wrong (§19.1.1), yet it must be equal to itself, so all of them count.
fn values<'b, 'n>(
    params: Params<'b>,
    name: &'n [u8],
) -> impl Iterator<Item = Option<&'b [u8]>> + use<'b, 'n> {
    params
        .iter()
        .filter(move |param| same_ignoring_case(param.name, name))
        .map(|param| param.value)
}

fn has(params: Params<'_>, name: &[u8]) -> bool {
    values(params, name).next().is_some()
}

/// Any parameter of `one` that `two` has as well must have a value that it has there.
fn shared_params_match(one: Params<'_>, two: Params<'_>) -> bool {
    one.iter().all(|param| {
        let mut there = values(two, param.name).peekable();
        there.peek().is_none()
            || there.any(|value| same_option(param.value, value, same_ignoring_case))
    })
}

/// Parameters that only `one` has must be of those that may be ignored.
fn lone_params_allowed(one: Params<'_>, two: Params<'_>) -> bool {
    // `transport` is in the text above the list of parameters and in the examples.
    let counted: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];
    counted.iter().all(|name| !has(one, name) || has(two, name))
}

/// The same headers on both sides, in any order.
fn same_headers(one: &[u8], two: &[u8]) -> bool {
    let count = |headers: &[u8]| memchr::memchr_iter(b'&', headers).count();
    one == two || count(one) == count(two) && headers_within(one, two) && headers_within(two, one)
}

fn headers_within(one: &[u8], two: &[u8]) -> bool {
    let headers = |text| <[u8]>::split(text, |octet| *octet == b'&');
    headers(one).all(|header| headers(two).any(|other| same_ignoring_case(header, other)))
}

/// The same digits when visual separators are left out.
fn same_number(one: &[u8], two: &[u8]) -> bool {
    let digits = |number: &[u8]| {
        number
            .iter()
            .filter(|octet| !tel::is_separator(**octet))
            .map(u8::to_ascii_lowercase)
            .collect::<smallvec::SmallVec<[u8; 32]>>()
    };
    digits(one) == digits(two)
}

/// Each parameter of `one` is in `two` with the same value.
fn tel_params_within(one: Params<'_>, two: Params<'_>) -> bool {
    one.iter().all(|param| {
        let is_number = |value: &[u8]| {
            value.starts_with(b"+")
                || param.name.eq_ignore_ascii_case(b"ext")
                || param.name.eq_ignore_ascii_case(b"isub")
        };
        values(two, param.name).any(|value| {
            same_option(param.value, value, |one, two| {
                if is_number(one) && is_number(two) {
                    same_number(one, two)
                } else {
                    same_ignoring_case(one, two)
                }
            })
        })
    })
}

#[cfg(test)]
mod tests;

//! CSeq: the number and the method that order the requests of a dialog (RFC 3261 §20.16).
//! Numbers up to 2³² − 1 are accepted, as every element must (RFC 4475 §3.1.2.4).
//! Ordering is the dialog's business.

use crate::method::Method;
use crate::octet::{self, DIGIT, TOKEN};

/// The value of a CSeq header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'b> {
    /// The sequence number.
    pub number: u32,
    /// The method.
    pub method: Method<'b>,
}

impl<'b> CSeq<'b> {
    /// The number of a CSeq in its usual form, with the method and one space before it.
    /// `None` says that a second look is needed.
    #[inline]
    pub(crate) fn usual_number(value: &[u8], method: &[u8]) -> Option<u32> {
        let (number, rest) = octet::leading_decimal(value)?;
        (rest.strip_prefix(b" ")? == method).then_some(number)
    }

    /// Parses `1*DIGIT LWS Method`; `None` when malformed or the number is above 2³² − 1.
    pub fn parse(value: &'b [u8]) -> Option<Self> {
        let (digits, method) = parts(value)?;
        Some(Self {
            number: octet::decimal(digits, u32::MAX)?,
            method: Method::from_bytes(method),
        })
    }

    /// As [`CSeq::parse`], but a number that is too large becomes 2³² − 1: enough to answer 400.
    pub(crate) fn parse_forgiving(value: &'b [u8]) -> Option<Self> {
        let (digits, method) = parts(value)?;
        Some(Self {
            number: octet::decimal(digits, u32::MAX).unwrap_or(u32::MAX),
            method: Method::from_bytes(method),
        })
    }
}

/// The digits and the method.
#[inline]
fn parts(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits_end = octet::run(value, 0, DIGIT);
    let method = octet::skip_lws(value, digits_end);
    let end = octet::run(value, method, TOKEN);
    (digits_end > 0 && method > digits_end && end > method && end == value.len())
        .then(|| (&value[..digits_end], &value[method..end]))
}

#[cfg(test)]
mod tests;

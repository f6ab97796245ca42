//! tel URIs (RFC 3966): global numbers with a plus, local ones with a context.
//! Numbers are handed out as written; visual separators are looked through when comparing.
//! Number portability parameters (RFC 4694) are ordinary parameters here.

use super::{UriError, check_params};
use crate::header::param::Params;

/// A tel URI.
#[derive(Clone, Copy, Debug)]
pub struct TelUri<'b> {
    /// The number as received, with its plus and its visual separators.
    pub number: &'b [u8],
    /// The parameters.
    pub params: Params<'b>,
}

impl<'b> TelUri<'b> {
    /// Parses what stands behind `tel:`.
    pub(crate) fn parse_rest(rest: &'b [u8]) -> Result<Self, UriError> {
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (number, raw) = rest.split_at(end);
        check_params(raw)?;
        let params = Params::new(raw);
        let is_number = match number.strip_prefix(b"+") {
            Some(digits) => {
                digits.iter().any(u8::is_ascii_digit)
                    && digits
                        .iter()
                        .all(|octet| octet.is_ascii_digit() || is_separator(*octet))
            }
            // RFC 3966 §5.1.5 wants `phone-context` here; networks that leave it out mean their own.
            None => {
                number.iter().any(|octet| is_local_digit(*octet))
                    && number
                        .iter()
                        .all(|octet| is_local_digit(*octet) || is_separator(*octet))
            }
        };
        if !is_number {
            return Err(UriError::Number);
        }
        Ok(Self { number, params })
    }

    /// Whether the number is global: it starts with a plus.
    pub fn is_global(&self) -> bool {
        self.number.starts_with(b"+")
    }
}

/// `phonedigit-hex` without its separators, RFC 3966 §3.
fn is_local_digit(octet: u8) -> bool {
    octet.is_ascii_hexdigit() || matches!(octet, b'*' | b'#')
}

/// `visual-separator`, RFC 3966 §3.
pub(crate) fn is_separator(octet: u8) -> bool {
    matches!(octet, b'-' | b'.' | b'(' | b')')
}

#[cfg(test)]
mod tests;

//! Contact: addresses, or the `*` with which REGISTER removes all bindings (RFC 3261 §20.10).
//! Parameters such as `q` and `expires` are left to who asks for them.
//! Rules of use (one Contact in an INVITE, `*` alone) belong to the proxy.

use super::name_addr::NameAddr;
use crate::error::ParseError;
use crate::octet;

/// One Contact value.
#[derive(Clone, Copy, Debug)]
pub enum ContactValue<'b> {
    /// `*`
    Star,
    /// An address.
    Address(NameAddr<'b>),
}

/// Iterator over the Contact values of a message.
#[derive(Clone, Debug)]
pub struct Contacts<'b> {
    pub(crate) values: super::list::ListCursor<'b>,
}

impl<'b> Iterator for Contacts<'b> {
    type Item = Result<ContactValue<'b>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let params_max = self.values.params_max();
        self.values.next_with(|bytes, at| {
            let start = octet::skip_lws(bytes, at);
            if bytes.get(start) == Some(&b'*') {
                let end = octet::skip_lws(bytes, start + 1);
                if matches!(bytes.get(end), None | Some(b',')) {
                    return Ok((ContactValue::Star, end));
                }
            }
            let (address, end) = NameAddr::parse_at(bytes, at, params_max)?;
            Ok((ContactValue::Address(address), end))
        })
    }
}

#[cfg(test)]
mod tests;

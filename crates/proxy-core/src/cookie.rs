//! The cookie in our Record-Route URI: which call, whose, and until when, under a keyed MAC.
//!
//! It authorises the forwarding of a request within the dialog and nothing else. The MAC covers Call-ID and the
//! caller's tag too, so that a cookie is worth nothing in another dialog; whichever tag verifies tells the direction.

use data_encoding::BASE64URL_NOPAD;
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;
use uuid::Uuid;

/// The URI parameter that holds the cookie.
pub(crate) const PARAM: &[u8] = b"tdm";
const VERSION: u8 = 1;
const BODY_LEN: usize = 1 + 1 + 4 + 2 + 16 + 8 + 8 + 4;
const MAC_LEN: usize = 10;
const COOKIE_LEN: usize = BODY_LEN + MAC_LEN;
/// Characters of a cookie: base64url without padding.
pub(crate) const TEXT_LEN: usize = COOKIE_LEN / 3 * 4;
const _: () = assert!(COOKIE_LEN.is_multiple_of(3));

/// Tells the digest of loops, which has the same key, from the MAC of a cookie, whose text begins with its version.
pub(crate) const LOOP_PURPOSE: &[u8] = b"loop";

/// What a cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) lane: u8,
    pub(crate) boot: u32,
    /// A hash of the node's name.
    pub(crate) node: u16,
    pub(crate) cdr_id: Uuid,
    /// Stable ids of both trunks.
    pub(crate) customer: u64,
    pub(crate) vendor: u64,
    /// Seconds since 1970 after which it authorises nothing.
    pub(crate) expires_s: u32,
}

impl Cookie {
    /// The trunk of one side.
    pub(crate) fn trunk_of(&self, side: Side) -> u64 {
        match side {
            Side::Caller => self.customer,
            Side::Callee => self.vendor,
        }
    }
}

/// The keys of the cookie: the current one signs, both verify.
pub(crate) struct CookieKeys {
    current: SipHasher24,
    previous: Option<SipHasher24>,
}

/// Who sent a request, by the tag that its cookie verifies with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

impl CookieKeys {
    pub(crate) fn new(current: &[u8; 16], previous: Option<&[u8; 16]>) -> Self {
        Self {
            current: SipHasher24::new_with_key(current),
            previous: previous.map(SipHasher24::new_with_key),
        }
    }

    /// The cookie as text.
    pub(crate) fn seal(
        &self,
        cookie: &Cookie,
        call_id: &[u8],
        caller_tag: &[u8],
    ) -> [u8; TEXT_LEN] {
        let mut bytes = [0_u8; COOKIE_LEN];
        bytes[0] = VERSION;
        bytes[1] = cookie.lane;
        bytes[2..6].copy_from_slice(&cookie.boot.to_be_bytes());
        bytes[6..8].copy_from_slice(&cookie.node.to_be_bytes());
        bytes[8..24].copy_from_slice(cookie.cdr_id.as_bytes());
        bytes[24..32].copy_from_slice(&cookie.customer.to_be_bytes());
        bytes[32..40].copy_from_slice(&cookie.vendor.to_be_bytes());
        bytes[40..44].copy_from_slice(&cookie.expires_s.to_be_bytes());
        let mac = mac(self.current, &bytes[..BODY_LEN], call_id, caller_tag);
        bytes[BODY_LEN..].copy_from_slice(&mac);
        let mut text = [0_u8; TEXT_LEN];
        BASE64URL_NOPAD.encode_mut(&bytes, &mut text);
        text
    }

    /// Opens a cookie that came with a request; the tag it verifies with is the caller's.
    ///
    /// `None` for a forged, foreign or malformed one. Expiry is the caller's to judge.
    pub(crate) fn open(
        &self,
        text: &[u8],
        call_id: &[u8],
        from_tag: Option<&[u8]>,
        to_tag: Option<&[u8]>,
    ) -> Option<(Cookie, Side)> {
        let bytes = decode(text)?;
        let (body, sent) = bytes.split_at(BODY_LEN);
        for key in std::iter::once(self.current).chain(self.previous) {
            for (tag, side) in [(from_tag, Side::Caller), (to_tag, Side::Callee)] {
                if tag.is_some_and(|tag| same(&mac(key, body, call_id, tag), sent)) {
                    return Some((parse(body), side));
                }
            }
        }
        None
    }
}

fn decode(text: &[u8]) -> Option<[u8; COOKIE_LEN]> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut bytes = [0_u8; COOKIE_LEN];
    BASE64URL_NOPAD.decode_mut(text, &mut bytes).ok()?;
    (bytes[0] == VERSION).then_some(bytes)
}

fn parse(body: &[u8]) -> Cookie {
    let mut at = 1;
    Cookie {
        lane: take::<1>(body, &mut at)[0],
        boot: u32::from_be_bytes(take(body, &mut at)),
        node: u16::from_be_bytes(take(body, &mut at)),
        cdr_id: Uuid::from_bytes(take(body, &mut at)),
        customer: u64::from_be_bytes(take(body, &mut at)),
        vendor: u64::from_be_bytes(take(body, &mut at)),
        expires_s: u32::from_be_bytes(take(body, &mut at)),
    }
}

fn take<const N: usize>(body: &[u8], at: &mut usize) -> [u8; N] {
    let mut field = [0_u8; N];
    field.copy_from_slice(&body[*at..*at + N]);
    *at += N;
    field
}

fn mac(mut key: SipHasher24, body: &[u8], call_id: &[u8], caller_tag: &[u8]) -> [u8; MAC_LEN] {
    key.write(body);
    // Lengths keep (Call-ID, tag) apart from any other split of the same bytes.
    key.write(&(call_id.len() as u64).to_be_bytes());
    key.write(call_id);
    key.write(caller_tag);
    let full = key.finish128().as_bytes();
    let mut short = [0_u8; MAC_LEN];
    short.copy_from_slice(&full[..MAC_LEN]);
    short
}

/// Compares in time that does not depend on where they differ.
fn same(a: &[u8; MAC_LEN], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie() -> Cookie {
        Cookie {
            lane: 3,
            boot: 77,
            node: 9,
            cdr_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            customer: 12,
            vendor: u64::MAX,
            expires_s: 2_000_000_000,
        }
    }

    #[test]
    fn the_tag_that_verifies_tells_the_direction() {
        let keys = CookieKeys::new(&[1; 16], None);
        let text = keys.seal(&cookie(), b"call@host", b"alice");
        assert_eq!(
            keys.open(&text, b"call@host", Some(b"alice"), Some(b"bob")),
            Some((cookie(), Side::Caller))
        );
        assert_eq!(
            keys.open(&text, b"call@host", Some(b"bob"), Some(b"alice")),
            Some((cookie(), Side::Callee))
        );
    }

    #[test]
    fn a_cookie_is_worth_nothing_in_another_dialog_or_altered() {
        let keys = CookieKeys::new(&[1; 16], None);
        let text = keys.seal(&cookie(), b"call@host", b"alice");
        assert_eq!(keys.open(&text, b"other@host", Some(b"alice"), None), None);
        assert_eq!(
            keys.open(&text, b"call@host", Some(b"mallory"), Some(b"bob")),
            None
        );
        assert_eq!(keys.open(&text, b"call@hos", Some(b"talice"), None), None);
        for at in 0..text.len() {
            let mut altered = text;
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                keys.open(&altered, b"call@host", Some(b"alice"), Some(b"bob")),
                None
            );
        }
    }

    #[test]
    fn a_rotated_key_still_opens_what_the_previous_one_sealed() {
        let old = CookieKeys::new(&[1; 16], None);
        let text = old.seal(&cookie(), b"c", b"a");
        let rotated = CookieKeys::new(&[2; 16], Some(&[1; 16]));
        assert!(rotated.open(&text, b"c", Some(b"a"), None).is_some());
        let forgotten = CookieKeys::new(&[3; 16], Some(&[2; 16]));
        assert!(forgotten.open(&text, b"c", Some(b"a"), None).is_none());
    }
}

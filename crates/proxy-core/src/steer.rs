//! Which lane owns a datagram, by a look at a few header lines.
//!
//! Our token in the top Via (responses) or in the topmost Route (requests within a dialog) names the lane;
//! without one of this boot, the Call-ID does. A full parse happens only on the owner. A strict router upstream moves our
//! token from the Route into the Request-URI, where nobody looks: the Call-ID names the lane that it named for the INVITE.

use crate::{branch, cookie};
use memchr::{memchr, memmem};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// What kind of message a datagram seems to be; a full ring keeps room for all but [`SteerKind::New`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SteerKind {
    /// A response.
    Response,
    /// ACK, BYE, CANCEL and whatever has a To-tag: work that was begun.
    InDialog,
    /// A request that begins something.
    New,
    /// Keep-alives and garbage.
    Other,
}

/// The owner of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steer {
    /// The lane that owns it.
    pub lane: u8,
    /// What it seems to be.
    pub kind: SteerKind,
}

/// The lane of a Call-ID.
#[must_use]
pub fn lane_of_call_id(call_id: &[u8], lanes: u8, hash_seed: u64) -> u8 {
    let mut hasher = SipHasher13::new_with_keys(hash_seed, 0x7461_6e64_656d);
    hasher.write(call_id);
    // Multiply-shift spreads over any number of lanes without a division; the result is below `lanes`.
    let lane = (u128::from(hasher.finish()) * u128::from(lanes.max(1))) >> 64;
    u8::try_from(lane).unwrap_or(0)
}

/// Decides who owns `bytes`. Linear in the header, allocates nothing, and never fails: what it cannot read
/// belongs to the lane of the empty Call-ID, whose parser will say what is wrong.
#[must_use]
pub fn owner(bytes: &[u8], lanes: u8, boot: u32, hash_seed: u64) -> Steer {
    let start = bytes
        .iter()
        .position(|b| !matches!(b, b'\r' | b'\n' | 0))
        .unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    if bytes.is_empty() {
        return Steer {
            lane: 0,
            kind: SteerKind::Other,
        };
    }
    //= RFC 3261 §7.1: the version is read in any case
    let response = bytes
        .get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/2.0 "));
    let mut call_id: &[u8] = b"";
    let mut token = None;
    let mut looked_at_token = false;
    let mut to_tag = false;
    for (name, value) in Lines(bytes).skip(1).filter_map(split) {
        match name {
            [b'i' | b'I'] => call_id = value,
            name if name.eq_ignore_ascii_case(b"call-id") => call_id = value,
            [b'v' | b'V'] if response && !looked_at_token => {
                (token, looked_at_token) = (via_token(value), true)
            }
            name if response && !looked_at_token && name.eq_ignore_ascii_case(b"via") => {
                (token, looked_at_token) = (via_token(value), true);
            }
            name if !response && !looked_at_token && name.eq_ignore_ascii_case(b"route") => {
                (token, looked_at_token) = (route_token(value), true);
            }
            [b't' | b'T'] => to_tag = has_tag(value),
            name if name.eq_ignore_ascii_case(b"to") => to_tag = has_tag(value),
            _ => {}
        }
    }
    let lane = match token {
        Some((lane, token_boot)) if token_boot == boot && lane < lanes => lane,
        _ => lane_of_call_id(call_id, lanes, hash_seed),
    };
    let kind = if response {
        SteerKind::Response
    } else if to_tag
        || [&b"ACK "[..], b"BYE ", b"CANCEL "]
            .iter()
            .any(|method| bytes.starts_with(method))
    {
        SteerKind::InDialog
    } else {
        SteerKind::New
    };
    Steer { lane, kind }
}

/// Header lines up to the empty line; folds are left to the parser.
struct Lines<'b>(&'b [u8]);

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.0).unwrap_or(self.0.len());
        let line = &self.0[..end];
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.0 = b"";
            return None;
        }
        Some(line)
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    Some((
        line[..colon].trim_ascii_end(),
        line[colon + 1..].trim_ascii(),
    ))
}

fn via_token(value: &[u8]) -> Option<(u8, u32)> {
    let first = value.split(|b| *b == b',').next()?;
    let at = memmem::find(first, b"branch=")? + b"branch=".len();
    let rest = &first[at..];
    let end = rest
        .iter()
        .position(|b| !b.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    branch::lane_of(&rest[..end])
}

/// The cookie is the first URI parameter of its name, in any case, as the owner's parser will read it.
fn route_token(value: &[u8]) -> Option<(u8, u32)> {
    let uri = &value[..memchr(b'>', value).unwrap_or(value.len())];
    let text = uri.split(|b| *b == b';').skip(1).find_map(|param| {
        let equals = memchr(b'=', param)?;
        param[..equals]
            .trim_ascii()
            .eq_ignore_ascii_case(cookie::PARAM)
            .then(|| &param[equals + 1..])
    })?;
    let end = memchr(b'?', text).unwrap_or(text.len());
    cookie::lane_of(text[..end].trim_ascii())
}

fn has_tag(value: &[u8]) -> bool {
    memmem::find(value, b"tag=").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: u32 = 99;

    fn request(extra: &str) -> Vec<u8> {
        format!("INVITE sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n{extra}Call-ID: abc@h\r\n\r\nCall-ID: body")
            .into_bytes()
    }

    #[test]
    fn a_response_goes_to_the_lane_in_its_branch() {
        let mut mint = branch::BranchMint::new(2, BOOT, 1);
        let branch = mint.next(&crate::loops::NO_LOOP);
        let text = format!(
            "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h;branch={};rport=5060, SIP/2.0/UDP x\r\ni: abc@h\r\n\r\n",
            String::from_utf8_lossy(&branch)
        );
        assert_eq!(
            owner(text.as_bytes(), 4, BOOT, 5),
            Steer {
                lane: 2,
                kind: SteerKind::Response
            }
        );
        // The version is read in any case.
        let small = text.replacen("SIP/2.0 200", "sip/2.0 200", 1);
        assert_eq!(owner(small.as_bytes(), 4, BOOT, 5).lane, 2);
        // Of another boot, or of a lane that is gone: the Call-ID decides.
        let by_call_id = lane_of_call_id(b"abc@h", 2, 5);
        assert_eq!(owner(text.as_bytes(), 2, BOOT, 5).lane, by_call_id);
        assert_eq!(
            owner(text.as_bytes(), 4, BOOT + 1, 5).lane,
            lane_of_call_id(b"abc@h", 4, 5)
        );
    }

    #[test]
    fn requests_of_one_call_id_share_a_lane_and_call_ids_spread() {
        let mut lanes = [0; 4];
        for n in 0..4000 {
            let id = format!("{n}@h");
            lanes[usize::from(lane_of_call_id(id.as_bytes(), 4, 77))] += 1;
        }
        assert!(
            lanes.iter().all(|count| (850..1150).contains(count)),
            "{lanes:?}"
        );
        let plain = owner(&request(""), 4, BOOT, 5);
        assert_eq!(
            plain,
            Steer {
                lane: lane_of_call_id(b"abc@h", 4, 5),
                kind: SteerKind::New
            }
        );
        assert_eq!(
            owner(&request("To: <sip:x>;tag=1\r\n"), 4, BOOT, 5).kind,
            SteerKind::InDialog
        );
    }

    #[test]
    fn a_route_with_our_cookie_names_the_lane() {
        let keys = cookie::CookieKeys::new(&[1; 16], None);
        let cookie = cookie::Cookie {
            lane: 3,
            boot: BOOT,
            node: 0,
            cdr_id: uuid::Uuid::nil(),
            customer: 1,
            vendor: 2,
            expires_s: 0,
        };
        let text = keys.seal(&cookie, b"abc@h", b"t");
        let route = format!(
            "Route: <sip:h:5060;lr;tdm={}>\r\n",
            String::from_utf8_lossy(&text)
        );
        assert_eq!(owner(&request(&route), 4, BOOT, 5).lane, 3);
    }

    #[test]
    fn garbage_has_an_owner() {
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"\0\0",
            b":",
            b"\n:\n",
            b"SIP/2.0 200\r\nVia:;branch=",
            &[0xFF; 100],
        ] {
            assert!(owner(bytes, 3, BOOT, 5).lane < 3);
        }
    }
}

//! Which lane owns a datagram, by a look at a few header lines.
//!
//! The Call-ID names the lane, for whatever a dialog has to say; the branch in the top Via of a response does so too, since
//! a peer might write another Call-ID. Nothing that a stranger can make up is believed: the Call-ID is placed by a secret
//! key, and a branch counts when its check is right. A full parse happens only on the owner.

use crate::branch;
use memchr::memchr;
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// What kind of message a datagram seems to be; see [`SteerKind::is_begun`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SteerKind {
    /// A response to a request of ours.
    Response,
    /// ACK, BYE, CANCEL and whatever has a To-tag: work that was begun.
    InDialog,
    /// A request that begins something.
    New,
    /// Keep-alives, garbage, and responses to nothing that this process sent.
    Other,
}

impl SteerKind {
    /// Whether it belongs to work that was begun, for which a full ring keeps room.
    #[must_use]
    pub fn is_begun(self) -> bool {
        matches!(self, Self::Response | Self::InDialog)
    }
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
    let mut via: Option<&[u8]> = None;
    let mut to_tag = false;
    for (name, value) in Lines(bytes).skip(1).filter_map(split) {
        match name {
            [b'i' | b'I'] => call_id = value,
            name if name.eq_ignore_ascii_case(b"call-id") => call_id = value,
            [b'v' | b'V'] => via = via.or(Some(value)),
            name if name.eq_ignore_ascii_case(b"via") => via = via.or(Some(value)),
            [b't' | b'T'] => to_tag = has_tag(value),
            name if name.eq_ignore_ascii_case(b"to") => to_tag = has_tag(value),
            _ => {}
        }
    }
    let by_branch = via
        .filter(|_| response)
        .and_then(via_branch)
        .and_then(|text| branch::lane_of(text, boot, hash_seed))
        .filter(|lane| *lane < lanes);
    let lane = by_branch.unwrap_or_else(|| lane_of_call_id(call_id, lanes, hash_seed));
    let kind = if by_branch.is_some() {
        SteerKind::Response
    } else if response {
        SteerKind::Other
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

/// The branch of the first value of a Via.
fn via_branch(value: &[u8]) -> Option<&[u8]> {
    let first = value.split(|b| *b == b',').next()?;
    first
        .split(|b| *b == b';')
        .skip(1)
        .find_map(|param| value_of(param, b"branch"))
}

/// Whether a To has the parameter `tag`: outside of the URI, of the display name, and of other parameters' values.
fn has_tag(value: &[u8]) -> bool {
    let (mut quoted, mut in_uri, mut escaped) = (false, false, false);
    let mut outside = value.split(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !in_uri => quoted = !quoted,
            b'<' if !quoted => in_uri = true,
            b'>' if !quoted => in_uri = false,
            b';' if !quoted && !in_uri => return true,
            _ => {}
        }
        false
    });
    outside.any(|param| value_of(param, b"tag").is_some())
}

/// The value of a parameter, when that is its name.
fn value_of<'b>(param: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    let equals = memchr(b'=', param)?;
    param[..equals]
        .trim_ascii()
        .eq_ignore_ascii_case(name)
        .then(|| param[equals + 1..].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookie;

    const BOOT: u32 = 99;

    fn request(extra: &str) -> Vec<u8> {
        format!("INVITE sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n{extra}Call-ID: abc@h\r\n\r\nCall-ID: body")
            .into_bytes()
    }

    #[test]
    fn a_response_goes_to_the_lane_in_its_branch() {
        let mut mint = branch::BranchMint::new(2, BOOT, 5);
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
            owner(text.as_bytes(), 4, BOOT + 1, 5).kind,
            SteerKind::Other
        );
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
    fn a_branch_that_we_did_not_make_names_no_lane_and_has_no_room_kept_for_it() {
        let genuine = branch::BranchMint::new(2, BOOT, 5).next(&crate::loops::NO_LOOP);
        // The lane and the boot are right, the check is of another key.
        let guessed = branch::BranchMint::new(2, BOOT, 6).next(&crate::loops::NO_LOOP);
        let ids: Vec<String> = (0..64).map(|n| format!("{n}@h")).collect();
        let ask = |param: &str, branch: &[u8], id: &str| {
            let branch = String::from_utf8_lossy(branch);
            let text = format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;{param}={branch}\r\nCall-ID: {id}\r\n\r\n"
            );
            owner(text.as_bytes(), 4, BOOT, 5)
        };
        for id in &ids {
            let steer = ask("branch", &guessed, id);
            assert_eq!(steer.lane, lane_of_call_id(id.as_bytes(), 4, 5));
            assert!(!steer.kind.is_begun());
            assert!(!ask("xbranch", &genuine, id).kind.is_begun());
            let steer = ask("Branch", &genuine, id);
            assert_eq!((steer.lane, steer.kind.is_begun()), (2, true));
        }
    }

    #[test]
    fn a_route_chooses_no_lane() {
        let keys = cookie::CookieKeys::new(&[1; 16], None);
        for lane in 0..4 {
            let cookie = cookie::Cookie {
                lane,
                boot: BOOT,
                node: 0,
                cdr_id: uuid::Uuid::nil(),
                customer: 1,
                vendor: 2,
                expires_s: 0,
            };
            let text = keys.seal(&cookie, b"abc@h", b"t");
            let text = String::from_utf8_lossy(&text);
            for tag in ["", ";tag=1"] {
                let lines = format!("Route: <sip:h:5060;lr;tdm={text}>\r\nTo: <sip:x>{tag}\r\n");
                assert_eq!(
                    owner(&request(&lines), 4, BOOT, 5).lane,
                    lane_of_call_id(b"abc@h", 4, 5)
                );
            }
        }
    }

    #[test]
    fn only_a_tag_of_the_to_itself_tells_work_that_was_begun() {
        for (to, begun) in [
            ("<sip:x>;tag=1", true),
            ("<sip:x>;TAG=1", true),
            ("<sip:x> ; Tag = 1", true),
            ("\"a\\\";b\" <sip:x;y=z>;a=\"<\";tag=1", true),
            ("sip:x;tag=1", true),
            ("<sip:x>;xtag=1", false),
            ("<sip:x;tag=1>", false),
            ("\";tag=1\" <sip:x>", false),
            ("<sip:x>;a=\";tag=1\"", false),
            ("<sip:tag=1@x>", false),
        ] {
            let steer = owner(&request(&format!("To: {to}\r\n")), 4, BOOT, 5);
            assert_eq!(steer.kind.is_begun(), begun, "{to}");
        }
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

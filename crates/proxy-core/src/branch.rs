//! The Via branch that this proxy writes (RFC 3261 §8.1.1.7), and what its own responses tell about it.
//!
//! `z9hG4bKt` and 24 characters of base32: lane, boot generation, serial number and a short keyed check, so that
//! a response finds its lane without a table, and nobody can guess the branch of another's call. The last eight
//! characters tell a loop from a spiral (RFC 5393 §4.2); see `loops.rs`.

use crate::loops::{LOOP_TEXT_LEN, LoopText};
use data_encoding::BASE32HEX_NOPAD;
use siphasher::sip::SipHasher24;
use std::hash::Hasher as _;

/// What every branch of ours begins with: the magic cookie of RFC 3261 and our own letter.
pub(crate) const PREFIX: &[u8; 8] = b"z9hG4bKt";
const TOKEN_LEN: usize = CHECKED_LEN + 4;
/// Lane, boot generation and serial.
const CHECKED_LEN: usize = 11;
const TOKEN_TEXT_LEN: usize = 24;
pub(crate) const TEXT_LEN: usize = PREFIX.len() + TOKEN_TEXT_LEN + LOOP_TEXT_LEN;

/// The text of one branch.
pub(crate) type BranchText = [u8; TEXT_LEN];

/// Makes branches that are unique in space and time.
pub(crate) struct BranchMint {
    lane: u8,
    boot: u32,
    serial: u64,
    check: SipHasher24,
}

impl BranchMint {
    /// The key is that of all lanes of the process: whoever receives a response can tell whether its branch is ours.
    pub(crate) fn new(lane: u8, boot: u32, key: u64) -> Self {
        Self {
            lane,
            boot,
            serial: 0,
            check: check_key(key),
        }
    }

    //= RFC 5393 §4.2.1: the branch has two parts, one that no other branch has and one that a loop repeats
    /// The next branch, for a request with that digest. 2^48 serials outlast any boot.
    pub(crate) fn next(&mut self, loop_text: &LoopText) -> BranchText {
        self.serial += 1;
        let mut token = [0_u8; TOKEN_LEN];
        token[0] = self.lane;
        token[1..5].copy_from_slice(&self.boot.to_be_bytes());
        token[5..11].copy_from_slice(&self.serial.to_be_bytes()[2..]);
        let check = check_of(self.check, &token[..CHECKED_LEN]);
        token[CHECKED_LEN..].copy_from_slice(&check);
        let mut text = [0_u8; TEXT_LEN];
        text[..PREFIX.len()].copy_from_slice(PREFIX);
        let (first, second) = text[PREFIX.len()..].split_at_mut(TOKEN_TEXT_LEN);
        BASE32HEX_NOPAD.encode_mut(&token, first);
        second.copy_from_slice(loop_text);
        text
    }
}

fn check_key(key: u64) -> SipHasher24 {
    SipHasher24::new_with_keys(key, !key.rotate_left(17))
}

fn check_of(mut key: SipHasher24, token: &[u8]) -> [u8; 4] {
    key.write(token);
    let [a, b, c, d, ..] = key.finish().to_be_bytes();
    [a, b, c, d]
}

/// The lane that a branch made with `key` in this boot carries; `None` for any other, whoever made it up.
pub(crate) fn lane_of(branch: &[u8], boot: u32, key: u64) -> Option<u8> {
    let text = branch.strip_prefix(PREFIX)?;
    if text.len() != TOKEN_TEXT_LEN + LOOP_TEXT_LEN {
        return None;
    }
    let mut token = [0_u8; TOKEN_LEN];
    BASE32HEX_NOPAD
        .decode_mut(text.get(..TOKEN_TEXT_LEN)?, &mut token)
        .ok()?;
    let (checked, sent) = token.split_at(CHECKED_LEN);
    let ours = check_of(check_key(key), checked) == *sent;
    (ours && checked.get(1..5)? == boot.to_be_bytes()).then(|| checked[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    //= proves RFC 3261 §16.6(8)
    //= proves RFC 5393 §4.2.1
    #[test]
    fn a_branch_carries_its_lane_and_boot_and_never_repeats() {
        let mut mint = BranchMint::new(7, 0xDEAD_BEEF, 42);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let branch = mint.next(b"0123ABCD");
            assert!(branch.ends_with(b"0123ABCD"));
            assert!(branch.iter().all(u8::is_ascii_alphanumeric));
            assert_eq!(lane_of(&branch, 0xDEAD_BEEF, 42), Some(7));
            assert_eq!(lane_of(&branch, 0xDEAD_BEEF, 43), None);
            assert_eq!(lane_of(&branch, 0xDEAD_BEEE, 42), None);
            assert!(seen.insert(branch));
        }
    }

    #[test]
    fn branches_of_others_have_no_lane() {
        for branch in [
            &b"z9hG4bK776asdhds"[..],
            b"z9hG4bKt",
            b"",
            b"z9hG4bKt!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
            b"z9hG4bKt000000010000000004JB2JSP",
            b"1",
        ] {
            assert_eq!(lane_of(branch, 0, 42), None);
        }
    }
}

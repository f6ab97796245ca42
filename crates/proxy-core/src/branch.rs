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
const TOKEN_LEN: usize = 15;
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
    pub(crate) fn new(lane: u8, boot: u32, seed: u64) -> Self {
        Self {
            lane,
            boot,
            serial: 0,
            check: SipHasher24::new_with_keys(seed, !seed.rotate_left(17)),
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
        let mut check = self.check;
        check.write(&token[..11]);
        token[11..].copy_from_slice(&check.finish().to_be_bytes()[..4]);
        let mut text = [0_u8; TEXT_LEN];
        text[..PREFIX.len()].copy_from_slice(PREFIX);
        let (first, second) = text[PREFIX.len()..].split_at_mut(TOKEN_TEXT_LEN);
        BASE32HEX_NOPAD.encode_mut(&token, first);
        second.copy_from_slice(loop_text);
        text
    }
}

/// The lane and boot generation that a branch of ours carries; `None` for anybody else's.
pub(crate) fn lane_of(branch: &[u8]) -> Option<(u8, u32)> {
    let text = branch.strip_prefix(PREFIX)?;
    // The first eight characters hold five bytes: lane and boot generation.
    let mut head = [0_u8; 5];
    if text.len() != TOKEN_TEXT_LEN + LOOP_TEXT_LEN {
        return None;
    }
    BASE32HEX_NOPAD.decode_mut(text.get(..8)?, &mut head).ok()?;
    Some((
        head[0],
        u32::from_be_bytes([head[1], head[2], head[3], head[4]]),
    ))
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
            assert_eq!(lane_of(&branch), Some((7, 0xDEAD_BEEF)));
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
            assert_eq!(lane_of(branch), None);
        }
    }
}

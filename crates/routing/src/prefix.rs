//! Digit prefixes packed into one word, and the table that finds the longest one.
//!
//! A prefix of up to 15 digits (E.164's longest number) is four bits a digit in a `u64`, its length in the top four bits.
//! The table probes from the longest length in use to the shortest. Leaves out what the values mean.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Longest prefix, in digits.
pub const PREFIX_DIGITS_MAX: usize = 15;

/// A prefix of 0 to 15 decimal digits.
///
/// Ordered by length first, then by digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(u64);

impl Prefix {
    /// The empty prefix, which matches every number.
    pub const EMPTY: Self = Self(0);

    /// The first (at most 15) digits of `digits`, or `None` if it holds anything but ASCII digits.
    ///
    /// This is how a number becomes something to look up: no prefix is longer than what is kept.
    #[must_use]
    pub fn of_number(digits: &[u8]) -> Option<Self> {
        let mut packed = 0u64;
        for (position, byte) in digits.iter().enumerate() {
            if !byte.is_ascii_digit() {
                return None;
            }
            if position < PREFIX_DIGITS_MAX {
                packed = (packed << 4) | u64::from(byte - b'0');
            }
        }
        Some(Self(
            packed | ((digits.len().min(PREFIX_DIGITS_MAX) as u64) << 60),
        ))
    }

    /// Number of digits, 0 to 15.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "the empty prefix is an ordinary one; compare with EMPTY"
    )]
    pub const fn len(self) -> usize {
        (self.0 >> 60) as usize
    }

    /// The first `len` digits; itself when it has no more than that.
    #[must_use]
    pub const fn truncated(self, len: usize) -> Self {
        if len >= self.len() {
            return self;
        }
        let digits = self.0 & DIGITS_MASK;
        Self((digits >> (4 * (self.len() - len))) | ((len as u64) << 60))
    }

    /// Whether a number that starts with `number` is matched by this prefix.
    #[must_use]
    pub const fn matches(self, number: Self) -> bool {
        self.len() <= number.len() && number.truncated(self.len()).0 == self.0
    }
}

const DIGITS_MASK: u64 = (1 << 60) - 1;

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; PREFIX_DIGITS_MAX];
        let len = self.len();
        let mut digits = self.0 & DIGITS_MASK;
        for place in text[..len].iter_mut().rev() {
            *place = b'0' + (digits & 0xf) as u8;
            digits >>= 4;
        }
        f.pad(str::from_utf8(&text[..len]).unwrap_or_default())
    }
}

impl FromStr for Prefix {
    type Err = String;

    /// Digits, with or without a leading `+`, which no comparison sees; the error says what is allowed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        match Self::of_number(digits.as_bytes()) {
            Some(prefix) if digits.len() <= PREFIX_DIGITS_MAX => Ok(prefix),
            _ => Err(format!(
                "{} is not a prefix; allowed: 0 to {PREFIX_DIGITS_MAX} digits, a leading + is ignored",
                crate::fault::quoted(text)
            )),
        }
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An immutable map from prefixes to `u32` values that finds all prefixes of a number, longest first.
///
/// Open addressing at two thirds of its slots: 18 bytes an entry, one cache line for most probes.
#[derive(Debug, Default)]
pub struct PrefixTable {
    keys: Box<[u64]>,
    values: Box<[u32]>,
    /// Bit n: there are prefixes of n digits.
    lengths: u16,
    len: usize,
}

/// No prefix has this key: its digits would all be 15.
const VACANT: u64 = u64::MAX;

impl PrefixTable {
    /// Builds the table. Of entries with equal prefixes the last one wins.
    #[must_use]
    pub fn build(entries: &[(Prefix, u32)]) -> Self {
        if entries.is_empty() {
            return Self::default();
        }
        let slots = entries.len() + entries.len() / 2 + 1;
        let mut table = Self {
            keys: vec![VACANT; slots].into_boxed_slice(),
            values: vec![0; slots].into_boxed_slice(),
            lengths: 0,
            len: 0,
        };
        for (prefix, value) in entries {
            table.lengths |= 1 << prefix.len();
            let mut slot = table.home(prefix.0);
            while table.keys[slot] != VACANT && table.keys[slot] != prefix.0 {
                slot = if slot + 1 == slots { 0 } else { slot + 1 };
            }
            table.len += usize::from(table.keys[slot] == VACANT);
            table.keys[slot] = prefix.0;
            table.values[slot] = *value;
        }
        table
    }

    /// Number of different prefixes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no prefix at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of exactly this prefix.
    #[must_use]
    pub fn exact(&self, prefix: Prefix) -> Option<u32> {
        if self.keys.is_empty() {
            return None;
        }
        let mut slot = self.home(prefix.0);
        loop {
            let key = self.keys[slot];
            if key == prefix.0 {
                return Some(self.values[slot]);
            }
            if key == VACANT {
                return None;
            }
            slot = if slot + 1 == self.keys.len() {
                0
            } else {
                slot + 1
            };
        }
    }

    /// All prefixes that match `number`, longest first, with their values.
    pub fn matches(&self, number: Prefix) -> impl Iterator<Item = (Prefix, u32)> + '_ {
        // Lengths above the number's own can't match.
        let mut lengths = u32::from(self.lengths) & ((2u32 << number.len()) - 1);
        std::iter::from_fn(move || {
            while lengths != 0 {
                let length = lengths.ilog2();
                lengths &= !(1 << length);
                let prefix = number.truncated(length as usize);
                if let Some(value) = self.exact(prefix) {
                    return Some((prefix, value));
                }
            }
            None
        })
    }

    /// Where the search for a key starts. The keys are the operator's, so the mix needs no secret.
    fn home(&self, key: u64) -> usize {
        let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        let mixed = fold(product);
        // The high word of hash × slots spreads over any number of slots, not just powers of two.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the high word is below the number of slots"
        )]
        let slot = ((u128::from(mixed) * self.keys.len() as u128) >> 64) as usize;
        slot
    }
}

/// The two halves of a product, folded together.
const fn fold(product: u128) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is what is wanted"
    )]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests;

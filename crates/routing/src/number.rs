//! The number of a call: out of the user part, through the rules of a trunk, into something to compare.
//!
//! RFC 3261 §19.1.1 (user part, escapes), RFC 4694 (parameters behind `;` are not part of the number).
//! Leaves out regular expressions and the numbers in other headers.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use crate::prefix::Prefix;

/// A number as text; up to 32 bytes live without allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NumberText(SmallVec<[u8; 32]>);

impl NumberText {
    /// An empty number.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every way in keeps it UTF-8, so the default is never seen.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds text at the end.
    pub fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// What prefixes are compared with: the number without a leading `+`, or nothing (which only the empty prefix
    /// matches) when it then holds anything but digits.
    #[must_use]
    pub fn key(&self) -> Prefix {
        Prefix::of_number(without_plus(self.as_str()).as_bytes()).unwrap_or(Prefix::EMPTY)
    }
}

impl Deref for NumberText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for NumberText {
    fn from(text: &str) -> Self {
        Self(SmallVec::from_slice(text.as_bytes()))
    }
}

impl fmt::Display for NumberText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for NumberText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The text without one leading `+`, which no comparison sees.
#[must_use]
pub fn without_plus(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

/// The number in a raw user part: cut at the first `;`, escapes resolved, a leading `+` kept.
///
/// An escape that is none (`%zz`) stays as it is. Bytes that are not UTF-8 and control characters become U+FFFD; such a
/// number is not digits and therefore matches the empty prefix only.
#[must_use]
pub fn dialled(user: &[u8]) -> NumberText {
    let end = user
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(user.len());
    let mut number = SmallVec::new();
    let mut rest = &user[..end];
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'%', [high, low, tail @ ..])
                if let (Some(high), Some(low)) = (hex(*high), hex(*low)) =>
            {
                number.push(high << 4 | low);
                rest = tail;
            }
            _ => {
                number.push(byte);
                rest = tail;
            }
        }
    }
    match str::from_utf8(&number) {
        Ok(text) if !text.contains(char::is_control) => NumberText(number),
        _ => {
            let text = String::from_utf8_lossy(&number);
            NumberText::from(&*text.replace(char::is_control, "\u{FFFD}"))
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Writes a number as a user part: everything that RFC 3261 §25.1 `user` does not allow, and `;`, is escaped.
pub fn escape_user(number: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in number.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,?/".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 0xf)],
            ]);
        }
    }
}

/// What a trunk does to a number: take `strip` characters off the front, put `prepend` there.
///
/// When any rule applies the leading `+` goes first, so that `strip` counts digits; a trunk that wants a `+` prepends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberRule {
    /// Characters taken off the front, 0 to 32.
    pub strip: u8,
    /// Text put in front, perhaps empty.
    pub prepend: String,
}

impl NumberRule {
    /// Applies the rule to `number`, with `prefix_len` more characters (the tech prefix) taken off first.
    pub fn apply(&self, number: &str, prefix_len: usize, out: &mut NumberText) {
        out.clear();
        if prefix_len == 0 && self.is_identity() {
            out.push_str(number);
            return;
        }
        let strip = prefix_len + usize::from(self.strip);
        let digits = without_plus(number);
        let start = digits
            .char_indices()
            .nth(strip)
            .map_or(digits.len(), |(start, _)| start);
        out.push_str(&self.prepend);
        out.push_str(&digits[start..]);
    }

    /// Whether the rule changes nothing, not even a leading `+`.
    #[must_use]
    pub const fn is_identity(&self) -> bool {
        self.strip == 0 && self.prepend.is_empty()
    }
}

#[cfg(test)]
mod tests;

//! The one writer of forwarded messages: received bytes with [`Edits`] applied (RFC 3261 §16.6, §16.7).
//! One pass from front to back; what no edit names is copied as it is.
//! Messages that are made anew are written in `request.rs` and `response.rs`.

use crate::edits::Edits;
use crate::message::Message;

/// Appends `message` with `edits` to `out`.
pub fn write_message(message: &Message<'_>, edits: &Edits, out: &mut Vec<u8>) {
    let bytes = message.bytes();
    out.reserve(bytes.len() + 512);
    let mut copied = 0;
    for (range, text) in edits.splices() {
        let is_within = copied <= range.start && range.end <= bytes.len();
        debug_assert!(is_within, "edit of {range:?} is not within the message");
        if !is_within {
            continue;
        }
        out.extend_from_slice(&bytes[copied..range.start]);
        out.extend_from_slice(text);
        copied = range.end;
    }
    out.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests;

//! The Reason header, RFC 3326: what a CDR keeps of it.
//!
//! A message may have several values, on one line or more; each tells one protocol's cause. The first Q.850 value is the
//! cause that carriers bill and count by. Left out: what the causes mean.

use crate::{context::ContextRef, core::ProxyCore};
use sip_parser::{KnownHeader, Message, Params, parse_datagram};
use std::mem;

/// What a message gives as its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// All values as received, joined by commas when they came on several lines.
    pub(crate) text: String,
    /// Of the first Q.850 value that has one, 0 to 127.
    pub(crate) q850_cause: Option<u16>,
}

/// The Reason of a message, if it gives one.
pub(crate) fn of(message: &Message<'_>) -> Option<Reason> {
    let text = joined(message)?;
    Some(Reason {
        q850_cause: values(&text).find_map(q850),
        text: crate::cdr::text(&text),
    })
}

/// The longest text of Reason values that is kept and passed on in a CANCEL, bytes.
const TEXT_MAX: usize = 1024;

/// All Reason values of a message, as one; of too long a text those values that fit.
pub(crate) fn joined(message: &Message<'_>) -> Option<Vec<u8>> {
    let mut text: Vec<u8> = Vec::new();
    //= RFC 3326 §2: there may be several Reason values, on one line or more, each for a protocol of its own
    for field in message.headers_named(KnownHeader::Reason) {
        let mut line = Vec::new();
        field.unfold_into(&mut line);
        if !append(&mut text, &line) {
            for value in values(&line) {
                append(&mut text, value);
            }
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Adds values to a list; false when they do not fit.
fn append(text: &mut Vec<u8>, more: &[u8]) -> bool {
    let comma: &[u8] = if text.is_empty() { b"" } else { b", " };
    let fits = text.len() + comma.len() + more.len() <= TEXT_MAX;
    if fits && !more.is_empty() {
        text.extend_from_slice(comma);
        text.extend_from_slice(more);
    }
    fits
}

impl ProxyCore {
    /// The response that goes upstream is the one whose Reason the record keeps. (A cancelled request ends with our own.)
    pub(crate) fn note_best_reason(&mut self, name: ContextRef, response: &[u8]) {
        let call = self.contexts.at(name).and_then(|context| context.call);
        let Some(call) = call.and_then(|id| self.calls.at_mut(id)) else {
            return;
        };
        let mut table = mem::take(&mut self.inner_table);
        if let Ok(response) = parse_datagram(response, &mut table) {
            call.replace_reason(&response);
        }
        self.inner_table = table;
    }
}

/// The values of a comma list, whose quoted strings may hold commas.
fn values(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let comma = list.iter().position(|byte| {
            let plain = !mem::take(&mut escaped);
            match byte {
                b'\\' if quoted && plain => escaped = true,
                b'"' if plain => quoted = !quoted,
                _ => {}
            }
            *byte == b',' && !quoted
        });
        let (value, after) = match comma {
            Some(at) => (&list[..at], list.get(at + 1..)),
            None => (list, None),
        };
        rest = after;
        Some(value.trim_ascii())
    })
}

/// The cause of one value, if its protocol is Q.850.
fn q850(value: &[u8]) -> Option<u16> {
    let end = value
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(value.len());
    let (protocol, params) = value.split_at(end);
    if !protocol.trim_ascii().eq_ignore_ascii_case(b"Q.850") {
        return None;
    }
    let cause = std::str::from_utf8(Params::new(params).get(b"cause")?).ok()?;
    // Q.850 has seven bits for it.
    cause.parse().ok().filter(|cause| *cause < 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q850_of(list: &str) -> Option<u16> {
        values(list.as_bytes()).find_map(q850)
    }

    //= proves RFC 3326 §2
    #[test]
    fn the_first_q850_cause_is_found_among_several_values() {
        for (list, cause) in [
            ("Q.850;cause=16;text=\"Normal call clearing\"", Some(16)),
            ("q.850 ; cause = 34", Some(34)),
            ("SIP;cause=200, Q.850;cause=17", Some(17)),
            ("SIP ;text=\"a, Q.850;cause=1\", Q.850;cause=18", Some(18)),
            ("SIP;text=\"\\\", Q.850;cause=1\",Q.850;cause=19", Some(19)),
            ("Q.850;text=x, Q.850;cause=20", Some(20)),
            ("Q.850;cause=127", Some(127)),
            ("SIP;cause=200;text=\"Call completed elsewhere\"", None),
        ] {
            assert_eq!(q850_of(list), cause, "{list}");
        }
    }

    #[test]
    fn what_does_not_read_is_no_cause() {
        for list in [
            "",
            ",",
            ";",
            "Q.850",
            "Q.850;cause",
            "Q.850;cause=",
            "Q.850;cause=abc",
            "Q.850;cause=128",
            "Q.850;cause=-1",
            "Q.850;cause=99999999999",
            "Q.850;text=\"unclosed;cause=16",
            "XQ.850;cause=16",
        ] {
            assert_eq!(q850_of(list), None, "{list}");
        }
    }
}

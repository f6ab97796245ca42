//! What the next message changes of the one received: a list of splices (RFC 3261 §16.6, §16.7, §18.2.1).
//! The received bytes are never touched; [`write_message`](crate::write_message) applies the list in one pass.
//! Which edits a hop makes is the proxy's decision.

use std::net::SocketAddr;
use std::ops::Range;

use crate::header::name::KnownHeader;
use crate::message::{Header, Message};
use crate::octet;
use crate::top_via;

/// A reusable list of edits, kept in the order of the message.
///
/// Ranges count from the start of [`Message::bytes`]. Insertions at one offset keep the order of the calls and
/// come before a replacement that starts there. An edit that overlaps an earlier one is a fault of the caller:
/// it is asserted in debug builds and left out otherwise.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    splices: Vec<Splice>,
    arena: Vec<u8>,
}

/// `range` of the message gives way to `text` of the arena.
#[derive(Clone, Debug)]
struct Splice {
    range: Range<usize>,
    text: Range<usize>,
}

impl Edits {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all edits and keeps the memory.
    pub fn clear(&mut self) {
        self.splices.clear();
        self.arena.clear();
    }

    /// Whether there are no edits.
    pub fn is_empty(&self) -> bool {
        self.splices.is_empty()
    }

    /// The splices in the order of the message: range and text.
    pub(crate) fn splices(&self) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        self.splices
            .iter()
            .map(|splice| (splice.range.clone(), &self.arena[splice.text.clone()]))
    }

    /// Puts `text` in the place of `range`.
    pub fn replace(&mut self, range: Range<usize>, text: &[u8]) {
        self.replace_with(range, |arena| arena.extend_from_slice(text));
    }

    /// Puts `text` before the octet at `at`.
    pub fn insert(&mut self, at: usize, text: &[u8]) {
        self.replace(at..at, text);
    }

    /// Takes `range` out.
    pub fn remove(&mut self, range: Range<usize>) {
        self.replace(range, b"");
    }

    /// Puts what `write` appends in the place of `range`.
    pub fn replace_with(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let text_start = self.arena.len();
        write(&mut self.arena);
        let text = text_start..self.arena.len();
        if range.is_empty() && text.is_empty() {
            return;
        }
        // Mostly called in the order of the message, so the search starts at the end.
        let follows = |earlier: &Splice| {
            earlier.range.start < range.start
                || earlier.range.start == range.start
                    && (earlier.range.is_empty() || !range.is_empty())
        };
        let index = self
            .splices
            .iter()
            .rposition(follows)
            .map_or(0, |last| last + 1);
        let is_clear_before = index == 0 || self.splices[index - 1].range.end <= range.start;
        let is_clear_after = self
            .splices
            .get(index)
            .is_none_or(|later| range.end <= later.range.start);
        debug_assert!(
            is_clear_before && is_clear_after,
            "edit of {range:?} overlaps an earlier one"
        );
        if is_clear_before && is_clear_after {
            self.splices.insert(index, Splice { range, text });
        } else {
            self.arena.truncate(text_start);
        }
    }

    /// Replaces the Request-URI (RFC 3261 §16.6 step 2).
    pub fn set_request_uri(&mut self, message: &Message<'_>, uri: &[u8]) {
        if message.is_request() {
            self.replace(message.table.start.uri.range(), uri);
        }
    }

    /// Spells the version in upper case, as whoever sends it must; it is read in any case (RFC 3261 §7.1).
    pub fn spell_version(&mut self, message: &Message<'_>) {
        const VERSION: &[u8] = b"SIP/2.0";
        let start = match message.is_request() {
            true => message.table.start.uri.range().end + 1,
            false => 0,
        };
        let place = start..start + VERSION.len();
        if message
            .bytes()
            .get(place.clone())
            .is_some_and(|version| version != VERSION && version.eq_ignore_ascii_case(VERSION))
        {
            self.replace(place, VERSION);
        }
    }

    /// Adds a Via on a line of its own above the first one (§16.6 step 8).
    pub fn push_via(&mut self, message: &Message<'_>, value: &[u8]) {
        let at = message
            .header(KnownHeader::Via)
            .map_or(message.start_line_end(), |via| via.line.start);
        self.insert_line(at, b"Via", value);
    }

    /// Takes the first Via value out (§16.7 step 3), with its line when it was alone on it.
    pub fn remove_top_via(&mut self, message: &Message<'_>) {
        if let (Some(header), Ok(via)) = (message.header(KnownHeader::Via), message.top_via()) {
            self.remove_first_value(message, &header, via.value);
        }
    }

    /// Says in the top Via where the request came from (RFC 3261 §18.2.1, RFC 3581 §4).
    ///
    /// `received` is set when the host of sent-by is not `remote`, when the Via asks for `rport`, or when
    /// `force_rport`; then `rport` is set too. Values that the sender filled in itself are overwritten.
    pub fn amend_top_via(&mut self, message: &Message<'_>, remote: SocketAddr, force_rport: bool) {
        for amendment in top_via::amendments(message, remote, force_rport)
            .into_iter()
            .flatten()
        {
            self.replace_with(amendment.range.clone(), |out| amendment.write(out));
        }
    }

    /// Sets Max-Forwards, adding it below the first Via when there is none (§16.6 step 3).
    pub fn set_max_forwards(&mut self, message: &Message<'_>, hops: u8) {
        let write = |out: &mut Vec<u8>| octet::push_decimal(out, u32::from(hops));
        match message.header(KnownHeader::MaxForwards) {
            Some(header) => self.replace_with(header.value_range, write),
            None => {
                let at = below_top_via(message);
                self.replace_with(at..at, |out| {
                    out.extend_from_slice(b"Max-Forwards: ");
                    write(out);
                    out.extend_from_slice(b"\r\n");
                });
            }
        }
    }

    /// Adds a Record-Route on a line of its own above the first one, or below the first Via (§16.6 step 4).
    pub fn push_record_route(&mut self, message: &Message<'_>, value: &[u8]) {
        let at = message
            .header(KnownHeader::RecordRoute)
            .map_or_else(|| below_top_via(message), |header| header.line.start);
        self.insert_line(at, b"Record-Route", value);
    }

    /// Takes the first Route value out (§16.4), with its line when it was alone on it.
    pub fn remove_first_route(&mut self, message: &Message<'_>) {
        if let (Some(header), Some(Ok(route))) =
            (message.header(KnownHeader::Route), message.routes().next())
        {
            self.remove_first_value(message, &header, route.value);
        }
    }

    /// Drops all Route lines and writes these instead, one line each (§16.6 step 6).
    pub fn set_routes(&mut self, message: &Message<'_>, routes: &[&[u8]]) {
        let at = message
            .header(KnownHeader::Route)
            .map_or_else(|| below_top_via(message), |header| header.line.start);
        for route in routes {
            self.insert_line(at, b"Route", route);
        }
        self.remove_all(message, KnownHeader::Route);
    }

    /// Drops all lines of `header`.
    pub fn remove_all(&mut self, message: &Message<'_>, header: KnownHeader) {
        for header in message.headers_named(header) {
            self.remove(header.line);
        }
    }

    /// Adds a line behind the last header.
    pub fn add_header(&mut self, message: &Message<'_>, name: &[u8], value: &[u8]) {
        self.insert_line(message.headers_end(), name, value);
    }

    fn insert_line(&mut self, at: usize, name: &[u8], value: &[u8]) {
        self.replace_with(at..at, |out| push_line(out, name, value));
    }

    /// Takes `value`, the first of `header`, out: up to the next one, or with the line.
    fn remove_first_value(&mut self, message: &Message<'_>, header: &Header<'_>, value: &[u8]) {
        let Some(range) = message.range_of(value) else {
            return;
        };
        let bytes = &message.bytes()[..header.value_range.end];
        let comma = octet::skip_lws(bytes, range.end);
        let next = octet::skip_lws(bytes, comma + 1);
        if bytes.get(comma) == Some(&b',') && next < bytes.len() {
            self.remove(range.start..next);
        } else {
            self.remove(header.line.clone());
        }
    }
}

/// Where a line that belongs near the top goes.
fn below_top_via(message: &Message<'_>) -> usize {
    message
        .header(KnownHeader::Via)
        .map_or(message.start_line_end(), |via| via.line.end)
}

/// Appends `name: value` and a CRLF.
pub(crate) fn push_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends what `value` displays as.
pub(crate) fn push_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    use std::io::Write;
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "writing to memory does not fail");
}

#[cfg(test)]
mod tests;

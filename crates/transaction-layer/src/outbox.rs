//! The outbox: messages to be sent, in order, in one reused arena.
//! The `poll_transmit` of a sans-IO core (RFC 3261 §18 does the sending).
//! Leaves out sockets: the driver drains it once per turn.

use std::ops::Range;

use crate::flow::Flow;

/// Messages to send, in the order they were pushed. `clear` keeps the memory, so a warmed outbox does not allocate.
#[derive(Debug, Default)]
pub struct Outbox {
    arena: Vec<u8>,
    entries: Vec<(Flow, Range<usize>)>,
}

impl Outbox {
    /// An empty outbox without memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all messages and keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
    }

    /// Whether nothing is to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends a copy of `bytes`, to be sent on `flow`.
    pub fn push(&mut self, flow: &Flow, bytes: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        self.entries.push((*flow, start..self.arena.len()));
    }

    /// Appends the message that `write` appends to the arena, to be sent on `flow`.
    /// `write` must only append; nothing is queued when it appends nothing.
    pub fn push_with(&mut self, flow: &Flow, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.arena.len();
        write(&mut self.arena);
        debug_assert!(self.arena.len() >= start, "a writer only appends");
        if self.arena.len() > start {
            self.entries.push((*flow, start..self.arena.len()));
        }
    }

    /// The messages in the order they were pushed.
    pub fn iter(&self) -> impl Iterator<Item = (&Flow, &[u8])> {
        self.entries
            .iter()
            .map(|(flow, range)| (flow, self.arena.get(range.clone()).unwrap_or_default()))
    }

    /// What fits without more memory, messages and bytes together.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.arena.capacity() + self.entries.capacity()
    }

    /// The last message pushed, if any.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        let (_, range) = self.entries.last()?;
        self.arena.get(range.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Transport;

    fn flow(port: u16) -> Flow {
        Flow {
            transport: Transport::Udp,
            listener: 0,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: ([127, 0, 0, 1], port).into(),
            connection: 0,
        }
    }

    #[test]
    fn messages_come_out_in_the_order_they_went_in() {
        let mut outbox = Outbox::new();
        outbox.push(&flow(1), b"one");
        outbox.push_with(&flow(2), |out| out.extend_from_slice(b"two"));
        outbox.push_with(&flow(3), |_| {});
        let seen: Vec<_> = outbox
            .iter()
            .map(|(flow, bytes)| (flow.remote.port(), bytes.to_vec()))
            .collect();
        assert_eq!(seen, [(1, b"one".to_vec()), (2, b"two".to_vec())]);
        assert_eq!(outbox.last(), Some(&b"two"[..]));
        assert_eq!(outbox.len(), 2);
    }

    #[test]
    fn clearing_keeps_the_memory() {
        let mut outbox = Outbox::new();
        outbox.push(&flow(1), &[7; 1000]);
        let capacity = outbox.arena.capacity();
        outbox.clear();
        assert!(outbox.is_empty());
        outbox.push(&flow(1), &[7; 1000]);
        assert_eq!(outbox.arena.capacity(), capacity);
    }
}

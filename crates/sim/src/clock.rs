//! Virtual time: an event queue that hands out events in order of their moment.
//! Events of the same moment come out in the order they were put in, so a run depends on its seed alone.
//! Leaves out any real clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// µs of one millisecond.
pub const MS: u64 = 1_000;
/// µs of one second.
pub const SECOND: u64 = 1_000_000;
/// Wall-clock µs since 1970 at virtual moment zero (2027-01-01T00:00:00Z).
pub const WALL_START_US: i64 = 1_798_761_600_000_000;

/// Wall-clock µs since 1970 of a virtual moment in µs.
pub fn wall_us(now_us: u64) -> i64 {
    WALL_START_US.saturating_add(i64::try_from(now_us).unwrap_or(i64::MAX))
}

/// Events waiting for their moment.
#[derive(Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    next_order: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at_us: u64,
    order: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at_us, self.order) == (other.at_us, other.order)
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_us, self.order).cmp(&(other.at_us, other.order))
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next_order: 0,
        }
    }
}

impl<E> EventQueue<E> {
    /// Puts an event in, to come out at `at_us`.
    pub fn push(&mut self, at_us: u64, event: E) {
        self.heap.push(Reverse(Entry {
            at_us,
            order: self.next_order,
            event,
        }));
        self.next_order += 1;
    }

    /// The moment of the next event.
    pub fn next_us(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.0.at_us)
    }

    /// The next event, if its moment is not after `now_us`.
    pub fn pop_due(&mut self, now_us: u64) -> Option<E> {
        if self.next_us()? > now_us {
            return None;
        }
        self.heap.pop().map(|entry| entry.0.event)
    }

    /// The next event, left where it is, if its moment is not after `now_us`.
    pub fn peek_due(&self, now_us: u64) -> Option<&E> {
        let entry = &self.heap.peek()?.0;
        (entry.at_us <= now_us).then_some(&entry.event)
    }

    /// Events still waiting.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_by_moment_and_then_by_order_of_arrival() {
        let mut queue = EventQueue::default();
        queue.push(20, "c");
        queue.push(10, "a");
        queue.push(10, "b");
        assert_eq!(queue.next_us(), Some(10));
        assert_eq!(queue.pop_due(9), None);
        assert_eq!(queue.pop_due(10), Some("a"));
        assert_eq!(queue.pop_due(10), Some("b"));
        assert_eq!(queue.pop_due(10), None);
        assert_eq!(queue.pop_due(25), Some("c"));
        assert!(queue.is_empty());
    }
}

//! The way of a datagram from the lane whose socket received it to the lane that owns it: a ring for each pair.
//! A ring keeps order and takes its time, so messages of two sources, or of two dialogs, may change places.
//! Leaves out full rings, whose drops are the network's losses to everyone else.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use crate::clock::EventQueue;
use crate::network::Datagram;

/// How the rings between lanes behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// Shortest time in a ring, µs.
    pub delay_min_us: u64,
    /// Longest time in a ring, µs.
    pub delay_max_us: u64,
    /// False breaks the promise of the rings, which only a test of the checks wants.
    pub keeps_order: bool,
}

/// A datagram in a ring.
#[derive(Debug)]
pub(super) struct Handed {
    /// Its place in the order of arrival at the host.
    pub(super) order: u64,
    /// The lane that owns it.
    pub(super) owner: u8,
    /// The datagram.
    pub(super) datagram: Datagram,
}

/// The rings.
#[derive(Debug)]
pub(super) struct Rings {
    under_way: EventQueue<Handed>,
    free_us: HashMap<(u8, u8), u64>,
    rng: fastrand::Rng,
}

impl Rings {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            under_way: EventQueue::default(),
            free_us: HashMap::new(),
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The lane whose socket the kernel gives the datagrams of this source to.
    pub(super) fn receiver(source: SocketAddr, lanes: u8) -> u8 {
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        u8::try_from(hasher.finish() % u64::from(lanes.max(1))).unwrap_or(0)
    }

    pub(super) fn push(&mut self, now_us: u64, handoff: Handoff, receiver: u8, handed: Handed) {
        let mut at_us = now_us + self.rng.u64(handoff.delay_min_us..=handoff.delay_max_us);
        if handoff.keeps_order {
            let free_us = self.free_us.entry((receiver, handed.owner)).or_default();
            *free_us = at_us.max(*free_us);
            at_us = *free_us;
        }
        self.under_way.push(at_us, handed);
    }

    pub(super) fn pop(&mut self, now_us: u64) -> Option<Handed> {
        self.under_way.pop_due(now_us)
    }

    pub(super) fn next_us(&self) -> Option<u64> {
        self.under_way.next_us()
    }

    /// The process died with what was in them.
    pub(super) fn clear(&mut self) {
        self.under_way = EventQueue::default();
        self.free_us.clear();
    }
}

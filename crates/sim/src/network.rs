//! A seeded emulator of a hostile network: every link loses, duplicates, delays and reorders datagrams.
//! Without reordering a link is first in, first out, as one path through a real network mostly is.
//! Leaves out bandwidth, fragmentation and corruption (UDP has a checksum).

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::clock::{EventQueue, MS};
use crate::stream::{Broken, Streams};

/// How a link treats the datagrams on it; probabilities are per mille.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkQuality {
    /// Datagrams lost, 0–1000 ‰.
    pub loss_permille: u16,
    /// Datagrams that arrive twice, 0–1000 ‰.
    pub duplicate_permille: u16,
    /// Datagrams that leave the line and may be overtaken, 0–1000 ‰.
    pub reorder_permille: u16,
    /// Shortest way through, µs.
    pub delay_min_us: u64,
    /// Longest way through, µs (a reordered datagram may take four times as long).
    pub delay_max_us: u64,
}

impl LinkQuality {
    /// Nothing lost, nothing doubled, order kept, 5 ms each way.
    pub const CLEAN: Self = Self {
        loss_permille: 0,
        duplicate_permille: 0,
        reorder_permille: 0,
        delay_min_us: 5 * MS,
        delay_max_us: 5 * MS,
    };

    /// A link drawn at random: a third are clean in loss, the worst lose 30 % and delay beyond T1.
    pub fn random(rng: &mut fastrand::Rng) -> Self {
        let loss_permille = match rng.u8(0..3) {
            0 => 0,
            1 => rng.u16(0..100),
            _ => rng.u16(100..=300),
        };
        let delay_min_us = rng.u64(0..50 * MS);
        let spread_us = match rng.u8(0..4) {
            0 => 0,
            1 | 2 => rng.u64(0..100 * MS),
            _ => rng.u64(0..900 * MS),
        };
        Self {
            loss_permille,
            duplicate_permille: if rng.bool() { rng.u16(0..200) } else { 0 },
            reorder_permille: if rng.bool() { rng.u16(0..300) } else { 0 },
            delay_min_us,
            delay_max_us: delay_min_us + spread_us,
        }
    }

    /// The longest a datagram can be under way, µs.
    pub fn delay_worst_us(&self) -> u64 {
        self.delay_max_us * 4 + 1
    }
}

/// A datagram under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// What became of the datagrams handed to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounts {
    /// Handed in.
    pub sent: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Extra copies made.
    pub duplicated: u64,
    /// Handed out.
    pub delivered: u64,
}

/// The emulator: datagrams in, datagrams out at their moment.
#[derive(Debug)]
pub struct Network {
    rng: fastrand::Rng,
    quality_default: LinkQuality,
    quality: HashMap<SocketAddr, LinkQuality>,
    line_free_us: HashMap<(SocketAddr, SocketAddr), u64>,
    under_way: EventQueue<Datagram>,
    counts: NetworkCounts,
    /// Set when every link is a stream.
    streams: Option<Streams>,
}

impl Network {
    /// A network whose links are all of `quality`.
    pub fn new(seed: u64, quality: LinkQuality) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            quality_default: quality,
            quality: HashMap::new(),
            line_free_us: HashMap::new(),
            under_way: EventQueue::default(),
            counts: NetworkCounts::default(),
            streams: None,
        }
    }

    /// A network of connections: the links keep order and lose nothing, and cut messages anywhere.
    pub fn of_streams(seed: u64, quality: LinkQuality) -> Self {
        Self {
            streams: Some(Streams::new(seed ^ 0x7463_7073)),
            ..Self::new(seed, quality)
        }
    }

    /// The connections, when the links are streams.
    pub fn streams(&mut self) -> Option<&mut Streams> {
        self.streams.as_mut()
    }

    /// Gives the link of one peer, both directions, its own quality.
    pub fn set_link(&mut self, peer: SocketAddr, quality: LinkQuality) {
        self.quality.insert(peer, quality);
    }

    /// The quality of the link between two addresses: the peer's, else the default.
    fn link(&self, from: SocketAddr, to: SocketAddr) -> LinkQuality {
        let own = self.quality.get(&from).or_else(|| self.quality.get(&to));
        own.copied().unwrap_or(self.quality_default)
    }

    /// Takes a datagram on its way.
    pub fn send(&mut self, now_us: u64, datagram: Datagram) {
        self.counts.sent += 1;
        let link = self.link(datagram.from, datagram.to);
        if let Some(streams) = &mut self.streams {
            streams.write(now_us, link, &datagram);
            return;
        }
        if self.chance(link.loss_permille) {
            self.counts.lost += 1;
            return;
        }
        if self.chance(link.duplicate_permille) {
            self.counts.duplicated += 1;
            let late_us = now_us + self.rng.u64(link.delay_min_us..=link.delay_worst_us());
            self.under_way.push(late_us, datagram.clone());
        }
        let line = (datagram.from, datagram.to);
        let arrives_us = if self.chance(link.reorder_permille) {
            now_us + self.rng.u64(link.delay_min_us..=link.delay_worst_us())
        } else {
            let free_us = self.line_free_us.get(&line).copied().unwrap_or(0);
            let arrives_us =
                (now_us + self.rng.u64(link.delay_min_us..=link.delay_max_us)).max(free_us);
            self.line_free_us.insert(line, arrives_us);
            arrives_us
        };
        self.under_way.push(arrives_us, datagram);
    }

    fn chance(&mut self, permille: u16) -> bool {
        permille > 0 && self.rng.u16(0..1000) < permille
    }

    /// When the next datagram arrives.
    pub fn next_us(&self) -> Option<u64> {
        match &self.streams {
            Some(streams) => streams.next_us(),
            None => self.under_way.next_us(),
        }
    }

    /// The next datagram that has arrived by `now_us`.
    pub fn arrive(&mut self, now_us: u64) -> Option<Datagram> {
        let datagram = match &mut self.streams {
            Some(streams) => streams.read(now_us)?,
            None => self.under_way.pop_due(now_us)?,
        };
        self.counts.delivered += 1;
        Some(datagram)
    }

    /// Connections that could not be read any further.
    pub fn broken(&self) -> &[Broken] {
        self.streams
            .as_ref()
            .map_or(&[], |streams| streams.broken.as_slice())
    }

    /// What became of everything so far.
    pub fn counts(&self) -> NetworkCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(number: u32) -> Datagram {
        Datagram {
            from: "192.0.2.1:5060".parse().unwrap(),
            to: "192.0.2.2:5060".parse().unwrap(),
            bytes: number.to_be_bytes().to_vec(),
        }
    }

    fn run(seed: u64, quality: LinkQuality) -> (Vec<Vec<u8>>, NetworkCounts) {
        let mut network = Network::new(seed, quality);
        for number in 0..1000 {
            network.send(u64::from(number) * 100, datagram(number));
        }
        let mut seen = Vec::new();
        while let Some(at_us) = network.next_us() {
            seen.push(network.arrive(at_us).unwrap().bytes);
        }
        (seen, network.counts())
    }

    #[test]
    fn a_clean_link_delivers_everything_in_order() {
        let (seen, counts) = run(1, LinkQuality::CLEAN);
        assert_eq!(
            counts,
            NetworkCounts {
                sent: 1000,
                lost: 0,
                duplicated: 0,
                delivered: 1000
            }
        );
        assert!(seen.is_sorted());
    }

    #[test]
    fn a_link_with_jitter_but_without_reordering_keeps_order() {
        let (seen, _) = run(
            2,
            LinkQuality {
                delay_max_us: 900 * MS,
                ..LinkQuality::CLEAN
            },
        );
        assert!(seen.is_sorted());
    }

    #[test]
    fn a_bad_link_loses_doubles_and_reorders_near_its_rates() {
        let quality = LinkQuality {
            loss_permille: 300,
            duplicate_permille: 100,
            reorder_permille: 100,
            ..LinkQuality::CLEAN
        };
        let (seen, counts) = run(3, quality);
        assert!((250..350).contains(&counts.lost), "{counts:?}");
        assert!((40..110).contains(&counts.duplicated), "{counts:?}");
        assert_eq!(
            counts.delivered,
            counts.sent - counts.lost + counts.duplicated
        );
        assert!(!seen.is_sorted());
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let quality = LinkQuality::random(&mut fastrand::Rng::with_seed(9));
        assert_eq!(run(4, quality), run(4, quality));
    }
}

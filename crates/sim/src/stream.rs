//! TCP-like links: octets in order, cut anywhere, one connection for each direction between two hosts (RFC 3261 §18.3).
//! What was lost comes late instead, as a retransmission of TCP would; messages are cut out by the framer under test.
//! Leaves out handshakes, windows and half-open connections.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use sip_parser::{Frame, FrameError, FrameLimits, Framer};

use crate::clock::{EventQueue, MS};
use crate::network::{Datagram, LinkQuality};

/// The longest segment, octets.
const SEGMENT_MAX: usize = 1_400;

/// From whom to whom.
type Way = (SocketAddr, SocketAddr);

#[derive(Debug)]
struct Line {
    framer: Framer,
    free_us: u64,
}

#[derive(Debug)]
struct Segment {
    way: Way,
    bytes: Vec<u8>,
}

/// A connection that could not be read any further.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Who sent.
    pub from: SocketAddr,
    /// Who could not read.
    pub to: SocketAddr,
    /// Why.
    pub error: FrameError,
    /// What had not been cut into a message yet.
    pub pending: Vec<u8>,
}

/// All connections of a run.
#[derive(Debug)]
pub struct Streams {
    rng: fastrand::Rng,
    lines: HashMap<Way, Line>,
    under_way: EventQueue<Segment>,
    ready: VecDeque<Datagram>,
    ready_us: u64,
    /// Connections that broke, in order.
    pub broken: Vec<Broken>,
}

impl Streams {
    /// No connection yet.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            lines: HashMap::new(),
            under_way: EventQueue::default(),
            ready: VecDeque::new(),
            ready_us: 0,
            broken: Vec::new(),
        }
    }

    /// All connections are gone, with what was on them: one of the processes died.
    pub fn reset(&mut self) {
        self.lines.clear();
        self.under_way = EventQueue::default();
        self.ready.clear();
    }

    /// Writes to the connection between the two, cut into segments.
    pub fn write(&mut self, now_us: u64, quality: LinkQuality, datagram: &Datagram) {
        let way = (datagram.from, datagram.to);
        let mut rest = &datagram.bytes[..];
        while !rest.is_empty() {
            let len = match self.rng.u8(0..6) {
                0 => self.rng.usize(1..=4),
                1 => self.rng.usize(1..=64),
                _ => self.rng.usize(64..=SEGMENT_MAX),
            };
            let (bytes, later) = rest.split_at(len.min(rest.len()));
            rest = later;
            let lost = self.rng.u16(0..1000) < quality.loss_permille;
            let again_us = if lost {
                self.rng.u64(200 * MS..=1_000 * MS)
            } else {
                0
            };
            let delay_us = self.rng.u64(quality.delay_min_us..=quality.delay_max_us) + again_us;
            let line = self.lines.entry(way).or_insert_with(Line::new);
            line.free_us = line.free_us.max(now_us + delay_us);
            let bytes = bytes.to_vec();
            self.under_way.push(line.free_us, Segment { way, bytes });
        }
    }

    /// When something arrives next.
    pub fn next_us(&self) -> Option<u64> {
        if self.ready.is_empty() {
            self.under_way.next_us()
        } else {
            Some(self.ready_us)
        }
    }

    /// The next whole message that has arrived.
    pub fn read(&mut self, now_us: u64) -> Option<Datagram> {
        while self.ready.is_empty() {
            let segment = self.under_way.pop_due(now_us)?;
            let mut bytes = segment.bytes;
            // One read may bring several segments.
            while self.rng.bool()
                && self
                    .under_way
                    .peek_due(now_us)
                    .is_some_and(|next| next.way == segment.way)
                && let Some(next) = self.under_way.pop_due(now_us)
            {
                bytes.extend_from_slice(&next.bytes);
            }
            self.cut(now_us, segment.way, &bytes);
        }
        self.ready.pop_front()
    }

    fn cut(&mut self, now_us: u64, way: Way, mut bytes: &[u8]) {
        let (from, to) = way;
        let line = self.lines.entry(way).or_insert_with(Line::new);
        loop {
            match line.framer.next_frame(&mut bytes) {
                Ok(Some(Frame::Message(message))) => {
                    let bytes = message.to_vec();
                    self.ready.push_back(Datagram { from, to, bytes });
                    self.ready_us = now_us;
                }
                Ok(Some(Frame::Ping)) => {}
                Ok(None) => return,
                Err(error) => {
                    let pending = line.framer.pending().to_vec();
                    self.broken.push(Broken {
                        from,
                        to,
                        error,
                        pending,
                    });
                    // The reader closes; what is written later goes over a new connection.
                    line.framer = Framer::new(FrameLimits::default());
                    return;
                }
            }
        }
    }
}

impl Line {
    fn new() -> Self {
        Self {
            framer: Framer::new(FrameLimits::default()),
            free_us: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize) -> Vec<u8> {
        let body = "x".repeat(number * 7);
        format!(
            "INFO sip:{number}@h SIP/2.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    #[test]
    fn messages_arrive_whole_and_in_order_over_a_link_that_loses_a_third() {
        let way = (
            "192.0.2.1:5060".parse().unwrap(),
            "192.0.2.2:5060".parse().unwrap(),
        );
        let quality = LinkQuality {
            loss_permille: 300,
            delay_max_us: 900 * MS,
            ..LinkQuality::CLEAN
        };
        let mut streams = Streams::new(7);
        for number in 0..200 {
            let datagram = Datagram {
                from: way.0,
                to: way.1,
                bytes: message(number),
            };
            streams.write(number as u64 * MS, quality, &datagram);
        }
        let mut seen = 0;
        while let Some(at_us) = streams.next_us() {
            while let Some(datagram) = streams.read(at_us) {
                assert_eq!(datagram.bytes, message(seen));
                seen += 1;
            }
        }
        assert_eq!((seen, streams.broken.len()), (200, 0));
    }

    #[test]
    fn a_connection_that_cannot_be_framed_breaks_and_says_why() {
        let way = (
            "192.0.2.1:5060".parse().unwrap(),
            "192.0.2.2:5060".parse().unwrap(),
        );
        let mut streams = Streams::new(7);
        let bytes = b"INFO sip:h SIP/2.0\r\n\r\n".to_vec();
        streams.write(
            0,
            LinkQuality::CLEAN,
            &Datagram {
                from: way.0,
                to: way.1,
                bytes,
            },
        );
        while let Some(at_us) = streams.next_us() {
            assert!(streams.read(at_us).is_none());
        }
        assert_eq!(streams.broken[0].error, FrameError::ContentLengthMissing);
    }
}

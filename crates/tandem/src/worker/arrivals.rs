//! What comes to a lane: datagrams of its sockets, parcels of other lanes, errors of the network.
//! RFC 3261 §18.2 for what is received. Each source gets a bounded turn.
//! Leaves out what a message means (`proxy_core`) and the end of a turn (`settle.rs`).

use proxy_core::Now;
use proxy_core::steer::owner;
use transaction_layer::Flow;

use super::{Drained, WAIT_WINDOW_US, Worker};
use crate::lane_stats::LaneStat;
use crate::net::udp::{self, SendTally, UdpPort};
use crate::steer::Parcel;

impl Worker {
    pub(super) fn socket_turn(&mut self, port: &UdpPort) -> Drained {
        let now = self.begin();
        let count = match port.receive(&mut self.receive) {
            Ok(count) => count,
            Err(error) => {
                self.counters.add(LaneStat::ReceiveErrors, 1);
                tracing::debug!(%error, "reading a socket");
                0
            }
        };
        self.handle_received(now, port);
        self.end(now);
        // A batch that is not full has emptied the socket: what comes later makes it ready anew.
        if count == self.receive.capacity() {
            Drained::More
        } else {
            Drained::Empty
        }
    }

    fn handle_received(&mut self, now: Now, port: &UdpPort) {
        let Self {
            receive,
            core,
            out,
            to,
            to_ring,
            counters,
            ..
        } = self;
        let me = usize::from(self.lane);
        let (mut datagrams, mut bytes, mut wait_us, mut wait_max_us) = (0, 0, 0, 0);
        for received in receive.iter() {
            datagrams += 1;
            bytes += received.bytes.len() as u64;
            let waited = received
                .stamp_us
                .map_or(0, |stamp| now.wall_us.saturating_sub(stamp));
            let waited = u64::try_from(waited).unwrap_or(0);
            wait_us += waited;
            wait_max_us = waited.max(wait_max_us);
            let flow = Flow {
                transport: transaction_layer::Transport::Udp,
                listener: port.listener(),
                local: port.local_of(received.local),
                remote: received.remote,
                connection: 0,
            };
            if self.lanes > 1 {
                let steer = owner(received.bytes, self.lanes, self.boot, self.hash_seed);
                let lane = usize::from(steer.lane);
                if lane != me {
                    let is_begun = steer.kind.is_begun();
                    let pushed = to
                        .get_mut(lane)
                        .and_then(Option::as_mut)
                        .is_some_and(|ring| {
                            ring.push(Parcel::Datagram(flow), received.bytes, is_begun)
                        });
                    counters.add(
                        match (pushed, is_begun) {
                            (true, _) => LaneStat::HandedOff,
                            (false, false) => LaneStat::RingOverflowNew,
                            (false, true) => LaneStat::RingOverflowKept,
                        },
                        1,
                    );
                    if !to_ring.contains(&lane) {
                        to_ring.push(lane);
                    }
                    continue;
                }
            }
            core.handle_datagram(now, received.bytes, &flow, out);
        }
        counters.add(LaneStat::DatagramsIn, datagrams);
        counters.add(LaneStat::BytesIn, bytes);
        counters.add(LaneStat::KernelWaitUs, wait_us);
        self.note_wait(now, wait_max_us);
    }

    fn note_wait(&mut self, now: Now, wait_max_us: u64) {
        let over = now.mono_us >= self.wait_window_us + WAIT_WINDOW_US;
        if over {
            self.wait_window_us = now.mono_us;
        }
        if over || wait_max_us > self.counters.value(LaneStat::KernelWaitMaxUs) {
            self.counters.set(LaneStat::KernelWaitMaxUs, wait_max_us);
        }
    }

    pub(super) fn has_parcels(&self) -> bool {
        self.from.iter().flatten().any(|ring| !ring.is_empty())
    }

    pub(super) fn ring_turn(&mut self) -> Drained {
        let now = self.begin();
        let Self {
            from,
            core,
            out,
            tuning,
            counters,
            ..
        } = self;
        let mut most = 0;
        for ring in from.iter_mut().flatten() {
            let mut datagrams = 0;
            let count = ring.drain(tuning.ring_batch, |parcel, bytes| match parcel {
                Parcel::Datagram(flow) => {
                    datagrams += 1;
                    core.handle_datagram(now, bytes, &flow, out);
                }
                Parcel::Unreachable(remote) => core.handle_unreachable(now, remote, out),
            });
            counters.add(LaneStat::TakenOver, datagrams);
            most = most.max(count);
        }
        self.end(now);
        if most == self.tuning.ring_batch {
            Drained::More
        } else {
            Drained::Empty
        }
    }

    /// Reads the error queue. ICMP finds any socket of the group, so all lanes hear of it.
    pub(super) fn error_turn(&mut self, port: &UdpPort) -> Drained {
        let now = self.begin();
        let mut drained = Drained::More;
        for _ in 0..self.tuning.error_batch {
            match port.take_error() {
                Ok(Some(error)) => match error.remote.filter(|_| udp::is_unreachable(&error)) {
                    Some(remote) => {
                        self.counters.add(LaneStat::Unreachable, 1);
                        if !self.unreachable.contains(&remote) {
                            self.unreachable.push(remote);
                        }
                    }
                    None => self.counters.add(LaneStat::OtherSocketErrors, 1),
                },
                Ok(None) => {
                    drained = Drained::Empty;
                    break;
                }
                Err(error) => {
                    self.counters.add(LaneStat::ReceiveErrors, 1);
                    tracing::debug!(%error, "reading an error queue");
                    drained = Drained::Empty;
                    break;
                }
            }
        }
        for remote in &self.unreachable {
            for (lane, ring) in self.to.iter_mut().enumerate() {
                let Some(ring) = ring else { continue };
                // Without room the other lane finds out by its timers.
                if ring.push(Parcel::Unreachable(*remote), &[], true)
                    && !self.to_ring.contains(&lane)
                {
                    self.to_ring.push(lane);
                }
            }
        }
        self.end(now);
        drained
    }

    pub(super) fn unsent_turn(&mut self, port: &UdpPort) {
        let now = self.begin();
        let mut tally = SendTally::default();
        let unreachable = &mut self.unreachable;
        port.send_unsent(&mut self.send, &mut tally, |remote| {
            unreachable.push(remote)
        });
        self.count_sent(tally);
        self.end(now);
    }
}

//! What arrives: at the proxy, whose lane is found as a worker finds it, or at a peer.
//! Around a lane stands the accounting identity: a datagram in, exactly one outcome counted.
//! Leaves out what the lane puts out (`output`) and the way between lanes (`handoff`).

use std::net::SocketAddr;

use proxy_core::steer;
use proxy_core::{ProxyCore, Stat};
use transaction_layer::Flow;

use super::handoff::{Handed, Rings};
use super::trace::trace;
use super::{Pending, World};
use crate::leg::FOREIGN;
use crate::network::Datagram;

/// Datagrams kept for forgers.
const TRAFFIC_MAX: usize = 32;

impl World {
    pub(super) fn deliver(&mut self, datagram: Datagram) {
        if self.config.trace {
            trace(self.now_us, "arrives", &datagram);
        }
        if datagram.to == self.proxy {
            if !self.down {
                let order = self.tap.note_order();
                self.hand_over(order, datagram);
            }
            return;
        }
        let (now_us, from) = (self.now_us, datagram.from);
        if self.keep_replies == Some(datagram.to) {
            let text = String::from_utf8_lossy(&datagram.bytes);
            self.replies.push(text.into_owned());
        }
        if let Some(host) = self
            .callers
            .iter_mut()
            .find(|host| host.agent.address == datagram.to)
        {
            host.on_datagram(now_us, from, &datagram.bytes);
        } else if let Some(host) = self
            .vendors
            .iter_mut()
            .find(|host| host.agent.address == datagram.to)
        {
            if !host.up && self.config.icmp {
                self.pending
                    .push(now_us + 1000, Pending::Unreachable(datagram.to));
                return;
            }
            host.on_datagram(now_us, from, &datagram.bytes);
        } else {
            if self.config.icmp {
                self.pending
                    .push(now_us + 1000, Pending::Unreachable(datagram.to));
            }
            self.to_nowhere.push(datagram);
        }
    }

    /// The lane whose socket received a datagram finds its owner, as a worker does.
    fn hand_over(&mut self, order: u64, datagram: Datagram) {
        let lanes = self.config.lanes;
        let owner = steer::owner(&datagram.bytes, lanes, self.boot, self.hash_seed()).lane;
        let receiver = Rings::receiver(datagram.from, lanes);
        let handed = Handed {
            order,
            owner,
            datagram,
        };
        match self.config.handoff {
            Some(handoff) if receiver != owner => {
                self.rings.push(self.now_us, handoff, receiver, handed);
            }
            _ => self.take_over(&handed),
        }
    }

    /// The owner takes a datagram out of its ring.
    pub(super) fn take_over(&mut self, handed: &Handed) {
        let datagram = &handed.datagram;
        self.tap
            .arrive(self.now_us, datagram.from, &datagram.bytes, handed.order);
        self.note_traffic(datagram);
        self.give_to_core(datagram);
        self.let_stranger_in(datagram);
    }

    pub(super) fn note_traffic(&mut self, datagram: &Datagram) {
        if self.config.keep_traffic {
            self.traffic.truncate(TRAFFIC_MAX - 1);
            self.traffic.push_front((self.now_us, datagram.clone()));
        }
    }

    /// The network says at once that a host cannot be reached.
    pub fn say_unreachable(&mut self, remote: SocketAddr) {
        self.pending.push(self.now_us, Pending::Unreachable(remote));
    }

    /// A stranger who reads along sends a request again from where he is; nothing about the call may change.
    fn let_stranger_in(&mut self, datagram: &Datagram) {
        if self.rng.u16(0..1000) >= self.config.stranger_permille
            || datagram.bytes.starts_with(b"SIP/2.0")
        {
            return;
        }
        let Ok(from) = FOREIGN.parse() else { return };
        let mut bytes = datagram.bytes.clone();
        for _ in 0..self.rng.u8(0..4) {
            let at = self.rng.usize(0..bytes.len());
            match self.rng.u8(0..4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = self.rng.u8(..),
                2 => bytes.insert(at, self.rng.u8(..)),
                _ => {
                    let end = (at + self.rng.usize(0..40)).min(bytes.len());
                    bytes.drain(at..end);
                    if bytes.is_empty() {
                        bytes.push(0);
                    }
                }
            }
        }
        let stolen = Datagram {
            from,
            to: datagram.to,
            bytes,
        };
        if self.config.trace {
            trace(self.now_us, "is forged", &stolen);
        }
        self.give_to_core(&stolen);
    }

    pub(super) fn give_to_core(&mut self, datagram: &Datagram) {
        let owner = steer::owner(
            &datagram.bytes,
            self.config.lanes,
            self.boot,
            self.hash_seed(),
        );
        let flow = Flow {
            transport: self.config.transport,
            listener: 0,
            local: self.proxy,
            remote: datagram.from,
            connection: u64::from(self.config.transport.is_reliable())
                * u64::from(datagram.from.port()),
        };
        let now = self.now();
        let lane = usize::from(owner.lane);
        let Some(core) = self.cores.get_mut(lane) else {
            self.faults
                .push(format!("{}: lane {lane} does not exist", self.now_us));
            return;
        };
        self.given += 1;
        let before = outcomes(core);
        core.handle_datagram(now, &datagram.bytes, &flow, &mut self.output);
        let after = outcomes(core);
        if (after.0 - before.0, after.1 - before.1) != (1, 1) {
            let text = String::from_utf8_lossy(&datagram.bytes).into_owned();
            let counted = after.1 - before.1;
            self.faults.push(format!(
                "{}: a datagram has {counted} outcomes: {text}",
                self.now_us
            ));
        }
        self.drain(Some(lane));
    }
}

/// What can become of a datagram; every one counts under exactly one of these.
pub(crate) const OUTCOMES: [Stat; 14] = [
    Stat::Keepalives,
    Stat::ParseDropped,
    Stat::ParseAnswered,
    Stat::ParseLimited,
    Stat::RequestsNew,
    Stat::RequestsRetransmitted,
    Stat::AcksAbsorbed,
    Stat::AcksForwarded,
    Stat::AcksDropped,
    Stat::Cancels,
    Stat::ResponsesHandled,
    Stat::ResponsesAbsorbed,
    Stat::ResponsesStray,
    Stat::ResponsesForeign,
];

/// Datagrams in, and the sum of their outcomes.
fn outcomes(core: &ProxyCore) -> (u64, u64) {
    let stats = core.stats();
    (
        stats.value(Stat::DatagramsIn),
        OUTCOMES.iter().map(|stat| stats.value(*stat)).sum(),
    )
}

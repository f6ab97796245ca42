//! Who a source address belongs to.
//!
//! The best match of (transport given beats any, longest network, port given beats any, longest tech prefix), in this
//! order, found by hashing the address at each network length in use. Leaves out Digest and domains.

use std::net::{IpAddr, SocketAddr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::address::{AddressPattern, IpNet, bits, masked};
use crate::number::{dialled, without_plus};
use crate::transport::Transport;

/// One way to be recognised.
#[derive(Clone, Debug)]
pub(crate) struct SourceEntry {
    pub(crate) pattern: AddressPattern,
    pub(crate) transport: Option<Transport>,
    pub(crate) tech_prefix: Option<String>,
    pub(crate) customer: u32,
}

/// All customer addresses, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct SourceIndex {
    /// For each transport, then for entries that take any.
    classes: [SourceClass; 4],
}

#[derive(Debug, Default)]
struct SourceClass {
    /// Network lengths in use, longest first.
    lengths_v4: Vec<u8>,
    lengths_v6: Vec<u8>,
    /// Entries of one network: port given first, then longer tech prefixes.
    nets: HashMap<IpNet, Vec<SourceEntry>, RandomState>,
}

impl SourceIndex {
    pub(crate) fn build(entries: impl Iterator<Item = SourceEntry>) -> Self {
        let mut index = Self::default();
        for entry in entries {
            let class = entry.transport.map_or(3, |transport| transport as usize);
            index.classes[class]
                .nets
                .entry(entry.pattern.net)
                .or_default()
                .push(entry);
        }
        for class in &mut index.classes {
            for (net, entries) in &mut class.nets {
                let lengths = if net.address().is_ipv4() {
                    &mut class.lengths_v4
                } else {
                    &mut class.lengths_v6
                };
                if !lengths.contains(&net.length()) {
                    lengths.push(net.length());
                }
                entries.sort_by_key(|entry| {
                    let tech_prefix_len = entry.tech_prefix.as_ref().map_or(0, String::len);
                    (entry.pattern.port.is_none(), usize::MAX - tech_prefix_len)
                });
            }
            class
                .lengths_v4
                .sort_unstable_by(|one, other| other.cmp(one));
            class
                .lengths_v6
                .sort_unstable_by(|one, other| other.cmp(one));
        }
        index
    }

    /// The customer and the length of the tech prefix that the number starts with.
    pub(crate) fn find(
        &self,
        transport: Transport,
        source: SocketAddr,
        user: &[u8],
    ) -> Option<(u32, usize)> {
        let address = source.ip().to_canonical();
        let mut number = None;
        for class in [&self.classes[transport as usize], &self.classes[3]] {
            let lengths = if address.is_ipv4() {
                &class.lengths_v4
            } else {
                &class.lengths_v6
            };
            for length in lengths {
                let Ok(net) = IpNet::new(masked(address, *length), *length) else {
                    continue;
                };
                for entry in class.nets.get(&net).into_iter().flatten() {
                    if entry.pattern.port.is_some_and(|port| port != source.port()) {
                        continue;
                    }
                    let Some(tech_prefix) = &entry.tech_prefix else {
                        return Some((entry.customer, 0));
                    };
                    let number = number.get_or_insert_with(|| dialled(user));
                    if without_plus(number).starts_with(tech_prefix.as_str()) {
                        return Some((entry.customer, tech_prefix.len()));
                    }
                }
            }
        }
        None
    }
}

/// The addresses that belong to one trunk, as sorted ranges that do not overlap.
#[derive(Debug, Default)]
pub(crate) struct OwnedRanges {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl OwnedRanges {
    pub(crate) fn add(&mut self, net: IpNet) {
        if net.address().is_ipv4() {
            &mut self.v4
        } else {
            &mut self.v6
        }
        .push(net.range());
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        self.v4.extend_from_slice(&other.v4);
        self.v6.extend_from_slice(&other.v6);
    }

    /// Sorts and joins what was added; needed once before [`Self::contains`].
    pub(crate) fn finish(&mut self) {
        for ranges in [&mut self.v4, &mut self.v6] {
            ranges.sort_unstable();
            ranges.dedup_by(|later, kept| {
                let overlaps = later.0 <= kept.1;
                if overlaps {
                    kept.1 = kept.1.max(later.1);
                }
                overlaps
            });
        }
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let ranges = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        let (wanted, _) = bits(address);
        let after = ranges.partition_point(|(first, _)| *first <= wanted);
        after > 0 && wanted <= ranges[after - 1].1
    }
}

#[cfg(test)]
mod tests;

//! Addresses of host names, as this lane last heard them from the resolver.
//!
//! A next hop that is an address never gets here. Entries live as long as their TTL, failures a little;
//! each table is bounded, and a full one forgets what it has known longest.

use hashbrown::HashMap;
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};
use transaction_layer::Transport;

/// Names kept in each table, at most.
const NAMES_MAX: usize = 4096;
/// How long a name that did not resolve is taken to stay so.
const NEGATIVE_US: u64 = 5_000_000;
/// How long a failing resolver leaves things as they are before it is asked again.
const STALE_US: u64 = 1_000_000;
/// The least time that an answer is used: a TTL of 0 must still serve the message that asked.
const POSITIVE_MIN_US: u64 = 1_000_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) transport: Transport,
}

struct Entry {
    addresses: Vec<SocketAddr>,
    expires_us: u64,
}

/// What is known of a name.
pub(crate) enum Known {
    Address(SocketAddr),
    Unresolvable,
    No,
}

/// The names of configured gateways, and those that peers write: however many these are, they take no room of those.
#[derive(Default)]
pub(crate) struct Names {
    gateways: Table,
    others: Table,
}

/// Names with their answers; a full table forgets the one that it has known longest.
#[derive(Default)]
struct Table {
    entries: HashMap<Name, Entry, foldhash::fast::RandomState>,
    oldest_first: VecDeque<Name>,
}

impl Table {
    fn insert(&mut self, name: Name, entry: Entry) {
        if let Some(known) = self.entries.get_mut(&name) {
            *known = entry;
            return;
        }
        if self.entries.len() >= NAMES_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.oldest_first.push_back(name.clone());
        self.entries.insert(name, entry);
    }
}

impl Names {
    pub(crate) fn find(&self, now_us: u64, name: &Name) -> Known {
        let entry = (self.gateways.entries.get(name)).or_else(|| self.others.entries.get(name));
        match entry {
            Some(entry) if now_us < entry.expires_us => entry
                .addresses
                .first()
                .map_or(Known::Unresolvable, |address| Known::Address(*address)),
            _ => Known::No,
        }
    }

    /// Whether any current answer for the gateway `host` holds `ip`: is this the named gateway?
    pub(crate) fn host_has(&self, host: &str, ip: IpAddr) -> bool {
        self.gateways.entries.iter().any(|(name, entry)| {
            name.host.eq_ignore_ascii_case(host) && entry.addresses.iter().any(|a| a.ip() == ip)
        })
    }

    /// Whether any gateway that is known by a name has this address.
    pub(crate) fn gateway_has(&self, ip: IpAddr) -> bool {
        let mut entries = self.gateways.entries.values();
        entries.any(|entry| entry.addresses.iter().any(|a| a.ip() == ip))
    }

    fn table(&mut self, of_gateway: bool) -> &mut Table {
        if of_gateway {
            &mut self.gateways
        } else {
            &mut self.others
        }
    }

    /// The resolver failed: an answer of before is used a little longer, and a name without one does not resolve for now.
    pub(crate) fn keep_stale(&mut self, now_us: u64, name: Name, of_gateway: bool) {
        let table = self.table(of_gateway);
        let expires_us = now_us + STALE_US;
        match table.entries.get_mut(&name) {
            Some(entry) => entry.expires_us = expires_us,
            None => table.insert(
                name,
                Entry {
                    addresses: Vec::new(),
                    expires_us,
                },
            ),
        }
    }

    /// Keeps an answer; an empty list says that there is no such name.
    pub(crate) fn learn(
        &mut self,
        now_us: u64,
        name: Name,
        of_gateway: bool,
        addresses: Vec<SocketAddr>,
        ttl_s: u32,
    ) {
        let lifetime_us = if addresses.is_empty() {
            NEGATIVE_US
        } else {
            (u64::from(ttl_s) * 1_000_000).max(POSITIVE_MIN_US)
        };
        let entry = Entry {
            addresses,
            expires_us: now_us + lifetime_us,
        };
        self.table(of_gateway).insert(name, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> Name {
        Name {
            host: format!("{n}.example"),
            port: None,
            transport: Transport::Udp,
        }
    }

    #[test]
    fn names_that_peers_write_push_out_each_other_and_no_gateway() {
        let mut names = Names::default();
        let address: SocketAddr = ([192, 0, 2, 9], 5060).into();
        names.learn(0, name(0), true, vec![address], 60);
        for n in 1..=NAMES_MAX + 1 {
            names.learn(0, name(n), false, vec![address], 60);
            // Said again, a name takes no second place.
            names.learn(0, name(n), false, vec![address], 60);
        }
        let known = |n| matches!(names.find(1, &name(n)), Known::Address(_));
        assert!(known(0) && !known(1) && known(2) && known(NAMES_MAX + 1));
        assert_eq!(names.others.oldest_first.len(), NAMES_MAX);
        assert!(names.host_has("0.EXAMPLE", address.ip()) && names.gateway_has(address.ip()));
        assert!(!names.host_has("2.example", address.ip()));
    }
}

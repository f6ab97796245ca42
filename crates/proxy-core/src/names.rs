//! Addresses of host names, as this lane last heard them from the resolver.
//!
//! A next hop that is an address never gets here. Entries live as long as their TTL, failures a little;
//! the table is bounded, and a full one forgets what expires first.

use hashbrown::HashMap;
use std::net::SocketAddr;
use transaction_layer::Transport;

/// Names kept, at most.
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

#[derive(Default)]
pub(crate) struct Names {
    entries: HashMap<Name, Entry, foldhash::fast::RandomState>,
}

impl Names {
    pub(crate) fn find(&self, now_us: u64, name: &Name) -> Known {
        match self.entries.get(name) {
            Some(entry) if now_us < entry.expires_us => entry
                .addresses
                .first()
                .map_or(Known::Unresolvable, |address| Known::Address(*address)),
            _ => Known::No,
        }
    }

    /// Whether any current answer for `host` holds `ip`: is this the named gateway?
    pub(crate) fn host_has(&self, host: &str, ip: std::net::IpAddr) -> bool {
        self.entries.iter().any(|(name, entry)| {
            name.host.eq_ignore_ascii_case(host) && entry.addresses.iter().any(|a| a.ip() == ip)
        })
    }

    /// The resolver failed: an answer of before is used a little longer, and a name without one does not resolve for now.
    pub(crate) fn keep_stale(&mut self, now_us: u64, name: Name) {
        match self.entries.get_mut(&name) {
            Some(entry) => entry.expires_us = now_us + STALE_US,
            None => {
                self.learn(now_us, name.clone(), Vec::new(), 0);
                if let Some(entry) = self.entries.get_mut(&name) {
                    entry.expires_us = now_us + STALE_US;
                }
            }
        }
    }

    /// Keeps an answer; an empty list says that there is no such name.
    pub(crate) fn learn(
        &mut self,
        now_us: u64,
        name: Name,
        addresses: Vec<SocketAddr>,
        ttl_s: u32,
    ) {
        if self.entries.len() >= NAMES_MAX && !self.entries.contains_key(&name) {
            self.entries.retain(|_, entry| now_us < entry.expires_us);
            if self.entries.len() >= NAMES_MAX {
                let soonest = self
                    .entries
                    .iter()
                    .min_by_key(|(_, e)| e.expires_us)
                    .map(|(name, _)| name.clone());
                if let Some(soonest) = soonest {
                    self.entries.remove(&soonest);
                }
            }
        }
        let lifetime_us = if addresses.is_empty() {
            NEGATIVE_US
        } else {
            (u64::from(ttl_s) * 1_000_000).max(POSITIVE_MIN_US)
        };
        self.entries.insert(
            name,
            Entry {
                addresses,
                expires_us: now_us + lifetime_us,
            },
        );
    }
}

//! The client transactions that have heard nothing yet, listed by the address they sent to.
//! Serves RFC 3261 §17.1.4: news that an address is unreachable must not search every transaction.
//! Leaves out the links of the lists, which are fields of the client transactions.

use std::net::SocketAddr;

use foldhash::quality::FixedState;
use hashbrown::HashMap;

use crate::slots::SlotId;

/// The first transaction of each list.
#[derive(Debug)]
pub(crate) struct Remotes {
    heads: HashMap<SocketAddr, SlotId, FixedState>,
}

impl Remotes {
    pub(crate) fn new(hash: FixedState) -> Self {
        Self {
            heads: HashMap::with_hasher(hash),
        }
    }

    /// The first transaction that waits to hear from `remote`.
    pub(crate) fn head(&self, remote: SocketAddr) -> Option<SlotId> {
        self.heads.get(&remote).copied()
    }

    /// Puts `id` first and returns the one that was first.
    pub(crate) fn push(&mut self, remote: SocketAddr, id: SlotId) -> Option<SlotId> {
        self.heads.insert(remote, id)
    }

    /// The first transaction left the list; `next` takes its place, if there is one.
    pub(crate) fn replace_head(&mut self, remote: SocketAddr, next: Option<SlotId>) {
        match next {
            Some(next) => {
                self.heads.insert(remote, next);
            }
            None => {
                self.heads.remove(&remote);
            }
        }
    }

    /// How many addresses have a list.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    /// What the table takes, bytes.
    #[cfg(test)]
    pub(crate) fn allocation_size(&self) -> usize {
        self.heads.allocation_size()
    }
}

//! What a run can be asked when it stands still.
//! Counters over all lanes and boots, channels in use, records.
//! Leaves out the checks themselves (`invariants`).

use std::collections::VecDeque;

use accounting::Record;
use proxy_core::{ProxyCore, Stat};
use routing::TrunkId;
use uuid::Uuid;

use super::World;
use crate::network::Datagram;

impl World {
    /// A counter over all lanes and boots.
    pub fn stat(&self, stat: Stat) -> u64 {
        let current: u64 = self.cores.iter().map(|core| core.stats().value(stat)).sum();
        current + self.past.get(stat.as_str()).copied().unwrap_or(0)
    }

    /// Refusals by cause over all lanes of this boot.
    pub fn refused(&self, cause: accounting::Cause) -> u64 {
        self.cores
            .iter()
            .map(|core| core.stats().refused(cause))
            .sum()
    }

    /// What crossed the boundary lately, latest first, with its moment, µs; empty unless `keep_traffic` is set.
    pub fn traffic(&self) -> &VecDeque<(u64, Datagram)> {
        &self.traffic
    }

    /// From now on what crosses the boundary is kept for a while.
    pub fn keep_traffic(&mut self) {
        self.config.keep_traffic = true;
    }

    /// Transactions left in all lanes.
    pub fn live_transactions(&self) -> usize {
        self.cores.iter().map(ProxyCore::live_transactions).sum()
    }

    /// Contexts left in all lanes.
    pub fn live_contexts(&self) -> usize {
        self.cores.iter().map(ProxyCore::live_contexts).sum()
    }

    /// Calls left in all lanes.
    pub fn live_calls(&self) -> usize {
        self.cores.iter().map(ProxyCore::live_calls).sum()
    }

    /// Channels in use of every trunk, customer first.
    pub fn channels(&self) -> Vec<u32> {
        let slot = |trunk: &TrunkId| self.slots.slot(*trunk).unwrap_or(0);
        self.limits
            .iter()
            .map(|(trunk, _)| self.counters.channels(slot(trunk)))
            .collect()
    }

    /// Whether calls come back to the proxy.
    pub fn comes_round(&self) -> bool {
        self.config.customer.round.is_some()
    }

    /// Where a trunk's counters are.
    pub fn slot_of(&self, trunk: TrunkId) -> u32 {
        self.slots.slot(trunk).unwrap_or(0)
    }

    /// The finished CDRs, in order.
    pub fn cdrs(&self) -> Vec<&accounting::Cdr> {
        let ended = self
            .records
            .iter()
            .filter_map(|recorded| match &recorded.record {
                Record::Ended(cdr) => Some(&**cdr),
                _ => None,
            });
        ended.collect()
    }

    /// The finished CDR of a call, if there is exactly one.
    pub fn cdr(&self, call_id: &str) -> Option<&accounting::Cdr> {
        let all: Vec<_> = self
            .cdrs()
            .into_iter()
            .filter(|cdr| cdr.call_id == call_id)
            .collect();
        if let [cdr] = all[..] { Some(cdr) } else { None }
    }

    /// Ids of calls with an `Answered` record.
    pub fn answered_ids(&self) -> Vec<Uuid> {
        let answered = self
            .records
            .iter()
            .filter_map(|recorded| match &recorded.record {
                Record::Answered(call) => Some(call.cdr.cdr_id),
                _ => None,
            });
        answered.collect()
    }
}

//! The numbers of a lane, for readers on other threads.
//! No RFC. A reader never makes a lane wait.
//! Leaves out how they are shown (`admin`).

use std::sync::TryLockError;

use proxy_core::Now;

use super::Worker;
use crate::lane_stats::LaneStat;

impl Worker {
    pub(super) fn publish(&mut self, now: Now) {
        self.counters.add(LaneStat::Turns, 1);
        let end_us = self.clock.mono_us();
        self.counters
            .add(LaneStat::BusyUs, end_us.saturating_sub(now.mono_us));
        self.counters.set(
            LaneStat::KernelDrops,
            self.ports.iter().map(|port| port.kernel_drops()).sum(),
        );
        self.counters
            .set(LaneStat::LiveCalls, self.core.live_calls() as u64);
        self.counters.set(
            LaneStat::LiveTransactions,
            self.core.live_transactions() as u64,
        );
        self.counters
            .set(LaneStat::LiveContexts, self.core.live_contexts() as u64);
        let unfinished = if self.draining {
            self.core.unfinished_requests()
        } else {
            0
        };
        self.counters
            .set(LaneStat::UnfinishedRequests, unfinished as u64);
        self.published.cells.publish(&self.counters);
        self.stats_pending = true;
        self.publish_stats(now.mono_us);
    }

    /// Publishes the core's counters when it is time. A reader that holds them just now makes it later.
    pub(super) fn publish_stats(&mut self, now_us: u64) {
        if now_us
            < self
                .stats_published_us
                .saturating_add(self.tuning.publish_us)
        {
            return;
        }
        match self.published.stats.try_lock() {
            Ok(mut stats) => stats.clone_from(self.core.stats()),
            Err(TryLockError::Poisoned(poisoned)) => {
                poisoned.into_inner().clone_from(self.core.stats())
            }
            Err(TryLockError::WouldBlock) => return,
        }
        self.stats_published_us = now_us;
        self.stats_pending = false;
    }
}

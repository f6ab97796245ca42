//! Who may call, and how much: the limits of customers and vendors.
//!
//! Each limit is one atomic shared by all lanes; what is taken here is given back exactly once, by whoever holds it.

use crate::{core::ProxyCore, output::Now, reply::Reject, stats::Stat};
use accounting::Cause;
use routing::Customer;

impl ProxyCore {
    /// Whether a customer may begin something now; an INVITE holds a channel from here on.
    pub(crate) fn admit(
        &mut self,
        now: Now,
        customer: &Customer,
        invite: bool,
    ) -> Result<(), Reject> {
        if self.draining {
            return Err(Reject::new(503, Cause::Draining));
        }
        if self.contexts.is_full() || self.calls.len() >= self.config.policy.calls_max {
            return Err(self.table_full());
        }
        let taken = if invite {
            self.take_limits(
                now,
                customer.slot,
                customer.channel_limit,
                customer.cps_limit,
            )
        } else if self
            .config
            .counters
            .try_take_cps(customer.slot, customer.cps_limit, now.mono_us)
        {
            Ok(())
        } else {
            Err(Cause::LimitCps)
        };
        taken.map_err(|cause| Reject::new(self.config.policy.limit_status, cause))
    }

    /// The refusal of what does not fit a table.
    pub(crate) fn table_full(&mut self) -> Reject {
        self.stats.count(Stat::TablesFull);
        Reject::new(503, Cause::Overload)
    }

    /// Takes a channel and a call of this second, or nothing.
    pub(crate) fn take_limits(
        &self,
        now: Now,
        slot: u32,
        channel_limit: Option<u32>,
        cps_limit: Option<u32>,
    ) -> Result<(), Cause> {
        let counters = &self.config.counters;
        if !counters.try_acquire_channel(slot, channel_limit) {
            return Err(Cause::LimitChannels);
        }
        if !counters.try_take_cps(slot, cps_limit, now.mono_us) {
            counters.release_channel(slot);
            return Err(Cause::LimitCps);
        }
        Ok(())
    }

    /// Gives a channel back, if there is one to give.
    pub(crate) fn give_channel(&self, slot: Option<u32>) {
        if let Some(slot) = slot {
            self.config.counters.release_channel(slot);
        }
    }
}

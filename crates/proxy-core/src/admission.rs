//! Who may call, and how much: the limits of customers and vendors.
//!
//! Each limit is one atomic shared by all lanes; what is taken here is given back exactly once, by whoever holds it.

use crate::{core::ProxyCore, output::Now};
use accounting::Cause;

impl ProxyCore {
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

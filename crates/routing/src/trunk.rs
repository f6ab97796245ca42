//! Trunks: their lasting identity, their counter slots, and the exact limits on calls and calls per second.
//!
//! One read-modify-write per call and counter, shared by all workers, keyed by a slot that outlives reloads and renames.
//! Leaves out which limit applies to whom (the snapshot says) and who must release (the call's owner).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// The most trunks (customers and vendors together) one process ever counts.
pub const TRUNKS_MAX: usize = 16_384;

/// Length of a CPS window, in µs.
pub const CPS_WINDOW_US: u64 = 1_000_000;

/// Which side of the business a trunk stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrunkSide {
    /// Sends calls and is billed for them.
    Customer,
    /// Takes calls and bills for them.
    Vendor,
}

/// The stable identity of a trunk: customers are `2 × id`, vendors `2 × id + 1`, where `id` is the store's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrunkId(pub u64);

impl TrunkId {
    /// The trunk of the customer with this key (not negative).
    #[must_use]
    pub const fn customer(id: i64) -> Self {
        Self(id.unsigned_abs() << 1)
    }

    /// The trunk of the vendor with this key (not negative).
    #[must_use]
    pub const fn vendor(id: i64) -> Self {
        Self((id.unsigned_abs() << 1) | 1)
    }

    /// Customer or vendor.
    #[must_use]
    pub const fn side(self) -> TrunkSide {
        if self.0 & 1 == 0 {
            TrunkSide::Customer
        } else {
            TrunkSide::Vendor
        }
    }
}

/// Gives each trunk its slot in [`TrunkCounters`], the same one for the life of the process.
///
/// Slots are never given away again, because a call of a removed trunk may still hold one.
#[derive(Debug, Default)]
pub struct SlotRegistry {
    slots: HashMap<TrunkId, u32, RandomState>,
}

impl SlotRegistry {
    /// An empty registry. One per process, kept over reloads.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot of `trunk`, assigned at its first use; `None` once [`TRUNKS_MAX`] trunks have one.
    pub fn assign(&mut self, trunk: TrunkId) -> Option<u32> {
        if let Some(slot) = self.slots.get(&trunk) {
            return Some(*slot);
        }
        let slot = self.slots.len();
        if slot >= TRUNKS_MAX {
            return None;
        }
        let slot = u32::try_from(slot).ok()?;
        self.slots.insert(trunk, slot);
        Some(slot)
    }

    /// The slot of a trunk that has one.
    #[must_use]
    pub fn slot(&self, trunk: TrunkId) -> Option<u32> {
        self.slots.get(&trunk).copied()
    }

    /// How many more trunks can get a slot.
    #[must_use]
    pub fn free(&self) -> usize {
        TRUNKS_MAX - self.slots.len()
    }
}

/// A counter alone on its cache line, so that two trunks never slow each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded<T>(T);

#[derive(Debug, Default)]
struct Counters {
    /// Calls that hold a channel now.
    channels: Padded<AtomicU32>,
    /// Window number in the upper half, calls taken in it in the lower half.
    cps: Padded<AtomicU64>,
}

/// Channel and CPS counters of all trunks; one value shared by all workers (`Arc`).
///
/// Slots come from [`SlotRegistry`]; one outside the table is a bug of the caller: debug builds panic, release builds refuse.
#[derive(Debug)]
pub struct TrunkCounters {
    trunks: Box<[Counters]>,
    underflows: AtomicU64,
}

impl Default for TrunkCounters {
    fn default() -> Self {
        Self::new()
    }
}

impl TrunkCounters {
    /// Counters for [`TRUNKS_MAX`] trunks, all at zero (2 MiB).
    #[must_use]
    pub fn new() -> Self {
        Self {
            trunks: (0..TRUNKS_MAX).map(|_| Counters::default()).collect(),
            underflows: AtomicU64::new(0),
        }
    }

    /// Takes one channel unless `limit` channels are taken; `None` is unlimited.
    ///
    /// Exact across workers: never above the limit, never refused below it.
    #[must_use]
    pub fn try_acquire_channel(&self, slot: u32, limit: Option<u32>) -> bool {
        let Some(trunk) = self.trunk(slot) else {
            return false;
        };
        // A single word carries the whole truth, so no ordering with other memory is needed.
        trunk
            .channels
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                if limit.is_some_and(|limit| taken >= limit) {
                    None
                } else {
                    taken.checked_add(1)
                }
            })
            .is_ok()
    }

    /// Gives one channel back. At zero it stays zero, which is counted in [`Self::underflows`] (and panics in debug builds).
    pub fn release_channel(&self, slot: u32) {
        let Some(trunk) = self.trunk(slot) else {
            return;
        };
        let released = trunk
            .channels
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_sub(1)
            })
            .is_ok();
        if !released {
            self.underflows.fetch_add(1, Ordering::Relaxed);
        }
        debug_assert!(
            released,
            "a channel of slot {slot} was released that nobody held"
        );
    }

    /// Takes `count` channels whatever the limit: for calls that were up before a restart.
    pub fn force_channels(&self, slot: u32, count: u32) {
        if let Some(trunk) = self.trunk(slot) {
            trunk.channels.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Takes one channel whatever the limit, for a call that cannot be refused any more; false says that it is beyond `limit`.
    pub fn take_channel_anyway(&self, slot: u32, limit: Option<u32>) -> bool {
        let Some(trunk) = self.trunk(slot) else {
            return true;
        };
        let taken = trunk.channels.0.fetch_add(1, Ordering::Relaxed);
        limit.is_none_or(|limit| taken < limit)
    }

    /// Channels taken now.
    #[must_use]
    pub fn channels(&self, slot: u32) -> u32 {
        self.trunk(slot)
            .map_or(0, |trunk| trunk.channels.0.load(Ordering::Relaxed))
    }

    /// Takes one call of this second unless `limit` were taken; `None` is unlimited.
    ///
    /// Windows are whole seconds of `now_us`, the same for all workers; no window ever holds more than `limit` calls.
    /// A worker whose `now_us` lags behind a window that another has opened is counted in that newer window.
    #[must_use]
    pub fn try_take_cps(&self, slot: u32, limit: Option<u32>, now_us: u64) -> bool {
        let Some(trunk) = self.trunk(slot) else {
            return false;
        };
        let window = (now_us / CPS_WINDOW_US) & 0xffff_ffff;
        trunk
            .cps
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let (current, taken) = (word >> 32, word & 0xffff_ffff);
                let (current, taken) = if window > current {
                    (window, 0)
                } else {
                    (current, taken)
                };
                if limit.is_some_and(|limit| taken >= u64::from(limit)) || taken == 0xffff_ffff {
                    return None;
                }
                Some((current << 32) | (taken + 1))
            })
            .is_ok()
    }

    /// Calls taken in the window of `now_us`.
    #[must_use]
    pub fn calls_this_second(&self, slot: u32, now_us: u64) -> u32 {
        let word = self
            .trunk(slot)
            .map_or(0, |trunk| trunk.cps.0.load(Ordering::Relaxed));
        let window = (now_us / CPS_WINDOW_US) & 0xffff_ffff;
        if word >> 32 < window {
            0
        } else {
            u32::try_from(word & 0xffff_ffff).unwrap_or(u32::MAX)
        }
    }

    /// Releases of channels that nobody held since the start. Anything but zero is a bug worth an alert.
    #[must_use]
    pub fn underflows(&self) -> u64 {
        self.underflows.load(Ordering::Relaxed)
    }

    fn trunk(&self, slot: u32) -> Option<&Counters> {
        let trunk = self.trunks.get(slot as usize);
        debug_assert!(trunk.is_some(), "slot {slot} is outside the table");
        trunk
    }
}

#[cfg(test)]
mod tests;

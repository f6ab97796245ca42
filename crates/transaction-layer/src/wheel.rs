//! A hierarchical timer wheel: five levels of 64 slots over ticks of 8.192 ms.
//! Serves the timers of RFC 3261 §17 and, for the proxy core, Timer C and call durations.
//! Leaves out the clock: `now` is passed in; deadlines beyond the horizon of 101 days are kept and re-sorted.
//!
//! Timers are kept in intrusive lists, one per slot, so insert and cancel take constant time. A level's slot
//! is 64 times as wide as one of the level below; when the wheel enters a slot above level 0, its timers move
//! down. A bitmap per level makes the next occupied slot one instruction away.

use crate::slots::{SlotId, Slots};

#[cfg(test)]
mod tests;

/// log2 of the tick in µs.
const TICK_SHIFT: u32 = 13;

/// The tick, µs: a timer fires at the first tick at or after its deadline, never before.
pub const TICK_US: u64 = 1 << TICK_SHIFT;

/// log2 of the slots per level: a level is one digit of the tick in base 64.
const DIGIT_BITS: u8 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: u8 = 5;

/// A timer in a wheel. Safe to keep when stale: a fired or cancelled timer is never found again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerId(SlotId);

#[derive(Debug)]
struct Node<T> {
    deadline_us: u64,
    previous: Option<SlotId>,
    next: Option<SlotId>,
    level: u8,
    slot: u8,
    payload: T,
}

/// Timers with a payload each, such as the id of a transaction.
#[derive(Debug)]
pub struct TimerWheel<T: Copy> {
    nodes: Slots<Node<T>>,
    heads: [[Option<SlotId>; SLOTS]; LEVELS as usize],
    /// One bit per slot that holds a timer.
    occupied: [u64; LEVELS as usize],
    /// The tick up to which timers have fired.
    current: u64,
}

impl<T: Copy> Default for TimerWheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> TimerWheel<T> {
    /// An empty wheel whose time is 0.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: Slots::new(),
            heads: [[None; SLOTS]; LEVELS as usize],
            occupied: [0; LEVELS as usize],
            current: 0,
        }
    }

    /// The number of timers that run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no timer runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts a timer that fires at the first tick at or after `deadline_us`; one that lies in the past fires at
    /// the next tick. `now_us` only brings an empty wheel up to date. Constant time.
    ///
    /// # Panics
    /// When 2^32 - 1 timers run already, which the limits of this crate exclude.
    #[expect(
        clippy::expect_used,
        reason = "4 billion timers cannot be reached below TRANSACTIONS_MAX"
    )]
    pub fn insert(&mut self, now_us: u64, deadline_us: u64, payload: T) -> TimerId {
        if self.is_empty() {
            self.current = self.current.max(now_us >> TICK_SHIFT);
        }
        let id = self
            .nodes
            .insert(Node {
                deadline_us,
                previous: None,
                next: None,
                level: 0,
                slot: 0,
                payload,
            })
            .expect("fewer than 2^32 timers");
        // The slot of the current tick has been emptied already.
        let tick = tick_at_or_after(deadline_us).max(self.current + 1);
        self.link(id, tick);
        TimerId(id)
    }

    /// Stops a timer; `false` when it has fired or was cancelled before. Constant time.
    pub fn cancel(&mut self, id: TimerId) -> bool {
        let Some(node) = self.nodes.remove(id.0) else {
            return false;
        };
        if let Some(next) = node.next.and_then(|next| self.nodes.item_mut(next)) {
            next.previous = node.previous;
        }
        match node
            .previous
            .and_then(|previous| self.nodes.item_mut(previous))
        {
            Some(previous) => previous.next = node.next,
            None => self.set_head(node.level, node.slot, node.next),
        }
        true
    }

    /// Appends the payloads of all timers that are due at `now_us` to `fired`, earlier ticks first.
    pub fn expire(&mut self, now_us: u64, fired: &mut Vec<T>) {
        self.expire_each(now_us, |_, payload| fired.push(payload));
    }

    /// As `expire`, with the deadline that each timer was started with, µs.
    pub(crate) fn expire_each(&mut self, now_us: u64, mut on_fired: impl FnMut(u64, T)) {
        let target = now_us >> TICK_SHIFT;
        while let Some((start, level, slot)) = self.next_slot()
            && start <= target
        {
            self.current = start;
            let mut head = self.head(level, slot);
            self.set_head(level, slot, None);
            while let Some(id) = head
                && let Some(node) = self.nodes.item(id)
            {
                let (deadline_us, payload, next) = (node.deadline_us, node.payload, node.next);
                let tick = tick_at_or_after(deadline_us);
                if tick <= start {
                    self.nodes.remove(id);
                    on_fired(deadline_us, payload);
                } else {
                    self.link(id, tick);
                }
                head = next;
            }
        }
        self.current = self.current.max(target);
    }

    /// When `expire` should be called next, µs: exact when a timer is due within half a second, otherwise the time
    /// at which the wheel has to look more closely, which is never after the first deadline's tick.
    /// `None` when no timer runs. Constant time.
    #[must_use]
    pub fn next_deadline_us(&self) -> Option<u64> {
        let (start, _, _) = self.next_slot()?;
        Some(start << TICK_SHIFT)
    }

    /// The next occupied slot: its first tick, level and index.
    fn next_slot(&self) -> Option<(u64, u8, u8)> {
        // A timer shares all digits above its level with `current`, so a lower level always comes first.
        let level = (0..LEVELS).find(|level| self.occupied[usize::from(*level)] != 0)?;
        let shift = level * DIGIT_BITS;
        let digit = digit(self.current >> shift);
        // Counted from the slot after the current one. Only the top level ever wraps.
        let occupied = self.occupied[usize::from(level)];
        let ahead = 1 + u64::from(occupied.rotate_right(u32::from(digit) + 1).trailing_zeros());
        let start = ((self.current >> shift) + ahead) << shift;
        Some((start, level, self::digit(start >> shift)))
    }

    /// Puts a node into the slot for `tick`, which lies after `current`, or is `current` while a slot is emptied.
    fn link(&mut self, id: SlotId, tick: u64) {
        let level = (0..LEVELS - 1)
            .find(|level| (tick ^ self.current) >> ((level + 1) * DIGIT_BITS) == 0)
            .unwrap_or(LEVELS - 1);
        let shift = level * DIGIT_BITS;
        // Beyond the horizon a timer lands in a slot that is reached too soon, and is sorted anew from there.
        let slot = digit(tick >> shift);
        let head = self.head(level, slot);
        if let Some(next) = head.and_then(|next| self.nodes.item_mut(next)) {
            next.previous = Some(id);
        }
        if let Some(node) = self.nodes.item_mut(id) {
            node.previous = None;
            node.next = head;
            (node.level, node.slot) = (level, slot);
        }
        self.set_head(level, slot, Some(id));
    }

    fn head(&self, level: u8, slot: u8) -> Option<SlotId> {
        self.heads[usize::from(level)][usize::from(slot)]
    }

    fn set_head(&mut self, level: u8, slot: u8, head: Option<SlotId>) {
        let occupied = &mut self.occupied[usize::from(level)];
        let bit = 1_u64 << slot;
        match head {
            Some(_) => *occupied |= bit,
            None => *occupied &= !bit,
        }
        self.heads[usize::from(level)][usize::from(slot)] = head;
    }
}

/// The lowest digit in base 64.
fn digit(number: u64) -> u8 {
    (number & 0x3f) as u8
}

/// The first tick at or after a time, so that no timer fires early.
fn tick_at_or_after(deadline_us: u64) -> u64 {
    (deadline_us >> TICK_SHIFT) + u64::from(deadline_us & (TICK_US - 1) != 0)
}

#[cfg(test)]
impl<T: Copy> TimerWheel<T> {
    /// What a timer takes, bytes.
    pub(crate) const TIMER_BYTES: usize = Slots::<Node<T>>::SLOT_BYTES;

    /// How many timers ran at once at most.
    pub(crate) fn made(&self) -> usize {
        self.nodes.made()
    }
}

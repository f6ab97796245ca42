//! Timers of the generator: a heap of (due, call, slot) entries that are checked when they come up.
//! The retransmission intervals are those of RFC 3261 §17 (Timers A, B, E, F, G, H) with the default T1 and T2.
//! An entry is never removed: one whose slot has moved on is simply ignored by its owner.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// RFC 3261 T1 in microseconds.
pub const T1_US: u64 = 500_000;
/// RFC 3261 T2 in microseconds.
pub const T2_US: u64 = 4_000_000;
/// 64·T1, after which a transaction gives up (Timers B, F, H), in microseconds.
pub const GIVE_UP_US: u64 = 64 * T1_US;
/// "No timer set".
pub const NEVER: u64 = u64::MAX;

/// Which of a call's two timers is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// The next retransmission.
    Resend,
    /// The next step of the call's script (answer, hang up, cancel, give up).
    Act,
}

/// The pending timers of one side.
#[derive(Default)]
pub struct Schedule {
    heap: BinaryHeap<Reverse<(u64, u32, Slot)>>,
}

impl Schedule {
    /// Sets a timer of call `call` for `at_us`; [`NEVER`] sets none.
    pub fn set(&mut self, at_us: u64, call: u32, slot: Slot) {
        if at_us != NEVER {
            self.heap.push(Reverse((at_us, call, slot)));
        }
    }

    /// Takes the next timer due at `now_us`, if any.
    pub fn due(&mut self, now_us: u64) -> Option<(u64, u32, Slot)> {
        let Reverse(first) = *self.heap.peek()?;
        if first.0 > now_us {
            return None;
        }
        self.heap.pop();
        Some(first)
    }

    /// When the next timer is due.
    pub fn next_us(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at_us, ..))| *at_us)
    }
}

/// A running retransmission: when next, and after which interval.
#[derive(Clone, Copy, Debug)]
pub struct Resend {
    /// When the next copy leaves; [`NEVER`] when none does.
    pub at_us: u64,
    interval_us: u64,
    give_up_us: u64,
}

/// What a retransmission timer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendStep {
    /// Send one more copy.
    Again,
    /// 64·T1 are over.
    GiveUp,
}

impl Resend {
    /// Not running.
    pub const OFF: Self = Self {
        at_us: NEVER,
        interval_us: 0,
        give_up_us: NEVER,
    };

    /// Started by the first copy, sent at `now_us`.
    pub fn start(now_us: u64) -> Self {
        Self {
            at_us: now_us + T1_US,
            interval_us: T1_US,
            give_up_us: now_us + GIVE_UP_US,
        }
    }

    /// No further copy; only the end of 64·T1 is waited for, from `now_us`.
    pub fn wait_only(now_us: u64) -> Self {
        Self {
            at_us: now_us + GIVE_UP_US,
            interval_us: T1_US,
            give_up_us: now_us + GIVE_UP_US,
        }
    }

    /// Moves on at `now_us`. Intervals double up to `interval_max_us`: [`T2_US`], or [`NEVER`] for an INVITE (Timer A).
    pub fn step(&mut self, now_us: u64, interval_max_us: u64) -> ResendStep {
        if now_us >= self.give_up_us {
            *self = Self::OFF;
            return ResendStep::GiveUp;
        }
        self.interval_us = (self.interval_us * 2).min(interval_max_us);
        self.at_us = (now_us + self.interval_us).min(self.give_up_us);
        ResendStep::Again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times at which copies leave after the first, in units of T1, until the transaction gives up.
    fn copies(interval_max_us: u64) -> (Vec<u64>, u64) {
        let mut resend = Resend::start(0);
        let mut at = Vec::new();
        loop {
            let now = resend.at_us;
            match resend.step(now, interval_max_us) {
                ResendStep::Again => at.push(now / T1_US),
                ResendStep::GiveUp => return (at, now / T1_US),
            }
        }
    }

    #[test]
    fn an_invite_is_sent_seven_times_in_all_and_given_up_after_64_t1() {
        assert_eq!(copies(NEVER), (vec![1, 3, 7, 15, 31, 63], 64));
    }

    #[test]
    fn a_bye_backs_off_to_t2_and_is_sent_eleven_times_in_all() {
        assert_eq!(
            copies(T2_US),
            (vec![1, 3, 7, 15, 23, 31, 39, 47, 55, 63], 64)
        );
    }

    #[test]
    fn timers_come_up_in_order_and_never_early() {
        let mut schedule = Schedule::default();
        schedule.set(30, 1, Slot::Act);
        schedule.set(10, 2, Slot::Resend);
        schedule.set(NEVER, 3, Slot::Act);
        assert_eq!(schedule.next_us(), Some(10));
        assert_eq!(schedule.due(9), None);
        assert_eq!(schedule.due(40), Some((10, 2, Slot::Resend)));
        assert_eq!(schedule.due(40), Some((30, 1, Slot::Act)));
        assert_eq!(schedule.due(u64::MAX), None);
    }
}

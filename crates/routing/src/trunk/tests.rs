//! Tests of identities, slots and counters, alone and under two threads.

use std::sync::atomic::AtomicI64;

use proptest::prelude::*;

use super::*;
use crate::testing::Random;

#[test]
fn identities_of_customers_and_vendors_never_meet() {
    assert_eq!(TrunkId::customer(7), TrunkId(14));
    assert_eq!(TrunkId::vendor(7), TrunkId(15));
    assert_eq!(TrunkId::customer(7).side(), TrunkSide::Customer);
    assert_eq!(TrunkId::vendor(7).side(), TrunkSide::Vendor);
}

#[test]
fn a_trunk_keeps_its_slot_and_the_table_ends() {
    let mut slots = SlotRegistry::new();
    let first = slots.assign(TrunkId(2)).unwrap();
    for trunk in 10..10 + TRUNKS_MAX as u64 - 1 {
        assert!(slots.assign(TrunkId(trunk)).is_some());
    }
    assert_eq!(slots.free(), 0);
    assert_eq!(slots.assign(TrunkId(1)), None);
    assert_eq!(slots.assign(TrunkId(2)), Some(first));
}

#[test]
fn a_limit_of_zero_takes_nothing_and_none_takes_all() {
    let counters = TrunkCounters::new();
    assert!(!counters.try_acquire_channel(0, Some(0)));
    assert!(!counters.try_take_cps(0, Some(0), 0));
    assert!(counters.try_acquire_channel(0, None));
    assert!(counters.try_take_cps(0, None, 0));
    assert_eq!(counters.channels(0), 1);
    assert_eq!(counters.calls_this_second(0, 999_999), 1);
    assert_eq!(counters.calls_this_second(0, 1_000_000), 0);
}

#[test]
fn forced_channels_count_against_the_limit() {
    let counters = TrunkCounters::new();
    counters.force_channels(3, 5);
    assert!(!counters.try_acquire_channel(3, Some(5)));
    counters.release_channel(3);
    assert!(counters.try_acquire_channel(3, Some(5)));
    assert_eq!(counters.channels(3), 5);
}

#[test]
fn a_worker_whose_clock_lags_is_counted_in_the_newer_window() {
    let counters = TrunkCounters::new();
    assert!(counters.try_take_cps(0, Some(2), 5_000_000));
    assert!(counters.try_take_cps(0, Some(2), 4_999_999));
    assert!(!counters.try_take_cps(0, Some(2), 4_999_999));
    assert!(!counters.try_take_cps(0, Some(2), 5_000_001));
    assert!(counters.try_take_cps(0, Some(2), 6_000_000));
}

#[cfg(not(debug_assertions))]
#[test]
fn a_release_too_many_stays_at_zero_and_is_counted() {
    let counters = TrunkCounters::new();
    counters.release_channel(0);
    assert_eq!((counters.channels(0), counters.underflows()), (0, 1));
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "that nobody held")]
fn a_release_too_many_is_a_bug_in_debug_builds() {
    TrunkCounters::new().release_channel(0);
}

proptest! {
    /// One thread: the counter does what a plain number would do.
    #[test]
    fn channels_follow_a_plain_count(steps in proptest::collection::vec((any::<bool>(), 0u32..6), 0..200)) {
        let counters = TrunkCounters::new();
        let mut held = 0;
        for (acquire, limit) in steps {
            if acquire {
                let taken = counters.try_acquire_channel(1, Some(limit));
                prop_assert_eq!(taken, held < limit);
                held += u32::from(taken);
            } else if held > 0 {
                counters.release_channel(1);
                held -= 1;
            }
            prop_assert_eq!(counters.channels(1), held);
        }
    }

    /// One thread, time going forward: each window holds exactly as many as allowed.
    #[test]
    fn cps_follows_a_plain_count(steps in proptest::collection::vec(0u64..700_000, 0..200), limit in 0u32..5) {
        let counters = TrunkCounters::new();
        let (mut now_us, mut window, mut taken) = (0, 0, 0);
        for step in steps {
            now_us += step;
            if now_us / CPS_WINDOW_US != window {
                (window, taken) = (now_us / CPS_WINDOW_US, 0);
            }
            let allowed = counters.try_take_cps(9, Some(limit), now_us);
            prop_assert_eq!(allowed, taken < limit);
            taken += u32::from(allowed);
        }
    }
}

#[test]
fn two_threads_and_a_million_events_never_pass_the_limit_and_end_at_zero() {
    const LIMIT: u32 = 40;
    let counters = TrunkCounters::new();
    // Counted up after an acquire and down before a release: never more than what is really held.
    let held = AtomicI64::new(0);
    let highest = AtomicI64::new(0);
    let refused = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (counters, held, highest, refused) = (&counters, &held, &highest, &refused);
            scope.spawn(move || {
                let mut random = Random(seed);
                let mut mine = 0;
                for _ in 0..600_000 {
                    // Long runs up and down, so that both threads meet at the limit.
                    if random.below(100) < 52 {
                        if counters.try_acquire_channel(5, Some(LIMIT)) {
                            mine += 1;
                            highest.fetch_max(
                                held.fetch_add(1, Ordering::SeqCst) + 1,
                                Ordering::SeqCst,
                            );
                        } else {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    } else if mine > 0 {
                        mine -= 1;
                        held.fetch_sub(1, Ordering::SeqCst);
                        counters.release_channel(5);
                    }
                    assert!(counters.channels(5) <= LIMIT);
                }
                for _ in 0..mine {
                    held.fetch_sub(1, Ordering::SeqCst);
                    counters.release_channel(5);
                }
            });
        }
    });
    assert!(highest.load(Ordering::SeqCst) <= i64::from(LIMIT));
    assert!(
        refused.load(Ordering::Relaxed) > 0,
        "the limit was never met: the test shows nothing"
    );
    assert_eq!(
        (
            counters.channels(5),
            counters.channels(4),
            counters.channels(6)
        ),
        (0, 0, 0)
    );
    assert_eq!(counters.underflows(), 0);
}

#[test]
fn two_threads_with_skewed_clocks_never_take_more_than_the_limit_in_a_window() {
    const LIMIT: u32 = 100;
    const WINDOWS: u64 = 50;
    let counters = TrunkCounters::new();
    let clock_us = AtomicU64::new(0);
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (counters, clock_us, taken) = (&counters, &clock_us, &taken);
            scope.spawn(move || {
                let mut random = Random(seed);
                loop {
                    let now_us = clock_us.fetch_add(random.below(200), Ordering::Relaxed);
                    if now_us >= WINDOWS * CPS_WINDOW_US {
                        return;
                    }
                    // A worker's clock is read once a turn: it lags by up to a few ms.
                    if counters.try_take_cps(
                        2,
                        Some(LIMIT),
                        now_us.saturating_sub(random.below(5_000)),
                    ) {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    // Far more is asked than allowed, so each window must be exactly full.
    assert_eq!(taken.load(Ordering::Relaxed), WINDOWS * u64::from(LIMIT));
}

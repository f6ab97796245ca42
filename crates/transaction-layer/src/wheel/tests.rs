//! The wheel against a model, and its promises: never early, at most one tick late, any order of calls.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const HOUR_US: u64 = 3_600_000_000;

fn fired(wheel: &mut TimerWheel<u32>, now_us: u64) -> Vec<u32> {
    let mut out = Vec::new();
    wheel.expire(now_us, &mut out);
    out
}

#[test]
fn a_timer_fires_at_the_first_tick_at_or_after_its_deadline() {
    for deadline_us in [1, TICK_US - 1, TICK_US, TICK_US + 1, 500_000, 48 * HOUR_US] {
        let mut wheel = TimerWheel::new();
        wheel.insert(0, deadline_us, 7);
        let due_us = deadline_us.div_ceil(TICK_US) * TICK_US;
        assert_eq!(fired(&mut wheel, due_us - 1), [], "{deadline_us}");
        assert_eq!(fired(&mut wheel, due_us), [7], "{deadline_us}");
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_deadline_us(), None);
    }
}

#[test]
fn a_deadline_in_the_past_fires_at_the_next_tick() {
    let mut wheel = TimerWheel::new();
    let now_us = 1000 * TICK_US;
    assert_eq!(fired(&mut wheel, now_us), []);
    wheel.insert(now_us, 5, 1);
    assert_eq!(wheel.next_deadline_us(), Some(now_us + TICK_US));
    assert_eq!(fired(&mut wheel, now_us), []);
    assert_eq!(fired(&mut wheel, now_us + TICK_US), [1]);
}

#[test]
fn a_cancelled_or_fired_timer_cannot_be_cancelled_again() {
    let mut wheel = TimerWheel::new();
    let first = wheel.insert(0, 10_000, 1);
    let second = wheel.insert(0, 10_000, 2);
    let third = wheel.insert(0, 10_000, 3);
    assert!(wheel.cancel(second));
    assert!(!wheel.cancel(second));
    let mut out = fired(&mut wheel, 20_000);
    out.sort_unstable();
    assert_eq!(out, [1, 3]);
    assert!(!wheel.cancel(first));
    assert!(!wheel.cancel(third));
    let reused = wheel.insert(20_000, 30_000, 4);
    assert!(!wheel.cancel(first), "an old id does not hit a new timer");
    assert!(wheel.cancel(reused));
}

#[test]
fn timers_fire_in_the_order_of_their_ticks_after_a_long_pause() {
    let mut wheel = TimerWheel::new();
    for n in (0..2000_u32).rev() {
        wheel.insert(0, u64::from(n) * 9_000 * u64::from(n), n);
    }
    let out = fired(&mut wheel, 50 * HOUR_US);
    assert_eq!(out, (0..2000).collect::<Vec<_>>());
}

#[test]
fn a_deadline_beyond_the_horizon_is_kept() {
    let mut wheel = TimerWheel::new();
    let deadline_us = 24 * 400 * HOUR_US;
    wheel.insert(0, deadline_us, 1);
    let mut turns = 0;
    while let Some(next_us) = wheel.next_deadline_us() {
        turns += 1;
        assert!(turns < 1000, "the wheel makes progress");
        let out = fired(&mut wheel, next_us);
        assert_eq!(!out.is_empty(), next_us >= deadline_us);
    }
    assert!(wheel.is_empty());
}

#[test]
fn the_next_deadline_is_exact_within_half_a_second() {
    let mut wheel = TimerWheel::new();
    wheel.insert(0, 300_000, 1);
    wheel.insert(0, 30_000_000, 2);
    assert_eq!(
        wheel.next_deadline_us(),
        Some(300_000_u64.div_ceil(TICK_US) * TICK_US)
    );
}

#[derive(Clone, Debug)]
enum Call {
    /// Starts a timer so long after now, µs.
    Insert(u64),
    /// Cancels the timer started at this place of the history, modulo its length.
    Cancel(usize),
    /// Lets so much time pass, µs.
    Wait(u64),
    /// Goes to the next deadline.
    Jump,
}

fn call() -> impl Strategy<Value = Call> {
    // Durations over all levels, evenly by magnitude, and around powers of 64 ticks.
    let duration = prop_oneof![
        (0_u32..44).prop_flat_map(|bits| 0..(1_u64 << bits)),
        (0_u32..7, 0_u64..5).prop_map(|(level, off)| {
            (TICK_US << (6 * level)).saturating_sub(2 * TICK_US) + off * TICK_US
        }),
    ];
    prop_oneof![
        4 => duration.clone().prop_map(Call::Insert),
        2 => any::<usize>().prop_map(Call::Cancel),
        2 => duration.prop_map(Call::Wait),
        3 => Just(Call::Jump),
    ]
}

proptest! {
    #[test]
    fn the_wheel_agrees_with_a_heap(
        start_tick in prop_oneof![Just(0_u64), Just((1 << 30) - 3), 0..(1_u64 << 32)],
        calls in vec(call(), 1..200),
    ) {
        let mut now_us = start_tick * TICK_US;
        let mut wheel = TimerWheel::new();
        let mut heap = BinaryHeap::new();
        let mut history: Vec<TimerId> = Vec::new();
        let mut running = BTreeSet::new();
        prop_assert_eq!(fired(&mut wheel, now_us), []);
        // The tick up to which the wheel has run: a deadline not after it fires one tick later.
        let mut ran_to = start_tick;
        for call in calls {
            match call {
                Call::Insert(in_us) => {
                    let n = u32::try_from(history.len()).unwrap();
                    let deadline_us = now_us + in_us;
                    history.push(wheel.insert(now_us, deadline_us, n));
                    running.insert(n);
                    heap.push(Reverse((deadline_us.div_ceil(TICK_US).max(ran_to + 1), n)));
                }
                Call::Cancel(place) if !history.is_empty() => {
                    let place = place % history.len();
                    let n = u32::try_from(place).unwrap();
                    prop_assert_eq!(wheel.cancel(history[place]), running.remove(&n));
                }
                Call::Cancel(_) => {}
                Call::Wait(us) => now_us += us,
                Call::Jump => {
                    if let Some(next_us) = wheel.next_deadline_us() {
                        now_us = now_us.max(next_us);
                    }
                }
            }
            let model_next = std::iter::from_fn(|| {
                let Reverse((tick, n)) = *heap.peek()?;
                if running.contains(&n) {
                    return Some(Some(tick));
                }
                heap.pop();
                Some(None)
            }).flatten().next();
            match (wheel.next_deadline_us(), model_next) {
                (None, None) => {}
                (Some(wheel_us), Some(tick)) => {
                    prop_assert!(wheel_us <= tick * TICK_US, "a deadline is never slept through");
                    prop_assert!(wheel_us > ran_to * TICK_US, "each call makes progress");
                }
                other => prop_assert!(false, "{other:?}"),
            }
            let mut expected = Vec::new();
            while let Some(&Reverse((tick, n))) = heap.peek() {
                if tick * TICK_US > now_us {
                    break;
                }
                heap.pop();
                if running.remove(&n) {
                    expected.push(n);
                }
            }
            let mut found = fired(&mut wheel, now_us);
            ran_to = ran_to.max(now_us / TICK_US);
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(wheel.len(), running.len());
        }
    }
}

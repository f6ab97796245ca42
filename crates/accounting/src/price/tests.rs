//! Prices worked by hand: each case shows its arithmetic.

use super::*;
use proptest::prelude::*;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn terms(
    rate: &str,
    connect_fee: &str,
    initial_interval_s: u32,
    next_rate: &str,
    next_interval_s: u32,
) -> RateTerms {
    RateTerms {
        rate: decimal(rate),
        connect_fee: decimal(connect_fee),
        initial_interval_s,
        next_rate: decimal(next_rate),
        next_interval_s,
    }
}

const SECOND_US: u64 = 1_000_000;

#[test]
fn prices_agree_with_those_worked_by_hand() {
    // (terms, duration in µs, billed seconds, price); the working is beside each case.
    let cases = [
        // 60/60 at 0.01: one minute is one whole initial interval: 60·0.01/60 = 0.01.
        (
            terms("0.01", "0", 60, "0.01", 60),
            60 * SECOND_US,
            60,
            "0.01",
        ),
        // 60/60, 61 s: ⌈1/60⌉ = 1 more minute: 0.01 + 0.01 = 0.02.
        (
            terms("0.01", "0", 60, "0.01", 60),
            61 * SECOND_US,
            120,
            "0.02",
        ),
        // 60/60, 1 s: the initial interval is charged whole.
        (terms("0.01", "0", 60, "0.01", 60), SECOND_US, 60, "0.01"),
        // 30/6 at 0.012, 31 s: 30·0.012/60 = 0.006; ⌈1/6⌉ = 1, 6·0.012/60 = 0.0012; sum 0.0072.
        (
            terms("0.012", "0", 30, "0.012", 6),
            31 * SECOND_US,
            36,
            "0.0072",
        ),
        // 30/6 at 0.012, 30 s: nothing beyond the initial interval.
        (
            terms("0.012", "0", 30, "0.012", 6),
            30 * SECOND_US,
            30,
            "0.006",
        ),
        // 30/6 at 0.012, 42 s: ⌈12/6⌉ = 2, 12·0.012/60 = 0.0024; sum 0.0084.
        (
            terms("0.012", "0", 30, "0.012", 6),
            42 * SECOND_US,
            42,
            "0.0084",
        ),
        // 1/1 at 0.006, 10 s: 10·0.0001 = 0.001.
        (
            terms("0.006", "0", 1, "0.006", 1),
            10 * SECOND_US,
            10,
            "0.001",
        ),
        // Connect fee 0.05, 60 s at 0.6 then 0.3 by 10 s; 75 s: 0.05 + 0.6 + ⌈15/10⌉·10·0.3/60 = 0.05 + 0.6 + 0.1.
        (
            terms("0.6", "0.05", 60, "0.3", 10),
            75 * SECOND_US,
            80,
            "0.75",
        ),
        // One microsecond answered is one second: 0.05 + 0.6 for the initial minute.
        (terms("0.6", "0.05", 60, "0.3", 10), 1, 60, "0.65"),
        // 60.000001 s is 61 s: one more interval of 10 s at 0.3: 0.05.
        (
            terms("0.6", "0.05", 60, "0.3", 10),
            60 * SECOND_US + 1,
            70,
            "0.7",
        ),
        // No initial interval: 7 s in steps of 5 is 10 s: 10·0.3/60 = 0.05.
        (terms("0.6", "0", 0, "0.3", 5), 7 * SECOND_US, 10, "0.05"),
        // A next interval of 0 is taken as 1: 2 s at 0.6 by the second: 2·0.01.
        (terms("0.6", "0", 1, "0.6", 0), 2 * SECOND_US, 2, "0.02"),
        // Free call with a fee.
        (terms("0", "0.1", 1, "0", 1), 3600 * SECOND_US, 3600, "0.1"),
        // Thirds of a cent: 1 s at 0.01 is 0.01/60 to 28 significant digits.
        (
            terms("0.01", "0", 1, "0.01", 1),
            SECOND_US,
            1,
            "0.0001666666666666666666666667",
        ),
        // 20 s + 40 s of the same 0.01: sixtieths are added before the division, so exactly one minute.
        (
            terms("0.01", "0", 20, "0.01", 40),
            60 * SECOND_US,
            60,
            "0.01",
        ),
        // Ten hours at 0.0125: 600·0.0125 = 7.5.
        (
            terms("0.0125", "0", 1, "0.0125", 1),
            36_000 * SECOND_US,
            36_000,
            "7.5",
        ),
    ];
    for (terms, duration_us, billed_s, expected) in cases {
        let priced = price(&terms, duration_us);
        assert_eq!(
            (priced.billed_s, priced.price),
            (billed_s, decimal(expected)),
            "{duration_us} µs of {terms:?}"
        );
    }
}

#[test]
fn an_unanswered_call_costs_nothing_not_even_the_connect_fee() {
    let priced = price(&terms("0.6", "0.05", 60, "0.3", 10), 0);
    assert_eq!(
        priced,
        Priced {
            billed_s: 0,
            price: Decimal::ZERO
        }
    );
}

#[test]
fn a_price_shows_no_trailing_zeros() {
    assert_eq!(
        price(&terms("0.0100", "0.000", 60, "0.01", 60), 60 * SECOND_US)
            .price
            .to_string(),
        "0.01"
    );
}

#[test]
fn a_price_beyond_all_digits_is_capped_instead_of_a_panic() {
    let huge = RateTerms::per_second(Decimal::MAX);
    let priced = price(&huge, u64::MAX);
    assert_eq!((priced.billed_s, priced.price), (u32::MAX, Decimal::MAX));
}

proptest! {
    #[test]
    fn a_longer_call_never_costs_less_and_is_never_billed_below_its_duration(
        rate in 0i64..1_000_000, next_rate in 0i64..1_000_000, fee in 0i64..1_000_000,
        initial in 0u32..120, next in 0u32..120, first_us in 1u64..10_000_000_000, more_us in 0u64..10_000_000_000,
    ) {
        let terms = RateTerms {
            rate: Decimal::new(rate, 6),
            connect_fee: Decimal::new(fee, 6),
            initial_interval_s: initial,
            next_rate: Decimal::new(next_rate, 6),
            next_interval_s: next,
        };
        let (short, long) = (price(&terms, first_us), price(&terms, first_us + more_us));
        prop_assert!(long.price >= short.price);
        prop_assert!(u64::from(short.billed_s) * 1_000_000 >= first_us);
        prop_assert!(u64::from(short.billed_s) < first_us.div_ceil(1_000_000).max(u64::from(initial)) + u64::from(next.max(1)));
    }
}

//! The price of a call: connect fee, first interval, following intervals, in exact decimal arithmetic.
//! No floats anywhere, one division by 60 at the very end, no rounding to a currency's digits.
//! Leaves out: which rate applies to a number (`routing`), minimum charges, conversion between currencies.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What one side of a call costs: the terms of the rate row that was in force at setup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateTerms {
    /// Price of a minute of the initial interval, in the currency of the trunk.
    #[serde(with = "crate::decimal")]
    pub rate: Decimal,
    /// Charged once for every answered call, in the currency of the trunk.
    #[serde(with = "crate::decimal")]
    pub connect_fee: Decimal,
    /// Seconds that are charged whole as soon as a call is answered; 0 goes straight to the next intervals.
    pub initial_interval_s: u32,
    /// Price of a minute after the initial interval, in the currency of the trunk.
    #[serde(with = "crate::decimal")]
    pub next_rate: Decimal,
    /// Seconds of each interval after the initial one; 0 is taken as 1.
    pub next_interval_s: u32,
}

impl RateTerms {
    /// Terms by the second (intervals 1/1) without a connect fee, at `rate` a minute.
    #[must_use]
    pub fn per_second(rate: Decimal) -> Self {
        Self {
            rate,
            connect_fee: Decimal::ZERO,
            initial_interval_s: 1,
            next_rate: rate,
            next_interval_s: 1,
        }
    }
}

/// What [`price`] worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced {
    /// Seconds charged: the duration rounded up to whole intervals; 0 for an unanswered call.
    pub billed_s: u32,
    /// The price in the currency of the terms, to the 28 significant digits of [`Decimal`], without trailing zeros.
    pub price: Decimal,
}

/// Prices an answered duration in microseconds (monotonic clock); a duration of 0 costs nothing, connect fee included.
///
/// With d the duration rounded up to whole seconds:
/// `connect_fee + initial_interval·rate/60 + max(0, ⌈(d − initial_interval)/next_interval⌉)·next_interval·next_rate/60`.
/// Never panics: a result beyond [`Decimal::MAX`] (no real tariff gets there) is capped to it.
#[must_use]
pub fn price(terms: &RateTerms, duration_us: u64) -> Priced {
    if duration_us == 0 {
        return Priced {
            billed_s: 0,
            price: Decimal::ZERO,
        };
    }
    let duration_s = duration_us.div_ceil(1_000_000);
    let initial_s = u64::from(terms.initial_interval_s);
    let next_s = u64::from(terms.next_interval_s.max(1));
    let following_s = duration_s.saturating_sub(initial_s).div_ceil(next_s) * next_s;
    let billed_s = u32::try_from(initial_s + following_s).unwrap_or(u32::MAX);
    Priced {
        billed_s,
        price: total(terms, initial_s, following_s).unwrap_or(Decimal::MAX),
    }
}

fn total(terms: &RateTerms, initial_s: u64, following_s: u64) -> Option<Decimal> {
    let initial = terms.rate.checked_mul(Decimal::from(initial_s))?;
    let following = terms.next_rate.checked_mul(Decimal::from(following_s))?;
    // Sixtieths are added before the one division: 20 s and 40 s at 0.01 make exactly 0.01, not 0.00999….
    let minutes = initial
        .checked_add(following)?
        .checked_div(Decimal::from(60))?;
    Some(terms.connect_fee.checked_add(minutes)?.normalize())
}

#[cfg(test)]
mod tests;

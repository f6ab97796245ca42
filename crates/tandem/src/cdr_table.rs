//! Call records as a table for people: who called whom, by which route, how long, at what price on both sides.
//! Used by `tandem cdr` and `tandem demo`.
//! Leaves out most keys; `--format json` has them all.

use accounting::{RatedAttempt, RatedCdr, rfc3339};
use rust_decimal::Decimal;

/// The header of the table.
pub const HEADER: [&str; 9] = [
    "setup (UTC)",
    "customer",
    "callee",
    "route",
    "status",
    "cause",
    "duration",
    "customer price",
    "vendor price",
];

/// The columns of numbers, for right alignment.
pub const RIGHT: [usize; 3] = [6, 7, 8];

/// One row of the table.
#[must_use]
pub fn row(cdr: &RatedCdr) -> Vec<String> {
    vec![
        clock(cdr.setup_at),
        cdr.customer.clone(),
        cdr.callee.clone(),
        route(&cdr.attempts),
        cdr.status
            .map_or_else(|| "–".to_owned(), |status| status.to_string()),
        cdr.cause.as_str().to_owned(),
        duration(cdr.duration_ms),
        money(cdr.customer_price, cdr.customer_currency.as_deref()),
        money(cdr.vendor_price, cdr.vendor_currency.as_deref()),
    ]
}

/// Every vendor that was tried, in order, with what it answered: `alpha 503 → beta 200`.
#[must_use]
pub fn route(attempts: &[RatedAttempt]) -> String {
    if attempts.is_empty() {
        return "–".to_owned();
    }
    let attempts: Vec<_> = attempts
        .iter()
        .map(|attempt| match attempt.status {
            Some(status) => format!("{} {status}", attempt.vendor),
            None => format!("{} {}", attempt.vendor, attempt.cause.as_str()),
        })
        .collect();
    attempts.join(" → ")
}

/// `75.250 s`, or a dash for a call that was not answered.
#[must_use]
pub fn duration(duration_ms: u64) -> String {
    match duration_ms {
        0 => "–".to_owned(),
        ms => format!("{}.{:03} s", ms / 1_000, ms % 1_000),
    }
}

fn money(price: Option<Decimal>, currency: Option<&str>) -> String {
    match (price, currency) {
        (Some(price), Some(currency)) => format!("{price} {currency}"),
        (Some(price), None) => price.to_string(),
        (None, _) => "–".to_owned(),
    }
}

/// `2026-01-31 12:00:00`: to the second, which is what a person looks for.
fn clock(us: i64) -> String {
    rfc3339::format_us(us)
        .replace('T', " ")
        .chars()
        .take(19)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_shows_seconds_and_milliseconds_and_nothing_for_no_answer() {
        assert_eq!(duration(75_250), "75.250 s");
        assert_eq!(duration(7), "0.007 s");
        assert_eq!(duration(0), "–");
    }

    #[test]
    fn money_has_its_currency_and_an_unpriced_side_is_a_dash() {
        assert_eq!(
            money(Some("0.0120".parse().unwrap()), Some("EUR")),
            "0.0120 EUR"
        );
        assert_eq!(money(None, Some("EUR")), "–");
    }

    #[test]
    fn the_clock_is_cut_to_seconds() {
        assert_eq!(clock(0), "1970-01-01 00:00:00");
    }
}

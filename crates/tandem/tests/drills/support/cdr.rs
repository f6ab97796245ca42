//! CDRs as `tandem cdr --format json` prints them, and the price they must show, computed apart from the product.

use rust_decimal::Decimal;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One line of the output.
#[derive(Debug, Clone)]
pub(crate) struct Cdr(pub(crate) Value);

/// Every key that a CDR must have, and no other.
const KEYS: &[&str] = &[
    "answer_at",
    "attempts",
    "callee",
    "callee_routed",
    "callee_sent",
    "caller",
    "call_id",
    "cause",
    "cdr_id",
    "customer",
    "customer_billed_s",
    "customer_currency",
    "customer_prefix",
    "customer_price",
    "customer_rate",
    "duration_ms",
    "end_at",
    "ended_by",
    "from_tag",
    "listener",
    "lrn",
    "next_hop",
    "node",
    "pai",
    "pdd_ms",
    "q850_cause",
    "reason",
    "ring_at",
    "route_version",
    "setup_at",
    "source",
    "status",
    "to_tag",
    "transport_in",
    "transport_out",
    "vendor",
    "vendor_billed_s",
    "vendor_currency",
    "vendor_prefix",
    "vendor_price",
    "vendor_rate",
];

/// Reads one object a line, newest first, and returns them oldest first.
pub(crate) fn parse_cdrs(text: &str) -> Vec<Cdr> {
    let mut cdrs: Vec<Cdr> = text
        .lines()
        .map(|line| Cdr(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))))
        .collect();
    cdrs.reverse();
    for cdr in &cdrs {
        let mut keys: Vec<&str> = cdr
            .0
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        let mut wanted = KEYS.to_vec();
        wanted.sort_unstable();
        assert_eq!(keys, wanted, "the keys of a CDR");
    }
    cdrs
}

impl Cdr {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0[key]
            .as_str()
            .unwrap_or_else(|| panic!("{key} is no text in {}", self.0))
    }

    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.0[key].is_null()
    }

    pub(crate) fn number(&self, key: &str) -> u64 {
        self.0[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key} is no number in {}", self.0))
    }

    pub(crate) fn attempts(&self) -> Vec<Cdr> {
        self.0["attempts"]
            .as_array()
            .expect("a list")
            .iter()
            .cloned()
            .map(Cdr)
            .collect()
    }

    /// A time in microseconds since 1970.
    pub(crate) fn time_us(&self, key: &str) -> i64 {
        let text = self.text(key);
        assert_eq!(
            text.len(),
            "2026-01-01T00:00:00.000000Z".len(),
            "{key} has microseconds and Z: {text}"
        );
        let at = OffsetDateTime::parse(text, &Rfc3339).expect("RFC 3339");
        i64::try_from(at.unix_timestamp_nanos() / 1_000).expect("in range")
    }

    /// Checks both prices of an answered call against the published formula, with interval 1/1 on both sides.
    pub(crate) fn assert_priced(&self, customer: (&str, &str), vendor: (&str, &str)) {
        for (side, (rate, fee)) in [("customer", customer), ("vendor", vendor)] {
            let billed_s = self.number(&format!("{side}_billed_s"));
            assert_eq!(decimal(self.text(&format!("{side}_rate"))), decimal(rate));
            // A duration of whole milliseconds may have been cut: 0 ms is still more than 0 µs.
            let duration_ms = self.number("duration_ms");
            let whole_s = (duration_ms / 1_000 + 1).max(1);
            assert!(
                billed_s == whole_s
                    || (duration_ms.is_multiple_of(1_000) && billed_s + 1 == whole_s),
                "{}",
                self.0
            );
            let price = decimal(fee) + decimal(rate) * Decimal::from(billed_s) / Decimal::from(60);
            assert_eq!(
                decimal(self.text(&format!("{side}_price"))),
                price,
                "{side} of {}",
                self.0
            );
        }
    }
}

pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

//! A CDR with both sides priced, in the shape that operators see: its serde form has exactly the documented keys.
//! Times are RFC 3339, prices decimal strings, absent values null. Leaves out: re-rating by other sheets.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Attempt, Cause, Cdr, EndedBy, RateTerms, price, rfc3339};

/// One attempt with its price. Field names are the JSON keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of `Attempt`, plus rate, billed seconds and price"
)]
pub struct RatedAttempt {
    pub vendor: String,
    pub next_hop: String,
    /// Empty in records of before it was kept.
    #[serde(default)]
    pub callee_sent: String,
    #[serde(with = "rfc3339")]
    pub started_at: i64,
    #[serde(with = "rfc3339::optional")]
    pub ring_at: Option<i64>,
    #[serde(with = "rfc3339::optional")]
    pub answer_at: Option<i64>,
    #[serde(with = "rfc3339::optional")]
    pub ended_at: Option<i64>,
    /// `None` when the vendor sent no final response.
    pub status: Option<u16>,
    pub cause: Cause,
    /// Price of a minute, `None` when the vendor's sheet had no price.
    pub rate: Option<Decimal>,
    pub billed_s: u32,
    /// `None` when the vendor's sheet had no price.
    pub price: Option<Decimal>,
}

/// A CDR with both sides priced. Field names are the JSON keys and the columns of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of `Cdr`, plus rate, billed seconds and price of both sides"
)]
pub struct RatedCdr {
    pub cdr_id: Uuid,
    pub node: String,
    pub call_id: String,
    pub from_tag: String,
    pub to_tag: Option<String>,
    pub customer: String,
    pub vendor: Option<String>,
    pub source: String,
    pub next_hop: Option<String>,
    pub caller: String,
    pub callee: String,
    pub callee_routed: Option<String>,
    pub callee_sent: Option<String>,
    #[serde(with = "rfc3339")]
    pub setup_at: i64,
    #[serde(with = "rfc3339::optional")]
    pub ring_at: Option<i64>,
    #[serde(with = "rfc3339::optional")]
    pub answer_at: Option<i64>,
    #[serde(with = "rfc3339::optional")]
    pub end_at: Option<i64>,
    /// Whole milliseconds, cut.
    pub pdd_ms: Option<u64>,
    /// Whole milliseconds, cut; the price comes from the microseconds.
    pub duration_ms: u64,
    /// `None` when no final response went upstream.
    pub status: Option<u16>,
    pub cause: Cause,
    pub ended_by: Option<EndedBy>,
    pub attempts: Vec<RatedAttempt>,
    pub customer_rate: Option<Decimal>,
    pub customer_billed_s: u32,
    pub customer_price: Option<Decimal>,
    pub customer_currency: Option<String>,
    pub vendor_rate: Option<Decimal>,
    pub vendor_billed_s: u32,
    pub vendor_price: Option<Decimal>,
    pub vendor_currency: Option<String>,
    pub q850_cause: Option<u16>,
    pub reason: Option<String>,
    pub pai: Option<String>,
    pub lrn: Option<String>,
    pub transport_in: String,
    pub transport_out: Option<String>,
    pub listener: String,
    pub customer_prefix: Option<String>,
    pub vendor_prefix: Option<String>,
    pub route_version: u64,
}

impl RatedCdr {
    /// The documented keys in their order: JSON keys, columns of the store, header of CSV.
    pub const KEYS: [&'static str; 41] = [
        "cdr_id",
        "node",
        "call_id",
        "from_tag",
        "to_tag",
        "customer",
        "vendor",
        "source",
        "next_hop",
        "caller",
        "callee",
        "callee_routed",
        "callee_sent",
        "setup_at",
        "ring_at",
        "answer_at",
        "end_at",
        "pdd_ms",
        "duration_ms",
        "status",
        "cause",
        "ended_by",
        "attempts",
        "customer_rate",
        "customer_billed_s",
        "customer_price",
        "customer_currency",
        "vendor_rate",
        "vendor_billed_s",
        "vendor_price",
        "vendor_currency",
        "q850_cause",
        "reason",
        "pai",
        "lrn",
        "transport_in",
        "transport_out",
        "listener",
        "customer_prefix",
        "vendor_prefix",
        "route_version",
    ];
}

/// Rate, billed seconds and price of one side.
fn side(terms: Option<&RateTerms>, duration_us: u64) -> (Option<Decimal>, u32, Option<Decimal>) {
    match terms {
        Some(terms) => {
            let priced = price(terms, duration_us);
            (Some(terms.rate), priced.billed_s, Some(priced.price))
        }
        None => (None, 0, None),
    }
}

impl Attempt {
    fn rated(&self) -> RatedAttempt {
        let (rate, billed_s, price) = side(self.terms.as_ref(), self.duration_us);
        RatedAttempt {
            vendor: self.vendor.clone(),
            next_hop: self.next_hop.clone(),
            callee_sent: self.callee_sent.clone(),
            started_at: self.started_us,
            ring_at: self.ring_us,
            answer_at: self.answer_us,
            ended_at: self.ended_us,
            status: (self.status != 0).then_some(self.status),
            cause: self.cause,
            rate,
            billed_s,
            price,
        }
    }
}

impl Cdr {
    /// What the vendor of the top line bills: its own attempt, which may have been answered too late for the
    /// customer, or have ended before the last of two answers.
    fn vendor_duration_us(&self) -> u64 {
        let answered = self.attempts.iter().find(|attempt| {
            attempt.answer_us.is_some()
                && self.vendor.as_ref() == Some(&attempt.vendor)
                && self.next_hop.as_ref() == Some(&attempt.next_hop)
        });
        answered.map_or(self.duration_us, |attempt| attempt.duration_us)
    }

    /// Prices both sides and every attempt by the terms kept in the record.
    #[must_use]
    pub fn rated(&self) -> RatedCdr {
        let (customer_rate, customer_billed_s, customer_price) =
            side(self.customer_terms.as_ref(), self.duration_us);
        let (vendor_rate, vendor_billed_s, vendor_price) =
            side(self.vendor_terms.as_ref(), self.vendor_duration_us());
        RatedCdr {
            cdr_id: self.cdr_id,
            node: self.node.clone(),
            call_id: self.call_id.clone(),
            from_tag: self.from_tag.clone(),
            to_tag: self.to_tag.clone(),
            customer: self.customer.clone(),
            vendor: self.vendor.clone(),
            source: self.source.clone(),
            next_hop: self.next_hop.clone(),
            caller: self.caller.clone(),
            callee: self.callee.clone(),
            callee_routed: self.callee_routed.clone(),
            callee_sent: self.callee_sent.clone(),
            setup_at: self.setup_us,
            ring_at: self.ring_us,
            answer_at: self.answer_us,
            end_at: self.end_us,
            pdd_ms: self.pdd_us.map(|us| us / 1_000),
            duration_ms: self.duration_us / 1_000,
            status: (self.status != 0).then_some(self.status),
            cause: self.cause,
            ended_by: self.ended_by,
            attempts: self.attempts.iter().map(Attempt::rated).collect(),
            customer_rate,
            customer_billed_s,
            customer_price,
            customer_currency: self.customer_currency.clone(),
            vendor_rate,
            vendor_billed_s,
            vendor_price,
            vendor_currency: self.vendor_currency.clone(),
            q850_cause: self.q850_cause,
            reason: self.reason.clone(),
            pai: self.pai.clone(),
            lrn: self.lrn.clone(),
            transport_in: self.transport_in.clone(),
            transport_out: self.transport_out.clone(),
            listener: self.listener.clone(),
            customer_prefix: self.customer_prefix.clone(),
            vendor_prefix: self.vendor_prefix.clone(),
            route_version: self.route_version,
        }
    }
}

#[cfg(test)]
mod tests;

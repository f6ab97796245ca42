//! The record of one call with its attempts, as the proxy fills it while the call runs.
//! Times are UTC from the wall clock, durations come from the monotonic clock, and neither is derived from the other.
//! Leaves out: prices, which [`Cdr::rated`](crate::Cdr::rated) works out when the record is shipped.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Cause, RateTerms};

/// Which side ended an answered call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The side that sent the INVITE.
    Caller,
    /// The side that answered.
    Callee,
    /// Tandem itself: maximum duration, operator.
    Proxy,
}

impl EndedBy {
    /// The name in CDRs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
            Self::Proxy => "proxy",
        }
    }

    /// The side of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Caller, Self::Callee, Self::Proxy]
            .into_iter()
            .find(|side| side.as_str() == name)
    }
}

/// One try at one gateway of one vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Name of the vendor.
    pub vendor: String,
    /// Where the INVITE went: `address:port`.
    pub next_hop: String,
    /// When the INVITE was first sent, UTC µs since 1970.
    pub started_us: i64,
    /// First 18x from this vendor, UTC µs.
    pub ring_us: Option<i64>,
    /// First 2xx from this vendor, UTC µs.
    pub answer_us: Option<i64>,
    /// Final response, time-out or, when answered, the end of its dialog, UTC µs.
    pub ended_us: Option<i64>,
    /// Answered time in µs of the monotonic clock; 0 when not answered.
    pub duration_us: u64,
    /// Final SIP status from the vendor; 0 when none was heard.
    pub status: u16,
    /// Why this attempt ended.
    pub cause: Cause,
    /// What the vendor charges, when its sheet has a price for the number.
    pub terms: Option<RateTerms>,
    /// The prefix of the vendor's sheet that gave the terms.
    pub prefix: Option<String>,
    /// The number as sent to this vendor.
    pub callee_sent: String,
}

/// One call of a known customer: identity, times, outcome, attempts, and the terms to rate it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cdr {
    /// UUIDv7 made at setup; the key under which the store keeps the call exactly once.
    pub cdr_id: Uuid,
    /// Name of the node that handled the call.
    pub node: String,
    /// Call-ID as received.
    pub call_id: String,
    /// Tag of From.
    pub from_tag: String,
    /// Tag of To of the final response upstream.
    pub to_tag: Option<String>,
    /// Name of the customer.
    pub customer: String,
    /// Name of the vendor of the final attempt.
    pub vendor: Option<String>,
    /// `address:port` the INVITE came from.
    pub source: String,
    /// `address:port` of the final attempt.
    pub next_hop: Option<String>,
    /// User part of From as received.
    pub caller: String,
    /// User part of the request URI as received.
    pub callee: String,
    /// The number as routed: after tech prefix, strip, prepend and lookup.
    pub callee_routed: Option<String>,
    /// The number as sent to the vendor of the final attempt.
    pub callee_sent: Option<String>,
    /// When the INVITE came, UTC µs since 1970.
    pub setup_us: i64,
    /// First 18x sent upstream, UTC µs.
    pub ring_us: Option<i64>,
    /// First 2xx sent upstream, UTC µs.
    pub answer_us: Option<i64>,
    /// Final response, or the BYE that ended an answered call, UTC µs.
    pub end_us: Option<i64>,
    /// Post-dial delay: INVITE received to first 18x or final response upstream, µs of the monotonic clock.
    pub pdd_us: Option<u64>,
    /// Answered time in µs of the monotonic clock; 0 when not answered.
    pub duration_us: u64,
    /// Final SIP status sent upstream; 0 when none was.
    pub status: u16,
    /// Why the call ended.
    pub cause: Cause,
    /// Who ended an answered call.
    pub ended_by: Option<EndedBy>,
    /// Every try, in the order it was made.
    pub attempts: Vec<Attempt>,
    /// What the customer pays.
    pub customer_terms: Option<RateTerms>,
    /// ISO 4217 code of the customer's prices.
    pub customer_currency: Option<String>,
    /// What the vendor of the final attempt charges.
    pub vendor_terms: Option<RateTerms>,
    /// ISO 4217 code of that vendor's prices.
    pub vendor_currency: Option<String>,
    /// Cause value of a Q.850 Reason header (RFC 3326), 1 to 127.
    pub q850_cause: Option<u16>,
    /// Reason header as received (RFC 3326).
    pub reason: Option<String>,
    /// P-Asserted-Identity as received (RFC 3325).
    pub pai: Option<String>,
    /// Location routing number that a lookup answered.
    pub lrn: Option<String>,
    /// Transport of the INVITE received.
    pub transport_in: String,
    /// Transport of the final attempt.
    pub transport_out: Option<String>,
    /// Listener that the INVITE came to: `transport:address:port`.
    pub listener: String,
    /// Prefix of the customer's sheet that gave the terms.
    pub customer_prefix: Option<String>,
    /// Prefix of the vendor's sheet that gave the terms.
    pub vendor_prefix: Option<String>,
    /// Version of the routing data that decided.
    pub route_version: u64,
}

//! Call detail records and exact rating, without I/O: what a call was, why it ended, what it cost, and the typed
//! records that carry it through the journal. SIP statuses are those of RFC 3261 §21, cause values those of Q.850.
//! Leaves out: where records are kept and how they reach a database.

mod call;
mod cause;
mod cdr;
mod decimal;
mod price;
mod rated;
mod record;
pub mod rfc3339;

pub use call::{AnsweredCall, Leg, SessionEnd};
pub use cause::Cause;
pub use cdr::{Attempt, Cdr, EndedBy};
pub use price::{Priced, RateTerms, price};
pub use rated::{RatedAttempt, RatedCdr};
pub use record::{Record, RecordError, RefusedAggregate, Updated};

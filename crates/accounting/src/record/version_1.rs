//! Records as version 1 wrote them, before dialogs had session timers.
//! A journal outlives an upgrade: what it holds of calls that are up is read, and carried on in the current version.
//! Leaves out what did not change: those types are shared with the current version, and a test holds their bytes.

use serde::Deserialize;
use uuid::Uuid;

use crate::{AnsweredCall, Cause, Cdr, EndedBy, Leg, SessionEnd};

/// The version byte.
pub(super) const VERSION: u8 = 1;

/// An answered dialog without a session timer.
#[derive(Deserialize)]
struct Answered {
    cdr: Cdr,
    caller: Leg,
    callee: Leg,
    attempt: u16,
    customer_trunk: u64,
    vendor_trunk: u64,
    call_from_uri: String,
    call_to_uri: String,
    max_end_us: i64,
}

/// An update without a session timer.
#[derive(Deserialize)]
struct Updated {
    cdr_id: Uuid,
    attempt: u16,
    caller: Option<Leg>,
    callee: Option<Leg>,
}

/// The variants in their places.
#[derive(Deserialize)]
enum Record {
    Answered(Box<Answered>),
    Updated(Updated),
    AttemptEnded {
        cdr_id: Uuid,
        attempt: u16,
        ended_us: i64,
        duration_us: u64,
        cause: Cause,
    },
    Ended(Box<Cdr>),
    EndedAlone {
        cdr_id: Uuid,
        node: String,
        at_us: i64,
        ended_by: EndedBy,
        status: u16,
    },
    Refused(super::RefusedAggregate),
    Settled {
        cdr_id: Uuid,
    },
}

/// The record at the start of `bytes`, and what follows it.
pub(super) fn take(bytes: &[u8]) -> postcard::Result<(super::Record, &[u8])> {
    let (record, rest) = postcard::take_from_bytes::<Record>(bytes)?;
    Ok((record.into(), rest))
}

impl From<Record> for super::Record {
    fn from(record: Record) -> Self {
        match record {
            Record::Answered(call) => Self::Answered(Box::new((*call).into())),
            Record::Updated(updated) => Self::Updated(super::Updated {
                cdr_id: updated.cdr_id,
                attempt: updated.attempt,
                caller: updated.caller,
                callee: updated.callee,
                session_end: SessionEnd::Never,
            }),
            Record::AttemptEnded {
                cdr_id,
                attempt,
                ended_us,
                duration_us,
                cause,
            } => Self::AttemptEnded {
                cdr_id,
                attempt,
                ended_us,
                duration_us,
                cause,
            },
            Record::Ended(cdr) => Self::Ended(cdr),
            Record::EndedAlone {
                cdr_id,
                node,
                at_us,
                ended_by,
                status,
            } => Self::EndedAlone {
                cdr_id,
                node,
                at_us,
                ended_by,
                status,
            },
            Record::Refused(refused) => Self::Refused(refused),
            Record::Settled { cdr_id } => Self::Settled { cdr_id },
        }
    }
}

impl From<Answered> for AnsweredCall {
    fn from(call: Answered) -> Self {
        Self {
            cdr: call.cdr,
            caller: call.caller,
            callee: call.callee,
            attempt: call.attempt,
            customer_trunk: call.customer_trunk,
            vendor_trunk: call.vendor_trunk,
            call_from_uri: call.call_from_uri,
            call_to_uri: call.call_to_uri,
            max_end_us: call.max_end_us,
            session_end: SessionEnd::Never,
        }
    }
}

//! The typed records of the journal and their bytes: one version byte, then postcard.
//! Decoding never panics, whatever the bytes. Leaves out: framing, checksums and files (`storage`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AnsweredCall, Cause, Cdr, EndedBy, Leg, SessionEnd};

mod version_1;

/// Version of the encoding that [`Record::encode`] writes.
const VERSION: u8 = 2;

/// New state of an answered call: a re-INVITE or UPDATE moved a target or a route set, or a CSeq went up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// The call.
    pub cdr_id: Uuid,
    /// Index of the attempt whose dialog changed.
    pub attempt: u16,
    /// The caller's side, when it changed.
    pub caller: Option<Leg>,
    /// The callee's side, when it changed.
    pub callee: Option<Leg>,
    /// When its session expires now; never, when it has no session timer any more (RFC 4028 §7.2).
    pub session_end: SessionEnd,
}

/// Calls refused without a CDR of their own, added up by source and minute so that a flood can't fill the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefusedAggregate {
    /// Name of the node.
    pub node: String,
    /// Start of the minute, UTC µs since 1970.
    pub minute_us: i64,
    /// IP address of the source.
    pub source: String,
    /// Why the calls were refused.
    pub cause: Cause,
    /// The customer, when it was known.
    pub customer: Option<String>,
    /// How many.
    pub count: u64,
}

/// One entry of the journal. The position of a variant is part of the encoding: new ones go at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A dialog was answered; written before the 2xx leaves.
    Answered(Box<AnsweredCall>),
    /// The state of an answered dialog changed.
    Updated(Updated),
    /// One answered dialog of a call ended while the call goes on in another.
    AttemptEnded {
        /// The call.
        cdr_id: Uuid,
        /// Index of the attempt.
        attempt: u16,
        /// When, UTC µs since 1970.
        ended_us: i64,
        /// Answered time of the attempt in µs of the monotonic clock.
        duration_us: u64,
        /// Why.
        cause: Cause,
    },
    /// The call is over; the record needs nothing else to be rated and stored.
    Ended(Box<Cdr>),
    /// A node that does not know the call saw it end.
    EndedAlone {
        /// The call, from the cookie of its Record-Route.
        cdr_id: Uuid,
        /// Name of the node that saw the end.
        node: String,
        /// When the BYE came, UTC µs since 1970.
        at_us: i64,
        /// Which side sent the BYE.
        ended_by: EndedBy,
        /// Final status that the far side answered to the BYE; 0 when none was heard.
        status: u16,
    },
    /// Calls refused without a CDR of their own.
    Refused(RefusedAggregate),
    /// The end of the call is in the store, so copies of its `Answered` record mean nothing any more. Written by
    /// the shipper only, for calls whose `Answered` record it had carried forward.
    Settled {
        /// The call.
        cdr_id: Uuid,
    },
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is not even a version byte.
    #[error("empty record")]
    Empty,
    /// Written by another version of the software.
    #[error("record version {0} is not known here (this build reads versions 1 and 2)")]
    Version(u8),
    /// The version is known but the bytes are not such a record.
    #[error("malformed record: {0}")]
    Malformed(postcard::Error),
    /// A record, followed by bytes that belong to nothing.
    #[error("{0} bytes after the end of the record")]
    Trailing(usize),
}

impl Record {
    /// Appends the version byte and the record to `out`; allocates only to grow `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(VERSION);
        let written = postcard::serialize_with_flavor(self, Append(out));
        if written.is_err() {
            debug_assert!(false, "every type in a record can be serialised");
            out.truncate(start);
        }
    }

    /// Reads back what [`Record::encode`] wrote, of this version or an earlier one.
    ///
    /// # Errors
    /// [`RecordError`], sorted by what is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (&version, rest) = bytes.split_first().ok_or(RecordError::Empty)?;
        let (record, rest) = match version {
            VERSION => postcard::take_from_bytes(rest).map_err(RecordError::Malformed)?,
            version_1::VERSION => version_1::take(rest).map_err(RecordError::Malformed)?,
            _ => return Err(RecordError::Version(version)),
        };
        if rest.is_empty() {
            Ok(record)
        } else {
            Err(RecordError::Trailing(rest.len()))
        }
    }
}

/// Postcard's output, appended to a buffer that lives longer than one record.
struct Append<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! What must be known of an answered call to take it up again after a restart and to end it with a BYE of our own.
//! The two legs of a dialog (RFC 3261 §12) as a proxy sees them. Leaves out: transactions, which do not outlive a process.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::Cdr;

/// One side of an answered call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Tag of this side.
    pub tag: String,
    /// Contact of this side, as its latest INVITE, UPDATE or 2xx gave it (RFC 3261 §12.2.1.2).
    pub remote_target: String,
    /// Route set toward this side, without ourselves, first hop first.
    pub route_set: Vec<String>,
    /// Highest CSeq seen from this side.
    pub cseq: u32,
    /// Highest CSeq that a request of our own toward this side used; 0 when there was none.
    pub local_cseq: u32,
    /// Address of the peer on this side.
    pub flow_remote: SocketAddr,
    /// Index of the listener that faces this side.
    pub flow_listener: u16,
    /// Transport of this side, by its position in UDP, TCP, TLS.
    pub flow_transport: u8,
}

/// One answered dialog of a call: written before the 2xx goes upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredCall {
    /// The record so far, with the answered attempts.
    pub cdr: Cdr,
    /// The side that sent the INVITE.
    pub caller: Leg,
    /// The side that answered.
    pub callee: Leg,
    /// Index in `cdr.attempts` of the attempt that this dialog belongs to.
    pub attempt: u16,
    /// Stable trunk id of the customer.
    pub customer_trunk: u64,
    /// Stable trunk id of the vendor.
    pub vendor_trunk: u64,
    /// From of the INVITE without its tag, for a BYE of our own.
    pub call_from_uri: String,
    /// To of the INVITE without a tag, for a BYE of our own.
    pub call_to_uri: String,
    /// When the call is ended at the latest, UTC µs since 1970.
    pub max_end_us: i64,
    /// When the session of this dialog expires unless it is refreshed (RFC 4028 §8.2).
    pub session_end: SessionEnd,
}

/// When a session expires unless it is refreshed, UTC µs since 1970, and who watches it. The journal writes the
/// position of a variant: the first two are read as what was an `Option` before the third came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEnd {
    /// It has no session timer.
    #[default]
    Never,
    /// Both ends have agreed on it (RFC 4028 §7).
    Agreed(i64),
    /// One end alone knows of it.
    OneSided(i64),
}

impl SessionEnd {
    /// The time, if there is one.
    #[must_use]
    pub const fn expires_us(self) -> Option<i64> {
        match self {
            Self::Never => None,
            Self::Agreed(at_us) | Self::OneSided(at_us) => Some(at_us),
        }
    }
}

//! What the transaction layer tells the transaction user (TU): arrivals, endings and refusals.
//! RFC 3261 §17.1.3, §17.2.3 and §17.1.4; RFC 6026 §7.3 for stray responses.
//! Leaves out the messages themselves, which the TU holds when an arrival is reported.

use crate::layer::{ClientId, ServerId};

/// What a request is to the transaction layer (RFC 3261 §17.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestArrival {
    /// It belongs to no transaction; the TU may start one. A CANCEL is a transaction of its own.
    New,
    /// It repeats a request, or an ACK that has done its work: absorbed. If the transaction has a response to
    /// repeat, that is in the outbox.
    Retransmission,
    /// The ACK for a non-2xx final: absorbed, and the response is no longer repeated.
    AckNon2xx {
        /// The INVITE transaction it confirms.
        server: ServerId,
        /// What the TU gave to `start_server`.
        user: u64,
    },
    /// An ACK that confirms no non-2xx final: it is for a 2xx, which is the TU's, or for nothing.
    StrayAck,
}

/// What a response is to the transaction layer (RFC 3261 §17.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResponseArrival {
    /// It matches no client transaction and must not be forwarded (RFC 6026 §7.3).
    Stray,
    /// It repeats a final, or comes after one: absorbed. An ACK due for it is in the outbox.
    Absorbed {
        /// The transaction it matches.
        client: ClientId,
        /// What the TU gave to `start_client`.
        user: u64,
    },
    /// It is for the TU: a provisional before any final, the first final, or any 2xx to an INVITE that has had
    /// no other final (RFC 6026 §7.2).
    Deliver {
        /// The transaction it matches.
        client: ClientId,
        /// What the TU gave to `start_client`.
        user: u64,
    },
}

/// The end of a transaction that the TU did not bring about in the same call. Every event is the last of its
/// transaction: the id is stale when it is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionEvent {
    /// Timer B or F: no final response came in time (an INVITE: none at all). §17.1.1.2, §17.1.2.2.
    ClientTimeout {
        /// The transaction that ended.
        client: ClientId,
        /// What the TU gave to `start_client`.
        user: u64,
    },
    /// The next hop cannot be reached: ICMP or a transport error, before any response. §17.1.4.
    ClientUnreachable {
        /// The transaction that ended.
        client: ClientId,
        /// What the TU gave to `start_client`.
        user: u64,
    },
    /// Timer D, K or M: nothing more is expected after the final response.
    ClientTerminated {
        /// The transaction that ended.
        client: ClientId,
        /// What the TU gave to `start_client`.
        user: u64,
    },
    /// Timer H: a non-2xx final was never acknowledged. §17.2.1.
    AckTimeout {
        /// The transaction that ended.
        server: ServerId,
        /// What the TU gave to `start_server`.
        user: u64,
    },
    /// Timer I, J or L: nothing more is expected after the final response.
    ServerTerminated {
        /// The transaction that ended.
        server: ServerId,
        /// What the TU gave to `start_server`.
        user: u64,
    },
}

/// The table of transactions is full; nothing was started. The TU refuses the request (503) or drops it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("all {transactions_max} transactions are in use")]
pub struct TableFull {
    /// The limit that was reached.
    pub transactions_max: usize,
}

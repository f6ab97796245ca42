//! A flow: where a message came from or goes to, as the transport knows it.
//! RFC 3261 §18 and RFC 3581 §4 (a reply leaves from the address that received).
//! Leaves out sockets and connections: a connection is a number given by the driver.

use std::net::SocketAddr;

/// A transport protocol of the Via `sent-protocol` (RFC 3261 §20.42).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// Datagrams: unreliable, so the transaction layer retransmits.
    Udp,
    /// A stream: reliable.
    Tcp,
    /// TLS over TCP: reliable.
    Tls,
}

impl Transport {
    /// The name as the Via header spells it: `UDP`, `TCP` or `TLS`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// Whether the transport delivers or fails, so that nothing is retransmitted over it (RFC 3261 §17).
    #[must_use]
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// The port used when none is named: 5060, or 5061 for TLS (RFC 3261 §19.1.2).
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// Where a message came from, or where one is to go: the transport's four-tuple with our listener and connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// The transport protocol.
    pub transport: Transport,
    /// The number of our listener, as the configuration orders them, from 0.
    pub listener: u16,
    /// Our address: the one a datagram was sent to, and from which a reply leaves.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The driver's number of the connection; 0 for datagrams.
    pub connection: u64,
}

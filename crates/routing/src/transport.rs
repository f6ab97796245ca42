//! The transports a trunk can be bound to.
//!
//! RFC 3261 §18 and §26.2: UDP, TCP and TLS over TCP.
//! Leaves out sockets and flows, which belong to the layers below.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A SIP transport as routing data names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// UDP, RFC 3261 §18.
    Udp,
    /// TCP, RFC 3261 §18.
    Tcp,
    /// TLS over TCP, RFC 3261 §26.2.
    Tls,
}

impl Transport {
    /// All transports, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// The word used in CSV and configuration: `udp`, `tcp` or `tls`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The port used when none is given: 5060, or 5061 for TLS (RFC 3261 §19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = String;

    /// Accepts `udp`, `tcp` and `tls` in any case; the error says what is allowed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|transport| transport.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                let hint =
                    crate::fault::hint(text, Self::ALL.iter().map(|transport| transport.as_str()));
                format!(
                    "{} is not a transport; allowed: udp, tcp, tls{hint}",
                    crate::fault::quoted(text)
                )
            })
    }
}

//! Load tools for a SIP proxy: an open-loop generator that is caller and callee in one, and a parse-free forwarder.
//! Speaks enough of RFC 3261 (§12, §13, §15, §17) to hold a correct dialog; reads messages with a scanner of its own, so
//! that a fault of the proxy's parser cannot hide behind itself. Leaves out TCP, TLS, authentication and media.

pub mod batch;
pub mod callee;
pub mod caller;
pub mod forward;
pub mod generator;
pub mod http;
pub mod percentile;
pub mod proxy_process;
pub mod report;
pub mod scan;
pub mod schedule;
pub mod usage;

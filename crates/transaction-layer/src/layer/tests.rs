//! The layer driven through virtual time, as the TU and the network would.

mod client;
mod lifetime;
mod memory;
mod server;

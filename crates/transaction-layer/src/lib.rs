//! SIP transactions without I/O: the four machines, their timers, keys and buffers.
//! RFC 3261 §17, §9.2, §18.2.2; RFC 6026 (Accepted, Timers L and M) and RFC 3581 for reply addresses.
//! Leaves out sockets, clocks, DNS and every decision of the transaction user (RFC 3261 §16).

mod buffers;
mod client_invite;
mod client_non_invite;
mod event;
#[cfg(test)]
mod fixture;
mod flow;
mod key;
mod layer;
mod outbox;
mod remotes;
mod reply;
mod server_invite;
mod server_non_invite;
mod slots;
#[cfg(test)]
mod snapshot;
mod step;
mod timer;
mod wheel;

pub use event::{RequestArrival, ResponseArrival, TableFull, TransactionEvent};
pub use flow::{Flow, Transport};
pub use layer::{ClientId, LiveTransactions, ServerId, TRANSACTIONS_MAX, Transactions};
pub use outbox::Outbox;
pub use reply::reply_flow;
pub use timer::TimerConfig;
pub use wheel::{TICK_US, TimerId, TimerWheel};

//! Sockets: what the lanes need of the operating system, and nothing of SIP.
//! RFC 3261 §18 and RFC 3581 §4 as far as addresses go; `sys` is the only file with unsafe code.
//! Leaves out who handles a datagram (`steer.rs`) and when (`worker.rs`).

pub mod sys;
pub mod udp;

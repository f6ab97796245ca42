//! The end-to-end drills: the real binary, real sockets, real peers; one module per drill.
//! Each drill has a loopback address of its own, so ports never collide. Drills that load the machine run alone.
//! Leaves out what the simulation covers in virtual time.
#![expect(
    clippy::expect_used,
    reason = "a drill that cannot be set up fails by saying what was missing"
)]

mod admin;
mod ending;
mod faults;
mod forks;
mod fraud;
mod ipv6;
mod kill;
mod lookup;
mod looping;
mod order;
mod session;
mod sipp_calls;
mod support;
mod torture;
#[path = "../../../proxy-core/tests/messages/torture_table.rs"]
mod torture_table;

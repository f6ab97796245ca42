//! What each fuzz target holds against the code, as functions that panic when it does not hold.
//! The targets themselves, in `fuzz_targets/`, only hand over the bytes.
//! Leaves out seeds and runs: `cargo xtask fuzz` makes and starts them.

pub mod core_events;
pub mod datagram;
pub mod sdp;
pub mod stream_framing;
pub mod uri;
pub mod write_round_trip;

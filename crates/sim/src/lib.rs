//! The whole proxy core under virtual time, between scripted peers over a hostile network (development only).
//! Built around RFC 3261 §16 as seen from outside: what goes in, what comes out, what is recorded.
//! Leaves out sockets, threads and the store.

pub mod agent;
pub mod breadth;
pub mod clock;
pub mod dialog;
pub mod invariants;
pub mod jobs;
pub mod leg;
pub mod network;
pub mod peer_caller;
pub mod peer_vendor;
pub mod program;
pub mod random_run;
pub mod routing_data;
pub mod sip_text;
pub mod stream;
pub mod tap;
pub mod world;

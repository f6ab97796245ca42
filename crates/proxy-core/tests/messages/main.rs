//! The core driven by hand-made messages, where a scripted peer would have to be told to misbehave.
//! One file for each thing that may go wrong; `bench` holds the core, the clock and the messages.
//! Leaves out the network: what one core sends, a test reads.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing fails")]

mod bench;

mod aims;
mod answers;
mod breadth;
mod byes;
mod cancels;
mod capacity;
mod clauses;
mod cookies;
mod departures;
mod drained;
mod durability;
mod fork_members;
mod forks;
mod garbage;
mod given_up;
mod global_refusals;
mod ipv6;
mod looping;
mod names;
mod non_invite;
mod reasons;
mod redirects;
mod reliable;
mod requests;
mod restored;
mod ringing;
mod session_ends;
mod session_timer;
mod spiral;
mod strangers;
mod strays;
mod strict;
mod torture;
mod torture_table;
mod trying;
mod twins;
mod two_listeners;
mod untaken;
mod written_out;

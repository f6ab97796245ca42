//! The stateful SIP proxy of RFC 3261 §16, without I/O.
//!
//! A driver gives [`ProxyCore`] datagrams, results of jobs and the time; the core gives back datagrams to send,
//! jobs to run elsewhere, records to keep and its next deadline. It reads no clock and opens no socket.
//! Transactions are the `transaction-layer`'s, decisions about routes the `routing` crate's.

mod ack;
mod admission;
mod answer;
mod answer_budget;
mod branch;
mod breadth;
mod bye;
mod calls;
mod cancel;
mod cdr;
mod config;
mod context;
mod cookie;
mod core;
mod dialog;
mod early_media;
mod fork;
mod forward;
mod hunt;
mod loops;
mod names;
mod next_hop;
mod output;
mod overdue;
mod own_bye;
mod park;
mod passing;
mod reason;
mod redirect;
mod refused;
mod reply;
mod response;
mod route_set;
mod session_timer;
mod silence;
mod standing;
mod stats;
pub mod steer;
mod targets;
mod timers;
mod untaken;
mod validate;

pub use calls::{CallState, CallView};
pub use config::{
    CoreConfig, Durability, FailoverTable, ListenerInfo, LookupOnError, Policy, PreloadedRoute,
    SessionExpiry, SessionTimerPolicy, UnknownDialog,
};
pub use core::ProxyCore;
pub use output::{
    Job, JobAnswer, JobFailure, JobKind, JobResult, LookupAnswer, Notice, Now, Output,
};
pub use stats::{Stat, Stats};

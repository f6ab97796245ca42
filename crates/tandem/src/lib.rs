//! Tandem: a Class 4 SIP proxy. The library behind the binary: configuration, workers, sockets, admin and commands.
//! `node.rs` puts the parts together and takes them apart again; `commands/` holds one file per command.
//! Leaves out every protocol decision: those are sans-IO and live in `proxy-core` and below.

pub mod admin;
pub mod cdr_table;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
pub mod explain;
pub mod jobs;
pub mod journal_view;
pub mod keys;
pub mod lane_stats;
pub mod lanes;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod node;
mod notices;
pub mod output;
pub mod reload;
pub mod resolve;
pub mod routing_files;
pub mod shutdown;
pub mod steer;
pub mod tuning;
pub mod worker;

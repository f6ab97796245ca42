//! Tandem: a Class 4 SIP proxy. The library behind the binary: configuration, workers, sockets, admin and commands.
//! `node.rs` puts the parts together and takes them apart again; `commands/` holds one file per command.
//! Leaves out every protocol decision: those are sans-IO and live in `proxy-core` and below.

pub mod cdr_table;
pub mod cli;
pub mod config;
pub mod explain;
pub mod keys;
pub mod logging;
pub mod metrics;
pub mod output;
pub mod reload;
pub mod routing_files;
pub mod shutdown;

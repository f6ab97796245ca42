//! `forwarder`: sends datagrams on without reading them; the floor that proxies are measured against.
//! It ends after a number of datagrams or seconds, so that none is left behind.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use loadtests::batch::{BatchSocket, listen};
use loadtests::forward::{Bounds, forward};
use loadtests::generator::pin_to_core;

/// Forwards UDP between a callee and whoever else sends.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:5060")]
    listen: SocketAddr,
    /// What comes from here goes to the other side heard last; everything else goes here.
    #[arg(long)]
    callee: SocketAddr,
    /// End after this many datagrams.
    #[arg(long, default_value_t = 100_000_000)]
    datagrams: u64,
    /// End after this many seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Bind to this core.
    #[arg(long)]
    core: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core {
        pin_to_core(core).with_context(|| format!("binding to core {core}"))?;
    }
    let socket =
        listen(arguments.listen).with_context(|| format!("listening on {}", arguments.listen))?;
    let mut socket = BatchSocket::new(socket)?;
    let bounds = Bounds {
        datagrams: arguments.datagrams,
        time: Duration::from_secs(arguments.seconds),
    };
    let sent = forward(
        &mut socket,
        arguments.callee,
        bounds,
        &AtomicBool::new(false),
    )?;
    writeln!(std::io::stderr(), "forwarded {sent} datagrams")?;
    Ok(())
}

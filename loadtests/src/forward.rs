//! The parse-free UDP forwarder: what any proxy must at least spend in the kernel, and nothing else.
//! Datagrams from the callee go to the caller heard last, all others to the callee; one socket, one thread, batched calls.
//! Leaves out everything SIP: no message is read.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::batch::BatchSocket;

/// How long one wait lasts before the bounds are looked at again.
const WAIT: Duration = Duration::from_millis(100);

/// When a forwarder ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// After this many datagrams.
    pub datagrams: u64,
    /// After this time.
    pub time: Duration,
}

/// Forwards between whoever sends and `callee` until a bound is reached or `stop` is set; returns the datagrams sent on.
///
/// # Errors
/// When the socket fails.
pub fn forward(
    socket: &mut BatchSocket,
    callee: SocketAddr,
    bounds: Bounds,
    stop: &AtomicBool,
) -> io::Result<u64> {
    socket.socket().set_read_timeout(Some(WAIT))?;
    let start = Instant::now();
    let mut caller = None;
    while !stop.load(Ordering::Relaxed)
        && socket.outbound.sent() < bounds.datagrams
        && start.elapsed() < bounds.time
    {
        if socket.receive_waiting()? == 0 {
            continue;
        }
        socket.forward_received(|from| {
            if from == callee {
                return caller;
            }
            caller = Some(from);
            Some(callee)
        });
    }
    Ok(socket.outbound.sent())
}

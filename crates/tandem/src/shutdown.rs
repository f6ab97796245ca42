//! How the process is told to end or to reload: signals, and the admin interface through the same handle.
//! SIGTERM, SIGINT or POST /v1/drain drains; a second SIGTERM or SIGINT ends at once, whatever began the drain; SIGHUP reloads.
//! Leaves out what a drain does, which is `node.rs`.

use std::io;
use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

/// Asks for a drain, and tells whether one was asked for. Clones are one handle.
#[derive(Debug, Clone)]
pub struct DrainHandle {
    requested: Arc<watch::Sender<bool>>,
}

impl Default for DrainHandle {
    fn default() -> Self {
        Self {
            requested: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl DrainHandle {
    /// Asks for a drain; returns whether this was the first time.
    pub fn request(&self) -> bool {
        self.requested
            .send_if_modified(|requested| !std::mem::replace(requested, true))
    }

    /// Whether a drain was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until a drain is asked for.
    pub async fn wait(&self) {
        let mut receiver = self.requested.subscribe();
        // The sender lives as long as `self`, so waiting can only end well.
        let _ = receiver.wait_for(|requested| *requested).await;
    }
}

/// What is asked of the process from outside. Clones are one handle.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    /// Ends it.
    pub drain: DrainHandle,
    /// Asks for a reload. One that comes before routing data can be reloaded waits until it can.
    pub reload: Arc<Notify>,
}

/// Listens to SIGTERM, SIGINT and SIGHUP from now on, on a thread of its own: a node that is starting hears them too.
/// Must not be called within a runtime.
///
/// # Errors
/// The handlers can't be installed, or the thread can't be started.
pub fn listen_to_signals() -> io::Result<Requests> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _inside = runtime.enter();
        Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        }
    };
    let requests = Requests::default();
    std::thread::Builder::new().name("signals".into()).spawn({
        let requests = requests.clone();
        move || runtime.block_on(signals.listen(&requests))
    })?;
    Ok(requests)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    async fn listen(mut self, requests: &Requests) {
        let mut ends = Ends::default();
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => {
                    requests.reload.notify_one();
                    continue;
                }
            };
            match ends.next(&requests.drain) {
                Ending::Drain => tracing::info!(
                    signal = name,
                    "draining: new calls get 503, live transactions finish; a second signal ends at once"
                ),
                Ending::Draining => tracing::info!(
                    signal = name,
                    "a drain is going on already; a second signal ends at once"
                ),
                Ending::AtOnce => {
                    crate::output::fault(format!("a second signal, {name}: ending at once"));
                    std::process::exit(1);
                }
            }
        }
    }
}

/// The signals that ask for the end, as they come.
#[derive(Debug, Default)]
struct Ends {
    seen: bool,
}

/// What such a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It begins the drain.
    Drain,
    /// The admin interface began it; the supervisor that signals now is not impatient.
    Draining,
    /// It is the second one.
    AtOnce,
}

impl Ends {
    fn next(&mut self, drain: &DrainHandle) -> Ending {
        if std::mem::replace(&mut self.seen, true) {
            Ending::AtOnce
        } else if drain.request() {
            Ending::Drain
        } else {
            Ending::Draining
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_request_starts_a_drain() {
        let drain = DrainHandle::default();
        let other = drain.clone();
        assert!(!drain.is_requested());
        assert!(drain.request());
        assert!(!other.request());
        assert!(other.is_requested());
    }

    #[test]
    fn only_a_second_signal_ends_at_once_whatever_began_the_drain() {
        let drain = DrainHandle::default();
        let mut ends = Ends::default();
        assert_eq!(ends.next(&drain), Ending::Drain);
        assert_eq!(ends.next(&drain), Ending::AtOnce);

        let drain = DrainHandle::default();
        drain.request();
        let mut ends = Ends::default();
        assert_eq!(ends.next(&drain), Ending::Draining);
        assert_eq!(ends.next(&drain), Ending::AtOnce);
    }

    #[test]
    fn waiting_ends_when_the_drain_was_asked_for_before_or_after() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let drain = DrainHandle::default();
            let waiting = tokio::spawn({
                let drain = drain.clone();
                async move { drain.wait().await }
            });
            tokio::task::yield_now().await;
            drain.request();
            waiting.await.unwrap();
            drain.wait().await;
        });
    }
}

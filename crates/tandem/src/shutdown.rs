//! How the process is told to end or to reload: signals, and the admin interface through the same handle.
//! The first SIGTERM or SIGINT (or POST /v1/drain) drains, a second signal ends at once; SIGHUP reloads.
//! Leaves out what a drain does, which is `node.rs`.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::reload::Reloader;

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

/// Starts listening to SIGTERM, SIGINT and SIGHUP. Must be called within the offload runtime.
///
/// # Errors
/// The handlers can't be installed.
pub fn listen_to_signals(drain: DrainHandle, reloader: Arc<Reloader>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => on_end(&drain, "SIGTERM"),
                _ = interrupt.recv() => on_end(&drain, "SIGINT"),
                _ = hangup.recv() => {
                    let reloader = Arc::clone(&reloader);
                    tokio::spawn(async move { reloader.reload_and_log("SIGHUP").await });
                }
            }
        }
    });
    Ok(())
}

fn on_end(drain: &DrainHandle, name: &str) {
    if drain.request() {
        tracing::info!(
            signal = name,
            "draining: new calls get 503, live transactions finish"
        );
    } else {
        crate::output::fault(format!("{name} while draining: ending at once"));
        std::process::exit(1);
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
    fn waiting_ends_when_the_drain_was_asked_for_before_or_after() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
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

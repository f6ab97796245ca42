//! The admin interface: HTTP/1.1 on the offload runtime, JSON and Prometheus text, errors as RFC 9457.
//! A GET from this machine is free; every POST, and everything from beyond loopback, needs the token (`auth.rs`).
//! Few connections at a time, each with little patience (`serve.rs`). Leaves out TLS and anything a worker would wait for.

mod auth;
mod control;
mod metrics;
mod problem;
mod serve;
mod status;
mod views;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use self::problem::Problem;
pub use self::views::{
    CallRow, JournalLaneView, JournalView, ListenView, OffloadView, RoutingView, StatusView,
    WorkerView,
};
use crate::config::Config;
use crate::keys::AdminToken;
use crate::lanes::Lanes;
use crate::logging::LogDrops;
use crate::reload::Reloader;
use crate::shutdown::DrainHandle;

/// What the handlers work with.
pub struct AdminState {
    /// The configuration.
    pub config: Arc<Config>,
    /// The workers.
    pub lanes: Arc<Lanes>,
    /// Routing data.
    pub reloader: Arc<Reloader>,
    /// The drain.
    pub drain: DrainHandle,
    /// Dropped log lines.
    pub log_drops: LogDrops,
    /// When the node started.
    pub started: Instant,
    /// Everything about the journal.
    pub journal: crate::journal_view::JournalHandles,
}

impl std::fmt::Debug for AdminState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AdminState").finish_non_exhaustive()
    }
}

/// Serves until the process ends.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    state: Arc<AdminState>,
    token: AdminToken,
) -> std::io::Result<()> {
    serve::connections(listener, &router(state, token), serve::Limits::default()).await
}

fn router(state: Arc<AdminState>, token: AdminToken) -> Router {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/v1/status", get(status::status))
        .route("/v1/calls", get(status::calls))
        .route("/v1/route", get(status::route))
        .route("/v1/reload", post(control::reload))
        .route("/v1/drain", post(control::drain))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(
            Arc::new(token),
            auth::require_token,
        ))
        .with_state(state)
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {}", uri.path()),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{method} is not for {}; GET reads, POST is for /v1/reload and /v1/drain",
        uri.path()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

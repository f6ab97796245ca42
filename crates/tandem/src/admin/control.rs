//! The two POSTs: take over the routing data anew, and drain.
//! Both answer at once with what was done; a refused reload changes nothing and lists every fault.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use routing::Fault;
use serde_json::{Value, json};

use super::AdminState;
use super::problem::Problem;
use crate::reload::{ReloadError, Reloaded};

pub(super) async fn reload(
    State(state): State<Arc<AdminState>>,
) -> Result<Json<Reloaded>, Problem> {
    match state.reloader.reload("POST /v1/reload").await {
        Ok(done) => Ok(Json(done)),
        Err(ReloadError::Faults(faults)) => {
            let lines = faults.iter().map(Fault::to_string).collect();
            let detail = "the routing data are faulty; those in use stay";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_faults(lines))
        }
        Err(error) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )),
    }
}

pub(super) async fn drain(State(state): State<Arc<AdminState>>) -> (StatusCode, Json<Value>) {
    if state.drain.request() {
        tracing::info!(
            "draining, asked by POST /v1/drain: new calls get 503, live transactions finish"
        );
    }
    let body = json!({
        "state": "draining",
        "live_transactions": state.lanes.live_transactions(),
        "drain_timeout_s": state.config.runtime.drain_timeout_s,
    });
    (StatusCode::ACCEPTED, Json(body))
}

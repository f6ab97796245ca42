//! The reading side: health, readiness, status, calls, and the explanation of a route.
//! Numbers come from what the workers publish; only `/v1/calls` asks them, and waits for their next turn.

use std::sync::Arc;

use accounting::rfc3339;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use proxy_core::{CallState, CallView, Stat};
use routing::{Explanation, Snapshot};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::problem::Problem;
use super::views::{CallRow, ListenView, OffloadView, RoutingView, StatusView, WorkerView};
use crate::explain::{Question, explain};
use crate::lane_stats::LaneStat;
use crate::lanes::LaneStatus;

/// Calls of one lane that `/v1/calls` lists, unless it is asked for another number.
const CALLS_PER_LANE: usize = 1_000;
/// Calls of one lane that `/v1/calls` lists, at most: the lane stops its work to list them.
const CALLS_PER_LANE_MAX: usize = 10_000;

pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

pub(super) async fn readyz(State(state): State<Arc<AdminState>>) -> Result<Json<Value>, Problem> {
    if state.drain.is_requested() {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining: no new calls are accepted",
        ));
    }
    if state.journal.is_failing() {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the journal can't be written: new calls are refused until it can",
        ));
    }
    Ok(Json(json!({ "status": "ready" })))
}

pub(super) async fn status(State(state): State<Arc<AdminState>>) -> Json<StatusView> {
    Json(view(&state))
}

pub(super) fn view(state: &AdminState) -> StatusView {
    let snapshot = state.reloader.current().load_full();
    let config = &state.config;
    let listen = config.listen.iter().zip(state.lanes.addresses());
    StatusView {
        node: config.runtime.node.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state: if state.drain.is_requested() {
            "draining"
        } else if state.journal.is_failing() {
            "refusing"
        } else {
            "serving"
        }
        .to_owned(),
        uptime_s: state.started.elapsed().as_secs(),
        config_file: config.file.clone(),
        store: config.store.to_string(),
        listen: listen
            .map(|(listener, address)| ListenView {
                transport: listener.transport.as_str().to_ascii_lowercase(),
                address: address.to_string(),
                advertise: listener.advertise.clone(),
            })
            .collect(),
        workers: workers(state),
        routing: routing_view(&snapshot),
        journal: state.journal.view(),
        offload: offload(state),
        log_lines_dropped: state.log_drops.lines() as u64,
    }
}

fn routing_view(snapshot: &Snapshot) -> RoutingView {
    RoutingView {
        version: snapshot.version(),
        customers: snapshot.customers().count(),
        vendors: snapshot.vendors().count(),
        rates: snapshot.rate_count(),
    }
}

fn offload(state: &AdminState) -> OffloadView {
    let stats = state.lanes.job_stats();
    OffloadView {
        waiting: stats.waiting,
        running: stats.running,
        answered: stats.answered,
        full: stats.full,
        timed_out: stats.timed_out,
    }
}

fn workers(state: &AdminState) -> Vec<WorkerView> {
    let view = |lane: LaneStatus| {
        let of = |stat| lane.counters.value(stat);
        WorkerView {
            lane: lane.lane,
            cpu: lane.cpu,
            live_calls: lane.live_calls,
            live_transactions: lane.live_transactions,
            invites: lane.stats.value(Stat::Invites),
            calls_answered: lane.stats.value(Stat::CallsAnswered),
            calls_ended: lane.stats.value(Stat::CallsEnded),
            datagrams_in: of(LaneStat::DatagramsIn),
            datagrams_out: of(LaneStat::DatagramsOut),
            handed_over: of(LaneStat::HandedOff),
            dropped: of(LaneStat::RingOverflowNew)
                + of(LaneStat::RingOverflowKept)
                + of(LaneStat::KernelDrops)
                + of(LaneStat::SendDropped),
            busy_ms: of(LaneStat::BusyUs) / 1_000,
        }
    };
    state.lanes.status().into_iter().map(view).collect()
}

/// The query of `GET /v1/calls`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallsParameters {
    /// Calls of each lane, at most.
    limit: Option<usize>,
}

pub(super) async fn calls(
    State(state): State<Arc<AdminState>>,
    parameters: Result<Query<CallsParameters>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let refuse = |why: String| {
        let detail =
            format!("{why}; allowed: limit, 1 to {CALLS_PER_LANE_MAX} calls of each worker");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    };
    let Query(asked) = parameters.map_err(|rejection| refuse(rejection.body_text()))?;
    let limit = asked.limit.unwrap_or(CALLS_PER_LANE);
    if !(1..=CALLS_PER_LANE_MAX).contains(&limit) {
        return Err(refuse(format!("limit {limit}")));
    }
    let list = state.lanes.calls(limit).await;
    let rows: Vec<CallRow> = list.calls.into_iter().map(row).collect();
    Ok(Json(json!({ "calls": rows, "truncated": list.truncated })))
}

fn row(call: CallView) -> CallRow {
    CallRow {
        cdr_id: call.cdr_id.to_string(),
        call_id: call.call_id,
        state: match call.state {
            CallState::Setup => "setup",
            CallState::Up => "up",
        }
        .to_owned(),
        customer: call.customer,
        vendor: call.vendor,
        caller: call.caller,
        callee: call.callee,
        source: call.source,
        next_hop: call.next_hop,
        setup_at: rfc3339::format_us(call.setup_us),
        up_for_ms: call.up_for_us.map(|us| us / 1_000),
        session_expires_at: call.session_expires_us.map(rfc3339::format_us),
    }
}

/// The query of `GET /v1/route`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteParameters {
    number: String,
    customer: String,
    #[serde(default)]
    from: String,
    at: Option<String>,
    source: Option<String>,
}

pub(super) async fn route(
    State(state): State<Arc<AdminState>>,
    parameters: Result<Query<RouteParameters>, QueryRejection>,
) -> Result<Json<Explanation>, Problem> {
    let Query(asked) = parameters.map_err(|rejection| {
        let detail = format!(
            "{}; allowed: number, customer, from, at, source",
            rejection.body_text()
        );
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let RouteParameters {
        number,
        customer,
        from,
        at,
        source,
    } = asked;
    let question = Question {
        number,
        customer,
        from,
        at,
        source,
    };
    let snapshot = state.reloader.current().load_full();
    let (_, explanation) = explain(&snapshot, &question)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(Json(explanation))
}

//! `GET /metrics`: every counter of the lanes, the trunks' channels, routing data, journal, shipping, offload pool, log.
//! Labels: `lane`, closed sets (cause, event, kind), and trunk names from the routing data up to a stated number.
//! Leaves out histograms: times are quoted from CDRs.

use std::sync::Arc;

use accounting::Cause;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use proxy_core::{Stat, Stats};

use super::views::{JournalView, StatusView};
use super::{AdminState, status};
use crate::lane_stats::LaneStat;
use crate::lanes::LaneStatus;
use crate::metrics::{CONTENT_TYPE, Exposition, MetricKind, count};

/// Trunks that get a series each, at most; a node with more counts the rest in `trunks_without_series`.
const TRUNK_SERIES_MAX: usize = 2_000;

pub(super) async fn metrics(State(state): State<Arc<AdminState>>) -> impl IntoResponse {
    let view = status::view(&state);
    let mut page = Exposition::default();
    node(&mut page, &view, &state);
    lanes(&mut page, &state.lanes.status());
    trunks(&mut page, &state);
    journal(&mut page, &view.journal);
    offload(&mut page, &state);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], page.finish())
}

fn node(page: &mut Exposition, view: &StatusView, state: &AdminState) {
    page.family(
        "build_info",
        MetricKind::Gauge,
        "Always 1; the labels say what runs.",
    )
    .sample(&[("version", &view.version), ("node", &view.node)], 1.0);
    let draining = f64::from(u8::from(state.drain.is_requested()));
    page.single(
        "draining",
        MetricKind::Gauge,
        "1 while new calls are refused because of a drain.",
        draining,
    );
    page.single(
        "uptime_seconds",
        MetricKind::Gauge,
        "Seconds since the start.",
        count(view.uptime_s),
    );
    page.single(
        "routing_version",
        MetricKind::Gauge,
        "Version of the routing data in use.",
        count(view.routing.version),
    );
    page.single(
        "log_lines_dropped_total",
        MetricKind::Counter,
        "Log lines dropped because stderr was too slow.",
        count(view.log_lines_dropped),
    );
}

fn lanes(page: &mut Exposition, lanes: &[LaneStatus]) {
    for stat in LaneStat::ALL {
        let mut family = if stat.is_gauge() {
            page.family(stat.as_str(), MetricKind::Gauge, stat.help())
        } else {
            page.family(
                &format!("{}_total", stat.as_str()),
                MetricKind::Counter,
                stat.help(),
            )
        };
        for lane in lanes {
            family.sample(
                &[("lane", &lane.lane.to_string())],
                count(lane.counters.value(*stat)),
            );
        }
    }
    let mut family = page.family(
        "events_total",
        MetricKind::Counter,
        "What the core did, by event.",
    );
    for lane in lanes {
        for stat in Stat::ALL {
            let labels = [("event", stat.as_str()), ("lane", &lane.lane.to_string())];
            family.sample(&labels, count(lane.stats.value(*stat)));
        }
    }
    let all =
        |read: &dyn Fn(&Stats) -> u64| lanes.iter().map(|lane| read(&lane.stats)).sum::<u64>();
    let mut family = page.family(
        "refused_total",
        MetricKind::Counter,
        "Requests refused, by cause (the causes of CDRs).",
    );
    for cause in Cause::ALL {
        let refused = all(&|stats| stats.refused(*cause));
        if refused > 0 {
            family.sample(&[("cause", cause.as_str())], count(refused));
        }
    }
    let mut kinds: Vec<&'static str> = lanes
        .iter()
        .flat_map(|lane| lane.stats.parse_errors())
        .map(|(kind, _)| *kind)
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut family = page.family(
        "parse_errors_total",
        MetricKind::Counter,
        "Datagrams that did not parse, by kind of fault.",
    );
    for kind in kinds {
        let found = all(&|stats| {
            stats
                .parse_errors()
                .iter()
                .filter(|(name, _)| *name == kind)
                .map(|(_, n)| n)
                .sum()
        });
        family.sample(&[("kind", kind)], count(found));
    }
}

fn trunks(page: &mut Exposition, state: &AdminState) {
    let snapshot = state.reloader.current().load_full();
    let counters = state.lanes.counters();
    let customers = snapshot
        .customers()
        .map(|(_, customer)| ("customer", customer.name.as_str(), customer.slot));
    let vendors = snapshot
        .vendors()
        .map(|(_, vendor)| ("vendor", vendor.name.as_str(), vendor.slot));
    let mut left_out = 0_u64;
    let mut family = page.family(
        "trunk_channels",
        MetricKind::Gauge,
        "Channels taken now, by trunk; several lanes count in one cell.",
    );
    for (index, (side, name, slot)) in customers.chain(vendors).enumerate() {
        if index < TRUNK_SERIES_MAX {
            family.sample(
                &[("side", side), ("trunk", name)],
                count(u64::from(counters.channels(slot))),
            );
        } else {
            left_out += 1;
        }
    }
    page.single(
        "trunks_without_series",
        MetricKind::Gauge,
        "Trunks left out of trunk_channels because there are too many.",
        count(left_out),
    );
    page.single(
        "channel_underflows_total",
        MetricKind::Counter,
        "Channels given back that nobody held: a fault of ours when it rises.",
        count(counters.underflows()),
    );
}

fn journal(page: &mut Exposition, journal: &JournalView) {
    let mut family = page.family(
        "journal_failing",
        MetricKind::Gauge,
        "1 while the disk refuses the records of a lane, which takes no new calls then.",
    );
    for lane in &journal.lanes {
        family.sample(
            &[("lane", &lane.lane.to_string())],
            f64::from(u8::from(lane.failing)),
        );
    }
    let numbers: [(&str, MetricKind, &str, u64); 11] = [
        (
            "journal_backlog_records",
            MetricKind::Gauge,
            "Records not in the store yet, about.",
            journal.backlog_records,
        ),
        (
            "journal_backlog_bytes",
            MetricKind::Gauge,
            "Bytes of the journal not in the store yet.",
            journal.backlog_bytes,
        ),
        (
            "journal_oldest_unshipped_seconds",
            MetricKind::Gauge,
            "Age of the oldest record that is being shipped.",
            journal.oldest_unshipped_s,
        ),
        (
            "journal_open_calls",
            MetricKind::Gauge,
            "Answered calls without an end, as far as the journal has been read.",
            journal.open_calls,
        ),
        (
            "journal_segments",
            MetricKind::Gauge,
            "Segment files of the journal on the disk.",
            journal.segments,
        ),
        (
            "journal_segments_damaged",
            MetricKind::Gauge,
            "Segments found damaged while running; repaired and shipped at the next start.",
            journal.segments_damaged,
        ),
        (
            "journal_segments_undecodable",
            MetricKind::Gauge,
            "Segments with records of a newer version; kept until a version that knows them runs.",
            journal.segments_undecodable,
        ),
        (
            "ship_failing",
            MetricKind::Gauge,
            "1 while the last try to bring records into the store has failed.",
            u64::from(journal.ship_failing),
        ),
        (
            "ship_errors_total",
            MetricKind::Counter,
            "Batches the store refused; each is tried again.",
            journal.ship_errors,
        ),
        (
            "journal_errors_total",
            MetricKind::Counter,
            "Writes and syncs of the journal that failed.",
            journal.errors,
        ),
        (
            "journal_lost_total",
            MetricKind::Counter,
            "Records lost because the disk refused writes for too long.",
            journal.lost,
        ),
    ];
    for (name, kind, help, value) in numbers {
        page.single(name, kind, help, count(value));
    }
}

fn offload(page: &mut Exposition, state: &AdminState) {
    let stats = state.lanes.job_stats();
    page.single(
        "jobs_waiting",
        MetricKind::Gauge,
        "Jobs waiting for the offload pool.",
        count(stats.waiting),
    );
    page.single(
        "jobs_running",
        MetricKind::Gauge,
        "Jobs running on the offload pool.",
        count(stats.running),
    );
    let mut family = page.family(
        "jobs_total",
        MetricKind::Counter,
        "Jobs of the offload pool, by outcome.",
    );
    for (outcome, value) in [
        ("answered", stats.answered),
        ("queue_full", stats.full),
        ("timed_out", stats.timed_out),
        ("panicked", stats.panicked),
    ] {
        family.sample(&[("outcome", outcome)], count(value));
    }
    page.single(
        "jobs_wait_microseconds_total",
        MetricKind::Counter,
        "Time jobs have waited for their turn, summed.",
        count(stats.wait_us),
    );
    page.single(
        "jobs_run_microseconds_total",
        MetricKind::Counter,
        "Time jobs have run, summed.",
        count(stats.run_us),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::JournalLaneView;

    #[test]
    fn the_journal_page_says_which_lane_fails_and_what_is_kept_but_not_what_the_store_said() {
        let view = JournalView {
            ship_failing: true,
            ship_last_error: Some("disk I/O error".into()),
            open_calls: 7,
            segments: 5,
            segments_damaged: 1,
            segments_undecodable: 2,
            lanes: [(0, false), (1, true)]
                .map(|(lane, failing)| JournalLaneView { lane, failing })
                .to_vec(),
            ..JournalView::default()
        };
        let mut page = Exposition::default();
        journal(&mut page, &view);
        let page = page.finish();
        for line in [
            "tandem_journal_failing{lane=\"0\"} 0",
            "tandem_journal_failing{lane=\"1\"} 1",
            "tandem_journal_open_calls 7",
            "tandem_journal_segments 5",
            "tandem_journal_segments_damaged 1",
            "tandem_journal_segments_undecodable 2",
            "tandem_ship_failing 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
        assert!(!page.contains("disk I/O"), "{page}");
    }
}

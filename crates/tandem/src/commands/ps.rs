//! `tandem ps`: the workers of the running proxy, a line each.

use super::client;
use crate::admin::StatusView;
use crate::cli::ViewArgs;
use crate::config::Config;
use crate::output;

const HEADER: [&str; 10] = [
    "lane",
    "calls",
    "transactions",
    "INVITEs",
    "answered",
    "datagrams in",
    "datagrams out",
    "handed over",
    "dropped",
    "busy ms",
];

pub(super) fn run(config: &Config, args: &ViewArgs) -> anyhow::Result<bool> {
    let json = client::get(config, "/v1/status")?;
    if args.json {
        output::line(serde_json::to_string_pretty(&json["workers"])?);
        return Ok(true);
    }
    let view: StatusView = serde_json::from_value(json)?;
    let rows = view.workers.iter().map(|worker| {
        [
            u64::from(worker.lane),
            worker.live_calls,
            worker.live_transactions,
            worker.invites,
            worker.calls_answered,
            worker.datagrams_in,
            worker.datagrams_out,
            worker.handed_over,
            worker.dropped,
            worker.busy_ms,
        ]
        .map(|value| value.to_string())
        .to_vec()
    });
    output::table(&HEADER, rows.collect(), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    Ok(true)
}

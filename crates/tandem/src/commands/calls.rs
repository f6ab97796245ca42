//! `tandem calls`: the calls of the running proxy, a line each.

use super::client;
use crate::admin::CallRow;
use crate::cli::CallsArgs;
use crate::config::Config;
use crate::{cdr_table, output};

pub(super) fn run(config: &Config, args: &CallsArgs) -> anyhow::Result<bool> {
    let path = args.limit.map_or_else(
        || "/v1/calls".to_owned(),
        |limit| format!("/v1/calls?limit={limit}"),
    );
    let json = client::get(config, &path)?;
    if args.json {
        output::line(serde_json::to_string_pretty(&json)?);
        return Ok(true);
    }
    let calls: Vec<CallRow> = serde_json::from_value(json["calls"].clone())?;
    let rows = calls.iter().map(|call| {
        vec![
            call.state.clone(),
            call.customer.clone(),
            call.caller.clone(),
            call.callee.clone(),
            call.vendor.clone().unwrap_or_else(|| "–".to_owned()),
            call.next_hop.clone().unwrap_or_else(|| "–".to_owned()),
            call.up_for_ms
                .map_or_else(|| "–".to_owned(), cdr_table::duration),
            call.call_id.clone(),
        ]
    });
    let header = [
        "state", "customer", "caller", "callee", "vendor", "next hop", "up for", "Call-ID",
    ];
    output::table(&header, rows.collect(), &[6]);
    // A proxy of an earlier version says nothing about it.
    let more = if json["truncated"].as_bool() == Some(true) {
        ", and there are more: ask with --limit"
    } else {
        ""
    };
    output::line(format!("{} calls{more}", calls.len()));
    Ok(true)
}

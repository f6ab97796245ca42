//! `tandem calls`: the calls of the running proxy, a line each.

use super::client;
use crate::admin::CallRow;
use crate::cli::ViewArgs;
use crate::config::Config;
use crate::{cdr_table, output};

pub(super) fn run(config: &Config, args: &ViewArgs) -> anyhow::Result<bool> {
    let json = client::get(config, "/v1/calls")?;
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
    output::line(format!("{} calls", calls.len()));
    Ok(true)
}

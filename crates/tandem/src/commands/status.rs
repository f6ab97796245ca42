//! `tandem status`: what the running proxy says of itself, in one screen.

use super::client;
use crate::admin::StatusView;
use crate::cli::ViewArgs;
use crate::config::Config;
use crate::output;

pub(super) fn run(config: &Config, args: &ViewArgs) -> anyhow::Result<bool> {
    let json = client::get(config, "/v1/status")?;
    if args.json {
        output::line(serde_json::to_string_pretty(&json)?);
        return Ok(true);
    }
    let view: StatusView = serde_json::from_value(json)?;
    output::line(text(&view));
    Ok(true)
}

fn text(view: &StatusView) -> String {
    let sum =
        |value: fn(&crate::admin::WorkerView) -> u64| view.workers.iter().map(value).sum::<u64>();
    let listen: Vec<_> = view
        .listen
        .iter()
        .map(|listener| {
            format!(
                "{} {} as {}",
                listener.transport, listener.address, listener.advertise
            )
        })
        .collect();
    let lines = [
        (
            "node",
            format!(
                "{}, Tandem {}, {}, up {} s",
                view.node, view.version, view.state, view.uptime_s
            ),
        ),
        ("listen", listen.join(", ")),
        ("workers", view.workers.len().to_string()),
        (
            "calls",
            format!(
                "{} live, {} INVITEs seen, {} live transactions, {} answered, {} ended",
                sum(|worker| worker.live_calls),
                sum(|worker| worker.invites),
                sum(|worker| worker.live_transactions),
                sum(|worker| worker.calls_answered),
                sum(|worker| worker.calls_ended)
            ),
        ),
        (
            "routing",
            format!(
                "version {}, {} customers, {} vendors, {} rates",
                view.routing.version,
                view.routing.customers,
                view.routing.vendors,
                view.routing.rates
            ),
        ),
        (
            "journal",
            format!(
                "{}{} records not shipped yet, the oldest for {} s; {} write errors, {} records lost",
                if view.journal.failing {
                    "CAN'T BE WRITTEN, new calls are refused; "
                } else {
                    ""
                },
                view.journal.backlog_records,
                view.journal.oldest_unshipped_s,
                view.journal.errors,
                view.journal.lost
            ),
        ),
        (
            "offload",
            format!(
                "{} waiting, {} running, {} refused, {} timed out",
                view.offload.waiting,
                view.offload.running,
                view.offload.full,
                view.offload.timed_out
            ),
        ),
    ];
    lines
        .map(|(name, value)| format!("{name:<9}{value}"))
        .join("\n")
}

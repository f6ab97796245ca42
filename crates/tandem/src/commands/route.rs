//! `tandem route`: explains where a call would go, from the store as it is now.
//! Exit code 0 when the call would be routed, 1 when not.
//! Leaves out what the running proxy has loaded; that is `GET /v1/route`.

use routing::RouteOutcome;

use super::store::with_store;
use crate::cli::RouteArgs;
use crate::config::Config;
use crate::explain::{Question, explain};
use crate::{output, routing_files};

pub(super) fn run(config: &Config, args: &RouteArgs) -> anyhow::Result<bool> {
    let snapshot = with_store(config, async |store| {
        Ok(routing_files::compiled(&store).await?)
    })?;
    let question = Question {
        number: args.number.clone(),
        customer: args.customer.clone(),
        from: args.from.clone(),
        at: args.at.clone(),
        source: args.source.clone(),
    };
    let (outcome, explanation) = explain(&snapshot, &question)?;
    if args.json {
        output::line(serde_json::to_string_pretty(&explanation)?);
    } else {
        output::line(explanation.to_string().trim_end());
    }
    Ok(outcome == RouteOutcome::Routed)
}

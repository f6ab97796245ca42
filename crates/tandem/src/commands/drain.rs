//! `tandem drain`: the running proxy refuses new calls, finishes live transactions and ends. Does not wait for the end.

use super::client;
use crate::config::Config;
use crate::output;

pub(super) fn run(config: &Config) -> anyhow::Result<bool> {
    let done = client::post(config, "/v1/drain")?;
    output::line(format!(
        "draining: {} live transactions, at most {} s",
        done["live_transactions"], done["drain_timeout_s"]
    ));
    Ok(true)
}

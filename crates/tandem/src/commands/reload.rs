//! `tandem reload`: the running proxy reads the routing data anew, or refuses them whole and says why.

use super::client;
use crate::config::Config;
use crate::output;

pub(super) fn run(config: &Config) -> anyhow::Result<bool> {
    let done = client::post(config, "/v1/reload")?;
    output::line(format!(
        "reloaded: version {}, {} customers, {} vendors, {} routes, {} rates in {} ms",
        done["version"],
        done["customers"],
        done["vendors"],
        done["routes"],
        done["rates"],
        done["took_ms"]
    ));
    Ok(true)
}

//! `tandem check`: the configuration is sound (it was read before we get here), and so are secrets and routing data.
//! One line per fault, exit code 1 when there is any.
//! Leaves out the network: whether an address can be bound or a vendor answers.

use super::store::with_store;
use crate::config::Config;
use crate::routing_files::{self, FilesError};
use crate::{keys, output};

pub(super) fn run(config: &Config) -> anyhow::Result<bool> {
    let mut faults: Vec<String> = Vec::new();
    if config.proxy.cookie_key_file.exists() {
        faults.extend(
            keys::cookie_keys(&config.proxy.cookie_key_file)
                .err()
                .map(|error| error.to_string()),
        );
    }
    if config.admin.token_file.exists() {
        faults.extend(
            keys::admin_token(&config.admin.token_file)
                .err()
                .map(|error| error.to_string()),
        );
    }
    let mut summary = String::from("no store yet: it is made at the first start or load");
    if config.store.path().exists() {
        match with_store(config, async |store| {
            Ok(routing_files::compiled(&store).await)
        })? {
            Ok(snapshot) => {
                summary = format!(
                    "routing data version {}: {} customers, {} vendors, {} rates",
                    snapshot.version(),
                    snapshot.customers().count(),
                    snapshot.vendors().count(),
                    snapshot.rate_count()
                );
            }
            Err(FilesError::Faults(found)) => faults.extend(found.iter().map(ToString::to_string)),
            Err(error) => faults.push(error.to_string()),
        }
    }
    for fault in &faults {
        output::fault(fault);
    }
    if faults.is_empty() {
        let file = config
            .file
            .as_deref()
            .unwrap_or("built-in defaults and environment");
        output::line(format!("configuration ({file}): no faults\n{summary}"));
    }
    Ok(faults.is_empty())
}

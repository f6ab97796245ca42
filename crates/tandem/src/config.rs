//! The configuration: file and environment, read in two stages into one immutable [`Config`].
//! `schema` names every key, `layers` merges file and environment, `raw` is what was written, `resolve` what it means.
//! Leaves out the keys and tokens on disk (`keys.rs`) and the routing data, which live in the store.

mod fault;
mod layers;
mod raw;
mod resolve;
mod schema;

pub use fault::{ConfigError, ConfigFault, Origin};
pub use resolve::{
    AdminConfig, Config, JournalConfig, ListenConfig, LogConfig, LogFormat, OffloadConfig,
    ProxyConfig, RuntimeConfig, StoreConfig, WORKERS_MAX,
};
pub use schema::{KeySpec, Kind, SCHEMA};

use std::path::Path;

/// The file that is read when no `--config` is given and it exists in the working directory.
pub const DEFAULT_FILE: &str = "tandem.toml";

/// Reads the configuration of this process: `file`, else `./tandem.toml` where there is one, else the built-in
/// defaults; then the environment (`TANDEM__SECTION__KEY`) over it.
///
/// # Errors
/// [`ConfigError`] holds every fault found, each with its place, its key and what is allowed.
pub fn read(file: Option<&Path>) -> Result<Config, ConfigError> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| {
            Some((
                name.into_string().ok()?,
                value.to_string_lossy().into_owned(),
            ))
        })
        .collect();
    let path = match file {
        Some(path) => Some(path.to_path_buf()),
        None => Some(Path::new(DEFAULT_FILE).to_path_buf()).filter(|path| path.exists()),
    };
    let text = match &path {
        None => None,
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|error| ConfigError::unreadable(&path.display().to_string(), &error))?,
        ),
    };
    let name = path.map(|path| path.display().to_string());
    parse(name.as_deref().zip(text.as_deref()), &environment)
}

/// Reads a configuration from text: `file` is its name and its content, `environment` the variables of the process
/// (those that do not begin with `TANDEM__` are ignored).
///
/// # Errors
/// As [`read`].
pub fn parse(
    file: Option<(&str, &str)>,
    environment: &[(String, String)],
) -> Result<Config, ConfigError> {
    let layered = layers::layer(file, environment)?;
    resolve::resolve(&layered)
}

#[cfg(test)]
mod tests;

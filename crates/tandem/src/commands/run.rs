//! `tandem run`: the proxy, until a signal or POST /v1/drain ends it.
//! Exit code 0 after a clean drain; one clear line and 1 when it can't start, or ends with records left.

use std::sync::Arc;

use crate::config::Config;
use crate::logging;
use crate::node::{Node, StartError};
use crate::shutdown;

pub(super) fn run(config: Config) -> anyhow::Result<bool> {
    let log = logging::start(&config.log);
    // Before anything slow: whoever asks for the end while the node starts is heard.
    let requests = shutdown::listen_to_signals()?;
    let node = match Node::start_with(Arc::new(config), log.drops(), requests) {
        Ok(node) => node,
        Err(StartError::Interrupted) => {
            tracing::info!("asked to end while starting: nothing was taken, nothing is left");
            return Ok(true);
        }
        Err(error) => return Err(error.into()),
    };
    node.wait_for_drain();
    let drained = node.drain();
    drop(log);
    drained?;
    Ok(true)
}

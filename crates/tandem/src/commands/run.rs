//! `tandem run`: the proxy, until a signal or POST /v1/drain ends it.
//! Exit code 0 after a clean drain; one clear line and 1 when it can't start, or ends with records left.

use std::sync::Arc;

use crate::config::Config;
use crate::logging;
use crate::node::Node;

pub(super) fn run(config: Config) -> anyhow::Result<bool> {
    let log = logging::start(&config.log);
    let node = Node::start(Arc::new(config), log.drops())?;
    node.listen_to_signals()?;
    node.wait_for_drain();
    let drained = node.drain();
    drop(log);
    drained?;
    Ok(true)
}

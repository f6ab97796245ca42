//! What the commands that work on the store share: a small runtime of their own and an open store.
//! Leaves out the proxy's runtimes; these commands run without a proxy, or beside one.

use std::future::Future;

use anyhow::Context as _;
use storage::Store;

use crate::config::Config;

/// Opens the store and runs `work` on it to its end.
pub(crate) fn with_store<T, F>(config: &Config, work: impl FnOnce(Store) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime can be started")?;
    runtime.block_on(async {
        let store = Store::open(config.store.url()).await?;
        work(store).await
    })
}

//! `tandem export`: the routing data of the store as CSV files, in a byte-stable order.
//! Leaves out CDRs, which are `tandem cdr --format csv`.

use super::store::with_store;
use crate::cli::ExportArgs;
use crate::config::Config;
use crate::{output, routing_files};

pub(super) fn run(config: &Config, args: &ExportArgs) -> anyhow::Result<bool> {
    let counts = with_store(config, async |store| {
        Ok(routing_files::export(&store, &args.directory).await?)
    })?;
    let rows: Vec<_> = counts
        .into_iter()
        .map(|(kind, rows)| format!("{} {rows}", kind.table_name()))
        .collect();
    output::line(format!(
        "exported to {}: {}",
        args.directory.display(),
        rows.join(", ")
    ));
    Ok(true)
}

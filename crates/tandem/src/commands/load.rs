//! `tandem load`: CSV files into the store, all or nothing, with a progress bar on a terminal.
//! Leaves out the running proxy, which takes the result up with `tandem reload`.

use indicatif::{ProgressBar, ProgressStyle};

use super::store::with_store;
use crate::cli::LoadArgs;
use crate::config::Config;
use crate::output;
use crate::routing_files::{self, LoadOptions};

pub(super) fn run(config: &Config, args: &LoadArgs) -> anyhow::Result<bool> {
    let options = LoadOptions {
        replace: args.replace,
        dry_run: args.dry_run,
    };
    let bar = ProgressBar::new(routing_files::total_bytes(&args.directory));
    bar.set_style(ProgressStyle::with_template(
        "{msg:>8} {wide_bar} {percent}% {eta}",
    )?);
    bar.set_message("reading");
    let counts = with_store(config, async |store| {
        let mut reading = |bytes| bar.set_position(bytes);
        let mut writing = |rows| {
            bar.set_message("writing");
            bar.set_length(bar.length().unwrap_or(rows).max(rows));
            bar.set_position(rows);
        };
        Ok(
            routing_files::load(&store, &args.directory, options, &mut reading, &mut writing)
                .await?,
        )
    });
    bar.finish_and_clear();
    let rows: Vec<_> = counts?
        .into_iter()
        .map(|(kind, rows)| format!("{} {rows}", kind.table_name()))
        .collect();
    let done = if args.dry_run {
        "checked, nothing written"
    } else {
        "loaded"
    };
    output::line(format!("{done}: {}", rows.join(", ")));
    Ok(true)
}

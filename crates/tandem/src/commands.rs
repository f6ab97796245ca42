//! One file per command; each returns whether it did what was asked, or the one line that says why not.
//! Exit codes: 0 done, 1 not (or faults found), 2 a command line that is wrong.
//! Leaves out parsing (`cli.rs`) and printing (`output.rs`).

mod calls;
mod cdr;
mod check;
mod client;
mod drain;
mod export;
mod load;
mod ps;
mod reload;
mod route;
mod run;
mod status;
mod store;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::{config, demo, output};

/// Runs one command to its end.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Demo => demo::run(),
        command => with_config(command, cli.config.as_deref()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::fault(chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes in one line; a cause that the message before it already repeats is left out.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text
}

fn with_config(command: Command, file: Option<&std::path::Path>) -> anyhow::Result<bool> {
    let config = config::read(file)?;
    match command {
        Command::Run => run::run(config),
        Command::Check => check::run(&config),
        Command::Load(args) => load::run(&config, &args),
        Command::Export(args) => export::run(&config, &args),
        Command::Route(args) => route::run(&config, &args),
        Command::Cdr(args) => cdr::run(&config, &args),
        Command::Status(args) => status::run(&config, &args),
        Command::Reload => reload::run(&config),
        Command::Drain => drain::run(&config),
        Command::Ps(args) => ps::run(&config, &args),
        Command::Calls(args) => calls::run(&config, &args),
        Command::Demo => demo::run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_told_once() {
        let inner = std::io::Error::other("no space");
        let error = Err::<(), _>(inner)
            .context("writing: no space")
            .context("export")
            .unwrap_err();
        assert_eq!(chain(&error), "export: writing: no space");
    }
}

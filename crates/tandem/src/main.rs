//! The `tandem` binary: reads the command line, runs one command, ends with its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use tandem::cli::Cli;
use tandem::commands;

fn main() -> ExitCode {
    commands::run(Cli::parse())
}

//! Development tasks: `cargo xtask test`, `cargo xtask ci`, `cargo xtask ledger` and `cargo xtask instructions`.
//! Needs Rust and, for the end-to-end tests, Debian's package manager; nothing else.
//! Leaves out releases and deployment.
#![expect(clippy::print_stderr, reason = "a command-line tool for developers")]

mod fuzz;
mod instructions;
mod ledger;
mod leftovers;
mod packages;
mod steps;

use std::path::Path;
use std::process::ExitCode;

use steps::{Step, Steps};

/// Seeds of the simulation that every run of `ci` goes through.
const SIMULATION_SEEDS: &str = "300";

const USAGE: &str = "cargo xtask <task>\n\n  test [FILTER…]   every test of the workspace, the end-to-end ones included\n  \
                     ci               format, ledger, lints, documentation, tests, instructions, simulation: what must pass before a merge\n  \
                     fuzz [TARGET [SECONDS]]  the fuzz targets, 20 s each, or one of them\n  \
                     ledger [--check] makes docs/conformance.md from the annotations in the code, or checks it and every citation\n  \
                     instructions [--update] counts the instructions of the parser and compares them with those kept, or keeps them";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Cargo runs this with the manifest directory known; tasks run from the top of the workspace.
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    if let Err(error) = std::env::set_current_dir(top) {
        eprintln!("{}: {error}", top.display());
        return ExitCode::FAILURE;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test", filter @ ..] => test(filter),
        ["ci"] => ci(),
        ["fuzz"] => fuzz_alone(None, None),
        ["fuzz", target] => fuzz_alone(Some(target), None),
        ["fuzz", target, seconds] => fuzz_alone(Some(target), Some(seconds)),
        ["instructions"] => instructions(false),
        ["instructions", "--update"] => instructions(true),
        ["ledger"] => ledger::run(false),
        ["ledger", "--check"] => ledger::run(true),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn test(filter: &[&str]) -> Result<(), String> {
    let mut steps = Steps::new();
    steps.run("packages", packages::ensure)?;
    run_tests(&mut steps, filter)?;
    steps.close()
}

fn ci() -> Result<(), String> {
    let mut steps = Steps::new();
    steps.run("packages", packages::ensure)?;
    steps.command(&Step::new("format", "cargo").args(["fmt", "--all", "--check"]))?;
    steps.run("ledger", || ledger::run(true))?;
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    steps.command(&Step::new("lints", "cargo").args(lints))?;
    let doc = ["doc", "--workspace", "--no-deps", "--locked"];
    steps.command(
        &Step::new("documentation", "cargo")
            .args(doc)
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    run_tests(&mut steps, &[])?;
    steps.run("instructions", || instructions(false))?;
    let seeds = [
        "run",
        "--quiet",
        "--locked",
        "-p",
        "sim",
        "--",
        "--seeds",
        SIMULATION_SEEDS,
    ];
    steps.command(&Step::new("simulation", "cargo").args(seeds))?;
    fuzz::run(&mut steps, None, None)?;
    steps.close()
}

fn fuzz_alone(target: Option<&str>, seconds: Option<&str>) -> Result<(), String> {
    let mut steps = Steps::new();
    fuzz::run(&mut steps, target, seconds)?;
    steps.close()
}

/// Counts instructions, and compares or keeps them.
fn instructions(update: bool) -> Result<(), String> {
    packages::ensure_valgrind()?;
    instructions::run(update)
}

/// All tests of the workspace, built once; what they leave behind is removed.
fn run_tests(steps: &mut Steps, filter: &[&str]) -> Result<(), String> {
    let scratch = leftovers::Scratch::new()?;
    let nextest = steps::succeeds("cargo", &["nextest", "--version"]);
    let runner: &[&str] = if nextest {
        &["nextest", "run"]
    } else {
        &["test"]
    };
    let tests = Step::new("tests", "cargo")
        .args(runner.iter().copied())
        .args(["--workspace", "--locked"])
        .args(filter.iter().copied())
        .env("TMPDIR", scratch.path())
        .env(leftovers::MARK, scratch.path());
    let outcome = steps.command(&tests);
    // The examples in the documentation are tests too; nextest leaves them out.
    let outcome = outcome.and_then(|()| {
        if nextest && filter.is_empty() {
            steps.command(&Step::new("examples", "cargo").args([
                "test",
                "--workspace",
                "--doc",
                "--locked",
                "--quiet",
            ]))
        } else {
            Ok(())
        }
    });
    let ended = scratch.clear();
    if ended > 0 {
        return outcome.and(Err(format!(
            "{ended} process(es) were left running by the tests and have been ended"
        )));
    }
    outcome
}

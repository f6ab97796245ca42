//! Runs seeds of the simulation: one line for every failure, one line at the end.
//! `sim --seeds 300 [--first N]`, or `sim --seed N [--trace]` for one of them with all it did.
//! `sim --program FILE [--trace]` runs what a fuzzer found, `sim --messages DIR` writes datagrams for its corpus.
//! Leaves out everything else; the library holds the simulation.
#![expect(clippy::print_stdout, reason = "a command-line tool for developers")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sim::program::run_program;
use sim::random_run::{messages_of, run_seed};

/// Seeds whose datagrams are written.
const MESSAGE_SEEDS: u64 = 12;

struct Arguments {
    first: u64,
    seeds: u64,
    trace: bool,
    program: Option<PathBuf>,
    messages: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        first: 0,
        seeds: 300,
        trace: false,
        program: None,
        messages: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if let "--program" | "--messages" = word.as_str() {
            let path = words.next().ok_or_else(|| format!("{word} needs a path"))?;
            let place = if word == "--program" {
                &mut parsed.program
            } else {
                &mut parsed.messages
            };
            *place = Some(path.into());
            continue;
        }
        let mut number = || {
            let text = words
                .next()
                .ok_or_else(|| format!("{word} needs a number"))?;
            text.parse::<u64>()
                .map_err(|_| format!("{word}: {text} is not a number"))
        };
        match word.as_str() {
            "--seeds" => parsed.seeds = number()?,
            "--first" => parsed.first = number()?,
            "--seed" => (parsed.first, parsed.seeds) = (number()?, 1),
            "--trace" => parsed.trace = true,
            other => {
                return Err(format!(
                    "{other}: not known; --seeds N, --first N, --seed N, --program FILE, --messages DIR, --trace"
                ));
            }
        }
    }
    Ok(parsed)
}

fn run_file(path: &Path, trace: bool) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    run_program(&bytes, trace).map_err(|faults| faults.join("\n"))
}

/// Writes the datagrams that cross the boundary in some runs, each once, but for its marks and numbers.
fn write_messages(folder: &Path) -> Result<(), String> {
    let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(fault)?;
    let mut seen = HashSet::new();
    for seed in 0..MESSAGE_SEEDS {
        for bytes in messages_of(seed) {
            let shape: Vec<u8> = bytes
                .iter()
                .filter(|byte| !byte.is_ascii_alphanumeric())
                .copied()
                .collect();
            if seen.insert((bytes.iter().take(12).copied().collect::<Vec<u8>>(), shape)) {
                let path = folder.join(format!("sim-{}", seen.len()));
                std::fs::write(path, bytes).map_err(fault)?;
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(fault) => {
            println!("{fault}");
            return ExitCode::FAILURE;
        }
    };
    let special = match (&arguments.program, &arguments.messages) {
        (Some(program), _) => Some(run_file(program, arguments.trace)),
        (None, Some(folder)) => Some(write_messages(folder)),
        (None, None) => None,
    };
    if let Some(outcome) = special {
        return match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                println!("{fault}");
                ExitCode::FAILURE
            }
        };
    }
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for seed in arguments.first..arguments.first + arguments.seeds {
        match run_seed(seed, arguments.trace) {
            Ok(_) => passed += 1,
            Err(faults) => {
                failed += 1;
                println!("seed {seed}: {}", faults.join("; "));
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

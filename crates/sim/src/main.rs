//! Runs seeds of the simulation: one line for every failure, one line at the end.
//! `sim --seeds 300 [--first N]`, or `sim --seed N [--trace]` for one of them with all it did.
//! Leaves out everything else; the library holds the simulation.
#![expect(clippy::print_stdout, reason = "a command-line tool for developers")]

use std::process::ExitCode;

use sim::random_run::run_seed;

struct Arguments {
    first: u64,
    seeds: u64,
    trace: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        first: 0,
        seeds: 300,
        trace: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
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
                    "{other}: not known; --seeds N, --first N, --seed N, --trace"
                ));
            }
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(fault) => {
            println!("{fault}");
            return ExitCode::FAILURE;
        }
    };
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

//! Runs one piece of work a given number of times: `instructions WORK TIMES`; without arguments, lists what there is.
//! The difference between two runs under callgrind is the cost of the work alone, free of start-up.
//! Leaves out time: that is for the benches.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool for developers"
)]

mod forward;
mod hostile;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            for work in work::ALL {
                println!("{} {}", work.name, work.times);
            }
            ExitCode::SUCCESS
        }
        [name, times] => run(name, times),
        _ => usage(),
    }
}

fn run(name: &str, times: &str) -> ExitCode {
    let work = work::ALL.iter().find(|work| work.name == name);
    let (Some(work), Ok(times)) = (work, times.parse()) else {
        return usage();
    };
    println!("{}", (work.run)(times));
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("instructions WORK TIMES, where WORK is one that `instructions` lists");
    ExitCode::FAILURE
}

//! Runs named steps one after the other, times each, and closes with a table and the test runner's own lines.
//! Output passes through as it comes; the lines that sum up a test run are kept besides.
//! Leaves out parallel steps: the machine belongs to one at a time.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A command to run under a name.
pub(crate) struct Step {
    name: &'static str,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl Step {
    /// `program` without arguments yet.
    pub(crate) fn new(name: &'static str, program: impl Into<OsString>) -> Self {
        Self {
            name,
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Adds arguments.
    pub(crate) fn args<I: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = I>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }
}

/// The steps run so far.
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration)>,
    /// What the test runners said in sum.
    summary: Vec<String>,
}

impl Steps {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            done: Vec::new(),
            summary: Vec::new(),
        }
    }

    /// Runs a function as a step.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        eprintln!("── {name}");
        let start = Instant::now();
        let outcome = step();
        self.note(name, start.elapsed(), outcome)
    }

    /// Runs a command as a step; a failure names it and shows what the runner said.
    pub(crate) fn command(&mut self, step: &Step) -> Result<(), String> {
        let shown: Vec<_> = step
            .arguments
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect();
        eprintln!(
            "── {}: {} {}",
            step.name,
            step.program.display(),
            shown.join(" ")
        );
        let start = Instant::now();
        let outcome = self.pass_through(step);
        self.note(step.name, start.elapsed(), outcome)
    }

    fn note(
        &mut self,
        name: &'static str,
        took: Duration,
        outcome: Result<(), String>,
    ) -> Result<(), String> {
        self.done.push((name, took));
        outcome.map_err(|error| {
            self.print();
            format!("{name} failed: {error}")
        })
    }

    fn pass_through(&mut self, step: &Step) -> Result<(), String> {
        let mut child = Command::new(&step.program)
            .args(&step.arguments)
            .envs(step.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", step.program.display()))?;
        let (lines, summary) = mpsc::channel();
        let readers = [
            child
                .stdout
                .take()
                .map(|pipe| copy_lines(pipe, lines.clone())),
            child.stderr.take().map(|pipe| copy_lines(pipe, lines)),
        ];
        for reader in readers.into_iter().flatten() {
            // A reader that panicked has lost only its echo.
            let _ = reader.join();
        }
        self.summary.extend(summary.iter());
        let status = child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            Ok(())
        } else {
            Err(status.to_string())
        }
    }

    /// Prints the table and the runner's lines.
    pub(crate) fn close(self) -> Result<(), String> {
        self.print();
        Ok(())
    }

    fn print(&self) {
        eprintln!();
        for (name, took) in &self.done {
            eprintln!("{name:<14} {:>8.1} s", took.as_secs_f64());
        }
        for line in &self.summary {
            eprintln!("{line}");
        }
    }
}

/// Whether a command can be run and succeeds; its output is dropped.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// Copies a child's output to standard error and sends on the lines that sum up.
fn copy_lines(
    pipe: impl Read + Send + 'static,
    summary: mpsc::Sender<String>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let _ = writeln!(std::io::stderr(), "{line}");
            if sums_up(&line) {
                let _ = summary.send(line.trim().to_owned());
            }
        }
    })
}

/// Whether a line is the closing line of cargo-nextest, of libtest, or of the simulation.
fn sums_up(line: &str) -> bool {
    let line = line.trim_start();
    let empty_run = line.contains("ok. 0 passed; 0 failed; 0 ignored");
    let simulation = line.contains(" passed, ") && line.ends_with(" failed");
    (line.starts_with("Summary [") || line.starts_with("test result:") || simulation) && !empty_run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners_are_kept_and_empty_runs_are_not() {
        assert!(sums_up(
            "     Summary [  12.345s] 300 tests run: 300 passed, 0 skipped"
        ));
        assert!(sums_up(
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out"
        ));
        assert!(!sums_up(
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
        ));
        assert!(sums_up("300 passed, 0 failed"));
        assert!(!sums_up("test a_test ... ok"));
    }

    #[test]
    fn a_step_that_fails_is_named_in_the_error() {
        let error = Steps::new()
            .command(&Step::new("nothing", "false"))
            .expect_err("fails");
        assert!(error.starts_with("nothing failed:"), "{error}");
        assert!(Steps::new().command(&Step::new("all well", "true")).is_ok());
    }
}

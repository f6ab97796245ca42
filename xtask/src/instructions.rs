//! Counts the instructions of the parser's work and of forwarding under callgrind and compares them with `benches/instructions.toml`.
//! Counts repeat to the instruction on one machine and toolchain, where times do not.
//! On another toolchain or kind of processor they are shown, and not compared: they would say nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

const KEPT: &str = "benches/instructions.toml";

/// How far a count may move, in percent of the kept one: above it fails, below it asks for an update.
const MARGIN_PERCENT: u64 = 5;

/// The messages made to be slow to read, at a quarter of the size of a datagram and at all of it:
/// linear work is four times as much, and a tenth over that is let pass.
const HOSTILE: (&str, &str) = ("hostile_16k", "hostile_64k");

const HEADER: &str = "\
# Instructions of one piece of work each, as callgrind counts them: `cargo xtask instructions --update` writes this file,
# `cargo xtask ci` fails on 5 % more. What each piece is stands in benches/instructions/src/work.rs.
";

/// Compares the counts with those kept, or writes them when `update`.
pub(crate) fn run(update: bool) -> Result<(), String> {
    let binary = build()?;
    let mut counts = BTreeMap::new();
    for line in stdout(Command::new(&binary))?.lines() {
        let (work, times) = line.split_once(' ').unwrap_or((line, "1"));
        let times = times.parse().map_err(|error| format!("{line}: {error}"))?;
        counts.insert(work.to_owned(), count(&binary, work, times)?);
    }
    let here = Figures {
        conditions: conditions()?,
        counts,
    };
    if update {
        return std::fs::write(KEPT, here.to_text()).map_err(|error| format!("{KEPT}: {error}"));
    }
    let text = std::fs::read_to_string(KEPT).map_err(|error| format!("{KEPT}: {error}"))?;
    let kept = Figures::parse(&text)?;
    for (work, count) in &here.counts {
        let before = kept.counts.get(work).map_or("-".to_owned(), u64::to_string);
        eprintln!("{work:<20} {count:>8} instructions, kept {before:>8}");
    }
    if kept.conditions != here.conditions {
        eprintln!(
            "not compared: counted with {:?}, kept are those of {:?}",
            here.conditions, kept.conditions
        );
        return Ok(());
    }
    let mut faults = here.compare(&kept);
    faults.extend(here.more_than_linear());
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n"))
    }
}

/// Counts and what they depend on.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    /// The toolchain and what of the processor chooses between code paths.
    conditions: BTreeMap<String, String>,
    counts: BTreeMap<String, u64>,
}

impl Figures {
    fn to_text(&self) -> String {
        let mut text = HEADER.to_owned();
        for (name, value) in &self.conditions {
            let _ = writeln!(text, "{name} = \"{value}\"");
        }
        text.push_str("\n[instructions]\n");
        for (work, count) in &self.counts {
            let _ = writeln!(text, "{work} = {count}");
        }
        text
    }

    /// Reads what [`Figures::to_text`] writes, which is a small part of TOML.
    fn parse(text: &str) -> Result<Self, String> {
        let mut figures = Self {
            conditions: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '[']) {
                continue;
            }
            let fault = || format!("{KEPT}:{}: not `name = value`", index + 1);
            let (name, value) = line.split_once(" = ").ok_or_else(fault)?;
            match value.strip_prefix('"') {
                Some(quoted) => {
                    let value = quoted.strip_suffix('"').ok_or_else(fault)?;
                    figures.conditions.insert(name.to_owned(), value.to_owned());
                }
                None => {
                    let count = value.parse().map_err(|_| fault())?;
                    figures.counts.insert(name.to_owned(), count);
                }
            }
        }
        Ok(figures)
    }

    /// One line for each count that is not within the margin of the kept one.
    fn compare(&self, kept: &Self) -> Vec<String> {
        let mut faults = Vec::new();
        for (work, count) in &self.counts {
            let Some(before) = kept.counts.get(work) else {
                faults.push(format!("{work}: {count} instructions, none kept; {UPDATE}"));
                continue;
            };
            let (lowest, highest) = (
                before * (100 - MARGIN_PERCENT) / 100,
                before * (100 + MARGIN_PERCENT) / 100,
            );
            if *count > highest {
                faults.push(format!(
                    "{work}: {count} instructions, more than {MARGIN_PERCENT} % above the {before} kept"
                ));
            } else if *count < lowest {
                faults.push(format!(
                    "{work}: {count} instructions, better than the {before} kept; {UPDATE}"
                ));
            }
        }
        for work in kept.counts.keys() {
            if !self.counts.contains_key(work) {
                faults.push(format!("{work}: kept, but not counted; {UPDATE}"));
            }
        }
        faults
    }
}

impl Figures {
    /// What is wrong when four times the octets are much more than four times the work.
    fn more_than_linear(&self) -> Option<String> {
        let (quarter, whole) = (self.counts.get(HOSTILE.0)?, self.counts.get(HOSTILE.1)?);
        (whole * 10 > quarter * 44).then(|| {
            let (small, large) = HOSTILE;
            format!("{large}: {whole} instructions, more than 4.4 times the {quarter} of {small}")
        })
    }
}

const UPDATE: &str = "write the new counts with: cargo xtask instructions --update";

/// Builds the program that does the work; gives its path.
fn build() -> Result<PathBuf, String> {
    let arguments = ["build", "--release", "--locked", "--quiet"];
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).args(["-p", "instructions"]);
    stdout(cargo)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(PathBuf::from(target).join("release/instructions"))
}

/// The instructions of one time of `work`: what as much again costs, without the start of the program.
fn count(binary: &PathBuf, work: &str, times: u64) -> Result<u64, String> {
    let once = collect(binary, work, times)?;
    let twice = collect(binary, work, 2 * times)?;
    Ok((twice - once) / times)
}

/// The instructions of a whole run.
fn collect(binary: &PathBuf, work: &str, times: u64) -> Result<u64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(binary).args([work, &times.to_string()]);
    let output = valgrind
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = collected(&said).filter(|_| output.status.success());
    collected.ok_or_else(|| format!("valgrind said no count for {work}:\n{said}"))
}

/// The number in callgrind's closing line: `==1== Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    let (_, count) = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))?;
    count.trim().parse().ok()
}

/// What the counts depend on besides the code.
fn conditions() -> Result<BTreeMap<String, String>, String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("--version");
    let version = stdout(rustc)?;
    // Searches and copies are chosen at run time by whether the processor has AVX2.
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has_avx2 = flags.split_whitespace().any(|flag| flag == "avx2");
    let processor = format!(
        "{}{}",
        std::env::consts::ARCH,
        if has_avx2 { " avx2" } else { "" }
    );
    Ok(BTreeMap::from([
        ("rustc".to_owned(), version.trim().to_owned()),
        ("processor".to_owned(), processor),
    ]))
}

/// What a command prints; its failure is an error.
fn stdout(mut command: Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program}: {}\n{said}", output.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(counts: &[(&str, u64)]) -> Figures {
        let counts = counts
            .iter()
            .map(|(work, count)| ((*work).to_owned(), *count));
        Figures {
            conditions: BTreeMap::from([("rustc".to_owned(), "rustc 1.0".to_owned())]),
            counts: counts.collect(),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let kept = figures(&[("parse", 7_000), ("write", 9_000)]);
        assert_eq!(Figures::parse(&kept.to_text()), Ok(kept));
        assert!(Figures::parse("parse: 7").is_err());
        assert!(Figures::parse("parse = seven").is_err());
    }

    #[test]
    fn five_percent_either_way_is_let_pass_and_more_is_not() {
        let kept = figures(&[("parse", 10_000)]);
        for (count, faults) in [(9_499, 1), (9_500, 0), (10_500, 0), (10_501, 1)] {
            assert_eq!(figures(&[("parse", count)]).compare(&kept).len(), faults);
        }
        assert_eq!(figures(&[("other", 10_000)]).compare(&kept).len(), 2);
    }

    #[test]
    fn four_times_the_octets_are_four_times_the_work() {
        let counts = |whole| figures(&[("hostile_16k", 1_000), ("hostile_64k", whole)]);
        assert_eq!(counts(4_400).more_than_linear(), None);
        assert!(counts(4_401).more_than_linear().is_some());
    }

    #[test]
    fn the_count_is_taken_from_what_callgrind_says() {
        let said =
            "==12== Callgrind, a call-graph\n==12== Events    : Ir\n==12== Collected : 8015\n";
        assert_eq!(collected(said), Some(8_015));
        assert_eq!(collected("==12== nothing"), None);
    }
}

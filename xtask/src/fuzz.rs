//! The fuzz targets: seeds out of what is in the repository, a build with a coverage pass, a bounded run of each target.
//! Works with the compiler of the workspace and a C++ compiler; `cargo fuzz run TARGET -s none` in `fuzz/` does the same.
//! Leaves out sanitizers (the code is safe Rust) and the minimising of findings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{Step, Steps};

/// A target and how it is run.
struct Target {
    name: &'static str,
    /// The longest input, octets.
    len_max: &'static str,
    /// Files that are seeds as they are.
    seeds: Seeds,
}

enum Seeds {
    /// Whole messages, followed by this many octets that decide the rest.
    Messages(usize),
    /// Bodies of those messages.
    Bodies,
    /// The lines of `fuzz/seeds/uri/pairs.txt`.
    Uris,
    /// Octets of a fixed sequence.
    Programs,
}

const TARGETS: [Target; 6] = [
    Target {
        name: "datagram",
        len_max: "65535",
        seeds: Seeds::Messages(0),
    },
    Target {
        name: "stream_framing",
        len_max: "4096",
        seeds: Seeds::Messages(8),
    },
    Target {
        name: "uri",
        len_max: "4096",
        seeds: Seeds::Uris,
    },
    Target {
        name: "write_round_trip",
        len_max: "16384",
        seeds: Seeds::Messages(8),
    },
    Target {
        name: "sdp",
        len_max: "65535",
        seeds: Seeds::Bodies,
    },
    Target {
        name: "core_events",
        len_max: "1024",
        seeds: Seeds::Programs,
    },
];

/// The coverage pass that libFuzzer steers by, as `cargo fuzz` sets it.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Seconds of each target when all are run.
const SECONDS_EACH: &str = "20";
/// Programs that seed `core_events`.
const PROGRAMS: u64 = 64;
/// An input that takes longer counts as a hang, seconds.
const TIMEOUT_S: &str = "10";
/// More memory counts as a leak, MiB.
const MEMORY_MIB: &str = "1024";

/// Runs all targets for a short time each, or the named one for so many seconds.
pub(crate) fn run(
    steps: &mut Steps,
    target: Option<&str>,
    seconds: Option<&str>,
) -> Result<(), String> {
    if let Some(name) = target
        && TARGETS.iter().all(|known| known.name != name)
    {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!(
            "{name} is no fuzz target; there are {}",
            names.join(", ")
        ));
    }
    let place = Place::find()?;
    steps.command(&place.build(target))?;
    steps.run("fuzz seeds", || place.write_seeds())?;
    let chosen = TARGETS
        .iter()
        .filter(|known| target.is_none_or(|name| name == known.name));
    for target in chosen {
        steps.command(&place.run(target, seconds.unwrap_or(SECONDS_EACH)))?;
    }
    Ok(())
}

/// Where things are built and kept.
struct Place {
    host: String,
    /// Corpus, findings and build of all targets.
    folder: PathBuf,
}

impl Place {
    fn find() -> Result<Self, String> {
        let output = Command::new("rustc")
            .arg("-vV")
            .output()
            .map_err(|error| format!("rustc: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let host = text.lines().find_map(|line| line.strip_prefix("host: "));
        let top = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let folder = top.join("fuzz");
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self {
            host: host.ok_or("rustc does not say its host")?.to_owned(),
            folder: folder.canonicalize().map_err(|error| error.to_string())?,
        })
    }

    fn build(&self, target: Option<&str>) -> Step {
        let mut step = Step::new("fuzz build", "cargo")
            .args([
                "build",
                "--release",
                "--locked",
                "--manifest-path",
                "fuzz/Cargo.toml",
                "--target",
                &self.host,
            ])
            // With a target named, build scripts are built without the pass.
            .env("RUSTFLAGS", COVERAGE)
            .env("CARGO_TARGET_DIR", &self.folder);
        if let Some(name) = target {
            step = step.args(["--bin", name]);
        }
        step
    }

    fn run(&self, target: &Target, seconds: &str) -> Step {
        let program = self
            .folder
            .join(&self.host)
            .join("release")
            .join(target.name);
        let mut arguments: Vec<OsString> = vec![self.corpus(target).into()];
        let flags = [
            ("max_total_time", seconds),
            ("max_len", target.len_max),
            ("timeout", TIMEOUT_S),
            ("rss_limit_mb", MEMORY_MIB),
            ("print_final_stats", "1"),
            ("verbosity", "0"),
        ];
        arguments.extend(
            flags
                .iter()
                .map(|(name, value)| format!("-{name}={value}").into()),
        );
        let findings = self.folder.join(format!("found-{}-", target.name));
        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(findings);
        arguments.push(prefix);
        Step::new(target.name, program).args(arguments)
    }

    fn corpus(&self, target: &Target) -> PathBuf {
        self.folder.join("corpus").join(target.name)
    }

    /// Lays the seeds beside what earlier runs have found worth keeping.
    fn write_seeds(&self) -> Result<(), String> {
        let messages = messages(&self.folder)?;
        for target in &TARGETS {
            let folder = self.corpus(target);
            std::fs::create_dir_all(&folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            for (number, seed) in seeds(target, &messages)?.into_iter().enumerate() {
                let path = folder.join(format!("seed-{number}"));
                std::fs::write(&path, seed)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// The messages of RFC 4475 and those of some runs of the simulation.
fn messages(scratch: &Path) -> Result<Vec<Vec<u8>>, String> {
    let simulated = scratch.join("messages");
    let outcome = Command::new("cargo")
        .args([
            "run",
            "--quiet",
            "--locked",
            "-p",
            "sim",
            "--",
            "--messages",
        ])
        .arg(&simulated)
        .status();
    if !outcome.is_ok_and(|status| status.success()) {
        return Err("the simulation wrote no messages".to_owned());
    }
    let mut all = Vec::new();
    for folder in [Path::new("crates/sip-parser/tests/rfc4475"), &simulated] {
        let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
        let entries = std::fs::read_dir(folder).map_err(fault)?;
        let mut paths: Vec<_> = entries
            .map_while(Result::ok)
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        for path in paths
            .iter()
            .filter(|path| path.extension().is_none_or(|end| end == "dat"))
        {
            all.push(std::fs::read(path).map_err(fault)?);
        }
    }
    Ok(all)
}

fn seeds(target: &Target, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, String> {
    let mut sequence = Sequence(0x0074_616e_6465_6d00);
    let seeds = match target.seeds {
        Seeds::Messages(tail) => {
            let with_tail = messages.iter().map(|message| {
                let mut seed = message.clone();
                seed.extend(sequence.octets(tail));
                seed
            });
            with_tail.collect()
        }
        Seeds::Bodies => {
            let bodies = messages.iter().filter_map(|message| {
                let at = message.windows(4).position(|octets| octets == b"v=0\r")?;
                Some(message[at..].to_vec())
            });
            bodies.collect()
        }
        Seeds::Uris => {
            let path = "fuzz/seeds/uri/pairs.txt";
            let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            text.lines()
                .map(|line| line.replace('\t', "\n").into_bytes())
                .collect()
        }
        Seeds::Programs => (0..PROGRAMS)
            .map(|number| sequence.octets(16 + usize::try_from(number).unwrap_or(0) * 8))
            .collect(),
    };
    Ok(seeds)
}

/// splitmix64: the same octets on every machine.
struct Sequence(u64);

impl Sequence {
    fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = Vec::with_capacity(count + 8);
        while octets.len() < count {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = self.0;
            word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            octets.extend_from_slice(&(word ^ word >> 31).to_le_bytes());
        }
        octets.truncate(count);
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_binary_of_the_fuzz_workspace_and_has_seeds() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the top");
        let manifest = std::fs::read_to_string(top.join("fuzz/Cargo.toml")).expect("the manifest");
        for target in &TARGETS {
            assert!(
                manifest.contains(&format!("name = \"{}\"", target.name)),
                "{}",
                target.name
            );
        }
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        let message = b"X sip:a SIP/2.0\r\n\r\nv=0\r\n".to_vec();
        for target in TARGETS
            .iter()
            .filter(|target| !matches!(target.seeds, Seeds::Uris))
        {
            assert!(
                !seeds(target, std::slice::from_ref(&message))
                    .expect("seeds")
                    .is_empty()
            );
        }
    }
}

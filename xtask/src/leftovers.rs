//! The temp directory of a test run, and an end to whatever the tests left running.
//! Every process started by the tests inherits a mark in its environment; those that still carry it afterwards are ended.
//! Leaves out processes that dropped their environment: none of ours does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that marks what belongs to a run.
pub(crate) const MARK: &str = "TANDEM_TEST_RUN";

/// A temp directory of its own, removed when dropped.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Creates it below the system's temp directory.
    pub(crate) fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("tandem-tests-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends what the tests left running and removes the directory; says how many processes there were.
    pub(crate) fn clear(&self) -> usize {
        let marked = self.marked_processes();
        for pid in &marked {
            // It may have ended meanwhile.
            let _ = Command::new("sh")
                .args(["-c", "kill -9 \"$1\" 2>/dev/null", "sh", &pid.to_string()])
                .status();
        }
        let _ = fs::remove_dir_all(&self.path);
        marked.len()
    }

    fn marked_processes(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.path.display());
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| {
                // A process that ended but was not collected yet has an empty environment.
                fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                    environment
                        .split(|&b| b == 0)
                        .any(|entry| entry == mark.as_bytes())
                })
            })
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_process_is_ended_and_the_directory_removed() {
        let scratch = Scratch {
            path: std::env::temp_dir().join(format!("tandem-mark-{}", std::process::id())),
        };
        fs::create_dir_all(scratch.path()).expect("created");
        let mut child = Command::new("sleep")
            .arg("60")
            .env(MARK, scratch.path())
            .spawn()
            .expect("sleep is everywhere");
        // Between fork and exec the child still has our environment.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while scratch.marked_processes().is_empty() {
            assert!(std::time::Instant::now() < until, "the mark never showed");
        }
        assert_eq!(scratch.clear(), 1);
        assert!(!child.wait().expect("collected").success());
        assert!(!scratch.path().exists());
    }
}

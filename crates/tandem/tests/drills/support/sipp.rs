//! sipp as a child process: callers that run to their end, callees that run until dropped.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The built-in or own scenario.
pub(crate) enum Scenario {
    /// One that sipp brings, such as `uac`.
    BuiltIn(&'static str),
    /// A file of `loadtests/sipp/`.
    Own(&'static str),
}

/// A running sipp; ended when dropped.
pub(crate) struct Sipp {
    child: Child,
    statistics: PathBuf,
    directory: PathBuf,
}

/// The last line of a statistics file.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) successful: u64,
    pub(crate) failed: u64,
    pub(crate) retransmissions: u64,
}

impl Sipp {
    /// A callee at `local`.
    pub(crate) fn callee(scenario: &Scenario, local: SocketAddr, directory: &Path) -> Self {
        Self::start(scenario, local, directory, &[])
    }

    /// A caller at `local` that places `calls` calls of `number` at `rate` per second.
    pub(crate) fn caller(
        scenario: &Scenario,
        local: SocketAddr,
        proxy: SocketAddr,
        number: &str,
        (calls, rate, pause_ms): (u32, u32, u32),
        directory: &Path,
    ) -> Self {
        let (calls, rate, pause_ms) = (calls.to_string(), rate.to_string(), pause_ms.to_string());
        let proxy = proxy.to_string();
        let arguments = [
            &proxy, "-s", number, "-m", &calls, "-r", &rate, "-d", &pause_ms, "-l", "100000",
        ];
        Self::start(scenario, local, directory, &arguments)
    }

    fn start(scenario: &Scenario, local: SocketAddr, directory: &Path, arguments: &[&str]) -> Self {
        let directory = directory.join(format!("sipp-{}", local.port()));
        fs::create_dir_all(&directory).expect("created");
        let statistics = directory.join("statistics.csv");
        let mut command = Command::new("sipp");
        match scenario {
            Scenario::BuiltIn(name) => command.args(["-sn", name]),
            Scenario::Own(file) => {
                let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadtests/sipp");
                command.arg("-sf").arg(
                    scenarios
                        .join(file)
                        .canonicalize()
                        .expect("a scenario file"),
                )
            }
        };
        command.args(arguments).args([
            "-i",
            &local.ip().to_string(),
            "-p",
            &local.port().to_string(),
        ]);
        command
            .args(["-nostdin", "-trace_err", "-trace_stat", "-fd", "1", "-stf"])
            .arg(&statistics);
        // The media port is not used, but sipp binds it; each instance gets its own.
        command.args(["-mp", &(20_000 + local.port()).to_string()]);
        let child = command
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp is installed (Debian: sip-tester)");
        let sipp = Self {
            child,
            statistics,
            directory,
        };
        // sipp has no readiness to ask for; it binds its socket before it writes the head of the statistics.
        super::eventually("sipp starts", || sipp.statistics.exists().then_some(()));
        sipp
    }

    /// Process id, as it stands in sipp's Call-IDs.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end of a caller and returns its totals.
    pub(crate) fn finish(mut self, limit: Duration) -> Totals {
        let until = Instant::now() + limit;
        while self.child.try_wait().expect("waited").is_none() {
            assert!(
                Instant::now() < until,
                "sipp did not end within {limit:?}: {:?}\n{}",
                self.totals(),
                self.errors()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        self.totals()
    }

    /// The totals so far; a callee writes them every second.
    pub(crate) fn totals(&self) -> Totals {
        let text = fs::read_to_string(&self.statistics).expect("statistics");
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().expect("a head").split(';').collect();
        let last: Vec<&str> = lines
            .next_back()
            .map(|line| line.split(';').collect())
            .unwrap_or_default();
        let value = |name: &str| -> u64 {
            let column = head
                .iter()
                .position(|column| *column == name)
                .unwrap_or_else(|| panic!("no column {name}"));
            last.get(column)
                .and_then(|value| value.parse().ok())
                .unwrap_or(0)
        };
        Totals {
            successful: value("SuccessfulCall(C)"),
            failed: value("FailedCall(C)"),
            retransmissions: value("Retransmissions(C)"),
        }
    }

    /// What sipp wrote to its error log.
    pub(crate) fn errors(&self) -> String {
        let files = fs::read_dir(&self.directory)
            .expect("listed")
            .flatten()
            .map(|entry| entry.path());
        files
            .filter(|path| path.to_string_lossy().ends_with("_errors.log"))
            .map(|path| {
                fs::read_to_string(path)
                    .unwrap_or_default()
                    .chars()
                    .take(4_000)
                    .collect::<String>()
            })
            .collect()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

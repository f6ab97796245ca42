//! CPU time and memory of a process and of its threads, read from `/proc` (Linux).
//! CPU times come in clock ticks of 10 ms, so a run should be some seconds long.
//! Leaves out child processes.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;

use serde::Serialize;

/// Milliseconds in a clock tick: `USER_HZ` is 100 on every Linux the tools run on.
const TICK_MS: u64 = 10;

/// CPU time of one thread, or of all threads of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuTime {
    /// In user mode, in milliseconds.
    pub user_ms: u64,
    /// In the kernel, in milliseconds.
    pub system_ms: u64,
}

impl CpuTime {
    /// Both.
    pub fn total_ms(self) -> u64 {
        self.user_ms + self.system_ms
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            user_ms: self.user_ms.saturating_sub(earlier.user_ms),
            system_ms: self.system_ms.saturating_sub(earlier.system_ms),
        }
    }
}

/// A reading of a process.
#[derive(Clone, Debug)]
pub struct Reading {
    process: CpuTime,
    /// By thread id: name and time.
    threads: BTreeMap<u32, (String, CpuTime)>,
    memory_kib: u64,
    memory_peak_kib: u64,
}

/// What a process used between two readings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// CPU time of the whole process, in milliseconds.
    pub cpu_ms: u64,
    /// The same in its parts.
    pub cpu: CpuTime,
    /// CPU time by thread name; threads of one name are summed.
    pub threads: BTreeMap<String, CpuTime>,
    /// Resident memory at the second reading, in KiB.
    pub memory_kib: u64,
    /// Highest resident memory since the process started, in KiB.
    pub memory_peak_kib: u64,
}

impl Reading {
    /// Reads process `pid` now.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn take(pid: u32) -> io::Result<Self> {
        let process = read_stat(&format!("/proc/{pid}/stat"))?.1;
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            let Some(tid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // A thread may end between the listing and the reading.
            if let Ok(stat) = read_stat(&format!("/proc/{pid}/task/{tid}/stat")) {
                threads.insert(tid, stat);
            }
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self {
            process,
            threads,
            memory_kib: status_kib(&status, "VmRSS:"),
            memory_peak_kib: status_kib(&status, "VmHWM:"),
        })
    }

    /// What was used since `earlier`, a reading of the same process.
    pub fn since(&self, earlier: &Self) -> Usage {
        let cpu = self.process.since(earlier.process);
        let mut threads: BTreeMap<String, CpuTime> = BTreeMap::new();
        for (tid, (name, time)) in &self.threads {
            let before = earlier
                .threads
                .get(tid)
                .map_or(CpuTime::default(), |(_, time)| *time);
            let used = time.since(before);
            let sum = threads.entry(name.clone()).or_default();
            sum.user_ms += used.user_ms;
            sum.system_ms += used.system_ms;
        }
        Usage {
            cpu_ms: cpu.total_ms(),
            cpu,
            threads,
            memory_kib: self.memory_kib,
            memory_peak_kib: self.memory_peak_kib,
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CPU {} ms (user {}, system {}), memory {} KiB (peak {});",
            self.cpu_ms,
            self.cpu.user_ms,
            self.cpu.system_ms,
            self.memory_kib,
            self.memory_peak_kib
        )?;
        for (name, time) in &self.threads {
            write!(f, "  {name} {} ms", time.total_ms())?;
        }
        Ok(())
    }
}

/// Name and times of a `stat` file (proc(5), fields 2, 14 and 15).
fn read_stat(path: &str) -> io::Result<(String, CpuTime)> {
    parse_stat(&fs::read_to_string(path)?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, path.to_owned()))
}

fn parse_stat(text: &str) -> Option<(String, CpuTime)> {
    // The name may hold blanks and brackets; it ends at the last bracket.
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(open + 1..close)?.to_owned();
    let mut fields = text.get(close + 1..)?.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((
        name,
        CpuTime {
            user_ms: user * TICK_MS,
            system_ms: system * TICK_MS,
        },
    ))
}

fn status_kib(status: &str, key: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_name_with_brackets_and_blanks_is_read_whole() {
        let text = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 123 45 0 0 20 0 4 0 100 0 0";
        assert_eq!(
            parse_stat(text),
            Some((
                "a (b) c".to_owned(),
                CpuTime {
                    user_ms: 1_230,
                    system_ms: 450
                }
            ))
        );
    }

    #[test]
    fn time_spent_between_two_readings_is_found_under_the_thread_that_spent_it() {
        let pid = std::process::id();
        let before = Reading::take(pid).expect("own process");
        std::thread::Builder::new()
            .name("spinner".to_owned())
            .spawn(move || {
                let until = std::time::Instant::now() + std::time::Duration::from_millis(200);
                while std::time::Instant::now() < until {
                    std::hint::black_box(0);
                }
                Reading::take(pid).expect("own process").since(&before)
            })
            .expect("spawned")
            .join()
            .map(|usage| {
                assert!(usage.threads["spinner"].total_ms() >= 50, "{usage}");
                assert!(
                    usage.cpu_ms >= usage.threads["spinner"].total_ms(),
                    "{usage}"
                );
                assert!(usage.memory_kib > 0);
            })
            .expect("joined");
    }
}

//! Logging: `tracing` events to stderr, as text or JSON, through a bounded writer that never makes a worker wait.
//! When stderr is slower than the log, lines are dropped and counted; the count is a metric.
//! Leaves out files and rotation: the supervisor (systemd, a container runtime) keeps what stderr says.

use std::io;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Lines that may wait for stderr; the next one is dropped and counted.
const LINES_MAX: usize = 16_384;

/// Keeps the log alive: when it is dropped, what is still waiting is written.
#[derive(Debug)]
pub struct LogGuard {
    _guard: WorkerGuard,
    drops: LogDrops,
}

impl LogGuard {
    /// The counter of dropped lines.
    #[must_use]
    pub fn drops(&self) -> LogDrops {
        self.drops.clone()
    }
}

/// How many lines were dropped because stderr was too slow.
#[derive(Debug, Clone, Default)]
pub struct LogDrops(Option<ErrorCounter>);

impl LogDrops {
    /// Lines dropped since the start.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.0.as_ref().map_or(0, ErrorCounter::dropped_lines)
    }
}

/// Starts logging for the whole process. A second call changes nothing but keeps its own guard.
#[must_use]
pub fn start(config: &LogConfig) -> LogGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_MAX)
        .thread_name("log")
        .finish(io::stderr());
    let drops = LogDrops(Some(writer.error_counter()));
    // The level was checked with the configuration; a directive that no longer parses falls back to `info`.
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(true);
    let started = match config.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("a log was already running; its settings stay");
    }
    LogGuard {
        _guard: guard,
        drops,
    }
}

//! The clocks, read once per turn and given to the sans-IO core.
//! Monotonic time starts with the process; the wall clock stamps records (UTC).
//! Leaves out waiting, which is the runtime's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proxy_core::Now;

/// The epoch that all lanes of a process share.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            mono_us: self.mono_us(),
            wall_us: wall_us(),
        }
    }

    /// The monotonic clock, µs.
    #[must_use]
    pub fn mono_us(&self) -> u64 {
        micros(self.started.elapsed())
    }

    /// The instant of a monotonic time.
    #[must_use]
    pub fn instant_at(&self, mono_us: u64) -> Instant {
        // A year: a deadline far off need not be exact, but must not overflow.
        const FAR_US: u64 = 365 * 86_400 * 1_000_000;
        self.started + Duration::from_micros(mono_us.min(FAR_US))
    }
}

fn wall_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

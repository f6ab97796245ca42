//! What the drills are made of: a proxy with its tables, scripted peers, sipp, and the records it leaves.

pub(crate) mod call;
pub(crate) mod cdr;
pub(crate) mod peer;
pub(crate) mod proxy;
pub(crate) mod sipp;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

static MACHINE: RwLock<()> = RwLock::new(());

/// The machine for this drill alone, within one test process; between processes the runner's configuration sees to it.
pub(crate) fn whole_machine() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// The machine shared with other light drills.
pub(crate) fn shared_machine() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `found` finds something, ten seconds at most.
pub(crate) fn eventually<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(10), what, found)
}

/// Waits until `found` finds something.
pub(crate) fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut found: impl FnMut() -> Option<T>,
) -> T {
    let until = Instant::now() + limit;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < until, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

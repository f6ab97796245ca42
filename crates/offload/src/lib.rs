//! Bounded async task workers: a step suspends, its job runs elsewhere, its answer resumes it.
//! Implements the offload side of the proxy's detours; no RFC. What a job does (SQL, DNS, commits)
//! belongs to the caller, as does lowering the threads' priority (it needs system calls).
//!
//! ```text
//! worker ── JobQueue::try_submit ──▶ dispatcher ── one task a job, its own deadline ──▶ Reply
//!              │ full: answered at once, nothing is kept
//! ```

mod breaker;
mod pool;
mod queue;

pub use breaker::{Breaker, BreakerConfig, BreakerState};
pub use pool::{Pool, PoolConfig, PoolError};
pub use queue::{Failure, Full, JobQueue, QueueConfig, QueueStats, Reply};

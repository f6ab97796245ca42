//! The outside world that the core's jobs ask: a store for lookups, a resolver, a journal that commits.
//! Every job is answered once: after a random delay, failed, at its deadline, refused at once, or too late.
//! Leaves out the offload pool itself, whose tests are its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use proxy_core::{Job, JobAnswer, JobFailure, JobKind, JobResult, LookupAnswer};

use crate::clock::MS;

/// How the outside world behaves; probabilities are per mille.
#[derive(Clone, Debug)]
pub struct JobsConfig {
    /// Shortest time of a job, µs.
    pub delay_min_us: u64,
    /// Longest time of a job, µs.
    pub delay_max_us: u64,
    /// Jobs that fail.
    pub error_permille: u16,
    /// Jobs that end at their deadline.
    pub timeout_permille: u16,
    /// Jobs that find the queue full.
    pub full_permille: u16,
    /// Jobs whose answer comes after their deadline.
    pub late_permille: u16,
    /// What a lookup says about a number; nothing for all others.
    pub numbers: BTreeMap<String, LookupAnswer>,
    /// What a host name resolves to; nothing for all others.
    pub names: BTreeMap<String, Vec<SocketAddr>>,
    /// How long a resolved name may be used, seconds.
    pub ttl_s: u32,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            delay_min_us: 3 * MS,
            delay_max_us: 3 * MS,
            error_permille: 0,
            timeout_permille: 0,
            full_permille: 0,
            late_permille: 0,
            numbers: BTreeMap::new(),
            names: BTreeMap::new(),
            ttl_s: 60,
        }
    }
}

/// Answers a job: when, and with what.
pub fn answer(
    config: &JobsConfig,
    rng: &mut fastrand::Rng,
    now_us: u64,
    job: &Job,
) -> (u64, JobResult) {
    let mut dice = rng.u16(0..1000);
    let mut hit = |permille: u16| {
        let hit = dice < permille;
        dice = dice.saturating_sub(permille);
        hit
    };
    let failed = |failure| JobResult {
        id: job.id,
        answer: JobAnswer::Failed(failure),
    };
    if hit(config.full_permille) {
        return (now_us, failed(JobFailure::QueueFull));
    }
    if hit(config.timeout_permille) {
        return (job.deadline_us.max(now_us), failed(JobFailure::Timeout));
    }
    let at_us = now_us + rng.u64(config.delay_min_us..=config.delay_max_us);
    if hit(config.error_permille) {
        return (at_us, failed(JobFailure::Error));
    }
    let at_us = if hit(config.late_permille) {
        job.deadline_us + 50 * MS
    } else {
        at_us
    };
    let answer = match &job.kind {
        JobKind::Lookup { number, .. } => {
            JobAnswer::Lookup(config.numbers.get(number).cloned().unwrap_or_default())
        }
        JobKind::Resolve { host, port, .. } => {
            let known = config.names.get(host).cloned().unwrap_or_default();
            let addresses = known.into_iter().map(|mut address| {
                if let Some(port) = port {
                    address.set_port(*port);
                }
                address
            });
            JobAnswer::Resolved {
                addresses: addresses.collect(),
                ttl_s: config.ttl_s,
            }
        }
        JobKind::Commit => JobAnswer::Committed,
    };
    (at_us, JobResult { id: job.id, answer })
}

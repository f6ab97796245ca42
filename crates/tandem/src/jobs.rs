//! What the core's jobs do on the offload pool: a lookup in the store, a name's addresses, a commit.
//! DESIGN's one detour; RFC 3263 for names is in `resolve.rs`, the queue itself in the `offload` crate.
//! Leaves out what an answer does to a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use offload::{
    Breaker, BreakerConfig, BreakerState, Full, JobQueue, QueueConfig, QueueStats, Reply,
};
use proxy_core::{JobAnswer, JobFailure, LookupAnswer};
use storage::{LaneProgress, LookupError, Store};
use tokio::runtime::Handle;
use transaction_layer::Transport;

use crate::clock::Clock;
use crate::resolve::NameResolver;

/// A job on its way to the pool.
#[derive(Debug)]
pub enum LaneJob {
    /// A query in the store.
    Lookup {
        /// Its text.
        query: Arc<str>,
        /// The number called.
        number: String,
        /// The caller's number.
        caller: String,
        /// The customer's name.
        customer: String,
        /// When nobody waits any more.
        deadline: Instant,
    },
    /// The addresses of a name.
    Resolve {
        /// The name.
        host: String,
        /// The port, when there is one.
        port: Option<u16>,
        /// The transport that will be used.
        transport: Transport,
    },
    /// Answered when a record is on disk.
    Commit {
        /// The journal of the lane.
        progress: Arc<LaneProgress>,
        /// The record.
        seq: u64,
    },
}

/// Commits that may wait for the disk at a time. Each only waits, and each is a call that was answered within one sync.
const COMMITS_MAX: usize = 65_536;
/// Queries whose failures are remembered.
const QUERIES_MAX: usize = 1_024;
/// How often at most a wrong query is told, µs.
const WARN_EVERY_US: u64 = 10_000_000;

/// The queues that the lanes submit to. Clones share them.
#[derive(Clone, Debug)]
pub struct LaneJobs {
    questions: JobQueue<LaneJob, JobAnswer>,
    /// Apart, because an answered call must not wait for lookups or names that are slow.
    commits: JobQueue<LaneJob, JobAnswer>,
}

impl LaneJobs {
    /// As [`JobQueue::try_submit`].
    ///
    /// # Errors
    /// [`Full`] as there.
    pub fn try_submit(
        &self,
        job: LaneJob,
        deadline: Instant,
        reply: Reply<JobAnswer>,
    ) -> Result<(), Full<LaneJob>> {
        match job {
            LaneJob::Commit { .. } => self.commits.try_submit(job, deadline, reply),
            LaneJob::Lookup { .. } | LaneJob::Resolve { .. } => {
                self.questions.try_submit(job, deadline, reply)
            }
        }
    }

    /// What both queues have done, together.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        let (one, other) = (self.questions.stats(), self.commits.stats());
        QueueStats {
            submitted: one.submitted + other.submitted,
            full: one.full + other.full,
            answered: one.answered + other.answered,
            timed_out: one.timed_out + other.timed_out,
            panicked: one.panicked + other.panicked,
            waiting: one.waiting + other.waiting,
            running: one.running + other.running,
            wait_us: one.wait_us + other.wait_us,
            run_us: one.run_us + other.run_us,
        }
    }
}

/// Does the jobs.
pub struct JobRunner {
    store: Arc<Store>,
    names: NameResolver,
    /// By query, those alone that have failed: one query that is slow or wrong must not stop the others.
    health: Mutex<HashMap<Arc<str>, QueryHealth>>,
    clock: Clock,
}

/// What is known of a query that has failed.
struct QueryHealth {
    breaker: Breaker,
    /// When it may be told again that the query is wrong, monotonic µs.
    next_warning_us: u64,
    /// How often it was wrong without being told.
    untold: u64,
}

impl QueryHealth {
    fn new() -> Self {
        Self {
            breaker: Breaker::new(BreakerConfig::default()),
            next_warning_us: 0,
            untold: 0,
        }
    }

    /// Notes that the query was wrong; when it is time to tell, how often it was so since the last time, this included.
    fn note_wrong(&mut self, now_us: u64) -> Option<u64> {
        self.untold += 1;
        if now_us < self.next_warning_us {
            return None;
        }
        self.next_warning_us = now_us.saturating_add(WARN_EVERY_US);
        Some(std::mem::take(&mut self.untold))
    }
}

impl JobRunner {
    /// With the store that lookups go to.
    #[must_use]
    pub fn new(store: Arc<Store>, names: NameResolver, clock: Clock) -> Self {
        Self {
            store,
            names,
            health: Mutex::default(),
            clock,
        }
    }

    /// Starts the queues in front of this runner; `config` bounds lookups and names.
    #[must_use]
    pub fn start(self, pool: &Handle, config: QueueConfig) -> LaneJobs {
        let runner = Arc::new(self);
        let queue = |config| {
            let runner = Arc::clone(&runner);
            JobQueue::start(config, pool, move |job| {
                let runner = Arc::clone(&runner);
                async move { runner.run(job).await }
            })
        };
        LaneJobs {
            questions: queue(config),
            commits: queue(QueueConfig {
                queue_len_max: 1,
                concurrency_max: COMMITS_MAX,
            }),
        }
    }

    async fn run(&self, job: LaneJob) -> JobAnswer {
        match job {
            LaneJob::Lookup {
                query,
                number,
                caller,
                customer,
                deadline,
            } => {
                self.lookup(&query, &number, &caller, &customer, deadline)
                    .await
            }
            LaneJob::Resolve {
                host,
                port,
                transport,
            } => match self.names.resolve(&host, port, transport).await {
                Ok(found) => JobAnswer::Resolved {
                    addresses: found.addresses,
                    ttl_s: found.ttl_s,
                },
                Err(error) => {
                    tracing::debug!(host, %error, "a name was not resolved");
                    JobAnswer::Failed(JobFailure::Error)
                }
            },
            LaneJob::Commit { progress, seq } => match progress.wait_synced(seq).await {
                Ok(()) => JobAnswer::Committed,
                Err(_) => JobAnswer::Failed(JobFailure::Error),
            },
        }
    }

    /// A query that keeps failing is not asked for a while: a call must not wait for what will not come.
    async fn lookup(
        &self,
        query: &Arc<str>,
        number: &str,
        caller: &str,
        customer: &str,
        deadline: Instant,
    ) -> JobAnswer {
        let now_us = self.clock.mono_us();
        let allowed = self.with_health(|health| {
            health
                .get_mut(query)
                .is_none_or(|health| health.breaker.allow(now_us))
        });
        if !allowed {
            return JobAnswer::Failed(JobFailure::Error);
        }
        // Also counts a query that was dropped at its deadline.
        let mut outcome = Outcome {
            runner: self,
            query,
            failed: true,
        };
        let answer = self
            .store
            .lookup(query, number, caller, customer, deadline)
            .await;
        match answer {
            Ok(answer) => {
                outcome.failed = false;
                JobAnswer::Lookup(LookupAnswer {
                    number: answer.number,
                    refuse: answer.refuse,
                })
            }
            Err(LookupError::Timeout) => JobAnswer::Failed(JobFailure::Timeout),
            // The operator's query or data is wrong; the store itself has answered.
            Err(error @ (LookupError::Query(_) | LookupError::Answer(_))) => {
                outcome.failed = false;
                self.warn(query, customer, &error);
                JobAnswer::Failed(JobFailure::Error)
            }
            Err(error @ LookupError::Store(_)) => {
                tracing::debug!(customer, %error, "lookup");
                JobAnswer::Failed(JobFailure::Error)
            }
        }
    }

    /// Every call would say the same, so it is said now and then.
    fn warn(&self, query: &Arc<str>, customer: &str, error: &LookupError) {
        let now_us = self.clock.mono_us();
        let times = self.with_health(|health| entry(health, query)?.note_wrong(now_us));
        if let Some(times) = times {
            tracing::warn!(customer, %error, times, "a lookup query is wrong");
        }
    }

    fn with_health<T>(&self, act: impl FnOnce(&mut HashMap<Arc<str>, QueryHealth>) -> T) -> T {
        act(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report(&self, query: &Arc<str>, failed: bool) {
        let now_us = self.clock.mono_us();
        let states = self.with_health(|health| {
            let known = if failed {
                entry(health, query)
            } else {
                health.get_mut(query)
            };
            let breaker = &mut known?.breaker;
            let before = breaker.state();
            if failed {
                breaker.on_failure(now_us);
            } else {
                breaker.on_success();
            }
            Some((before, breaker.state()))
        });
        match states {
            Some((before, after)) if before == after => {}
            Some((_, BreakerState::Open)) => {
                tracing::error!(
                    query = &**query,
                    "lookups fail: this query is not asked for a while"
                );
            }
            Some((_, BreakerState::Closed)) => {
                tracing::info!(query = &**query, "lookups work again");
            }
            Some((_, BreakerState::HalfOpen)) | None => {}
        }
    }
}

/// What is known of `query`, from now on; `None` when too many queries fail to remember one more.
fn entry<'h>(
    health: &'h mut HashMap<Arc<str>, QueryHealth>,
    query: &Arc<str>,
) -> Option<&'h mut QueryHealth> {
    if health.len() >= QUERIES_MAX && !health.contains_key(query) {
        health.retain(|_, health| health.breaker.state() != BreakerState::Closed);
        if health.len() >= QUERIES_MAX {
            return None;
        }
    }
    Some(
        health
            .entry(Arc::clone(query))
            .or_insert_with(QueryHealth::new),
    )
}

/// Tells the breaker of a query how a lookup ended, on every way out.
struct Outcome<'r> {
    runner: &'r JobRunner,
    query: &'r Arc<str>,
    failed: bool,
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        self.runner.report(self.query, self.failed);
    }
}

#[cfg(test)]
mod tests;

//! What the core's jobs do on the offload pool: a lookup in the store, a name's addresses, a commit.
//! DESIGN's one detour; RFC 3263 for names is in `resolve.rs`, the queue itself in the `offload` crate.
//! Leaves out what an answer does to a call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use offload::{Breaker, BreakerConfig, BreakerState, JobQueue, QueueConfig};
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

/// The queue that the lanes submit to.
pub type LaneJobs = JobQueue<LaneJob, JobAnswer>;

/// Does the jobs.
pub struct JobRunner {
    store: Arc<Store>,
    names: NameResolver,
    breaker: Mutex<Breaker>,
    clock: Clock,
}

impl JobRunner {
    /// With the store that lookups go to.
    #[must_use]
    pub fn new(store: Arc<Store>, names: NameResolver, clock: Clock) -> Self {
        Self {
            store,
            names,
            breaker: Mutex::new(Breaker::new(BreakerConfig::default())),
            clock,
        }
    }

    /// Starts the queue in front of this runner.
    #[must_use]
    pub fn start(self, pool: &Handle, config: QueueConfig) -> LaneJobs {
        let runner = Arc::new(self);
        JobQueue::start(config, pool, move |job| {
            let runner = Arc::clone(&runner);
            async move { runner.run(job).await }
        })
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

    /// A store that keeps failing is not asked for a while: a call must not wait for what will not come.
    async fn lookup(
        &self,
        query: &str,
        number: &str,
        caller: &str,
        customer: &str,
        deadline: Instant,
    ) -> JobAnswer {
        if !self.with_breaker(|breaker| breaker.allow(self.clock.mono_us())) {
            return JobAnswer::Failed(JobFailure::Error);
        }
        // Also counts a query that was dropped at its deadline.
        let mut outcome = Outcome {
            runner: self,
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
                tracing::warn!(customer, %error, "lookup");
                JobAnswer::Failed(JobFailure::Error)
            }
            Err(error @ LookupError::Store(_)) => {
                tracing::debug!(customer, %error, "lookup");
                JobAnswer::Failed(JobFailure::Error)
            }
        }
    }

    fn with_breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        act(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report(&self, failed: bool) {
        let now_us = self.clock.mono_us();
        let (before, after) = self.with_breaker(|breaker| {
            let before = breaker.state();
            if failed {
                breaker.on_failure(now_us);
            } else {
                breaker.on_success();
            }
            (before, breaker.state())
        });
        match (before, after) {
            (before, after) if before == after => {}
            (_, BreakerState::Open) => {
                tracing::error!("lookups fail: the store is not asked for a while")
            }
            (_, BreakerState::Closed) => tracing::info!("lookups work again"),
            (_, BreakerState::HalfOpen) => {}
        }
    }
}

/// Tells the breaker how a lookup ended, on every way out.
struct Outcome<'r> {
    runner: &'r JobRunner,
    failed: bool,
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        self.runner.report(self.failed);
    }
}

#[cfg(test)]
mod tests;

//! The pool: an ordinary multi-thread Tokio runtime for everything that may wait.
//! No RFC. Its threads are unpinned; what runs at their start (name, priority) is the caller's hook,
//! because lowering a priority is a system call and this crate has no unsafe code.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

/// Limits of a [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Threads that run tasks; 1 to 64.
    pub threads: usize,
    /// Threads for calls that block (file reads, name service); 1 or more, started on demand.
    pub blocking_threads_max: usize,
}

impl Default for PoolConfig {
    /// Two threads, and up to eight for blocking calls.
    fn default() -> Self {
        Self {
            threads: 2,
            blocking_threads_max: 8,
        }
    }
}

/// Why a [`Pool`] did not start.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The number of threads is out of range.
    #[error("offload threads: {0} given, allowed are 1 to 64")]
    Threads(usize),
    /// The operating system refused a thread or a descriptor.
    #[error("offload pool: {0}")]
    Runtime(#[source] io::Error),
}

/// A running pool; dropping it stops it without waiting.
#[derive(Debug)]
pub struct Pool {
    runtime: Option<Runtime>,
}

impl Pool {
    /// Starts the threads; each calls `on_thread_start` first (also those for blocking calls).
    ///
    /// # Errors
    /// [`PoolError`] when the number is out of range or the system has no thread left.
    pub fn start(
        config: PoolConfig,
        on_thread_start: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, PoolError> {
        if !(1..=64).contains(&config.threads) {
            return Err(PoolError::Threads(config.threads));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(config.threads)
            .max_blocking_threads(config.blocking_threads_max.max(1))
            .thread_name("tandem-offload")
            .on_thread_start(move || on_thread_start())
            .enable_io()
            .enable_time()
            .build()
            .map_err(PoolError::Runtime)?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// A handle for spawning services (shippers, the admin server) and for [`crate::JobQueue::start`].
    ///
    /// # Panics
    /// Never: the runtime is only taken by [`Pool::stop`], which consumes the pool.
    pub fn handle(&self) -> &Handle {
        match &self.runtime {
            Some(runtime) => runtime.handle(),
            None => unreachable!("a stopped pool can't be reached"),
        }
    }

    /// Stops: tasks are dropped at their next wait, blocking calls get `patience` to come back.
    /// Jobs that were still queued or running are answered [`crate::Failure::Stopped`].
    pub fn stop(mut self, patience: Duration) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(patience);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not the blocking drop: it would panic when the pool is dropped inside a runtime.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_hook_runs_on_every_thread_before_its_first_task() {
        let started = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&started);
        let pool = Pool::start(
            PoolConfig {
                threads: 2,
                blocking_threads_max: 1,
            },
            Arc::new(move || {
                seen.fetch_add(1, Ordering::SeqCst);
            }),
        )
        .unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let started_in_task = Arc::clone(&started);
        pool.handle().spawn(async move {
            sender
                .send((
                    std::thread::current().name().map(str::to_owned),
                    started_in_task.load(Ordering::SeqCst),
                ))
                .unwrap();
        });
        let (name, count) = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(name.as_deref(), Some("tandem-offload"));
        assert!(count >= 1);
        pool.stop(Duration::from_secs(1));
    }

    #[test]
    fn a_number_of_threads_out_of_range_is_refused_with_what_is_allowed() {
        for threads in [0, 65] {
            let error = Pool::start(
                PoolConfig {
                    threads,
                    blocking_threads_max: 1,
                },
                Arc::new(|| {}),
            )
            .unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("offload threads: {threads} given, allowed are 1 to 64")
            );
        }
    }
}

//! The job queue: bounded, never blocks the submitter, one deadline per job, one answer per job.
//! No RFC. A job is a task of the pool from the moment it is taken, so a deadline is kept while the
//! job still waits for its turn. Leaves out retries: whoever asked decides whether to ask again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Limits of a [`JobQueue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Jobs that may wait for their turn; 1 or more.
    pub queue_len_max: usize,
    /// Jobs that may run at a time; 1 or more.
    pub concurrency_max: usize,
}

impl Default for QueueConfig {
    /// 4,096 waiting, 256 running.
    fn default() -> Self {
        Self {
            queue_len_max: 4_096,
            concurrency_max: 256,
        }
    }
}

/// Why a job that was taken has no answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Its deadline passed while it was waiting or running.
    #[error("deadline passed")]
    Timeout,
    /// Its handler panicked.
    #[error("handler panicked")]
    Panicked,
    /// The pool stopped.
    #[error("pool stopped")]
    Stopped,
}

/// The queue had no room, or its pool is gone; the job is handed back.
#[derive(Debug)]
pub struct Full<J>(
    /// The job that was not taken.
    pub J,
);

/// Where the answer of a job goes. It is called exactly once, on a thread of the pool;
/// when the pool drops the job, it is called with [`Failure::Stopped`] or [`Failure::Panicked`].
pub struct Reply<R>(Option<Sink<R>>);

type Sink<R> = Box<dyn FnOnce(Result<R, Failure>) + Send>;

impl<R> Reply<R> {
    /// Answers by calling `sink`, which must not block.
    pub fn new(sink: impl FnOnce(Result<R, Failure>) + Send + 'static) -> Self {
        Self(Some(Box::new(sink)))
    }

    fn send(mut self, answer: Result<R, Failure>) {
        if let Some(sink) = self.0.take() {
            sink(answer);
        }
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        if let Some(sink) = self.0.take() {
            let failure = if std::thread::panicking() {
                Failure::Panicked
            } else {
                Failure::Stopped
            };
            sink(Err(failure));
        }
    }
}

impl<R> std::fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Reply(open)"
        } else {
            "Reply(sent)"
        })
    }
}

/// What a queue has done so far; times in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Jobs taken.
    pub submitted: u64,
    /// Jobs refused because the queue was full.
    pub full: u64,
    /// Jobs whose handler came back in time.
    pub answered: u64,
    /// Jobs whose deadline passed.
    pub timed_out: u64,
    /// Jobs whose handler panicked.
    pub panicked: u64,
    /// Jobs waiting for their turn now.
    pub waiting: u64,
    /// Jobs running now.
    pub running: u64,
    /// Sum over all jobs that got their turn of the time they waited for it, µs.
    pub wait_us: u64,
    /// Sum over all answered jobs of the time their handler ran, µs.
    pub run_us: u64,
}

#[derive(Debug, Default)]
struct Cells {
    submitted: AtomicU64,
    full: AtomicU64,
    answered: AtomicU64,
    timed_out: AtomicU64,
    panicked: AtomicU64,
    started: AtomicU64,
    stopped_waiting: AtomicU64,
    ended: AtomicU64,
    wait_us: AtomicU64,
    run_us: AtomicU64,
}

struct Submission<J, R> {
    job: J,
    deadline: Instant,
    submitted_at: Instant,
    reply: Reply<R>,
    room: OwnedSemaphorePermit,
}

/// A bounded queue in front of a handler that runs on the pool. Clones share the queue.
pub struct JobQueue<J, R> {
    sender: mpsc::Sender<Submission<J, R>>,
    room: Arc<Semaphore>,
    cells: Arc<Cells>,
}

impl<J, R> Clone for JobQueue<J, R> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            room: Arc::clone(&self.room),
            cells: Arc::clone(&self.cells),
        }
    }
}

impl<J, R> std::fmt::Debug for JobQueue<J, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobQueue")
            .field("room", &self.room.available_permits())
            .finish()
    }
}

impl<J: Send + 'static, R: Send + 'static> JobQueue<J, R> {
    /// Starts the queue on `pool`; `handler` makes the future that answers a job.
    pub fn start<F>(
        config: QueueConfig,
        pool: &Handle,
        handler: impl Fn(J) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = R> + Send + 'static,
    {
        let outstanding_max = config.queue_len_max.max(1) + config.concurrency_max.max(1);
        let (sender, receiver) = mpsc::channel(outstanding_max);
        let room = Arc::new(Semaphore::new(outstanding_max));
        let cells = Arc::new(Cells::default());
        let turns = Arc::new(Semaphore::new(config.concurrency_max.max(1)));
        pool.spawn(dispatch(
            receiver,
            turns,
            Arc::new(handler),
            Arc::clone(&cells),
        ));
        Self {
            sender,
            room,
            cells,
        }
    }

    /// Hands a job over; never blocks and never waits. `deadline` counts from here on, waiting included.
    ///
    /// # Errors
    /// [`Full`] when `queue_len_max` jobs already wait (or the pool is gone): `reply` is then
    /// forgotten uncalled, since the caller knows already.
    pub fn try_submit(
        &self,
        job: J,
        deadline: Instant,
        mut reply: Reply<R>,
    ) -> Result<(), Full<J>> {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            self.cells.full.fetch_add(1, Ordering::Relaxed);
            reply.0 = None;
            return Err(Full(job));
        };
        let submission = Submission {
            job,
            deadline,
            submitted_at: Instant::now(),
            reply,
            room,
        };
        match self.sender.try_send(submission) {
            Ok(()) => {
                self.cells.submitted.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(
                mpsc::error::TrySendError::Full(mut refused)
                | mpsc::error::TrySendError::Closed(mut refused),
            ) => {
                self.cells.full.fetch_add(1, Ordering::Relaxed);
                refused.reply.0 = None;
                Err(Full(refused.job))
            }
        }
    }

    /// A reading of the counters; single values are exact, their sum may be torn by a moment.
    pub fn stats(&self) -> QueueStats {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let ended = read(&self.cells.ended);
        let started = read(&self.cells.started);
        let stopped_waiting = read(&self.cells.stopped_waiting);
        let submitted = read(&self.cells.submitted);
        QueueStats {
            submitted,
            full: read(&self.cells.full),
            answered: read(&self.cells.answered),
            timed_out: read(&self.cells.timed_out),
            panicked: read(&self.cells.panicked),
            waiting: submitted.saturating_sub(stopped_waiting),
            running: started.saturating_sub(ended),
            wait_us: read(&self.cells.wait_us),
            run_us: read(&self.cells.run_us),
        }
    }
}

async fn dispatch<J, R, F>(
    mut receiver: mpsc::Receiver<Submission<J, R>>,
    turns: Arc<Semaphore>,
    handler: Arc<impl Fn(J) -> F + Send + Sync + 'static>,
    cells: Arc<Cells>,
) where
    J: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    while let Some(submission) = receiver.recv().await {
        // Bounded by the room each submission holds.
        tokio::spawn(run_job(
            submission,
            Arc::clone(&turns),
            Arc::clone(&handler),
            Arc::clone(&cells),
        ));
    }
}

async fn run_job<J, R, F>(
    submission: Submission<J, R>,
    turns: Arc<Semaphore>,
    handler: Arc<impl Fn(J) -> F + Send + Sync + 'static>,
    cells: Arc<Cells>,
) where
    J: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let Submission {
        job,
        deadline,
        submitted_at,
        reply,
        room,
    } = submission;
    let mut life = Life {
        cells: &cells,
        started: false,
        done: false,
    };
    let work = async {
        // The semaphore is never closed; a turn is given back when this future ends or is dropped.
        let turn = turns.acquire().await;
        let started_at = Instant::now();
        life.on_start(started_at.duration_since(submitted_at));
        let answer = handler(job).await;
        drop(turn);
        cells
            .run_us
            .fetch_add(micros(started_at.elapsed()), Ordering::Relaxed);
        answer
    };
    let answer = tokio::time::timeout_at(deadline.into(), work).await;
    match &answer {
        Ok(_) => cells.answered.fetch_add(1, Ordering::Relaxed),
        Err(_) => cells.timed_out.fetch_add(1, Ordering::Relaxed),
    };
    life.done = true;
    drop(life);
    // Room first: whoever is woken by the answer may submit the next job at once.
    drop(room);
    reply.send(answer.map_err(|_| Failure::Timeout));
}

/// Keeps the gauges right on every way out of a job: answer, deadline, panic, pool stop.
struct Life<'c> {
    cells: &'c Cells,
    started: bool,
    done: bool,
}

impl Life<'_> {
    fn on_start(&mut self, waited: Duration) {
        self.started = true;
        self.cells.started.fetch_add(1, Ordering::Relaxed);
        self.cells.stopped_waiting.fetch_add(1, Ordering::Relaxed);
        self.cells
            .wait_us
            .fetch_add(micros(waited), Ordering::Relaxed);
    }
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        if self.started {
            self.cells.ended.fetch_add(1, Ordering::Relaxed);
        } else {
            self.cells.stopped_waiting.fetch_add(1, Ordering::Relaxed);
        }
        if !self.done && std::thread::panicking() {
            self.cells.panicked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

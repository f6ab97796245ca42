use super::*;
use std::sync::mpsc as std_mpsc;

const SOON: Duration = Duration::from_millis(40);
const LATE: Duration = Duration::from_secs(20);

/// What the test's handler is asked to do.
enum Work {
    Echo(u32),
    Hang,
    Panic,
    Wait(Arc<Semaphore>),
}

async fn work(job: Work) -> u32 {
    match job {
        Work::Echo(value) => value,
        Work::Hang => std::future::pending().await,
        Work::Panic => panic!("asked to"),
        Work::Wait(gate) => {
            gate.acquire().await.unwrap().forget();
            7
        }
    }
}

struct Bench {
    pool: Option<crate::Pool>,
    queue: JobQueue<Work, u32>,
    sender: std_mpsc::Sender<(u32, Result<u32, Failure>)>,
    answers: std_mpsc::Receiver<(u32, Result<u32, Failure>)>,
}

impl Bench {
    fn new(queue_len_max: usize, concurrency_max: usize) -> Self {
        let pool = crate::Pool::start(crate::PoolConfig::default(), Arc::new(|| {})).unwrap();
        let queue = JobQueue::start(
            QueueConfig {
                queue_len_max,
                concurrency_max,
            },
            pool.handle(),
            work,
        );
        let (sender, answers) = std_mpsc::channel();
        Self {
            pool: Some(pool),
            queue,
            sender,
            answers,
        }
    }

    fn submit(&self, id: u32, job: Work, within: Duration) -> bool {
        let sender = self.sender.clone();
        let reply = Reply::new(move |answer| sender.send((id, answer)).unwrap());
        self.queue
            .try_submit(job, Instant::now() + within, reply)
            .is_ok()
    }

    fn answer(&self) -> (u32, Result<u32, Failure>) {
        self.answers.recv_timeout(LATE).unwrap()
    }

    fn settled(&self, what: impl Fn(&QueueStats) -> bool) -> QueueStats {
        let give_up = Instant::now() + LATE;
        loop {
            let stats = self.queue.stats();
            if what(&stats) {
                return stats;
            }
            assert!(Instant::now() < give_up, "never settled: {stats:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_job_is_answered_once() {
    let bench = Bench::new(4, 4);
    assert!(bench.submit(1, Work::Echo(42), LATE));
    assert_eq!(bench.answer(), (1, Ok(42)));
    let stats = bench.queue.stats();
    assert_eq!(
        (
            stats.submitted,
            stats.answered,
            stats.waiting,
            stats.running
        ),
        (1, 1, 0, 0)
    );
    assert!(bench.answers.try_recv().is_err());
}

#[test]
fn a_full_queue_hands_the_job_back_at_once_and_never_calls_the_reply() {
    let bench = Bench::new(2, 1);
    let gate = Arc::new(Semaphore::new(0));
    for id in 0..3 {
        assert!(
            bench.submit(id, Work::Wait(Arc::clone(&gate)), LATE),
            "one runs, two wait"
        );
    }
    bench.settled(|stats| stats.running == 1 && stats.waiting == 2);
    assert!(!bench.submit(9, Work::Echo(0), LATE));
    assert_eq!(bench.queue.stats().full, 1);
    gate.add_permits(3);
    let mut ids: Vec<u32> = (0..3).map(|_| bench.answer().0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2]);
    assert!(
        bench.answers.try_recv().is_err(),
        "the refused job has no second answer"
    );
    assert!(bench.submit(10, Work::Echo(1), LATE), "there is room again");
    assert_eq!(bench.answer(), (10, Ok(1)));
}

#[test]
fn a_running_job_ends_at_its_deadline() {
    let bench = Bench::new(4, 4);
    let started = Instant::now();
    assert!(bench.submit(1, Work::Hang, SOON));
    assert_eq!(bench.answer(), (1, Err(Failure::Timeout)));
    assert!(started.elapsed() >= SOON);
    let stats = bench.settled(|stats| stats.running == 0);
    assert_eq!((stats.timed_out, stats.answered), (1, 0));
}

#[test]
fn a_waiting_job_ends_at_its_deadline_though_it_never_got_its_turn() {
    let bench = Bench::new(4, 1);
    let gate = Arc::new(Semaphore::new(0));
    assert!(bench.submit(1, Work::Wait(Arc::clone(&gate)), LATE));
    bench.settled(|stats| stats.running == 1);
    assert!(bench.submit(2, Work::Echo(0), SOON));
    assert_eq!(bench.answer(), (2, Err(Failure::Timeout)));
    let stats = bench.settled(|stats| stats.waiting == 0);
    assert_eq!((stats.running, stats.timed_out), (1, 1));
    gate.add_permits(1);
    assert_eq!(bench.answer(), (1, Ok(7)));
}

#[test]
fn a_panic_is_answered_counted_and_leaves_the_queue_working() {
    let bench = Bench::new(4, 1);
    assert!(bench.submit(1, Work::Panic, LATE));
    assert_eq!(bench.answer(), (1, Err(Failure::Panicked)));
    assert!(
        bench.submit(2, Work::Echo(5), LATE),
        "the turn was given back"
    );
    assert_eq!(bench.answer(), (2, Ok(5)));
    let stats = bench.settled(|stats| stats.running == 0);
    assert_eq!((stats.panicked, stats.answered), (1, 1));
}

#[test]
fn stopping_the_pool_answers_what_was_under_way_and_refuses_what_comes_after() {
    let mut bench = Bench::new(4, 1);
    assert!(bench.submit(1, Work::Hang, LATE));
    assert!(bench.submit(2, Work::Hang, LATE));
    bench.settled(|stats| stats.running == 1 && stats.waiting == 1);
    bench.pool.take().unwrap().stop(Duration::from_secs(1));
    let mut answers = [bench.answer(), bench.answer()];
    answers.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(
        answers,
        [(1, Err(Failure::Stopped)), (2, Err(Failure::Stopped))]
    );
    assert!(!bench.submit(3, Work::Echo(0), LATE));
}

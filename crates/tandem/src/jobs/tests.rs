use super::*;
use crate::resolve::Families;
use offload::{Failure, Pool, PoolConfig, Reply};
use std::time::Duration;
use storage::{Journal, JournalOptions, JournalSync};

const PATIENCE: Duration = Duration::from_secs(10);

struct Bench {
    jobs: LaneJobs,
    pool: Pool,
    directory: tempfile::TempDir,
}

const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS number FROM n";

fn runner(pool: &Pool, directory: &std::path::Path) -> JobRunner {
    let url = format!("sqlite://{}", directory.join("t.db").display());
    let store = Arc::new(pool.handle().block_on(Store::open(&url)).unwrap());
    let _inside = pool.handle().enter();
    let names = NameResolver::system(Families { v4: true, v6: true }, "/etc/hosts".into());
    JobRunner::new(store, names, Clock::start())
}

fn bench() -> Bench {
    bench_with(QueueConfig::default())
}

fn bench_with(bounds: QueueConfig) -> Bench {
    let pool = Pool::start(PoolConfig::default(), Arc::new(|| {})).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let jobs = runner(&pool, directory.path()).start(pool.handle(), bounds);
    Bench {
        jobs,
        pool,
        directory,
    }
}

impl Bench {
    fn answer(&self, job: LaneJob) -> Result<JobAnswer, Failure> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let reply = Reply::new(move |answer| sender.send(answer).unwrap());
        self.jobs
            .try_submit(job, Instant::now() + PATIENCE, reply)
            .unwrap();
        receiver.recv_timeout(2 * PATIENCE).unwrap()
    }

    fn lookup(&self, query: &str, within: Duration) -> JobAnswer {
        self.answer(LaneJob::Lookup {
            query: query.into(),
            number: "4930123".into(),
            caller: "100".into(),
            customer: "acme".into(),
            deadline: Instant::now() + within,
        })
        .unwrap()
    }
}

#[test]
fn a_lookup_answers_from_the_store() {
    let bench = bench();
    let rewritten = bench.lookup("SELECT '00' || {number} AS number", PATIENCE);
    let JobAnswer::Lookup(answer) = rewritten else {
        panic!("{rewritten:?}")
    };
    assert_eq!(
        answer,
        LookupAnswer {
            number: Some("004930123".into()),
            refuse: None
        }
    );
    let refused = bench.lookup("SELECT 403 AS refuse WHERE {customer} = 'acme'", PATIENCE);
    let JobAnswer::Lookup(answer) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(answer.refuse, Some(403));
}

#[test]
fn a_query_that_keeps_failing_is_not_asked_for_a_while_and_the_others_still_are() {
    let bench = bench();
    let works = "SELECT {number} AS number";
    let failures_max = BreakerConfig::default().failures_max;
    for _ in 0..failures_max {
        let answer = bench.lookup(ENDLESS, Duration::from_millis(20));
        assert!(
            matches!(answer, JobAnswer::Failed(JobFailure::Timeout)),
            "{answer:?}"
        );
    }
    let answer = bench.lookup(ENDLESS, PATIENCE);
    assert!(
        matches!(answer, JobAnswer::Failed(JobFailure::Error)),
        "open: {answer:?}"
    );
    assert!(
        matches!(bench.lookup(works, PATIENCE), JobAnswer::Lookup(_)),
        "another query has its own breaker"
    );
    let wait = Duration::from_micros(BreakerConfig::default().open_us);
    std::thread::sleep(wait + Duration::from_millis(50));
    let answer = bench.lookup(ENDLESS, Duration::from_millis(20));
    assert!(
        matches!(answer, JobAnswer::Failed(JobFailure::Timeout)),
        "the probe: {answer:?}"
    );
}

#[test]
fn a_wrong_query_opens_no_breaker() {
    let pool = Pool::start(PoolConfig::default(), Arc::new(|| {})).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let runner = runner(&pool, directory.path());
    for wrong in [
        "SELECT number FROM no_such_table",
        "SELECT '{number}' AS number",
        "DELETE FROM cdr",
        "SELECT 1.5 AS number",
    ] {
        let query = Arc::from(wrong);
        for _ in 0..2 * BreakerConfig::default().failures_max {
            let deadline = Instant::now() + PATIENCE;
            let asked = runner.lookup(&query, "1", "2", "acme", deadline);
            let answer = pool.handle().block_on(asked);
            assert!(
                matches!(answer, JobAnswer::Failed(JobFailure::Error)),
                "{answer:?}"
            );
        }
        let state = runner.with_health(|health| health[&query].breaker.state());
        assert_eq!(state, BreakerState::Closed, "{wrong}");
    }
}

#[test]
fn that_a_query_is_wrong_is_told_now_and_then_with_how_often() {
    let mut health = QueryHealth::new();
    assert_eq!(health.note_wrong(5), Some(1), "the first at once");
    assert_eq!(health.note_wrong(6), None);
    assert_eq!(health.note_wrong(4 + WARN_EVERY_US), None);
    assert_eq!(health.note_wrong(5 + WARN_EVERY_US), Some(3));
}

#[test]
fn a_commit_does_not_wait_for_lookups_that_take_all_turns() {
    let bounds = QueueConfig {
        queue_len_max: 1,
        concurrency_max: 1,
    };
    let bench = bench_with(bounds);
    let lookup = || LaneJob::Lookup {
        query: ENDLESS.into(),
        number: String::new(),
        caller: String::new(),
        customer: String::new(),
        deadline: Instant::now() + Duration::from_secs(3),
    };
    let submit = |job| {
        let deadline = Instant::now() + PATIENCE;
        bench.jobs.try_submit(job, deadline, Reply::new(|_| {}))
    };
    submit(lookup()).unwrap();
    submit(lookup()).unwrap();
    assert!(submit(lookup()).is_err(), "full");
    let options = JournalOptions::new(bench.directory.path().into(), "node".into(), 1, 0);
    let journal = Journal::create(options).unwrap();
    let answer = bench.answer(LaneJob::Commit {
        progress: journal.progress(),
        seq: 0,
    });
    assert!(matches!(answer, Ok(JobAnswer::Committed)), "{answer:?}");
    assert_eq!(bench.jobs.stats().answered, 1, "the lookups still run");
    bench.pool.stop(Duration::from_secs(4));
}

#[test]
fn a_query_that_does_not_end_is_answered_with_a_timeout() {
    let bench = bench();
    let answer = bench.lookup(ENDLESS, Duration::from_millis(50));
    assert!(
        matches!(answer, JobAnswer::Failed(JobFailure::Timeout)),
        "{answer:?}"
    );
}

#[test]
fn a_name_of_the_hosts_file_is_resolved() {
    let bench = bench();
    let job = LaneJob::Resolve {
        host: "localhost".into(),
        port: Some(5099),
        transport: Transport::Udp,
    };
    let answer = bench.answer(job).unwrap();
    let JobAnswer::Resolved { addresses, ttl_s } = answer else {
        panic!("{answer:?}")
    };
    assert!(
        addresses.contains(&([127, 0, 0, 1], 5099).into()),
        "{addresses:?}"
    );
    assert!(ttl_s > 0);
}

#[test]
fn a_commit_is_answered_when_the_record_is_on_disk_and_not_before() {
    let bench = bench();
    let options = JournalOptions::new(bench.directory.path().into(), "node".into(), 1, 0);
    let mut journal = Journal::create(options).unwrap();
    let record = accounting::Record::EndedAlone {
        cdr_id: uuid::Uuid::nil(),
        node: "node".into(),
        at_us: 0,
        ended_by: accounting::EndedBy::Proxy,
        status: 200,
    };
    let seq = journal.append(&record).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let reply = Reply::new(move |answer: Result<JobAnswer, Failure>| sender.send(answer).unwrap());
    let job = LaneJob::Commit {
        progress: journal.progress(),
        seq,
    };
    bench
        .jobs
        .try_submit(job, Instant::now() + PATIENCE, reply)
        .unwrap();
    assert!(
        receiver.recv_timeout(Duration::from_millis(50)).is_err(),
        "nothing is written yet"
    );
    journal.write_out().unwrap();
    assert!(
        receiver.recv_timeout(Duration::from_millis(50)).is_err(),
        "nothing is synced yet"
    );
    let sync = JournalSync::start(Duration::from_millis(1)).unwrap();
    sync.add(journal.progress());
    let answer = receiver.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(matches!(answer, JobAnswer::Committed), "{answer:?}");
    bench.pool.stop(Duration::from_secs(1));
}

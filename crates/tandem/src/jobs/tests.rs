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

fn bench() -> Bench {
    let pool = Pool::start(PoolConfig::default(), Arc::new(|| {})).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("t.db").display());
    let store = Arc::new(pool.handle().block_on(Store::open(&url)).unwrap());
    let inside = pool.handle().enter();
    let names = NameResolver::system(Families { v4: true, v6: true });
    drop(inside);
    let jobs =
        JobRunner::new(store, names, Clock::start()).start(pool.handle(), QueueConfig::default());
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
fn a_store_that_keeps_failing_is_not_asked_for_a_while_but_a_wrong_query_is_not_its_fault() {
    let bench = bench();
    for _ in 0..10 {
        let answer = bench.lookup("SELECT '{number}' AS number", PATIENCE);
        assert!(
            matches!(answer, JobAnswer::Failed(JobFailure::Error)),
            "{answer:?}"
        );
    }
    let works = "SELECT {number} AS number";
    assert!(
        matches!(bench.lookup(works, PATIENCE), JobAnswer::Lookup(_)),
        "still asked"
    );
    let failures_max = BreakerConfig::default().failures_max;
    for _ in 0..failures_max {
        let answer = bench.lookup("SELECT number FROM no_such_table", PATIENCE);
        assert!(
            matches!(answer, JobAnswer::Failed(JobFailure::Error)),
            "{answer:?}"
        );
    }
    assert!(
        matches!(
            bench.lookup(works, PATIENCE),
            JobAnswer::Failed(JobFailure::Error)
        ),
        "open"
    );
    let wait = Duration::from_micros(BreakerConfig::default().open_us);
    std::thread::sleep(wait + Duration::from_millis(50));
    assert!(
        matches!(bench.lookup(works, PATIENCE), JobAnswer::Lookup(_)),
        "the probe"
    );
    assert!(
        matches!(bench.lookup(works, PATIENCE), JobAnswer::Lookup(_)),
        "closed again"
    );
}

#[test]
fn a_query_that_does_not_end_is_answered_with_a_timeout() {
    let bench = bench();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS number FROM n";
    let answer = bench.lookup(endless, Duration::from_millis(50));
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

//! With strict durability an answer waits for its record; a disk that fails is counted and holds nothing up.

use crate::bench::*;
use proxy_core::{CoreConfig, Durability, Job, JobAnswer, JobFailure, JobKind, Policy, Stat};

fn strict() -> Bench {
    let policy = Policy {
        durability: Durability::Strict,
        ..Policy::default()
    };
    Bench::with(CoreConfig { policy, ..config() }, &ONE_VENDOR)
}

/// Ends a commit, or lets its deadline pass.
fn end_commit(bench: &mut Bench, job: &Job, answer: Option<JobAnswer>) -> Vec<Sent> {
    match answer {
        Some(answer) => bench.end_job(job, answer),
        None => bench.wait(1_100_000),
    }
}

/// A call whose answer and BYE wait for commits that end so; how many counted as missed.
fn commits_missed(answer: Option<JobAnswer>) -> u64 {
    let mut bench = strict();
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let ok = reply(
        &forwarded.text,
        200,
        "callee",
        "Contact: <sip:callee@203.0.113.10>\r\n",
    );
    assert!(bench.send(VENDOR, &ok).is_empty());
    let job = bench.take_job();
    assert!(matches!(job.kind, JobKind::Commit));
    let sent = end_commit(&mut bench, &job, answer.clone());
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "200")]);
    let (caller, _) = Dialog::pair(&sent[0]);
    let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &ack)),
        [(VENDOR.to_owned(), "ACK")]
    );

    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    let ok = reply(&only(&sent, "BYE").text, 200, "", "");
    assert!(bench.send(VENDOR, &ok).is_empty());
    let job = bench.take_job();
    let sent = end_commit(&mut bench, &job, answer);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "200")]);
    bench.rest();
    assert_eq!(bench.cdrs().len(), 1);
    bench.stat(Stat::CommitsMissed)
}

#[test]
fn a_commit_that_is_made_is_not_missed() {
    assert_eq!(commits_missed(Some(JobAnswer::Committed)), 0);
}

#[test]
fn a_commit_that_fails_is_counted_and_the_answer_goes() {
    assert_eq!(
        commits_missed(Some(JobAnswer::Failed(JobFailure::Error))),
        2
    );
}

#[test]
fn a_commit_that_is_late_is_counted_and_the_answer_goes() {
    assert_eq!(commits_missed(None), 2);
}

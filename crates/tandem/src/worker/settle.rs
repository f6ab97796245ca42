//! What leaves a lane at the end of a turn: records to the journal, jobs to the pool, datagrams to the network.
//! No RFC. In this order, because a record must be out of our memory before the message that tells it leaves.
//! Leaves out the order of a whole turn (`worker.rs`).

use std::sync::Arc;

use offload::{Failure, Reply};
use proxy_core::{Job, JobAnswer, JobFailure, JobKind, JobResult, Now};

use super::{JOURNAL_RETRY_US, ROUNDS_MAX, Worker};
use crate::jobs::LaneJob;
use crate::lane_stats::LaneStat;
use crate::net::udp::SendTally;

impl Worker {
    /// Journals the records and submits the jobs; a job that finds the queue full is answered here and now.
    pub(super) fn settle(&mut self, now: Now) {
        for _ in 0..ROUNDS_MAX {
            let mut lost = false;
            self.counters
                .add(LaneStat::Records, self.out.records.len() as u64);
            for record in self.out.records.drain(..) {
                lost |= self.journal.append(&record).is_err();
            }
            if lost {
                self.counters
                    .set(LaneStat::RecordsLost, self.progress.lost());
            }
            let mut refused = false;
            std::mem::swap(&mut self.out.jobs, &mut self.jobs_scratch);
            let mut jobs = std::mem::take(&mut self.jobs_scratch);
            for job in jobs.drain(..) {
                if let Some((id, failure)) = self.submit(job, lost) {
                    refused = true;
                    let result = JobResult {
                        id,
                        answer: JobAnswer::Failed(failure),
                    };
                    self.core.handle_job_result(now, result, &mut self.out);
                }
            }
            self.jobs_scratch = jobs;
            if !refused {
                break;
            }
        }
        self.write_journal(now);
    }

    /// Takes the records out of our memory. A failing disk is said once, when it begins and when it is over; the next
    /// turn refuses new calls, and there is one soon even when nothing else happens.
    fn write_journal(&mut self, now: Now) {
        match self.journal.write_out() {
            Ok(()) => {
                if self.journal_retry_us.take().is_some() {
                    tracing::info!(lane = self.lane, "the journal can be written again");
                }
            }
            Err(error) => {
                if self.journal_retry_us.is_none() {
                    tracing::error!(lane = self.lane, %error, "the journal can't be written: new calls are refused");
                }
                self.journal_retry_us = Some(now.mono_us + JOURNAL_RETRY_US);
            }
        }
        let waiting = self.journal.appended_seq() - self.progress.written_seq();
        self.counters.set(LaneStat::RecordsWaiting, waiting);
    }

    /// Hands a job to the pool; the failure to answer it with when that is not possible.
    fn submit(&mut self, job: Job, records_lost: bool) -> Option<(u64, JobFailure)> {
        let Job {
            id,
            deadline_us,
            kind,
        } = job;
        let deadline = self.clock.instant_at(deadline_us);
        let kind = match kind {
            JobKind::Lookup {
                query,
                number,
                caller,
                customer,
            } => LaneJob::Lookup {
                query,
                number,
                caller,
                customer,
                deadline,
            },
            JobKind::Resolve {
                host,
                port,
                transport,
            } => LaneJob::Resolve {
                host,
                port,
                transport,
            },
            JobKind::Commit if records_lost => return Some((id, JobFailure::Error)),
            JobKind::Commit => LaneJob::Commit {
                progress: Arc::clone(&self.progress),
                seq: self.journal.appended_seq(),
            },
        };
        let results = self.results.clone();
        let reply = Reply::new(move |answer: Result<JobAnswer, Failure>| {
            let answer = answer.unwrap_or_else(|failure| {
                JobAnswer::Failed(match failure {
                    Failure::Timeout => JobFailure::Timeout,
                    Failure::Panicked | Failure::Stopped => JobFailure::Error,
                })
            });
            // A lane that has ended waits for nothing.
            let _ = results.send(JobResult { id, answer });
        });
        match self.jobs.try_submit(kind, deadline, reply) {
            Ok(()) => {
                self.counters.add(LaneStat::JobsSubmitted, 1);
                None
            }
            Err(_) => {
                self.counters.add(LaneStat::JobsFull, 1);
                Some((id, JobFailure::QueueFull))
            }
        }
    }

    pub(super) fn flush(&mut self) {
        let Self {
            out,
            ports,
            send,
            unreachable,
            ..
        } = self;
        let outbox = &out.outbox;
        let mut tally = SendTally::default();
        let mut next = 0;
        while let Some((flow, _)) = outbox.iter().nth(next) {
            match ports.get(usize::from(flow.listener)) {
                Some(port) => {
                    let on_unreachable = |remote| {
                        if !unreachable.contains(&remote) {
                            unreachable.push(remote);
                        }
                    };
                    next = port.send_run(send, outbox, next, &mut tally, on_unreachable);
                }
                None => {
                    debug_assert!(false, "a flow names a listener that is not there");
                    tally.dropped += 1;
                    next += 1;
                }
            }
        }
        out.outbox.clear();
        for notice in out.notices.drain(..) {
            crate::notices::log(&notice);
        }
        self.count_sent(tally);
    }

    pub(super) fn count_sent(&mut self, tally: SendTally) {
        self.counters.add(LaneStat::DatagramsOut, tally.datagrams);
        self.counters.add(LaneStat::BytesOut, tally.bytes);
        self.counters.add(LaneStat::SendErrors, tally.errors);
        self.counters.add(LaneStat::SendDelayed, tally.delayed);
        self.counters.add(LaneStat::SendDropped, tally.dropped);
    }
}

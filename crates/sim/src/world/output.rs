//! What a lane puts out and is given back: records kept, jobs answered, datagrams sent; and the checks of every step.
//! The order is the journal's promise: records are out of the lane before the datagrams that tell of them.
//! Leaves out the peers and the network itself.

use accounting::Record;
use proxy_core::Stat;

use super::trace::{trace, trace_line};
use super::{Pending, Recorded, World};
use crate::jobs;
use crate::network::Datagram;

impl World {
    pub(super) fn resume(&mut self, pending: Pending) {
        let now = self.now();
        match pending {
            Pending::Job { boot, lane, result } if boot == self.boot && !self.down => {
                if self.config.trace {
                    trace_line(self.now_us, &format!("lane {lane} hears {result:?}"));
                }
                if let Some(core) = self.cores.get_mut(lane) {
                    core.handle_job_result(now, result, &mut self.output);
                }
                self.drain(Some(lane));
            }
            Pending::Unreachable(remote) if !self.down => {
                self.tap.breadth.unreachable(remote);
                for lane in 0..self.cores.len() {
                    self.cores[lane].handle_unreachable(now, remote, &mut self.output);
                    self.drain(Some(lane));
                }
            }
            _ => {}
        }
    }

    /// Takes what a lane has put out: records first, as the promise of the journal asks, then jobs and datagrams.
    pub(super) fn drain(&mut self, lane: Option<usize>) {
        let mut output = std::mem::take(&mut self.output);
        for record in output.records.drain(..) {
            self.keep(record);
        }
        for job in output.jobs.drain(..) {
            if job.deadline_us <= self.now_us - self.boot_us {
                self.faults.push(format!(
                    "{}: a job with a deadline in the past: {job:?}",
                    self.now_us
                ));
            }
            // Deadlines are in the time of this boot.
            let now_us = self.now_us - self.boot_us;
            let (at_us, result) = jobs::answer(&self.config.jobs, &mut self.rng, now_us, &job);
            if self.config.trace {
                trace_line(self.now_us, &format!("lane {lane:?} asks {job:?}"));
            }
            let pending = Pending::Job {
                boot: self.boot,
                lane: lane.unwrap_or(0),
                result,
            };
            self.pending.push(at_us + self.boot_us, pending);
        }
        for (flow, bytes) in output.outbox.iter() {
            self.tap.depart(self.now_us, flow.remote, bytes);
            if flow.local != self.proxy {
                self.faults.push(format!(
                    "{}: a datagram leaves from {}",
                    self.now_us, flow.local
                ));
            }
            let datagram = Datagram {
                from: self.proxy,
                to: flow.remote,
                bytes: bytes.to_vec(),
            };
            if self.config.trace {
                trace(self.now_us, "leaves", &datagram);
            }
            self.note_traffic(&datagram);
            self.network.send(self.now_us, datagram);
        }
        output.outbox.clear();
        self.output = output;
        self.faults.append(&mut self.tap.faults);
    }

    /// A record must survive its own encoding: what the journal gives back is what was handed over.
    fn keep(&mut self, record: Record) {
        if self.config.trace {
            trace_line(self.now_us, &format!("records {record:?}"));
        }
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        match Record::decode(&bytes) {
            Ok(again) if again == record => {}
            other => self.faults.push(format!(
                "{}: {record:?} came back as {other:?}",
                self.now_us
            )),
        }
        self.records.push(Recorded {
            at_us: self.now_us,
            record,
        });
    }

    pub(super) fn flush_peers(&mut self) {
        let callers = self
            .callers
            .iter_mut()
            .flat_map(|host| host.agent.outgoing.drain(..));
        let vendors = self
            .vendors
            .iter_mut()
            .flat_map(|host| host.agent.outgoing.drain(..));
        for datagram in callers.chain(vendors) {
            if self.config.trace {
                trace(self.now_us, "is sent", &datagram);
            }
            self.network.send(self.now_us, datagram);
        }
    }

    pub(super) fn check_channels(&mut self) {
        let in_use = self.channels();
        let faults = self
            .channel_watch
            .check(&self.records, &self.limits, &in_use);
        for fault in faults {
            self.faults.push(format!("{}: {fault}", self.now_us));
        }
        let (beyond, counted) = (
            self.channel_watch.beyond,
            self.stat(Stat::ChannelsBeyondLimit),
        );
        if beyond > counted {
            self.faults.push(format!(
                "{}: {beyond} channels beyond their limits, {counted} counted",
                self.now_us
            ));
        }
        if self.counters.underflows() > 0 {
            self.faults
                .push(format!("{}: a channel was given back twice", self.now_us));
        }
    }
}

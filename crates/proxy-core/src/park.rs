//! The one detour: a message waits while a job runs elsewhere (the `Wait` of the architecture document).
//!
//! A request that begins something waits alone. Within a dialog the whole dialog waits behind the message that
//! does, in order and within a bound. Every job ends: by its result, or by its deadline here.

use crate::{
    calls::{HELD_MAX, Held},
    context::{ContextRef, Destination},
    cookie::{Cookie, Side},
    core::ProxyCore,
    names::Name,
    output::{Job, JobAnswer, JobFailure, JobKind, Now, Output},
    stats::Stat,
};
use routing::GatewayHost;
use slab::Slab;
use transaction_layer::{Flow, TimerId};
use uuid::Uuid;

/// What resumes when a job ends.
pub(crate) enum Parked {
    /// An initial request, or one in a dialog that is not ours.
    Context(ContextRef),
    /// One target of a hunt; the others go on.
    Target {
        context: ContextRef,
        to: Destination,
    },
    /// The messages that a call holds.
    Call(Uuid),
    /// An ACK in a dialog that is not ours.
    Ack {
        bytes: Vec<u8>,
        flow: Flow,
        /// What opens its way.
        cookie: Option<(Cookie, Side)>,
        /// How many names of gateways were asked for.
        asked: u16,
    },
    /// The answer to a BYE, whose call is already closed.
    Final {
        context: ContextRef,
        bytes: Vec<u8>,
        status: u16,
    },
}

struct ParkedJob {
    serial: u32,
    parked: Parked,
    name: Option<Name>,
    timer: TimerId,
}

/// All jobs that messages wait for.
#[derive(Default)]
pub(crate) struct ParkedJobs {
    slots: Slab<ParkedJob>,
    serial: u32,
}

impl ParkedJobs {
    fn insert(&mut self, mut job: ParkedJob) -> u64 {
        self.serial = self.serial.wrapping_add(1);
        job.serial = self.serial;
        let index = self.slots.insert(job);
        u64::from(self.serial) << 32 | u64::from(u32::try_from(index).unwrap_or(u32::MAX))
    }

    fn next_id(&self) -> u64 {
        let index = u32::try_from(self.slots.vacant_key()).unwrap_or(u32::MAX);
        u64::from(self.serial.wrapping_add(1)) << 32 | u64::from(index)
    }

    fn remove(&mut self, id: u64) -> Option<ParkedJob> {
        let index = usize::try_from(id & u64::from(u32::MAX)).ok()?;
        let serial = u32::try_from(id >> 32).ok()?;
        self.slots.get(index).filter(|job| job.serial == serial)?;
        Some(self.slots.remove(index))
    }
}

impl ProxyCore {
    /// Sends a job away and notes what waits for it.
    pub(crate) fn park(
        &mut self,
        now: Now,
        parked: Parked,
        kind: JobKind,
        patience_us: u64,
        out: &mut Output,
    ) -> u64 {
        self.stats.count(Stat::Parked);
        let deadline_us = now.mono_us + patience_us;
        let name = match &kind {
            JobKind::Resolve {
                host,
                port,
                transport,
            } => Some(Name {
                host: host.clone(),
                port: *port,
                transport: *transport,
            }),
            _ => None,
        };
        let timer = crate::timers::CoreTimer::Job(self.jobs.next_id());
        let timer = self.wheel.insert(now.mono_us, deadline_us, timer);
        let id = self.jobs.insert(ParkedJob {
            serial: 0,
            parked,
            name,
            timer,
        });
        out.jobs.push(Job {
            id,
            deadline_us,
            kind,
        });
        id
    }

    /// Closes a dialog's gate behind `held` until a job is done.
    pub(crate) fn park_call(
        &mut self,
        now: Now,
        id: Uuid,
        held: Held,
        kind: JobKind,
        patience_us: u64,
        out: &mut Output,
    ) {
        let job = self.park(now, Parked::Call(id), kind, patience_us, out);
        if let Held::Request(context) = &held
            && let Some(context) = self.contexts.at_mut(*context)
        {
            context.held = true;
        }
        if let Some(call) = self.calls.at_mut(id) {
            // What was taken from the front goes back there; what comes to a closed gate waits its turn.
            if call.gate.replace(job).is_none() {
                call.held.push_front(held);
            } else {
                call.held.push_back(held);
            }
        }
    }

    /// Lets a message wait behind the closed gate of its dialog; false when too many do.
    pub(crate) fn hold(&mut self, id: Uuid, held: Held) -> bool {
        let Some(call) = self.calls.at_mut(id) else {
            return false;
        };
        if call.held.len() >= HELD_MAX {
            self.stats.count(Stat::HeldOverflow);
            return false;
        }
        if let Held::Request(context) = &held
            && let Some(context) = self.contexts.at_mut(*context)
        {
            context.held = true;
        }
        call.held.push_back(held);
        true
    }

    /// Whether a gateway is configured by this name.
    fn names_gateway(&self, name: &Name) -> bool {
        self.snapshot.gateways().any(|(_, gateway)| {
            matches!(&gateway.host, GatewayHost::Name { host, port }
                if *port == name.port && host.eq_ignore_ascii_case(&name.host))
        })
    }

    /// A job has ended, one way or the other.
    pub(crate) fn on_job_answer(&mut self, now: Now, id: u64, answer: JobAnswer, out: &mut Output) {
        let Some(job) = self.jobs.remove(id) else {
            return self.stats.count(Stat::JobsStale);
        };
        self.wheel.cancel(job.timer);
        match &answer {
            JobAnswer::Failed(JobFailure::Error) => self.stats.count(Stat::JobsFailed),
            JobAnswer::Failed(JobFailure::Timeout) => self.stats.count(Stat::JobsTimedOut),
            JobAnswer::Failed(JobFailure::QueueFull) => self.stats.count(Stat::JobsRefused),
            _ => {}
        }
        let resolving = job.name.is_some();
        if let Some(name) = job.name {
            let of_gateway = self.names_gateway(&name);
            match &answer {
                JobAnswer::Resolved { addresses, ttl_s } => {
                    let addresses = addresses.clone();
                    self.names
                        .learn(now.mono_us, name, of_gateway, addresses, *ttl_s);
                }
                // The resolver is at fault, not the name: what it said before is good for a while longer.
                _ => self.names.keep_stale(now.mono_us, name, of_gateway),
            }
        } else if matches!(job.parked, Parked::Call(_) | Parked::Final { .. })
            && !matches!(answer, JobAnswer::Committed)
        {
            self.stats.count(Stat::CommitsMissed);
        }
        match job.parked {
            Parked::Context(context) => self.resume_context(now, context, resolving, answer, out),
            Parked::Target { context, to } => self.resume_target(now, context, to, &answer, out),
            Parked::Call(call) => {
                // Another message may have closed the gate since, for a job of its own.
                if let Some(open) = self.calls.at_mut(call).filter(|open| open.gate == Some(id)) {
                    open.gate = None;
                    self.resume_call(now, call, out);
                }
            }
            Parked::Ack {
                bytes,
                flow,
                cookie,
                asked,
            } => self.resume_passing_ack(now, &bytes, &flow, cookie, asked, out),
            Parked::Final {
                context,
                bytes,
                status,
            } => {
                if let Some(context) = self.contexts.at_mut(context) {
                    context.parked = None;
                }
                self.send_upstream(now, context, status, &bytes, out);
                self.release_context(context);
            }
        }
    }

    fn resume_context(
        &mut self,
        now: Now,
        name: ContextRef,
        resolving: bool,
        answer: JobAnswer,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        context.parked = None;
        if context.final_sent.is_some() {
            // Answered while it waited: cancelled, most likely.
            return self.release_context(name);
        }
        if resolving {
            self.forward_passing(now, name, out);
        } else {
            self.on_lookup_answer(now, name, answer, out);
        }
    }

    /// Lets the messages of a dialog go on in order, until the gate closes again.
    fn resume_call(&mut self, now: Now, id: Uuid, out: &mut Output) {
        loop {
            let Some(call) = self.calls.at_mut(id) else {
                return;
            };
            if call.gate.is_some() {
                return;
            }
            let Some(held) = call.held.pop_front() else {
                break;
            };
            match held {
                Held::Request(context) => {
                    if let Some(context) = self.contexts.at_mut(context) {
                        context.held = false;
                    }
                    self.forward_in_dialog(now, context, out);
                    self.release_context(context);
                }
                Held::Ack { bytes, flow } => self.resume_ack(now, id, &bytes, &flow, out),
                Held::Response { branch, bytes } => {
                    self.resume_response(now, branch, &bytes, out);
                }
                Held::Answer {
                    branch,
                    bytes,
                    status,
                } => self.send_answer(now, branch, status, &bytes, out),
            }
        }
        self.settle_call(now, id, out);
    }
}

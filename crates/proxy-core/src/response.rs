//! Response processing, RFC 3261 §16.7: provisional and failed branches, and the final response that goes upstream.
//!
//! Upstream hears one final response for each INVITE, or 2xx only. A vendor's 401, 407 and 3xx are failed attempts
//! that the customer never sees. Answers are in `answer`, the next target in `hunt`, silence in `silence`.

use crate::{
    calls::{DialogState, Held, signed},
    context::{Best, BranchRef, BranchState, ContextRef, Kind, ResponseContext, Role, Stage},
    core::ProxyCore,
    output::{Now, Output},
    stats::Stat,
    timers::CoreTimer,
};
use accounting::{Cause, EndedBy};
use sip_parser::{HeaderTable, Message, parse_datagram, write_message};
use std::mem;

impl ProxyCore {
    /// A response that a branch's client transaction let through.
    pub(crate) fn on_branch_response(
        &mut self,
        now: Now,
        name: BranchRef,
        response: &Message<'_>,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at(name.context) else {
            return;
        };
        let (invite, initial) = (
            context.kind == Kind::Invite,
            matches!(context.role, Role::Initial),
        );
        let (call, cancelled) = (context.call, context.cancelled);
        let open = context.is_open();
        if !initial
            && response.status() > 100
            && let Some(id) = call
            && self.calls.at(id).is_some_and(|call| call.gate.is_some())
        {
            // A request of the same side may be waiting: its response to ours must not overtake it.
            let bytes = response.bytes().to_vec();
            let held = Held::Response {
                branch: name,
                bytes,
            };
            if self.hold(id, held) {
                if response.status() >= 200
                    && let Some(branch) = self.contexts.branch_mut(name)
                {
                    // The end of its transaction meanwhile is no silence.
                    branch.state = BranchState::Done;
                    branch.held = true;
                }
                return;
            }
        }
        match response.status() {
            ..200 => self.on_provisional(now, name, response, out),
            status @ 200..300 if invite && initial => {
                self.on_answer(now, name, status, response, out)
            }
            status if initial => {
                let cause = crate::cdr::cause_of_status(status);
                // The caller's word in a CANCEL stays, and a call that another branch has won; else the last that is said counts.
                if open
                    && !cancelled
                    && let Some(call) = call.and_then(|id| self.calls.at_mut(id))
                {
                    call.replace_reason(response);
                }
                if (300..400).contains(&status) {
                    self.note_contacts(name, response);
                }
                let bytes = self.without_via(response);
                self.on_branch_failed(now, name, status, cause, Some(bytes), out);
            }
            status => self.on_dialog_final(now, name, status, response, out),
        }
    }

    /// A response as it goes upstream: without the Via that was ours.
    pub(crate) fn without_via(&mut self, response: &Message<'_>) -> Vec<u8> {
        let mut bytes = self.buffer();
        //= RFC 3261 §16.7(3): the topmost Via goes, and nothing else of the response
        //= RFC 3261 §16.7(9): no other header and no body is touched
        self.edits.clear();
        self.edits.spell_version(response);
        self.edits.remove_top_via(response);
        write_message(response, &self.edits, &mut bytes);
        bytes
    }

    fn on_provisional(
        &mut self,
        now: Now,
        name: BranchRef,
        response: &Message<'_>,
        out: &mut Output,
    ) {
        let status = response.status();
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        if branch.state == BranchState::Done {
            return;
        }
        branch.state = BranchState::Proceeding;
        if let Some(timer) = branch.no_1xx.take() {
            self.wheel.cancel(timer);
        }
        self.cancel_if_wanted(now, name, out);
        let Some(context) = self.contexts.at_mut(name.context) else {
            return;
        };
        let Some(branch) = context.branches.get_mut(usize::from(name.branch)) else {
            return;
        };
        //= RFC 3261 §16.7(5): 100 stays here, other provisional responses go upstream until a final one has
        if status == 100 || branch.abandoned || context.final_sent.is_some() {
            return;
        }
        let initial_invite = context.kind == Kind::Invite && matches!(context.role, Role::Initial);
        let attempt = branch.attempt;
        if branch.timer_c.is_some() {
            //= RFC 3261 §16.7(2): every provisional response from 101 on begins Timer C anew
            let timer_c = self.wheel.insert(
                now.mono_us,
                now.mono_us + self.config.policy.timer_c_us,
                CoreTimer::TimerC(name),
            );
            if let Some(old) = branch.timer_c.replace(timer_c) {
                self.wheel.cancel(old);
            }
        }
        if initial_invite {
            if branch.ring.is_none() && branch.timer_c.is_some() {
                let due_us = now.mono_us + self.config.policy.ring_timeout_us;
                branch.ring = Some(
                    self.wheel
                        .insert(now.mono_us, due_us, CoreTimer::Ring(name)),
                );
            }
            if crate::early_media::is_heard(response) {
                context.ringing = true;
                if let Some(call) = context.call.and_then(|id| self.calls.at_mut(id)) {
                    call.note_ringing(attempt, now);
                }
            }
            self.learn_dialog(now, name, response, DialogState::Early);
        }
        //= RFC 3262 §3: a reliable provisional that comes again is passed on again; its PRACK stops it, and no proxy
        let bytes = self.without_via(response);
        self.send_upstream(now, name.context, status, &bytes, out);
        self.recycle(bytes);
    }

    /// A response within a dialog whose turn has come.
    pub(crate) fn resume_response(
        &mut self,
        now: Now,
        name: BranchRef,
        bytes: &[u8],
        out: &mut Output,
    ) {
        let mut table = HeaderTable::default();
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.held = false;
        }
        if let Ok(response) = parse_datagram(bytes, &mut table) {
            self.on_branch_response(now, name, &response, out);
        }
    }

    /// Stops the timers of a branch whose final response has come, or never will.
    pub(crate) fn finish_branch(&mut self, name: BranchRef) {
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        branch.state = BranchState::Done;
        let timers = [
            branch.no_1xx.take(),
            branch.ring.take(),
            branch.timer_c.take(),
            branch.cancel_wait.take(),
        ];
        for timer in timers.into_iter().flatten() {
            self.wheel.cancel(timer);
        }
    }

    /// A branch of an initial request has failed: by a final response, or by what stands for one.
    pub(crate) fn on_branch_failed(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        cause: Cause,
        bytes: Option<Vec<u8>>,
        out: &mut Output,
    ) {
        let Some(branch) = self.contexts.branch(name) else {
            return;
        };
        let (abandoned, given_up, attempt) = (branch.abandoned, branch.given_up, branch.attempt);
        self.finish_branch(name);
        let Some(context) = self.contexts.at_mut(name.context) else {
            return;
        };
        let cancelled = context.cancelled;
        // A branch that we gave up ends for our reason, whatever it says to the CANCEL.
        let (status, cause, bytes) = match given_up {
            Some(cause) => (408, cause, None),
            None => (status, cause, bytes),
        };
        let call = context.call;
        let heard = bytes.is_some().then_some(status);
        if let Some(call) = call.and_then(|id| self.calls.at_mut(id)) {
            let cause = if cancelled && given_up.is_none() && status == 487 {
                Cause::Cancelled
            } else {
                cause
            };
            let channel = call.close_attempt(attempt, signed(now.mono_us), heard, cause);
            self.give_channel(channel);
        }
        let open = self
            .contexts
            .at(name.context)
            .is_some_and(ResponseContext::is_open);
        if open && (abandoned || cancelled) {
            // Its end moves the hunt only by the Max-Breadth that it gives back.
            self.start_targets(now, name.context, out);
        } else if open {
            let failure = Best {
                status,
                cause,
                bytes: bytes.unwrap_or_default(),
            };
            self.after_failure(now, name, failure, out);
        }
        if let Some(id) = call {
            self.settle_call(now, id, out);
        }
    }

    /// Ends a request with a response of our own.
    pub(crate) fn finish_here(
        &mut self,
        now: Now,
        name: ContextRef,
        status: u16,
        cause: Cause,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context.final_sent.is_some() {
            return;
        }
        context.final_sent = Some(status);
        self.answer_here(now, name, status, out);
        self.finish(now, name, status, cause, out);
    }

    /// Ends a request with a response from downstream.
    pub(crate) fn finish_with(&mut self, now: Now, name: ContextRef, best: Best, out: &mut Output) {
        self.note_best_reason(name, &best.bytes);
        self.send_upstream(now, name, best.status, &best.bytes, out);
        if let Some(context) = self.contexts.at_mut(name) {
            context.final_sent = Some(best.status);
        }
        self.recycle(best.bytes);
        self.finish(now, name, best.status, best.cause, out);
    }

    /// The accounting of a final response that went upstream.
    fn finish(&mut self, now: Now, name: ContextRef, status: u16, cause: Cause, out: &mut Output) {
        if cause != Cause::Answered {
            self.stats.refuse(cause);
        }
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        context.stage = Stage::Forwarded;
        if !context.is_pending() {
            let request = mem::take(&mut context.request);
            context.hunt = None;
            self.recycle(request);
        }
        let Some(id) = self.contexts.at(name).and_then(|context| context.call) else {
            return self.release_context(name);
        };
        if let Some(call) = self.calls.at_mut(id) {
            call.cdr.status = status;
            call.cdr.cause = cause;
            call.cdr.end_us = Some(call.wall(signed(now.mono_us)));
            if status < 700 && call.cdr.ended_by.is_none() {
                let by_us = matches!(
                    cause,
                    Cause::NoRoute
                        | Cause::NoRate
                        | Cause::NoVendor
                        | Cause::VendorLimit
                        | Cause::QueueFull
                        | Cause::LookupRefused
                        | Cause::LookupFailed
                        | Cause::LookupTimeout
                        | Cause::TimeoutNo1xx
                        | Cause::TimeoutRing
                        | Cause::TimeoutB
                        | Cause::TimerC
                        | Cause::DnsFailed
                        | Cause::Unreachable
                        | Cause::Overload
                );
                call.cdr.ended_by = Some(if by_us {
                    EndedBy::Proxy
                } else {
                    EndedBy::Callee
                });
            }
            // The customer's call is over; a vendor given up on may still hold a channel of its own.
            let channel = call.channel.take();
            self.give_channel(channel);
        }
        self.settle_call(now, id, out);
    }

    /// A response through the server transaction of a context.
    pub(crate) fn send_upstream(
        &mut self,
        now: Now,
        name: ContextRef,
        status: u16,
        bytes: &[u8],
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        let server = context.server;
        if !self.may_go_upstream(now, name, status) {
            return;
        }
        if !self
            .transactions
            .respond(now.mono_us, server, status, bytes, &mut out.outbox)
        {
            self.stats.count(Stat::ResponsesTooLate);
        }
    }
}

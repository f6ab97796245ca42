//! Response processing, RFC 3261 §16.7, time-outs §16.8 and transport errors §16.9.
//!
//! Upstream hears one final response for each INVITE, or 2xx only. A vendor's 401, 407 and 3xx are failed attempts
//! that the customer never sees. RFC 4320 §4.2: a non-INVITE that times out is not answered 408.

use crate::{
    calls::{Dialog, DialogState, HELD_MAX, Held, Leg, signed},
    config::Durability,
    context::{Best, BranchRef, BranchState, ContextRef, Kind, Role, Stage},
    core::ProxyCore,
    output::{JobKind, Now, Output},
    stats::Stat,
    timers::CoreTimer,
};
use accounting::{AnsweredCall, Cause, EndedBy, Record};
use sip_parser::{ContactValue, HeaderTable, Message, parse_datagram, write_message};
use std::mem;
use uuid::Uuid;

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
        let call = context.call;
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
                if let Some(call) = call.and_then(|id| self.calls.at_mut(id)) {
                    call.note_reason(response);
                }
                let bytes = self.without_via(response);
                self.on_branch_failed(now, name, status, cause, Some(bytes), out);
            }
            status => self.on_dialog_final(now, name, status, response, out),
        }
    }

    /// A response as it goes upstream: without the Via that was ours (§16.7(3)).
    pub(crate) fn without_via(&mut self, response: &Message<'_>) -> Vec<u8> {
        let mut bytes = self.buffer();
        self.edits.clear();
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
        // §16.7(5): 100 stays here; whatever comes after the end is of no use upstream.
        if status == 100 || branch.abandoned || context.final_sent.is_some() {
            return;
        }
        let initial_invite = context.kind == Kind::Invite && matches!(context.role, Role::Initial);
        let attempt = branch.attempt;
        if branch.timer_c.is_some() {
            // §16.7(2): progress; Timer C begins anew.
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
            if (180..190).contains(&status) {
                context.ringing = true;
                if let Some(call) = context.call.and_then(|id| self.calls.at_mut(id)) {
                    call.note_ringing(attempt, now);
                }
            }
            self.learn_dialog(name, response, DialogState::Early);
        }
        let bytes = self.without_via(response);
        self.send_upstream(now, name.context, status, &bytes, out);
        self.recycle(bytes);
    }

    /// A 2xx to an initial INVITE: the call is answered, and nothing keeps it from going upstream (§16.7(5)).
    fn on_answer(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        response: &Message<'_>,
        out: &mut Output,
    ) {
        let tag = response.to_tag().unwrap_or_default();
        let Some(context) = self.contexts.at_mut(name.context) else {
            return;
        };
        let Some(id) = context.call else { return };
        if self.calls.at(id).is_none_or(|call| !call.has_room_for(tag)) {
            // Its call is closed, or follows no more dialogs: forwarded, it would be a conversation without a record.
            // The callee gives up when no ACK comes (§13.3.1.4).
            return self.stats.count(Stat::ResponsesTooLate);
        }
        let gate = self.calls.at(id).is_some_and(|call| call.gate.is_some());
        let repeated = self.calls.at(id).is_some_and(|call| {
            call.dialogs
                .iter()
                .any(|dialog| dialog.state != DialogState::Early && dialog.callee.tag == tag)
        });
        if repeated {
            if !gate {
                let bytes = self.without_via(response);
                self.send_answer(now, name, status, &bytes, out);
                self.recycle(bytes);
            }
            return;
        }
        let late = context.final_sent.is_some_and(|status| status >= 300);
        let first = !context.won && !late;
        context.won |= !late;
        if late {
            self.stats.count(Stat::LateAnswers);
        } else if !first {
            self.stats.count(Stat::ExtraAnswers);
        }
        self.finish_branch(name);
        self.learn_dialog(name, response, DialogState::Up);
        self.note_answer(now, name, id, first, response);
        if first {
            self.stats.count(Stat::CallsAnswered);
            self.cancel_branches(now, name.context, Some(name.branch), out);
        }
        if let Some(call) = self.calls.at_mut(id) {
            if call.max_timer.is_none() {
                let due_us = now.mono_us + self.config.policy.max_call_us;
                call.max_timer = Some(self.wheel.insert(
                    now.mono_us,
                    due_us,
                    CoreTimer::MaxCall(id),
                ));
            }
            if let Some(answered) = Self::answered_call(call, tag, self.config.policy.max_call_us) {
                out.records.push(Record::Answered(Box::new(answered)));
            }
        }
        let bytes = self.without_via(response);
        if self.config.policy.durability == Durability::Strict {
            // The record must be on disk before the caller learns of the answer.
            let patience_us = self.config.policy.commit_deadline_us;
            self.park_call(
                now,
                id,
                Held::Answer {
                    branch: name,
                    bytes,
                    status,
                },
                JobKind::Commit,
                patience_us,
                out,
            );
        } else if gate
            && self
                .calls
                .at(id)
                .is_some_and(|call| call.held.len() < HELD_MAX)
        {
            let answer = Held::Answer {
                branch: name,
                bytes,
                status,
            };
            self.hold(id, answer);
        } else {
            self.send_answer(now, name, status, &bytes, out);
            self.recycle(bytes);
        }
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
        if let Ok(response) = parse_datagram(bytes, &mut table) {
            self.on_branch_response(now, name, &response, out);
        }
    }

    /// Sends a 2xx to an INVITE upstream, through its server transaction or past it.
    pub(crate) fn send_answer(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        bytes: &[u8],
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name.context) else {
            return;
        };
        if context.final_sent.is_none() {
            context.final_sent = Some(status);
        }
        let (server, reply) = (context.server, context.reply);
        if !self
            .transactions
            .respond(now.mono_us, server, status, bytes, &mut out.outbox)
        {
            // §16.7(5): a 2xx goes upstream even after another final response, or when the transaction is gone.
            out.outbox.push(&reply, bytes);
        }
    }

    /// Answer times of the attempt and, for the first, of the call.
    fn note_answer(
        &mut self,
        now: Now,
        name: BranchRef,
        id: Uuid,
        first: bool,
        response: &Message<'_>,
    ) {
        let Some(attempt) = self.contexts.branch(name).map(|branch| branch.attempt) else {
            return;
        };
        let at = signed(now.mono_us);
        let Some(call) = self.calls.at_mut(id) else {
            return;
        };
        let wall = call.wall(at);
        if let Some(state) = call.attempt_mut(attempt)
            && state.answered_us.is_none()
        {
            state.answered_us = Some(at);
            state.record.answer_us = Some(wall);
            state.record.status = response.status();
            state.record.cause = Cause::Answered;
        }
        if first {
            call.cdr.answer_us = Some(wall);
            call.answered_attempt = Some(attempt);
            call.cdr.status = response.status();
            call.cdr.cause = Cause::Answered;
            call.cdr.ended_by = None;
            // A CANCEL that lost left its Reason; the call goes on.
            (call.cdr.reason, call.cdr.q850_cause) = (None, None);
            call.cdr.to_tag = response.to_tag().map(crate::cdr::text);
            let pdd = u64::try_from(at - call.setup_us).ok();
            call.cdr.pdd_us = call.cdr.pdd_us.or(pdd);
        }
    }

    /// Notes or renews the dialog that a response speaks of (RFC 3261 §12.1).
    fn learn_dialog(&mut self, name: BranchRef, response: &Message<'_>, state: DialogState) {
        // RFC 3261 §12.1.2: a response without a tag has a null one.
        let tag = response.to_tag().unwrap_or_default();
        if tag.is_empty() && state == DialogState::Early {
            return;
        }
        let Some(branch) = self.contexts.branch(name) else {
            return;
        };
        let (attempt, flow) = (branch.attempt, branch.flow);
        let Some(id) = self
            .contexts
            .at(name.context)
            .and_then(|context| context.call)
        else {
            return;
        };
        let contact = response.contacts().find_map(|contact| match contact {
            Ok(ContactValue::Address(address)) => Some(address.uri.to_vec()),
            _ => None,
        });
        // A spiral has been here more than once: what another pass recorded is not ours (§16.6(4) asks for no more than
        // a URI that we know again).
        let is_ours = |uri: &[u8]| {
            self.own.is_uri(uri)
                && self
                    .cookie_in(uri, response)
                    .is_none_or(|(cookie, _)| cookie.cdr_id == id)
        };
        // Routes that stand above ours were added between us and the callee; toward it they run backwards (§12.1.2).
        let mut routes: Vec<Vec<u8>> = response
            .record_routes()
            .map_while(|route| route.ok().filter(|route| !is_ours(route.uri)))
            .map(|route| route.value.to_vec())
            .collect();
        let has_ours = response
            .record_routes()
            .flatten()
            .any(|route| is_ours(route.uri));
        if has_ours {
            routes.reverse();
        } else {
            routes.clear();
        }
        let Some(call) = self.calls.at_mut(id) else {
            return;
        };
        let known = call.dialogs.len();
        match call
            .dialogs
            .iter_mut()
            .find(|dialog| dialog.callee.tag == tag)
        {
            Some(dialog) => {
                if let Some(contact) = contact {
                    dialog.callee.target = contact;
                }
                if dialog.state == DialogState::Early {
                    dialog.state = state;
                    dialog.callee.routes = routes;
                }
            }
            None if known < crate::calls::DIALOGS_MAX || state == DialogState::Up => call
                .add_dialog(Dialog {
                    state,
                    attempt,
                    caller: call.caller.clone(),
                    callee: Leg {
                        tag: tag.to_vec(),
                        target: contact
                            .unwrap_or_else(|| format!("sip:{}", flow.remote).into_bytes()),
                        routes,
                        cseq: None,
                        local_cseq: 0,
                        flow,
                    },
                    restored: false,
                }),
            None => {}
        }
    }

    /// What the journal must hold of an answered dialog.
    pub(crate) fn answered_call(
        call: &crate::calls::Call,
        tag: &[u8],
        max_call_us: u64,
    ) -> Option<AnsweredCall> {
        let dialog = call
            .dialogs
            .iter()
            .find(|dialog| dialog.callee.tag == tag)?;
        let cdr = call.cdr_so_far();
        let answered = call
            .attempts
            .get(usize::from(dialog.attempt))?
            .record
            .answer_us?;
        Some(AnsweredCall {
            caller: crate::dialog::record_leg(&dialog.caller),
            callee: crate::dialog::record_leg(&dialog.callee),
            attempt: dialog.attempt,
            customer_trunk: call.customer_trunk,
            vendor_trunk: call.attempts.get(usize::from(dialog.attempt))?.vendor_trunk,
            call_from_uri: crate::cdr::text(&call.from_uri),
            call_to_uri: crate::cdr::text(&call.to_uri),
            max_end_us: answered.saturating_add(i64::try_from(max_call_us).unwrap_or(i64::MAX)),
            cdr,
        })
    }

    /// Stops the timers of a branch whose final response has come, or never will.
    fn finish_branch(&mut self, name: BranchRef) {
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
        if !abandoned && context_is_open(self.contexts.at(name.context)) {
            self.consider(name.context, status, cause, bytes);
            self.continue_hunt(now, name.context, status, out);
        }
        if let Some(id) = call {
            self.settle_call(now, id, out);
        }
    }

    /// Keeps the best final response (§16.7(6)).
    fn consider(&mut self, name: ContextRef, status: u16, cause: Cause, bytes: Option<Vec<u8>>) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        // What a vendor asks of us is not for the customer: a failed attempt, and no response to choose.
        if matches!(cause, Cause::VendorAuth | Cause::VendorRedirect) {
            if let Some(hunt) = &mut context.hunt {
                hunt.passed_over.get_or_insert(cause);
            }
            return;
        }
        // Of equals, what a vendor said tells the caller more than what stands for its silence.
        let better = context.best.as_ref().is_none_or(|best| {
            (rank(status), bytes.is_none()) < (rank(best.status), best.bytes.is_empty())
        });
        if better {
            context.best = Some(Best {
                status,
                cause,
                bytes: bytes.unwrap_or_default(),
            });
        }
    }

    /// After a failed branch: the next target, or the end.
    fn continue_hunt(&mut self, now: Now, name: ContextRef, status: u16, out: &mut Output) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context.cancelled {
            return self.finish_cancelled(now, name, out);
        }
        if context
            .branches
            .iter()
            .any(|branch| branch.state != BranchState::Done && !branch.abandoned)
        {
            return;
        }
        let policy = &self.config.policy;
        if policy.failover.tries_next(status) && (!context.ringing || policy.hunt_after_ringing) {
            context.stage = Stage::Forward;
            self.advance(now, name, out);
        } else {
            self.finish_hunt(now, name, out);
        }
    }

    /// No target is left, or none may be tried: the best response goes upstream.
    pub(crate) fn finish_hunt(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context
            .branches
            .iter()
            .any(|branch| branch.state != BranchState::Done && !branch.abandoned)
        {
            return;
        }
        let passed_over = context.hunt.as_ref().and_then(|hunt| hunt.passed_over);
        match context.best.take() {
            // §16.7(6): a 503 of downstream is not ours to pass on; it would stop all traffic toward us.
            Some(best) if best.status == 503 => {
                let status = self.config.policy.all_503_becomes;
                self.finish_here(now, name, status, best.cause, out);
            }
            Some(best) if best.bytes.is_empty() => {
                self.finish_here(now, name, best.status, best.cause, out)
            }
            Some(best) => self.finish_with(now, name, best, out),
            None => {
                let cause = passed_over.unwrap_or(Cause::NoVendor);
                let auth_or_redirect = matches!(cause, Cause::VendorAuth | Cause::VendorRedirect);
                let status = if auth_or_redirect {
                    self.config.policy.all_503_becomes
                } else {
                    503
                };
                self.finish_here(now, name, status, cause, out);
            }
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
        // RFC 4320 §4.2: nobody upstream can use a 408 to a non-INVITE.
        if context.kind == Kind::Invite || status != 408 {
            self.respond_here(now, name, status, out);
        } else {
            let server = context.server;
            self.transactions.abandon_server(now.mono_us, server);
            context_server_gone(&mut self.contexts, name);
        }
        self.finish(now, name, status, cause, out);
    }

    /// Ends a request with a response from downstream.
    fn finish_with(&mut self, now: Now, name: ContextRef, best: Best, out: &mut Output) {
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
        if !self
            .transactions
            .respond(now.mono_us, server, status, bytes, &mut out.outbox)
        {
            self.stats.count(Stat::ResponsesTooLate);
        }
    }

    /// A client transaction ended without a final response: Timer B or F, as if 408 had come (§16.8), or the next
    /// hop cannot be reached, as if 503 had (§16.9).
    pub(crate) fn on_branch_silent(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        cause: Cause,
        out: &mut Output,
    ) {
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.client = None;
        }
        self.on_silence(now, name, status, cause, out);
        self.release_context(name.context);
    }

    pub(crate) fn on_silence(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        cause: Cause,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at(name.context) else {
            return;
        };
        if self
            .contexts
            .branch(name)
            .is_none_or(|branch| branch.state == BranchState::Done)
        {
            return;
        }
        if matches!(context.role, Role::Initial) {
            self.on_branch_failed(now, name, status, cause, None, out);
        } else {
            self.finish_branch(name);
            self.on_dialog_silence(now, name, status, out);
        }
    }

    /// A client transaction is gone.
    pub(crate) fn on_branch_terminated(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.client = None;
        }
        // A transaction that ended without a final response or time-out would leave its branch open for ever.
        if self
            .contexts
            .branch(name)
            .is_some_and(|branch| branch.state != BranchState::Done)
        {
            self.on_silence(now, name, 408, Cause::TimeoutB, out);
        }
        self.release_context(name.context);
    }

    /// The vendor has said nothing at all for too long: it is given up, and the next one is tried.
    pub(crate) fn on_no_1xx(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        branch.no_1xx = None;
        if branch.state != BranchState::Calling {
            return;
        }
        branch.abandoned = true;
        branch.given_up = Some(Cause::TimeoutNo1xx);
        branch.cancel = crate::context::CancelState::Wanted;
        // It is not asked again; should it speak after all, it hears CANCEL, and a 2xx still counts.
        if let Some(client) = branch.client {
            self.transactions.stop_retransmitting(now.mono_us, client);
        }
        let attempt = branch.attempt;
        let Some(context) = self.contexts.at(name.context) else {
            return;
        };
        if let Some(call) = context.call.and_then(|id| self.calls.at_mut(id))
            && let Some(state) = call.attempt_mut(attempt)
        {
            state.record.cause = Cause::TimeoutNo1xx;
        }
        if context_is_open(self.contexts.at(name.context)) {
            self.consider(name.context, 408, Cause::TimeoutNo1xx, None);
            self.continue_hunt(now, name.context, 408, out);
        }
    }

    /// The vendor has been ringing for too long.
    pub(crate) fn on_ring_timeout(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.ring = None;
        }
        self.give_up(now, name, Cause::TimeoutRing, out);
    }

    /// Timer C, §16.8: CANCEL, or 408 where nothing has been heard.
    pub(crate) fn on_timer_c(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.timer_c = None;
        }
        self.give_up(now, name, Cause::TimerC, out);
    }

    fn give_up(&mut self, now: Now, name: BranchRef, cause: Cause, out: &mut Output) {
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        if branch.state == BranchState::Done {
            return;
        }
        branch.given_up.get_or_insert(cause);
        self.cancel_branch(now, name, out);
    }

    /// Closes a call whose dialogs and branches have all ended: its record goes to the journal.
    pub(crate) fn settle_call(&mut self, now: Now, id: Uuid, out: &mut Output) {
        let Some(call) = self.calls.at(id) else {
            return;
        };
        if call.cdr.status == 0
            || call.has_dialog_up()
            || call.gate.is_some()
            || !call.held.is_empty()
        {
            return;
        }
        // Upstream has had its end: a branch that may still speak costs the customer no channel.
        let channel = self.calls.at_mut(id).and_then(|call| call.channel.take());
        self.give_channel(channel);
        let Some(call) = self.calls.at(id) else {
            return;
        };
        let context = call.context.and_then(|name| self.contexts.at(name));
        if context.is_some_and(|context| {
            context.is_pending() || (context.final_sent.is_none() && !context.won)
        }) {
            return;
        }
        let Some(mut call) = self.calls.remove(id) else {
            return;
        };
        if let Some(timer) = call.max_timer.take() {
            self.wheel.cancel(timer);
        }
        self.give_channel(call.channel.take());
        for at in 0..call.attempts.len() {
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            let cause = call
                .attempts
                .get(usize::from(at))
                .map_or(Cause::Other, |attempt| attempt.record.cause);
            let channel = call.close_attempt(at, signed(now.mono_us), None, cause);
            self.give_channel(channel);
        }
        self.stats.count(Stat::CallsEnded);
        out.records.push(Record::Ended(Box::new(call.cdr_so_far())));
    }
}

/// The server transaction was ended without a word.
fn context_server_gone(contexts: &mut crate::context::Contexts, name: ContextRef) {
    if let Some(context) = contexts.at_mut(name) {
        context.server_alive = false;
    }
}

/// Whether upstream still waits for a final response.
fn context_is_open(context: Option<&crate::context::ResponseContext>) -> bool {
    context.is_some_and(|context| context.final_sent.is_none() && !context.won)
}

/// The order of §16.7(6): 6xx first, else the lowest class; within 4xx what tells the caller most, within 5xx 503 last.
fn rank(status: u16) -> u32 {
    let class = u32::from(status / 100);
    let within = match status {
        401 | 407 | 415 | 420 | 484 => 0,
        503 => 2,
        _ => 1,
    };
    if class == 6 { 0 } else { class * 10 + within }
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn the_best_response_is_chosen_as_16_7_6_says() {
        let mut statuses = [503, 404, 500, 486, 603, 408, 415, 302];
        statuses.sort_by_key(|status| rank(*status));
        assert_eq!(statuses, [603, 302, 415, 404, 486, 408, 500, 503]);
    }
}

//! A 2xx to an INVITE: the dialog it makes, the answer it is, and its way upstream (RFC 3261 §16.7(5), RFC 6026).
//!
//! Nothing keeps it from going upstream but the commit of its record, where that is asked for, and a call whose
//! record is closed.

use crate::{
    calls::{Dialog, DialogState, HELD_MAX, Held, Leg, signed},
    config::Durability,
    context::BranchRef,
    core::ProxyCore,
    output::{JobKind, Notice, Now, Output},
    stats::Stat,
    timers::CoreTimer,
};
use accounting::{AnsweredCall, Cause, Record};
use sip_parser::{ContactValue, Message};
use uuid::Uuid;

/// The Reason of a CANCEL to those who were not the first to answer (RFC 3326 §3.1).
const ANSWERED_ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";

impl ProxyCore {
    /// A 2xx to an initial INVITE: the call is answered, and nothing keeps it from going upstream (§16.7(5)).
    //= RFC 3261 §16.7(5): a 2xx to an INVITE goes upstream at once, also a second one of another branch
    pub(crate) fn on_answer(
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
        if self
            .calls
            .at(id)
            .is_none_or(|call| !call.has_room_for(tag, DialogState::Up))
        {
            //= departs RFC 3261 §13.3.1.4: a 2xx of a call whose record is closed is dropped, and its callee gives up without an ACK;
            //=   because forwarded, it would be a conversation without a record
            // Its call is closed, or follows no more dialogs: forwarded, it would be a conversation without a record.
            // The callee gives up when no ACK comes (§13.3.1.4).
            return self.stats.count(Stat::ResponsesTooLate);
        }
        let gate = self.calls.at(id).is_some_and(|call| call.gate.is_some());
        let known = self.calls.at(id).and_then(|call| {
            let mut dialogs = call.dialogs.iter();
            dialogs
                .find(|dialog| dialog.state != DialogState::Early && dialog.callee.tag == tag)
                .map(|dialog| dialog.attempt)
        });
        let attempt = context.branches.get(usize::from(name.branch));
        let attempt = attempt.map_or(0, |branch| branch.attempt);
        if known.is_some_and(|other| other != attempt) {
            return self.on_twin_answer(now, name, id, status, response, out);
        }
        if known.is_some() {
            if !gate {
                let bytes = self.answer_for_upstream(name.context, response);
                self.send_answer(now, name, status, &bytes, out);
                self.recycle(bytes);
            }
            return;
        }
        let late = context.final_sent.is_some_and(|status| status >= 300);
        let first = !context.won && !late;
        // One more endpoint behind a vendor whose bill is running makes no second bill.
        let again = self.calls.at(id).is_some_and(|call| {
            let state = call.attempts.get(usize::from(attempt));
            state.is_some_and(|state| state.answered_us.is_some() && !state.closed)
        });
        if let Some(context) = self.contexts.at_mut(name.context) {
            context.won |= !late;
        }
        if late {
            self.stats.count(Stat::LateAnswers);
        } else if !first {
            self.stats.count(if again {
                Stat::ForkedAnswers
            } else {
                Stat::ExtraAnswers
            });
        }
        if !first && !again {
            self.warn_of_answer(id, attempt, late, out);
        }
        self.finish_branch(name);
        self.learn_dialog(now, name, response, DialogState::Up);
        self.note_answer(now, name, id, first, response);
        self.take_channels_again(id, attempt);
        if !first {
            self.await_ack(now, id);
        }
        self.begin_session(now, name.context, id, response);
        if first {
            self.stats.count(Stat::CallsAnswered);
            //= RFC 3261 §16.7(10): the first 2xx cancels every other branch
            //= RFC 3326 §3.1: the CANCEL says that the call was answered elsewhere
            let others = self
                .contexts
                .at_mut(name.context)
                .filter(|context| context.branches.len() > 1);
            if let Some(context) = others {
                context.cancel_reason = Some(ANSWERED_ELSEWHERE.to_vec());
                self.cancel_branches(now, name.context, Some(name.branch), out);
            }
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
        let bytes = self.answer_for_upstream(name.context, response);
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

    /// Two vendors reached one endpoint, which answered both with the same tag: one dialog, and two who bill it.
    ///
    /// The second attempt lasts as long as that dialog; it has none of its own that a BYE could name.
    fn on_twin_answer(
        &mut self,
        now: Now,
        name: BranchRef,
        id: Uuid,
        status: u16,
        response: &Message<'_>,
        out: &mut Output,
    ) {
        let branch = self.contexts.branch(name);
        if let Some(branch) = branch.filter(|branch| branch.is_pending()) {
            let attempt = branch.attempt;
            self.stats.count(Stat::ExtraAnswers);
            self.warn_of_answer(id, attempt, false, out);
            self.finish_branch(name);
            self.note_answer(now, name, id, false, response);
            self.take_channels_again(id, attempt);
            let tag = response.to_tag().unwrap_or_default();
            if let Some(call) = self.calls.at_mut(id) {
                let mut dialogs = call.dialogs.iter_mut();
                if let Some(dialog) = dialogs.find(|dialog| dialog.callee.tag == tag) {
                    dialog.twins.push(attempt);
                }
                let max_call_us = self.config.policy.max_call_us;
                let mut dialogs = call.dialogs.iter();
                let answered = dialogs
                    .find(|dialog| dialog.callee.tag == tag && dialog.state == DialogState::Up)
                    .and_then(|dialog| Self::answered_attempt(call, dialog, attempt, max_call_us));
                let record = answered.map(|call| Record::Answered(Box::new(call)));
                out.records.extend(record);
            }
        }
        if self.calls.at(id).is_some_and(|call| call.gate.is_none()) {
            let bytes = self.answer_for_upstream(name.context, response);
            self.send_answer(now, name, status, &bytes, out);
            self.recycle(bytes);
        }
    }

    /// An answer that bills although another one, or a refusal, has gone upstream before.
    fn warn_of_answer(&self, id: Uuid, attempt: u16, late: bool, out: &mut Output) {
        let Some(call) = self.calls.at(id) else {
            return;
        };
        let vendor = call.attempts.get(usize::from(attempt));
        out.notices.push(Notice::FurtherAnswer {
            cdr_id: id,
            call_id: call.cdr.call_id.clone(),
            vendor: vendor.map_or_else(String::new, |attempt| attempt.record.vendor.clone()),
            late,
        });
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
            //= RFC 3261 §16.7(5): a 2xx goes upstream even after another final response, or when the transaction is gone
            out.outbox.push(&reply, bytes);
        }
    }

    /// Answer times of the attempt and, for the first, of the call.
    pub(crate) fn note_answer(
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
    pub(crate) fn learn_dialog(
        &mut self,
        now: Now,
        name: BranchRef,
        response: &Message<'_>,
        state: DialogState,
    ) {
        //= RFC 3261 §12.1.2: a response without a tag makes a dialog with a null one
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
        let has_room = call.has_room_for(tag, state);
        let up_us = signed(now.mono_us);
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
                    dialog.up_us = up_us;
                    dialog.callee.routes = routes;
                    if state == DialogState::Up {
                        // Another branch may have rung for the same endpoint: this one bills, and its vendor speaks.
                        dialog.attempt = attempt;
                        dialog.callee.flow = flow;
                    }
                }
            }
            None if has_room => call.dialogs.push(Dialog {
                state,
                attempt,
                twins: Vec::new(),
                up_us,
                taken: false,
                ended: None,
                caller: call.caller.clone(),
                callee: Leg {
                    tag: tag.to_vec(),
                    target: contact.unwrap_or_else(|| format!("sip:{}", flow.remote).into_bytes()),
                    routes,
                    cseq: None,
                    local_cseq: 0,
                    flow,
                },
                restored: false,
                session: None,
                lapsed: false,
                deciding: smallvec::SmallVec::new(),
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
        Self::answered_attempt(call, dialog, dialog.attempt, max_call_us)
    }

    /// The same of an attempt that this dialog answered, its own or a twin.
    pub(crate) fn answered_attempt(
        call: &crate::calls::Call,
        dialog: &Dialog,
        attempt: u16,
        max_call_us: u64,
    ) -> Option<AnsweredCall> {
        let cdr = call.cdr_so_far();
        let state = call.attempts.get(usize::from(attempt))?;
        let answered = state.record.answer_us?;
        Some(AnsweredCall {
            caller: crate::dialog::record_leg(&dialog.caller),
            callee: crate::dialog::record_leg(&dialog.callee),
            attempt,
            customer_trunk: call.customer_trunk,
            vendor_trunk: state.vendor_trunk,
            call_from_uri: crate::cdr::text(&call.from_uri),
            call_to_uri: crate::cdr::text(&call.to_uri),
            max_end_us: answered.saturating_add(i64::try_from(max_call_us).unwrap_or(i64::MAX)),
            session_end: call.session_end(dialog),
            cdr,
        })
    }
}

//! Requests within a dialog: whose they are, whether they may pass, and what they change.
//!
//! A known call decides: tags must match, the source must be one of its two trunks, CSeq must rise, and the request
//! goes to the stored route set or remote target, wherever the message itself would lead. A valid cookie without a
//! call authorises forwarding and nothing else. All else is 481, and an unknown ACK is dropped.

use crate::{
    calls::{DialogState, Held, Leg},
    config::{Durability, UnknownDialog},
    context::{BranchRef, BranchState, ContextRef, Kind, Role},
    cookie::Side,
    core::ProxyCore,
    fork::NewBranch,
    output::{JobKind, Now, Output},
    park::Parked,
    passing::Way,
    reply::Reject,
    standing::{Standing, is_refresh},
    stats::Stat,
};
use accounting::{Cause, Record, Updated};
use sip_parser::{ContactValue, Message, Method, parse_datagram};
use std::{iter, mem};
use transaction_layer::{Flow, Transport};
use uuid::Uuid;

/// The record's form of a leg.
pub(crate) fn record_leg(leg: &Leg) -> accounting::Leg {
    accounting::Leg {
        tag: crate::cdr::text(&leg.tag),
        remote_target: crate::cdr::text(&leg.target),
        route_set: leg
            .routes
            .iter()
            .map(|route| crate::cdr::text(route))
            .collect(),
        cseq: leg.cseq.unwrap_or(0),
        local_cseq: leg.local_cseq,
        flow_remote: leg.flow.remote,
        flow_listener: leg.flow.listener,
        flow_transport: match leg.flow.transport {
            Transport::Udp => 0,
            Transport::Tcp => 1,
            Transport::Tls => 2,
        },
    }
}

impl ProxyCore {
    /// A request with a To-tag, or of a method that means nothing without a dialog.
    pub(crate) fn on_dialog_request(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        out: &mut Output,
    ) {
        match self.standing(now, request, flow) {
            Standing::Known(id, dialog, side, true) => {
                self.on_known_dialog(now, request, flow, (id, dialog, side), out);
            }
            Standing::Known(_, _, _, false) => {
                self.refuse(
                    now,
                    request,
                    flow,
                    &Reject::new(403, Cause::ForbiddenSource),
                    None,
                    out,
                );
            }
            Standing::Cookie(cookie, side) => {
                // Without the call nothing vouches for where an INVITE leads: it may not begin anything new.
                let way = self.way(now, &(cookie, side), flow.remote.ip(), None, 0);
                if request.method() != Method::Invite && !matches!(way, Way::Barred(_)) {
                    self.open_passing(now, request, flow, Some((cookie, side)), out);
                } else {
                    self.refuse(
                        now,
                        request,
                        flow,
                        &Reject::new(403, Cause::ForbiddenSource),
                        None,
                        out,
                    );
                }
            }
            Standing::Unknown if self.config.policy.unknown_dialog == UnknownDialog::Forward => {
                self.open_passing(now, request, flow, None, out);
            }
            Standing::Unknown => {
                self.refuse(
                    now,
                    request,
                    flow,
                    &Reject::new(481, Cause::UnknownDialog),
                    None,
                    out,
                );
            }
        }
    }

    fn on_known_dialog(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        (id, dialog, side): (Uuid, u8, Side),
        out: &mut Output,
    ) {
        let Some(call) = self.calls.at(id) else {
            return;
        };
        if call.dialogs.get(usize::from(dialog)).is_none_or(|dialog| {
            let passes = dialog.lapsed && !is_refresh(request);
            dialog.state == DialogState::Ended && !passes
        }) {
            return self.refuse(
                now,
                request,
                flow,
                &Reject::new(481, Cause::UnknownDialog),
                None,
                out,
            );
        }
        let number = request.cseq().number;
        // Its transaction died with the process before: a BYE that comes again must find its way.
        let may_come_again = call
            .dialogs
            .get(usize::from(dialog))
            .is_some_and(|dialog| dialog.restored);
        let out_of_order = call
            .leg(dialog, side)
            .and_then(|leg| leg.cseq)
            .is_some_and(|highest| number < highest || number == highest && !may_come_again);
        let Some(context) = self.open_context(
            now,
            request,
            flow,
            Role::InDialog { dialog, from: side },
            out,
        ) else {
            self.stats.count(Stat::TablesFull);
            return self.refuse(
                now,
                request,
                flow,
                &Reject::new(503, Cause::Overload),
                None,
                out,
            );
        };
        if let Some(context) = self.contexts.at_mut(context) {
            context.call = Some(id);
        }
        if out_of_order {
            //= departs RFC 3261 §12.2.2: a request whose CSeq does not rise is answered 500 by the proxy, not by the UAS;
            //=   because it may not reach the far side with the meter stopped
            // RFC 3261 §12.2.2: a CSeq that does not rise is answered 500; through the transaction, because the ACK of
            // an INVITE's refusal must end here.
            self.stats.refuse(Cause::CseqOrder);
            return self.finish_in_dialog_here(now, context, 500, out);
        }
        //= RFC 3261 §12.2.2: a CSeq that rises passes, by one or by more, and the next must be above it
        if let Some(call) = self.calls.at_mut(id)
            && let Some(leg) = call.leg_mut(dialog, side)
        {
            leg.cseq = Some(number);
        }
        match self.session_ask(request) {
            Ok(session) => {
                if let Some(context) = self.contexts.at_mut(context) {
                    context.session = session;
                }
            }
            Err(reject) => {
                self.stats.refuse(reject.cause);
                return self.refuse_in_dialog(now, context, &reject, out);
            }
        }
        if is_refresh(request) || request.method() == Method::Bye {
            self.note_deciding(id, dialog, context);
        }
        if self.calls.at(id).is_some_and(|call| call.gate.is_some()) {
            if !self.hold(id, Held::Request(context)) {
                self.finish_in_dialog_here(now, context, 503, out);
            }
            return;
        }
        self.forward_in_dialog(now, context, out);
    }

    /// Sends a request on to the other side of its dialog; it waits if that side's name must be resolved.
    pub(crate) fn forward_in_dialog(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        let Some(context) = self.contexts.at(name) else {
            return;
        };
        let Role::InDialog { dialog, from } = context.role else {
            return;
        };
        if context.final_sent.is_some() {
            return;
        }
        let id = context.call.unwrap_or_default();
        if self.calls.at(id).is_none() {
            return self.finish_in_dialog_here(now, name, 481, out);
        }
        if context.cancelled {
            return self.finish_in_dialog_here(now, name, 487, out);
        }
        //= RFC 3262 §4: a PRACK goes to the callee of the dialog that its tags name, early ones too
        let Some(hop) = self.hop_toward(now, id, dialog, from.other()) else {
            return;
        };
        match hop {
            Ok(flow) => {
                self.send_branch(now, name, NewBranch::alone(flow), out);
            }
            Err(Some(kind)) => {
                let patience_us = self.config.policy.resolve_deadline_us;
                self.park_call(now, id, Held::Request(name), kind, patience_us, out);
            }
            Err(None) => self.on_dialog_silence_of(now, name, 503, out),
        }
    }

    /// The final response to a request within a dialog.
    pub(crate) fn on_dialog_final(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        response: &Message<'_>,
        out: &mut Output,
    ) {
        let bytes = self.answer_for_upstream(name.context, response);
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.state = BranchState::Done;
            for timer in [branch.timer_c.take(), branch.cancel_wait.take()]
                .into_iter()
                .flatten()
            {
                self.wheel.cancel(timer);
            }
        }
        let Some(context) = self.contexts.at_mut(name.context) else {
            return;
        };
        if context.final_sent.is_some() {
            // A 2xx again (RFC 6026): upstream hears it again.
            if (200..300).contains(&status) && context.kind == Kind::Invite {
                self.send_answer(now, name, status, &bytes, out);
            }
            return self.recycle(bytes);
        }
        //= RFC 3311 §5.2: the refusals of an UPDATE (491, 500 with Retry-After, 504) pass as they are, and move nothing
        context.final_sent = Some(status);
        if context.kind != Kind::Bye {
            self.refresh_targets(now, name.context, status, response, out);
        }
        let closed = self.on_bye_outcome(now, name.context, Some(status), out);
        if closed && self.config.policy.durability == Durability::Strict {
            let parked = Parked::Final {
                context: name.context,
                bytes,
                status,
            };
            let job = self.park(
                now,
                parked,
                JobKind::Commit,
                self.config.policy.commit_deadline_us,
                out,
            );
            if let Some(context) = self.contexts.at_mut(name.context) {
                context.parked = Some(job);
            }
            return;
        }
        self.send_upstream(now, name.context, status, &bytes, out);
        self.recycle(bytes);
        self.drop_request(name.context);
    }

    /// A request that has had its final response will not be sent again.
    pub(crate) fn drop_request(&mut self, name: ContextRef) {
        if self
            .contexts
            .at(name)
            .is_some_and(|context| context.final_sent != Some(408))
        {
            self.unwatch(name);
        }
        if let Some(context) = self.contexts.at_mut(name) {
            let request = mem::take(&mut context.request);
            self.recycle(request);
        }
    }

    /// Nobody answered a request within a dialog.
    pub(crate) fn on_dialog_silence(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        out: &mut Output,
    ) {
        self.on_dialog_silence_of(now, name.context, status, out);
    }

    fn on_dialog_silence_of(&mut self, now: Now, name: ContextRef, status: u16, out: &mut Output) {
        if self
            .contexts
            .at(name)
            .is_none_or(|context| context.final_sent.is_some())
        {
            return;
        }
        self.on_bye_outcome(now, name, None, out);
        //= RFC 3261 §16.9: no way to the next hop counts as its 503, which upstream hears as 500
        let status = if status == 503 { 500 } else { status };
        self.finish_in_dialog_here(now, name, status, out);
    }

    /// Ends a request within a dialog with a response of our own; it changes nothing about the call.
    pub(crate) fn finish_in_dialog_here(
        &mut self,
        now: Now,
        name: ContextRef,
        status: u16,
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
        self.drop_request(name);
        self.release_context(name);
    }

    /// The 2xx of a re-INVITE or UPDATE renews both remote targets (RFC 3261 §12.2, RFC 3311 §5.1).
    ///
    /// Whatever the answer, the CSeq has moved, and the journal learns of it.
    //= RFC 3261 §12.2: the 2xx of a re-INVITE renews both remote targets
    //= RFC 3311 §5.1: the 2xx of an UPDATE renews both remote targets
    fn refresh_targets(
        &mut self,
        now: Now,
        name: ContextRef,
        status: u16,
        response: &Message<'_>,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at(name) else {
            return;
        };
        let Role::InDialog { dialog, from } = context.role else {
            return;
        };
        let Some(call) = context.call.and_then(|id| self.calls.at_mut(id)) else {
            return;
        };
        let refreshes = matches!(context.kind, Kind::Invite | Kind::Update);
        if refreshes && (200..300).contains(&status) {
            let mut table = mem::take(&mut self.inner_table);
            if let Ok(request) = parse_datagram(&context.request, &mut table) {
                set_target(call.leg_mut(dialog, from), &request);
            }
            self.inner_table = table;
            set_target(call.leg_mut(dialog, from.other()), response);
            let id = call.cdr.cdr_id;
            self.renew_session(now, name, (id, dialog), response);
        }
        let call = self.contexts.at(name).and_then(|context| context.call);
        let Some(call) = call.and_then(|id| self.calls.at(id)) else {
            return;
        };
        let Some(state) = call
            .dialogs
            .get(usize::from(dialog))
            .filter(|dialog| dialog.state == DialogState::Up)
        else {
            return;
        };
        for attempt in iter::once(&state.attempt).chain(&state.twins) {
            out.records.push(Record::Updated(Updated {
                cdr_id: call.cdr.cdr_id,
                attempt: *attempt,
                caller: Some(record_leg(&state.caller)),
                callee: Some(record_leg(&state.callee)),
                session_end: call.session_end(state),
            }));
        }
    }
}

fn set_target(leg: Option<&mut Leg>, message: &Message<'_>) {
    let contact = message.contacts().find_map(|contact| match contact {
        Ok(ContactValue::Address(address)) => Some(address.uri),
        _ => None,
    });
    if let (Some(leg), Some(contact)) = (leg, contact) {
        leg.target.clear();
        leg.target.extend_from_slice(contact);
    }
}

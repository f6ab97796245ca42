//! Calls that the proxy ends or takes up again by itself.
//!
//! A BYE of our own is built from the dialog state of both legs; RFC 3261 has proxies send none, so this is a
//! documented deviation. After a restart, the journal's answered calls are taken up with their limits.

use crate::{
    calls::{AttemptState, Call, Dialog, DialogState, Leg, signed},
    context::NOBODY,
    cookie::Side,
    core::ProxyCore,
    loops::NO_LOOP,
    output::{Now, Output},
    route_set::strict_route,
    stats::Stat,
    timers::CoreTimer,
};
use accounting::{AnsweredCall, Cause, EndedBy};
use routing::TrunkId;
use sip_parser::{Method, RequestParts, write_request};
use smallvec::SmallVec;
use std::collections::VecDeque;
use transaction_layer::{Flow, Transport};
use uuid::Uuid;

/// How far our own CSeq lies above the highest that the journal knows: requests that had no answer when the process
/// died are not in it. CSeq must rise, but may skip (RFC 3261 §12.2.2).
const RESTORED_CSEQ_STEP: u32 = 100;

impl ProxyCore {
    /// A call has lasted as long as calls may: BYE to both sides.
    pub(crate) fn on_max_call(&mut self, now: Now, id: Uuid, out: &mut Output) {
        if let Some(call) = self.calls.at_mut(id) {
            call.max_timer = None;
            if !call.has_dialog_up() {
                // All its dialogs had ended when the process did, but not its last branch: nothing is left to wait for.
                return self.settle_call(now, id, out);
            }
        }
        self.end_call(now, id, Cause::MaxDuration, out);
    }

    /// Ends a call from here: a BYE to both sides of every dialog, and the record closed.
    //= departs RFC 3261 §16.1: a call that has reached its greatest length is ended with a BYE to both sides;
    //=   because a lost BYE must not hold a channel, or bill, for ever
    pub(crate) fn end_call(&mut self, now: Now, id: Uuid, cause: Cause, out: &mut Output) {
        let Some(call) = self.calls.at_mut(id) else {
            return;
        };
        if call.has_customers_dialog_up() {
            call.cdr.cause = cause;
        }
        let up: SmallVec<[u8; 4]> = (0_u8..)
            .zip(&call.dialogs)
            .filter(|(_, dialog)| dialog.state == DialogState::Up)
            .map(|(at, _)| at)
            .collect();
        for dialog in up {
            self.send_own_bye(now, id, dialog, Side::Caller, out);
            self.send_own_bye(now, id, dialog, Side::Callee, out);
            if let Some(call) = self.calls.at_mut(id) {
                let state = call.dialogs.get(usize::from(dialog));
                let attempts: SmallVec<[u16; 2]> = state
                    .into_iter()
                    .flat_map(|state| std::iter::once(state.attempt).chain(state.twins.clone()))
                    .collect();
                for attempt in attempts {
                    if let Some(attempt) = call.attempt_mut(attempt) {
                        attempt.record.cause = cause;
                    }
                }
            }
            self.end_dialog(now, id, dialog, EndedBy::Proxy, signed(now.mono_us), out);
        }
        self.settle_call(now, id, out);
    }

    /// A BYE toward one side, in the name of the other (RFC 3261 §12.2.1.1).
    pub(crate) fn send_own_bye(
        &mut self,
        now: Now,
        id: Uuid,
        dialog: u8,
        to: Side,
        out: &mut Output,
    ) {
        let branch = self.branches.next(&NO_LOOP);
        let Some(call) = self.calls.at_mut(id) else {
            return;
        };
        let (Some(leg), Some(other)) = (
            call.leg(dialog, to).cloned(),
            call.leg(dialog, to.other()).cloned(),
        ) else {
            return;
        };
        // Above every CSeq that the other side has used toward this one, and above our own.
        let restored = call
            .dialogs
            .get(usize::from(dialog))
            .is_some_and(|dialog| dialog.restored);
        let step = if restored { RESTORED_CSEQ_STEP } else { 1 };
        let cseq = other
            .cseq
            .unwrap_or(0)
            .max(leg.local_cseq)
            .saturating_add(step);
        if let Some(leg) = call.leg_mut(dialog, to) {
            leg.local_cseq = cseq;
        }
        let (uri_of_leg, uri_of_other) = match to {
            Side::Caller => (call.from_uri.clone(), call.to_uri.clone()),
            Side::Callee => (call.to_uri.clone(), call.from_uri.clone()),
        };
        let call_id = call.call_id.clone();
        // Without asking anybody: its route or target, else where it was last heard.
        let known = self.hop_toward(now, id, dialog, to).and_then(Result::ok);
        let Some(flow) = known.or_else(|| self.flow_to(leg.flow.remote, leg.flow.listener)) else {
            return;
        };
        let advertise = self
            .config
            .listeners
            .get(usize::from(flow.listener))
            .map_or("", |listener| listener.advertise.as_str());
        let via = [
            format!("SIP/2.0/{} {advertise};branch=", flow.transport.as_str()).as_bytes(),
            &branch,
        ]
        .concat();
        let stored: SmallVec<[&[u8]; 4]> = leg.routes.iter().map(Vec::as_slice).collect();
        let strict = strict_route(&leg.target, &stored);
        let (uri, routes) = match &strict {
            Some(strict) => (strict.uri, strict.all()),
            None => (leg.target.as_slice(), stored.iter().copied().collect()),
        };
        let parts = RequestParts {
            method: b"BYE",
            uri,
            via: &via,
            from: &tagged(&uri_of_other, &other.tag),
            to: &tagged(&uri_of_leg, &leg.tag),
            call_id: &call_id,
            cseq,
            routes: &routes,
            max_forwards: 70,
            headers: &[],
        };
        let mut bytes = self.buffer();
        write_request(&parts, &mut bytes);
        self.stats.count(Stat::OwnByes);
        // A full table of transactions loses the BYE, not the record.
        let _ = self.transactions.start_client(
            now.mono_us,
            Method::Bye,
            &branch,
            &bytes,
            &flow,
            NOBODY,
            &mut out.outbox,
        );
        self.recycle(bytes);
    }

    /// Takes up a call that was answered before this process began. Before any traffic.
    pub fn restore_call(&mut self, now: Now, restored: &AnsweredCall) {
        let id = restored.cdr.cdr_id;
        let elapsed = |wall_us: i64| signed(now.mono_us) - (now.wall_us - wall_us).max(0);
        let known = self.calls.at(id).is_some();
        if !known {
            self.insert_restored(restored, elapsed(restored.cdr.setup_us));
            self.stats.count(Stat::CallsRestored);
        }
        // One whose dialogs have all ended only waits for its CDR to be written.
        let ended = has_ended(restored);
        if !known || !ended {
            let remaining_us = restored.max_end_us.saturating_sub(now.wall_us);
            let remaining_us = u64::try_from(remaining_us).unwrap_or(0);
            let due_us = now.mono_us + if ended { 0 } else { remaining_us };
            let timer = self
                .wheel
                .insert(now.mono_us, due_us, CoreTimer::MaxCall(id));
            let call = self.calls.at_mut(id);
            if let Some(old) = call.and_then(|call| call.max_timer.replace(timer)) {
                self.wheel.cancel(old);
            }
        }
        let caller = self.restored_leg(&restored.caller);
        let callee = self.restored_leg(&restored.callee);
        let vendor_slot = self
            .snapshot
            .vendor_by_trunk(TrunkId(restored.vendor_trunk))
            .map(|index| self.snapshot.vendor(index).slot);
        let customer_slot = self
            .snapshot
            .customer_by_trunk(TrunkId(restored.customer_trunk))
            .map(|index| self.snapshot.customer(index).slot);
        let counters = std::sync::Arc::clone(&self.config.counters);
        let Some(call) = self.calls.at_mut(id) else {
            return;
        };
        // One that had ended has given its channels back.
        if call.channel.is_none()
            && !ended
            // An answer after another final response took no channel of the customer, and takes none now.
            && restored.cdr.answer_us.is_some()
            && let Some(slot) = customer_slot
        {
            counters.force_channels(slot, 1);
            call.channel = Some(slot);
        }
        let setup_us = call.setup_us;
        let setup_wall = call.cdr.setup_us;
        let mut cause = call.cdr.cause;
        if let Some(attempt) = call.attempt_mut(restored.attempt) {
            attempt.vendor_trunk = restored.vendor_trunk;
            attempt.closed = ended;
            cause = attempt.record.cause;
            attempt.answered_us = attempt
                .record
                .answer_us
                .map(|wall| setup_us + (wall - setup_wall));
            if attempt.channel.is_none()
                && !attempt.closed
                && let Some(slot) = vendor_slot
            {
                counters.force_channels(slot, 1);
                attempt.channel = Some(slot);
            }
        }
        if ended
            && call.cdr.answer_us.is_some()
            && matches!(cause, Cause::MaxDuration | Cause::SessionExpired)
        {
            call.cdr.cause = cause;
            call.ended_by(EndedBy::Proxy);
        }
        // Two may have answered in the same turn: the tag tells which one answered the call.
        let tag = call.cdr.to_tag.as_deref().unwrap_or_default();
        let answer_us = call
            .attempts
            .get(usize::from(restored.attempt))
            .and_then(|attempt| attempt.record.answer_us);
        if answer_us.is_some() && call.cdr.answer_us == answer_us && tag == restored.callee.tag {
            call.answered_attempt = Some(restored.attempt);
        }
        let mut dialogs = call.dialogs.iter_mut();
        if let Some(dialog) = dialogs.find(|dialog| dialog.callee.tag == callee.tag) {
            // One endpoint that two vendors had reached: one dialog, and two attempts.
            return dialog.twins.push(restored.attempt);
        }
        let up_us = call
            .attempts
            .get(usize::from(restored.attempt))
            .and_then(|attempt| attempt.answered_us);
        call.dialogs.push(Dialog {
            state: if ended {
                DialogState::Ended
            } else {
                DialogState::Up
            },
            attempt: restored.attempt,
            twins: Vec::new(),
            up_us: up_us.unwrap_or(setup_us),
            // The journal does not tell: whoever had a record is taken to have had his ACK.
            taken: true,
            ended: None,
            caller,
            callee,
            restored: true,
            session: None,
            lapsed: false,
            deciding: SmallVec::new(),
        });
        let dialog = u8::try_from(call.dialogs.len() - 1).unwrap_or(u8::MAX);
        self.restore_session(now, id, dialog, restored.session_end);
    }

    fn insert_restored(&mut self, restored: &AnsweredCall, setup_us: i64) {
        let attempts = restored.cdr.attempts.iter().map(|record| AttemptState {
            record: record.clone(),
            vendor_trunk: 0,
            channel: None,
            currency: restored.cdr.vendor_currency.clone(),
            answered_us: None,
            closed: true,
        });
        let attempts = attempts.collect();
        // Which may have ended already, when another dialog goes on.
        let answer_us = restored.cdr.answer_us;
        let answered = |attempt: &accounting::Attempt| attempt.answer_us == answer_us;
        let answered_attempt = answer_us
            .and_then(|_| restored.cdr.attempts.iter().position(answered))
            .and_then(|at| u16::try_from(at).ok());
        let ended = restored.cdr.attempts.iter();
        let restored_end_us = ended
            .filter(|attempt| attempt.answer_us.is_some())
            .filter_map(|attempt| attempt.ended_us)
            .max();
        let mut cdr = restored.cdr.clone();
        cdr.attempts.clear();
        self.calls.insert(Box::new(Call {
            call_id: cdr.call_id.clone().into_bytes(),
            caller: self.restored_leg(&restored.caller),
            from_uri: restored.call_from_uri.clone().into_bytes(),
            to_uri: restored.call_to_uri.clone().into_bytes(),
            customer_trunk: restored.customer_trunk,
            channel: None,
            setup_us,
            context: None,
            dialogs: SmallVec::new(),
            attempts,
            answered_attempt,
            restored_end_us,
            gate: None,
            held: VecDeque::new(),
            max_timer: None,
            cdr,
        }));
    }

    fn restored_leg(&self, leg: &accounting::Leg) -> Leg {
        let transport = match leg.flow_transport {
            1 => Transport::Tcp,
            2 => Transport::Tls,
            _ => Transport::Udp,
        };
        let local = self
            .config
            .listeners
            .get(usize::from(leg.flow_listener))
            .map(|listener| listener.address);
        Leg {
            tag: leg.tag.clone().into_bytes(),
            target: leg.remote_target.clone().into_bytes(),
            routes: leg
                .route_set
                .iter()
                .map(|route| route.clone().into_bytes())
                .collect(),
            cseq: (leg.cseq > 0).then_some(leg.cseq),
            local_cseq: leg.local_cseq,
            flow: Flow {
                transport,
                listener: leg.flow_listener,
                local: local.unwrap_or(leg.flow_remote),
                remote: leg.flow_remote,
                connection: 0,
            },
        }
    }
}

/// Whether the dialog of a restored call had ended while another branch of it could still answer.
fn has_ended(restored: &AnsweredCall) -> bool {
    restored
        .cdr
        .attempts
        .get(usize::from(restored.attempt))
        .is_some_and(|attempt| attempt.ended_us.is_some())
}

fn tagged(address: &[u8], tag: &[u8]) -> Vec<u8> {
    if tag.is_empty() {
        //= RFC 3261 §12.2.1.1: a peer with a null tag is written without one
        return address.to_vec();
    }
    [address, b";tag=", tag].concat()
}

//! What the answer to a BYE does to its dialog and call (RFC 3261 §15).
//!
//! Only what the far side says ends a dialog; the end is when the BYE came.

use crate::{
    calls::{DialogState, signed},
    context::{ContextRef, Kind, Role},
    cookie::Side,
    core::ProxyCore,
    output::{Now, Output},
};
use accounting::{Cause, EndedBy, Record};
use sip_parser::parse_datagram;
use smallvec::SmallVec;
use std::{iter, mem};
use uuid::Uuid;

fn ended_by(side: Side) -> EndedBy {
    match side {
        Side::Caller => EndedBy::Caller,
        Side::Callee => EndedBy::Callee,
    }
}

impl ProxyCore {
    /// What the answer to a BYE does to its dialog; true when it closed one. `None`: nobody answered.
    pub(crate) fn on_bye_outcome(
        &mut self,
        now: Now,
        name: ContextRef,
        status: Option<u16>,
        out: &mut Output,
    ) -> bool {
        let Some(context) = self.contexts.at(name) else {
            return false;
        };
        // Only what the far side says about the dialog ends it: else a BYE made to fail would stop the meter.
        //= RFC 3261 §15.1.1: a BYE ends its dialog with a 2xx, a 481, a 408, or no answer at all
        if context.kind != Kind::Bye || !matches!(status, None | Some(200..300 | 481 | 408)) {
            return false;
        }
        let arrived_us = context.arrived_us;
        match &context.role {
            Role::InDialog { dialog, from } => {
                let (dialog, from) = (*dialog, *from);
                let Some(id) = context.call else { return false };
                let over = self.calls.at(id).is_none_or(|call| {
                    let dialog = call.dialogs.get(usize::from(dialog));
                    dialog.is_none_or(|dialog| dialog.state == DialogState::Ended)
                });
                if over {
                    // It had ended before: by the other side's BYE, or because its session expired.
                    return false;
                }
                let mut table = mem::take(&mut self.inner_table);
                if let Ok(bye) = parse_datagram(&context.request, &mut table)
                    && let Some(call) = self.calls.at_mut(id)
                {
                    call.note_reason(&bye);
                }
                self.inner_table = table;
                if matches!(status, None | Some(408)) {
                    //= departs RFC 3261 §15.1: a BYE that nobody answers, or that gets 408, is followed by a plain BYE of our own;
                    //=   because whoever made the BYE also chose its size and headers
                    // Whoever made the BYE also chose its size and headers: perhaps such that it never arrived. A plain
                    // one of our own follows, so that the call does not outlive its meter.
                    self.send_own_bye(now, id, dialog, from.other(), out);
                }
                self.end_dialog(now, id, dialog, ended_by(from), signed(arrived_us), out)
            }
            Role::Passing {
                cookie: Some((cookie, side)),
                ..
            } => {
                let (cdr_id, side) = (cookie.cdr_id, *side);
                if !self.calls.note_ended_alone(cdr_id) {
                    // The first end is told; one who goes on saying BYE fills no disk.
                    return false;
                }
                out.records.push(Record::EndedAlone {
                    cdr_id,
                    node: self.config.node.clone(),
                    at_us: now.wall_us - (signed(now.mono_us) - signed(arrived_us)),
                    ended_by: ended_by(side),
                    status: status.unwrap_or(0),
                });
                true
            }
            _ => false,
        }
    }

    /// Ends one dialog at `at_us`; the call ends with its last one. False when it had ended before.
    pub(crate) fn end_dialog(
        &mut self,
        now: Now,
        id: Uuid,
        dialog: u8,
        by: EndedBy,
        at_us: i64,
        out: &mut Output,
    ) -> bool {
        let Some(call) = self.calls.at_mut(id) else {
            return false;
        };
        let Some(state) = call.dialogs.get_mut(usize::from(dialog)) else {
            return false;
        };
        if state.state != DialogState::Up {
            return false;
        }
        state.state = DialogState::Ended;
        // Who ends it has had it, though his ACK went astray.
        state.taken |= by == EndedBy::Caller;
        if let Some(session) = state.session.take() {
            self.wheel.cancel(session.timer);
        }
        let own = state.attempt;
        let attempts: SmallVec<[u16; 2]> = iter::once(own).chain(state.twins.clone()).collect();
        call.note_dialog_ended(dialog, by, at_us);
        let mut over: SmallVec<[(u16, Cause); 2]> = SmallVec::new();
        let mut channels: SmallVec<[Option<u32>; 3]> = SmallVec::new();
        for attempt in attempts {
            if let Some(tag) = call.dialog_of_attempt(attempt) {
                if attempt == own {
                    // Endpoints behind one vendor are one attempt, which the journal knows by its latest dialog.
                    let answered = Self::answered_call(call, &tag, self.config.policy.max_call_us);
                    out.records
                        .extend(answered.map(|call| Record::Answered(Box::new(call))));
                }
                continue;
            }
            let cause = call
                .attempts
                .get(usize::from(attempt))
                .map_or(Cause::Answered, |attempt| attempt.record.cause);
            channels.push(call.close_attempt(attempt, at_us, None, cause));
            over.push((attempt, cause));
        }
        if !call.has_dialog_up() {
            call.note_who_ended(by);
            // For the customer it is over, though a branch may still be out.
            channels.push(call.channel.take());
        }
        for channel in channels {
            self.give_channel(channel);
        }
        self.settle_call(now, id, out);
        // Another dialog is up, or a branch may still answer: the call goes on, but these ends must outlive the process.
        for (attempt, cause) in over {
            let call = self.calls.at(id);
            let state = call.and_then(|call| call.attempts.get(usize::from(attempt)));
            if let Some(record) = state.map(|attempt| &attempt.record) {
                out.records.push(Record::AttemptEnded {
                    cdr_id: id,
                    attempt,
                    ended_us: record.ended_us.unwrap_or_default(),
                    duration_us: record.duration_us,
                    cause,
                });
            }
        }
        true
    }
}

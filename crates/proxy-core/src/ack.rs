//! The ACK of a 2xx, RFC 3261 §13.2.2.4: forwarded without a transaction (§16.11), in its dialog's turn.
//!
//! The ACK of any other final response ends in the transaction layer.

use crate::{
    calls::Held,
    config::UnknownDialog,
    cookie::Side,
    core::ProxyCore,
    loops::{LoopText, Origin},
    output::{Now, Output},
    passing::Way,
    route_set::{Routes, edit_route_set},
    standing::Standing,
    stats::Stat,
};
use accounting::Record;
use sip_parser::{Edits, HeaderTable, Message, parse_datagram};
use std::mem;
use transaction_layer::Flow;
use uuid::Uuid;

/// An ACK that is to go on, and what its branch ends with.
pub(crate) struct AckInHand<'a> {
    pub(crate) ack: &'a Message<'a>,
    pub(crate) flow: &'a Flow,
    loop_text: LoopText,
}

impl ProxyCore {
    /// The ACK of a 2xx (or of nothing): forwarded without state (RFC 3261 §13.2.2.4, §16.11).
    //= RFC 3261 §13.2.2.4, §16.11: the ACK of a 2xx is a request of its own and is forwarded without state
    pub(crate) fn on_ack(&mut self, now: Now, ack: &Message<'_>, flow: &Flow, out: &mut Output) {
        match self.without_strict_route(ack) {
            Some(loose) => {
                let mut table = HeaderTable::default();
                if let Ok(ack) = parse_datagram(&loose, &mut table) {
                    self.on_loose_ack(now, &ack, flow, out);
                }
            }
            None => self.on_loose_ack(now, ack, flow, out),
        }
    }

    fn on_loose_ack(&mut self, now: Now, ack: &Message<'_>, flow: &Flow, out: &mut Output) {
        // An ACK is never answered, so what would be 483 or 482 for another request is dropped.
        if matches!(ack.max_forwards(), Ok(Some(0)))
            || self.has_looped(ack, &Origin::Source(flow.remote))
        {
            return self.stats.count(Stat::AcksDropped);
        }
        let hand = AckInHand {
            ack,
            flow,
            // Of the test for a loop, just now.
            loop_text: self.loop_text,
        };
        let goes_on = match self.standing(now, ack, flow) {
            Standing::Known(id, dialog, side, true) => {
                if side == Side::Caller
                    && let Some(call) = self.calls.at_mut(id)
                    && call.note_acknowledged(dialog)
                    && let Some(tag) = call.leg(dialog, Side::Callee).map(|leg| &leg.tag)
                {
                    // The customer pays from now on, also if the process dies.
                    let max_call_us = self.config.policy.max_call_us;
                    let answered = Self::answered_call(call, tag, max_call_us);
                    out.records
                        .extend(answered.map(|call| Record::Answered(Box::new(call))));
                }
                if self.calls.at(id).is_some_and(|call| call.gate.is_some()) {
                    let bytes = ack.bytes().to_vec();
                    self.hold(id, Held::Ack { bytes, flow: *flow })
                } else {
                    self.forward_ack(now, (id, dialog, side), &hand, out)
                }
            }
            Standing::Cookie(cookie, side)
                if !matches!(
                    self.way(now, &(cookie, side), flow.remote.ip(), None, 0),
                    Way::Barred(_)
                ) =>
            {
                self.forward_passing_ack(now, &hand, Some((cookie, side)), None, out)
            }
            //= RFC 3261 §8.2.7: the ACK of a refusal that was made without state ends here
            Standing::Unknown if ack.to_tag() == Some(&self.stateless_tag(ack)[..]) => {
                // It answers a refusal that was made without state.
                return self.stats.count(Stat::AcksAbsorbed);
            }
            Standing::Unknown if self.config.policy.unknown_dialog == UnknownDialog::Forward => {
                self.forward_passing_ack(now, &hand, None, None, out)
            }
            _ => false,
        };
        self.stats.count(if goes_on {
            Stat::AcksForwarded
        } else {
            Stat::AcksDropped
        });
    }

    /// An ACK that has waited, as it was when it came.
    pub(crate) fn ack_in_hand<'a>(&self, ack: &'a Message<'a>, flow: &'a Flow) -> AckInHand<'a> {
        AckInHand {
            ack,
            flow,
            loop_text: self.loop_text_of_ack(ack, flow),
        }
    }

    /// Sends an ACK, with a branch of its own and what else `edit` says.
    pub(crate) fn push_ack(
        &mut self,
        hand: &AckInHand<'_>,
        to: &Flow,
        out: &mut Output,
        edit: impl FnOnce(&Self, &mut Edits),
    ) {
        let branch = self.branches.next(&hand.loop_text);
        let mut edits = mem::replace(&mut self.edits, Edits::new());
        edits.clear();
        self.edit_hop(hand.ack, hand.flow, to, &branch, &mut edits);
        crate::breadth::write_whole(hand.ack, &mut edits);
        edit(self, &mut edits);
        out.outbox.push_with(to, |bytes| {
            sip_parser::write_message(hand.ack, &edits, bytes);
        });
        self.edits = edits;
    }

    /// Sends an ACK to the other side, now or when the name of that is known; `false` when it leads nowhere, which is
    /// counted.
    pub(crate) fn forward_ack(
        &mut self,
        now: Now,
        (id, dialog, side): (Uuid, u8, Side),
        hand: &AckInHand<'_>,
        out: &mut Output,
    ) -> bool {
        match self.hop_toward(now, id, dialog, side.other()) {
            Some(Ok(to)) => self.push_ack(hand, &to, out, |core, edits| {
                let call = core.calls.at(id);
                if let Some(leg) = call.and_then(|call| call.leg(dialog, side.other())) {
                    let routes: Routes<'_> = leg.routes.iter().map(Vec::as_slice).collect();
                    edit_route_set(hand.ack, &leg.target, &routes, edits);
                }
            }),
            Some(Err(Some(kind))) => {
                let held = Held::Ack {
                    bytes: hand.ack.bytes().to_vec(),
                    flow: *hand.flow,
                };
                self.park_call(
                    now,
                    id,
                    held,
                    kind,
                    self.config.policy.resolve_deadline_us,
                    out,
                );
            }
            // The name does not resolve: the ACK has nowhere to go, and the callee will say BYE.
            Some(Err(None)) | None => {
                self.stats.count(Stat::NextHopUnknown);
                return false;
            }
        }
        true
    }

    /// An ACK whose turn in a parked dialog has come.
    pub(crate) fn resume_ack(
        &mut self,
        now: Now,
        id: Uuid,
        bytes: &[u8],
        flow: &Flow,
        out: &mut Output,
    ) {
        let mut table = mem::take(&mut self.inner_table);
        if let Ok(ack) = parse_datagram(bytes, &mut table) {
            let (from_tag, to_tag) = (
                ack.from_tag().unwrap_or_default(),
                ack.to_tag().unwrap_or_default(),
            );
            match self
                .calls
                .at(id)
                .and_then(|call| call.dialog_of(from_tag, to_tag))
            {
                Some((dialog, side)) => {
                    let hand = self.ack_in_hand(&ack, flow);
                    self.forward_ack(now, (id, dialog, side), &hand, out);
                }
                None => self.stats.count(Stat::NextHopUnknown),
            }
        }
        self.inner_table = table;
    }
}

//! The ACK of a 2xx, RFC 3261 §13.2.2.4: forwarded without a transaction (§16.11), in its dialog's turn.
//!
//! The ACK of any other final response ends in the transaction layer.

use crate::{
    calls::Held,
    config::UnknownDialog,
    cookie::Side,
    core::ProxyCore,
    loops::Origin,
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
        match self.standing(now, ack, flow) {
            Standing::Known(id, dialog, side, true) => {
                self.stats.count(Stat::AcksForwarded);
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
                    let _ = self.hold(id, Held::Ack { bytes, flow: *flow });
                } else {
                    self.forward_ack(now, id, dialog, side, ack, flow, out);
                }
            }
            Standing::Cookie(cookie, side)
                if !matches!(
                    self.way(now, &(cookie, side), flow.remote.ip(), None, 0),
                    Way::Barred(_)
                ) =>
            {
                self.stats.count(Stat::AcksForwarded);
                self.forward_passing_ack(now, ack, flow, Some((cookie, side)), None, out);
            }
            //= RFC 3261 §8.2.7: the ACK of a refusal that was made without state ends here
            Standing::Unknown if ack.to_tag() == Some(&self.stateless_tag(ack)[..]) => {
                // It answers a refusal that was made without state.
                self.stats.count(Stat::AcksAbsorbed);
            }
            Standing::Unknown if self.config.policy.unknown_dialog == UnknownDialog::Forward => {
                self.stats.count(Stat::AcksForwarded);
                self.forward_passing_ack(now, ack, flow, None, None, out);
            }
            _ => self.stats.count(Stat::AcksDropped),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what names the leg, and what is sent"
    )]
    pub(crate) fn forward_ack(
        &mut self,
        now: Now,
        id: Uuid,
        dialog: u8,
        side: Side,
        ack: &Message<'_>,
        flow: &Flow,
        out: &mut Output,
    ) {
        let branch = self.branches.next(&self.loop_text_of_ack(ack, flow));
        let Some(leg) = self
            .calls
            .at(id)
            .and_then(|call| call.leg(dialog, side.other()))
        else {
            return;
        };
        match self.leg_hop(now, leg) {
            Ok(to) => {
                let mut edits = Edits::new();
                self.edit_hop(ack, flow, &to, &branch, &mut edits);
                crate::breadth::write_whole(ack, &mut edits);
                let routes: Routes<'_> = leg.routes.iter().map(Vec::as_slice).collect();
                edit_route_set(ack, &leg.target, &routes, &mut edits);
                out.outbox
                    .push_with(&to, |bytes| sip_parser::write_message(ack, &edits, bytes));
            }
            Err(Some(kind)) => {
                let held = Held::Ack {
                    bytes: ack.bytes().to_vec(),
                    flow: *flow,
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
            Err(None) => self.stats.count(Stat::NextHopUnknown),
        }
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
                Some((dialog, side)) => self.forward_ack(now, id, dialog, side, &ack, flow, out),
                None => self.stats.count(Stat::NextHopUnknown),
            }
        }
        self.inner_table = table;
    }
}

//! From messages to the fields of a CDR, and the closing of one.
//!
//! What a peer wrote is kept as text, with anything that is not UTF-8 replaced. Times are the monotonic clock's,
//! shown on the wall clock of the setup.

use crate::{
    calls::{AttemptState, Call, DialogState, signed},
    core::ProxyCore,
    output::{Now, Output},
    stats::Stat,
};
use accounting::{Cause, Cdr, Record};
use sip_parser::{KnownHeader, Message, Uri};
use transaction_layer::Flow;
use uuid::Uuid;

/// Text of a peer: what folds a line becomes spaces, other control characters U+FFFD, so that whoever reads a record is
/// shown no more than text.
pub(crate) fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.contains(char::is_control) {
        return text.into_owned();
    }
    let shown = |character: char| match character {
        '\t' | '\r' | '\n' => ' ',
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    text.chars().map(shown).collect()
}

/// The user part of a URI as it stands, or the whole of one that has none to speak of.
pub(crate) fn user_of(uri: &[u8]) -> &[u8] {
    match Uri::parse(uri) {
        Ok(Uri::Sip(sip)) => sip.user.unwrap_or_default(),
        Ok(Uri::Tel(tel)) => tel.number,
        _ => uri,
    }
}

/// What a final response of a vendor means for its attempt.
pub(crate) fn cause_of_status(status: u16) -> Cause {
    match status {
        200..300 => Cause::Answered,
        300..400 => Cause::VendorRedirect,
        401 | 407 => Cause::VendorAuth,
        404 | 410 | 484 | 604 => Cause::NotFound,
        408 | 480 => Cause::NoAnswer,
        486 | 600 => Cause::Busy,
        403 | 603 => Cause::Rejected,
        487 => Cause::Cancelled,
        400..500 => Cause::Vendor4xx,
        500..600 => Cause::Vendor5xx,
        600..700 => Cause::Vendor6xx,
        _ => Cause::Other,
    }
}

impl ProxyCore {
    /// A CDR with what its INVITE says.
    pub(crate) fn new_cdr(
        &mut self,
        now: Now,
        invite: &Message<'_>,
        flow: &Flow,
        customer: &str,
        currency: &str,
    ) -> Cdr {
        let value = |known| invite.header(known).map(|header| text(header.value));
        let cdr_id = self.new_cdr_id(now);
        let listener = self.config.listeners.get(usize::from(flow.listener));
        Cdr {
            cdr_id,
            node: self.config.node.clone(),
            call_id: text(invite.call_id()),
            from_tag: text(invite.from_tag().unwrap_or_default()),
            to_tag: None,
            customer: customer.to_owned(),
            vendor: None,
            source: flow.remote.to_string(),
            next_hop: None,
            caller: invite
                .from()
                .map(|from| text(user_of(from.uri)))
                .unwrap_or_default(),
            callee: text(user_of(invite.request_uri())),
            callee_routed: None,
            callee_sent: None,
            setup_us: now.wall_us,
            ring_us: None,
            answer_us: None,
            end_us: None,
            pdd_us: None,
            duration_us: 0,
            status: 0,
            cause: Cause::Other,
            ended_by: None,
            attempts: Vec::new(),
            customer_terms: None,
            customer_currency: Some(currency.to_owned()),
            vendor_terms: None,
            vendor_currency: None,
            q850_cause: None,
            reason: None,
            pai: value(KnownHeader::PAssertedIdentity),
            lrn: None,
            transport_in: flow.transport.as_str().to_ascii_lowercase(),
            transport_out: None,
            listener: listener
                .map(|listener| listener.address.to_string())
                .unwrap_or_default(),
            customer_prefix: None,
            vendor_prefix: None,
            route_version: self.snapshot.version(),
        }
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
        for timer in call.take_session_timers() {
            self.wheel.cancel(timer);
        }
        if call.dialogs.iter().any(|dialog| dialog.lapsed) {
            self.calls.note_lapsed(id);
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

    fn new_cdr_id(&mut self, now: Now) -> Uuid {
        let millis = u64::try_from(now.wall_us / 1000).unwrap_or(0);
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

impl Call {
    /// Keeps the Reason of a message that ends the call, the first one.
    pub(crate) fn note_reason(&mut self, message: &Message<'_>) {
        if self.cdr.reason.is_none() {
            self.replace_reason(message);
        }
    }

    /// Keeps the Reason of this message, or that it gives none, instead of what was said before.
    pub(crate) fn replace_reason(&mut self, message: &Message<'_>) {
        let reason = crate::reason::of(message);
        self.cdr.q850_cause = reason.as_ref().and_then(|reason| reason.q850_cause);
        self.cdr.reason = reason.map(|reason| reason.text);
    }

    /// Ringing or early media, the first of the call and of the attempt.
    pub(crate) fn note_ringing(&mut self, attempt: u16, now: Now) {
        let wall = self.wall(signed(now.mono_us));
        let pdd = signed(now.mono_us) - self.setup_us;
        if let Some(state) = self.attempt_mut(attempt) {
            state.record.ring_us.get_or_insert(wall);
        }
        if self.cdr.ring_us.is_none() {
            self.cdr.ring_us = Some(wall);
            self.cdr.pdd_us = u64::try_from(pdd).ok();
        }
    }

    /// The attempt that the CDR's top line is about: the one that answered the call, else one that answered too late,
    /// else the last.
    pub(crate) fn main_attempt(&self) -> Option<&AttemptState> {
        let answered = self
            .answered_attempt
            .and_then(|at| self.attempts.get(usize::from(at)));
        answered
            .or_else(|| {
                self.attempts
                    .iter()
                    .find(|attempt| attempt.answered_us.is_some())
            })
            .or_else(|| self.attempts.last())
    }

    /// The caller has acknowledged an answer: one that came after another final response counts from now on, and true
    /// says so.
    pub(crate) fn note_acknowledged(&mut self, dialog: u8) -> bool {
        let Some(dialog) = self
            .dialogs
            .get_mut(usize::from(dialog))
            .filter(|dialog| dialog.state != DialogState::Early)
        else {
            return false;
        };
        dialog.taken = true;
        if self.cdr.answer_us.is_some() || dialog.state != DialogState::Up {
            return false;
        }
        let Some(attempt) = self.attempts.get(usize::from(dialog.attempt)) else {
            return false;
        };
        self.cdr.answer_us = attempt.record.answer_us;
        self.cdr.status = attempt.record.status;
        self.cdr.cause = Cause::Answered;
        (self.cdr.end_us, self.cdr.ended_by) = (None, None);
        self.cdr.to_tag = Some(text(&dialog.callee.tag));
        self.answered_attempt = Some(dialog.attempt);
        true
    }

    /// The CDR as it stands now, with its attempts.
    pub(crate) fn cdr_so_far(&self) -> Cdr {
        let mut cdr = self.cdr.clone();
        cdr.attempts = self
            .attempts
            .iter()
            .map(|attempt| attempt.record.clone())
            .collect();
        if let Some(attempt) = self.main_attempt() {
            cdr.vendor = Some(attempt.record.vendor.clone());
            cdr.next_hop = Some(attempt.record.next_hop.clone());
            cdr.callee_sent = Some(attempt.record.callee_sent.clone());
            cdr.vendor_terms.clone_from(&attempt.record.terms);
            cdr.vendor_prefix.clone_from(&attempt.record.prefix);
            cdr.vendor_currency.clone_from(&attempt.currency);
            if cdr.answer_us.is_some() {
                // A caller who has accepted two answers has talked until the last of them ended.
                cdr.end_us = self.customers_end_us();
                cdr.duration_us = match (cdr.answer_us, cdr.end_us) {
                    (Some(answer), Some(end)) => u64::try_from(end - answer).unwrap_or(0),
                    _ => 0,
                };
            }
        }
        cdr
    }
}

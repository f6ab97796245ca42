//! Of several answers of a call, those that the customer has had: he pays until the last of them ends.
//!
//! One that he never took is ended by a BYE of our own when its ACK is overdue (RFC 3261 §13.3.1.4), and an answer
//! after the end takes channels again. Leaves out how an answer goes upstream, which is `answer`'s.

use crate::{
    calls::{Call, Dialog, DialogState, signed},
    cookie::Side,
    core::ProxyCore,
    output::{Now, Output},
    stats::Stat,
    timers::CoreTimer,
};
use accounting::{Cause, EndedBy};
use routing::TrunkId;
use smallvec::SmallVec;
use uuid::Uuid;

impl Call {
    /// The dialogs that the customer has had: those he took, or the first that was answered when no ACK came this way.
    fn customers_dialogs(&self) -> impl Iterator<Item = (u8, &Dialog)> {
        let answered = self.cdr.answer_us.is_some();
        let any_taken = self.dialogs.iter().any(|dialog| dialog.taken);
        let first = self.cdr.to_tag.as_deref().unwrap_or_default();
        (0_u8..).zip(&self.dialogs).filter(move |(_, dialog)| {
            let is_his = match any_taken {
                true => dialog.taken,
                false => String::from_utf8_lossy(&dialog.callee.tag) == first,
            };
            answered && is_his && dialog.state != DialogState::Early
        })
    }

    /// Whether the customer's time runs on.
    pub(crate) fn has_customers_dialog_up(&self) -> bool {
        self.customers_dialogs()
            .any(|(_, dialog)| dialog.state == DialogState::Up)
    }

    /// Whether this dialog is the only one that lets the customer's time run on.
    pub(crate) fn is_customers_last(&self, at: u8) -> bool {
        let mut up = self
            .customers_dialogs()
            .filter(|(_, dialog)| dialog.state == DialogState::Up);
        up.next().is_some_and(|(only, _)| only == at) && up.next().is_none()
    }

    fn customers_end(&self) -> Option<(i64, EndedBy)> {
        self.customers_dialogs()
            .filter_map(|(_, dialog)| dialog.ended)
            .max_by_key(|(at_us, _)| *at_us)
    }

    /// When the last dialog of the customer ended, as far as they have, UTC µs.
    pub(crate) fn customers_end_us(&self) -> Option<i64> {
        self.customers_end()
            .map(|(at_us, _)| at_us)
            .max(self.restored_end_us)
    }

    /// Notes when and by whom a dialog was ended.
    pub(crate) fn note_dialog_ended(&mut self, dialog: u8, by: EndedBy, at_us: i64) {
        let Some(state) = self.dialogs.get(usize::from(dialog)) else {
            return;
        };
        // A BYE may overtake the 2xx on the way here: nothing ends before it was answered.
        let wall = self.wall(at_us.max(state.up_us));
        if let Some(state) = self.dialogs.get_mut(usize::from(dialog)) {
            state.ended = Some((wall, by));
        }
    }

    /// All dialogs are over: the call was ended by whoever ended the customer's last one.
    pub(crate) fn note_who_ended(&mut self, by: EndedBy) {
        match self.customers_end() {
            Some((_, by)) => self.cdr.ended_by = Some(by),
            None => self.ended_by(by),
        }
    }

    /// The callee's tag of a dialog that is up and bills this attempt.
    pub(crate) fn dialog_of_attempt(&self, attempt: u16) -> Option<Vec<u8>> {
        let mut up = self
            .dialogs
            .iter()
            .filter(|dialog| dialog.state == DialogState::Up);
        up.find(|dialog| dialog.attempt == attempt || dialog.twins.contains(&attempt))
            .map(|dialog| dialog.callee.tag.clone())
    }
}

impl ProxyCore {
    /// An answer beside the first goes upstream: its ACK is awaited.
    pub(crate) fn await_ack(&mut self, now: Now, id: Uuid) {
        let due_us = now.mono_us + self.config.timers.t1_times_64_us();
        self.wheel
            .insert(now.mono_us, due_us, CoreTimer::Unacknowledged(id));
    }

    /// Ends the answers that the caller has not acknowledged for 64·T1, but for the one that he pays.
    //= departs RFC 3261 §16.1, §13.3.1.4: an answer beside the first whose ACK has not come within 64·T1 gets a BYE of our
    //=   own, on both sides; because a vendor that forgets to hang up would bill a conversation that nobody has
    pub(crate) fn end_untaken(&mut self, now: Now, id: Uuid, out: &mut Output) {
        let Some(call) = self.calls.at(id) else {
            return;
        };
        let oldest_us = signed(now.mono_us) - signed(self.config.timers.t1_times_64_us());
        let is_his = |at: u8| call.customers_dialogs().any(|(his, _)| his == at);
        let untaken: SmallVec<[u8; 4]> = (0_u8..)
            .zip(&call.dialogs)
            .filter(|(_, dialog)| dialog.state == DialogState::Up && !dialog.taken)
            .filter(|(at, dialog)| dialog.up_us <= oldest_us && !is_his(*at))
            .map(|(at, _)| at)
            .collect();
        for dialog in untaken {
            self.send_own_bye(now, id, dialog, Side::Caller, out);
            self.send_own_bye(now, id, dialog, Side::Callee, out);
            self.end_dialog(now, id, dialog, EndedBy::Proxy, signed(now.mono_us), out);
        }
    }

    /// An answer of an attempt that had ended, or of a call whose dialogs had: what it holds is counted again.
    ///
    /// It is up at both ends and cannot be refused any more: its channels may be beyond their limits, which is counted.
    pub(crate) fn take_channels_again(&mut self, id: Uuid, attempt: u16) {
        let counters = std::sync::Arc::clone(&self.config.counters);
        let snapshot = &self.snapshot;
        let Some(call) = self.calls.at_mut(id) else {
            return;
        };
        if call.channel.is_none()
            && call.cdr.answer_us.is_some()
            && let Some(index) = snapshot.customer_by_trunk(TrunkId(call.customer_trunk))
        {
            let customer = snapshot.customer(index);
            let slot = customer.slot;
            if !counters.take_channel_anyway(slot, customer.channel_limit) {
                self.stats.count(Stat::ChannelsBeyondLimit);
            }
            call.channel = Some(slot);
        }
        let Some(state) = call.attempt_mut(attempt).filter(|state| state.closed) else {
            return;
        };
        state.closed = false;
        state.record.ended_us = None;
        state.record.duration_us = 0;
        state.record.cause = Cause::Answered;
        if let Some(index) = snapshot.vendor_by_trunk(TrunkId(state.vendor_trunk)) {
            let vendor = snapshot.vendor(index);
            let slot = vendor.slot;
            if !counters.take_channel_anyway(slot, vendor.channel_limit) {
                self.stats.count(Stat::ChannelsBeyondLimit);
            }
            state.channel = Some(slot);
        }
    }
}

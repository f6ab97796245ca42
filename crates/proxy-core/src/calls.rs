//! The calls of a lane: who talks to whom, what it will cost, and what is needed to end it.
//!
//! A call is two legs for each dialog that was made from its INVITE (RFC 3261 §12), with the CDR that grows beside
//! them. It is found by its id (cookie) or by Call-ID and tags. Transactions are elsewhere.

use crate::{context::ContextRef, cookie::Side, output::Now};
use accounting::{Attempt, Cause, Cdr, EndedBy};
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use std::{collections::VecDeque, hash::BuildHasher as _, net::IpAddr};
use transaction_layer::{Flow, TimerId};
use uuid::Uuid;

/// Dialogs of one call, at most, for a 1xx to make another: beyond, it is forwarded and not followed.
///
/// None is dropped before the call ends, and no index is given to another: requests under way name theirs.
const EARLY_MAX: usize = 64;
/// Dialogs of one call, at most, for a 2xx to make another.
const DIALOGS_MAX: usize = 128;
/// Calls with one Call-ID and one caller's tag, at most: a spiral has one for each time it passes here.
pub(crate) const PASSES_MAX: usize = 32;
/// Messages that wait behind a parked one of their dialog, at most.
pub(crate) const HELD_MAX: usize = 16;

/// One side of a dialog.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub(crate) tag: Vec<u8>,
    /// The Contact URI of this side.
    pub(crate) target: Vec<u8>,
    /// Route values toward this side, without us, first hop first.
    pub(crate) routes: Vec<Vec<u8>>,
    /// The highest CSeq seen from this side; `None` before its first request.
    pub(crate) cseq: Option<u32>,
    /// The highest CSeq of our own requests toward this side.
    pub(crate) local_cseq: u32,
    pub(crate) flow: Flow,
}

/// Where a dialog stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialogState {
    Early,
    Up,
    Ended,
}

/// One dialog made from the INVITE.
pub(crate) struct Dialog {
    pub(crate) state: DialogState,
    /// The attempt that it bills.
    pub(crate) attempt: u16,
    /// Other attempts whose vendors reached the same endpoint, which answered them with the same tag.
    pub(crate) twins: Vec<u16>,
    /// When it was answered, monotonic µs; negative before this process.
    pub(crate) up_us: i64,
    /// The caller has acknowledged its answer, or ended it.
    pub(crate) taken: bool,
    /// When it ended, UTC µs, and who ended it.
    pub(crate) ended: Option<(i64, EndedBy)>,
    /// The caller as this dialog knows it: each fork counts CSeq and moves its target by itself.
    pub(crate) caller: Leg,
    pub(crate) callee: Leg,
    /// Taken up from the journal: a request with the highest CSeq may be one that the process before had forwarded and
    /// did not live to see answered.
    pub(crate) restored: bool,
    /// When its session expires, if it has a timer (RFC 4028 §8.2).
    pub(crate) session: Option<Session>,
    /// Its session has expired: requests still pass, but none that would begin it anew.
    pub(crate) lapsed: bool,
    /// The latest INVITEs, UPDATEs and BYEs within it: the session does not expire before they are answered.
    pub(crate) deciding: SmallVec<[ContextRef; 2]>,
}

/// The session timer of a dialog.
pub(crate) struct Session {
    /// Monotonic µs; negative before this process.
    pub(crate) expires_us: i64,
    /// Both ends know of it; else one of them alone could let it expire and talk on.
    pub(crate) agreed: bool,
    pub(crate) timer: TimerId,
}

/// One attempt, with what it still holds of the vendor's limits.
pub(crate) struct AttemptState {
    pub(crate) record: Attempt,
    pub(crate) vendor_trunk: u64,
    /// The slot of the channel it holds.
    pub(crate) channel: Option<u32>,
    pub(crate) currency: Option<String>,
    /// When its dialog was answered, monotonic µs; negative before this process.
    pub(crate) answered_us: Option<i64>,
    /// A final response, a time-out or the end of its dialog has closed it.
    pub(crate) closed: bool,
}

/// What waits its turn in a parked dialog.
pub(crate) enum Held {
    /// A request, at the point of forwarding.
    Request(ContextRef),
    /// The ACK of a 2xx.
    Ack { bytes: Vec<u8>, flow: Flow },
    /// A response within the dialog, behind a request of the same side perhaps.
    Response {
        branch: crate::context::BranchRef,
        bytes: Vec<u8>,
    },
    /// A 2xx to the INVITE.
    Answer {
        branch: crate::context::BranchRef,
        bytes: Vec<u8>,
        status: u16,
    },
}

pub(crate) struct Call {
    pub(crate) cdr: Cdr,
    pub(crate) call_id: Vec<u8>,
    /// The caller as the INVITE shows it: what each new dialog begins with.
    pub(crate) caller: Leg,
    /// From and To of the INVITE without tags.
    pub(crate) from_uri: Vec<u8>,
    pub(crate) to_uri: Vec<u8>,
    pub(crate) customer_trunk: u64,
    /// The slot of the customer's channel while it is held.
    pub(crate) channel: Option<u32>,
    /// Monotonic time of setup; negative before this process.
    pub(crate) setup_us: i64,
    pub(crate) context: Option<ContextRef>,
    pub(crate) dialogs: SmallVec<[Dialog; 1]>,
    pub(crate) attempts: Vec<AttemptState>,
    /// The attempt whose 2xx answered the call.
    pub(crate) answered_attempt: Option<u16>,
    /// When the last dialog that the process before had seen end did, UTC µs.
    pub(crate) restored_end_us: Option<i64>,
    /// The dialog-wide gate: the job that its next message waits for.
    pub(crate) gate: Option<u64>,
    pub(crate) held: VecDeque<Held>,
    pub(crate) max_timer: Option<TimerId>,
}

/// Monotonic time that may lie before the start of this process.
pub(crate) fn signed(mono_us: u64) -> i64 {
    i64::try_from(mono_us).unwrap_or(i64::MAX)
}

impl Call {
    /// The wall clock of a monotonic time, from the one reading at setup: a stepped clock moves nothing.
    pub(crate) fn wall(&self, mono_us: i64) -> i64 {
        self.cdr.setup_us + (mono_us - self.setup_us)
    }

    /// The dialog that (From-tag, To-tag) name, and the side that sends.
    pub(crate) fn dialog_of(&self, from_tag: &[u8], to_tag: &[u8]) -> Option<(u8, Side)> {
        let find = |callee: &[u8]| {
            self.dialogs
                .iter()
                .position(|dialog| dialog.callee.tag == callee)
        };
        let (at, side) = if from_tag == self.caller.tag {
            (find(to_tag)?, Side::Caller)
        } else if to_tag == self.caller.tag {
            (find(from_tag)?, Side::Callee)
        } else {
            return None;
        };
        Some((u8::try_from(at).ok()?, side))
    }

    pub(crate) fn leg(&self, dialog: u8, side: Side) -> Option<&Leg> {
        let dialog = self.dialogs.get(usize::from(dialog))?;
        Some(match side {
            Side::Caller => &dialog.caller,
            Side::Callee => &dialog.callee,
        })
    }

    pub(crate) fn leg_mut(&mut self, dialog: u8, side: Side) -> Option<&mut Leg> {
        let dialog = self.dialogs.get_mut(usize::from(dialog))?;
        Some(match side {
            Side::Caller => &mut dialog.caller,
            Side::Callee => &mut dialog.callee,
        })
    }

    /// Whether a dialog with this callee can be followed in this state: it is, or there is room.
    pub(crate) fn has_room_for(&self, callee_tag: &[u8], state: DialogState) -> bool {
        let most = match state {
            DialogState::Early => EARLY_MAX,
            DialogState::Up | DialogState::Ended => DIALOGS_MAX,
        };
        let mut dialogs = self.dialogs.iter();
        self.dialogs.len() < most || dialogs.any(|dialog| dialog.callee.tag == callee_tag)
    }

    pub(crate) fn has_dialog_up(&self) -> bool {
        self.dialogs
            .iter()
            .any(|dialog| dialog.state == DialogState::Up)
    }

    pub(crate) fn attempt_mut(&mut self, attempt: u16) -> Option<&mut AttemptState> {
        self.attempts.get_mut(usize::from(attempt))
    }

    /// Closes an attempt once; its channel is the caller's to give back.
    pub(crate) fn close_attempt(
        &mut self,
        attempt: u16,
        at_us: i64,
        status: Option<u16>,
        cause: Cause,
    ) -> Option<u32> {
        // A BYE may overtake the 2xx on the way here: nothing ends before it was answered.
        let at_us = self
            .attempts
            .get(usize::from(attempt))?
            .answered_us
            .map_or(at_us, |answered| answered.max(at_us));
        let wall = self.wall(at_us);
        let state = self.attempts.get_mut(usize::from(attempt))?;
        if state.closed {
            return None;
        }
        state.closed = true;
        state.record.ended_us = Some(wall);
        state.record.cause = cause;
        if let Some(status) = status {
            state.record.status = status;
        }
        if let Some(answered) = state.answered_us {
            state.record.duration_us = u64::try_from(at_us - answered).unwrap_or(0);
        }
        state.channel.take()
    }

    /// Notes the side that ended the call, the first time.
    pub(crate) fn ended_by(&mut self, side: EndedBy) {
        self.cdr.ended_by.get_or_insert(side);
    }
}

/// All calls of a lane.
#[derive(Default)]
pub(crate) struct Calls {
    by_id: HashMap<Uuid, Box<Call>, foldhash::fast::RandomState>,
    /// By Call-ID and the caller's tag: more than one only where a call comes through here again.
    by_caller: HashMap<u64, SmallVec<[Uuid; 1]>, foldhash::fast::RandomState>,
    hasher: foldhash::quality::RandomState,
    /// Those closed because a session expired: their user agents may still have something to say.
    lapsed: Remembered,
    /// Those whose end was heard of when they were not in the table.
    ended_alone: Remembered,
}

/// Calls that are no longer in the table.
#[derive(Default)]
struct Remembered {
    ids: HashSet<Uuid, foldhash::fast::RandomState>,
    oldest_first: VecDeque<Uuid>,
}

/// Such calls remembered, at most; the oldest is forgotten first.
const REMEMBERED_MAX: usize = 65_536;

impl Remembered {
    /// Adds a call; false when it is known.
    fn insert(&mut self, id: Uuid) -> bool {
        let new = self.ids.insert(id);
        if new {
            self.oldest_first.push_back(id);
        }
        if self.oldest_first.len() > REMEMBERED_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.ids.remove(&oldest);
        }
        new
    }
}

impl Calls {
    /// Remembers that this call was closed by the expiry of a session, so that its late requests pass.
    pub(crate) fn note_lapsed(&mut self, id: Uuid) {
        self.lapsed.insert(id);
    }

    /// Remembers that somebody ended a call that is not in the table; true the first time.
    pub(crate) fn note_ended_alone(&mut self, id: Uuid) -> bool {
        self.ended_alone.insert(id)
    }

    /// Whether this call was closed by the expiry of a session.
    pub(crate) fn is_lapsed(&self, id: Uuid) -> bool {
        self.lapsed.ids.contains(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn insert(&mut self, call: Box<Call>) {
        let hash = self.hash(&call.call_id, &call.caller.tag);
        self.by_caller
            .entry(hash)
            .or_default()
            .push(call.cdr.cdr_id);
        self.by_id.insert(call.cdr.cdr_id, call);
    }

    pub(crate) fn at(&self, id: Uuid) -> Option<&Call> {
        self.by_id.get(&id).map(|call| &**call)
    }

    pub(crate) fn at_mut(&mut self, id: Uuid) -> Option<&mut Call> {
        self.by_id.get_mut(&id).map(|call| &mut **call)
    }

    pub(crate) fn remove(&mut self, id: Uuid) -> Option<Box<Call>> {
        let call = self.by_id.remove(&id)?;
        let hash = self.hash(&call.call_id, &call.caller.tag);
        if let Some(ids) = self.by_caller.get_mut(&hash) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_caller.remove(&hash);
            }
        }
        Some(call)
    }

    fn hash(&self, call_id: &[u8], caller_tag: &[u8]) -> u64 {
        self.hasher.hash_one((call_id, caller_tag))
    }

    fn of_caller(&self, call_id: &[u8], caller_tag: &[u8]) -> &[Uuid] {
        let ids = self.by_caller.get(&self.hash(call_id, caller_tag));
        ids.map_or(&[], SmallVec::as_slice)
    }

    /// Whether a caller has as many calls with one Call-ID and one tag as may be.
    pub(crate) fn has_too_many_of(&self, call_id: &[u8], caller_tag: &[u8]) -> bool {
        self.of_caller(call_id, caller_tag).len() >= PASSES_MAX
    }

    /// The calls and dialogs that Call-ID and tags name: one, or two of a spiral.
    pub(crate) fn find(
        &self,
        call_id: &[u8],
        from_tag: &[u8],
        to_tag: &[u8],
    ) -> impl Iterator<Item = (Uuid, u8, Side)> {
        let by_caller = self.of_caller(call_id, from_tag);
        let by_callee = match from_tag == to_tag {
            true => &[],
            false => self.of_caller(call_id, to_tag),
        };
        by_caller.iter().chain(by_callee).filter_map(move |id| {
            let call = self.at(*id).filter(|call| call.call_id == call_id)?;
            let (dialog, side) = call.dialog_of(from_tag, to_tag)?;
            Some((*id, dialog, side))
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Call> {
        self.by_id.values().map(|call| &**call)
    }
}

/// Where a call stands, for a list of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// No answer yet.
    Setup,
    /// Answered.
    Up,
}

/// One line of a list of calls.
#[derive(Clone, Debug)]
pub struct CallView {
    /// The CDR's id.
    pub cdr_id: Uuid,
    /// Call-ID.
    pub call_id: String,
    /// The customer's name.
    pub customer: String,
    /// The vendor that answered, else that of the latest attempt.
    pub vendor: Option<String>,
    /// The caller's number.
    pub caller: String,
    /// The number called, as received.
    pub callee: String,
    /// Where the call came from.
    pub source: String,
    /// Where that attempt went.
    pub next_hop: Option<String>,
    /// Where it stands.
    pub state: CallState,
    /// When the INVITE came, UTC µs since 1970.
    pub setup_us: i64,
    /// Since when it has been up, µs.
    pub up_for_us: Option<u64>,
    /// When its session expires unless it is refreshed (RFC 4028), UTC µs since 1970.
    pub session_expires_us: Option<i64>,
}

impl Call {
    pub(crate) fn view(&self, now: Now) -> CallView {
        let answered = self.attempts.iter().find_map(|attempt| attempt.answered_us);
        let last = self.main_attempt();
        CallView {
            cdr_id: self.cdr.cdr_id,
            call_id: self.cdr.call_id.clone(),
            customer: self.cdr.customer.clone(),
            vendor: last.map(|attempt| attempt.record.vendor.clone()),
            caller: self.cdr.caller.clone(),
            callee: self.cdr.callee.clone(),
            source: self.cdr.source.clone(),
            next_hop: last.map(|attempt| attempt.record.next_hop.clone()),
            state: if self.has_dialog_up() {
                CallState::Up
            } else {
                CallState::Setup
            },
            setup_us: self.cdr.setup_us,
            up_for_us: answered.map(|at| u64::try_from(signed(now.mono_us) - at).unwrap_or(0)),
            session_expires_us: self.session_expires_us(),
        }
    }
}

/// Whether `ip` is where this leg's peer was last heard.
pub(crate) fn is_leg_source(leg: &Leg, ip: IpAddr) -> bool {
    leg.flow.remote.ip().to_canonical() == ip.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_calls_whose_session_expired_the_oldest_is_forgotten_first() {
        let mut calls = Calls::default();
        let id = |number: usize| Uuid::from_u128(number as u128);
        for number in 0..=REMEMBERED_MAX {
            calls.note_lapsed(id(number));
            calls.note_lapsed(id(number));
        }
        assert!(!calls.is_lapsed(id(0)));
        assert!(calls.is_lapsed(id(1)) && calls.is_lapsed(id(REMEMBERED_MAX)));
        assert_eq!(calls.lapsed.ids.len(), REMEMBERED_MAX);
        assert_eq!(calls.lapsed.oldest_first.len(), REMEMBERED_MAX);
    }
}

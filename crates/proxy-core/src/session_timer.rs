//! Session timers as a proxy takes part in them: RFC 4028 §8.
//!
//! A request that begins or refreshes a session is given an interval, or its own is corrected or refused (§8.1); the 2xx
//! tells when the session expires (§8.2); a session that nobody refreshed is closed, without a word to anybody (§8.3)
//! unless one end alone watches it.
//! Left out: refreshing, which is for the user agents alone.

use crate::{
    calls::{Call, Dialog, DialogState, Session, signed},
    config::{SessionExpiry, SessionTimerPolicy},
    context::{ContextRef, Kind},
    cookie::Side,
    core::ProxyCore,
    output::{Now, Output},
    reply::Reject,
    stats::Stat,
    timers::CoreTimer,
};
use accounting::{Cause, EndedBy, SessionEnd};
use sip_parser::{Edits, KnownHeader, Message, Method, parse_datagram, write_message};
use smallvec::SmallVec;
use std::{io::Write as _, mem};
use transaction_layer::TimerId;
use uuid::Uuid;

/// The least that a session interval may ever be, and Min-SE where none is given (RFC 4028 §5), seconds.
pub(crate) const MIN_SE_S: u32 = 90;

/// Requests of a dialog that its session waits for, at most; of more, the oldest is forgotten.
const DECIDING_MAX: usize = 16;

/// How late a timer may be that was not put off, µs.
const ON_TIME_US: i64 = 1_000_000;

/// What must be remembered of a session refresh request for as long as its transaction lasts (§8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionAsk {
    /// Session-Expires of the request as it is forwarded, seconds; `None` when no session timer is asked for.
    interval_s: Option<u32>,
    /// The Min-SE to write into the request, seconds; `None` leaves it as it came.
    min_se_s: Option<u32>,
    /// Whether the request says `Supported: timer`.
    uac_supports: bool,
}

/// Why a session refresh request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The header does not read.
    Malformed(&'static str),
    /// The interval is below this one, seconds, and the sender knows what to do about it.
    TooSmall(u32),
}

impl SessionAsk {
    /// What `request` asks for, and what is made of it.
    fn of(request: &Message<'_>, policy: &SessionTimerPolicy) -> Result<Self, Fault> {
        let seconds = |header: KnownHeader, fault: &'static str| {
            let mut fields = request.headers_named(header);
            let Some(field) = fields.next() else {
                return Ok(None);
            };
            match (delta_seconds(field.value), fields.next()) {
                (Some((seconds, _)), None) => Ok(Some(seconds)),
                _ => Err(Fault::Malformed(fault)),
            }
        };
        let asked_s = seconds(
            KnownHeader::SessionExpires,
            "Malformed Session-Expires Header",
        )?;
        let min_se_s = seconds(KnownHeader::MinSe, "Malformed Min-SE Header")?;
        let uac_supports = has_timer(request.supported());
        //= RFC 4028 §5: without Min-SE the least is 90, and none is below
        let least_s = min_se_s.unwrap_or(MIN_SE_S).max(MIN_SE_S);
        let wanted_s = (policy.session_expires_s > 0).then_some(policy.session_expires_s);
        if asked_s.or(wanted_s).is_none() {
            return Ok(Self {
                uac_supports,
                ..Self::default()
            });
        }
        let mut ask = Self {
            interval_s: None,
            min_se_s: None,
            uac_supports,
        };
        let Some(asked_s) = asked_s else {
            //= RFC 4028 §8.1: an interval of our own goes in where there is none, never below the request's Min-SE and
            //=   without a refresher
            ask.interval_s = wanted_s.map(|wanted_s| wanted_s.max(least_s));
            return Ok(ask);
        };
        if asked_s < policy.min_se_s {
            if uac_supports {
                //= RFC 4028 §6: an interval below our least is answered 422 with Min-SE, if the sender supports timers
                return Err(Fault::TooSmall(policy.min_se_s));
            }
            // To refuse would only lose the call: who sent it does not know what a 422 is.
            let min_se_s = least_s.max(policy.min_se_s);
            ask.min_se_s = Some(min_se_s);
            ask.interval_s = Some(min_se_s);
            return Ok(ask);
        }
        ask.interval_s = Some(match wanted_s {
            // Its own Min-SE is above it: raised to that, with or without support.
            _ if asked_s < least_s => least_s,
            Some(wanted_s) if asked_s > wanted_s => wanted_s.max(least_s).min(asked_s),
            _ => asked_s,
        });
        Ok(ask)
    }

    /// Writes what was decided into the request: the digits of the headers that are there, or whole lines.
    pub(crate) fn edit(&self, request: &Message<'_>, edits: &mut Edits) {
        let pairs = [
            (KnownHeader::SessionExpires, self.interval_s),
            (KnownHeader::MinSe, self.min_se_s),
        ];
        for (header, seconds) in pairs {
            let Some(seconds) = seconds else { continue };
            let mut text = SmallVec::<[u8; 16]>::new();
            let _ = write!(text, "{seconds}");
            let field = request.header(header);
            match field.and_then(|field| Some((delta_seconds(field.value)?, field))) {
                Some(((same, _), _)) if same == seconds => {}
                //= RFC 4028 §8.1: the interval is lowered or raised, its refresher parameter stays as it came
                Some(((_, digits), field)) => {
                    let start = field.value_range.start;
                    edits.replace(start..start + digits, &text);
                }
                None => edits.add_header(request, header.name().as_bytes(), &text),
            }
        }
    }

    /// The interval of the session that a 2xx begins or renews, seconds, once it goes upstream as edited here.
    fn edit_answer(&self, response: &Message<'_>, edits: &mut Edits) -> Option<u32> {
        if let Some(field) = response.header(KnownHeader::SessionExpires) {
            //= RFC 4028 §8.2: a Session-Expires of the far side is never changed, and is what counts
            return delta_seconds(field.value).map(|(seconds, _)| seconds);
        }
        //= RFC 4028 §8.2: where only the caller's side knows timers, the proxy puts in the interval it forwarded, with
        //=   refresher=uac, and Require: timer; where neither does, there is no session expiration
        let interval_s = self.interval_s.filter(|_| self.uac_supports)?;
        let mut text = SmallVec::<[u8; 32]>::new();
        let _ = write!(text, "{interval_s};refresher=uac");
        edits.add_header(
            response,
            KnownHeader::SessionExpires.name().as_bytes(),
            &text,
        );
        match response.header(KnownHeader::Require) {
            Some(_) if has_timer(response.require()) => {}
            Some(field) if field.value.is_empty() => {
                edits.insert(field.value_range.end, b" timer");
            }
            Some(field) => edits.insert(field.value_range.end, b", timer"),
            None => edits.add_header(response, b"Require", b"timer"),
        }
        Some(interval_s)
    }
}

//= RFC 4028 §4: delta-seconds, then parameters that are none of a proxy's business
/// Seconds and the length of their digits, of `delta-seconds *(SEMI param)` (RFC 4028 §4, §5). Too many for 32 bits
/// are the most that fit (RFC 3261 §20.19 has no more).
fn delta_seconds(value: &[u8]) -> Option<(u32, usize)> {
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let rest = value.get(digits..)?.trim_ascii_start();
    if digits == 0 || !(rest.is_empty() || rest.starts_with(b";")) {
        return None;
    }
    let seconds = value.iter().take(digits).fold(0_u32, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'))
    });
    Some((seconds, digits))
}

fn has_timer<'m>(mut tokens: impl Iterator<Item = &'m [u8]>) -> bool {
    tokens.any(|token| token.eq_ignore_ascii_case(b"timer"))
}

impl ProxyCore {
    /// What a request asks of session timers; nothing, if its method begins or refreshes no session.
    pub(crate) fn session_ask(&self, request: &Message<'_>) -> Result<SessionAsk, Reject> {
        if !matches!(request.method(), Method::Invite | Method::Update) {
            return Ok(SessionAsk::default());
        }
        SessionAsk::of(request, &self.config.policy.session_timer).map_err(|fault| match fault {
            Fault::Malformed(reason) => {
                let mut reject = Reject::new(400, Cause::BadRequest);
                reject.reason = Some(reason);
                reject
            }
            Fault::TooSmall(min_se_s) => {
                let mut reject = Reject::new(422, Cause::SessionInterval);
                reject.header = Some((b"Min-SE", min_se_s.to_string().into_bytes()));
                reject
            }
        })
    }

    /// A response as it goes upstream, without the Via that was ours; a 2xx with the session interval that it must have.
    pub(crate) fn answer_for_upstream(
        &mut self,
        name: ContextRef,
        response: &Message<'_>,
    ) -> Vec<u8> {
        let mut bytes = self.buffer();
        self.edits.clear();
        self.edits.spell_version(response);
        self.edits.remove_top_via(response);
        if let Some(context) = self
            .contexts
            .at(name)
            .filter(|_| (200..300).contains(&response.status()))
        {
            context.session.edit_answer(response, &mut self.edits);
        }
        write_message(response, &self.edits, &mut bytes);
        bytes
    }

    /// A 2xx begins or renews the session of a dialog, or ends its timer.
    pub(crate) fn renew_session(
        &mut self,
        now: Now,
        name: ContextRef,
        (id, dialog): (Uuid, u8),
        response: &Message<'_>,
    ) {
        let Some(context) = self.contexts.at(name) else {
            return;
        };
        if !matches!(context.kind, Kind::Invite | Kind::Update) {
            return;
        }
        //= RFC 4028 §7.2: a 2xx without Session-Expires turns the timer off, in mid-dialog too
        let interval_s = context.session.edit_answer(response, &mut Edits::new());
        // An interval is of both ends when the one has said that it knows timers and the other has named it.
        let agreed =
            context.session.uac_supports && response.header(KnownHeader::SessionExpires).is_some();
        //= RFC 4028 §8.2: the session expires its interval after the 2xx went upstream, each dialog by itself
        let expires_us = interval_s.map(|interval_s| {
            //= RFC 4028 §5: no interval is below 90 s; one that is would close the record of a call that goes on
            let interval_us = u64::from(interval_s.max(MIN_SE_S)) * 1_000_000;
            signed(now.mono_us.saturating_add(interval_us))
        });
        self.set_session(
            now,
            id,
            dialog,
            expires_us.map(|expires_us| (expires_us, agreed)),
            expires_us,
        );
    }

    /// A 2xx to an INVITE has made this dialog.
    pub(crate) fn begin_session(
        &mut self,
        now: Now,
        name: ContextRef,
        id: Uuid,
        response: &Message<'_>,
    ) {
        let tag = response.to_tag().unwrap_or_default();
        let dialog = self.calls.at(id).and_then(|call| {
            let at = |dialog: &Dialog| dialog.callee.tag == tag;
            u8::try_from(call.dialogs.iter().position(at)?).ok()
        });
        if let Some(dialog) = dialog {
            self.renew_session(now, name, (id, dialog), response);
        }
    }

    /// A dialog of the journal had a session that ends then.
    pub(crate) fn restore_session(&mut self, now: Now, id: Uuid, dialog: u8, end: SessionEnd) {
        let Some(expires_wall_us) = end.expires_us() else {
            return;
        };
        let agreed = matches!(end, SessionEnd::Agreed(_));
        let expires_us = signed(now.mono_us).saturating_add(expires_wall_us - now.wall_us);
        // A refresh may be under way that found nobody here: it is sent again until Timer F.
        let patience_us = signed(now.mono_us.saturating_add(self.patience_us()));
        let due_us = expires_us.max(patience_us);
        self.set_session(now, id, dialog, Some((expires_us, agreed)), Some(due_us));
    }

    /// How long the outcome of a refresh may take: 64·T1.
    fn patience_us(&self) -> u64 {
        self.config.timers.t1_times_64_us()
    }

    fn set_session(
        &mut self,
        now: Now,
        id: Uuid,
        dialog: u8,
        end: Option<(i64, bool)>,
        due_us: Option<i64>,
    ) {
        let Some(state) = self
            .calls
            .at_mut(id)
            .and_then(|call| call.dialogs.get_mut(usize::from(dialog)))
            .filter(|state| state.state == DialogState::Up)
        else {
            return;
        };
        if let Some(old) = state.session.take() {
            self.wheel.cancel(old.timer);
        }
        if let (Some((expires_us, agreed)), Some(due_us)) = (end, due_us) {
            let due_us = u64::try_from(due_us).unwrap_or(0).max(now.mono_us);
            let timer = CoreTimer::Session(id, dialog);
            let timer = self.wheel.insert(now.mono_us, due_us, timer);
            state.session = Some(Session {
                expires_us,
                agreed,
                timer,
            });
        }
    }

    /// Nobody has refreshed a session in time, as far as is known.
    pub(crate) fn on_session_timer(&mut self, now: Now, id: Uuid, dialog: u8, out: &mut Output) {
        let contexts = &self.contexts;
        let Some(state) = self
            .calls
            .at_mut(id)
            .and_then(|call| call.dialogs.get_mut(usize::from(dialog)))
        else {
            return;
        };
        let Some(session) = state.session.take() else {
            return;
        };
        let under_way = |name: &ContextRef| {
            contexts
                .at(*name)
                .is_some_and(|context| context.final_sent.is_none())
        };
        if state.deciding.iter().any(under_way) {
            // The 2xx of a refresh would renew the session, a BYE has ended it already: the outcome is awaited.
            let due_us = signed(now.mono_us.saturating_add(self.patience_us()));
            let end = (session.expires_us, session.agreed);
            return self.set_session(now, id, dialog, Some(end), Some(due_us));
        }
        self.expire_session(now, id, dialog, &session, out);
    }

    /// Closes a dialog whose session has expired; the call's record, with its last one.
    fn expire_session(
        &mut self,
        now: Now,
        id: Uuid,
        dialog: u8,
        session: &Session,
        out: &mut Output,
    ) {
        self.stats.count(Stat::SessionsExpired);
        let mut end_us = session.expires_us;
        if !session.agreed || self.config.policy.session_timer.on_expiry == SessionExpiry::Bye {
            //= departs RFC 4028 §8.3: a session that one end alone watches, and with `on_expiry = "bye"` any, ends with a BYE
            //=   of our own to both sides; because the end that ignores it would stop the meter and talk on
            let late_us = signed(now.mono_us).saturating_sub(end_us);
            if late_us > ON_TIME_US {
                // It was put off, and they could talk until now.
                end_us = signed(now.mono_us);
            }
            self.send_own_bye(now, id, dialog, Side::Caller, out);
            self.send_own_bye(now, id, dialog, Side::Callee, out);
        }
        //= RFC 4028 §8.3: the state of an expired session and what it held are given back, and no BYE is sent
        if let Some(call) = self.calls.at_mut(id) {
            call.note_session_expired(dialog);
        }
        self.end_dialog(now, id, dialog, EndedBy::Proxy, end_us, out);
    }

    /// A request within a dialog may renew or end its session.
    pub(crate) fn note_deciding(&mut self, id: Uuid, dialog: u8, name: ContextRef) {
        let contexts = &self.contexts;
        let Some(state) = self
            .calls
            .at_mut(id)
            .and_then(|call| call.dialogs.get_mut(usize::from(dialog)))
        else {
            return;
        };
        let deciding = &mut state.deciding;
        deciding.retain(|other| {
            contexts
                .at(*other)
                .is_some_and(|context| context.final_sent.is_none())
        });
        if deciding.len() == DECIDING_MAX {
            deciding.remove(0);
        }
        deciding.push(name);
    }

    /// Answers a request within a dialog with a refusal of our own, through its transaction.
    pub(crate) fn refuse_in_dialog(
        &mut self,
        now: Now,
        name: ContextRef,
        reject: &Reject,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context.final_sent.is_some() {
            return;
        }
        context.final_sent = Some(reject.status);
        let flow = context.flow;
        let request = mem::take(&mut context.request);
        let mut table = mem::take(&mut self.inner_table);
        let mut bytes = self.buffer();
        if let Ok(message) = parse_datagram(&request, &mut table) {
            self.write_refusal(&message, &flow, reject, &mut bytes);
            self.send_upstream(now, name, reject.status, &bytes, out);
        }
        self.inner_table = table;
        self.recycle(bytes);
        self.recycle(request);
        self.release_context(name);
    }
}

impl Call {
    /// Marks what the end of this dialog means: the attempt and the call, as far as nobody else goes on.
    fn note_session_expired(&mut self, dialog: u8) {
        let Some(lapsed) = self.dialogs.get_mut(usize::from(dialog)) else {
            return;
        };
        lapsed.lapsed = true;
        let attempts: SmallVec<[u16; 2]> = std::iter::once(lapsed.attempt)
            .chain(lapsed.twins.clone())
            .collect();
        for attempt in attempts {
            let goes_on = self.dialogs.iter().enumerate().any(|(at, other)| {
                let bills = other.attempt == attempt || other.twins.contains(&attempt);
                at != usize::from(dialog) && other.state == DialogState::Up && bills
            });
            if !goes_on && let Some(attempt) = self.attempt_mut(attempt) {
                attempt.record.cause = Cause::SessionExpired;
            }
        }
        if self.is_customers_last(dialog) {
            self.cdr.cause = Cause::SessionExpired;
        }
    }

    /// When the session of this dialog of it expires, for the journal.
    pub(crate) fn session_end(&self, dialog: &Dialog) -> SessionEnd {
        match &dialog.session {
            None => SessionEnd::Never,
            Some(session) if session.agreed => SessionEnd::Agreed(self.wall(session.expires_us)),
            Some(session) => SessionEnd::OneSided(self.wall(session.expires_us)),
        }
    }

    /// When the first of its sessions expires, UTC µs since 1970.
    pub(crate) fn session_expires_us(&self) -> Option<i64> {
        let sessions = self
            .dialogs
            .iter()
            .filter_map(|dialog| dialog.session.as_ref());
        let first = sessions.map(|session| session.expires_us).min()?;
        Some(self.wall(first))
    }

    /// The timers of its sessions, which end with it.
    pub(crate) fn take_session_timers(&mut self) -> impl Iterator<Item = TimerId> {
        let sessions = self
            .dialogs
            .iter_mut()
            .filter_map(|dialog| dialog.session.take());
        sessions.map(|session| session.timer)
    }
}

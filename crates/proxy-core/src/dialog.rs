//! Requests within a dialog: whose they are, whether they may pass, and what they change.
//!
//! A known call decides: tags must match, the source must be one of its two trunks, CSeq must rise, and the request
//! goes to the stored route set or remote target, wherever the message itself would lead. A valid cookie without a
//! call authorises forwarding and nothing else. All else is 481, and an unknown ACK is dropped.

use crate::{
    calls::{Call, DialogState, Held, Leg, is_leg_source, signed},
    config::{Durability, UnknownDialog},
    context::{BranchRef, BranchState, ContextRef, Kind, Role},
    cookie::{self, Cookie, Side},
    core::ProxyCore,
    forward::NextHop,
    output::{JobKind, Now, Output},
    park::Parked,
    reply::Reject,
    stats::Stat,
};
use accounting::{Cause, EndedBy, Record, Updated};
use sip_parser::{ContactValue, Edits, Message, Method, Uri, parse_datagram};
use std::mem;
use transaction_layer::{Flow, Transport};
use uuid::Uuid;

/// Who speaks for a request within a dialog.
enum Standing {
    /// A call of ours: its id, the dialog, the side that sends, and whether it may.
    Known(Uuid, u8, Side, bool),
    /// A valid cookie, without the call.
    Cookie(Cookie, Side),
    Unknown,
}

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

fn ended_by(side: Side) -> EndedBy {
    match side {
        Side::Caller => EndedBy::Caller,
        Side::Callee => EndedBy::Callee,
    }
}

impl ProxyCore {
    /// Finds who speaks for a request: the cookie in the topmost Route, or Call-ID and tags.
    ///
    /// The cookie comes first, since a spiral makes two calls with one Call-ID and one pair of tags. Without it, the
    /// call of the two that the source may speak in is meant.
    fn standing(&self, now: Now, request: &Message<'_>, flow: &Flow) -> Standing {
        let (from_tag, to_tag) = (
            request.from_tag().unwrap_or_default(),
            request.to_tag().unwrap_or_default(),
        );
        let cookie = self.cookie_of(now, request);
        if let Some((cookie, _)) = &cookie
            && let Some(call) = self.calls.at(cookie.cdr_id)
        {
            return match call.dialog_of(from_tag, to_tag) {
                Some((dialog, side)) => {
                    let may = self.may_speak(call, dialog, side, flow)
                        // A spiral's second pass comes from ourselves.
                        || self.own.is_address(flow.remote.ip());
                    Standing::Known(cookie.cdr_id, dialog, side, may)
                }
                // The call is here but the tags are not of any of its dialogs.
                None => Standing::Unknown,
            };
        }
        let mut known = Standing::Unknown;
        for (id, dialog, side) in self.calls.find(request.call_id(), from_tag, to_tag) {
            let may = self
                .calls
                .at(id)
                .is_some_and(|call| self.may_speak(call, dialog, side, flow));
            known = Standing::Known(id, dialog, side, may);
            if may {
                break;
            }
        }
        match (known, cookie) {
            (known @ Standing::Known(..), _) => known,
            // Of this boot and node, but not in the table: the call is over, and its cookie with it.
            (_, Some((cookie, _)))
                if cookie.boot == self.config.boot && cookie.node == self.own.node =>
            {
                Standing::Unknown
            }
            (_, Some((cookie, side))) => Standing::Cookie(cookie, side),
            _ => Standing::Unknown,
        }
    }

    fn cookie_of(&self, now: Now, request: &Message<'_>) -> Option<(Cookie, Side)> {
        let route = request.routes().next()?.ok()?;
        let found = self.cookie_in(route.uri, request)?;
        (i64::from(found.0.expires_s) * 1_000_000 > now.wall_us).then_some(found)
    }

    /// The valid cookie of a URI in `message`, expired or not.
    pub(crate) fn cookie_in(&self, uri: &[u8], message: &Message<'_>) -> Option<(Cookie, Side)> {
        let Ok(Uri::Sip(uri)) = Uri::parse(uri) else {
            return None;
        };
        let text = uri.params.get(cookie::PARAM)?;
        self.keys.open(
            text,
            message.call_id(),
            message.from_tag(),
            message.to_tag(),
        )
    }

    /// Whether the source is the trunk of the side that the tags say it is.
    fn may_speak(&self, call: &Call, dialog: u8, side: Side, flow: &Flow) -> bool {
        let ip = flow.remote.ip();
        let trunk = match side {
            Side::Caller => Some(call.customer_trunk),
            Side::Callee => call
                .dialogs
                .get(usize::from(dialog))
                .and_then(|dialog| call.attempts.get(usize::from(dialog.attempt)))
                .map(|attempt| attempt.vendor_trunk),
        };
        call.leg(dialog, side)
            .is_some_and(|leg| is_leg_source(leg, ip))
            || trunk.is_some_and(|trunk| self.trunk_owns(trunk, ip))
    }

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
                if request.method() != Method::Invite
                    && self.trunk_owns(cookie.trunk_of(side), flow.remote.ip())
                {
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
        if call
            .dialogs
            .get(usize::from(dialog))
            .is_none_or(|dialog| dialog.state == DialogState::Ended)
        {
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
            // RFC 3261 §12.2.2: a CSeq that does not rise is answered 500; through the transaction, because the ACK of
            // an INVITE's refusal must end here.
            self.stats.refuse(Cause::CseqOrder);
            return self.finish_in_dialog_here(now, context, 500, out);
        }
        if let Some(leg) = self
            .calls
            .at_mut(id)
            .and_then(|call| call.leg_mut(dialog, side))
        {
            leg.cseq = Some(number);
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
        let Some(call) = self.calls.at(id) else {
            return self.finish_in_dialog_here(now, name, 481, out);
        };
        if context.cancelled {
            return self.finish_in_dialog_here(now, name, 487, out);
        }
        let Some(leg) = call.leg(dialog, from.other()) else {
            return;
        };
        match self.leg_hop(now, leg) {
            Ok(flow) => {
                self.send_branch(now, name, 0, 0, flow, out);
            }
            Err(Some(kind)) => {
                let patience_us = self.config.policy.resolve_deadline_us;
                self.park_call(now, id, Held::Request(name), kind, patience_us, out);
            }
            Err(None) => self.on_dialog_silence_of(now, name, 503, out),
        }
    }

    /// The flow toward a leg: its first route, else its remote target. `Err` holds the question to ask first, if any.
    ///
    /// A name that does not resolve leads to where the leg was last heard, which RFC 3263 does not know: a resolver
    /// that is down must not leave a call that one side cannot end.
    pub(crate) fn leg_hop(&self, now: Now, leg: &Leg) -> Result<Flow, Option<JobKind>> {
        let route = leg
            .routes
            .first()
            .and_then(|route| sip_parser::NameAddr::parse(route).ok());
        let uri = route.map_or(leg.target.as_slice(), |route| route.uri);
        match self.uri_hop(now, uri, leg.flow.listener) {
            Err(None) => self.flow_to(leg.flow.remote, leg.flow.listener).ok_or(None),
            found => found,
        }
    }

    fn uri_hop(&self, now: Now, uri: &[u8], listener: u16) -> Result<Flow, Option<JobKind>> {
        let Ok(Uri::Sip(uri)) = Uri::parse(uri) else {
            return Err(None);
        };
        // RFC 3261 §16.6(7), RFC 3263 §4: maddr takes the place of the host.
        let maddr = uri.params.get(b"maddr").and_then(sip_parser::Host::parse);
        let host = maddr.unwrap_or(uri.host);
        match self.next_hop(now, &host, uri.port, Transport::Udp) {
            NextHop::Address(address) => self.flow_to(address, listener).ok_or(None),
            NextHop::Unresolvable => Err(None),
            NextHop::Ask(kind) => Err(Some(kind)),
        }
    }

    /// The ACK of a 2xx (or of nothing): forwarded without state (RFC 3261 §13.2.2.4, §16.11).
    pub(crate) fn on_ack(&mut self, now: Now, ack: &Message<'_>, flow: &Flow, out: &mut Output) {
        if matches!(ack.max_forwards(), Ok(Some(0))) {
            return self.stats.count(Stat::AcksDropped);
        }
        match self.standing(now, ack, flow) {
            Standing::Known(id, dialog, side, true) => {
                self.stats.count(Stat::AcksForwarded);
                if side == Side::Caller
                    && let Some(call) = self.calls.at_mut(id)
                {
                    call.note_acknowledged(dialog);
                }
                if self.calls.at(id).is_some_and(|call| call.gate.is_some()) {
                    let bytes = ack.bytes().to_vec();
                    let _ = self.hold(id, Held::Ack { bytes, flow: *flow });
                } else {
                    self.forward_ack(now, id, dialog, side, ack, flow, out);
                }
            }
            Standing::Cookie(cookie, side)
                if self.trunk_owns(cookie.trunk_of(side), flow.remote.ip()) =>
            {
                self.stats.count(Stat::AcksForwarded);
                let toward = Some(cookie.trunk_of(side.other()));
                self.forward_passing_ack(now, ack, flow, toward, true, out);
            }
            Standing::Unknown if ack.to_tag() == Some(&self.stateless_tag(ack)[..]) => {
                // It answers a refusal that was made without state.
                self.stats.count(Stat::AcksAbsorbed);
            }
            Standing::Unknown if self.config.policy.unknown_dialog == UnknownDialog::Forward => {
                self.stats.count(Stat::AcksForwarded);
                self.forward_passing_ack(now, ack, flow, None, true, out);
            }
            _ => self.stats.count(Stat::AcksDropped),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what names the leg, and what is sent"
    )]
    fn forward_ack(
        &mut self,
        now: Now,
        id: Uuid,
        dialog: u8,
        side: Side,
        ack: &Message<'_>,
        flow: &Flow,
        out: &mut Output,
    ) {
        let branch = self.branches.next();
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
                edits.set_request_uri(ack, &leg.target);
                let routes: smallvec::SmallVec<[&[u8]; 4]> =
                    leg.routes.iter().map(Vec::as_slice).collect();
                edits.set_routes(ack, &routes);
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

    /// Where a request that no call of ours stands behind says it wants to go.
    fn passing_hop(
        &self,
        now: Now,
        request: &Message<'_>,
        listener: u16,
    ) -> Result<Flow, Option<JobKind>> {
        let route = request
            .routes()
            .flatten()
            .find(|route| !self.own.is_uri(route.uri));
        let uri = route.map_or(request.request_uri(), |route| route.uri);
        if self.own.is_uri(uri) {
            return Err(None);
        }
        self.uri_hop(now, uri, listener)
    }

    fn forward_passing_ack(
        &mut self,
        now: Now,
        ack: &Message<'_>,
        flow: &Flow,
        toward: Option<u64>,
        may_wait: bool,
        out: &mut Output,
    ) {
        match self.passing_hop(now, ack, flow.listener) {
            Ok(to) if toward.is_some_and(|trunk| !self.trunk_owns(trunk, to.remote.ip())) => {
                self.stats.count(Stat::NextHopUnknown);
            }
            Ok(to) => {
                let branch = self.branches.next();
                let mut edits = Edits::new();
                self.edit_hop(ack, flow, &to, &branch, &mut edits);
                self.strip_own_routes(ack, &mut edits);
                out.outbox
                    .push_with(&to, |bytes| sip_parser::write_message(ack, &edits, bytes));
            }
            Err(Some(kind)) if may_wait => {
                let parked = Parked::Ack {
                    bytes: ack.bytes().to_vec(),
                    flow: *flow,
                    toward,
                };
                self.park(
                    now,
                    parked,
                    kind,
                    self.config.policy.resolve_deadline_us,
                    out,
                );
            }
            Err(_) => self.stats.count(Stat::NextHopUnknown),
        }
    }

    pub(crate) fn resume_passing_ack(
        &mut self,
        now: Now,
        bytes: &[u8],
        flow: &Flow,
        toward: Option<u64>,
        out: &mut Output,
    ) {
        let mut table = mem::take(&mut self.inner_table);
        if let Ok(ack) = parse_datagram(bytes, &mut table) {
            self.forward_passing_ack(now, &ack, flow, toward, false, out);
        }
        self.inner_table = table;
    }

    fn open_passing(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        cookie: Option<(Cookie, Side)>,
        out: &mut Output,
    ) {
        match self.open_context(now, request, flow, Role::Passing { cookie }, out) {
            Some(context) => self.forward_passing(now, context, out),
            None => {
                self.stats.count(Stat::TablesFull);
                self.refuse(
                    now,
                    request,
                    flow,
                    &Reject::new(503, Cause::Overload),
                    None,
                    out,
                );
            }
        }
    }

    /// Sends a request on by its own Route and request URI.
    pub(crate) fn forward_passing(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        let listener = context.flow.listener;
        // The cookie authorises the way between its two trunks, and no other.
        let toward = match &context.role {
            Role::Passing {
                cookie: Some((cookie, side)),
            } => Some(cookie.trunk_of(side.other())),
            _ => None,
        };
        let request = mem::take(&mut context.request);
        let mut table = mem::take(&mut self.inner_table);
        let hop = match parse_datagram(&request, &mut table) {
            Ok(message) => self.passing_hop(now, &message, listener),
            Err(_) => Err(None),
        };
        self.inner_table = table;
        if let Some(context) = self.contexts.at_mut(name) {
            context.request = request;
        }
        match hop {
            Ok(flow) if toward.is_some_and(|trunk| !self.trunk_owns(trunk, flow.remote.ip())) => {
                self.stats.refuse(Cause::PreloadedRoute);
                self.finish_in_dialog_here(now, name, 403, out);
            }
            Ok(flow) => self.send_branch(now, name, 0, 0, flow, out),
            Err(Some(kind)) => {
                let job = self.park(
                    now,
                    Parked::Context(name),
                    kind,
                    self.config.policy.resolve_deadline_us,
                    out,
                );
                if let Some(context) = self.contexts.at_mut(name) {
                    context.parked = Some(job);
                }
            }
            Err(None) => self.finish_in_dialog_here(now, name, 481, out),
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
        let bytes = self.without_via(response);
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
        context.final_sent = Some(status);
        if context.kind != Kind::Bye {
            self.refresh_targets(name.context, status, response, out);
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
    fn drop_request(&mut self, name: ContextRef) {
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
        // §16.9: no way to the next hop counts as its 503, which upstream hears as 500.
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
        // RFC 4320 §4.2: no 408 to a non-INVITE.
        if context.kind == Kind::Invite || status != 408 {
            self.respond_here(now, name, status, out);
        } else {
            let server = context.server;
            self.transactions.abandon_server(now.mono_us, server);
            self.on_server_gone(name);
        }
        self.drop_request(name);
    }

    /// What the answer to a BYE does to its dialog; true when it closed one. `None`: nobody answered.
    fn on_bye_outcome(
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
        if context.kind != Kind::Bye || !matches!(status, None | Some(200..300 | 481 | 408)) {
            return false;
        }
        let arrived_us = context.arrived_us;
        match &context.role {
            Role::InDialog { dialog, from } => {
                let (dialog, from) = (*dialog, *from);
                let Some(id) = context.call else { return false };
                let mut table = mem::take(&mut self.inner_table);
                if let Ok(bye) = parse_datagram(&context.request, &mut table)
                    && let Some(call) = self.calls.at_mut(id)
                {
                    call.note_reason(&bye);
                }
                self.inner_table = table;
                if matches!(status, None | Some(408)) {
                    // Whoever made the BYE also chose its size and headers: perhaps such that it never arrived. A plain
                    // one of our own follows, so that the call does not outlive its meter.
                    self.send_own_bye(now, id, dialog, from.other(), out);
                }
                self.end_dialog(now, id, dialog, ended_by(from), signed(arrived_us), out)
            }
            Role::Passing {
                cookie: Some((cookie, side)),
            } => {
                out.records.push(Record::EndedAlone {
                    cdr_id: cookie.cdr_id,
                    node: self.config.node.clone(),
                    at_us: now.wall_us - (signed(now.mono_us) - signed(arrived_us)),
                    ended_by: ended_by(*side),
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
        let attempt = state.attempt;
        let goes_on = call
            .dialogs
            .iter()
            .find(|other| other.state == DialogState::Up && other.attempt == attempt);
        if let Some(tag) = goes_on.map(|other| other.callee.tag.clone()) {
            // Endpoints behind one vendor are one attempt, which the journal knows by its latest dialog.
            let answered = Self::answered_call(call, &tag, self.config.policy.max_call_us);
            out.records
                .extend(answered.map(|call| Record::Answered(Box::new(call))));
            return true;
        }
        let cause = call
            .attempts
            .get(usize::from(attempt))
            .map_or(Cause::Answered, |attempt| attempt.record.cause);
        let channel = call.close_attempt(attempt, at_us, None, cause);
        let mut customers = None;
        if !call.has_dialog_up() {
            call.ended_by(by);
            // For the customer it is over, though a branch may still be out.
            customers = call.channel.take();
        }
        self.give_channel(channel);
        self.give_channel(customers);
        self.settle_call(now, id, out);
        // Another dialog is up, or a branch may still answer: the call goes on, but this end must outlive the process.
        let record = self
            .calls
            .at(id)
            .and_then(|call| call.attempts.get(usize::from(attempt)));
        if let Some(record) = record.map(|attempt| &attempt.record) {
            out.records.push(Record::AttemptEnded {
                cdr_id: id,
                attempt,
                ended_us: record.ended_us.unwrap_or_default(),
                duration_us: record.duration_us,
                cause,
            });
        }
        true
    }

    /// The 2xx of a re-INVITE or UPDATE renews both remote targets (RFC 3261 §12.2, RFC 3311 §5.1).
    ///
    /// Whatever the answer, the CSeq has moved, and the journal learns of it.
    fn refresh_targets(
        &mut self,
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
        }
        let Some(state) = call
            .dialogs
            .get(usize::from(dialog))
            .filter(|dialog| dialog.state == DialogState::Up)
        else {
            return;
        };
        out.records.push(Record::Updated(Updated {
            cdr_id: call.cdr.cdr_id,
            attempt: state.attempt,
            caller: Some(record_leg(&state.caller)),
            callee: Some(record_leg(&state.callee)),
        }));
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

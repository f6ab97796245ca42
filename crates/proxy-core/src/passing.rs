//! Requests of a dialog that no call here stands behind: forwarded by their own Route and request URI (RFC 3261 §16.12).
//!
//! A cookie opens the way between its two trunks and no other; without one the operator must have allowed it.

use crate::{
    context::{ContextRef, Role},
    cookie::{Cookie, Side},
    core::ProxyCore,
    fork::NewBranch,
    output::{JobKind, Now, Output},
    park::Parked,
    reply::Reject,
    stats::Stat,
};
use accounting::Cause;
use sip_parser::{Edits, Message, parse_datagram};
use std::mem;
use transaction_layer::Flow;

impl ProxyCore {
    /// Where a request that no call of ours stands behind says it wants to go.
    pub(crate) fn passing_hop(
        &self,
        now: Now,
        request: &Message<'_>,
        listener: u16,
    ) -> Result<Flow, Option<JobKind>> {
        //= RFC 3261 §16.12: without a call of ours, a request goes where its first Route but ours says, else its
        //=   Request-URI
        let uri = self.passing_uri(request);
        if self.own.is_uri(uri) {
            return Err(None);
        }
        self.uri_hop(now, uri, listener)
    }

    /// The first Route that is not ours, else the request URI.
    fn passing_uri<'m>(&self, request: &Message<'m>) -> &'m [u8] {
        let foreign = self.foreign_route(request);
        foreign.map_or(request.request_uri(), |route| route.uri)
    }

    pub(crate) fn open_passing(
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
        let (hop, leads_here) = match parse_datagram(&request, &mut table) {
            Ok(message) => (
                self.passing_hop(now, &message, listener),
                self.own.is_uri(self.passing_uri(&message)),
            ),
            Err(_) => (Err(None), false),
        };
        self.inner_table = table;
        if let Some(context) = self.contexts.at_mut(name) {
            context.request = request;
        }
        // After a restart the names of a vendor's gateways have to be asked for again.
        let hop = match (hop, toward) {
            (Ok(flow), Some(trunk)) if !self.trunk_owns(trunk, flow.remote.ip()) => {
                match self.unknown_gateway(trunk) {
                    Some(kind) => Err(Some(kind)),
                    None => Ok(flow),
                }
            }
            (hop, _) => hop,
        };
        match hop {
            Ok(flow) if toward.is_some_and(|trunk| !self.trunk_owns(trunk, flow.remote.ip())) => {
                self.stats.refuse(Cause::PreloadedRoute);
                self.finish_in_dialog_here(now, name, 403, out);
            }
            Ok(flow) => self.send_branch(now, name, NewBranch::alone(flow), out),
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
            Err(None) if leads_here => self.finish_in_dialog_here(now, name, 481, out),
            //= RFC 3261 §16.9: no way to the next hop counts as its 503, which upstream hears as 500
            Err(None) => self.finish_in_dialog_here(now, name, 500, out),
        }
    }

    pub(crate) fn forward_passing_ack(
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
                let branch = self.branches.next(&self.loop_text_of_ack(ack, flow));
                let mut edits = Edits::new();
                self.edit_hop(ack, flow, &to, &branch, &mut edits);
                crate::breadth::write_whole(ack, &mut edits);
                self.edit_own_routes(ack, &mut edits);
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
}

//! Requests of a dialog that no call here stands behind: forwarded by their own Route and request URI (RFC 3261 §16.12).
//!
//! A cookie opens the way between its two trunks and no other; without one the operator must have allowed it.

use crate::{
    ack::AckInHand,
    context::{ContextRef, Role},
    cookie::{Cookie, Side},
    core::ProxyCore,
    fork::NewBranch,
    forward::NextHop,
    output::{JobKind, Now, Output},
    park::Parked,
    reply::Reject,
    stats::Stat,
};
use accounting::Cause;
use routing::GatewayHost;
use sip_parser::{Message, parse_datagram};
use std::{mem, net::IpAddr};
use transaction_layer::{Flow, Transport};

/// Whether a cookie opens the way between two addresses.
pub(crate) enum Way {
    Open,
    Barred(Cause),
    /// A name of a gateway must be asked for first: the question, and how many names were asked for with it.
    Ask(JobKind, u16),
}

impl ProxyCore {
    /// Whether both ends of a way are the trunks of its cookie; `to` is left out while it is not known.
    ///
    /// A trunk whose gateways are names may own an address that this lane has never looked up, after a restart above all:
    /// such a name is asked for, each once, before the way is barred. The first `asked` of them were.
    pub(crate) fn way(
        &self,
        now: Now,
        (cookie, side): &(Cookie, Side),
        from: IpAddr,
        to: Option<IpAddr>,
        asked: u16,
    ) -> Way {
        let ends = [
            (Some(from), *side, Cause::ForbiddenSource),
            (to, side.other(), Cause::PreloadedRoute),
        ];
        let mut names: u16 = 0;
        for (ip, side, cause) in ends {
            let trunk = cookie.trunk_of(side);
            let owned = ip.is_none_or(|ip| self.trunk_owns(trunk, ip));
            let vendor = self.snapshot.vendor_by_trunk(routing::TrunkId(trunk));
            let gateways = vendor
                .into_iter()
                .flat_map(|vendor| self.snapshot.gateways_of(vendor));
            for (_, gateway) in gateways {
                let GatewayHost::Name { host, port } = &gateway.host else {
                    continue;
                };
                names = names.saturating_add(1);
                if !owned
                    && names > asked
                    && let NextHop::Ask(kind) =
                        self.next_hop_by_name(now, host, *port, Transport::Udp)
                {
                    return Way::Ask(kind, names);
                }
            }
            if !owned {
                return Way::Barred(cause);
            }
        }
        Way::Open
    }

    /// Where a request that no call of ours stands behind says it wants to go.
    pub(crate) fn passing_hop(
        &mut self,
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
        self.hop_of_uri(now, uri, listener)
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
        match self.open_context(now, request, flow, Role::Passing { cookie, asked: 0 }, out) {
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
        let (listener, from) = (context.flow.listener, context.flow.remote.ip());
        // The cookie authorises the way between its two trunks, and no other.
        let (cookie, asked) = match &context.role {
            Role::Passing { cookie, asked } => (*cookie, *asked),
            _ => (None, 0),
        };
        let way = |core: &Self, to: Option<IpAddr>| {
            cookie
                .as_ref()
                .map_or(Way::Open, |cookie| core.way(now, cookie, from, to, asked))
        };
        match way(self, None) {
            Way::Open => {}
            not_open => return self.stop_passing(now, name, not_open, out),
        }
        let Some(context) = self.contexts.at_mut(name) else {
            return;
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
        match hop {
            Ok(flow) => match way(self, Some(flow.remote.ip())) {
                Way::Open => self.send_branch(now, name, NewBranch::alone(flow), out),
                not_open => self.stop_passing(now, name, not_open, out),
            },
            Err(Some(kind)) => self.park_passing(now, name, kind, out),
            Err(None) if leads_here => self.finish_in_dialog_here(now, name, 481, out),
            //= RFC 3261 §16.9: no way to the next hop counts as its 503, which upstream hears as 500
            Err(None) => self.finish_in_dialog_here(now, name, 500, out),
        }
    }

    /// A request whose way is not open waits for a name, or is refused.
    fn stop_passing(&mut self, now: Now, name: ContextRef, way: Way, out: &mut Output) {
        match way {
            Way::Open => {}
            Way::Barred(cause) => {
                self.stats.refuse(cause);
                self.finish_in_dialog_here(now, name, 403, out);
            }
            Way::Ask(kind, names) => {
                if let Some(context) = self.contexts.at_mut(name)
                    && let Role::Passing { asked, .. } = &mut context.role
                {
                    *asked = names;
                }
                self.park_passing(now, name, kind, out);
            }
        }
    }

    fn park_passing(&mut self, now: Now, name: ContextRef, kind: JobKind, out: &mut Output) {
        let patience_us = self.config.policy.resolve_deadline_us;
        let job = self.park(now, Parked::Context(name), kind, patience_us, out);
        if let Some(context) = self.contexts.at_mut(name) {
            context.parked = Some(job);
        }
    }

    /// Sends an ACK on by its own Route and request URI; `asked`, how many names of gateways were asked for, is there
    /// once it has waited. `false` when it leads nowhere, which is counted.
    pub(crate) fn forward_passing_ack(
        &mut self,
        now: Now,
        hand: &AckInHand<'_>,
        cookie: Option<(Cookie, Side)>,
        asked: Option<u16>,
        out: &mut Output,
    ) -> bool {
        let (ack, flow) = (hand.ack, hand.flow);
        let from = flow.remote.ip();
        let way = |core: &Self, to: Option<IpAddr>| {
            cookie.as_ref().map_or(Way::Open, |cookie| {
                core.way(now, cookie, from, to, asked.unwrap_or(0))
            })
        };
        let hop = match way(self, None) {
            Way::Open => self.passing_hop(now, ack, flow.listener),
            not_open => return self.stop_passing_ack(now, ack, flow, cookie, not_open, out),
        };
        match hop {
            Ok(to) => match way(self, Some(to.remote.ip())) {
                Way::Open => {
                    self.push_ack(hand, &to, out, |core, edits| {
                        core.edit_own_routes(ack, edits);
                    });
                    true
                }
                not_open => self.stop_passing_ack(now, ack, flow, cookie, not_open, out),
            },
            Err(Some(kind)) if asked.is_none() => {
                self.stop_passing_ack(now, ack, flow, cookie, Way::Ask(kind, 0), out)
            }
            Err(_) => {
                self.stats.count(Stat::NextHopUnknown);
                false
            }
        }
    }

    /// An ACK whose way is not open waits for a name, or is dropped: `false`.
    fn stop_passing_ack(
        &mut self,
        now: Now,
        ack: &Message<'_>,
        flow: &Flow,
        cookie: Option<(Cookie, Side)>,
        way: Way,
        out: &mut Output,
    ) -> bool {
        let Way::Ask(kind, asked) = way else {
            self.stats.count(Stat::NextHopUnknown);
            return false;
        };
        let parked = Parked::Ack {
            bytes: ack.bytes().to_vec(),
            flow: *flow,
            cookie,
            asked,
        };
        let patience_us = self.config.policy.resolve_deadline_us;
        self.park(now, parked, kind, patience_us, out);
        true
    }

    pub(crate) fn resume_passing_ack(
        &mut self,
        now: Now,
        bytes: &[u8],
        flow: &Flow,
        cookie: Option<(Cookie, Side)>,
        asked: u16,
        out: &mut Output,
    ) {
        let mut table = mem::take(&mut self.inner_table);
        if let Ok(ack) = parse_datagram(bytes, &mut table) {
            let hand = self.ack_in_hand(&ack, flow);
            self.forward_passing_ack(now, &hand, cookie, Some(asked), out);
        }
        self.inner_table = table;
    }
}

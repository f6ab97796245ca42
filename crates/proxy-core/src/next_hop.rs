//! Where a message within a dialog goes, when a Contact or a Route of a peer says so (RFC 3261 §16.6(6), (7)).
//!
//! A peer may name any host that it likes, but not have us send to a group, to this host, or to nobody. Left out: the
//! gateways of the operator, which may be anywhere.

use crate::{
    calls::{Call, Leg},
    cookie::{self, Side},
    core::ProxyCore,
    forward::NextHop,
    output::{JobKind, Now},
    stats::Stat,
};
use sip_parser::{NameAddr, Uri};
use std::net::IpAddr;
use transaction_layer::{Flow, Transport};
use uuid::Uuid;

/// Why there is no address to send to.
pub(crate) enum NoHop {
    /// The resolver must be asked first.
    Ask(JobKind),
    /// The URI is none that we route, or its name does not resolve.
    Unknown,
    /// It leads to where a peer may not have us send.
    Refused,
}

impl ProxyCore {
    /// The flow toward one side of a dialog: its first route, else its remote target. `Err` holds the question to ask
    /// first, if any; `None` when there is no such dialog.
    ///
    /// A name that does not resolve leads to where the leg was last heard, which RFC 3263 does not know: a resolver
    /// that is down must not leave a call that one side cannot end.
    //= departs RFC 3263 §4: within a dialog, a name that does not resolve leads to where the peer was last heard;
    //=   because a dead resolver must not leave a call that one side cannot end
    //= departs RFC 3261 §16.6(6): a route or target within a dialog that is a multicast, broadcast or own address, or a loopback
    //=   one of another host, leads to where the peer was last heard; because a peer must not aim us at others
    pub(crate) fn hop_toward(
        &mut self,
        now: Now,
        id: Uuid,
        dialog: u8,
        side: Side,
    ) -> Option<Result<Flow, Option<JobKind>>> {
        let call = self.calls.at(id)?;
        let leg = call.leg(dialog, side)?;
        let uri = leg_uri(leg);
        let hop = self
            .uri_hop(now, uri, leg.flow.listener)
            .and_then(|to| self.judge(call, leg, uri, to));
        let last_heard = self.flow_to(leg.flow.remote, leg.flow.listener).ok_or(None);
        Some(match hop {
            Ok(to) => Ok(to),
            Err(NoHop::Ask(kind)) => Err(Some(kind)),
            Err(NoHop::Unknown) => last_heard,
            Err(NoHop::Refused) => {
                self.stats.count(Stat::TargetsRefused);
                last_heard
            }
        })
    }

    /// Where the peer is, we may send; else not to ourselves, unless a spiral has put a cookie of ours into the route set.
    fn judge(&self, call: &Call, leg: &Leg, uri: &[u8], to: Flow) -> Result<Flow, NoHop> {
        let ip = to.remote.ip().to_canonical();
        if ip == leg.flow.remote.ip().to_canonical() && to.remote.port() != 0 {
            return Ok(to);
        }
        let refused = is_no_target(&to) || self.own.is_address(ip) && !self.is_of_spiral(call, uri);
        if refused { Err(NoHop::Refused) } else { Ok(to) }
    }

    fn is_of_spiral(&self, call: &Call, uri: &[u8]) -> bool {
        let Ok(Uri::Sip(parsed)) = Uri::parse(uri) else {
            return false;
        };
        let cookie = parsed.params.get(cookie::PARAM);
        self.own.is(&parsed.host, parsed.port)
            && cookie.is_some_and(|text| {
                let tag = Some(call.caller.tag.as_slice());
                self.keys.open(text, &call.call_id, tag, None).is_some()
            })
    }

    /// The flow toward a URI that a request has, in a dialog that is not ours.
    pub(crate) fn hop_of_uri(
        &mut self,
        now: Now,
        uri: &[u8],
        listener: u16,
    ) -> Result<Flow, Option<JobKind>> {
        match self.uri_hop(now, uri, listener) {
            Ok(to) if is_no_target(&to) || self.own.is_listener(to.remote) => {
                self.stats.count(Stat::TargetsRefused);
                Err(None)
            }
            Ok(to) => Ok(to),
            Err(NoHop::Ask(kind)) => Err(Some(kind)),
            Err(_) => Err(None),
        }
    }

    fn uri_hop(&self, now: Now, uri: &[u8], listener: u16) -> Result<Flow, NoHop> {
        let Ok(Uri::Sip(uri)) = Uri::parse(uri) else {
            return Err(NoHop::Unknown);
        };
        //= RFC 3261 §16.6(7): a maddr takes the place of the host
        let maddr = uri.params.get(b"maddr").and_then(sip_parser::Host::parse);
        let host = maddr.unwrap_or(uri.host);
        match self.next_hop(now, &host, uri.port, Transport::Udp) {
            NextHop::Address(address) => self.flow_to(address, listener).ok_or(NoHop::Unknown),
            NextHop::Unresolvable => Err(NoHop::Unknown),
            NextHop::Ask(kind) => Err(NoHop::Ask(kind)),
        }
    }
}

fn leg_uri(leg: &Leg) -> &[u8] {
    let first = leg.routes.first();
    let route = first.and_then(|route| NameAddr::parse(route).ok());
    route.map_or(leg.target.as_slice(), |route| route.uri)
}

/// Whether nobody's word may have us send there.
fn is_no_target(to: &Flow) -> bool {
    let ip = to.remote.ip().to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    let is_others_loopback = ip.is_loopback() && !to.local.ip().to_canonical().is_loopback();
    ip.is_multicast()
        || ip.is_unspecified()
        || is_broadcast
        || is_others_loopback
        || to.remote.port() == 0
}

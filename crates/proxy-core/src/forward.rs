//! Request forwarding, RFC 3261 §16.6: the next hop, and the request as it leaves.
//!
//! What changes is an `Edits` value; it is built from the request as received and the branch alone, so the same
//! bytes can be made again for a CANCEL. Strict routers (§16.6(6)) are in `route_set.rs`. Left out: the 1300-byte rule
//! (§18.1.1).

use crate::{
    branch::BranchText,
    breadth,
    calls::Call,
    context::{Branch, BranchRef, Hunt, Role},
    cookie::{self, Cookie},
    core::ProxyCore,
    names::{Known, Name},
    output::{JobKind, Now},
    route_set::{Routes, edit_route_set},
};
use routing::GatewayHost;
use sip_parser::{Edits, Host, Message, Params, Uri, parse_datagram};
use std::{
    io::Write as _,
    mem,
    net::{IpAddr, SocketAddr},
    rc::Rc,
};
use transaction_layer::{Flow, Transport};

/// Max-Forwards of a request that came without (§16.6(3)).
const MAX_FORWARDS: u8 = 70;

/// Where the next message goes, once it is an address.
pub(crate) enum NextHop {
    Address(SocketAddr),
    Unresolvable,
    /// The resolver must be asked.
    Ask(JobKind),
}

impl ProxyCore {
    /// The address of a host, as far as this lane knows it.
    pub(crate) fn next_hop(
        &self,
        now: Now,
        host: &Host<'_>,
        port: Option<u16>,
        transport: Transport,
    ) -> NextHop {
        let default = transport.default_port();
        match host {
            Host::V4(ip) => {
                NextHop::Address(SocketAddr::new(IpAddr::V4(*ip), port.unwrap_or(default)))
            }
            Host::V6(ip) => {
                NextHop::Address(SocketAddr::new(IpAddr::V6(*ip), port.unwrap_or(default)))
            }
            Host::Name(host) => {
                self.next_hop_by_name(now, &String::from_utf8_lossy(host), port, transport)
            }
        }
    }

    pub(crate) fn next_hop_by_name(
        &self,
        now: Now,
        host: &str,
        port: Option<u16>,
        transport: Transport,
    ) -> NextHop {
        let name = Name {
            host: host.to_ascii_lowercase(),
            port,
            transport,
        };
        match self.names.find(now.mono_us, &name) {
            Known::Address(address) => NextHop::Address(address),
            Known::Unresolvable => NextHop::Unresolvable,
            Known::No => NextHop::Ask(JobKind::Resolve {
                host: name.host,
                port,
                transport,
            }),
        }
    }

    /// The flow toward an address: out of the listener the request came in by if it can, else of the first that can.
    pub(crate) fn flow_to(&self, remote: SocketAddr, prefer: u16) -> Option<Flow> {
        let fits = |at: u16| {
            let listener = self.config.listeners.get(usize::from(at))?;
            (listener.address.is_ipv4() == remote.is_ipv4()).then_some(Flow {
                transport: listener.transport,
                listener: at,
                local: listener.address,
                remote,
                connection: 0,
            })
        };
        let count = u16::try_from(self.config.listeners.len()).unwrap_or(u16::MAX);
        fits(prefer).or_else(|| (0..count).find_map(fits))
    }

    //= RFC 3261 §16.6(1): the copy has every field of the received request, known or not, in the same order, and its body
    /// Writes the request of a branch from its context: the same bytes every time.
    pub(crate) fn write_branch_request(&mut self, name: BranchRef, out: &mut Vec<u8>) {
        let Some(context) = self.contexts.at_mut(name.context) else {
            return;
        };
        let request = mem::take(&mut context.request);
        let mut table = mem::take(&mut self.inner_table);
        let mut edits = mem::replace(&mut self.edits, Edits::new());
        edits.clear();
        if let Ok(message) = parse_datagram(&request, &mut table) {
            self.edit_branch_request(name, &message, &mut edits);
            sip_parser::write_message(&message, &edits, out);
        }
        self.edits = edits;
        self.inner_table = table;
        if let Some(context) = self.contexts.at_mut(name.context) {
            context.request = request;
        }
    }

    /// The edits of §16.6 for one branch.
    fn edit_branch_request(&self, name: BranchRef, message: &Message<'_>, edits: &mut Edits) {
        let Some(context) = self.contexts.at(name.context) else {
            return;
        };
        let Some(branch) = context.branches.get(usize::from(name.branch)) else {
            return;
        };
        self.edit_hop(message, &context.flow, &branch.flow, &branch.text, edits);
        context.session.edit(message, edits);
        match branch.breadth {
            Some(share) => breadth::write(message, share, edits),
            None => breadth::write_whole(message, edits),
        }
        let call = context.call.and_then(|id| self.calls.at(id));
        match (&context.role, &context.hunt) {
            (Role::Initial, Some(hunt)) => {
                self.edit_initial(message, hunt, branch, call, &context.flow, edits);
            }
            (Role::InDialog { dialog, from }, _) => {
                //= departs RFC 3261 §16.6(6), §12.2: within a known dialog the stored route set and remote target are written into the
                //=   request, whatever its own Route says; because a BYE that is led astray would stop the meter and not the call
                if let Some(leg) = call.and_then(|call| call.leg(*dialog, from.other())) {
                    let routes: Routes<'_> = leg.routes.iter().map(Vec::as_slice).collect();
                    edit_route_set(message, &leg.target, &routes, edits);
                }
            }
            _ => self.edit_own_routes(message, edits),
        }
    }

    /// What every forwarded request gets: Via above ours with received and rport, our Via, Max-Forwards.
    pub(crate) fn edit_hop(
        &self,
        message: &Message<'_>,
        from: &Flow,
        to: &Flow,
        branch: &BranchText,
        edits: &mut Edits,
    ) {
        edits.amend_top_via(message, from.remote, false);
        let mut via = smallvec::SmallVec::<[u8; 128]>::new();
        let advertise = self
            .config
            .listeners
            .get(usize::from(to.listener))
            .map_or("", |l| l.advertise.as_str());
        let _ = write!(via, "SIP/2.0/{} {advertise};branch=", to.transport.as_str());
        via.extend_from_slice(branch);
        //= RFC 3261 §7.1: the version is read in any case and sent in upper case
        edits.spell_version(message);
        //= RFC 3261 §16.6(8): our Via goes on top, with a branch that is unique and tells its owner
        edits.push_via(message, &via);
        //= RFC 3261 §16.6(3): Max-Forwards falls by one, or is 70 where there was none; 0 was refused before
        let hops = message
            .max_forwards()
            .ok()
            .flatten()
            .map_or(MAX_FORWARDS, |hops| hops.saturating_sub(1));
        edits.set_max_forwards(message, hops);
    }

    fn edit_initial(
        &self,
        message: &Message<'_>,
        hunt: &Hunt,
        branch: &Branch,
        call: Option<&Call>,
        from: &Flow,
        edits: &mut Edits,
    ) {
        if let Some(uri) = hunt.request_uri(message.request_uri(), branch.to) {
            // A Route that named somebody else would have gone before routing, so all are ours.
            edits.set_routes(message, &[]);
            //= RFC 3261 §16.6(2): the Request-URI is that of the target; parameters of the number stay
            edits.set_request_uri(message, &uri);
        } else {
            self.edit_own_routes(message, edits);
        }
        if let Some(call) = call {
            self.edit_record_route(message, call, branch, from, edits);
        }
    }

    /// The cookie, once for each side when the listeners differ.
    //= RFC 3261 §16.6(4): one Record-Route with lr, and in it a cookie that we know again
    //= RFC 5658 §5: two Record-Routes when the listeners differ, the callee's side on top
    fn edit_record_route(
        &self,
        message: &Message<'_>,
        call: &Call,
        branch: &Branch,
        from: &Flow,
        edits: &mut Edits,
    ) {
        let vendor = call
            .attempts
            .get(usize::from(branch.attempt))
            .map_or(0, |attempt| attempt.vendor_trunk);
        let lifetime_s = i64::try_from(self.config.policy.max_call_us / 1_000_000)
            .unwrap_or(i64::MAX)
            .saturating_add(3600);
        let expires_s = (call.cdr.setup_us / 1_000_000).saturating_add(lifetime_s);
        let cookie = Cookie {
            lane: self.config.lane,
            boot: self.config.boot,
            node: self.own.node,
            cdr_id: call.cdr.cdr_id,
            customer: call.customer_trunk,
            vendor,
            expires_s: u32::try_from(expires_s.max(0)).unwrap_or(u32::MAX),
        };
        let text = self.keys.seal(&cookie, &call.call_id, &call.caller.tag);
        let sides = [branch.flow.listener, from.listener];
        let count = if sides[0] == sides[1] { 1 } else { 2 };
        // Edits keep their order: the callee's side comes first, so that each peer finds the address it can reach on top.
        for listener in &sides[..count] {
            let listener = self.config.listeners.get(usize::from(*listener));
            let advertise = listener.map_or("", |l| l.advertise.as_str());
            //= RFC 3261 §16.6(4): the transport is named where it is not UDP, since this side is known to speak it
            let transport = match listener.map(|l| l.transport) {
                Some(Transport::Tcp) => "transport=tcp;",
                Some(Transport::Tls) => "transport=tls;",
                _ => "",
            };
            let mut value = smallvec::SmallVec::<[u8; 160]>::new();
            let _ = write!(value, "<sip:{advertise};{transport}lr;");
            value.extend_from_slice(cookie::PARAM);
            value.push(b'=');
            value.extend_from_slice(&text);
            value.push(b'>');
            edits.push_record_route(message, &value);
        }
    }

    /// Whether `ip` belongs to a trunk: by its addresses, or by the resolved name of a gateway.
    pub(crate) fn trunk_owns(&self, trunk: u64, ip: IpAddr) -> bool {
        let snapshot = Rc::clone(&self.snapshot);
        let trunk = routing::TrunkId(trunk);
        snapshot.trunk_owns_source(trunk, ip.to_canonical())
            || snapshot.vendor_by_trunk(trunk).is_some_and(|vendor| {
                snapshot
                    .gateways_of(vendor)
                    .any(|(_, gateway)| match &gateway.host {
                        GatewayHost::Name { host, .. } => {
                            self.names.host_has(host, ip.to_canonical())
                        }
                        GatewayHost::Ip(_) => false,
                    })
            })
    }
}

fn push_number(number: &str, out: &mut smallvec::SmallVec<[u8; 128]>) {
    let mut user = Vec::with_capacity(number.len());
    routing::number::escape_user(number, &mut user);
    out.extend_from_slice(&user);
}

/// The request URI toward a vendor: our number at its host, with the parameters that belong to the number.
///
/// Parameters of the received URI about the way (transport, maddr, ttl, lr) ended here; user and others go on.
pub(crate) fn write_request_uri(
    received: &[u8],
    number: &str,
    host: &GatewayHost,
    out: &mut smallvec::SmallVec<[u8; 128]>,
) {
    out.extend_from_slice(b"sip:");
    let received = Uri::parse(received);
    match &received {
        // What no rule has changed goes on octet for octet, escapes and password included.
        Ok(Uri::Sip(sip))
            if sip
                .user
                .is_some_and(|user| *routing::number::dialled(user) == *number) =>
        {
            out.extend_from_slice(sip.user.unwrap_or_default());
            if let Some(password) = sip.password {
                out.push(b':');
                out.extend_from_slice(password);
            }
        }
        Ok(Uri::Sip(sip)) => {
            push_number(number, out);
            // Parameters inside the user part (npdi, rn, isub) belong to the number.
            let user = sip.user.unwrap_or_default();
            let at = user.iter().position(|b| *b == b';').unwrap_or(user.len());
            out.extend_from_slice(&user[at..]);
        }
        _ => push_number(number, out),
    }
    // A URI without a user part has no `@` (§25.1).
    if out.len() > b"sip:".len() {
        out.push(b'@');
    }
    let _ = write!(out, "{host}");
    match received {
        Ok(Uri::Sip(sip)) => push_params_without(
            &sip.params,
            &[b"transport", b"maddr", b"ttl", b"lr", b"method"],
            out,
        ),
        Ok(Uri::Tel(_)) => out.extend_from_slice(b";user=phone"),
        _ => {}
    }
}

/// Writes the parameters of a URI, but for those of these names.
pub(crate) fn push_params_without(params: &Params<'_>, names: &[&[u8]], out: &mut impl Extend<u8>) {
    for param in params.iter() {
        if names
            .iter()
            .any(|name| param.name.eq_ignore_ascii_case(name))
        {
            continue;
        }
        out.extend([b';']);
        out.extend(param.name.iter().copied());
        if let Some(value) = param.value {
            out.extend([b'=']);
            out.extend(value.iter().copied());
        }
    }
}

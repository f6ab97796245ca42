//! Responses made here (RFC 3261 §8.2.6), and who we are in the messages of others.
//!
//! What is refused before a call exists is answered without state: the To-tag is a keyed digest of the request, so
//! a retransmission gets the same answer and its ACK needs no memory (RFC 3261 §8.2.7).

use crate::{
    config::CoreConfig,
    context::{ContextRef, Kind, NOBODY},
    core::ProxyCore,
    output::{Now, Output},
    stats::Stat,
    timers::CoreTimer,
};
use accounting::Cause;
use data_encoding::BASE32HEX_NOPAD;
use sip_parser::{
    Host, Message, Method, ParseError, ResponseParts, Uri, Via, parse_datagram, reason_phrase,
    salvage, write_response,
};
use siphasher::sip::SipHasher24;
use std::{
    hash::Hasher as _,
    mem,
    net::{IpAddr, SocketAddr},
};
use transaction_layer::{Flow, reply_flow};

/// A refusal: what upstream hears, and why.
pub(crate) struct Reject {
    pub(crate) status: u16,
    pub(crate) cause: Cause,
    /// Instead of the usual phrase.
    pub(crate) reason: Option<&'static str>,
    /// One more header.
    pub(crate) header: Option<(&'static [u8], Vec<u8>)>,
}

impl Reject {
    pub(crate) fn new(status: u16, cause: Cause) -> Self {
        Self {
            status,
            cause,
            reason: None,
            header: None,
        }
    }
}

/// One name of this proxy: what `advertise` or the bound address says.
struct OwnName {
    host: Vec<u8>,
    ip: Option<IpAddr>,
    port: u16,
}

/// Who we are: the names that a Route or request URI may use for us, and the key of our stateless tags.
pub(crate) struct Own {
    names: Vec<OwnName>,
    /// What our own Via values say.
    sent_by: Vec<Vec<u8>>,
    tag_key: SipHasher24,
    allow: Vec<u8>,
    pub(crate) node: u16,
}

/// Methods that this proxy forwards, for Allow.
const METHODS: [&[u8]; 13] = [
    b"INVITE",
    b"ACK",
    b"CANCEL",
    b"BYE",
    b"OPTIONS",
    b"PRACK",
    b"UPDATE",
    b"INFO",
    b"REFER",
    b"NOTIFY",
    b"MESSAGE",
    b"SUBSCRIBE",
    b"PUBLISH",
];

impl Own {
    pub(crate) fn new(config: &CoreConfig) -> Self {
        let mut names = Vec::new();
        for listener in &config.listeners {
            let default_port = listener.transport.default_port();
            names.push(OwnName {
                host: Vec::new(),
                ip: Some(listener.address.ip()),
                port: listener.address.port(),
            });
            let (host, port) = split_host_port(listener.advertise.as_bytes(), default_port);
            let ip = std::str::from_utf8(host.trim_ascii())
                .ok()
                .and_then(|text| {
                    text.trim_start_matches('[')
                        .trim_end_matches(']')
                        .parse()
                        .ok()
                });
            names.push(OwnName {
                host: host.to_vec(),
                ip,
                port,
            });
        }
        let refused = &config.policy.refuse_methods;
        let allow: Vec<&[u8]> = METHODS
            .into_iter()
            .filter(|method| !refused.iter().any(|refused| refused == method))
            .collect();
        let mut node = SipHasher24::new_with_keys(0, 0);
        node.write(config.node.as_bytes());
        let sent_by = config.listeners.iter();
        Self {
            names,
            sent_by: sent_by
                .map(|listener| listener.advertise.clone().into_bytes())
                .collect(),
            tag_key: SipHasher24::new_with_keys(config.hash_seed, u64::from(config.boot)),
            allow: allow.join(&b", "[..]),
            node: u16::from_be_bytes([
                node.finish().to_be_bytes()[0],
                node.finish().to_be_bytes()[1],
            ]),
        }
    }

    /// Whether `host` and `port` name one of our listeners.
    pub(crate) fn is(&self, host: &Host<'_>, port: Option<u16>) -> bool {
        let port = port.unwrap_or(5060);
        self.names.iter().any(|name| {
            name.port == port
                && match host {
                    Host::V4(ip) => name.ip == Some(IpAddr::V4(*ip)),
                    Host::V6(ip) => name.ip == Some(IpAddr::V6(*ip)),
                    Host::Name(host) => name.host.eq_ignore_ascii_case(host),
                }
        })
    }

    /// Whether a Via value names us as its sender.
    pub(crate) fn is_sent_by(&self, via: &Via<'_>) -> bool {
        // As a peer that copies our Via writes it; else the slow way.
        self.sent_by
            .iter()
            .any(|sent_by| sent_by.as_slice() == via.sent_by)
            || self.is(&via.host, via.port)
    }

    /// Whether `ip` is one of our own.
    pub(crate) fn is_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.names.iter().any(|name| name.ip == Some(ip))
    }

    /// Whether `address` is that of one of our listeners.
    pub(crate) fn is_listener(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let mut names = self.names.iter();
        names.any(|name| name.port == address.port() && name.ip == Some(ip))
    }

    /// Whether a SIP URI names us.
    pub(crate) fn is_uri(&self, uri: &[u8]) -> bool {
        matches!(Uri::parse(uri), Ok(Uri::Sip(sip)) if self.is(&sip.host, sip.port))
    }
}

/// Splits `host[:port]`, where the host may be a bracketed IPv6 address.
pub(crate) fn split_host_port(text: &[u8], default_port: u16) -> (&[u8], u16) {
    let after_bracket = text.iter().rposition(|b| *b == b']').map_or(0, |at| at + 1);
    match text[after_bracket..].iter().position(|b| *b == b':') {
        Some(colon) => {
            let port = std::str::from_utf8(&text[after_bracket + colon + 1..])
                .ok()
                .and_then(|port| port.parse().ok());
            (&text[..after_bracket + colon], port.unwrap_or(default_port))
        }
        None => (text, default_port),
    }
}

impl ProxyCore {
    /// The To-tag of a response without state.
    //= RFC 3261 §8.2.7: the To-tag of a stateless response is a digest of the request, the same for each retransmission
    pub(crate) fn stateless_tag(&self, request: &Message<'_>) -> [u8; 13] {
        let mut hasher = self.own.tag_key;
        for part in [request.call_id(), request.from_tag().unwrap_or_default()] {
            hasher.write(&(part.len() as u64).to_be_bytes());
            hasher.write(part);
        }
        hasher.write_u32(request.cseq().number);
        let mut tag = [0; 13];
        BASE32HEX_NOPAD.encode_mut(&hasher.finish().to_be_bytes(), &mut tag);
        tag
    }

    /// Answers without a transaction.
    pub(crate) fn reply_statelessly(
        &mut self,
        request: &Message<'_>,
        flow: &Flow,
        reject: &Reject,
        out: &mut Output,
    ) {
        out.outbox.push_with(&reply_flow(request, flow), |bytes| {
            self.write_refusal(request, flow, reject, bytes);
        });
    }

    //= RFC 3261 §8.2.6: a response of our own has the Vias, From, To with a tag, Call-ID and CSeq of its request
    pub(crate) fn write_refusal(
        &self,
        request: &Message<'_>,
        flow: &Flow,
        reject: &Reject,
        bytes: &mut Vec<u8>,
    ) {
        let tag = self.stateless_tag(request);
        let headers = reject
            .header
            .as_ref()
            .map(|(name, value)| (*name, value.as_slice()));
        let parts = ResponseParts {
            status: reject.status,
            reason: reject
                .reason
                .unwrap_or_else(|| reason_phrase(reject.status))
                .as_bytes(),
            to_tag: Some(&tag),
            received_from: Some(flow.remote),
            headers: headers.as_slice(),
            copy_record_route: false,
        };
        write_response(request, &parts, bytes);
    }

    /// Refuses a new request: answered, counted, and for an INVITE added up by source and minute.
    pub(crate) fn refuse(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        reject: &Reject,
        customer: Option<&str>,
        out: &mut Output,
    ) {
        self.stats.refuse(reject.cause);
        if request.method() == Method::Invite && request.to_tag().is_none() {
            self.count_refused(now, flow, reject.cause, customer);
        }
        self.answer_if_due(now, request, flow, reject, out);
    }

    /// Answers without a transaction, as often as the source may be answered: an answer is larger than a request need be,
    /// and a source can be forged.
    pub(crate) fn answer_if_due(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        reply: &Reject,
        out: &mut Output,
    ) {
        if self.may_answer(now, flow, reply.cause) {
            self.reply_statelessly(request, flow, reply, out);
        } else {
            self.stats.count(Stat::RefusalsLimited);
        }
    }

    /// Whether the source may have one more answer. A trunk always may, but for malformed requests; sources that are no
    /// trunk share a budget of their own, so that they can't use up that of the trunks.
    fn may_answer(&mut self, now: Now, flow: &Flow, cause: Cause) -> bool {
        let ip = flow.remote.ip();
        // Where a customer is told by a tech prefix, its address is no sign of a trunk.
        let is_trunk = cause != Cause::UnknownSource && self.is_trunk_source(ip);
        match (is_trunk, cause) {
            (true, Cause::BadRequest) => self.answers.take(now.mono_us, ip),
            (true, _) => true,
            (false, _) => self.stranger_answers.take(now.mono_us, ip),
        }
    }

    /// Whether any trunk has this address, or a gateway of a name that resolved to it.
    fn is_trunk_source(&self, ip: IpAddr) -> bool {
        self.snapshot.any_trunk_owns_source(ip) || self.names.gateway_has(ip.to_canonical())
    }

    /// Refuses like [`Self::refuse`], but for a reason that may pass within a moment: a transaction sees to it that a
    /// retransmission hears the same answer, and is not taken for another call.
    pub(crate) fn refuse_for_now(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        reject: &Reject,
        customer: &str,
        out: &mut Output,
    ) {
        let Some(server) = self.start_server(request, flow, NOBODY) else {
            return self.refuse(now, request, flow, reject, Some(customer), out);
        };
        self.stats.refuse(reject.cause);
        if request.method() == Method::Invite {
            self.count_refused(now, flow, reject.cause, Some(customer));
        }
        let mut bytes = self.buffer();
        self.write_refusal(request, flow, reject, &mut bytes);
        self.transactions
            .respond(now.mono_us, server, reject.status, &bytes, &mut out.outbox);
        self.recycle(bytes);
    }

    fn count_refused(&mut self, now: Now, flow: &Flow, cause: Cause, customer: Option<&str>) {
        self.refused.start_minute(now.wall_us);
        if !self.refused.count(flow.remote.ip(), cause, customer) {
            self.stats.count(Stat::RefusedOverflow);
        }
        if !self.refused_timer {
            self.refused_timer = true;
            self.wheel
                .insert(now.mono_us, now.mono_us + 1_000_000, CoreTimer::Refused);
        }
    }

    pub(crate) fn on_refused_minute(&mut self, now: Now, out: &mut Output) {
        if self.refused.is_due(now.wall_us) {
            self.refused.flush(&self.config.node, &mut out.records);
        }
        self.refused_timer = !self.refused.is_empty();
        if self.refused_timer {
            self.wheel
                .insert(now.mono_us, now.mono_us + 1_000_000, CoreTimer::Refused);
        }
    }

    /// A datagram that does not parse: 400 where an answer can be formed and the source has not had too many, else
    /// dropped.
    //= RFC 3261 §16.3(1): a request that does not parse is answered 400 where an answer can be formed, with a phrase that names the fault
    pub(crate) fn on_malformed(
        &mut self,
        now: Now,
        bytes: &[u8],
        error: ParseError,
        flow: &Flow,
        out: &mut Output,
    ) {
        self.stats.parse_error(error.kind.as_str());
        let mut table = mem::take(&mut self.inner_table);
        match salvage(bytes, &mut table) {
            Some(_) if !self.may_answer(now, flow, Cause::BadRequest) => {
                self.stats.count(Stat::ParseLimited);
            }
            Some(request) => {
                self.stats.count(Stat::ParseAnswered);
                self.stats.refuse(Cause::BadRequest);
                let mut reject = Reject::new(error.kind.status(), Cause::BadRequest);
                reject.reason = Some(error.kind.reason());
                self.reply_statelessly(&request, flow, &reject, out);
            }
            None => self.stats.count(Stat::ParseDropped),
        }
        self.inner_table = table;
    }

    /// 405 with the methods that are taken (RFC 3261 §8.2.1).
    //= RFC 3261 §8.2.1: 405 with the methods that are taken in Allow
    pub(crate) fn method_refused(&self) -> Reject {
        let mut reject = Reject::new(405, Cause::MethodRefused);
        reject.header = Some((b"Allow", self.own.allow.clone()));
        reject
    }

    /// Answers an OPTIONS to the proxy itself (RFC 3261 §11.2): 200, or 503 while draining.
    //= RFC 3261 §11.2: an OPTIONS to the proxy itself is answered as an INVITE would be: 200, or 503 while draining
    pub(crate) fn answer_options(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        out: &mut Output,
    ) {
        let mut reply = Reject::new(if self.draining { 503 } else { 200 }, Cause::Draining);
        //= departs RFC 3261 §11.2: only a trunk is told in Allow which methods are taken; because to a forged source the
        //=   answer would be much larger than the question
        if self.is_trunk_source(flow.remote.ip()) {
            reply.header = Some((b"Allow", self.own.allow.clone()));
        }
        self.answer_if_due(now, request, flow, &reply, out);
    }

    /// Ends the server transaction of a context with a response of our own, or without a word: RFC 4320 §4.2, nobody
    /// upstream can use a 408 to a non-INVITE.
    //= RFC 4320 §4.2: no 408 to a non-INVITE, nobody upstream can use it
    pub(crate) fn answer_here(
        &mut self,
        now: Now,
        name: ContextRef,
        status: u16,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context.kind == Kind::Invite || status != 408 {
            return self.respond_here(now, name, status, out);
        }
        context.server_alive = false;
        let server = context.server;
        self.transactions.abandon_server(now.mono_us, server);
    }

    /// A response of our own through the server transaction of a context.
    pub(crate) fn respond_here(
        &mut self,
        now: Now,
        name: ContextRef,
        status: u16,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        let (server, flow) = (context.server, context.flow);
        let request = mem::take(&mut context.request);
        let mut table = mem::take(&mut self.inner_table);
        let mut bytes = self.buffer();
        if let Ok(message) = parse_datagram(&request, &mut table) {
            let tag = self.stateless_tag(&message);
            let parts = ResponseParts {
                status,
                reason: reason_phrase(status).as_bytes(),
                to_tag: Some(&tag),
                received_from: Some(flow.remote),
                headers: &[],
                copy_record_route: false,
            };
            write_response(&message, &parts, &mut bytes);
            if !self
                .transactions
                .respond(now.mono_us, server, status, &bytes, &mut out.outbox)
            {
                self.stats.count(Stat::ResponsesTooLate);
            }
        }
        self.inner_table = table;
        self.recycle(bytes);
        if let Some(context) = self.contexts.at_mut(name) {
            context.request = request;
        }
    }
}

//! A request that begins something: who sends it, may they, and where it may go (RFC 3261 §16.5).
//!
//! The steps are Admit, Lookup, Route, Forward; before each the request may wait for a job and be resumed.

use crate::{
    calls::{Call, Leg, signed},
    config::{LookupOnError, PreloadedRoute},
    context::{ContextRef, Hunt, Kind, NewContext, Role, Stage},
    core::ProxyCore,
    loops::Origin,
    output::{JobAnswer, JobFailure, JobKind, Now, Output},
    park::Parked,
    reply::Reject,
    stats::Stat,
};
use accounting::Cause;
use routing::{CustomerMatch, RouteOutcome, RouteQuery, TargetSet};
use sip_parser::{ContactValue, Message, Method, NameAddr};
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;
use std::{collections::VecDeque, hash::Hasher as _, mem, rc::Rc, sync::Arc};
use transaction_layer::{Flow, ServerId, Transport, reply_flow};

/// The transaction layer's word for a transport in the routing crate's terms.
pub(crate) fn routing_transport(transport: Transport) -> routing::Transport {
    match transport {
        Transport::Udp => routing::Transport::Udp,
        Transport::Tcp => routing::Transport::Tcp,
        Transport::Tls => routing::Transport::Tls,
    }
}

impl ProxyCore {
    /// A new request outside a dialog.
    pub(crate) fn on_initial_request(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        out: &mut Output,
    ) {
        let method = request.method();
        if self
            .config
            .policy
            .refuse_methods
            .iter()
            .any(|refused| refused == method.as_bytes())
        {
            let reject = self.method_refused();
            return self.refuse(now, request, flow, &reject, None, out);
        }
        if self.is_for_us(request) {
            return self.answer_options(now, request, flow, out);
        }
        let invite = method == Method::Invite;
        if invite {
            self.stats.count(Stat::Invites);
        }
        let snapshot = Rc::clone(&self.snapshot);
        let user = crate::cdr::user_of(request.request_uri());
        let found = snapshot.customer_for(routing_transport(flow.transport), flow.remote, user);
        let Some(matched) = found.filter(|matched| snapshot.customer(matched.customer).enabled)
        else {
            return self.refuse(
                now,
                request,
                flow,
                &Reject::new(403, Cause::UnknownSource),
                None,
                out,
            );
        };
        let customer = snapshot.customer(matched.customer);
        let name = Some(customer.name.as_str());
        if self.has_looped(request, &Origin::Customer(customer.trunk.0)) {
            let reject = Reject::new(482, Cause::LoopDetected);
            return self.refuse(now, request, flow, &reject, name, out);
        }
        let preloaded = self.foreign_route(request).is_some();
        if preloaded && self.config.policy.preloaded_route == PreloadedRoute::Refuse {
            return self.refuse(
                now,
                request,
                flow,
                &Reject::new(403, Cause::PreloadedRoute),
                name,
                out,
            );
        }
        let session = match self.session_ask(request) {
            Ok(session) => session,
            Err(reject) => return self.refuse(now, request, flow, &reject, name, out),
        };
        //= RFC 3261 §8.2.2.2: one INVITE that has come by many ways is refused with 482, here when they are more than a
        //=   spiral makes
        if invite
            && self
                .calls
                .has_too_many_of(request.call_id(), request.from_tag().unwrap_or_default())
        {
            let reject = Reject::new(482, Cause::LoopDetected);
            return self.refuse(now, request, flow, &reject, name, out);
        }
        let admitted = self.admit(now, customer, invite);
        let context = match admitted {
            Ok(()) => self.open_context(now, request, flow, Role::Initial, out),
            Err(reject) => {
                return self.refuse_for_now(now, request, flow, &reject, &customer.name, out);
            }
        };
        let Some(context) = context else {
            if invite {
                self.give_channel(Some(customer.slot));
            }
            let reject = self.table_full();
            return self.refuse(now, request, flow, &reject, name, out);
        };
        if invite {
            self.open_call(now, request, flow, context, matched);
        }
        if let Some(context) = self.contexts.at_mut(context) {
            context.session = session;
            context.stage = Stage::Admit;
            context.hunt = Some(Box::new(Hunt {
                snapshot,
                customer: matched,
                targets: TargetSet::default(),
                next: 0,
                group: None,
                closed: false,
                breadth: crate::breadth::incoming(request).unwrap_or(crate::breadth::BREADTH_MAX),
                waiting: SmallVec::new(),
                contacts: Vec::new(),
                queued: VecDeque::new(),
                followed: 0,
                global: None,
                number: None,
                preloaded,
                passed_over: None,
            }));
        }
        self.advance(now, context, out);
    }

    /// The first Route that is not ours.
    pub(crate) fn foreign_route<'m>(&self, request: &Message<'m>) -> Option<NameAddr<'m>> {
        request
            .routes()
            .find_map(|route| route.ok().filter(|route| !self.own.is_uri(route.uri)))
    }

    //= RFC 3261 §17.2.1: an INVITE hears 100 at once, before a lookup, a name or a gate may make it wait
    //= RFC 3261 §16.2: no other request hears 100
    /// Makes a server transaction and its context; an INVITE hears 100 at once. `None` when a table is full.
    pub(crate) fn open_context(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        role: Role,
        out: &mut Output,
    ) -> Option<ContextRef> {
        let kind = match request.method() {
            Method::Invite => Kind::Invite,
            Method::Bye => Kind::Bye,
            Method::Update => Kind::Update,
            _ => Kind::Other,
        };
        let user = self.contexts.next_ref().server_user();
        let server = self.start_server(request, flow, user)?;
        let mut copy = self.buffer();
        copy.extend_from_slice(request.bytes());
        let name = self.contexts.insert(NewContext {
            server,
            kind,
            role,
            flow: *flow,
            reply: reply_flow(request, flow),
            request: copy,
            loop_text: self.loop_text,
            arrived_us: now.mono_us,
        });
        if kind == Kind::Invite {
            self.respond_here(now, name, 100, out);
        } else {
            self.watch_non_invite(now, name);
        }
        Some(name)
    }

    /// Makes a server transaction for a request, by the octets that its retransmissions will have.
    pub(crate) fn start_server(
        &mut self,
        request: &Message<'_>,
        flow: &Flow,
        user: u64,
    ) -> Option<ServerId> {
        let Some(received) = self.as_received.take() else {
            return self.transactions.start_server(request, flow, user).ok();
        };
        let mut table = mem::take(&mut self.inner_table);
        let started = match sip_parser::parse_datagram(&received, &mut table) {
            Ok(received) => self.transactions.start_server(&received, flow, user).ok(),
            Err(_) => None,
        };
        self.inner_table = table;
        started
    }

    fn open_call(
        &mut self,
        now: Now,
        invite: &Message<'_>,
        flow: &Flow,
        context: ContextRef,
        matched: CustomerMatch,
    ) {
        let snapshot = Rc::clone(&self.snapshot);
        let customer = snapshot.customer(matched.customer);
        let cdr = self.new_cdr(now, invite, flow, &customer.name, &customer.currency);
        let id = cdr.cdr_id;
        let contact = invite.contacts().find_map(|contact| match contact {
            Ok(ContactValue::Address(address)) => Some(address.uri.to_vec()),
            _ => None,
        });
        let bare = |value: Result<NameAddr<'_>, _>| {
            value
                .map(|address| [b"<", address.uri, b">"].concat())
                .unwrap_or_default()
        };
        let call = Call {
            call_id: invite.call_id().to_vec(),
            caller: Leg {
                tag: invite.from_tag().unwrap_or_default().to_vec(),
                target: contact.unwrap_or_else(|| format!("sip:{}", flow.remote).into_bytes()),
                routes: invite
                    .record_routes()
                    .flatten()
                    .map(|route| route.value.to_vec())
                    .collect(),
                cseq: Some(invite.cseq().number),
                local_cseq: 0,
                flow: *flow,
            },
            from_uri: bare(invite.from()),
            to_uri: bare(invite.to()),
            customer_trunk: customer.trunk.0,
            channel: Some(customer.slot),
            setup_us: signed(now.mono_us),
            context: Some(context),
            dialogs: SmallVec::new(),
            attempts: Vec::new(),
            answered_attempt: None,
            restored_end_us: None,
            gate: None,
            held: VecDeque::new(),
            max_timer: None,
            cdr,
        };
        self.calls.insert(Box::new(call));
        if let Some(context) = self.contexts.at_mut(context) {
            context.call = Some(id);
        }
    }

    /// Takes an initial request through its steps, until it is forwarded, answered, or has to wait.
    pub(crate) fn advance(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        loop {
            let Some(context) = self.contexts.at_mut(name) else {
                return;
            };
            if context.final_sent.is_some() || context.parked.is_some() {
                return;
            }
            let Some(hunt) = &context.hunt else { return };
            let (snapshot, customer) = (Rc::clone(&hunt.snapshot), hunt.customer.customer);
            match context.stage {
                Stage::Admit => {
                    context.stage = Stage::Lookup;
                    let lookup = snapshot.customer(customer).lookup.as_ref();
                    if lookup.is_some_and(|lookup| self.start_lookup(now, name, &lookup.query, out))
                    {
                        return;
                    }
                }
                Stage::Lookup => {
                    context.stage = Stage::Route;
                    let lookup = snapshot.plan_lookup(customer);
                    if lookup.is_some_and(|lookup| self.start_lookup(now, name, &lookup.query, out))
                    {
                        return;
                    }
                }
                Stage::Route => {
                    context.stage = Stage::Forward;
                    if let Err(reject) = self.route(now, name) {
                        return self.finish_here(now, name, reject.status, reject.cause, out);
                    }
                }
                Stage::Forward => return self.start_targets(now, name, out),
                Stage::Forwarded => return,
            }
        }
    }

    /// Sends a lookup away; the request waits for it.
    fn start_lookup(
        &mut self,
        now: Now,
        name: ContextRef,
        query: &Arc<str>,
        out: &mut Output,
    ) -> bool {
        let Some(context) = self.contexts.at_mut(name) else {
            return false;
        };
        let Some(hunt) = &context.hunt else {
            return false;
        };
        let snapshot = Rc::clone(&hunt.snapshot);
        let (customer, number) = (hunt.customer, hunt.number.clone());
        let request = mem::take(&mut context.request);
        let mut table = mem::take(&mut self.inner_table);
        let kind = sip_parser::parse_datagram(&request, &mut table)
            .ok()
            .map(|message| JobKind::Lookup {
                query: Arc::clone(query),
                number: number.unwrap_or_else(|| {
                    let mut number = routing::NumberText::new();
                    snapshot.routed_number(
                        customer,
                        crate::cdr::user_of(message.request_uri()),
                        &mut number,
                    );
                    number.as_str().to_owned()
                }),
                caller: message
                    .from()
                    .map(|from| crate::cdr::text(crate::cdr::user_of(from.uri)))
                    .unwrap_or_default(),
                customer: snapshot.customer(customer.customer).name.clone(),
            });
        self.inner_table = table;
        if let Some(context) = self.contexts.at_mut(name) {
            context.request = request;
        }
        let Some(kind) = kind else { return false };
        let job = self.park(
            now,
            Parked::Context(name),
            kind,
            self.config.policy.lookup_deadline_us,
            out,
        );
        if let Some(context) = self.contexts.at_mut(name) {
            context.parked = Some(job);
        }
        true
    }

    /// What a lookup said, or that it said nothing: the request goes on or is refused.
    pub(crate) fn on_lookup_answer(
        &mut self,
        now: Now,
        name: ContextRef,
        answer: JobAnswer,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context.final_sent.is_some() {
            return self.release_context(name);
        }
        let refusal = match answer {
            JobAnswer::Lookup(answer) => {
                if let (Some(number), Some(hunt)) = (answer.number, &mut context.hunt) {
                    hunt.number = Some(number);
                }
                answer.refuse.map(|status| {
                    (
                        if (400..700).contains(&status) {
                            status
                        } else {
                            403
                        },
                        Cause::LookupRefused,
                    )
                })
            }
            // Nothing may queue without a bound, so a full queue is an answer: 503 at once, whatever the policy.
            JobAnswer::Failed(JobFailure::QueueFull) => Some((503, Cause::QueueFull)),
            JobAnswer::Failed(failure)
                if self.config.policy.lookup_on_error == LookupOnError::Refuse =>
            {
                Some((
                    503,
                    if failure == JobFailure::Timeout {
                        Cause::LookupTimeout
                    } else {
                        Cause::LookupFailed
                    },
                ))
            }
            _ => None,
        };
        match refusal {
            Some((status, cause)) => self.finish_here(now, name, status, cause, out),
            None => self.advance(now, name, out),
        }
    }

    //= departs RFC 3261 §16.5: a number is routed by the tables whatever host, port or maddr its Request-URI has;
    //=   because whoever could name the next hop would have an open relay
    /// §16.5: fills the target set.
    //= RFC 3261 §16.5: the target set comes from the tables of numbers, vendors and prices, in their order
    fn route(&mut self, now: Now, name: ContextRef) -> Result<(), Reject> {
        let Some(context) = self.contexts.at_mut(name) else {
            return Ok(());
        };
        let Some(hunt) = &mut context.hunt else {
            return Ok(());
        };
        if hunt.preloaded {
            return Ok(());
        }
        let mut table = mem::take(&mut self.inner_table);
        let outcome = match sip_parser::parse_datagram(&context.request, &mut table) {
            Ok(message) => {
                let mut hasher = SipHasher13::new_with_keys(self.config.hash_seed, 1);
                hasher.write(message.call_id());
                let caller = message
                    .from()
                    .map(|from| crate::cdr::user_of(from.uri))
                    .unwrap_or_default();
                let query = RouteQuery {
                    customer: hunt.customer.customer,
                    tech_prefix_len: hunt.customer.tech_prefix_len,
                    callee: crate::cdr::user_of(message.request_uri()),
                    caller,
                    number_override: hunt.number.as_deref(),
                    wall_us: now.wall_us,
                    call_hash: hasher.finish(),
                };
                hunt.snapshot.route(&query, &mut hunt.targets, None)
            }
            Err(_) => RouteOutcome::NoPrefix,
        };
        self.inner_table = table;
        if let Some(call) = context.call.and_then(|id| self.calls.at_mut(id)) {
            call.cdr.route_version = hunt.snapshot.version();
            call.cdr.callee_routed = Some(hunt.targets.callee_routed.as_str().to_owned());
            call.cdr
                .customer_terms
                .clone_from(&hunt.targets.customer_terms);
            call.cdr.customer_prefix = hunt
                .targets
                .customer_prefix
                .map(|prefix| prefix.to_string());
            // A number that a lookup has put in the place of the dialled one is where the call really goes.
            call.cdr.lrn = hunt.number.clone();
        }
        match outcome {
            RouteOutcome::Routed => Ok(()),
            RouteOutcome::NoPrefix => Err(Reject::new(404, Cause::NoRoute)),
            RouteOutcome::NoCustomerRate => Err(Reject::new(404, Cause::NoRate)),
            RouteOutcome::NoVendor => Err(Reject::new(503, Cause::NoVendor)),
            _ => Err(Reject::new(404, Cause::NoRoute)),
        }
    }
}

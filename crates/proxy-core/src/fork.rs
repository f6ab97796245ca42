//! Targets into branches, RFC 3261 §16.6: one by one, or a whole group at the same time.
//!
//! A group is over when none of its branches is live; then the next one begins, unless a vendor has rung or an answer has
//! closed the hunt. Each branch has its own attempt, limits and timers. Left out: what the request looks like (`forward`).

use crate::{
    breadth,
    calls::AttemptState,
    context::{
        Branch, BranchRef, BranchState, CancelState, ContextRef, Destination, Hunt, Kind,
        ResponseContext, Role, Stage, Waiting,
    },
    core::ProxyCore,
    forward::NextHop,
    output::{JobAnswer, JobFailure, Now, Output},
    park::Parked,
    stats::Stat,
    timers::CoreTimer,
};
use accounting::{Attempt, Cause};
use routing::{GatewayHost, GatewayIndex, Target};
use sip_parser::{Host, Method, Uri, parse_datagram};
use std::net::SocketAddr;
use transaction_layer::{Flow, Transport};

/// The largest UDP payload over IPv4, bytes.
pub(crate) const UDP_PAYLOAD_MAX: usize = 65_507;

/// What a target needs to become a branch.
struct Candidate {
    host: GatewayHost,
    vendor_trunk: u64,
    slot: Option<(u32, Option<u32>, Option<u32>)>,
    currency: Option<String>,
    attempt: Attempt,
}

/// A branch that is to be made.
pub(crate) struct NewBranch {
    pub(crate) to: Destination,
    /// Index of its attempt in the call.
    pub(crate) attempt: u16,
    pub(crate) flow: Flow,
    /// Its share of the Max-Breadth; `None`: it is alone.
    pub(crate) breadth: Option<u8>,
}

impl NewBranch {
    /// The only branch of a request that does not hunt.
    pub(crate) fn alone(flow: Flow) -> Self {
        Self {
            to: Destination::default(),
            attempt: 0,
            flow,
            breadth: None,
        }
    }
}

/// What a hunt does next.
enum Step {
    /// Make a branch, with its share of the Max-Breadth.
    Start(Destination, u8),
    /// Branches are out that may still answer, or hold what the next one needs.
    Wait,
    /// Nothing is left that may be tried.
    Finish,
}

impl Hunt {
    /// Targets that may be tried; one where a preloaded Route leads.
    fn len(&self) -> usize {
        if self.preloaded {
            1
        } else {
            self.targets.targets.len()
        }
    }

    fn group_of(&self, target: usize) -> u16 {
        self.targets
            .targets
            .get(target)
            .map_or(0, |target| target.group)
    }

    pub(crate) fn target(&self, to: Destination) -> Option<&Target> {
        self.targets.targets.get(usize::from(to.target))
    }

    /// Where a destination is, and the number it is sent.
    fn place(&self, to: Destination) -> Option<(GatewayIndex, &str)> {
        match to.contact {
            Some(at) => self
                .contacts
                .get(usize::from(at))
                .map(|contact| (contact.gateway, contact.number.as_str())),
            None => self
                .target(to)
                .map(|target| (target.gateway, target.callee_sent.as_str())),
        }
    }

    /// The request URI for a destination; `received` is the one that came.
    pub(crate) fn request_uri(
        &self,
        received: &[u8],
        to: Destination,
    ) -> Option<smallvec::SmallVec<[u8; 128]>> {
        let (gateway, number) = self.place(to)?;
        // The parameters of a number go with it: those of a Contact that names one.
        let named = to
            .contact
            .and_then(|at| self.contacts.get(usize::from(at)))
            .map(|contact| contact.uri.as_slice())
            .filter(|uri| !uri.is_empty());
        let mut uri = smallvec::SmallVec::new();
        crate::forward::write_request_uri(
            named.unwrap_or(received),
            number,
            &self.snapshot.gateway(gateway).host,
            &mut uri,
        );
        Some(uri)
    }
}

impl ResponseContext {
    /// Whether a branch of that target is live.
    fn is_trying(&self, target: u16) -> bool {
        let waiting = self.hunt.iter().flat_map(|hunt| &hunt.waiting);
        waiting
            .map(|waiting| waiting.to)
            .any(|to| to.target == target)
            || self
                .branches
                .iter()
                .any(|branch| branch.is_live() && branch.to.target == target)
    }

    fn next_step(&self, hunt_after_ringing: bool) -> Step {
        let Some(hunt) = &self.hunt else {
            return Step::Wait;
        };
        let live = self.is_hunting();
        let idle = if live { Step::Wait } else { Step::Finish };
        if hunt.closed {
            return idle;
        }
        // A redirect is its vendor's way on, not a hunt: its Contacts are tried whoever has rung.
        let contact = hunt.queued.iter().copied().find_map(|at| {
            let target = hunt.contacts.get(usize::from(at))?.target;
            (!self.is_trying(target)).then_some(Destination {
                target,
                contact: Some(at),
            })
        });
        let (to, members, begins) = match contact {
            Some(to) => (to, 1, hunt.next),
            None if hunt.next < hunt.len() => {
                let group = hunt.group_of(hunt.next);
                let begun = hunt.group == Some(group);
                // What is no call is not sent twice: a MESSAGE at two vendors would be two.
                let one_by_one = self.kind != Kind::Invite;
                if live && (one_by_one || !begun) {
                    return Step::Wait;
                }
                if !begun && self.ringing && !hunt_after_ringing {
                    return Step::Finish;
                }
                let members = (hunt.next..hunt.len())
                    .take_while(|at| hunt.group_of(*at) == group)
                    .take(if one_by_one { 1 } else { usize::MAX })
                    .count();
                let Ok(target) = u16::try_from(hunt.next) else {
                    return idle;
                };
                let to = Destination {
                    target,
                    contact: None,
                };
                (to, members, hunt.next + members)
            }
            None => return idle,
        };
        let later = hunt.len().saturating_sub(begins);
        //= RFC 5393 §5.3.3: a fork that is too broad goes out as far as it may; the rest waits for a final response
        match breadth::share(self.breadth_left(), members, later) {
            Some(share) => Step::Start(to, share),
            None => Step::Wait,
        }
    }
}

impl ProxyCore {
    /// Makes every branch that may be made now.
    pub(crate) fn start_targets(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        loop {
            let Some(context) = self.contexts.at_mut(name) else {
                return;
            };
            if context.cancelled {
                return self.finish_cancelled(now, name, out);
            }
            if !context.is_open() {
                return;
            }
            let (to, share) = match context.next_step(self.config.policy.hunt_after_ringing) {
                Step::Start(to, share) => (to, share),
                Step::Wait => return,
                Step::Finish => return self.finish_hunt(now, name, out),
            };
            let Some(hunt) = &mut context.hunt else {
                return;
            };
            if let Some(at) = to.contact {
                hunt.queued.retain(|queued| *queued != at);
                hunt.followed = hunt.followed.saturating_add(1);
                self.stats.count(Stat::RedirectsFollowed);
            } else {
                hunt.group = Some(hunt.group_of(hunt.next));
                hunt.next += 1;
                if self.was_followed(name, to) {
                    continue;
                }
            }
            self.start_target(now, name, to, share, out);
        }
    }

    /// The host name of a target has an address, or none.
    pub(crate) fn resume_target(
        &mut self,
        now: Now,
        name: ContextRef,
        to: Destination,
        answer: &JobAnswer,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        let Some(hunt) = &mut context.hunt else {
            return;
        };
        let Some(at) = hunt.waiting.iter().position(|waiting| waiting.to == to) else {
            return;
        };
        let share = hunt.waiting.remove(at).breadth;
        if context.cancelled || !context.is_open() {
            return;
        }
        if matches!(answer, JobAnswer::Failed(JobFailure::QueueFull)) {
            // Nothing may queue without a bound: 503 at once, unless another branch may still answer.
            if !context.is_hunting() {
                return self.finish_here(now, name, 503, Cause::QueueFull, out);
            }
            self.pass_over(name, Cause::QueueFull);
        } else if context.hunt.as_ref().is_some_and(|hunt| !hunt.closed) {
            self.start_target(now, name, to, share, out);
        }
        self.start_targets(now, name, out);
    }

    /// Makes a branch for one target; it waits alone if its name must be resolved.
    fn start_target(
        &mut self,
        now: Now,
        name: ContextRef,
        to: Destination,
        share: u8,
        out: &mut Output,
    ) {
        let Some(candidate) = self.candidate(now, name, to) else {
            return;
        };
        let Some(context) = self.contexts.at(name) else {
            return;
        };
        let (listener, call, invite) = (
            context.flow.listener,
            context.call,
            context.kind == Kind::Invite,
        );
        let hop = match &candidate.host {
            GatewayHost::Ip(address) => NextHop::Address(*address),
            GatewayHost::Name { host, port } => {
                self.next_hop_by_name(now, host, *port, Transport::Udp)
            }
        };
        let flow = match hop {
            NextHop::Address(address) => self.flow_to(address, listener),
            NextHop::Unresolvable => None,
            NextHop::Ask(kind) => {
                let parked = Parked::Target { context: name, to };
                self.park(
                    now,
                    parked,
                    kind,
                    self.config.policy.resolve_deadline_us,
                    out,
                );
                let context = self.contexts.at_mut(name);
                if let Some(hunt) = context.and_then(|context| context.hunt.as_mut()) {
                    hunt.waiting.push(Waiting { to, breadth: share });
                }
                return;
            }
        };
        let Some(flow) = flow else {
            return self.note_unreachable_attempt(now, name, candidate);
        };
        if invite
            && let Some((slot, channels, cps)) = candidate.slot
            && self.take_limits(now, slot, channels, cps).is_err()
        {
            self.stats.count(Stat::VendorLimited);
            return self.pass_over(name, Cause::VendorLimit);
        }
        let again = self.contexts.at(name).is_some_and(|context| {
            to.contact.is_none()
                && context
                    .hunt
                    .as_ref()
                    .is_some_and(|hunt| hunt.group != Some(0))
        });
        let attempt = call.map_or(0, |id| self.add_attempt(id, candidate, flow.remote, again));
        let new = NewBranch {
            to,
            attempt,
            flow,
            breadth: Some(share),
        };
        self.send_branch(now, name, new, out);
    }

    /// A target, with all that its attempt will record.
    fn candidate(&self, now: Now, name: ContextRef, to: Destination) -> Option<Candidate> {
        let context = self.contexts.at(name)?;
        let hunt = context.hunt.as_ref()?;
        let started_us = context
            .call
            .and_then(|id| self.calls.at(id))
            .map_or(now.wall_us, |call| call.wall(Self::at(now)));
        let attempt = |vendor: &str, next_hop: String, callee_sent: &str| Attempt {
            vendor: vendor.to_owned(),
            next_hop,
            started_us,
            ring_us: None,
            answer_us: None,
            ended_us: None,
            duration_us: 0,
            status: 0,
            cause: Cause::Other,
            terms: None,
            prefix: None,
            callee_sent: callee_sent.to_owned(),
        };
        if hunt.preloaded {
            return self.preloaded_host(&context.request).map(|host| Candidate {
                attempt: attempt("", host.to_string(), ""),
                host,
                vendor_trunk: 0,
                slot: None,
                currency: None,
            });
        }
        let target = hunt.target(to)?;
        let (gateway, number) = hunt.place(to)?;
        let vendor = hunt.snapshot.vendor(target.vendor);
        let host = hunt.snapshot.gateway(gateway).host.clone();
        let mut attempt = attempt(&vendor.name, host.to_string(), number);
        attempt.terms.clone_from(&target.terms);
        attempt.prefix = target.prefix.map(|prefix| prefix.to_string());
        Some(Candidate {
            host,
            vendor_trunk: vendor.trunk.0,
            slot: Some((vendor.slot, vendor.channel_limit, vendor.cps_limit)),
            currency: Some(vendor.currency.clone()),
            attempt,
        })
    }

    /// Where the first foreign Route leads.
    fn preloaded_host(&self, request: &[u8]) -> Option<GatewayHost> {
        let mut table = sip_parser::HeaderTable::default();
        let message = parse_datagram(request, &mut table).ok()?;
        let route = self.foreign_route(&message)?;
        let Ok(Uri::Sip(uri)) = Uri::parse(route.uri) else {
            return None;
        };
        let maddr = uri.params.get(b"maddr").and_then(Host::parse);
        Some(match maddr.unwrap_or(uri.host) {
            Host::V4(ip) => GatewayHost::Ip(SocketAddr::new(ip.into(), uri.port.unwrap_or(5060))),
            Host::V6(ip) => GatewayHost::Ip(SocketAddr::new(ip.into(), uri.port.unwrap_or(5060))),
            Host::Name(host) => GatewayHost::Name {
                host: crate::cdr::text(host),
                port: uri.port,
            },
        })
    }

    fn pass_over(&mut self, name: ContextRef, cause: Cause) {
        if let Some(hunt) = self
            .contexts
            .at_mut(name)
            .and_then(|context| context.hunt.as_mut())
        {
            hunt.passed_over = Some(cause);
        }
    }

    /// An attempt that failed before a byte was sent.
    fn note_unreachable_attempt(&mut self, now: Now, name: ContextRef, candidate: Candidate) {
        self.pass_over(name, Cause::DnsFailed);
        let Some(id) = self.contexts.at(name).and_then(|context| context.call) else {
            return;
        };
        if let Some(call) = self.calls.at_mut(id) {
            let at = u16::try_from(call.attempts.len()).unwrap_or(u16::MAX);
            call.attempts.push(AttemptState {
                record: candidate.attempt,
                vendor_trunk: candidate.vendor_trunk,
                channel: None,
                currency: candidate.currency,
                answered_us: None,
                closed: false,
            });
            let _ = call.close_attempt(at, Self::at(now), None, Cause::DnsFailed);
        }
    }

    /// A new attempt of a call; `again` when one of an earlier group has failed.
    fn add_attempt(
        &mut self,
        id: uuid::Uuid,
        candidate: Candidate,
        remote: SocketAddr,
        again: bool,
    ) -> u16 {
        let Some(call) = self.calls.at_mut(id) else {
            return 0;
        };
        self.stats.count(Stat::Attempts);
        if again && !call.attempts.is_empty() {
            self.stats.count(Stat::Failovers);
        }
        let mut record = candidate.attempt;
        record.next_hop = remote.to_string();
        call.cdr.transport_out = Some("udp".to_owned());
        call.attempts.push(AttemptState {
            record,
            vendor_trunk: candidate.vendor_trunk,
            channel: candidate.slot.map(|(slot, ..)| slot),
            currency: candidate.currency,
            answered_us: None,
            closed: false,
        });
        u16::try_from(call.attempts.len() - 1).unwrap_or(u16::MAX)
    }

    /// Adds a branch and sends its request.
    pub(crate) fn send_branch(
        &mut self,
        now: Now,
        name: ContextRef,
        new: NewBranch,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        let text = self.branches.next(&context.loop_text);
        context.stage = Stage::Forwarded;
        let Ok(branch) = u8::try_from(context.branches.len()) else {
            return;
        };
        let name = BranchRef {
            context: name,
            branch,
        };
        let (kind, initial) = (context.kind, matches!(context.role, Role::Initial));
        let NewBranch {
            to,
            attempt,
            flow,
            breadth,
        } = new;
        context.branches.push(Branch {
            client: None,
            flow,
            text,
            attempt,
            to,
            breadth,
            state: BranchState::Calling,
            cancel: CancelState::No,
            held: false,
            abandoned: false,
            given_up: None,
            no_1xx: None,
            ring: None,
            timer_c: None,
            cancel_wait: None,
        });
        let mut bytes = self.buffer();
        self.write_branch_request(name, &mut bytes);
        //= refuses RFC 3261 §18.1.1: requests beyond the path MTU are sent over UDP all the same; because TCP is not implemented
        if bytes.len() > UDP_PAYLOAD_MAX {
            // It could not leave, and nothing that we could blame on the next hop would follow.
            self.recycle(bytes);
            return self.fail_branch_here(now, name, 513, Cause::BadRequest, out);
        }
        let method = method_of(&bytes);
        //= RFC 3261 §16.6(10): each branch has a client transaction of its own, which sends its request
        let client = self.transactions.start_client(
            now.mono_us,
            method,
            &text,
            &bytes,
            &flow,
            name.to_user(),
            &mut out.outbox,
        );
        self.recycle(bytes);
        let (no_1xx_us, timer_c_us) = (self.config.policy.no_1xx_us, self.config.policy.timer_c_us);
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        let Ok(client) = client else {
            //= RFC 3261 §16.9: a request that cannot be sent counts as answered 503
            self.stats.count(Stat::TablesFull);
            return self.fail_branch_here(now, name, 503, Cause::Overload, out);
        };
        branch.client = Some(client);
        if kind == Kind::Invite {
            let after = |delay_us: u64| now.mono_us + delay_us;
            if initial {
                branch.no_1xx = Some(self.wheel.insert(
                    now.mono_us,
                    after(no_1xx_us),
                    CoreTimer::No1xx(name),
                ));
            }
            //= RFC 3261 §16.6(11): Timer C for every branch of an INVITE
            branch.timer_c = Some(self.wheel.insert(
                now.mono_us,
                after(timer_c_us),
                CoreTimer::TimerC(name),
            ));
        }
    }

    /// A branch whose request could not be sent: a failed target, or the end of a request within a dialog.
    fn fail_branch_here(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        cause: Cause,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at(name.context) else {
            return;
        };
        if matches!(context.role, Role::Initial) {
            return self.on_branch_failed(now, name, status, cause, None, out);
        }
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.state = BranchState::Done;
        }
        self.finish_in_dialog_here(now, name.context, status, out);
    }
}

/// The method at the start of a request that was written here.
fn method_of(bytes: &[u8]) -> Method<'_> {
    Method::from_bytes(bytes.split(|b| *b == b' ').next().unwrap_or_default())
}

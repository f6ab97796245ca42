//! A scripted caller: it invites, perhaps cancels, acknowledges, acts in the dialog and hangs up (RFC 3261 §13.2, §9.1).
//! Every 2xx makes a dialog; all but the first, and any after a CANCEL, are acknowledged and hung up at once (§13.2.2.4).
//! Leaves out authentication: a customer never sees a vendor's challenge.

use std::net::SocketAddr;

use crate::agent::{Agent, AgentEvent, T64_US, cancel_of};
use crate::clock::SECOND;
use crate::dialog::Dialog;
use crate::leg::{Act, Leg, LegLog};
use crate::sip_text::SipText;

/// When the caller thinks better of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelPlan {
    /// Never, short of its patience.
    Never,
    /// So many µs after the INVITE left, but not before a provisional response (§9.1).
    After(u64),
    /// So many µs after the INVITE left, provisional response or not.
    Rudely(u64),
    /// So many µs after the first 18x.
    AfterRinging(u64),
}

/// What one caller does.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// When the INVITE leaves, µs.
    pub starts_us: u64,
    /// The dialled number: the user part of the request URI.
    pub number: String,
    /// When to cancel.
    pub cancel: CancelPlan,
    /// Longest wait for a final response, µs; then it cancels.
    pub patience_us: u64,
    /// Acts after the answer: (µs after the 2xx, act), in order. Without a BYE the callee hangs up.
    pub acts: Vec<(u64, Act)>,
    /// Sends in-dialog requests without Route, as many SBCs do.
    pub drop_route: bool,
    /// Says `Supported: 100rel` and answers reliable responses by PRACK.
    pub reliable: bool,
    /// Ignores every 2xx but those of the dialog that answered first, as many a UA does: no ACK, no BYE.
    pub takes_one_answer: bool,
    /// The host in Contact; `None`: the address.
    pub contact_host: Option<String>,
    /// Max-Forwards of the INVITE.
    pub max_forwards: u8,
    /// Further header fields of the INVITE.
    pub headers: Vec<(String, String)>,
}

impl Default for CallPlan {
    fn default() -> Self {
        Self {
            starts_us: 0,
            number: "4930123456".to_owned(),
            cancel: CancelPlan::Never,
            patience_us: 90 * SECOND,
            acts: vec![(10 * SECOND, Act::Bye)],
            drop_route: false,
            reliable: false,
            takes_one_answer: false,
            contact_host: None,
            max_forwards: 70,
            headers: Vec::new(),
        }
    }
}

/// What the caller saw; µs of virtual time.
#[derive(Clone, Debug, Default)]
pub struct CallSaw {
    /// The INVITE first left.
    pub invited_us: u64,
    /// Provisional responses in order of arrival, 100 included.
    pub provisionals: Vec<(u64, u16)>,
    /// Final responses to the INVITE, each once: moment, status, To-tag.
    pub finals: Vec<(u64, u16, String)>,
    /// The CANCEL first left.
    pub cancelled_us: Option<u64>,
    /// The answer to the CANCEL (408: none).
    pub cancel_answer: Option<u16>,
    /// Nothing final was heard in time.
    pub gave_up: bool,
}

/// One call of a caller.
#[derive(Debug)]
pub struct CallerCall {
    /// What it does.
    pub plan: CallPlan,
    /// Its Call-ID.
    pub call_id: String,
    /// What it saw.
    pub saw: CallSaw,
    /// One leg for each 2xx, by To-tag.
    pub legs: Vec<(String, Leg)>,
    early: Vec<(String, Leg, u32)>,
    invite: Option<u64>,
    cancel: Option<u64>,
    cancel_at_us: Option<u64>,
    give_up_us: Option<u64>,
    started: bool,
}

/// A customer's host: one address, many calls.
#[derive(Debug)]
pub struct CallerHost {
    /// Its transactions and address.
    pub agent: Agent,
    /// Its calls in order of their plans.
    pub calls: Vec<CallerCall>,
    proxy: SocketAddr,
}

impl CallerHost {
    /// A host named `name` at `address` that sends its calls to `proxy`.
    pub fn new(name: &str, address: SocketAddr, proxy: SocketAddr) -> Self {
        Self {
            agent: Agent::new(name, address),
            calls: Vec::new(),
            proxy,
        }
    }

    /// Adds a call; gives its Call-ID.
    pub fn plan(&mut self, plan: CallPlan) -> String {
        let call_id = format!("call-{}-{}", self.agent.name(), self.calls.len());
        self.calls.push(CallerCall {
            plan,
            call_id: call_id.clone(),
            saw: CallSaw::default(),
            legs: Vec::new(),
            early: Vec::new(),
            invite: None,
            cancel: None,
            cancel_at_us: None,
            give_up_us: None,
            started: false,
        });
        call_id
    }

    /// True when every call has run its course and no transaction is left.
    pub fn is_done(&self) -> bool {
        self.agent.next_us().is_none() && self.calls.iter().all(CallerCall::is_done)
    }

    /// Call-IDs of the calls that are not done.
    pub fn waiting_calls(&self) -> Vec<&str> {
        let calls = self.calls.iter().filter(|call| !call.is_done());
        calls.map(|call| call.call_id.as_str()).collect()
    }

    /// When something is due next.
    pub fn next_us(&self) -> Option<u64> {
        self.calls
            .iter()
            .filter_map(CallerCall::next_us)
            .chain(self.agent.next_us())
            .min()
    }

    /// Does what is due.
    pub fn on_time(&mut self, now_us: u64) {
        for event in self.agent.on_time(now_us) {
            self.on_event(now_us, event);
        }
        for call in &mut self.calls {
            call.on_time(now_us, &mut self.agent, self.proxy);
        }
    }

    /// Takes a datagram in.
    pub fn on_datagram(&mut self, now_us: u64, from: SocketAddr, bytes: &[u8]) {
        if let Some(event) = self.agent.on_datagram(now_us, from, bytes) {
            self.on_event(now_us, event);
        }
    }

    fn on_event(&mut self, now_us: u64, event: AgentEvent) {
        let agent = &mut self.agent;
        match event {
            AgentEvent::Response { client, response } => {
                let call = self
                    .calls
                    .iter_mut()
                    .find(|call| call.call_id == response.call_id());
                if let Some(call) = call {
                    call.on_response(now_us, agent, client, &response, self.proxy);
                }
            }
            AgentEvent::ClientTimeout { client } => {
                for call in &mut self.calls {
                    call.on_client_timeout(now_us, client);
                }
            }
            AgentEvent::Request {
                server, request, ..
            } => {
                let call = self
                    .calls
                    .iter_mut()
                    .find(|call| call.call_id == request.call_id());
                let leg = call.and_then(|call| call.leg(request.from_tag().unwrap_or("")));
                match leg {
                    Some(leg) => leg.on_request(now_us, agent, server, &request),
                    None => {
                        agent.respond(now_us, server, SipText::response(&request, 481, "none"));
                    }
                }
            }
            AgentEvent::Ack { request } => {
                let call = self
                    .calls
                    .iter_mut()
                    .find(|call| call.call_id == request.call_id());
                if let Some(leg) = call.and_then(|call| call.leg(request.from_tag().unwrap_or("")))
                {
                    leg.log.heard.push("ACK".to_owned());
                }
            }
            AgentEvent::Unacknowledged { invite, .. } => {
                let call = self
                    .calls
                    .iter_mut()
                    .find(|call| call.call_id == invite.call_id());
                let tag = invite.from_tag().unwrap_or("").to_owned();
                if let Some(leg) = call.and_then(|call| call.leg(&tag)) {
                    leg.hang_up_now(now_us);
                }
            }
        }
    }
}

impl CallerCall {
    /// What the leg of the first 2xx saw.
    pub fn first_leg(&self) -> Option<&LegLog> {
        self.legs.first().map(|(_, leg)| &leg.log)
    }

    fn leg(&mut self, remote_tag: &str) -> Option<&mut Leg> {
        self.legs
            .iter_mut()
            .find(|(tag, _)| tag == remote_tag)
            .map(|(_, leg)| leg)
    }

    fn is_done(&self) -> bool {
        let heard = !self.saw.finals.is_empty() || self.saw.gave_up;
        self.started && heard && self.legs.iter().all(|(_, leg)| leg.is_done())
    }

    fn next_us(&self) -> Option<u64> {
        let start = (!self.started).then_some(self.plan.starts_us);
        let legs = self.legs.iter().filter_map(|(_, leg)| leg.next_us());
        legs.chain(start)
            .chain(self.cancel_due())
            .chain(self.give_up_us)
            .min()
    }

    /// The moment to send the CANCEL, if it may be sent.
    fn cancel_due(&self) -> Option<u64> {
        let waiting = self.invite.is_some() && self.saw.finals.is_empty() && self.cancel.is_none();
        let allowed =
            !self.saw.provisionals.is_empty() || matches!(self.plan.cancel, CancelPlan::Rudely(_));
        if waiting && allowed {
            self.cancel_at_us
        } else {
            None
        }
    }

    fn on_time(&mut self, now_us: u64, agent: &mut Agent, proxy: SocketAddr) {
        if !self.started && self.plan.starts_us <= now_us {
            self.start(now_us, agent, proxy);
        }
        if self.cancel_due().is_some_and(|at_us| at_us <= now_us) {
            let cancel = self
                .invite
                .and_then(|invite| agent.client_request(invite))
                .map(cancel_of);
            if let Some(cancel) = cancel {
                self.saw.cancelled_us = Some(now_us);
                self.cancel = Some(agent.start_client(now_us, cancel, proxy));
                // RFC 3261 §9.1: 64·T1 after the CANCEL the UAC considers the transaction cancelled.
                self.give_up_us = Some(now_us + T64_US);
            }
        }
        if self.give_up_us.is_some_and(|at_us| at_us <= now_us) {
            self.give_up_us = None;
            if self.saw.finals.is_empty() {
                self.saw.gave_up = true;
            }
        }
        for (_, leg) in &mut self.legs {
            leg.on_time(now_us, agent);
        }
    }

    fn start(&mut self, now_us: u64, agent: &mut Agent, proxy: SocketAddr) {
        self.started = true;
        self.saw.invited_us = now_us;
        let contact = match &self.plan.contact_host {
            Some(host) => format!("<sip:caller@{host}>"),
            None => format!("<sip:caller@{}>", agent.address),
        };
        let mut invite = SipText::request("INVITE", &format!("sip:{}@{proxy}", self.plan.number));
        invite.push("Max-Forwards", &self.plan.max_forwards.to_string());
        invite.push(
            "From",
            &format!(
                "<sip:anna@{}>;tag=from-{}",
                agent.address.ip(),
                self.call_id
            ),
        );
        invite.push("To", &format!("<sip:{}@{}>", self.plan.number, proxy.ip()));
        invite.push("Call-ID", &self.call_id);
        invite.push("CSeq", "1 INVITE");
        invite.push("Contact", &contact);
        if self.plan.reliable {
            invite.push("Supported", "100rel");
        }
        for (name, value) in &self.plan.headers {
            invite.push(name, value);
        }
        invite.push("Content-Type", "application/sdp");
        invite.body = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\n".to_owned();
        self.invite = Some(agent.start_client(now_us, invite, proxy));
        self.cancel_at_us = match self.plan.cancel {
            CancelPlan::After(us) | CancelPlan::Rudely(us) => Some(now_us + us),
            _ => Some(now_us + self.plan.patience_us),
        };
    }

    fn on_response(
        &mut self,
        now_us: u64,
        agent: &mut Agent,
        client: u64,
        response: &SipText,
        proxy: SocketAddr,
    ) {
        if self.cancel == Some(client) {
            if response.status() >= 200 {
                self.saw.cancel_answer = Some(response.status());
            }
            return;
        }
        if self.invite == Some(client) {
            self.on_invite_response(now_us, agent, response, proxy);
            return;
        }
        let tag = response.to_tag().unwrap_or("").to_owned();
        if let Some(leg) = self.leg(&tag) {
            leg.on_response(now_us, agent, client, response);
            return;
        }
        // A wrong To-tag (a fraud of ours) comes back with the response.
        for (_, leg) in &mut self.legs {
            if leg.on_response(now_us, agent, client, response) {
                return;
            }
        }
    }

    fn on_invite_response(
        &mut self,
        now_us: u64,
        agent: &mut Agent,
        response: &SipText,
        proxy: SocketAddr,
    ) {
        let (status, tag) = (
            response.status(),
            response.to_tag().unwrap_or("").to_owned(),
        );
        if status < 200 {
            self.saw.provisionals.push((now_us, status));
            if let (CancelPlan::AfterRinging(us), true) = (self.plan.cancel, status > 100) {
                let at_us = now_us + us;
                self.cancel_at_us = self.cancel_at_us.map(|known_us| known_us.min(at_us));
            }
            if let Some(rseq) = response.first("RSeq") {
                self.prack(now_us, agent, response, rseq, &tag, proxy);
            }
            return;
        }
        if status >= 300 {
            self.saw.finals.push((now_us, status, tag));
            return;
        }
        if let Some(leg) = self.leg(&tag) {
            leg.acknowledge(agent, response);
            return;
        }
        let unwanted = self.saw.cancelled_us.is_some() || !self.legs.is_empty();
        let heard = self.saw.finals.iter().any(|(_, _, known)| *known == tag);
        if !heard {
            self.saw.finals.push((now_us, status, tag.clone()));
        }
        if self.plan.takes_one_answer && !self.legs.is_empty() {
            return;
        }
        let Some(invite) = self.invite.and_then(|invite| agent.client_request(invite)) else {
            return;
        };
        let mut dialog = Dialog::of_caller(invite, response);
        if let Some((_, early, _)) = self.early.iter().find(|(known, ..)| *known == tag) {
            dialog.local_cseq = early.dialog.local_cseq;
        }
        let acts = match unwanted {
            true => vec![(now_us, Act::Bye)],
            false => self
                .plan
                .acts
                .iter()
                .map(|(after_us, act)| (now_us + after_us, *act))
                .collect(),
        };
        let mut leg = Leg::new(dialog, acts, proxy, self.plan.drop_route);
        leg.log.answered_us = Some(now_us);
        leg.acknowledge(agent, response);
        self.legs.push((tag, leg));
    }

    fn prack(
        &mut self,
        now_us: u64,
        agent: &mut Agent,
        response: &SipText,
        rseq: &str,
        tag: &str,
        proxy: SocketAddr,
    ) {
        let number: u32 = rseq.parse().unwrap_or(0);
        if !self.early.iter().any(|(known, ..)| known == tag) {
            let Some(invite) = self.invite.and_then(|invite| agent.client_request(invite)) else {
                return;
            };
            let dialog = Dialog::of_caller(invite, response);
            self.early.push((
                tag.to_owned(),
                Leg::new(dialog, Vec::new(), proxy, self.plan.drop_route),
                0,
            ));
        }
        let Some((_, leg, highest)) = self.early.iter_mut().find(|(known, ..)| known == tag) else {
            return;
        };
        if number > *highest {
            *highest = number;
            leg.prack(now_us, agent, response, rseq);
        }
    }

    fn on_client_timeout(&mut self, now_us: u64, client: u64) {
        if self.invite == Some(client) && self.saw.finals.is_empty() {
            self.saw.gave_up = true;
        }
        if self.cancel == Some(client) {
            self.saw.cancel_answer.get_or_insert(408);
        }
        for (_, leg) in &mut self.legs {
            leg.on_client_timeout(now_us, client);
        }
    }
}

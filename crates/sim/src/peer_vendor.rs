//! A scripted vendor gateway: it answers, refuses, rings for ever, keeps silent or crosses a CANCEL (RFC 3261 §13.3, §9.2).
//! Every new INVITE takes the next script; the last one stays in force.
//! Leaves out media and everything behind the gateway.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::agent::{Agent, AgentEvent, T1_US, T64_US};
use crate::clock::{MS, SECOND};
use crate::dialog::Dialog;
use crate::leg::{Act, Leg};
use crate::sip_text::SipText;

/// Ends the To-tag of the second endpoint of a fork.
pub const FORK: &str = "-fork";

/// How the INVITE ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200 so many µs after the INVITE.
    Answer(u64),
    /// A refusal so many µs after the INVITE.
    Refuse(u64, u16),
    /// Never a final response (but 487 for a CANCEL).
    Never,
}

/// What a CANCEL meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// 200, and 487 for the INVITE.
    Obey,
    /// 200, but the INVITE is answered 200 so many µs later all the same.
    AnswerAnyway(u64),
    /// The CANCEL is not answered; the INVITE goes on as scripted.
    Ignore,
}

/// What a gateway does with one INVITE.
#[derive(Clone, Debug)]
pub struct VendorScript {
    /// 100 so many µs after the INVITE.
    pub trying_us: Option<u64>,
    /// Provisional responses: (µs after the INVITE, status, reliable).
    pub rings: Vec<(u64, u16, bool)>,
    /// The end.
    pub outcome: Outcome,
    /// What a CANCEL meets.
    pub on_cancel: OnCancel,
    /// Acts after the answer: (µs after the 2xx, act).
    pub acts: Vec<(u64, Act)>,
    /// The host in Contact; `None`: the address.
    pub contact_host: Option<String>,
    /// Sends in-dialog requests without Route.
    pub drop_route: bool,
    /// The INVITE forks behind the gateway: another endpoint answers too, so many µs after the first.
    pub fork_us: Option<u64>,
    /// Refuses the first BYEs with these statuses, and goes on talking.
    pub bye_refusals: Vec<u16>,
    /// Further header fields of the final response.
    pub headers: Vec<(String, String)>,
}

impl Default for VendorScript {
    fn default() -> Self {
        Self {
            trying_us: Some(0),
            rings: vec![(200 * MS, 180, false)],
            outcome: Outcome::Answer(2 * SECOND),
            on_cancel: OnCancel::Obey,
            acts: Vec::new(),
            contact_host: None,
            drop_route: false,
            fork_us: None,
            bye_refusals: Vec::new(),
            headers: Vec::new(),
        }
    }
}

impl VendorScript {
    /// Refuses at once.
    pub fn refuse(status: u16) -> Self {
        Self {
            rings: Vec::new(),
            outcome: Outcome::Refuse(10 * MS, status),
            ..Self::default()
        }
    }

    /// Never says a word, not even to a CANCEL.
    pub fn silent() -> Self {
        Self {
            trying_us: None,
            rings: Vec::new(),
            outcome: Outcome::Never,
            on_cancel: OnCancel::Ignore,
            ..Self::default()
        }
    }

    /// Rings and never answers.
    pub fn rings_for_ever() -> Self {
        Self {
            outcome: Outcome::Never,
            ..Self::default()
        }
    }
}

#[derive(Debug)]
enum Step {
    Provisional { status: u16, rseq: Option<u32> },
    Answer,
    Refuse(u16),
}

/// One INVITE at a gateway.
#[derive(Debug)]
pub struct VendorCall {
    /// Its Call-ID.
    pub call_id: String,
    /// The To-tag given to it.
    pub tag: String,
    /// The request URI as received.
    pub uri: String,
    /// When it first came, µs.
    pub invited_us: u64,
    /// Its Max-Forwards as received.
    pub max_forwards: String,
    /// A CANCEL came, µs.
    pub cancelled_us: Option<u64>,
    /// The final response: moment and status.
    pub final_sent: Option<(u64, u16)>,
    /// PRACKs heard.
    pub pracks: u32,
    /// After the answer, the dialog.
    pub leg: Option<Leg>,
    script: VendorScript,
    server: u64,
    steps: VecDeque<(u64, Step)>,
    unpracked: Option<(u32, u64, u64, u64)>,
    fork_at_us: Option<u64>,
}

/// A vendor's gateway: one address.
#[derive(Debug)]
pub struct VendorHost {
    /// Its transactions and address.
    pub agent: Agent,
    /// The INVITEs it met, in order.
    pub calls: Vec<VendorCall>,
    /// Requests outside any dialog, answered 200 (OPTIONS, MESSAGE …), by method.
    pub other: Vec<String>,
    /// False: the host is down, nothing is read.
    pub up: bool,
    scripts: VecDeque<VendorScript>,
    proxy: SocketAddr,
}

impl VendorHost {
    /// A gateway named `name` at `address` behind `proxy`, with its scripts.
    pub fn new(
        name: &str,
        address: SocketAddr,
        proxy: SocketAddr,
        scripts: Vec<VendorScript>,
    ) -> Self {
        Self {
            agent: Agent::new(name, address),
            calls: Vec::new(),
            other: Vec::new(),
            up: true,
            scripts: scripts.into(),
            proxy,
        }
    }

    /// True when a script of it forks.
    pub fn forks(&self) -> bool {
        self.scripts.iter().any(|script| script.fork_us.is_some())
    }

    /// True when nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.next_us().is_none() && self.calls.iter().all(VendorCall::is_done)
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
            .filter_map(VendorCall::next_us)
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
        let forks: Vec<_> = self
            .calls
            .iter_mut()
            .filter_map(|call| call.fork(now_us, &mut self.agent, self.proxy))
            .collect();
        self.calls.extend(forks);
    }

    /// Takes a datagram in.
    pub fn on_datagram(&mut self, now_us: u64, from: SocketAddr, bytes: &[u8]) {
        if !self.up {
            return;
        }
        if let Some(event) = self.agent.on_datagram(now_us, from, bytes) {
            self.on_event(now_us, event);
        }
    }

    fn script(&mut self) -> VendorScript {
        match self.scripts.len() {
            0 => VendorScript::default(),
            1 => self.scripts[0].clone(),
            _ => self.scripts.pop_front().unwrap_or_default(),
        }
    }

    fn call(&mut self, request: &SipText) -> Option<&mut VendorCall> {
        let (call_id, tag) = (request.call_id(), request.to_tag());
        self.calls
            .iter_mut()
            .find(|call| call.call_id == call_id && Some(call.tag.as_str()) == tag)
    }

    fn on_event(&mut self, now_us: u64, event: AgentEvent) {
        match event {
            AgentEvent::Request {
                server,
                cancels,
                request,
            } => {
                self.on_request(now_us, server, cancels, &request);
            }
            AgentEvent::Ack { request } => {
                if let Some(leg) = self.call(&request).and_then(|call| call.leg.as_mut()) {
                    leg.log.acked_us.get_or_insert(now_us);
                    leg.log.heard.push("ACK".to_owned());
                }
            }
            AgentEvent::Unacknowledged { server, invite } => {
                let call = self.calls.iter_mut().find(|call| {
                    let again =
                        invite.call_id() == call.call_id && invite.to_tag() == Some(&call.tag);
                    call.server == server || again
                });
                // RFC 3261 §13.3.1.4: no ACK in 64·T1, so the dialog is confirmed and ended by BYE.
                if let Some(leg) = call.and_then(|call| call.leg.as_mut()) {
                    leg.hang_up_now(now_us);
                }
            }
            AgentEvent::Response { client, response } => {
                let agent = &mut self.agent;
                for call in &mut self.calls {
                    let ours = call.call_id == response.call_id()
                        && response.from_tag() == Some(&call.tag);
                    if let Some(leg) = call.leg.as_mut().filter(|_| ours) {
                        leg.on_response(now_us, agent, client, &response);
                    }
                }
            }
            AgentEvent::ClientTimeout { client } => {
                for leg in self.calls.iter_mut().filter_map(|call| call.leg.as_mut()) {
                    leg.on_client_timeout(now_us, client);
                }
            }
        }
    }

    fn on_request(&mut self, now_us: u64, server: u64, cancels: Option<u64>, request: &SipText) {
        if request.method() == "CANCEL" {
            self.on_cancel(now_us, server, cancels, request);
            return;
        }
        if request.to_tag().is_some() {
            self.on_dialog_request(now_us, server, request);
            return;
        }
        if request.method() != "INVITE" {
            self.other.push(request.method().to_owned());
            self.agent
                .respond(now_us, server, SipText::response(request, 200, "other"));
            return;
        }
        let script = self.script();
        let tag = format!("to-{}-{}", self.agent.name(), self.calls.len());
        let mut call = VendorCall {
            call_id: request.call_id().to_owned(),
            tag,
            uri: request.uri().to_owned(),
            invited_us: now_us,
            max_forwards: request.first("Max-Forwards").unwrap_or("").to_owned(),
            cancelled_us: None,
            final_sent: None,
            pracks: 0,
            leg: None,
            steps: steps_of(now_us, &script, request),
            script,
            server,
            unpracked: None,
            fork_at_us: None,
        };
        call.on_time(now_us, &mut self.agent, self.proxy);
        self.calls.push(call);
    }

    fn on_dialog_request(&mut self, now_us: u64, server: u64, request: &SipText) {
        let (call_id, tag) = (
            request.call_id().to_owned(),
            request.to_tag().unwrap_or("").to_owned(),
        );
        let agent = &mut self.agent;
        let call = self
            .calls
            .iter_mut()
            .find(|call| call.call_id == call_id && call.tag == tag);
        match call {
            Some(call) if request.method() == "PRACK" => {
                call.pracks += 1;
                call.unpracked = None;
                if let Some(leg) = &mut call.leg {
                    leg.dialog.remote_cseq = leg.dialog.remote_cseq.max(request.cseq());
                }
                agent.respond(now_us, server, SipText::response(request, 200, &tag));
            }
            Some(VendorCall { leg: Some(leg), .. }) => {
                leg.on_request(now_us, agent, server, request)
            }
            _ => {
                agent.respond(now_us, server, SipText::response(request, 481, "none"));
            }
        }
    }

    fn on_cancel(&mut self, now_us: u64, server: u64, cancels: Option<u64>, request: &SipText) {
        let agent = &mut self.agent;
        let Some(call) = self
            .calls
            .iter_mut()
            .find(|call| Some(call.server) == cancels)
        else {
            agent.respond(now_us, server, SipText::response(request, 481, "none"));
            return;
        };
        call.cancelled_us.get_or_insert(now_us);
        match call.script.on_cancel {
            OnCancel::Ignore => return,
            OnCancel::Obey if call.final_sent.is_none() => {
                call.steps.clear();
                call.steps.push_back((now_us, Step::Refuse(487)));
            }
            OnCancel::AnswerAnyway(after_us) if call.final_sent.is_none() => {
                call.steps.clear();
                call.steps.push_back((now_us + after_us, Step::Answer));
            }
            OnCancel::Obey | OnCancel::AnswerAnyway(_) => {}
        }
        let tag = call.tag.clone();
        agent.respond(now_us, server, SipText::response(request, 200, &tag));
        call.on_time(now_us, agent, self.proxy);
    }
}

fn steps_of(now_us: u64, script: &VendorScript, request: &SipText) -> VecDeque<(u64, Step)> {
    let reliable_wanted = request
        .values("Supported")
        .iter()
        .any(|token| token == "100rel");
    let trying = script.trying_us.map(|us| {
        (
            now_us + us,
            Step::Provisional {
                status: 100,
                rseq: None,
            },
        )
    });
    let mut rseq = 0;
    let rings = script.rings.iter().map(|(us, status, reliable)| {
        let numbered = (*reliable && reliable_wanted).then(|| {
            rseq += 1;
            rseq
        });
        (
            now_us + us,
            Step::Provisional {
                status: *status,
                rseq: numbered,
            },
        )
    });
    let mut steps: Vec<_> = trying.into_iter().chain(rings).collect();
    match script.outcome {
        Outcome::Answer(us) => steps.push((now_us + us, Step::Answer)),
        Outcome::Refuse(us, status) => steps.push((now_us + us, Step::Refuse(status))),
        Outcome::Never => {}
    }
    steps.sort_by_key(|(at_us, _)| *at_us);
    steps.into()
}

impl VendorCall {
    fn is_done(&self) -> bool {
        match &self.leg {
            Some(leg) => leg.is_done(),
            None => self.steps.is_empty(),
        }
    }

    fn next_us(&self) -> Option<u64> {
        let step = self.steps.front().map(|(at_us, _)| *at_us);
        let again = self.unpracked.map(|(_, at_us, ..)| at_us);
        let leg = self.leg.as_ref().and_then(Leg::next_us);
        step.into_iter()
            .chain(again)
            .chain(leg)
            .chain(self.fork_at_us)
            .min()
    }

    /// The second endpoint's answer, when it is due.
    fn fork(&mut self, now_us: u64, agent: &mut Agent, proxy: SocketAddr) -> Option<Self> {
        self.fork_at_us.take_if(|at_us| *at_us <= now_us)?;
        let invite = agent.server_request(self.server)?.clone();
        let tag = format!("{}{FORK}", self.tag);
        let contact = self.contact(agent);
        let response = SipText::response(&invite, 200, &tag).with("Contact", &contact);
        let server = agent.answer_again(now_us, self.server, response)?;
        let dialog = Dialog::of_callee(&invite, &tag, &contact);
        let mut leg = Leg::new(dialog, Vec::new(), proxy, self.script.drop_route);
        leg.log.answered_us = Some(now_us);
        Some(Self {
            call_id: self.call_id.clone(),
            tag,
            uri: self.uri.clone(),
            invited_us: self.invited_us,
            max_forwards: self.max_forwards.clone(),
            cancelled_us: None,
            final_sent: Some((now_us, 200)),
            pracks: 0,
            leg: Some(leg),
            script: self.script.clone(),
            server,
            steps: VecDeque::new(),
            unpracked: None,
            fork_at_us: None,
        })
    }

    fn contact(&self, agent: &Agent) -> String {
        match &self.script.contact_host {
            Some(host) => format!("<sip:callee@{host}>"),
            None => format!("<sip:callee@{}>", agent.address),
        }
    }

    fn on_time(&mut self, now_us: u64, agent: &mut Agent, proxy: SocketAddr) {
        while self
            .steps
            .front()
            .is_some_and(|(at_us, _)| *at_us <= now_us)
        {
            if let Some((_, step)) = self.steps.pop_front() {
                self.take_step(now_us, agent, step, proxy);
            }
        }
        self.repeat_unpracked(now_us, agent);
        if let Some(leg) = &mut self.leg {
            leg.on_time(now_us, agent);
        }
    }

    fn take_step(&mut self, now_us: u64, agent: &mut Agent, step: Step, proxy: SocketAddr) {
        let Some(invite) = agent.server_request(self.server).cloned() else {
            return;
        };
        if self.final_sent.is_some() {
            return;
        }
        let contact = self.contact(agent);
        let status = match &step {
            Step::Provisional { status, .. } | Step::Refuse(status) => *status,
            Step::Answer => 200,
        };
        let mut response = SipText::response(&invite, status, &self.tag);
        if status != 100 {
            response.push("Contact", &contact);
        }
        match step {
            Step::Provisional { rseq, .. } => {
                if let Some(rseq) = rseq {
                    response.push("Require", "100rel");
                    response.push("RSeq", &rseq.to_string());
                    self.unpracked = Some((rseq, now_us + T1_US, T1_US, now_us + T64_US));
                }
            }
            Step::Refuse(_) | Step::Answer => {
                for (name, value) in &self.script.headers {
                    response.set(name, value);
                }
                self.unpracked = None;
                self.final_sent = Some((now_us, status));
            }
        }
        if status == 200 {
            let acts = self
                .script
                .acts
                .iter()
                .map(|(after_us, act)| (now_us + after_us, *act))
                .collect();
            let mut dialog = Dialog::of_callee(&invite, &self.tag, &contact);
            // PRACKs have used CSeq numbers up already.
            dialog.remote_cseq += self.pracks;
            let mut leg = Leg::new(dialog, acts, proxy, self.script.drop_route);
            leg.log.answered_us = Some(now_us);
            leg.bye_refusals = self.script.bye_refusals.clone().into();
            self.leg = Some(leg);
            self.fork_at_us = self.script.fork_us.map(|us| now_us + us);
        }
        agent.respond(now_us, self.server, response);
    }

    /// RFC 3262 §3: a reliable provisional response is repeated until its PRACK comes.
    fn repeat_unpracked(&mut self, now_us: u64, agent: &mut Agent) {
        let Some((rseq, at_us, interval_us, ends_us)) = self.unpracked else {
            return;
        };
        if at_us > now_us {
            return;
        }
        if now_us >= ends_us {
            self.unpracked = None;
            return;
        }
        let interval_us = interval_us * 2;
        self.unpracked = Some((rseq, now_us + interval_us, interval_us, ends_us));
        agent.resend_last(self.server);
    }
}

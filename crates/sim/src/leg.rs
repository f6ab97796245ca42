//! An endpoint's half of one answered call: it acts in the dialog, answers the peer, hangs up (RFC 3261 §12.2, §14, §15).
//! Frauds are acts too: a BYE that must not stop the meter while the talk goes on.
//! Leaves out media and offer/answer.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::agent::Agent;
use crate::dialog::Dialog;
use crate::sip_text::SipText;

/// Something an endpoint does in an established dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// re-INVITE with the same Contact.
    ReInvite,
    /// UPDATE (RFC 3311).
    Update,
    /// INFO.
    Info,
    /// BYE: hang up.
    Bye,
    /// A BYE made to be refused.
    Fraud(Fraud),
}

/// Ways to try to stop the meter and keep talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fraud {
    /// Max-Forwards: 0.
    MaxForwardsZero,
    /// A To-tag that no one has.
    WrongTag,
    /// A CSeq number already used.
    LowCseq,
    /// From an address that is neither trunk's.
    ForeignSource,
    /// A second Route that leads nowhere.
    RouteNowhere,
    /// No Route at all, a request URI that leads nowhere.
    TargetNowhere,
    /// A BYE without a fault, which the far side is in league to refuse.
    Collusion,
}

/// An address that belongs to no one in the simulation.
pub const FOREIGN: &str = "198.18.0.66:5060";
/// A place where no datagram is ever answered.
pub const NOWHERE: &str = "198.18.0.99:5060";

/// What the endpoint saw of the call; µs of virtual time.
#[derive(Clone, Debug, Default)]
pub struct LegLog {
    /// The 2xx was first sent (callee) or first heard (caller).
    pub answered_us: Option<u64>,
    /// Callee: the ACK was heard.
    pub acked_us: Option<u64>,
    /// Our BYE first left.
    pub bye_sent_us: Option<u64>,
    /// Our BYE was answered: when and with what; 408 stands for no answer.
    pub bye_answered: Option<(u64, u16)>,
    /// The peer's BYE first arrived.
    pub bye_heard_us: Option<u64>,
    /// Marks of the BYEs that end the call: ours in earnest, and any that the peer sent and we took.
    pub bye_marks: Vec<String>,
    /// Other requests of ours and their answers (408: none).
    pub answers: Vec<(Act, u16)>,
    /// Requests heard from the peer, by method.
    pub heard: Vec<String>,
}

/// Half of a call.
#[derive(Debug)]
pub struct Leg {
    /// The dialog.
    pub dialog: Dialog,
    /// What was seen.
    pub log: LegLog,
    acts: VecDeque<(u64, Act)>,
    pending: Option<(u64, Act)>,
    acks: Vec<(u32, SocketAddr, Vec<u8>)>,
    /// Statuses for the first BYEs of the peer, which do not end the call.
    pub bye_refusals: VecDeque<u16>,
    proxy: SocketAddr,
    drop_route: bool,
    over: bool,
}

impl Leg {
    /// A leg that will do `acts` (moment µs, act) in order; `drop_route` sends all to the proxy without Route.
    pub fn new(dialog: Dialog, acts: Vec<(u64, Act)>, proxy: SocketAddr, drop_route: bool) -> Self {
        Self {
            dialog,
            log: LegLog::default(),
            acts: acts.into(),
            pending: None,
            acks: Vec::new(),
            bye_refusals: VecDeque::new(),
            proxy,
            drop_route,
            over: false,
        }
    }

    /// True once a BYE went out or came in.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// True when nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.over && !self.is_hanging_up()
    }

    /// True while our BYE is not answered.
    fn is_hanging_up(&self) -> bool {
        matches!(self.pending, Some((_, Act::Bye)))
    }

    /// Hangs up now, whatever was planned.
    pub fn hang_up_now(&mut self, now_us: u64) {
        self.acts.clear();
        self.acts.push_back((now_us, Act::Bye));
    }

    fn place(&self) -> SocketAddr {
        if self.drop_route {
            self.proxy
        } else {
            self.dialog.next_hop(self.proxy)
        }
    }

    fn build(&mut self, method: &str, cseq: Option<u32>) -> SipText {
        let mut request = self.dialog.request(method, cseq);
        if self.drop_route {
            request.remove("Route");
        }
        request
    }

    /// Sends the ACK of a 2xx, or repeats it for a repeated 2xx (§13.2.2.4).
    pub fn acknowledge(&mut self, agent: &mut Agent, response: &SipText) {
        let cseq = response.cseq();
        if let Some((_, to, bytes)) = self.acks.iter().find(|(known, ..)| *known == cseq) {
            let (to, bytes) = (*to, bytes.clone());
            agent.send(to, bytes);
            return;
        }
        self.dialog.refresh_target(response);
        let mut ack = self.build("ACK", Some(cseq));
        agent.put_via(&mut ack);
        agent.mark(&mut ack);
        let (to, bytes) = (self.place(), ack.encode());
        self.acks.push((cseq, to, bytes.clone()));
        agent.send(to, bytes);
    }

    /// When the next act is due.
    pub fn next_us(&self) -> Option<u64> {
        self.next_act().map(|at| self.acts[at].0)
    }

    fn next_act(&self) -> Option<usize> {
        let is_next = |(_, act): &(u64, Act)| {
            // Who wants to hang up does not wait for an answer to something else, which may never come.
            self.pending.is_none() || *act == Act::Bye
        };
        self.acts.iter().position(is_next).filter(|_| !self.over)
    }

    /// Does the next act if it is due.
    pub fn on_time(&mut self, now_us: u64, agent: &mut Agent) {
        if self.next_us().is_none_or(|at_us| at_us > now_us) {
            return;
        }
        let Some((_, act)) = self
            .next_act()
            .and_then(|at| self.acts.drain(..=at).next_back())
        else {
            return;
        };
        let to = self.place();
        let request = match act {
            Act::ReInvite => self.build("INVITE", None),
            Act::Update => self.build("UPDATE", None),
            Act::Info => self.build("INFO", None),
            Act::Bye => {
                self.over = true;
                self.log.bye_sent_us = Some(now_us);
                self.build("BYE", None)
            }
            Act::Fraud(fraud) => match self.defraud(fraud, agent, to) {
                Some(request) => request,
                None => return,
            },
        };
        let client = agent.start_client(now_us, request, to);
        let mark = agent
            .client_request(client)
            .and_then(|request| request.first("X-Sim"));
        if let (Act::Bye, Some(mark)) = (act, mark) {
            self.log.bye_marks.push(mark.to_owned());
        }
        self.pending = Some((client, act));
    }

    /// A PRACK for a reliable provisional response (RFC 3262 §4).
    pub fn prack(&mut self, now_us: u64, agent: &mut Agent, response: &SipText, rseq: &str) {
        let mut prack = self.build("PRACK", None);
        prack.push("RAck", &format!("{rseq} {} INVITE", response.cseq()));
        let to = self.place();
        agent.start_client(now_us, prack, to);
    }

    /// The fraudulent BYE; `None` when no answer can come back, since it was sent from elsewhere or not at all.
    fn defraud(&mut self, fraud: Fraud, agent: &mut Agent, to: SocketAddr) -> Option<SipText> {
        // Without an earlier request every number is a good one.
        if fraud == Fraud::LowCseq && self.dialog.local_cseq == 0 {
            return None;
        }
        let mut bye = match fraud {
            Fraud::LowCseq => self.build("BYE", Some(self.dialog.local_cseq)),
            _ => self.build("BYE", None),
        };
        match fraud {
            Fraud::MaxForwardsZero => bye.set("Max-Forwards", "0"),
            Fraud::WrongTag => {
                let wrong = self
                    .dialog
                    .remote
                    .replace(self.dialog.remote_tag(), "nobody");
                bye.set("To", &wrong);
            }
            Fraud::LowCseq | Fraud::Collusion => {}
            Fraud::ForeignSource => {
                agent.put_via(&mut bye);
                agent.mark(&mut bye);
                let honest = agent.address;
                agent.address = FOREIGN.parse().unwrap_or(honest);
                agent.send(to, bye.encode());
                agent.address = honest;
                // The number was used by the thief, not by us.
                self.dialog.local_cseq -= 1;
                return None;
            }
            Fraud::RouteNowhere => {
                let nowhere = format!("<sip:{NOWHERE};lr>");
                let place = bye
                    .headers
                    .iter()
                    .rposition(|(name, _)| name == "Route")
                    .map_or(0, |at| at + 1);
                bye.headers.insert(place, ("Route".to_owned(), nowhere));
            }
            Fraud::TargetNowhere => {
                bye.remove("Route");
                bye.start = format!("BYE sip:x@{NOWHERE} SIP/2.0");
            }
        }
        Some(bye)
    }

    /// A response to something we sent in the dialog; false when it was not ours.
    pub fn on_response(
        &mut self,
        now_us: u64,
        agent: &mut Agent,
        client: u64,
        response: &SipText,
    ) -> bool {
        let status = response.status();
        // A repeated 2xx of a re-INVITE comes after the act is over.
        if response.method() == "INVITE" && (200..300).contains(&status) {
            self.acknowledge(agent, response);
        }
        if self.pending.is_none_or(|(known, _)| known != client) {
            return false;
        }
        if status >= 200 {
            self.finish(now_us, status);
        }
        true
    }

    /// A request of ours was never answered; false when it was not ours.
    pub fn on_client_timeout(&mut self, now_us: u64, client: u64) -> bool {
        if self.pending.is_none_or(|(known, _)| known != client) {
            return false;
        }
        self.finish(now_us, 408);
        true
    }

    fn finish(&mut self, now_us: u64, status: u16) {
        let Some((_, act)) = self.pending.take() else {
            return;
        };
        match act {
            Act::Bye => self.log.bye_answered = Some((now_us, status)),
            // RFC 3261 §12.2.1.2: 481 and 408 end the dialog.
            // So does a fraud that names the dialog rightly: the far side may have taken it for a BYE before.
            Act::ReInvite
            | Act::Update
            | Act::Info
            | Act::Fraud(Fraud::MaxForwardsZero | Fraud::LowCseq | Fraud::Collusion)
                if matches!(status, 408 | 481) =>
            {
                self.log.answers.push((act, status));
                self.hang_up_now(now_us);
            }
            _ => {
                // A fraud that the far side took for a BYE has ended the call in earnest.
                self.over |= matches!(act, Act::Fraud(_)) && (200..300).contains(&status);
                self.log.answers.push((act, status));
            }
        }
    }

    /// A request of the peer in this dialog.
    pub fn on_request(&mut self, now_us: u64, agent: &mut Agent, server: u64, request: &SipText) {
        let local_tag = self.dialog.local_tag().to_owned();
        self.log.heard.push(request.method().to_owned());
        // A BYE that crosses ours is answered 200; after that there is no dialog left (RFC 3261 §15.1.2).
        let crossing = request.method() == "BYE" && self.is_hanging_up();
        let status = if self.over && !crossing {
            481
        } else if request.cseq() < self.dialog.remote_cseq {
            500
        } else {
            self.dialog.remote_cseq = request.cseq();
            self.accept(now_us, request)
        };
        let mut response = SipText::response(request, status, &local_tag);
        if matches!(request.method(), "INVITE" | "UPDATE") {
            response.push("Contact", &self.dialog.contact);
            // RFC 4028 §9: the interval is agreed to.
            if let (200, Some(expires)) = (status, request.first("Session-Expires")) {
                response.push("Require", "timer");
                response.push("Session-Expires", &format!("{expires};refresher=uac"));
            }
        }
        agent.respond(now_us, server, response);
    }

    fn accept(&mut self, now_us: u64, request: &SipText) -> u16 {
        match request.method() {
            "BYE" => {
                if let Some(status) = self.bye_refusals.pop_front() {
                    return status;
                }
                self.over = true;
                self.log.bye_heard_us.get_or_insert(now_us);
                self.log
                    .bye_marks
                    .extend(request.first("X-Sim").map(str::to_owned));
                200
            }
            "INVITE" if matches!(self.pending, Some((_, Act::ReInvite))) => 491,
            "INVITE" | "UPDATE" => {
                self.dialog.refresh_target(request);
                200
            }
            _ => 200,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the endpoint hangs up at once when its fraud is answered so.
    fn hangs_up(fraud: Fraud, status: u16) -> bool {
        let proxy: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let mut agent = Agent::new("v0", "203.0.113.10:5060".parse().unwrap());
        let invite = SipText::request("INVITE", "sip:1@203.0.113.10")
            .with("From", "<sip:a@b>;tag=1")
            .with("To", "<sip:c@d>")
            .with("Call-ID", "c")
            .with("CSeq", "1 INVITE")
            .with("Contact", "<sip:a@192.0.2.9>");
        let mut dialog = Dialog::of_callee(&invite, "2", "<sip:c@203.0.113.10>");
        dialog.local_cseq = 2;
        let mut leg = Leg::new(dialog, vec![(0, Act::Fraud(fraud))], proxy, true);
        leg.on_time(0, &mut agent);
        let (client, _) = leg.pending.unwrap();
        let bye = agent.client_request(client).unwrap();
        let response = SipText::response(bye, status, "1");
        assert!(leg.on_response(1, &mut agent, client, &response));
        leg.next_us() == Some(1)
    }

    #[test]
    fn a_fraud_to_which_the_dialog_is_gone_makes_its_sender_hang_up() {
        for fraud in [Fraud::LowCseq, Fraud::MaxForwardsZero, Fraud::Collusion] {
            assert!(hangs_up(fraud, 481), "{fraud:?}");
            assert!(hangs_up(fraud, 408), "{fraud:?}");
            assert!(!hangs_up(fraud, 500), "{fraud:?}");
        }
        // It named another dialog: the one it has goes on.
        assert!(!hangs_up(Fraud::WrongTag, 481));
    }
}

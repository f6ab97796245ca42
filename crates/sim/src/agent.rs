//! A small user agent's transactions: it retransmits, absorbs and acknowledges as RFC 3261 §17 asks of an endpoint.
//! Written apart from the transaction layer under test, so that the peers are an oracle for it (RFC 6026, RFC 3581).
//! Leaves out everything a peer of the simulation never does.

use std::net::SocketAddr;

use crate::clock::SECOND;
use crate::network::Datagram;
use crate::sip_text::{SipText, parameter};

/// Round-trip estimate of the peers, µs (RFC 3261 §17.1.1.1).
pub const T1_US: u64 = SECOND / 2;
const T2_US: u64 = 4 * SECOND;
const T4_US: u64 = 5 * SECOND;
/// 64·T1, µs: Timers B, F, H, J, L, M.
pub const T64_US: u64 = 64 * T1_US;

/// What the transactions tell the peer above them.
#[derive(Clone, Debug)]
pub enum AgentEvent {
    /// A response to a request of ours: every provisional, the first final, every 2xx to an INVITE.
    Response {
        /// The client transaction.
        client: u64,
        /// The response.
        response: SipText,
    },
    /// No final response in 64·T1 (Timers B and F).
    ClientTimeout {
        /// The client transaction.
        client: u64,
    },
    /// A request that is not a retransmission.
    Request {
        /// Its server transaction.
        server: u64,
        /// For a CANCEL: the INVITE it cancels, if that still waits for its final response.
        cancels: Option<u64>,
        /// The request.
        request: SipText,
    },
    /// The ACK of a 2xx of ours.
    Ack {
        /// The request.
        request: SipText,
    },
    /// Our 2xx to an INVITE was never acknowledged (§13.3.1.4).
    Unacknowledged {
        /// The server transaction, gone by now.
        server: u64,
        /// The INVITE.
        invite: SipText,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

#[derive(Debug)]
struct Client {
    id: u64,
    branch: String,
    invite: bool,
    method: String,
    request: SipText,
    to: SocketAddr,
    state: ClientState,
    interval_us: u64,
    resend_us: u64,
    ends_us: u64,
    ack: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerState {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

#[derive(Debug)]
struct Server {
    id: u64,
    key: String,
    invite: bool,
    request: SipText,
    from: SocketAddr,
    state: ServerState,
    last: Option<Vec<u8>>,
    tag: Option<String>,
    interval_us: u64,
    resend_us: u64,
    ends_us: u64,
}

const NEVER: u64 = u64::MAX;

/// One endpoint: an address and its transactions.
#[derive(Debug)]
pub struct Agent {
    /// Where the endpoint listens and what it sends from.
    pub address: SocketAddr,
    /// What it wants to send; the world takes it from here.
    pub outgoing: Vec<Datagram>,
    /// Its transport delivers by itself: requests and refusals are not repeated (§17.1.1.1, §17.1.2.1, §17.2.1).
    pub reliable: bool,
    clients: Vec<Client>,
    servers: Vec<Server>,
    next_id: u64,
    name: String,
}

impl Agent {
    /// An endpoint named `name` (in branches and message marks) at `address`.
    pub fn new(name: &str, address: SocketAddr) -> Self {
        Self {
            address,
            outgoing: Vec::new(),
            reliable: false,
            clients: Vec::new(),
            servers: Vec::new(),
            next_id: 1,
            name: name.to_owned(),
        }
    }

    /// The endpoint's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A new mark for a message: the order checks tell messages apart by it (header `X-Sim`).
    pub fn mark(&mut self, message: &mut SipText) {
        let id = self.take_id();
        let mark = format!("{}-{id}", self.name);
        message.set("X-Sim", &mark);
    }

    /// Sends bytes outside any transaction (ACK of a 2xx, spoofed requests).
    pub fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.outgoing.push(Datagram {
            from: self.address,
            to,
            bytes,
        });
    }

    /// Puts a Via of our own, with a new branch, on top of a request.
    pub fn put_via(&mut self, request: &mut SipText) -> String {
        let id = self.take_id();
        let branch = format!("z9hG4bK{}.{id}", self.name);
        let transport = if self.reliable { "TCP" } else { "UDP" };
        let via = format!("SIP/2.0/{transport} {};branch={branch};rport", self.address);
        request.headers.insert(0, ("Via".to_owned(), via));
        branch
    }

    /// Starts a client transaction for a request without Via; CANCEL brings its Via with it (§9.1).
    pub fn start_client(&mut self, now_us: u64, mut request: SipText, to: SocketAddr) -> u64 {
        let branch = match request.branch() {
            Some(branch) => branch,
            None => self.put_via(&mut request),
        };
        self.mark(&mut request);
        let id = self.take_id();
        let bytes = request.encode();
        let method = request.method().to_owned();
        self.clients.push(Client {
            id,
            branch,
            invite: method == "INVITE",
            method,
            request,
            to,
            state: ClientState::Calling,
            interval_us: T1_US,
            resend_us: if self.reliable { NEVER } else { now_us + T1_US },
            ends_us: now_us + T64_US,
            ack: None,
        });
        self.send(to, bytes);
        id
    }

    /// The request a client transaction sent.
    pub fn client_request(&self, client: u64) -> Option<&SipText> {
        self.clients
            .iter()
            .find(|known| known.id == client)
            .map(|known| &known.request)
    }

    /// Forgets a client transaction (a caller that gives up 64·T1 after its CANCEL, §9.1).
    pub fn drop_client(&mut self, client: u64) {
        self.clients.retain(|known| known.id != client);
    }

    /// The request of a server transaction.
    pub fn server_request(&self, server: u64) -> Option<&SipText> {
        self.servers
            .iter()
            .find(|known| known.id == server)
            .map(|known| &known.request)
    }

    /// True while the INVITE of that server transaction has no final response.
    pub fn server_open(&self, server: u64) -> bool {
        let known = self.servers.iter().find(|known| known.id == server);
        known.is_some_and(|known| known.state == ServerState::Proceeding)
    }

    /// Sends a response in a server transaction; a final one only once.
    pub fn respond(&mut self, now_us: u64, server: u64, mut response: SipText) -> bool {
        self.mark(&mut response);
        let Some(known) = self.servers.iter_mut().find(|known| known.id == server) else {
            return false;
        };
        if known.state != ServerState::Proceeding {
            return false;
        }
        let status = response.status();
        let bytes = response.encode();
        known.last = Some(bytes.clone());
        known.tag = response.to_tag().map(str::to_owned);
        if status >= 200 {
            known.ends_us = now_us + T64_US;
            known.state = match (known.invite, status) {
                (true, 200..300) => ServerState::Accepted,
                _ => ServerState::Completed,
            };
            if known.invite {
                known.interval_us = T1_US;
                // A 2xx is repeated over every transport (§13.3.1.4).
                let repeats = !self.reliable || status < 300;
                known.resend_us = if repeats { now_us + T1_US } else { NEVER };
            }
        }
        let to = known.from;
        self.send(to, bytes);
        true
    }

    /// Answers an INVITE a second time, from another endpoint behind this one: a 2xx with its own To-tag, which is
    /// repeated until its own ACK comes (RFC 3261 §13.3.1.4). Gives its server transaction.
    pub fn answer_again(&mut self, now_us: u64, server: u64, mut response: SipText) -> Option<u64> {
        self.mark(&mut response);
        let id = self.take_id();
        let known = self.servers.iter().find(|known| known.id == server)?;
        let (bytes, to) = (response.encode(), known.from);
        let fork = Server {
            id,
            // Requests match the first answer's transaction.
            key: String::new(),
            invite: true,
            request: known.request.clone(),
            from: to,
            state: ServerState::Accepted,
            last: Some(bytes.clone()),
            tag: response.to_tag().map(str::to_owned),
            interval_us: T1_US,
            resend_us: now_us + T1_US,
            ends_us: now_us + T64_US,
        };
        self.servers.push(fork);
        self.send(to, bytes);
        Some(id)
    }

    /// Repeats the last response of a server transaction (a reliable provisional one).
    pub fn resend_last(&mut self, server: u64) {
        let known = self.servers.iter().find(|known| known.id == server);
        if let Some((to, bytes)) = known.and_then(|known| Some((known.from, known.last.clone()?))) {
            self.send(to, bytes);
        }
    }

    /// Takes a datagram in.
    pub fn on_datagram(
        &mut self,
        now_us: u64,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Option<AgentEvent> {
        let message = SipText::parse(bytes)?;
        if message.is_request() {
            self.on_request(now_us, from, message)
        } else {
            self.on_response(now_us, message)
        }
    }

    fn on_request(
        &mut self,
        now_us: u64,
        from: SocketAddr,
        mut request: SipText,
    ) -> Option<AgentEvent> {
        let via = request.top_via()?;
        let sent_by = via.split_whitespace().nth(1)?.split(';').next()?.to_owned();
        let key = format!("{}|{sent_by}", parameter(&via, "branch")?);
        // RFC 3581 §4: the reply goes to where the request came from, and the Via says so.
        amend_via(&mut request, from);
        if request.method() == "ACK" {
            return self.on_ack(now_us, &key, request);
        }
        let method = request.method().to_owned();
        let known = self
            .servers
            .iter_mut()
            .find(|known| known.key == key && known.request.method() == method);
        if let Some(known) = known {
            let again = known.last.clone();
            let to = known.from;
            if let Some(bytes) = again {
                self.send(to, bytes);
            }
            return None;
        }
        let cancels = (method == "CANCEL").then(|| self.cancelled(&key)).flatten();
        let id = self.take_id();
        self.servers.push(Server {
            id,
            key,
            invite: method == "INVITE",
            request: request.clone(),
            from,
            state: ServerState::Proceeding,
            last: None,
            tag: None,
            interval_us: T1_US,
            resend_us: NEVER,
            ends_us: NEVER,
        });
        Some(AgentEvent::Request {
            server: id,
            cancels,
            request,
        })
    }

    /// RFC 3261 §9.2: the INVITE with the same branch and sent-by.
    fn cancelled(&self, key: &str) -> Option<u64> {
        self.servers
            .iter()
            .find(|known| known.key == key && known.invite)
            .map(|known| known.id)
    }

    fn on_ack(&mut self, now_us: u64, key: &str, request: SipText) -> Option<AgentEvent> {
        for known in self.servers.iter_mut().filter(|known| known.invite) {
            if known.state == ServerState::Completed && known.key == key {
                known.state = ServerState::Confirmed;
                known.last = None;
                known.resend_us = NEVER;
                known.ends_us = now_us + T4_US;
                return None;
            }
            let same_dialog = known.request.call_id() == request.call_id()
                && known.request.cseq() == request.cseq()
                && known.request.from_tag() == request.from_tag()
                && known.tag.as_deref() == request.to_tag();
            if known.state == ServerState::Accepted && same_dialog && known.resend_us != NEVER {
                known.resend_us = NEVER;
                known.ends_us = now_us + T64_US;
                return Some(AgentEvent::Ack { request });
            }
        }
        None
    }

    fn on_response(&mut self, now_us: u64, response: SipText) -> Option<AgentEvent> {
        let (branch, status) = (response.branch()?, response.status());
        let known = self
            .clients
            .iter_mut()
            .find(|known| known.branch == branch && known.method == response.method())?;
        let client = known.id;
        match (known.state, status) {
            (ClientState::Calling | ClientState::Proceeding, 100..200) => {
                known.state = ClientState::Proceeding;
                if known.invite {
                    known.resend_us = NEVER;
                    known.ends_us = NEVER;
                }
                Some(AgentEvent::Response { client, response })
            }
            (ClientState::Calling | ClientState::Proceeding, 200..700) => {
                known.resend_us = NEVER;
                known.state = ClientState::Completed;
                known.ends_us = now_us + if known.invite { T64_US } else { T4_US };
                if known.invite && status < 300 {
                    known.state = ClientState::Accepted;
                } else if known.invite {
                    let ack = ack_of_failure(&known.request, &response);
                    let to = known.to;
                    known.ack = Some(ack.clone());
                    self.send(to, ack);
                }
                Some(AgentEvent::Response { client, response })
            }
            // A 2xx after another final response: the caller has to end a call that it gave up (§16.7(5) lets it through).
            (ClientState::Completed, 200..300) if known.invite => {
                Some(AgentEvent::Response { client, response })
            }
            (ClientState::Accepted, 200..300) => Some(AgentEvent::Response { client, response }),
            (ClientState::Completed, 300..700) => {
                let (to, ack) = (known.to, known.ack.clone());
                if let Some(ack) = ack {
                    self.send(to, ack);
                }
                None
            }
            _ => None,
        }
    }

    /// When a timer is due next.
    pub fn next_us(&self) -> Option<u64> {
        let clients = self
            .clients
            .iter()
            .map(|known| known.resend_us.min(known.ends_us));
        let servers = self
            .servers
            .iter()
            .map(|known| known.resend_us.min(known.ends_us));
        clients.chain(servers).min().filter(|at_us| *at_us != NEVER)
    }

    /// Fires what is due.
    pub fn on_time(&mut self, now_us: u64) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        let mut resend = Vec::new();
        self.clients.retain_mut(|known| {
            if known.ends_us <= now_us {
                if matches!(known.state, ClientState::Calling | ClientState::Proceeding) {
                    events.push(AgentEvent::ClientTimeout { client: known.id });
                }
                return false;
            }
            if known.resend_us <= now_us {
                known.interval_us = match (known.invite, known.state) {
                    (true, _) => known.interval_us * 2,
                    (false, ClientState::Proceeding) => T2_US,
                    (false, _) => (known.interval_us * 2).min(T2_US),
                };
                known.resend_us = now_us + known.interval_us;
                resend.push((known.to, known.request.encode()));
            }
            true
        });
        self.servers.retain_mut(|known| {
            if known.ends_us <= now_us {
                let unheard = known.invite
                    && known.resend_us != NEVER
                    && known.state == ServerState::Accepted;
                if unheard {
                    events.push(AgentEvent::Unacknowledged {
                        server: known.id,
                        invite: known.request.clone(),
                    });
                }
                return false;
            }
            if known.resend_us <= now_us {
                known.interval_us = (known.interval_us * 2).min(T2_US);
                known.resend_us = now_us + known.interval_us;
                if let Some(bytes) = &known.last {
                    resend.push((known.from, bytes.clone()));
                }
            }
            true
        });
        for (to, bytes) in resend {
            self.send(to, bytes);
        }
        events
    }
}

/// RFC 3261 §17.1.1.3: the ACK of a non-2xx goes the way of the INVITE, with its branch.
fn ack_of_failure(invite: &SipText, response: &SipText) -> Vec<u8> {
    let mut ack = SipText::request("ACK", invite.uri());
    if let Some(via) = invite.top_via() {
        ack.push("Via", &via);
    }
    for route in invite.values("Route") {
        ack.push("Route", &route);
    }
    ack.push("Max-Forwards", "70");
    ack.push("From", invite.first("From").unwrap_or(""));
    ack.push("To", response.first("To").unwrap_or(""));
    ack.push("Call-ID", invite.call_id());
    ack.push("CSeq", &format!("{} ACK", invite.cseq()));
    ack.encode()
}

/// The CANCEL of an INVITE that was sent (§9.1).
pub fn cancel_of(invite: &SipText) -> SipText {
    let mut cancel = SipText::request("CANCEL", invite.uri());
    if let Some(via) = invite.top_via() {
        cancel.push("Via", &via);
    }
    for route in invite.values("Route") {
        cancel.push("Route", &route);
    }
    cancel.push("Max-Forwards", "70");
    for name in ["From", "To", "Call-ID"] {
        cancel.push(name, invite.first(name).unwrap_or(""));
    }
    cancel.push("CSeq", &format!("{} CANCEL", invite.cseq()));
    cancel
}

fn amend_via(request: &mut SipText, from: SocketAddr) {
    let Some(field) = request.headers.iter_mut().find(|(name, _)| name == "Via") else {
        return;
    };
    let (top, rest) = match field.1.split_once(',') {
        Some((top, rest)) => (top.to_owned(), Some(rest.to_owned())),
        None => (field.1.clone(), None),
    };
    if parameter(&top, "rport") != Some("") {
        return;
    }
    let parts = top.split(';').map(|part| match part.trim() {
        "rport" => format!("rport={};received={}", from.port(), from.ip()),
        other => other.to_owned(),
    });
    let mut value = parts.collect::<Vec<_>>().join(";");
    if let Some(rest) = rest {
        value.push(',');
        value.push_str(&rest);
    }
    field.1 = value;
}

#[cfg(test)]
mod tests;

//! Test support: messages, flows and a layer driven through virtual time.

use std::net::SocketAddr;

use sip_parser::{HeaderTable, Limits, Message, Method, parse_datagram};

use crate::{
    ClientId, Flow, Outbox, RequestArrival, ResponseArrival, ServerId, TimerConfig,
    TransactionEvent, Transactions, Transport,
};

/// The first tick at or after a time, which is when a timer for it fires, µs.
pub(crate) fn tick_us(us: u64) -> u64 {
    us.div_ceil(crate::TICK_US) * crate::TICK_US
}

/// Parses `bytes` and gives the message to `then`.
pub(crate) fn parsed<R>(bytes: &[u8], then: impl FnOnce(&Message<'_>) -> R) -> R {
    let mut table = HeaderTable::new(Limits::default());
    let message = parse_datagram(bytes, &mut table);
    then(&message.unwrap_or_else(|error| panic!("{error:?} in {}", text(bytes))))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn flow(transport: Transport, remote: &str) -> Flow {
    Flow {
        transport,
        listener: 0,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: u64::from(transport.is_reliable()) * 7,
    }
}

/// A request by its parts; the rest is the same for all.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) uri: &'static str,
    pub(crate) via: String,
    pub(crate) from_tag: &'static str,
    pub(crate) to_tag: &'static str,
    pub(crate) call_id: &'static str,
    pub(crate) cseq: u32,
}

impl Request {
    /// A request of a peer at 198.51.100.7:5070 that follows RFC 3261.
    pub(crate) fn new(method: &'static str, branch: &str) -> Self {
        Self {
            method,
            uri: "sip:15551234567@192.0.2.1",
            via: format!("SIP/2.0/UDP 198.51.100.7:5070;branch={branch};rport"),
            from_tag: "f1",
            to_tag: "",
            call_id: "call-1@198.51.100.7",
            cseq: 4711,
        }
    }

    /// One of a peer that follows RFC 2543: no branch.
    pub(crate) fn legacy(method: &'static str) -> Self {
        Self {
            via: "SIP/2.0/UDP 198.51.100.7:5070".to_owned(),
            ..Self::new(method, "")
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self {
            method,
            uri,
            via,
            from_tag,
            to_tag,
            call_id,
            cseq,
        } = self;
        let to_tag = if to_tag.is_empty() {
            String::new()
        } else {
            format!(";tag={to_tag}")
        };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n\
             Route: <sip:203.0.113.9;lr>\r\nFrom: <sip:a@example.com>;tag={from_tag}\r\n\
             To: <sip:b@example.com>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// A response to it.
    pub(crate) fn response(&self, status: u16, to_tag: &str) -> Vec<u8> {
        let Self {
            method,
            via,
            from_tag,
            call_id,
            cseq,
            ..
        } = self;
        format!(
            "SIP/2.0 {status} Text\r\nVia: {via}\r\nFrom: <sip:a@example.com>;tag={from_tag}\r\n\
             To: <sip:b@example.com>;tag={to_tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }
}

/// A layer in virtual time.
pub(crate) struct World {
    pub(crate) now_us: u64,
    pub(crate) layer: Transactions,
    pub(crate) outbox: Outbox,
    pub(crate) events: Vec<TransactionEvent>,
    pub(crate) server_flow: Flow,
    pub(crate) client_flow: Flow,
}

/// The time at which each world begins: a tick, so that schedules are easy to state.
pub(crate) const START_US: u64 = 1000 * crate::TICK_US;

impl World {
    pub(crate) fn new(transport: Transport) -> Self {
        Self::with_limit(transport, crate::TRANSACTIONS_MAX)
    }

    pub(crate) fn with_limit(transport: Transport, transactions_max: usize) -> Self {
        Self {
            now_us: START_US,
            layer: Transactions::with_limit(TimerConfig::default(), 42, transactions_max),
            outbox: Outbox::new(),
            events: Vec::new(),
            server_flow: flow(transport, "198.51.100.7:40000"),
            client_flow: flow(transport, "203.0.113.9:5060"),
        }
    }

    pub(crate) fn request(&mut self, bytes: &[u8]) -> RequestArrival {
        parsed(bytes, |message| {
            self.layer
                .on_request(self.now_us, message, &mut self.outbox)
        })
    }

    /// A new request arrives and gets its transaction.
    pub(crate) fn serve(&mut self, request: &Request, user: u64) -> ServerId {
        assert_eq!(self.request(&request.bytes()), RequestArrival::New);
        parsed(&request.bytes(), |message| {
            self.layer
                .start_server(message, &self.server_flow, user)
                .unwrap()
        })
    }

    pub(crate) fn cancelled(&mut self, cancel: &Request) -> Option<(ServerId, u64, bool)> {
        parsed(&cancel.bytes(), |message| {
            self.layer.cancelled_invite(message)
        })
    }

    pub(crate) fn respond(&mut self, server: ServerId, status: u16, bytes: &[u8]) -> bool {
        self.layer
            .respond(self.now_us, server, status, bytes, &mut self.outbox)
    }

    /// Starts the client transaction of a request whose branch is `branch`.
    pub(crate) fn call(&mut self, request: &Request, branch: &str, user: u64) -> ClientId {
        let method = Method::from_bytes(request.method.as_bytes());
        self.layer
            .start_client(
                self.now_us,
                method,
                branch.as_bytes(),
                &request.bytes(),
                &self.client_flow,
                user,
                &mut self.outbox,
            )
            .unwrap()
    }

    pub(crate) fn response(&mut self, bytes: &[u8]) -> ResponseArrival {
        parsed(bytes, |message| {
            self.layer
                .on_response(self.now_us, message, &mut self.outbox)
        })
    }

    pub(crate) fn unreachable(&mut self, remote: SocketAddr) {
        self.layer
            .on_unreachable(self.now_us, remote, &mut self.events);
    }

    /// Takes what was sent: remote address and text.
    pub(crate) fn sent(&mut self) -> Vec<(String, String)> {
        let sent = self
            .outbox
            .iter()
            .map(|(flow, bytes)| (flow.remote.to_string(), text(bytes)))
            .collect();
        self.outbox.clear();
        sent
    }

    /// Runs the clock to `until_us` after the start, by deadlines as a driver would, and lists what was sent: when, µs
    /// after the start, and its start line's first word.
    pub(crate) fn run_until(&mut self, until_us: u64) -> Vec<(u64, String)> {
        let mut sent = Vec::new();
        while let Some(next_us) = self.layer.next_deadline_us() {
            if next_us > START_US + until_us {
                break;
            }
            self.now_us = self.now_us.max(next_us);
            self.layer
                .expire(self.now_us, &mut self.outbox, &mut self.events);
            for (_, bytes) in self.outbox.iter() {
                let first = text(bytes).split(' ').take(2).collect::<Vec<_>>().join(" ");
                let word = first
                    .trim_start_matches("SIP/2.0 ")
                    .split(' ')
                    .next()
                    .unwrap()
                    .to_owned();
                sent.push((self.now_us - START_US, word));
            }
            self.outbox.clear();
        }
        self.now_us = self.now_us.max(START_US + until_us);
        self.layer
            .expire(self.now_us, &mut self.outbox, &mut self.events);
        sent
    }

    pub(crate) fn take_events(&mut self) -> Vec<TransactionEvent> {
        std::mem::take(&mut self.events)
    }
}

//! A core under a clock of its own, and the messages that peers exchange with it.
//! Peers are addresses: one customer's host, vendors' gateways. Every request is written out by the test.
//! Leaves out retransmission: a test sends what it wants to be sent.

use accounting::{AnsweredCall, Cdr, Record};
use proxy_core::{
    CallView, CoreConfig, Job, JobAnswer, JobResult, ListenerInfo, Notice, Now, Output, Policy,
    ProxyCore, Stat,
};
use routing::{SlotRegistry, Snapshot, TableKind, Tables, TrunkCounters};
use std::{net::SocketAddr, sync::Arc};
use transaction_layer::{Flow, TimerConfig, Transport};

pub(crate) const PROXY: &str = "192.0.2.1:5060";
pub(crate) const CALLER: &str = "198.51.100.10:5060";
pub(crate) const VENDOR: &str = "203.0.113.10:5060";
pub(crate) const SECOND_VENDOR: &str = "203.0.113.11:5060";
pub(crate) const SECOND: u64 = 1_000_000;
/// The wall clock when the core starts, µs.
const WALL_US: i64 = 1_700_000_000_000_000;

/// The tables of a node, as texts of CSV files.
pub(crate) struct Routes {
    pub(crate) customers: &'static str,
    pub(crate) customer_addresses: &'static str,
    pub(crate) vendors: &'static str,
    pub(crate) vendor_gateways: &'static str,
    pub(crate) routing_plans: &'static str,
    pub(crate) routes: &'static str,
    pub(crate) rates: &'static str,
}

/// One customer; `v0` is the cheaper of two vendors.
pub(crate) const TWO_VENDORS: Routes = Routes {
    customers: "name,rate_sheet,routing_plan\nacme,acme,plan\n",
    customer_addresses: "customer,address\nacme,198.51.100.0/24\n",
    vendors: "name,rate_sheet\nv0,v0\nv1,v1\n",
    vendor_gateways: "vendor,address\nv0,203.0.113.10\nv1,203.0.113.11\n",
    routing_plans: "name,mode\nplan,lcr\n",
    routes: "plan,prefix,vendor\nplan,,v0\nplan,,v1\n",
    rates: "sheet,prefix,rate\nacme,,0.60\nv0,,0.06\nv1,,0.12\n",
};

/// One customer, one vendor.
pub(crate) const ONE_VENDOR: Routes = Routes {
    routes: "plan,prefix,vendor\nplan,,v0\n",
    ..TWO_VENDORS
};

impl Routes {
    fn compile(&self) -> Snapshot {
        let (mut tables, mut faults) = (Tables::default(), Vec::new());
        for (kind, text) in [
            (TableKind::Customers, self.customers),
            (TableKind::CustomerAddresses, self.customer_addresses),
            (TableKind::Vendors, self.vendors),
            (TableKind::VendorGateways, self.vendor_gateways),
            (TableKind::RoutingPlans, self.routing_plans),
            (TableKind::Routes, self.routes),
            (TableKind::Rates, self.rates),
        ] {
            let name = kind.file_name();
            routing::read_csv(
                kind,
                name,
                text.as_bytes(),
                &mut tables,
                &mut faults,
                &mut |_| {},
            );
        }
        assert!(faults.is_empty(), "{faults:?}");
        routing::compile(&tables, 1, &mut SlotRegistry::new()).unwrap()
    }
}

/// One datagram of the core.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) to: SocketAddr,
    pub(crate) text: String,
}

impl Sent {
    /// `INVITE`, `200` …
    pub(crate) fn what(&self) -> &str {
        let mut words = self.text.split(' ');
        match words.next() {
            Some("SIP/2.0") => words.next().unwrap(),
            method => method.unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.text, name)
    }

    pub(crate) fn uri(&self) -> &str {
        self.text.split(' ').nth(1).unwrap()
    }

    pub(crate) fn cseq(&self) -> u32 {
        let cseq = self.header("CSeq").unwrap();
        cseq.split(' ').next().unwrap().parse().unwrap()
    }
}

/// The first header of that name.
pub(crate) fn header<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    lines_of(text, name)
        .next()?
        .split_once(": ")
        .map(|(_, value)| value)
}

pub(crate) fn lines_of<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let head = text.split("\r\n\r\n").next().unwrap();
    let start = format!("{}:", name.to_ascii_lowercase());
    head.split("\r\n")
        .skip(1)
        .filter(move |line| line.to_ascii_lowercase().starts_with(&start))
}

/// What a turn sent: `(destination, method or status)`.
pub(crate) fn summary(sent: &[Sent]) -> Vec<(String, &str)> {
    sent.iter()
        .map(|sent| (sent.to.to_string(), sent.what()))
        .collect()
}

/// The only message of that kind.
pub(crate) fn only<'s>(sent: &'s [Sent], what: &str) -> &'s Sent {
    let found: Vec<&Sent> = sent.iter().filter(|sent| sent.what() == what).collect();
    assert_eq!(found.len(), 1, "{what} in {:?}", summary(sent));
    found[0]
}

/// A core, its clock, and all that it gave back.
pub(crate) struct Bench {
    pub(crate) core: ProxyCore,
    pub(crate) records: Vec<Record>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) notices: Vec<Notice>,
    listeners: Vec<ListenerInfo>,
    now_us: u64,
    out: Output,
    serial: u32,
}

/// The configuration of a bench, for those who want another.
pub(crate) fn config() -> CoreConfig {
    CoreConfig {
        lane: 0,
        lanes: 1,
        boot: 1,
        node: "bench".to_owned(),
        hash_seed: 1,
        listeners: vec![ListenerInfo {
            transport: Transport::Udp,
            address: PROXY.parse().unwrap(),
            advertise: PROXY.to_owned(),
        }],
        cookie_key: [7; 16],
        cookie_key_previous: None,
        timers: TimerConfig::default(),
        policy: Policy::default(),
        seed: 1,
        counters: Arc::new(TrunkCounters::new()),
    }
}

impl Bench {
    pub(crate) fn new(routes: &Routes) -> Self {
        Self::with(config(), routes)
    }

    pub(crate) fn with(config: CoreConfig, routes: &Routes) -> Self {
        Self {
            listeners: config.listeners.clone(),
            core: ProxyCore::new(config, Arc::new(routes.compile())),
            records: Vec::new(),
            jobs: Vec::new(),
            notices: Vec::new(),
            now_us: 1,
            out: Output::new(),
            serial: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            mono_us: self.now_us,
            wall_us: self.wall_us(),
        }
    }

    pub(crate) fn wall_us(&self) -> i64 {
        WALL_US + i64::try_from(self.now_us).unwrap()
    }

    /// A datagram arrives.
    pub(crate) fn send(&mut self, from: &str, text: &str) -> Vec<Sent> {
        self.send_to(0, from, text)
    }

    /// A datagram arrives at one of several listeners.
    pub(crate) fn send_to(&mut self, listener: u16, from: &str, text: &str) -> Vec<Sent> {
        let at = &self.listeners[usize::from(listener)];
        let flow = Flow {
            transport: at.transport,
            listener,
            local: at.address,
            remote: from.parse().unwrap(),
            connection: 0,
        };
        self.core
            .handle_datagram(self.now(), text.as_bytes(), &flow, &mut self.out);
        self.take()
    }

    /// A datagram arrives that need not be text; what is sent need not be either.
    pub(crate) fn send_bytes(&mut self, from: &str, bytes: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let flow = Flow {
            transport: Transport::Udp,
            listener: 0,
            local: PROXY.parse().unwrap(),
            remote: from.parse().unwrap(),
            connection: 0,
        };
        self.core
            .handle_datagram(self.now(), bytes, &flow, &mut self.out);
        self.take_bytes()
    }

    /// As [`Self::end_job`], for what need not be text.
    pub(crate) fn end_job_bytes(
        &mut self,
        job: &Job,
        answer: JobAnswer,
    ) -> Vec<(SocketAddr, Vec<u8>)> {
        let result = JobResult { id: job.id, answer };
        self.core
            .handle_job_result(self.now(), result, &mut self.out);
        self.take_bytes()
    }

    fn take_bytes(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let sent = self.out.outbox.iter();
        let sent = sent
            .map(|(flow, bytes)| (flow.remote, bytes.to_vec()))
            .collect();
        self.out.outbox.clear();
        self.records.append(&mut self.out.records);
        self.jobs.append(&mut self.out.jobs);
        self.notices.append(&mut self.out.notices);
        sent
    }

    /// A call of the journal is taken up.
    pub(crate) fn restore(&mut self, call: &AnsweredCall) {
        self.core.restore_call(self.now(), call);
    }

    /// The drain has lasted as long as it may.
    pub(crate) fn end_setup(&mut self) -> Vec<Sent> {
        self.core.end_setup(self.now(), &mut self.out);
        self.take()
    }

    /// The network says that an address cannot be reached.
    pub(crate) fn unreachable(&mut self, address: &str) -> Vec<Sent> {
        self.core
            .handle_unreachable(self.now(), address.parse().unwrap(), &mut self.out);
        self.take()
    }

    /// The list of calls.
    pub(crate) fn views(&self) -> Vec<CallView> {
        self.core.calls(self.now(), 10)
    }

    /// The process ends.
    pub(crate) fn end_branches(&mut self) -> Vec<Sent> {
        self.core.end_branches(self.now(), &mut self.out);
        self.take()
    }

    /// A job ends.
    pub(crate) fn end_job(&mut self, job: &Job, answer: JobAnswer) -> Vec<Sent> {
        let result = JobResult { id: job.id, answer };
        self.core
            .handle_job_result(self.now(), result, &mut self.out);
        self.take()
    }

    /// The only job that was given out and not yet taken.
    pub(crate) fn take_job(&mut self) -> Job {
        assert_eq!(self.jobs.len(), 1, "{:?}", self.jobs);
        self.jobs.remove(0)
    }

    /// Time passes; every timer fires at its moment.
    pub(crate) fn wait(&mut self, us: u64) -> Vec<Sent> {
        let end_us = self.now_us + us;
        let mut sent = Vec::new();
        while let Some(due_us) = self
            .core
            .next_deadline_us()
            .filter(|due_us| *due_us <= end_us)
        {
            self.now_us = self.now_us.max(due_us);
            self.core.handle_timeouts(self.now(), &mut self.out);
            sent.extend(self.take());
        }
        self.now_us = end_us;
        sent
    }

    fn take(&mut self) -> Vec<Sent> {
        let sent = self.take_bytes().into_iter();
        sent.map(|(to, bytes)| Sent {
            to,
            text: String::from_utf8(bytes).unwrap(),
        })
        .collect()
    }

    pub(crate) fn stat(&self, stat: Stat) -> u64 {
        self.core.stats().value(stat)
    }

    pub(crate) fn cdrs(&self) -> Vec<&Cdr> {
        let ended = self.records.iter().filter_map(|record| match record {
            Record::Ended(cdr) => Some(&**cdr),
            _ => None,
        });
        ended.collect()
    }

    pub(crate) fn only_cdr(&self) -> &Cdr {
        let cdrs = self.cdrs();
        assert_eq!(cdrs.len(), 1, "{cdrs:#?}");
        cdrs[0]
    }

    /// Waits until the last transaction has lingered, and asserts that nothing is left.
    pub(crate) fn rest(&mut self) -> Vec<Sent> {
        let sent = self.wait(120 * SECOND);
        assert_eq!(self.core.live_calls(), 0, "calls are left");
        assert_eq!(self.core.live_transactions(), 0, "transactions are left");
        assert_eq!(self.core.live_contexts(), 0, "contexts are left");
        sent
    }

    /// A branch that nobody used before.
    pub(crate) fn branch(&mut self) -> String {
        self.serial += 1;
        format!("z9hG4bKbench{}", self.serial)
    }

    /// The caller's INVITE, as it arrived.
    pub(crate) fn invite(&mut self) -> String {
        self.request(
            &Dialog::caller(""),
            "INVITE",
            "sip:4930123@192.0.2.1",
            1,
            "Contact: <sip:caller@198.51.100.10>\r\n",
        )
    }

    /// A request of one side of a dialog, with more header lines.
    pub(crate) fn request(
        &mut self,
        dialog: &Dialog,
        method: &str,
        uri: &str,
        cseq: u32,
        more: &str,
    ) -> String {
        let via = format!("SIP/2.0/UDP {};branch={}", dialog.address, self.branch());
        request_with_via(dialog, method, uri, cseq, &via, more)
    }

    /// INVITE, 200, ACK: the caller's and the callee's view of the dialog.
    pub(crate) fn answered_call(&mut self) -> (Dialog, Dialog) {
        let invite = self.invite();
        let sent = self.send(CALLER, &invite);
        let forwarded = only(&sent, "INVITE").clone();
        self.wait(2 * SECOND);
        let ok = reply(
            &forwarded.text,
            200,
            "callee",
            "Contact: <sip:callee@203.0.113.10>\r\n",
        );
        let sent = self.send(VENDOR, &ok);
        let (caller, callee) = Dialog::pair(only(&sent, "200"));
        let ack = self.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
        let sent = self.send(CALLER, &ack);
        assert_eq!(summary(&sent), [(VENDOR.to_owned(), "ACK")]);
        (caller, callee)
    }
}

/// One side of a dialog, as the messages it sends show it.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) address: String,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Its route set, as header lines.
    pub(crate) routes: String,
}

impl Dialog {
    /// The caller, who knows the callee by this tag; none when it is empty.
    pub(crate) fn caller(callee_tag: &str) -> Self {
        Self {
            address: CALLER.to_owned(),
            from: "<sip:49301@198.51.100.10>;tag=caller".to_owned(),
            to: tagged("<sip:4930123@192.0.2.1>", callee_tag),
            routes: String::new(),
        }
    }

    /// Both sides of the dialog that a 2xx has made, as the caller heard it.
    pub(crate) fn pair(answer: &Sent) -> (Self, Self) {
        let (from, to) = (answer.header("From").unwrap(), answer.header("To").unwrap());
        let recorded: Vec<&str> = lines_of(&answer.text, "Record-Route")
            .map(|line| line.split_once(": ").unwrap().1)
            .collect();
        let routes = |values: Vec<&str>| {
            values
                .iter()
                .map(|value| format!("Route: {value}\r\n"))
                .collect()
        };
        let caller = Self {
            address: CALLER.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            routes: routes(recorded.iter().rev().copied().collect()),
        };
        let callee = Self {
            address: VENDOR.to_owned(),
            from: to.to_owned(),
            to: from.to_owned(),
            routes: routes(recorded),
        };
        (caller, callee)
    }

    /// The value of the cookie in its first route.
    pub(crate) fn cookie(&self) -> &str {
        let text = self.routes.split("tdm=").nth(1).unwrap();
        text.split(['>', ';']).next().unwrap()
    }
}

fn tagged(address: &str, tag: &str) -> String {
    match tag {
        "" => address.to_owned(),
        tag => format!("{address};tag={tag}"),
    }
}

pub(crate) fn request_with_via(
    dialog: &Dialog,
    method: &str,
    uri: &str,
    cseq: u32,
    via: &str,
    more: &str,
) -> String {
    let Dialog {
        from, to, routes, ..
    } = dialog;
    format!(
        "{method} {uri} SIP/2.0\r\nVia: {via}\r\n{routes}Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\n\
         Call-ID: call@bench\r\nCSeq: {cseq} {method}\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// A response to a request of the core's, with a To-tag of its own unless that is empty or there is one.
pub(crate) fn reply(request: &str, status: u16, to_tag: &str, more: &str) -> String {
    let mut text = format!("SIP/2.0 {status} Whatever\r\n");
    for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
        for line in lines_of(request, name) {
            text.push_str(line);
            if name == "To" && !to_tag.is_empty() && !line.contains(";tag=") {
                text.push_str(&format!(";tag={to_tag}"));
            }
            text.push_str("\r\n");
        }
    }
    text + more + "Content-Length: 0\r\n\r\n"
}

/// A CANCEL or the ACK of a refusal: the INVITE's own Via, URI and CSeq number (RFC 3261 §9.1, §17.1.1.3).
pub(crate) fn beside(invite: &str, method: &str, to: &str, more: &str) -> String {
    let uri = invite.split(' ').nth(1).unwrap();
    let line = |name: &str| lines_of(invite, name).next().unwrap().to_owned();
    let routes: String = lines_of(invite, "Route")
        .map(|line| format!("{line}\r\n"))
        .collect();
    let cseq = header(invite, "CSeq").unwrap().split(' ').next().unwrap();
    format!(
        "{method} {uri} SIP/2.0\r\n{}\r\n{routes}Max-Forwards: 70\r\n{}\r\nTo: {to}\r\n{}\r\nCSeq: {cseq} {method}\r\n{more}Content-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        line("Call-ID"),
    )
}

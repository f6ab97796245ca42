//! The 49 messages of RFC 4475 through a running proxy: each gets the outcome that the RFC prefers, and in the way that a
//! proxy in service is set up, it survives each and still completes a call.
//! Which outcome that is stands in `torture_table.rs`, which the tests of the core share.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::call::Call;
use crate::support::peer::Peer;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{eventually, shared_machine};
use crate::torture_table::{
    Facts, Outcome, ROWS, Row, check_forwarded, check_response, facts, headers, message,
};

fn messages() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sip-parser/tests/rfc4475");
    let mut messages: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .map(|entry| entry.expect("listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .map(|path| {
            (
                path.file_stem()
                    .expect("named")
                    .to_string_lossy()
                    .into_owned(),
                fs::read(&path).expect("read"),
            )
        })
        .collect();
    messages.sort();
    messages
}

fn survives(setup: &Setup, source: &Peer) {
    let messages = messages();
    assert_eq!(messages.len(), 49, "the whole set");
    let mut proxy = setup.start();
    let vendor = Peer::bind(setup.at(5070));
    let caller = Peer::bind(setup.at(5061));
    for (name, bytes) in &messages {
        source.send_bytes(setup.sip, bytes);
        // After each message the proxy still answers: a later one cannot hide the fault of an earlier one.
        let mut ping = Call::new(&caller, setup.sip, "options").request("OPTIONS", 1);
        ping = ping.replace("sip:options@", "sip:");
        caller.send(setup.sip, &ping);
        let answer = caller.expect_within("200 OPTIONS", Duration::from_secs(3));
        assert!(
            answer.is_some(),
            "no answer after {name}; log:\n{}",
            setup.log()
        );
        assert!(
            proxy.process.is_running().expect("asked"),
            "{name} ended the proxy; log:\n{}",
            setup.log()
        );
    }
    // Both again as fast as they go, and what is no message at all.
    for (_, bytes) in &messages {
        source.send_bytes(setup.sip, bytes);
    }
    for bytes in [&b""[..], b"\r\n\r\n", b"\0\0\0\0", &[0xff; 2_000]] {
        source.send_bytes(setup.sip, bytes);
    }
    // The vendor's queue holds what was forwarded; the call below must find its own INVITE behind it.
    while vendor.receive(Duration::from_millis(300)).is_some() {}
    let mut call = Call::new(&caller, setup.sip, "4930123456");
    call.send_invite();
    let invite = eventually("the INVITE of the call", || {
        vendor
            .expect_within("INVITE", Duration::from_secs(1))
            .filter(|invite| invite.header("Call-ID") == call.call_id)
    });
    vendor.answer(&invite, "200 OK", "v1");
    call.learn(&caller.expect("200 INVITE"));
    call.send(&call.request("ACK", 1));
    call.send(&call.request("BYE", 2));
    let bye = eventually("the BYE of the call", || {
        vendor
            .expect_within("BYE", Duration::from_secs(1))
            .filter(|bye| bye.header("Call-ID") == call.call_id)
    });
    vendor.answer(&bye, "200 OK", "");
    caller.expect("200 BYE");
    let cdr = eventually("the CDR of the call", || {
        setup
            .cdrs()
            .into_iter()
            .find(|cdr| cdr.text("call_id") == call.call_id)
    });
    assert_eq!((cdr.number("status"), cdr.text("cause")), (200, "answered"));
}

#[test]
fn the_torture_messages_of_a_known_customer_neither_kill_nor_hang_the_proxy() {
    let _machine = shared_machine();
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    // A vendor for every number, so that the messages travel as far as they can.
    setup.table("routes.csv", "plan,prefix,vendor\nworld,,good\n");
    setup.table(
        "rates.csv",
        "sheet,prefix,rate\nretail,,0.60\nsheet-good,,0.10\n",
    );
    let source = Peer::bind(setup.at(5062));
    survives(&setup, &source);
}

#[test]
fn the_torture_messages_of_a_stranger_neither_kill_nor_hang_the_proxy() {
    let _machine = shared_machine();
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    let source = Peer::bind("127.0.0.1:0".parse().expect("an address"));
    survives(&setup, &source);
}

/// How long nothing must come where nothing may come.
const SILENCE: Duration = Duration::from_millis(60);

/// A neighbour of this setup's address, which is its own as well: the setups keep to 127.64.0.0/10.
fn neighbour(setup: &Setup, network: u8) -> IpAddr {
    let IpAddr::V4(ip) = setup.ip else {
        panic!("an IPv4 address");
    };
    let [first, second, third, fourth] = ip.octets();
    IpAddr::from([first, second & 0x3f | network, third, fourth])
}

/// Everybody around the proxy, each on an address of its own, since most messages name no port.
struct Around {
    source: Peer,
    vendor: Peer,
    services: Peer,
    strict: Peer,
}

impl Around {
    fn new(setup: &Setup) -> Self {
        // The address is that of the message itself: whoever has it now will leave it soon.
        let strict: SocketAddr = "127.0.0.1:5080".parse().expect("an address");
        let free = || std::net::UdpSocket::bind(strict).ok().map(drop);
        eventually("127.0.0.1:5080 to be free", free);
        Self {
            source: Peer::bind(SocketAddr::new(neighbour(setup, 128), 5060)),
            vendor: Peer::bind(setup.at(5070)),
            services: Peer::bind(SocketAddr::new(neighbour(setup, 192), 5060)),
            strict: Peer::bind(strict),
        }
    }

    fn all(&self) -> [&Peer; 4] {
        [&self.source, &self.vendor, &self.services, &self.strict]
    }
}

/// Where the answer to a message is awaited: at the port of its top Via, unless that wants it where it came from
/// (RFC 3261 §18.2.2, RFC 3581 §4).
fn answers_at(bytes: &[u8], source: &Peer) -> Option<Peer> {
    let via = headers(bytes, "Via", "v").concat();
    let top = via.split(',').next().unwrap_or_default();
    let (sent_by, params) = top.split_once(';').unwrap_or((top, ""));
    let port = sent_by
        .rsplit(':')
        .next()
        .and_then(|port| port.trim().parse().ok());
    let asks = params.split(';').any(|param| param.trim() == "rport");
    let port = port.filter(|port| *port != source.address.port() && !asks)?;
    Some(Peer::bind(SocketAddr::new(source.address.ip(), port)))
}

fn call_id(bytes: &[u8]) -> String {
    let values = headers(bytes, "Call-ID", "i");
    values.first().cloned().unwrap_or_default()
}

/// The next message of this call that is no 100.
fn awaited(peer: &Peer, call: &str, limit: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    let until = Instant::now() + limit;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Some((bytes, from)) = peer.receive_bytes(left)
            && call_id(&bytes) == call
            && !bytes.starts_with(b"SIP/2.0 100 ")
        {
            return Some((bytes, from));
        }
    }
    None
}

/// What RFC 3261 §17.2.3 tells transactions apart by: the top Via, and the method in the first word.
fn transaction_of(name: &str) -> (String, String) {
    let bytes = message(name);
    let via = headers(&bytes, "Via", "v");
    let text = String::from_utf8_lossy(&bytes);
    let method = text.split(' ').next().unwrap_or_default();
    (method.to_owned(), via.first().cloned().unwrap_or_default())
}

/// A refusal of what was forwarded, so that the transaction ends.
fn refusal(forwarded: &[u8]) -> String {
    let mut text = "SIP/2.0 404 Not Found\r\n".to_owned();
    for (name, short) in [
        ("Via", "v"),
        ("From", "f"),
        ("To", "t"),
        ("Call-ID", "i"),
        ("CSeq", ""),
    ] {
        for value in headers(forwarded, name, short) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text + "Content-Length: 0\r\n\r\n"
}

/// Events of that name, of all lanes.
fn events(proxy: &Proxy<'_>, name: &str) -> u64 {
    let label = format!("event=\"{name}\"");
    let page = proxy.get("/metrics").body;
    let values = page.lines().filter(|line| line.contains(&label));
    values
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn outcome_of(row: &Row, facts: &Facts, setup: &Setup, proxy: &Proxy<'_>, around: &Around) {
    let bytes = message(row.name);
    let call = call_id(&bytes);
    let elsewhere = answers_at(&bytes, &around.source);
    let answers = elsewhere.as_ref().unwrap_or(&around.source);
    let before = match row.outcome {
        Outcome::Dropped(counter) => events(proxy, counter),
        _ => 0,
    };
    around.source.send_bytes(setup.sip, &bytes);
    let patience = Duration::from_secs(5);
    let target = match row.outcome {
        Outcome::Vendor => Some(&around.vendor),
        Outcome::Route if row.name == "mpart01" => Some(&around.strict),
        Outcome::Route => Some(&around.services),
        Outcome::Status(status) => {
            let (response, _) = awaited(answers, &call, patience)
                .unwrap_or_else(|| panic!("{}: no answer; log:\n{}", row.name, setup.log()));
            check_response(row.name, status, facts, &bytes, &response);
            None
        }
        Outcome::Dropped(counter) => {
            eventually(counter, || {
                (events(proxy, counter) == before + 1).then_some(())
            });
            None
        }
    };
    if let Some(target) = target {
        let (forwarded, from) = awaited(target, &call, patience)
            .unwrap_or_else(|| panic!("{}: not forwarded; log:\n{}", row.name, setup.log()));
        assert_eq!(from, setup.sip, "{}", row.name);
        check_forwarded(row, facts, &bytes, &forwarded);
        target.send(setup.sip, &refusal(&forwarded));
        let (response, _) = awaited(answers, &call, patience)
            .unwrap_or_else(|| panic!("{}: no way back; log:\n{}", row.name, setup.log()));
        assert!(response.starts_with(b"SIP/2.0 404 "), "{}", row.name);
    }
    for peer in around.all() {
        if target.is_some_and(|target| target.address == peer.address)
            || peer.address == answers.address
        {
            continue;
        }
        let stray = awaited(peer, &call, SILENCE / 4);
        assert!(
            stray.is_none(),
            "{} also went to {}",
            row.name,
            peer.address
        );
    }
    if matches!(row.outcome, Outcome::Dropped(_)) {
        assert!(
            awaited(answers, &call, SILENCE).is_none(),
            "{} was answered",
            row.name
        );
    }
}

#[test]
fn every_torture_message_gets_the_outcome_that_the_rfc_prefers() {
    let _machine = shared_machine();
    let mut setup = Setup::new();
    let around = Around::new(&setup);
    setup.set("proxy.refuse_methods", "[]");
    setup.set("proxy.preloaded_route", "\"follow\"");
    setup.set("proxy.unknown_dialog", "\"forward\"");
    let hosts = setup.path().join("hosts");
    let line = format!("{} services.example.com\n", around.services.address.ip());
    fs::write(&hosts, line).expect("written");
    setup.set("proxy.hosts_file", &format!("\"{}\"", hosts.display()));
    setup.vendor("good", around.vendor.address, "0.10");
    setup.table("routes.csv", "plan,prefix,vendor\nworld,,good\n");
    setup.table(
        "rates.csv",
        "sheet,prefix,rate\nretail,,0.60\nsheet-good,,0.10\n",
    );
    let addresses = format!("customer,address\nacme,{}\n", around.source.address.ip());
    setup.table("customer_addresses.csv", &addresses);
    let mut proxy = setup.start();
    let mut seen = HashSet::new();
    for row in &ROWS {
        let facts = facts(row.name);
        if !seen.insert(transaction_of(row.name)) {
            // Some messages have one branch, so that one would be the retransmission of another.
            drop(proxy);
            proxy = setup.start_again();
            seen = HashSet::from([transaction_of(row.name)]);
        }
        assert!(
            row.is_preferred(&facts),
            "{}: {}",
            row.name,
            facts.expectation
        );
        outcome_of(row, &facts, &setup, &proxy, &around);
        assert!(
            proxy.process.is_running().expect("asked"),
            "{} ended the proxy",
            row.name
        );
    }
    proxy.stop();
}

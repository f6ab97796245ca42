//! Where a Contact or a Route may have us send: not to groups, not to ourselves, not to nobody.

use crate::bench::*;
use proxy_core::{Stat, UnknownDialog};

/// Hosts that nobody may aim us at, as a URI has them.
const REFUSED: [&str; 7] = [
    "224.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "127.0.0.1",
    "127.0.0.1:8060",
    "192.0.2.1",
    "192.0.2.1:8060",
];

/// A call with these lines in the INVITE and in its answer.
fn call(bench: &mut Bench, invite_has: &str, answer_has: &str) -> (Dialog, Dialog) {
    let contact = "Contact: <sip:caller@198.51.100.10>\r\n";
    let invite = bench.invite().replace(contact, invite_has);
    let sent = bench.send(CALLER, &invite);
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", "");
    // Above ours: a route of the callee's side.
    let ok = ok.replacen(
        "\r\nRecord-Route",
        &format!("\r\n{answer_has}Record-Route"),
        1,
    );
    let sent = bench.send(VENDOR, &ok);
    Dialog::pair(only(&sent, "200"))
}

//= proves departure RFC 3261 §16.6(6)
#[test]
fn a_contact_or_route_that_aims_at_others_leads_to_where_its_peer_was_last_heard() {
    for host in REFUSED {
        for line in [
            "Contact: <sip:x@HOST>\r\n",
            "Record-Route: <sip:HOST;lr>\r\n",
        ] {
            let line = line.replace("HOST", host);
            // A Record-Route of the callee that names us is ours, and ends there.
            let mut bench = Bench::new(&ONE_VENDOR);
            let (caller, callee) = call(&mut bench, &line, &line);
            let ack = bench.request(&caller, "ACK", "sip:x@192.0.2.1", 1, "");
            let sent = bench.send(CALLER, &ack);
            assert_eq!(summary(&sent), [(VENDOR.to_owned(), "ACK")], "{line}");
            let info = bench.request(&callee, "INFO", "sip:x@192.0.2.1", 1, "");
            let sent = bench.send(VENDOR, &info);
            assert_eq!(summary(&sent), [(CALLER.to_owned(), "INFO")], "{line}");
            assert!(bench.stat(Stat::TargetsRefused) >= 1, "{line}");
            let bye = bench.request(&caller, "BYE", "sip:x@192.0.2.1", 2, "");
            let sent = bench.send(CALLER, &bye);
            assert_eq!(summary(&sent), [(VENDOR.to_owned(), "BYE")], "{line}");
        }
    }
}

#[test]
fn our_own_byes_go_where_nobody_has_aimed_them() {
    let mut short = config();
    short.policy.max_call_us = 60 * SECOND;
    let mut bench = Bench::with(short, &ONE_VENDOR);
    let line = "Contact: <sip:x@224.0.0.1>\r\n";
    let (caller, _) = call(&mut bench, line, line);
    let ack = bench.request(&caller, "ACK", "sip:x@224.0.0.1", 1, "");
    bench.send(CALLER, &ack);
    let sent = bench.wait(60 * SECOND + SECOND / 10);
    let byes = sent.iter().filter(|sent| sent.what() == "BYE");
    let to: Vec<String> = byes.map(|bye| bye.to.to_string()).collect();
    assert_eq!(to, [CALLER, VENDOR]);
}

#[test]
fn a_peer_of_the_same_host_is_reached_where_it_speaks() {
    let mut local = config();
    local.listeners[0].address = "127.0.0.1:5060".parse().unwrap();
    local.listeners[0].advertise = "127.0.0.1:5060".to_owned();
    let mut bench = Bench::with(
        local,
        &Routes {
            vendor_gateways: "vendor,address\nv0,127.0.0.1:5080\nv1,127.0.0.1:5081\n",
            customer_addresses: "customer,address\nacme,127.0.0.1\n",
            ..ONE_VENDOR
        },
    );
    let invite = bench.invite();
    let sent = bench.send("127.0.0.1:5070", &invite);
    let contact = "Contact: <sip:callee@127.0.0.1:5090>\r\n";
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", contact);
    let sent = bench.send("127.0.0.1:5080", &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    let ack = bench.request(&caller, "ACK", "sip:callee@127.0.0.1:5090", 1, "");
    let sent = bench.send("127.0.0.1:5070", &ack);
    assert_eq!(summary(&sent), [("127.0.0.1:5090".to_owned(), "ACK")]);
    assert_eq!(bench.stat(Stat::TargetsRefused), 0);
}

#[test]
fn a_dialog_that_nobody_knows_is_aimed_at_nobody_either() {
    let mut trusting = config();
    trusting.policy.unknown_dialog = UnknownDialog::Forward;
    let mut bench = Bench::with(trusting, &ONE_VENDOR);
    for (cseq, host) in (1..).zip(["224.0.0.1", "127.0.0.1", "0.0.0.0"]) {
        let info = bench.request(
            &Dialog::caller("x"),
            "INFO",
            &format!("sip:x@{host}"),
            cseq,
            "",
        );
        let sent = bench.send(CALLER, &info);
        assert_eq!(summary(&sent), [(CALLER.to_owned(), "500")], "{host}");
    }
    let ack = bench.request(&Dialog::caller("x"), "ACK", "sip:x@224.0.0.1", 9, "");
    assert!(bench.send(CALLER, &ack).is_empty());
    assert_eq!(bench.stat(Stat::TargetsRefused), 4);
    assert_eq!(
        (
            bench.stat(Stat::AcksForwarded),
            bench.stat(Stat::AcksDropped)
        ),
        (0, 1)
    );
}

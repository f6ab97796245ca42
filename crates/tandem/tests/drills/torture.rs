//! The 49 messages of RFC 4475 through a running proxy: it survives each and still completes a call.
//! Leaves out what each should be answered with; here nothing may crash, hang or stay behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::call::Call;
use crate::support::peer::Peer;
use crate::support::proxy::Setup;
use crate::support::shared_machine;

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
    let invite = crate::support::eventually("the INVITE of the call", || {
        vendor
            .expect_within("INVITE", Duration::from_secs(1))
            .filter(|invite| invite.header("Call-ID") == call.call_id)
    });
    vendor.answer(&invite, "200 OK", "v1");
    call.learn(&caller.expect("200 INVITE"));
    call.send(&call.request("ACK", 1));
    call.send(&call.request("BYE", 2));
    let bye = crate::support::eventually("the BYE of the call", || {
        vendor
            .expect_within("BYE", Duration::from_secs(1))
            .filter(|bye| bye.header("Call-ID") == call.call_id)
    });
    vendor.answer(&bye, "200 OK", "");
    caller.expect("200 BYE");
    let cdr = crate::support::eventually("the CDR of the call", || {
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

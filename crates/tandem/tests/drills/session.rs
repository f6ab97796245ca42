//! Sessions that nobody refreshes (RFC 4028 §8.3), one across a kill -9: closed at their expiry, limits
//! free, no BYE but where one end alone watched.
//!
//! Ninety seconds is the least session interval there is, so this drill takes that long; it loads nothing meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::call::Call;
use crate::support::peer::Peer;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{eventually_within, shared_machine};

const ASKED: &str = "Supported: timer\r\nSession-Expires: 90\r\n";
const AGREED: &str = "Require: timer\r\nSession-Expires: 90;refresher=uac\r\n";

/// A call whose caller asked for a session timer, up to its ACK.
fn timed<'a>(caller: &'a Peer, setup: &Setup, number: &str, vendor: &Peer, more: &str) -> Call<'a> {
    let mut call = Call::new(caller, setup.sip, number);
    call.send_invite_with(ASKED);
    let invite = vendor.expect("INVITE");
    assert_eq!(invite.header("Session-Expires"), "90");
    vendor.answer_with(&invite, "200 OK", "v1", more);
    let ok = caller.expect("200 INVITE");
    assert_eq!(ok.header("Session-Expires"), "90;refresher=uac");
    assert_eq!(ok.header("Require"), "timer");
    call.learn(&ok);
    call.send(&call.request("ACK", 1));
    vendor.expect("ACK");
    call
}

/// Answers every BYE that comes before all calls are over; the Call-IDs of those heard.
fn byes_until_all_is_over(proxy: &Proxy<'_>, peers: [&Peer; 2]) -> [BTreeSet<String>; 2] {
    let mut heard = [BTreeSet::new(), BTreeSet::new()];
    eventually_within(Duration::from_secs(150), "all are closed", || {
        let over = proxy.calls().is_empty();
        for (peer, heard) in peers.iter().zip(&mut heard) {
            while let Some(message) = peer.receive(Duration::from_millis(100)) {
                if message.is("BYE") {
                    heard.insert(message.header("Call-ID").to_owned());
                    peer.answer(&message, "200 OK", "");
                }
            }
        }
        over.then_some(())
    });
    heard
}

#[test]
fn sessions_that_nobody_refreshes_end_on_time_and_free_their_limits_across_a_kill() {
    let _machine = shared_machine();
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    setup.table(
        "customers.csv",
        "name,rate_sheet,routing_plan,channel_limit\nacme,retail,world,3\n",
    );
    let (vendor, caller) = (Peer::bind(setup.at(5070)), Peer::bind(setup.at(5061)));
    let mut proxy = setup.start();
    let before = timed(&caller, &setup, "4930000001", &vendor, AGREED);
    proxy.process.kill_9().expect("killed");
    drop(proxy);
    let proxy = setup.start_again();
    let after = timed(&caller, &setup, "4930000002", &vendor, AGREED);
    // Its callee knows nothing of timers: what the caller hears is ours.
    let one_sided = timed(&caller, &setup, "4930000003", &vendor, "");
    let calls = proxy.calls();
    assert_eq!(calls.len(), 3);
    assert!(
        calls
            .iter()
            .all(|call| call["session_expires_at"].is_string())
    );
    let fourth = Call::new(&caller, setup.sip, "4930000004");
    fourth.send_invite();
    let refused = caller.expect("503 INVITE");
    fourth.acknowledge_refusal(&refused);

    // Only those whose session one end alone watched are told.
    let heard = byes_until_all_is_over(&proxy, [&vendor, &caller]);
    let told = BTreeSet::from([one_sided.call_id.clone()]);
    assert_eq!(heard, [told.clone(), told]);
    let cdrs = setup.expect_cdrs(3);
    for cdr in &cdrs {
        assert_eq!(
            (
                cdr.text("cause"),
                cdr.text("ended_by"),
                cdr.number("status")
            ),
            ("session_expired", "proxy", 200)
        );
        assert_eq!(cdr.number("duration_ms"), 90_000, "{}", cdr.0);
        assert_eq!(cdr.number("customer_billed_s"), 90);
        assert_eq!(cdr.time_us("end_at") - cdr.time_us("answer_at"), 90_000_000);
    }
    // There is room again; and who still has something to say is heard by the far side.
    let (fifth, _) = Call::up(&caller, setup.sip, "4930000005", &vendor);
    for late in [&before, &after] {
        late.hang_up(2, &vendor);
    }
    fifth.hang_up(2, &vendor);
    assert_eq!(setup.expect_cdrs(4)[3].text("cause"), "answered");
    proxy.stop();
}

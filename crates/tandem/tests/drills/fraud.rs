//! A BYE that does not end the call for both sides must not stop the meter: DESIGN's rule on when a call ends.
//! Each forged BYE is followed by a pause and the real one; the CDR must run to the real one.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::call::Call;
use crate::support::cdr::Cdr;
use crate::support::peer::{Peer, Received};
use crate::support::proxy::{Proxy, Setup};
use crate::support::shared_machine;

/// How long the call goes on after the forged BYE.
const PAUSE: Duration = Duration::from_millis(700);

struct Stage {
    setup: Setup,
    vendor: Peer,
    caller: Peer,
}

impl Stage {
    fn new() -> Self {
        let mut setup = Setup::new();
        setup.vendor("good", setup.at(5070), "0.10");
        let (vendor, caller) = (Peer::bind(setup.at(5070)), Peer::bind(setup.at(5061)));
        Self {
            setup,
            vendor,
            caller,
        }
    }

    fn is_up(proxy: &Proxy<'_>, call: &Call<'_>) -> bool {
        proxy
            .calls()
            .iter()
            .any(|row| row["call_id"] == call.call_id.as_str() && row["state"] == "up")
    }

    /// Sets up a call, sends what `forge` makes from it, and checks that only the real BYE ends it.
    fn meter_keeps_running(&self, forge: impl FnOnce(&Call<'_>, &Received), is_refused: bool) {
        let proxy = self.setup.start();
        let (call, invite) = Call::up(&self.caller, self.setup.sip, "4930123456", &self.vendor);
        let answered = Instant::now();
        assert!(Self::is_up(&proxy, &call), "the call is up");
        forge(&call, &invite);
        if is_refused {
            let refusal = self.caller.expect_final("BYE");
            assert!(refusal.status() >= 400, "{}", refusal.text);
        }
        assert!(
            self.vendor.expect_within("BYE", PAUSE).is_none(),
            "the vendor hears nothing of it"
        );
        assert!(Self::is_up(&proxy, &call), "the call is still up");
        call.hang_up(9, &self.vendor);
        let real = answered.elapsed();
        let cdrs = self.setup.expect_cdrs(1);
        let (cdr, real_ms) = (&cdrs[0], u64::try_from(real.as_millis()).expect("in range"));
        assert_eq!(
            (
                cdr.number("status"),
                cdr.text("cause"),
                cdr.text("ended_by")
            ),
            (200, "answered", "caller")
        );
        assert_metered(cdr, real_ms);
        assert!(!Self::is_up(&proxy, &call));
        proxy.stop();
    }
}

/// The CDR runs to the real end of the call.
fn assert_metered(cdr: &Cdr, real_ms: u64) {
    let duration_ms = cdr.number("duration_ms");
    assert!(
        duration_ms <= real_ms + 100 && duration_ms + 300 >= real_ms,
        "{duration_ms} of {real_ms} ms"
    );
}

#[test]
fn a_bye_whose_max_forwards_is_used_up_does_not_stop_the_meter() {
    let _machine = shared_machine();
    let stage = Stage::new();
    let forge = |call: &Call<'_>, _: &Received| {
        call.send(
            &call
                .request("BYE", 2)
                .replace("Max-Forwards: 70", "Max-Forwards: 0"),
        );
    };
    stage.meter_keeps_running(forge, true);
}

#[test]
fn a_bye_with_a_wrong_to_tag_does_not_stop_the_meter() {
    let _machine = shared_machine();
    let stage = Stage::new();
    stage.meter_keeps_running(
        |call, _| call.send(&call.request("BYE", 2).replace(";tag=v1", ";tag=other")),
        true,
    );
}

#[test]
fn a_bye_with_a_wrong_from_tag_does_not_stop_the_meter() {
    let _machine = shared_machine();
    let stage = Stage::new();
    stage.meter_keeps_running(
        |call, _| call.send(&call.request("BYE", 2).replace(";tag=f", ";tag=g")),
        true,
    );
}

#[test]
fn a_bye_with_a_used_cseq_does_not_stop_the_meter() {
    let _machine = shared_machine();
    let stage = Stage::new();
    stage.meter_keeps_running(|call, _| call.send(&call.request("BYE", 0)), true);
}

#[test]
fn a_bye_with_the_cseq_of_the_invite_does_not_stop_the_meter() {
    let _machine = shared_machine();
    let stage = Stage::new();
    stage.meter_keeps_running(|call, _| call.send(&call.request("BYE", 1)), true);
}

#[test]
fn a_bye_from_an_address_that_is_neither_trunk_does_not_stop_the_meter() {
    let _machine = shared_machine();
    let stage = Stage::new();
    let stranger = Peer::bind("127.0.0.9:0".parse().expect("an address"));
    let proxy = stage.setup.sip;
    let forge = |call: &Call<'_>, _: &Received| {
        stranger.send(proxy, &call.request("BYE", 2));
        let refusal = stranger.expect_final("BYE");
        assert!(refusal.status() >= 400, "{}", refusal.text);
    };
    stage.meter_keeps_running(forge, false);
}

#[test]
fn a_bye_that_the_vendor_refuses_does_not_stop_the_meter() {
    let _machine = shared_machine();
    let stage = Stage::new();
    let vendor = &stage.vendor;
    let forge = |call: &Call<'_>, _: &Received| {
        call.send(&call.request("BYE", 2));
        let bye = vendor.expect("BYE");
        vendor.answer(&bye, "500 Server Internal Error", "");
    };
    stage.meter_keeps_running(forge, true);
}

/// A Route that leads nowhere is no way round the far side: either the BYE reaches it all the same, by the route
/// that the call itself holds, and then the call is truly over; or the call stays up until the real BYE.
fn route_to_nowhere(route: impl Fn(&str) -> String) {
    let _machine = shared_machine();
    let stage = Stage::new();
    let proxy = stage.setup.start();
    let (call, _) = Call::up(&stage.caller, stage.setup.sip, "4930123456", &stage.vendor);
    let answered = Instant::now();
    let bye = call.request("BYE", 2);
    let own = call.route_lines();
    assert!(!own.is_empty(), "the proxy record-routes");
    sleep(PAUSE);
    call.send(&bye.replace(&own, &route(&own)));
    if let Some(bye) = stage.vendor.expect_within("BYE", PAUSE) {
        stage.vendor.answer(&bye, "200 OK", "");
        stage.caller.expect("200 BYE");
    } else {
        assert!(
            Stage::is_up(&proxy, &call),
            "the far side never heard the BYE, so the call is up"
        );
        sleep(PAUSE);
        assert!(Stage::is_up(&proxy, &call), "nor does it end later");
        call.hang_up(9, &stage.vendor);
    }
    let real_ms = u64::try_from(answered.elapsed().as_millis()).expect("in range");
    let cdrs = stage.setup.expect_cdrs(1);
    assert_metered(&cdrs[0], real_ms);
    assert_eq!(
        (cdrs[0].text("cause"), cdrs[0].text("ended_by")),
        ("answered", "caller")
    );
    proxy.stop();
}

#[test]
fn a_bye_with_only_a_route_to_nowhere_does_not_stop_the_meter_alone() {
    route_to_nowhere(|_| "Route: <sip:127.0.0.1:9;lr>\r\n".to_owned());
}

#[test]
fn a_bye_with_a_route_to_nowhere_behind_our_own_does_not_stop_the_meter_alone() {
    route_to_nowhere(|own| format!("{own}Route: <sip:127.0.0.1:9;lr>\r\n"));
}

//! What is done on purpose instead of what a clause says: RFC 3261 §12.2, §16.6, §16.7, §17.1.1.2.
//! Each test would fail if the core did as the clause says.
//! Leaves out the departures that the file of their subject shows.

use crate::bench::*;
use proxy_core::{CoreConfig, Policy};

//= proves departure RFC 3261 §17.1.1.2
#[test]
fn a_vendor_that_was_given_up_is_not_sent_the_invite_again() {
    let mut bench = Bench::new(&TWO_VENDORS);
    let invite = bench.invite();
    let invites_to = |sent: &[Sent], vendor: &str| {
        let to_vendor = |sent: &&Sent| sent.what() == "INVITE" && sent.to.to_string() == vendor;
        sent.iter().filter(to_vendor).count()
    };
    let sent = bench.send(CALLER, &invite);
    assert_eq!(invites_to(&sent, VENDOR), 1);
    // Again after 0.5, 1.5 and 3.5 s; after 4 s the next vendor has its turn.
    let sent = bench.wait(5 * SECOND);
    assert_eq!(invites_to(&sent, VENDOR), 3);
    assert!(invites_to(&sent, SECOND_VENDOR) >= 1);
    let sent = bench.wait(60 * SECOND);
    assert_eq!(invites_to(&sent, VENDOR), 0);
}

//= proves departure RFC 3261 §16.7(6)
#[test]
fn what_upstream_hears_when_no_vendor_took_the_call_is_configurable_and_never_408() {
    let nobody = Routes {
        vendors: "name,rate_sheet,channel_limit\nv0,v0,0\nv1,v1,0\n",
        ..ONE_VENDOR
    };
    for (all_503_becomes, routes, vendor_says, heard) in [
        (500, &ONE_VENDOR, Some(503), "500"),
        (480, &ONE_VENDOR, Some(503), "480"),
        (480, &ONE_VENDOR, Some(407), "480"),
        (480, &ONE_VENDOR, Some(302), "480"),
        (480, &nobody, None, "503"),
    ] {
        let config = CoreConfig {
            policy: Policy {
                all_503_becomes,
                ..Policy::default()
            },
            ..config()
        };
        let mut bench = Bench::with(config, routes);
        let invite = bench.invite();
        let mut sent = bench.send(CALLER, &invite);
        if let Some(status) = vendor_says {
            let forwarded = only(&sent, "INVITE").clone();
            sent = bench.send(VENDOR, &reply(&forwarded.text, status, "v", ""));
        }
        let finals: Vec<&str> = sent
            .iter()
            .filter(|sent| sent.to.to_string() == CALLER)
            .map(Sent::what)
            .filter(|what| *what != "100")
            .collect();
        assert_eq!(finals, [heard], "{vendor_says:?} as {all_503_becomes}");
    }
}

//= proves departure RFC 3261 §16.6(6)
//= proves departure RFC 3261 §12.2
#[test]
fn a_request_of_a_known_dialog_goes_the_stored_way_wherever_it_says() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    let astray = Dialog {
        routes: format!("{}Route: <sip:192.0.2.99;lr>\r\n", caller.routes),
        ..caller
    };
    for (cseq, method) in [(2, "INFO"), (3, "BYE")] {
        let request = bench.request(&astray, method, "sip:callee@192.0.2.98", cseq, "");
        let sent = bench.send(CALLER, &request);
        assert_eq!(summary(&sent), [(VENDOR.to_owned(), method)]);
        assert_eq!(sent[0].uri(), "sip:callee@203.0.113.10");
        assert_eq!(sent[0].header("Route"), None);
    }
}

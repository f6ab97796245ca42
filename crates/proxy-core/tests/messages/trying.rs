//! The 100 that an INVITE hears at once, before anything that may take longer than a datagram's turn (RFC 3261 §17.2.1).

use crate::bench::*;
use proxy_core::JobKind;

//= proves RFC 3261 §17.2.1
#[test]
fn an_invite_hears_100_before_the_name_of_its_vendor_is_known() {
    let named = Routes {
        vendor_gateways: "vendor,address\nv0,gw.example\nv1,203.0.113.11\n",
        ..ONE_VENDOR
    };
    let mut bench = Bench::new(&named);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "100")]);
    assert_eq!(
        sent[0].header("To"),
        Some("<sip:4930123@192.0.2.1>"),
        "a 100 has no tag"
    );
    assert!(matches!(bench.take_job().kind, JobKind::Resolve { .. }));
    // Its retransmission hears it again and asks nobody.
    assert_eq!(
        summary(&bench.send(CALLER, &invite)),
        [(CALLER.to_owned(), "100")]
    );
    assert!(bench.jobs.is_empty());
}

//= proves RFC 3261 §17.2.1
#[test]
fn a_reinvite_hears_100_before_the_name_of_its_target_is_known() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    assert_eq!(sent[0].what(), "100", "first of all");
    let contact = "Contact: <sip:callee@media.example>\r\n";
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", contact);
    let sent = bench.send(VENDOR, &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    let invite = bench.request(&caller, "INVITE", "sip:callee@media.example", 2, "");
    assert_eq!(
        summary(&bench.send(CALLER, &invite)),
        [(CALLER.to_owned(), "100")]
    );
    assert!(matches!(bench.take_job().kind, JobKind::Resolve { .. }));
}

//= proves RFC 3261 §16.2
#[test]
fn no_other_request_hears_100_while_it_waits() {
    let named = Routes {
        vendor_gateways: "vendor,address\nv0,gw.example\nv1,203.0.113.11\n",
        ..ONE_VENDOR
    };
    let mut bench = Bench::new(&named);
    let message = bench.invite().replace("INVITE", "MESSAGE");
    assert!(bench.send(CALLER, &message).is_empty());
    assert!(matches!(bench.take_job().kind, JobKind::Resolve { .. }));
    assert!(bench.send(CALLER, &message).is_empty());
}

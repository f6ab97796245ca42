//! A resolver that fails: within a call the old address stays in use, before it a full queue is said to be one.

use crate::bench::*;
use accounting::Cause;
use proxy_core::{JobAnswer, JobFailure, JobKind};

const MEDIA: &str = "203.0.113.77:5060";

#[test]
fn a_failing_resolver_leaves_the_old_address_in_use() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let contact = "Contact: <sip:callee@media.example>\r\n";
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", contact);
    let sent = bench.send(VENDOR, &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    let ack = bench.request(&caller, "ACK", "sip:callee@media.example", 1, "");
    assert!(bench.send(CALLER, &ack).is_empty());
    let job = bench.take_job();
    assert!(matches!(&job.kind, JobKind::Resolve { host, .. } if host == "media.example"));
    let addresses = vec![MEDIA.parse().unwrap()];
    let sent = bench.end_job(
        &job,
        JobAnswer::Resolved {
            addresses,
            ttl_s: 1,
        },
    );
    assert_eq!(summary(&sent), [(MEDIA.to_owned(), "ACK")]);

    for (cseq, failure) in [
        (2, JobFailure::Error),
        (3, JobFailure::Timeout),
        (4, JobFailure::QueueFull),
    ] {
        bench.wait(5 * SECOND);
        let info = bench.request(&caller, "INFO", "sip:callee@media.example", cseq, "");
        assert!(bench.send(CALLER, &info).is_empty());
        let job = bench.take_job();
        let sent = bench.end_job(&job, JobAnswer::Failed(failure));
        assert_eq!(summary(&sent), [(MEDIA.to_owned(), "INFO")], "{failure:?}");
        bench.send(MEDIA, &reply(&sent[0].text, 200, "", ""));
    }
}

#[test]
fn a_full_queue_at_forwarding_is_answered_503() {
    let mut bench = Bench::new(&Routes {
        vendor_gateways: "vendor,address\nv0,gateway.example\nv1,203.0.113.11\n",
        ..TWO_VENDORS
    });
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "100")]);
    let job = bench.take_job();
    let sent = bench.end_job(&job, JobAnswer::Failed(JobFailure::QueueFull));
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "503")]);
    bench.send(
        CALLER,
        &beside(&invite, "ACK", sent[0].header("To").unwrap(), ""),
    );
    let cdr = bench.only_cdr();
    assert_eq!((cdr.status, cdr.cause), (503, Cause::QueueFull));
    bench.rest();
}

//= proves RFC 3261 §16.9
#[test]
fn a_route_that_does_not_resolve_is_500_and_one_that_leads_nowhere_but_here_is_481() {
    let mut trusting = config();
    trusting.policy.unknown_dialog = proxy_core::UnknownDialog::Forward;
    let mut bench = Bench::with(trusting, &ONE_VENDOR);
    let mut caller = Dialog::caller("callee");
    let here = bench.request(&caller, "INFO", "sip:192.0.2.1:5060", 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &here)),
        [(CALLER.to_owned(), "481")]
    );
    caller.routes = "Route: <sip:nowhere.example;lr>\r\n".to_owned();
    let away = bench.request(&caller, "INFO", "sip:x@192.0.2.1", 2, "");
    assert!(bench.send(CALLER, &away).is_empty());
    let job = bench.take_job();
    let sent = bench.end_job(&job, JobAnswer::Failed(JobFailure::Error));
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "500")]);
}

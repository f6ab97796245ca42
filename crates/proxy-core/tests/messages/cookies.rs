//! What a cookie is worth when its call is not there: nothing after its end, little after a restart.

use crate::bench::*;
use accounting::{Cause, Record};
use proxy_core::{CoreConfig, JobAnswer, JobFailure, JobKind, Stat};

/// The caller of a call that another boot of the same node answered.
fn caller_of_before(boot: u32) -> Dialog {
    let mut bench = Bench::with(CoreConfig { boot, ..config() }, &ONE_VENDOR);
    bench.answered_call().0
}

#[test]
fn the_cookie_of_an_ended_call_leads_nowhere() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    let ok = reply(&only(&sent, "BYE").text, 200, "", "");
    bench.send(VENDOR, &ok);
    bench.rest();

    for method in ["INVITE", "MESSAGE", "INFO"] {
        let request = bench.request(&caller, method, "sip:other@203.0.113.10", 3, "");
        let sent = bench.send(CALLER, &request);
        assert_eq!(summary(&sent), [(CALLER.to_owned(), "481")], "{method}");
    }
    let ack = bench.request(&caller, "ACK", "sip:other@203.0.113.10", 3, "");
    let sent = bench.send(CALLER, &ack);
    assert!(sent.is_empty(), "{:?}", summary(&sent));
    assert_eq!(bench.stat(Stat::AcksDropped), 1);
}

#[test]
fn a_cookie_of_another_boot_begins_nothing() {
    let caller = caller_of_before(1);
    let mut bench = Bench::with(
        CoreConfig {
            boot: 2,
            ..config()
        },
        &ONE_VENDOR,
    );
    let invite = bench.request(&caller, "INVITE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &invite);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "403")]);
    assert_eq!(bench.core.stats().refused(Cause::ForbiddenSource), 1);
    bench.rest();
}

#[test]
fn a_bye_with_a_cookie_of_another_boot_passes_to_the_other_trunk_alone() {
    let caller = caller_of_before(1);
    let mut bench = Bench::with(
        CoreConfig {
            boot: 2,
            ..config()
        },
        &TWO_VENDORS,
    );
    for elsewhere in ["192.0.2.99", "203.0.113.11"] {
        let bye = bench.request(&caller, "BYE", &format!("sip:callee@{elsewhere}"), 2, "");
        let sent = bench.send(CALLER, &bye);
        assert_eq!(summary(&sent), [(CALLER.to_owned(), "403")], "{elsewhere}");
        let ack = bench.request(&caller, "ACK", &format!("sip:callee@{elsewhere}"), 1, "");
        assert!(bench.send(CALLER, &ack).is_empty(), "{elsewhere}");
    }
    assert!(bench.records.is_empty(), "{:?}", bench.records);

    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "BYE")]);
    let ok = reply(&sent[0].text, 200, "", "");
    assert_eq!(
        summary(&bench.send(VENDOR, &ok)),
        [(CALLER.to_owned(), "200")]
    );
    assert!(
        matches!(bench.records[..], [Record::EndedAlone { .. }]),
        "{:?}",
        bench.records
    );
    bench.rest();
}

/// A process started anew, whose vendor's two gateways are names that it has not looked up.
fn restarted_among_names() -> Bench {
    let names = Routes {
        vendor_gateways: "vendor,address\nv0,one.example\nv0,two.example\n",
        ..ONE_VENDOR
    };
    Bench::with(
        CoreConfig {
            boot: 2,
            ..config()
        },
        &names,
    )
}

/// Ends the one job that waits, which asks for `name`.
fn resolve(bench: &mut Bench, name: &str, address: &str) -> Vec<Sent> {
    let job = bench.take_job();
    assert!(
        matches!(&job.kind, JobKind::Resolve { host, .. } if host == name),
        "{name}: {:?}",
        job.kind
    );
    let addresses = vec![address.parse().unwrap()];
    bench.end_job(
        &job,
        JobAnswer::Resolved {
            addresses,
            ttl_s: 60,
        },
    )
}

#[test]
fn after_a_restart_requests_of_either_side_wait_until_the_names_of_the_gateways_are_known() {
    let mut before = Bench::with(config(), &ONE_VENDOR);
    let (caller, callee) = before.answered_call();
    let target = "sip:callee@203.0.113.10";
    for (dialog, from, to, method, uri) in [
        (&caller, CALLER, VENDOR, "BYE", target),
        (&caller, CALLER, VENDOR, "ACK", target),
        (&callee, VENDOR, CALLER, "BYE", "sip:49301@198.51.100.10"),
    ] {
        let mut bench = restarted_among_names();
        let request = bench.request(dialog, method, uri, 2, "");
        assert!(bench.send(from, &request).is_empty(), "{method} {from}");
        let sent = resolve(&mut bench, "one.example", "203.0.113.99:5060");
        assert!(sent.is_empty(), "{method} {from}: {:?}", summary(&sent));
        let sent = resolve(&mut bench, "two.example", VENDOR);
        assert_eq!(summary(&sent), [(to.to_owned(), method)], "{from}");
        // Now the names are known, and nothing waits any more.
        let request = bench.request(dialog, method, uri, 3, "");
        let sent = bench.send(from, &request);
        assert_eq!(summary(&sent), [(to.to_owned(), method)], "{from}");
    }
}

#[test]
fn a_name_that_has_been_asked_for_opens_no_way_to_or_from_a_stranger() {
    let caller = caller_of_before(1);
    for (from, to) in [(CALLER, "192.0.2.99"), ("192.0.2.98:5060", "203.0.113.10")] {
        let mut bench = restarted_among_names();
        let bye = bench.request(&caller, "BYE", &format!("sip:callee@{to}"), 2, "");
        let mut sent = bench.send(from, &bye);
        if from == CALLER {
            resolve(&mut bench, "one.example", "203.0.113.99:5060");
            // A resolver that fails is asked once.
            let job = bench.take_job();
            sent = bench.end_job(&job, JobAnswer::Failed(JobFailure::Error));
        }
        assert_eq!(summary(&sent), [(from.to_owned(), "403")], "{to}");
        let ack = bench.request(&caller, "ACK", &format!("sip:callee@{to}"), 1, "");
        assert!(bench.send(from, &ack).is_empty(), "{to}");
        assert!(bench.records.is_empty(), "{:?}", bench.records);
        bench.rest();
    }
}

#[test]
fn the_first_cookie_of_a_route_counts() {
    let genuine = caller_of_before(1);
    let forged = {
        let lane = CoreConfig {
            lane: 3,
            lanes: 4,
            cookie_key: [9; 16],
            ..config()
        };
        Bench::with(lane, &ONE_VENDOR).answered_call().0
    };
    let with_route = |params: String| Dialog {
        routes: format!("Route: <sip:{PROXY};lr;{params}>\r\n"),
        ..genuine.clone()
    };
    let (first, second) = (genuine.cookie(), forged.cookie());
    let mut bench = Bench::with(
        CoreConfig {
            boot: 2,
            ..config()
        },
        &ONE_VENDOR,
    );

    let caller = with_route(format!("TDM={first};tdm={second}"));
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    assert_eq!(
        summary(&bench.send(CALLER, &bye)),
        [(VENDOR.to_owned(), "BYE")]
    );

    let caller = with_route(format!("tdm={second};TDM={first}"));
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 3, "");
    assert_eq!(
        summary(&bench.send(CALLER, &bye)),
        [(CALLER.to_owned(), "481")]
    );
}

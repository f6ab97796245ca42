//! sipp on both sides: a thousand calls at a hundred a second, straight, past a refusing, a silent and a ringing vendor.
//! Every CDR is compared: one per call, by Call-ID, with its attempts and both prices.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::cdr::{Cdr, decimal};
use crate::support::proxy::{CUSTOMER_CONNECT_FEE, CUSTOMER_RATE, Setup};
use crate::support::sipp::{Scenario, Sipp};
use crate::support::whole_machine;

const CALLS: u32 = 1_000;
const RATE: u32 = 100;
const NUMBER: &str = "4930123456";
const CHEAP: &str = "0.10";
const DEAR: &str = "0.30";
const LIMIT: Duration = Duration::from_secs(60);

/// Places the calls with `scenario` and returns their CDRs; sipp must report success for all, and no retransmission.
fn place_calls(setup: &Setup, scenario: &Scenario, pause_ms: u32) -> Vec<Cdr> {
    let proxy = setup.start();
    let caller = Sipp::caller(
        scenario,
        setup.at(5061),
        setup.sip,
        NUMBER,
        (CALLS, RATE, pause_ms),
        setup.path(),
    );
    let pid = caller.pid();
    let errors = caller.errors();
    let totals = caller.finish(LIMIT);
    assert_eq!(
        (totals.successful, totals.failed),
        (u64::from(CALLS), 0),
        "{totals:?} {errors}"
    );
    assert_eq!(totals.retransmissions, 0, "{totals:?}");
    let cdrs = setup.expect_cdrs(CALLS as usize);
    let call_ids: BTreeSet<&str> = cdrs.iter().map(|cdr| cdr.text("call_id")).collect();
    let placed: BTreeSet<String> = (1..=CALLS)
        .map(|n| format!("{n}-{pid}@{}", setup.ip))
        .collect();
    assert!(
        call_ids
            .iter()
            .copied()
            .eq(placed.iter().map(String::as_str)),
        "exactly the calls that were placed"
    );
    assert!(proxy.calls().is_empty(), "no call is left behind");
    proxy.stop();
    cdrs
}

/// What every CDR of these drills has in common.
fn assert_common(setup: &Setup, cdr: &Cdr) {
    assert_eq!((cdr.text("customer"), cdr.text("node")), ("acme", "drill"));
    assert_eq!(cdr.text("source"), setup.at(5061).to_string());
    assert_eq!(
        (
            cdr.text("callee"),
            cdr.text("callee_routed"),
            cdr.text("callee_sent")
        ),
        (NUMBER, NUMBER, NUMBER)
    );
    assert_eq!(cdr.text("customer_prefix"), "49");
    assert_eq!(cdr.text("listener"), setup.sip.to_string());
    assert_eq!(cdr.text("transport_in").to_ascii_lowercase(), "udp");
    assert!(cdr.time_us("setup_at") <= cdr.time_us("end_at"));
}

fn assert_answered(setup: &Setup, cdr: &Cdr, vendor: &str, vendor_rate: &str, attempts: usize) {
    assert_common(setup, cdr);
    assert_eq!(
        (
            cdr.number("status"),
            cdr.text("cause"),
            cdr.text("ended_by")
        ),
        (200, "answered", "caller")
    );
    assert_eq!(cdr.text("vendor"), vendor);
    cdr.assert_priced((CUSTOMER_RATE, CUSTOMER_CONNECT_FEE), (vendor_rate, "0"));
    let (setup_us, ring_us) = (cdr.time_us("setup_at"), cdr.time_us("ring_at"));
    let (answer_us, end_us) = (cdr.time_us("answer_at"), cdr.time_us("end_at"));
    assert!(
        setup_us <= ring_us && ring_us <= answer_us && answer_us <= end_us,
        "{}",
        cdr.0
    );
    let duration_ms = i64::try_from(cdr.number("duration_ms")).expect("in range");
    assert!(
        ((end_us - answer_us) / 1_000 - duration_ms).abs() <= 1,
        "{}",
        cdr.0
    );
    assert_eq!(
        i64::try_from(cdr.number("pdd_ms")).expect("in range"),
        (ring_us - setup_us) / 1_000,
        "{}",
        cdr.0
    );
    let tried = cdr.attempts();
    assert_eq!(tried.len(), attempts, "{}", cdr.0);
    let last = &tried[attempts - 1];
    assert_eq!(
        (
            last.text("vendor"),
            last.number("status"),
            last.text("cause")
        ),
        (vendor, 200, "answered")
    );
    assert_eq!(
        decimal(last.text("price")),
        decimal(cdr.text("vendor_price"))
    );
    assert_eq!(last.text("next_hop"), cdr.text("next_hop"));
}

/// The first of two attempts, which brought nothing and costs nothing.
fn assert_failed_first(cdr: &Cdr, status: Option<u64>, cause: &str) {
    let first = &cdr.attempts()[0];
    assert_eq!(
        (first.text("vendor"), first.text("cause")),
        ("cheap", cause)
    );
    assert_eq!(first.0["status"].as_u64(), status);
    assert!(first.is_null("answer_at"));
    assert!(first.time_us("started_at") <= first.time_us("ended_at"));
    assert_eq!(
        (first.number("billed_s"), decimal(first.text("price"))),
        (0, decimal("0"))
    );
}

#[test]
fn a_thousand_calls_go_through_one_vendor() {
    let _machine = whole_machine();
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), CHEAP);
    let _vendor = Sipp::callee(&Scenario::BuiltIn("uas"), setup.at(5070), setup.path());
    for cdr in place_calls(&setup, &Scenario::BuiltIn("uac"), 0) {
        assert_answered(&setup, &cdr, "good", CHEAP, 1);
    }
}

#[test]
fn a_thousand_calls_of_a_caller_that_follows_record_route_go_through() {
    let _machine = whole_machine();
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), CHEAP);
    let _vendor = Sipp::callee(&Scenario::BuiltIn("uas"), setup.at(5070), setup.path());
    for cdr in place_calls(&setup, &Scenario::Own("uac_routes.xml"), 1_200) {
        assert_answered(&setup, &cdr, "good", CHEAP, 1);
        assert!(
            (1_100..2_000).contains(&cdr.number("duration_ms")),
            "{}",
            cdr.0
        );
    }
}

#[test]
fn a_first_vendor_that_answers_503_is_passed_over() {
    let _machine = whole_machine();
    let mut setup = Setup::new();
    setup.vendor("cheap", setup.at(5070), CHEAP);
    setup.vendor("dear", setup.at(5071), DEAR);
    let cheap = Sipp::callee(
        &Scenario::Own("vendor_503.xml"),
        setup.at(5070),
        setup.path(),
    );
    let _dear = Sipp::callee(&Scenario::BuiltIn("uas"), setup.at(5071), setup.path());
    for cdr in place_calls(&setup, &Scenario::BuiltIn("uac"), 0) {
        assert_answered(&setup, &cdr, "dear", DEAR, 2);
        assert_failed_first(&cdr, Some(503), "vendor_5xx");
    }
    let refused = crate::support::eventually("the vendor's totals", || {
        let totals = cheap.totals();
        (totals.successful >= u64::from(CALLS)).then_some(totals)
    });
    assert_eq!(
        (refused.failed, refused.retransmissions),
        (0, 0),
        "every 503 was acknowledged at once"
    );
}

#[test]
fn a_first_vendor_that_never_answers_is_given_up_and_passed_over() {
    let _machine = whole_machine();
    let mut setup = Setup::new();
    setup.set("failover.no_1xx_ms", "1500");
    setup.vendor("cheap", setup.at(5070), CHEAP);
    setup.vendor("dear", setup.at(5071), DEAR);
    let _cheap = Sipp::callee(
        &Scenario::Own("vendor_silent.xml"),
        setup.at(5070),
        setup.path(),
    );
    let _dear = Sipp::callee(&Scenario::BuiltIn("uas"), setup.at(5071), setup.path());
    for cdr in place_calls(&setup, &Scenario::BuiltIn("uac"), 0) {
        assert_answered(&setup, &cdr, "dear", DEAR, 2);
        assert_failed_first(&cdr, None, "timeout_no_1xx");
        assert!(cdr.number("pdd_ms") >= 1_500, "{}", cdr.0);
    }
}

#[test]
fn a_vendor_that_rings_for_ever_is_cancelled_with_the_caller() {
    let _machine = whole_machine();
    let mut setup = Setup::new();
    setup.vendor("cheap", setup.at(5070), CHEAP);
    setup.vendor("dear", setup.at(5071), DEAR);
    let cheap = Sipp::callee(
        &Scenario::Own("vendor_rings.xml"),
        setup.at(5070),
        setup.path(),
    );
    for cdr in place_calls(&setup, &Scenario::Own("uac_cancel.xml"), 300) {
        assert_common(&setup, &cdr);
        assert_eq!(
            (
                cdr.number("status"),
                cdr.text("cause"),
                cdr.text("ended_by")
            ),
            (487, "cancelled", "caller")
        );
        assert!(
            cdr.is_null("answer_at") && !cdr.is_null("ring_at"),
            "{}",
            cdr.0
        );
        assert_eq!(cdr.number("duration_ms"), 0);
        assert_eq!(
            (
                cdr.number("customer_billed_s"),
                decimal(cdr.text("customer_price"))
            ),
            (0, decimal("0"))
        );
        let attempts = cdr.attempts();
        assert_eq!(
            attempts.len(),
            1,
            "after the CANCEL no other vendor is tried: {}",
            cdr.0
        );
        assert_eq!(
            (attempts[0].text("vendor"), attempts[0].text("cause")),
            ("cheap", "cancelled")
        );
    }
    let rang = crate::support::eventually("the vendor's totals", || {
        let totals = cheap.totals();
        (totals.successful >= u64::from(CALLS)).then_some(totals)
    });
    assert_eq!(
        rang.failed, 0,
        "every leg was cancelled and its 487 acknowledged"
    );
}

//! The lookup of a plan: the call is suspended, the store is asked elsewhere, the call goes on at the same place.

use std::time::{Duration, Instant};

use crate::support::call::Call;
use crate::support::peer::Peer;
use crate::support::proxy::Setup;
use crate::support::shared_machine;

/// Rewrites one number, refuses another, leaves the rest alone.
const QUICK: &str = "SELECT CASE {number} WHEN '4930111' THEN '4940222' END AS number, \
                     CASE {number} WHEN '4930999' THEN 404 END AS refuse";

/// Counts far longer than any deadline of these drills.
const SLOW: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) \
                    SELECT count(*) AS number FROM n";

fn stage(query: &str) -> (Setup, Peer, Peer) {
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    let quoted = query.replace('"', "\"\"");
    setup.table(
        "routing_plans.csv",
        &format!("name,mode,lookup,lookup_query\nworld,lcr,sql,\"{quoted}\"\n"),
    );
    let (vendor, caller) = (Peer::bind(setup.at(5070)), Peer::bind(setup.at(5061)));
    (setup, vendor, caller)
}

#[test]
fn a_lookup_rewrites_the_number() {
    let _machine = shared_machine();
    let (setup, vendor, caller) = stage(QUICK);
    let proxy = setup.start();
    let (call, invite) = Call::up(&caller, setup.sip, "4930111", &vendor);
    assert_eq!(invite.called_user(), "4940222");
    call.hang_up(2, &vendor);
    let cdrs = setup.expect_cdrs(1);
    let cdr = &cdrs[0];
    assert_eq!(
        (
            cdr.text("callee"),
            cdr.text("callee_routed"),
            cdr.text("callee_sent")
        ),
        ("4930111", "4940222", "4940222")
    );
    assert_eq!(cdr.text("cause"), "answered");
    proxy.stop();
}

#[test]
fn a_lookup_without_an_answer_leaves_the_number() {
    let _machine = shared_machine();
    let (setup, vendor, caller) = stage(QUICK);
    let proxy = setup.start();
    let (call, invite) = Call::up(&caller, setup.sip, "4930123", &vendor);
    assert_eq!(invite.called_user(), "4930123");
    call.hang_up(2, &vendor);
    assert_eq!(setup.expect_cdrs(1)[0].text("callee_sent"), "4930123");
    proxy.stop();
}

#[test]
fn a_lookup_refuses_the_call_with_its_own_status() {
    let _machine = shared_machine();
    let (setup, vendor, caller) = stage(QUICK);
    let proxy = setup.start();
    let call = Call::new(&caller, setup.sip, "4930999");
    call.send_invite();
    let refusal = caller.expect_final("INVITE");
    assert_eq!(refusal.status(), 404);
    call.acknowledge_refusal(&refusal);
    assert!(
        vendor
            .expect_within("INVITE", Duration::from_millis(300))
            .is_none()
    );
    let cdrs = setup.expect_cdrs(1);
    assert_eq!(
        (cdrs[0].number("status"), cdrs[0].text("cause")),
        (404, "lookup_refused")
    );
    assert!(cdrs[0].attempts().is_empty());
    proxy.stop();
}

#[test]
fn a_slow_lookup_is_cut_off_at_its_deadline_and_the_call_refused() {
    let _machine = shared_machine();
    let (mut setup, vendor, caller) = stage(SLOW);
    setup.set("lookup.deadline_ms", "600");
    setup.set("lookup.on_error", "\"refuse\"");
    let proxy = setup.start();
    let call = Call::new(&caller, setup.sip, "4930123");
    let start = Instant::now();
    call.send_invite();
    caller.expect("100 INVITE");
    assert!(
        start.elapsed() < Duration::from_millis(400),
        "100 Trying does not wait for the lookup"
    );
    // An INVITE sent again while the call is parked is absorbed; it starts no second lookup and no second call.
    call.send_invite();
    let refusal = caller.expect_final("INVITE");
    let waited = start.elapsed();
    assert!((500..=503).contains(&refusal.status()), "{}", refusal.text);
    assert!(
        waited >= Duration::from_millis(580) && waited < Duration::from_secs(2),
        "{waited:?}"
    );
    call.acknowledge_refusal(&refusal);
    assert!(
        vendor
            .expect_within("INVITE", Duration::from_millis(300))
            .is_none()
    );
    let cdrs = setup.expect_cdrs(1);
    assert_eq!(
        (cdrs[0].text("cause"), cdrs[0].attempts().len()),
        ("lookup_timeout", 0)
    );
    assert_eq!(
        proxy.get_json("/v1/status")["offload"]["running"],
        0,
        "the query was stopped, not left running"
    );
    proxy.stop();
}

#[test]
fn a_slow_lookup_is_passed_over_where_the_operator_says_so() {
    let _machine = shared_machine();
    let (mut setup, vendor, caller) = stage(SLOW);
    setup.set("lookup.deadline_ms", "400");
    setup.set("lookup.on_error", "\"continue\"");
    let proxy = setup.start();
    let (call, invite) = Call::up(&caller, setup.sip, "4930123", &vendor);
    assert_eq!(invite.called_user(), "4930123");
    call.hang_up(2, &vendor);
    assert_eq!(setup.expect_cdrs(1)[0].text("cause"), "answered");
    proxy.stop();
}

#[test]
fn a_call_is_cancelled_while_its_lookup_runs() {
    let _machine = shared_machine();
    let (mut setup, vendor, caller) = stage(SLOW);
    setup.set("lookup.deadline_ms", "3000");
    setup.set("lookup.on_error", "\"continue\"");
    let proxy = setup.start();
    let call = Call::new(&caller, setup.sip, "4930123");
    let start = Instant::now();
    call.send_invite();
    caller.expect("100 INVITE");
    call.send_cancel();
    caller.expect("200 CANCEL");
    let terminated = caller.expect_final("INVITE");
    assert_eq!(terminated.status(), 487);
    assert!(
        start.elapsed() < Duration::from_millis(1_500),
        "the CANCEL does not wait for the lookup"
    );
    call.acknowledge_refusal(&terminated);
    // The late result of the lookup must not wake the call again.
    assert!(
        vendor
            .expect_within("INVITE", Duration::from_millis(3_500))
            .is_none()
    );
    let cdrs = setup.expect_cdrs(1);
    assert_eq!(
        (
            cdrs[0].number("status"),
            cdrs[0].text("cause"),
            cdrs[0].text("ended_by")
        ),
        (487, "cancelled", "caller")
    );
    assert!(cdrs[0].attempts().is_empty());
    assert!(proxy.calls().is_empty());
    proxy.stop();
}

#[test]
fn other_calls_go_on_while_lookups_are_slow() {
    let _machine = shared_machine();
    let slow_for_one = format!(
        "SELECT CASE {{number}} WHEN '4930666' THEN ({}) END AS number",
        SLOW.replace(" AS number", "")
    );
    let (mut setup, vendor, caller) = stage(&slow_for_one);
    setup.set("lookup.deadline_ms", "5000");
    setup.set("lookup.on_error", "\"refuse\"");
    let proxy = setup.start();
    let slow = Call::new(&caller, setup.sip, "4930666");
    slow.send_invite();
    caller.expect("100 INVITE");
    let start = Instant::now();
    let (call, _) = Call::up(&caller, setup.sip, "4930123", &vendor);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "it did not wait for the other's lookup"
    );
    call.hang_up(2, &vendor);
    slow.send_cancel();
    let terminated = caller.expect_final("INVITE");
    assert_eq!(terminated.status(), 487);
    slow.acknowledge_refusal(&terminated);
    setup.expect_cdrs(2);
    proxy.stop();
}

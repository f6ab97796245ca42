//! `kill -9` in the middle of the traffic, a restart with another number of workers, and an exact comparison:
//! every call whose 200 the caller had seen, hung up after the restart, has one CDR with the right duration.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loadtests::callee::{Behaviour, CalleePlan};
use loadtests::caller::{CallSeen, CallerPlan};
use loadtests::generator::{Generator, Plan};
use loadtests::schedule::NEVER;

use crate::support::cdr::Cdr;
use crate::support::proxy::Setup;
use crate::support::{eventually_within, whole_machine};

const RATE: f64 = 200.0;
const CALLS: u32 = 1_200;
/// The process is killed when this many calls were started.
const KILL_AT: u32 = 600;
/// How far the duration of a CDR may be from what the caller measured: the way of the messages on a busy machine.
const TOLERANCE_MS: i64 = 250;

fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_micros()).expect("in range")
}

/// The calls by what the kill found them doing.
#[derive(Default)]
struct Sorted<'a> {
    /// The caller had seen the 200.
    up: Vec<&'a CallSeen>,
    /// The INVITE was on its way.
    in_setup: Vec<&'a CallSeen>,
    /// Placed later: while the proxy was down, or after the restart.
    later: Vec<&'a CallSeen>,
}

fn sort(calls: &[CallSeen], killed_us: i64, ready_us: i64) -> Sorted<'_> {
    let mut sorted = Sorted::default();
    for call in calls {
        if call.sent_at_us >= ready_us {
            sorted.later.push(call);
        } else if call.answered_at_us.is_some_and(|at| at < killed_us) {
            sorted.up.push(call);
        } else {
            sorted.in_setup.push(call);
        }
    }
    sorted
}

fn assert_exact(call: &CallSeen, cdrs: &[&Cdr]) {
    assert_eq!(cdrs.len(), 1, "CDRs of {call:?}: {cdrs:?}");
    let cdr = cdrs[0];
    assert_eq!(call.bye_status, Some(200), "the BYE went through: {call:?}");
    assert_eq!(
        (
            cdr.number("status"),
            cdr.text("cause"),
            cdr.text("ended_by")
        ),
        (200, "answered", "caller"),
        "{}",
        cdr.0
    );
    let (answered, bye) = (
        call.answered_at_us.expect("answered"),
        call.bye_sent_at_us.expect("hung up"),
    );
    let seen_ms = (bye - answered) / 1_000;
    let duration_ms = i64::try_from(cdr.number("duration_ms")).expect("in range");
    assert!(
        (duration_ms - seen_ms).abs() <= TOLERANCE_MS,
        "the caller saw {seen_ms} ms: {}",
        cdr.0
    );
    assert!(
        (cdr.time_us("answer_at") - answered).abs() <= TOLERANCE_MS * 1_000,
        "{call:?} {}",
        cdr.0
    );
    assert_eq!(cdr.text("callee"), call.callee);
}

fn drill(workers_before: &str, workers_after: &str) {
    let _machine = whole_machine();
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    setup.set("runtime.workers", workers_before);
    let mut proxy = setup.start();

    let caller = CallerPlan {
        target: setup.sip,
        number_prefix: "4930".to_owned(),
        from_number: "12025550100".to_owned(),
        rate: RATE,
        calls: CALLS,
        hold_us: NEVER,
        cancel_after_us: None,
        setup_max_us: 4_000_000,
        pin_target: false,
    };
    // A short ring, so that the kill finds calls in setup.
    let callee = CalleePlan {
        address: setup.at(5070),
        behaviour: Behaviour::Answer,
        answer_after_us: 50_000,
    };
    let generator = Generator::bind(Plan {
        caller: Some((setup.at(5061), caller)),
        callees: vec![callee],
        target_pid: None,
        core: None,
        time_max: Duration::from_secs(120),
    })
    .expect("bound");
    let control = generator.control();
    let running = generator.spawn().expect("spawned");

    eventually_within(Duration::from_secs(20), "the calls before the kill", || {
        (control.started() >= KILL_AT).then_some(())
    });
    // A call counts as up only if the caller had its 200 before the signal left.
    let killed_us = now_us();
    proxy.process.kill_9().expect("killed");
    drop(proxy);
    setup.set("runtime.workers", workers_after);
    let proxy = setup.start_again();
    let ready_us = now_us();

    eventually_within(Duration::from_secs(60), "every call is up or over", || {
        control.is_settled().then_some(())
    });
    // The channels in use are those of the calls that the proxy holds, before and after the calls end.
    let up = control.up() as usize;
    let held = proxy
        .calls()
        .iter()
        .filter(|row| row["state"] == "up")
        .count();
    control.hang_up();
    let outcome = running.join().expect("joined").expect("run");
    let sorted = sort(&outcome.calls, killed_us, ready_us);
    assert!(
        sorted.up.len() >= 400,
        "{} calls were up at the kill",
        sorted.up.len()
    );
    assert!(
        !sorted.in_setup.is_empty(),
        "some calls were in setup at the kill"
    );
    assert!(
        held >= sorted.up.len() && held <= up,
        "{held} calls held, {up} up at the caller, {} at the kill",
        sorted.up.len()
    );

    let answered_later: Vec<_> = sorted
        .later
        .iter()
        .filter(|call| call.status == 200)
        .collect();
    assert_eq!(
        answered_later.len(),
        sorted.later.len(),
        "after the restart every call goes through"
    );
    eventually_within(Duration::from_secs(30), "the CDRs reach the store", || {
        let known: BTreeSet<String> = setup
            .cdrs()
            .iter()
            .map(|cdr| cdr.text("call_id").to_owned())
            .collect();
        let all = sorted
            .up
            .iter()
            .chain(&sorted.later)
            .all(|call| known.contains(&call.call_id));
        all.then_some(())
    });
    let cdrs = setup.cdrs();
    let mut by_call: BTreeMap<&str, Vec<&Cdr>> = BTreeMap::new();
    for cdr in &cdrs {
        by_call.entry(cdr.text("call_id")).or_default().push(cdr);
    }
    for call in sorted.up.iter().chain(&sorted.later) {
        assert_exact(
            call,
            by_call
                .get(call.call_id.as_str())
                .map_or(&[][..], Vec::as_slice),
        );
    }
    // Calls in setup at the kill are a set of their own: any number of them has a CDR, none has a wrong one.
    let placed: BTreeSet<&str> = outcome
        .calls
        .iter()
        .map(|call| call.call_id.as_str())
        .collect();
    assert!(
        by_call.keys().all(|call_id| placed.contains(call_id)),
        "no CDR without a call"
    );

    assert!(
        proxy.calls().is_empty(),
        "no call and no channel is left behind: {:?}",
        proxy.calls()
    );
    proxy.stop();
}

#[test]
fn calls_that_were_up_at_a_kill_are_ended_and_rated_by_more_workers() {
    drill("1", "2");
}

#[test]
fn calls_that_were_up_at_a_kill_are_ended_and_rated_by_fewer_workers() {
    drill("2", "1");
}

#[test]
fn a_channel_limit_counts_the_calls_that_were_up_at_a_kill() {
    use crate::support::call::Call;
    use crate::support::peer::Peer;

    let _machine = whole_machine();
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    setup.table(
        "customers.csv",
        "name,rate_sheet,routing_plan,channel_limit\nacme,retail,world,2\n",
    );
    let (vendor, caller) = (Peer::bind(setup.at(5070)), Peer::bind(setup.at(5061)));
    let mut proxy = setup.start();
    let (first, _) = Call::up(&caller, setup.sip, "4930000001", &vendor);
    let (second, _) = Call::up(&caller, setup.sip, "4930000002", &vendor);
    proxy.process.kill_9().expect("killed");
    drop(proxy);
    let proxy = setup.start_again();

    let third = Call::new(&caller, setup.sip, "4930000003");
    third.send_invite();
    let refusal = caller.expect_final("INVITE");
    assert_eq!(refusal.status(), 503, "both channels are still taken");
    third.acknowledge_refusal(&refusal);

    first.hang_up(2, &vendor);
    let (fourth, _) = Call::up(&caller, setup.sip, "4930000004", &vendor);
    fourth.hang_up(2, &vendor);
    second.hang_up(2, &vendor);
    // The call over the limit was never admitted: it is counted, and has no CDR.
    let callees: BTreeSet<String> = setup
        .expect_cdrs(3)
        .iter()
        .map(|cdr| cdr.text("callee").to_owned())
        .collect();
    assert_eq!(
        callees,
        ["4930000001", "4930000002", "4930000004"]
            .map(str::to_owned)
            .into()
    );
    proxy.stop();
}

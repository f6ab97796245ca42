//! Two thousand calls a second over two workers from one address: nothing swapped, nothing lost, both at work.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use loadtests::callee::{Behaviour, CalleePlan};
use loadtests::caller::CallerPlan;
use loadtests::generator::{Generator, Outcome, Plan};

use crate::support::proxy::Setup;
use crate::support::whole_machine;

const RATE: u32 = 2_000;
const CALLS: u32 = 20_000;

/// All calls from one IP and port, BYE at once behind the ACK: the hardest case for the order.
fn run(setup: &Setup, hold_us: u64) -> Outcome {
    let caller = CallerPlan {
        target: setup.sip,
        number_prefix: "4930".to_owned(),
        from_number: "12025550100".to_owned(),
        rate: f64::from(RATE),
        calls: CALLS,
        hold_us,
        cancel_after_us: None,
        setup_max_us: 30_000_000,
        pin_target: false,
    };
    let callee: SocketAddr = setup.at(5070);
    let plan = Plan {
        caller: Some((setup.at(5061), caller)),
        callees: vec![CalleePlan {
            address: callee,
            behaviour: Behaviour::Answer,
            answer_after_us: 0,
        }],
        target_pid: None,
        core: None,
        time_max: Duration::from_secs(90),
    };
    Generator::bind(plan).expect("bound").run().expect("run")
}

fn drill(hold_us: u64) {
    let _machine = whole_machine();
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    let proxy = setup.start();
    let outcome = run(&setup, hold_us);
    let report = &outcome.report;
    assert_eq!(report.order.total(), 0, "swapped messages\n{report}");
    assert_eq!(
        (report.offered, report.completed),
        (u64::from(CALLS), u64::from(CALLS)),
        "{report}"
    );
    assert_eq!(report.callee.route_left, 0, "{report}");

    let status = proxy.get_json("/v1/status");
    let workers = status["workers"].as_array().expect("workers");
    assert_eq!(workers.len(), 2);
    for worker in workers {
        let share = worker["calls_answered"].as_u64().expect("a count") * 100 / u64::from(CALLS);
        assert!(
            (40..=60).contains(&share),
            "a worker carried {share} %: {workers:?}"
        );
    }

    let cdrs = setup.expect_cdrs(CALLS as usize);
    let recorded: BTreeSet<&str> = cdrs.iter().map(|cdr| cdr.text("call_id")).collect();
    let placed: BTreeSet<&str> = outcome
        .calls
        .iter()
        .map(|call| call.call_id.as_str())
        .collect();
    assert_eq!(recorded, placed, "one CDR for every call");
    assert!(
        cdrs.iter()
            .all(|cdr| cdr.number("status") == 200 && cdr.text("cause") == "answered")
    );
    assert!(proxy.calls().is_empty(), "no call is left behind");
    proxy.stop();
}

#[test]
fn no_two_messages_of_a_dialog_are_swapped_when_the_bye_follows_the_ack_at_once() {
    drill(0);
}

#[test]
fn no_two_messages_of_a_dialog_are_swapped_among_calls_that_last() {
    drill(1_000_000);
}

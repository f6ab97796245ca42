use super::*;
use crate::callee::Behaviour;
use crate::forward::{Bounds, forward};
use crate::schedule::NEVER;

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn caller_plan(target: SocketAddr, calls: u32) -> CallerPlan {
    CallerPlan {
        target,
        number_prefix: "4930".to_owned(),
        from_number: "12025550100".to_owned(),
        rate: 500.0,
        calls,
        hold_us: 10_000,
        cancel_after_us: None,
        setup_max_us: 5_000_000,
        pin_target: false,
    }
}

fn callee_plan(behaviour: Behaviour) -> CalleePlan {
    CalleePlan {
        address: LOOPBACK,
        behaviour,
        answer_after_us: 2_000,
    }
}

/// A caller that calls a callee of `behaviour` without a proxy in between.
fn direct(behaviour: Behaviour, change: impl FnOnce(&mut CallerPlan)) -> Generator {
    let mut caller = caller_plan(LOOPBACK, 50);
    change(&mut caller);
    let mut generator = Generator::bind(Plan {
        caller: Some((LOOPBACK, caller)),
        callees: vec![callee_plan(behaviour)],
        target_pid: None,
        core: None,
        time_max: Duration::from_secs(20),
    })
    .expect("bound");
    generator.set_target(generator.callee_addresses()[0]);
    generator
}

#[test]
fn answered_calls_complete_without_retransmission_and_in_order() {
    let outcome = direct(Behaviour::Answer, |_| {}).run().expect("run");
    let report = &outcome.report;
    assert_eq!(
        (report.offered, report.completed, report.failed),
        (50, 50, 0),
        "{report}"
    );
    assert_eq!(report.statuses, [(200, 50)].into());
    assert_eq!(
        (report.resent.total(), report.order.total(), report.stray),
        (0, 0, 0),
        "{report}"
    );
    assert_eq!(
        (
            report.missing.bye_without_ack,
            report.missing.answered_without_ringing
        ),
        (0, 0)
    );
    assert_eq!(
        (
            report.callee.invites,
            report.callee.answered,
            report.callee.byes
        ),
        (50, 50, 50)
    );
    assert_eq!(report.pdd.count, 50);
    for call in &outcome.calls {
        let (answered, bye) = (
            call.answered_at_us.expect("answered"),
            call.bye_sent_at_us.expect("hung up"),
        );
        assert!(bye - answered >= 10_000, "{call:?}");
        assert!(call.bye_ok_at_us.expect("ended") >= bye);
        assert_eq!(call.bye_status, Some(200));
    }
}

#[test]
fn refused_calls_fail_with_the_status_of_the_plan() {
    let report = direct(Behaviour::Refuse(503), |_| {})
        .run()
        .expect("run")
        .report;
    assert_eq!((report.completed, report.failed), (0, 50));
    assert_eq!(report.statuses, [(503, 50)].into());
    assert_eq!(
        (report.callee.refused, report.resent.total()),
        (50, 0),
        "the ACKs arrive"
    );
}

#[test]
fn calls_that_ring_for_ever_are_cancelled() {
    let report = direct(Behaviour::Ring, |caller| {
        caller.cancel_after_us = Some(20_000)
    })
    .run()
    .expect("run")
    .report;
    assert_eq!((report.completed, report.failed), (50, 0), "{report}");
    assert_eq!(report.statuses, [(487, 50)].into());
    assert_eq!((report.callee.cancelled, report.resent.total()), (50, 0));
}

#[test]
fn a_callee_that_keeps_silent_makes_the_caller_send_again() {
    let generator = direct(Behaviour::Silent, |caller| caller.calls = 1);
    let control = generator.control();
    let running = generator.spawn().expect("spawned");
    std::thread::sleep(Duration::from_millis(1_700));
    control.stop();
    let report = running.join().expect("joined").expect("run").report;
    assert_eq!(report.resent.invite, 2, "after 0.5 s and 1.5 s");
    assert_eq!((report.received_again, report.failed), (2, 1));
}

#[test]
fn calls_stay_up_until_told_to_hang_up() {
    let generator = direct(Behaviour::Answer, |caller| caller.hold_us = NEVER);
    let control = generator.control();
    let running = generator.spawn().expect("spawned");
    let until = Instant::now() + Duration::from_secs(10);
    while !control.is_settled() {
        assert!(Instant::now() < until, "never settled");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((control.started(), control.up()), (50, 50));
    control.hang_up();
    let report = running.join().expect("joined").expect("run").report;
    assert_eq!(report.completed, 50, "{report}");
    assert_eq!(control.up(), 0);
}

#[test]
fn calls_go_through_the_forwarder_when_in_dialog_requests_are_pinned_to_it() {
    let middle = listen(LOOPBACK).expect("bound");
    let mut caller = caller_plan(middle.local_addr().expect("bound"), 50);
    caller.pin_target = true;
    let generator = Generator::bind(Plan {
        caller: Some((LOOPBACK, caller)),
        callees: vec![callee_plan(Behaviour::Answer)],
        target_pid: None,
        core: None,
        time_max: Duration::from_secs(20),
    })
    .expect("bound");
    let callee = generator.callee_addresses()[0];
    let stop = Arc::new(AtomicBool::new(false));
    let forwarder = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let bounds = Bounds {
                datagrams: 10_000,
                time: Duration::from_secs(20),
            };
            forward(&mut BatchSocket::new(middle)?, callee, bounds, &stop)
        }
    });
    let report = generator.run().expect("run").report;
    stop.store(true, Ordering::Relaxed);
    assert_eq!(
        (report.completed, report.resent.total()),
        (50, 0),
        "{report}"
    );
    // INVITE, 180, 200, ACK, BYE, 200.
    assert_eq!(
        forwarder.join().expect("joined").expect("forwarded"),
        50 * 6
    );
}

#[test]
fn a_rate_that_is_no_rate_is_refused() {
    let mut caller = caller_plan(LOOPBACK, 1);
    caller.rate = 0.0;
    let plan = Plan {
        caller: Some((LOOPBACK, caller)),
        callees: vec![],
        target_pid: None,
        core: None,
        time_max: Duration::from_secs(1),
    };
    assert!(Generator::bind(plan).is_err());
}

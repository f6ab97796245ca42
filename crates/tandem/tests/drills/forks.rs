//! A parallel plan on real sockets: two vendors ring at once and both answer; both bill, each for its own time.
//! The sum of the parts is checked against the rates, the log and the metrics.
//! Leaves out every other outcome of a fork, which the simulation covers.

use std::thread::sleep;
use std::time::Duration;

use crate::support::call::Call;
use crate::support::cdr::{Cdr, decimal};
use crate::support::peer::Peer;
use crate::support::proxy::{CUSTOMER_CONNECT_FEE, CUSTOMER_RATE, Setup};
use crate::support::{eventually, shared_machine};

/// The attempt of a vendor: answered, closed, and priced by its own rate and time.
fn assert_billed(attempt: &Cdr, vendor: &str, rate: &str) {
    assert_eq!(
        (
            attempt.text("vendor"),
            attempt.number("status"),
            attempt.text("cause")
        ),
        (vendor, 200, "answered")
    );
    let lasted_us = attempt.time_us("ended_at") - attempt.time_us("answer_at");
    let billed_s = attempt.number("billed_s");
    assert_eq!(
        u64::try_from(lasted_us)
            .expect("ended after the answer")
            .div_ceil(1_000_000),
        billed_s
    );
    assert_eq!(decimal(attempt.text("rate")), decimal(rate));
    assert_eq!(
        decimal(attempt.text("price")),
        decimal(rate) * decimal(&billed_s.to_string()) / decimal("60")
    );
}

#[test]
fn two_vendors_that_answer_one_call_are_two_dialogs_and_two_bills() {
    let _machine = shared_machine();
    let mut setup = Setup::new();
    setup.vendor("one", setup.at(5070), "0.06");
    setup.vendor("two", setup.at(5071), "0.30");
    setup.table(
        "routing_plans.csv",
        "name,mode,forking\nworld,static,parallel\n",
    );
    let (one, two) = (Peer::bind(setup.at(5070)), Peer::bind(setup.at(5071)));
    let caller = Peer::bind(setup.at(5061));
    let proxy = setup.start();

    let mut first = Call::new(&caller, setup.sip, "4930123456");
    first.send_invite();
    let invites = [one.expect("INVITE"), two.expect("INVITE")];
    for invite in &invites {
        assert_eq!(invite.header("Max-Breadth"), "30");
    }
    one.answer(&invites[0], "180 Ringing", "one");
    two.answer(&invites[1], "180 Ringing", "two");
    caller.expect("180 INVITE");
    caller.expect("180 INVITE");
    one.answer(&invites[0], "200 OK", "one");
    let cancel = two.expect("CANCEL");
    assert_eq!(
        cancel.header("Reason"),
        "SIP;cause=200;text=\"Call completed elsewhere\""
    );
    // The handset was picked up before the CANCEL arrived.
    two.answer(&invites[1], "200 OK", "two");
    two.answer(&cancel, "200 OK", "two");
    let answers = [caller.expect("200 INVITE"), caller.expect("200 INVITE")];
    assert_ne!(answers[0].header("To"), answers[1].header("To"));
    first.learn(&answers[0]);
    let second = first.fork(&answers[1]);
    first.send(&first.request("ACK", 1));
    second.send(&second.request("ACK", 1));
    one.expect("ACK");
    two.expect("ACK");

    sleep(Duration::from_millis(1_200));
    first.hang_up(2, &one);
    assert!(
        two.expect_within("BYE", Duration::from_millis(300))
            .is_none(),
        "the other dialog goes on"
    );
    assert_eq!(proxy.calls().len(), 1);
    assert!(setup.cdrs().is_empty(), "the call is not over");
    sleep(Duration::from_millis(1_000));
    second.hang_up(2, &two);

    let cdrs = setup.expect_cdrs(1);
    let cdr = &cdrs[0];
    assert_eq!(
        (
            cdr.number("status"),
            cdr.text("cause"),
            cdr.text("ended_by"),
            cdr.text("vendor")
        ),
        (200, "answered", "caller", "one")
    );
    let mut attempts = cdr.attempts();
    attempts.sort_by_key(|attempt| attempt.text("vendor").to_owned());
    assert_eq!(attempts.len(), 2);
    assert_billed(&attempts[0], "one", "0.06");
    assert_billed(&attempts[1], "two", "0.30");
    assert_eq!(attempts[0].number("billed_s"), 2);
    assert!(attempts[1].number("billed_s") >= 3);
    // The customer pays once, from the first answer to the last end.
    let billed_s = cdr.number("customer_billed_s");
    assert_eq!(cdr.number("duration_ms").div_ceil(1_000), billed_s);
    assert!(billed_s >= 3);
    assert_eq!(
        decimal(cdr.text("customer_price")),
        decimal(CUSTOMER_CONNECT_FEE)
            + decimal(CUSTOMER_RATE) * decimal(&billed_s.to_string()) / decimal("60")
    );
    assert_eq!(
        (cdr.number("vendor_billed_s"), cdr.text("vendor_price")),
        (2, attempts[0].text("price"))
    );
    assert_eq!(cdr.time_us("answer_at"), attempts[0].time_us("answer_at"));
    assert_eq!(cdr.time_us("end_at"), attempts[1].time_us("ended_at"));

    // The alarm: a line in the log, and a counter.
    let log = setup.log();
    let warned = log
        .lines()
        .filter(|line| line.contains("WARN") && line.contains(&first.call_id));
    assert_eq!(warned.count(), 1, "{log}");
    eventually("the counter of further answers", || {
        let metrics = proxy.get("/metrics").body;
        let total: u64 = metrics
            .lines()
            .filter(|line| line.contains("event=\"extra_answers\""))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum();
        (total == 1).then_some(())
    });
    proxy.stop();
}

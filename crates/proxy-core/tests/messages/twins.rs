//! Two vendors that reach one endpoint, which answers, or rings, with one tag on both branches.

use crate::bench::*;
use accounting::{AnsweredCall, Record};
use proxy_core::CoreConfig;

const PAIR: Routes = Routes {
    routing_plans: "name,mode,forking\nplan,static,parallel\n",
    routes: "plan,prefix,vendor,priority\nplan,,v0,1\nplan,,v1,1\n",
    ..TWO_VENDORS
};
const CONTACT: &str = "Contact: <sip:callee@203.0.113.99>\r\n";
const ENDPOINT: &str = "sip:callee@203.0.113.99";

/// What each vendor was sent.
fn fork(bench: &mut Bench) -> [Sent; 2] {
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    [VENDOR, SECOND_VENDOR].map(|address| {
        let found = sent.iter().find(|sent| sent.to.to_string() == address);
        found.unwrap().clone()
    })
}

/// Both vendors answer with one tag, two seconds apart; the caller's dialog, and the answered calls of the journal.
fn twins(bench: &mut Bench) -> (Dialog, Vec<AnsweredCall>) {
    let invites = fork(bench);
    let mut caller = None;
    for invite in &invites {
        let ok = reply(&invite.text, 200, "same", CONTACT);
        let sent = bench.send(&invite.to.to_string(), &ok);
        caller = Some(Dialog::pair(only(&sent, "200")).0);
        bench.wait(2 * SECOND);
    }
    let caller = caller.unwrap();
    let ack = bench.request(&caller, "ACK", ENDPOINT, 1, "");
    bench.send(CALLER, &ack);
    (caller, answered(bench))
}

fn answered(bench: &Bench) -> Vec<AnsweredCall> {
    let answered = bench.records.iter().filter_map(|record| match record {
        Record::Answered(call) => Some((**call).clone()),
        _ => None,
    });
    answered.collect()
}

fn durations(bench: &Bench) -> Vec<u64> {
    let attempts = bench.only_cdr().attempts.iter();
    attempts.map(|attempt| attempt.duration_us).collect()
}

#[test]
fn an_answer_with_the_tag_of_a_ringing_branch_is_billed_by_the_vendor_that_answered() {
    let mut bench = Bench::new(&PAIR);
    let [ringing, answering] = fork(&mut bench);
    bench.send(VENDOR, &reply(&ringing.text, 180, "same", CONTACT));
    let sent = bench.send(SECOND_VENDOR, &reply(&answering.text, 200, "same", CONTACT));
    let (caller, mut callee) = Dialog::pair(only(&sent, "200"));
    let journal = answered(&bench);
    assert_eq!(journal.len(), 1, "the answer is in the journal");
    assert_eq!(journal[0].cdr.attempts[1].vendor, "v1");
    assert_eq!(
        (
            journal[0].attempt,
            journal[0].callee.flow_remote.to_string()
        ),
        (1, SECOND_VENDOR.to_owned())
    );
    let ack = bench.request(&caller, "ACK", ENDPOINT, 1, "");
    bench.send(CALLER, &ack);
    bench.send(VENDOR, &reply(&ringing.text, 487, "same", ""));
    bench.wait(10 * SECOND);
    callee.address = SECOND_VENDOR.to_owned();
    let bye = bench.request(&callee, "BYE", "sip:caller@198.51.100.10", 1, "");
    let sent = bench.send(SECOND_VENDOR, &bye);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "BYE")]);
    bench.send(CALLER, &reply(&sent[0].text, 200, "", ""));
    bench.rest();
    assert_eq!(durations(&bench), [0, 10 * SECOND]);
    assert_eq!(bench.only_cdr().vendor.as_deref(), Some("v1"));
}

#[test]
fn the_attempt_of_a_twin_ends_when_its_dialog_does() {
    let mut bench = Bench::new(&PAIR);
    let (caller, _) = twins(&mut bench);
    bench.wait(6 * SECOND);
    let bye = bench.request(&caller, "BYE", ENDPOINT, 2, "");
    let sent = bench.send(CALLER, &bye);
    // The callee takes its time.
    bench.wait(5 * SECOND);
    bench.send(VENDOR, &reply(&sent[0].text, 200, "", ""));
    bench.rest();
    assert_eq!(durations(&bench), [10 * SECOND, 8 * SECOND]);
    assert_eq!(bench.only_cdr().duration_us, 10 * SECOND);
}

#[test]
fn both_attempts_of_a_twin_outlive_the_process() {
    let mut before = Bench::new(&PAIR);
    let (caller, mut journal) = twins(&mut before);
    let known: Vec<u16> = journal.iter().map(|call| call.attempt).collect();
    assert_eq!(known, [0, 1], "both answers are in the journal");
    // The journal gives every dialog the newest CDR.
    journal[0].cdr = journal[1].cdr.clone();
    let config = CoreConfig {
        boot: 2,
        ..config()
    };
    let counters = std::sync::Arc::clone(&config.counters);
    let held = || -> u32 { (0..16).map(|slot| counters.channels(slot)).sum() };
    let mut bench = Bench::with(config, &PAIR);
    bench.wait(4 * SECOND - 1);
    for call in &journal {
        bench.restore(call);
    }
    assert_eq!((bench.core.live_calls(), held()), (1, 3));
    bench.wait(6 * SECOND);
    let bye = bench.request(&caller, "BYE", ENDPOINT, 2, "");
    let sent = bench.send(CALLER, &bye);
    assert_eq!(only(&sent, "BYE").uri(), ENDPOINT);
    let to = sent[0].to.to_string();
    bench.send(&to, &reply(&sent[0].text, 200, "", ""));
    bench.rest();
    assert_eq!(held(), 0);
    let lasted = durations(&bench);
    for (lasted, expected) in lasted.iter().zip([10 * SECOND, 8 * SECOND]) {
        assert!(lasted.abs_diff(expected) < 10, "{lasted} and {expected}");
    }
    assert_eq!(bench.only_cdr().vendor.as_deref(), Some("v0"));
}

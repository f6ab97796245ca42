//! A call that was answered before this process began, and the request that the process before did not live to see answered.

use crate::bench::*;
use accounting::{AnsweredCall, Record};
use proxy_core::CoreConfig;

/// A call of the boot before, whose caller had got as far as CSeq 2, taken up again.
fn restored() -> (Bench, Dialog) {
    let mut before = Bench::new(&ONE_VENDOR);
    let (caller, _) = before.answered_call();
    let answered = before.records.iter().find_map(|record| match record {
        Record::Answered(call) => Some((**call).clone()),
        _ => None,
    });
    let mut call: AnsweredCall = answered.unwrap();
    call.caller.cseq = 2;
    let mut bench = Bench::with(
        CoreConfig {
            boot: 2,
            ..config()
        },
        &ONE_VENDOR,
    );
    bench.wait(10 * SECOND);
    bench.restore(&call);
    (bench, caller)
}

#[test]
fn a_bye_that_the_process_before_had_forwarded_may_come_again() {
    let (mut bench, caller) = restored();
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "BYE")]);
    // The callee had heard it then.
    let unknown = reply(&sent[0].text, 481, "", "");
    assert_eq!(
        summary(&bench.send(VENDOR, &unknown)),
        [(CALLER.to_owned(), "481")]
    );
    assert_eq!(bench.cdrs().len(), 1);
    bench.rest();
}

#[test]
fn what_is_older_than_the_process_before_knew_is_out_of_order() {
    let (mut bench, caller) = restored();
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &bye)),
        [(CALLER.to_owned(), "500")]
    );
    assert_eq!(bench.core.live_calls(), 1);
}

#[test]
fn a_bye_of_our_own_lies_above_what_the_journal_had_not_heard_of_yet() {
    let (mut bench, _) = restored();
    let sent = bench.wait(15_000 * SECOND);
    let to_vendor = sent
        .iter()
        .find(|sent| sent.what() == "BYE" && sent.to.to_string() == VENDOR);
    // The caller's CSeq 3 was under way when the process before died.
    assert!(to_vendor.unwrap().cseq() > 10);
    assert_eq!(bench.cdrs().len(), 1);
}

//! A full table of transactions within a dialog: 503, and the call is as it was.

use crate::bench::*;
use proxy_core::{CoreConfig, Policy, Stat};

#[test]
fn a_full_table_within_a_dialog_changes_nothing_about_the_call() {
    // Room for the BYE's server transaction but not for its client transaction, then for neither.
    for transactions_max in [3, 2] {
        let policy = Policy {
            transactions_max,
            ..Policy::default()
        };
        let mut bench = Bench::with(CoreConfig { policy, ..config() }, &ONE_VENDOR);
        let (caller, _) = bench.answered_call();
        bench.wait(40 * SECOND);
        assert_eq!(bench.core.live_transactions(), 0);
        let info = bench.request(&caller, "INFO", "sip:callee@203.0.113.10", 2, "");
        assert_eq!(
            summary(&bench.send(CALLER, &info)),
            [(VENDOR.to_owned(), "INFO")]
        );

        let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 3, "");
        assert_eq!(
            summary(&bench.send(CALLER, &bye)),
            [(CALLER.to_owned(), "503")]
        );
        assert_eq!(bench.stat(Stat::TablesFull), 1);
        assert_eq!((bench.core.live_calls(), bench.cdrs().len()), (1, 0));
        assert_eq!(bench.stat(Stat::OwnByes), 0);

        bench.wait(60 * SECOND);
        let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 4, "");
        let sent = bench.send(CALLER, &bye);
        let ok = reply(&only(&sent, "BYE").text, 200, "", "");
        bench.send(VENDOR, &ok);
        assert_eq!(bench.only_cdr().duration_us, 100 * SECOND);
        bench.rest();
    }
}

//= proves RFC 3261 §8.2.2.2
#[test]
fn one_caller_has_so_many_calls_with_one_call_id_and_tag_and_no_more() {
    let mut bench = Bench::new(&ONE_VENDOR);
    for _ in 0..32 {
        let invite = bench.invite();
        only(&bench.send(CALLER, &invite), "INVITE");
    }
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "482")]);
    // Another caller with the same Call-ID is not held back.
    let other = bench.invite().replace("tag=caller", "tag=other");
    only(&bench.send(CALLER, &other), "INVITE");
}

//! Sessions that expire though somebody may still talk (RFC 4028 §8.2, §8.3): who is told, what is recorded, and what a
//! request under way is good for.

use crate::{
    bench::*,
    session_timer::{CALLEE, SUPPORTED, TIMED, bench, bench_of, call, exchange},
};
use accounting::{Cause, EndedBy, Record};
use proxy_core::{CoreConfig, SessionExpiry, SessionTimerPolicy, Stat};

const ASKED: &str = "Supported: timer\r\nSession-Expires: 100\r\n";

/// The call was ended 100 s after `answered_us`, toward both sides, and the record says so.
fn assert_ended_by_bye(bench: &mut Bench, sent: &[Sent], answered_us: i64, case: &str) {
    let first: Vec<_> = summary(sent).into_iter().take(2).collect();
    assert_eq!(
        first,
        [(CALLER.to_owned(), "BYE"), (VENDOR.to_owned(), "BYE")],
        "{case}"
    );
    assert_eq!(bench.stat(Stat::SessionsExpired), 1, "{case}");
    assert_eq!(bench.core.live_calls(), 0, "{case}");
    let cdr = bench.only_cdr();
    assert_eq!(cdr.cause, Cause::SessionExpired, "{case}");
    assert_eq!(cdr.ended_by, Some(EndedBy::Proxy), "{case}");
    assert_eq!(cdr.end_us, Some(answered_us + 100_000_000), "{case}");
    bench.rest();
}

//= proves RFC 4028 §8.3
#[test]
fn a_session_that_one_end_alone_watches_ends_with_a_bye_to_both() {
    // The interval that is put into requests, the INVITE's headers, the 200's.
    for (wanted_s, asks, says) in [
        (0, ASKED, ""),
        (100, SUPPORTED, ""),
        (0, "", "Session-Expires: 100;refresher=uas\r\n"),
        (0, "Supported: 100rel\r\n", TIMED),
    ] {
        let mut bench = bench(90, wanted_s);
        let answered_us = bench.wall_us();
        call(&mut bench, asks, says);
        let sent = bench.wait(101 * SECOND);
        assert_ended_by_bye(
            &mut bench,
            &sent,
            answered_us,
            &format!("{asks:?} {says:?}"),
        );
    }
}

//= proves RFC 4028 §8.3
#[test]
fn one_end_alone_does_not_stop_the_meter_with_a_refresh_either() {
    for method in ["UPDATE", "INVITE"] {
        for from_caller in [true, false] {
            let mut bench = bench(90, 0);
            let (caller, callee, _) = call(&mut bench, SUPPORTED, TIMED);
            let side = if from_caller { caller } else { callee };
            bench.wait(20 * SECOND);
            let refreshed_us = bench.wall_us();
            exchange(&mut bench, &side, (method, 5, ASKED), (200, ""));
            let sent = bench.wait(101 * SECOND);
            assert_ended_by_bye(&mut bench, &sent, refreshed_us, method);
        }
    }
}

#[test]
fn a_session_that_both_ends_renew_together_is_closed_without_a_bye_again() {
    let mut bench = bench(90, 0);
    let (caller, ..) = call(&mut bench, ASKED, "");
    bench.wait(20 * SECOND);
    exchange(&mut bench, &caller, ("UPDATE", 2, ASKED), (200, TIMED));
    assert!(bench.wait(101 * SECOND).is_empty());
    assert_eq!(bench.only_cdr().cause, Cause::SessionExpired);
}

//= proves RFC 4028 §8.3
#[test]
fn after_a_restart_it_is_still_known_that_one_end_alone_watches() {
    // The last record of the dialog: its answer, or the refresh after it.
    for refreshed in [false, true] {
        let mut before = bench(90, 0);
        let (invited, answered) = if refreshed {
            (SUPPORTED, TIMED)
        } else {
            (ASKED, "")
        };
        let (caller, ..) = call(&mut before, invited, answered);
        if refreshed {
            exchange(&mut before, &caller, ("UPDATE", 2, ASKED), (200, ""));
        }
        let mut restored = before.records.iter().find_map(|record| match record {
            Record::Answered(call) => Some((**call).clone()),
            _ => None,
        });
        let call = restored.as_mut().unwrap();
        for record in &before.records {
            if let Record::Updated(updated) = record {
                call.session_end = updated.session_end;
            }
        }
        let answered_us = call.cdr.answer_us.unwrap();
        let config = CoreConfig {
            boot: 2,
            ..config()
        };
        let mut bench = Bench::with(config, &ONE_VENDOR);
        bench.restore(call);
        let sent = bench.wait(101 * SECOND);
        assert_ended_by_bye(&mut bench, &sent, answered_us, "restored");
    }
}

//= proves RFC 4028 §8.3
#[test]
fn a_call_that_a_bye_ends_is_billed_until_that_bye() {
    for (on_expiry, asks, says) in [
        (SessionExpiry::Close, ASKED, ""),
        (SessionExpiry::Bye, SUPPORTED, TIMED),
    ] {
        let mut bench = bench_of(SessionTimerPolicy {
            on_expiry,
            ..SessionTimerPolicy::default()
        });
        let (caller, ..) = call(&mut bench, asks, says);
        bench.wait(99 * SECOND);
        // A refresh that nobody answers: its outcome is awaited, and meanwhile both may talk.
        let update = bench.request(&caller, "UPDATE", CALLEE, 2, ASKED);
        bench.send(CALLER, &update);
        bench.wait(20 * SECOND);
        assert_eq!(bench.core.live_calls(), 1);
        let sent = bench.wait(30 * SECOND);
        assert!(sent.iter().filter(|sent| sent.what() == "BYE").count() > 1);
        // 100 s and 64·T1, and what the timer is late.
        let billed = 132 * SECOND..133 * SECOND;
        assert!(billed.contains(&bench.only_cdr().duration_us));
    }
}

#[test]
fn a_refresh_under_way_is_waited_for_whatever_request_came_after_it() {
    // The other end's request, and what becomes of it: the far side's answer, or a refusal of our own.
    for (more, answer) in [("", Some(491)), (ASKED, None)] {
        let mut bench = bench(1800, 0);
        let (caller, callee, _) = call(&mut bench, SUPPORTED, TIMED);
        bench.wait(99 * SECOND);
        let update = bench.request(&caller, "UPDATE", CALLEE, 2, SUPPORTED);
        let refresh = only(&bench.send(CALLER, &update), "UPDATE").clone();
        let other = bench.request(&callee, "UPDATE", "sip:caller@198.51.100.10", 1, more);
        let sent = bench.send(VENDOR, &other);
        match answer {
            Some(status) => {
                let forwarded = only(&sent, "UPDATE").clone();
                bench.send(CALLER, &reply(&forwarded.text, status, "", ""));
            }
            None => assert_eq!(summary(&sent), [(VENDOR.to_owned(), "422")]),
        }
        bench.wait(3 * SECOND);
        assert_eq!(bench.core.live_calls(), 1, "{more:?}");
        let ok = reply(&refresh.text, 200, "", TIMED);
        assert_eq!(
            summary(&bench.send(VENDOR, &ok)),
            [(CALLER.to_owned(), "200")]
        );
        bench.wait(95 * SECOND);
        assert_eq!(bench.core.live_calls(), 1, "{more:?}");
        assert_eq!(bench.stat(Stat::SessionsExpired), 0);
    }
}

fn ended_alone(bench: &Bench) -> Vec<EndedBy> {
    let ends = bench.records.iter().filter_map(|record| match record {
        Record::EndedAlone { ended_by, .. } => Some(*ended_by),
        _ => None,
    });
    ends.collect()
}

#[test]
fn of_the_late_byes_of_a_lapsed_call_the_first_alone_is_recorded() {
    let mut bench = bench(90, 0);
    let (caller, callee, _) = call(&mut bench, SUPPORTED, TIMED);
    bench.wait(101 * SECOND);
    for cseq in 5..10 {
        exchange(&mut bench, &callee, ("BYE", cseq, ""), (481, ""));
        exchange(&mut bench, &caller, ("BYE", cseq, ""), (200, ""));
    }
    assert_eq!(ended_alone(&bench), [EndedBy::Callee]);
    bench.rest();
}

#[test]
fn of_the_byes_that_a_cookie_alone_speaks_for_the_first_alone_is_recorded() {
    let (caller, _) = Bench::new(&ONE_VENDOR).answered_call();
    let config = CoreConfig {
        boot: 2,
        ..config()
    };
    let mut bench = Bench::with(config, &ONE_VENDOR);
    for cseq in 5..10 {
        exchange(&mut bench, &caller, ("BYE", cseq, ""), (200, ""));
    }
    assert_eq!(ended_alone(&bench), [EndedBy::Caller]);
    bench.rest();
}

//! Session timers, RFC 4028 §8, message by message: what becomes of requests, of their 2xx, and of a session that nobody
//! refreshes.

use crate::bench::*;
use accounting::{AnsweredCall, Cause, EndedBy, Record, SessionEnd};
use proxy_core::{CoreConfig, FailoverTable, Policy, SessionExpiry, SessionTimerPolicy, Stat};

const CONTACT: &str = "Contact: <sip:callee@203.0.113.10>\r\n";
pub(crate) const CALLEE: &str = "sip:callee@203.0.113.10";
pub(crate) const SUPPORTED: &str = "Supported: 100rel, timer\r\n";

/// A bench whose operator wants at least `min_se_s`, and `session_expires_s` where it is not 0.
pub(crate) fn bench(min_se_s: u32, session_expires_s: u32) -> Bench {
    bench_of(SessionTimerPolicy {
        min_se_s,
        session_expires_s,
        ..SessionTimerPolicy::default()
    })
}

pub(crate) fn bench_of(session_timer: SessionTimerPolicy) -> Bench {
    let config = CoreConfig {
        policy: Policy {
            session_timer,
            ..Policy::default()
        },
        ..config()
    };
    Bench::with(config, &ONE_VENDOR)
}

/// The caller's INVITE with more header lines.
pub(crate) fn invite(bench: &mut Bench, more: &str) -> String {
    let contact = "Contact: <sip:caller@198.51.100.10>\r\n";
    bench.request(
        &Dialog::caller(""),
        "INVITE",
        "sip:4930123@192.0.2.1",
        1,
        &format!("{contact}{more}"),
    )
}

/// INVITE, 200, ACK with these header lines: the dialog of both sides, and the 200 as the caller heard it.
pub(crate) fn call(
    bench: &mut Bench,
    invite_more: &str,
    answer_more: &str,
) -> (Dialog, Dialog, Sent) {
    let invite = invite(bench, invite_more);
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let ok = reply(
        &forwarded.text,
        200,
        "callee",
        &format!("{CONTACT}{answer_more}"),
    );
    let sent = bench.send(VENDOR, &ok);
    let ok = only(&sent, "200").clone();
    let (caller, callee) = Dialog::pair(&ok);
    let ack = bench.request(&caller, "ACK", CALLEE, 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &ack)),
        [(VENDOR.to_owned(), "ACK")]
    );
    (caller, callee, ok)
}

/// A request within the dialog and its answer; what each side heard.
pub(crate) fn exchange(
    bench: &mut Bench,
    side: &Dialog,
    request: (&str, u32, &str),
    answer: (u16, &str),
) -> (Sent, Sent) {
    let (from, to) = if side.address == CALLER {
        (CALLER, VENDOR)
    } else {
        (VENDOR, CALLER)
    };
    let (method, cseq, more) = request;
    let text = bench.request(side, method, &format!("sip:x@{to}"), cseq, more);
    let sent = bench.send(from, &text);
    let forwarded = only(&sent, method).clone();
    assert_eq!(forwarded.to.to_string(), to);
    let response = reply(&forwarded.text, answer.0, "", answer.1);
    let sent = bench.send(to, &response);
    let heard = only(&sent, &answer.0.to_string()).clone();
    assert_eq!(heard.to.to_string(), from);
    if method == "INVITE" {
        let ack = bench.request(side, "ACK", &format!("sip:x@{to}"), cseq, "");
        assert_eq!(summary(&bench.send(from, &ack)), [(to.to_owned(), "ACK")]);
    }
    (forwarded, heard)
}

/// Session-Expires and Min-SE of a session refresh request.
type Intervals<'t> = (Option<&'t str>, Option<&'t str>);

fn intervals(message: &Sent) -> Intervals<'_> {
    (message.header("Session-Expires"), message.header("Min-SE"))
}

//= proves RFC 4028 §8.1
#[test]
fn a_forwarded_invite_asks_for_the_interval_that_the_rules_give() {
    let none = (None, None);
    // Operator's least and wanted interval, what the INVITE says, and what it says on its way on.
    let table: &[(u32, u32, &str, Intervals<'_>)] = &[
        (90, 0, "", none),
        (90, 0, SUPPORTED, none),
        // An interval that is long enough stays as it came, parameters and all.
        (90, 0, "Session-Expires: 90\r\n", (Some("90"), None)),
        (90, 0, "x: 1800;refresher=uas\r\n", (None, None)),
        (
            90,
            0,
            "Session-Expires: 4294967296\r\n",
            (Some("4294967296"), None),
        ),
        // A Min-SE below 90 is none.
        (
            90,
            0,
            "Supported: timer\r\nSession-Expires: 95\r\nMin-SE: 20\r\n",
            (Some("95"), Some("20")),
        ),
        // Too short, and the caller would not understand 422: raised, with Min-SE.
        (
            1800,
            0,
            "Session-Expires: 90 ;refresher=uac\r\n",
            (Some("1800 ;refresher=uac"), Some("1800")),
        ),
        (
            1800,
            0,
            "Session-Expires: 90\r\nMin-SE: 100;foo=bar\r\n",
            (Some("1800"), Some("1800;foo=bar")),
        ),
        // Min-SE is never lowered, and the interval never stays below it.
        (
            1800,
            0,
            "Session-Expires: 90\r\nMin-SE: 3600\r\n",
            (Some("3600"), Some("3600")),
        ),
        (
            90,
            0,
            "Supported: timer\r\nSession-Expires: 100\r\nMin-SE: 200\r\n",
            (Some("200"), Some("200")),
        ),
        // What the operator wants goes in where there is none, never below Min-SE; Min-SE is not ours to add.
        (90, 1800, SUPPORTED, (Some("1800"), None)),
        (90, 1800, "", (Some("1800"), None)),
        (90, 1800, "Min-SE: 3600\r\n", (Some("3600"), Some("3600"))),
        (90, 1800, "Min-SE: 10\r\n", (Some("1800"), Some("10"))),
        // A longer one is lowered, to Min-SE at the most; a shorter one is not raised.
        (
            90,
            1800,
            "Session-Expires: 7200;refresher=uac\r\n",
            (Some("1800;refresher=uac"), None),
        ),
        (
            90,
            1800,
            "Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n",
            (Some("3600"), Some("3600")),
        ),
        (90, 1800, "Session-Expires: 600\r\n", (Some("600"), None)),
    ];
    for (min_se_s, session_expires_s, more, expected) in table {
        let mut bench = bench(*min_se_s, *session_expires_s);
        let invite = invite(&mut bench, more);
        let sent = bench.send(CALLER, &invite);
        let forwarded = only(&sent, "INVITE");
        assert_eq!(intervals(forwarded), *expected, "{more:?}");
        if more.starts_with("x:") {
            assert_eq!(forwarded.header("x"), Some("1800;refresher=uas"));
        }
    }
}

//= proves RFC 4028 §6
//= proves RFC 4028 §8.1
#[test]
fn an_interval_below_our_least_is_answered_422_with_min_se_if_the_caller_supports_timers() {
    let mut bench = bench(1800, 0);
    let short = invite(&mut bench, "k: timer\r\nx: 1799\r\n");
    let sent = bench.send(CALLER, &short);
    let refused = only(&sent, "422");
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "422")]);
    assert!(refused.text.contains("422 Session Interval Too Small"));
    assert_eq!(refused.header("Min-SE"), Some("1800"));
    let ack = beside(&short, "ACK", refused.header("To").unwrap(), "");
    assert!(bench.send(CALLER, &ack).is_empty());
    assert_eq!(bench.core.stats().refused(Cause::SessionInterval), 1);
    bench.rest();
}

//= proves RFC 4028 §8.1
#[test]
fn a_re_invite_or_update_below_our_least_is_answered_422_and_the_call_goes_on() {
    let mut bench = bench(1800, 0);
    let (caller, callee, _) = call(&mut bench, "", "");
    for (side, address, method, cseq) in [
        (&caller, CALLER, "UPDATE", 2),
        (&callee, VENDOR, "INVITE", 1),
    ] {
        let more = "Supported: timer\r\nSession-Expires: 100\r\n";
        let request = bench.request(side, method, "sip:x@y", cseq, more);
        let sent = bench.send(address, &request);
        let refused = only(&sent, "422");
        assert!(sent.iter().all(|sent| sent.to.to_string() == address));
        assert_eq!(refused.header("Min-SE"), Some("1800"));
        if method == "INVITE" {
            let ack = beside(&request, "ACK", &side.to, "");
            assert!(bench.send(address, &ack).is_empty(), "it ends here");
        }
    }
    assert_eq!(bench.core.live_calls(), 1);
    // The next one has a CSeq above the refused one's.
    let more = "Supported: timer\r\nSession-Expires: 1800\r\n";
    exchange(&mut bench, &caller, ("UPDATE", 3, more), (200, ""));
    exchange(&mut bench, &caller, ("BYE", 4, ""), (200, ""));
    assert_eq!(bench.only_cdr().cause, Cause::Answered);
    bench.rest();
}

//= proves RFC 4028 §4
#[test]
fn a_session_interval_that_does_not_read_is_400_and_names_its_header() {
    for (more, phrase) in [
        (
            "Session-Expires: soon\r\n",
            "Malformed Session-Expires Header",
        ),
        ("Session-Expires:\r\n", "Malformed Session-Expires Header"),
        (
            "Session-Expires: -1\r\n",
            "Malformed Session-Expires Header",
        ),
        (
            "Session-Expires: 90 100\r\n",
            "Malformed Session-Expires Header",
        ),
        (
            "x: 90\r\nSession-Expires: 90\r\n",
            "Malformed Session-Expires Header",
        ),
        (
            "Session-Expires: 90\r\nMin-SE: 90s\r\n",
            "Malformed Min-SE Header",
        ),
    ] {
        let mut bench = bench(90, 0);
        let invite = invite(&mut bench, more);
        let sent = bench.send(CALLER, &invite);
        assert!(only(&sent, "400").text.contains(phrase), "{more:?}");
        assert_eq!(sent.len(), 1);
    }
    // Other methods have no session interval, whatever their headers say.
    let mut bench = bench(90, 0);
    let (caller, ..) = call(&mut bench, "", "");
    exchange(
        &mut bench,
        &caller,
        ("INFO", 2, "Session-Expires: soon\r\n"),
        (200, ""),
    );
    let update = bench.request(&caller, "UPDATE", CALLEE, 3, "Session-Expires: soon\r\n");
    let sent = bench.send(CALLER, &update);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "400")]);
}

//= proves RFC 4028 §8.2
#[test]
fn an_answer_without_session_expires_gets_one_only_if_the_caller_alone_supports_timers() {
    let asked = "Supported: timer\r\nSession-Expires: 1800\r\n";
    let timer = Some("1800;refresher=uac");
    // Our wanted interval, the INVITE's headers, the 200's; Session-Expires and Require as the caller hears them.
    let table = [
        (0, asked, "", timer, Some("timer")),
        (
            0,
            asked,
            "Require: 100rel\r\n",
            timer,
            Some("100rel, timer"),
        ),
        (0, asked, "Require: timer\r\n", timer, Some("timer")),
        (0, asked, "Require:\r\n", timer, Some("timer")),
        (1800, SUPPORTED, "", timer, Some("timer")),
        // The caller knows nothing of timers: no session expiration.
        (1800, "", "", None, None),
        (0, "Session-Expires: 1800\r\n", "", None, None),
        // Nobody asked.
        (0, SUPPORTED, "", None, None),
        // What the far side says is never changed.
        (
            0,
            asked,
            "Session-Expires: 300;refresher=uas\r\nRequire: timer\r\n",
            Some("300;refresher=uas"),
            Some("timer"),
        ),
        (1800, "", "x: 7200\r\n", None, None),
    ];
    for (wanted_s, asks, says, expires, require) in table {
        let mut bench = bench(90, wanted_s);
        let (_, _, ok) = call(&mut bench, asks, says);
        assert_eq!(ok.header("Session-Expires"), expires, "{asks:?} {says:?}");
        assert_eq!(ok.header("Require"), require, "{asks:?} {says:?}");
    }
}

#[test]
fn a_200_that_comes_again_is_edited_again() {
    let mut bench = bench(90, 1800);
    let invite = invite(&mut bench, SUPPORTED);
    let sent = bench.send(CALLER, &invite);
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", CONTACT);
    let first = bench.send(VENDOR, &ok);
    bench.wait(SECOND / 2);
    let again = bench.send(VENDOR, &ok);
    assert_eq!(only(&first, "200").text, only(&again, "200").text);
    assert!(
        first[0]
            .text
            .contains("Session-Expires: 1800;refresher=uac")
    );
}

pub(crate) const TIMED: &str = "Session-Expires: 100;refresher=uac\r\nRequire: timer\r\n";

/// A call that was closed when its session expired after 100 s: no BYE was sent, limits are free, the record says so.
fn assert_expired(bench: &Bench, sent: &[Sent], expected_end_us: i64, duration_us: u64) {
    assert!(
        sent.iter().all(|sent| sent.what() != "BYE"),
        "{:?}",
        summary(sent)
    );
    assert_eq!(bench.stat(Stat::OwnByes), 0);
    assert_eq!(bench.stat(Stat::SessionsExpired), 1);
    let cdr = bench.only_cdr();
    assert_eq!(cdr.cause, Cause::SessionExpired);
    assert_eq!(cdr.attempts[0].cause, Cause::SessionExpired);
    assert_eq!(cdr.ended_by, Some(EndedBy::Proxy));
    assert_eq!(cdr.end_us, Some(expected_end_us));
    assert_eq!(cdr.attempts[0].ended_us, Some(expected_end_us));
    assert_eq!(cdr.duration_us, duration_us);
    assert_eq!(bench.core.live_calls(), 0);
}

//= proves RFC 4028 §8.2
//= proves RFC 4028 §8.3
#[test]
fn a_session_that_nobody_refreshes_ends_the_call_without_a_bye_and_frees_its_limits() {
    let limited = Routes {
        customers: "name,rate_sheet,routing_plan,channel_limit\nacme,acme,plan,1\n",
        vendors: "name,rate_sheet,channel_limit\nv0,v0,1\nv1,v1,1\n",
        ..ONE_VENDOR
    };
    let mut bench = Bench::new(&limited);
    let answered_us = bench.wall_us();
    call(&mut bench, SUPPORTED, TIMED);
    let sent = bench.wait(99 * SECOND);
    assert!(sent.is_empty());
    assert_eq!(bench.core.live_calls(), 1);
    let second = invite(&mut bench, "").replace("call@bench", "second@bench");
    let refused = bench.send(CALLER, &second);
    assert_eq!(summary(&refused), [(CALLER.to_owned(), "503")]);

    let sent = bench.wait(2 * SECOND);
    assert_expired(&bench, &sent, answered_us + 100_000_000, 100 * SECOND);
    let third = invite(&mut bench, "").replace("call@bench", "third@bench");
    let sent = bench.send(CALLER, &third);
    assert_eq!(
        summary(&sent),
        [(CALLER.to_owned(), "100"), (VENDOR.to_owned(), "INVITE")]
    );
}

//= proves RFC 4028 §8.3
#[test]
fn after_its_session_expired_a_late_bye_passes_and_a_late_refresh_does_not() {
    let mut bench = bench(90, 0);
    let (caller, callee, _) = call(&mut bench, SUPPORTED, TIMED);
    bench.wait(101 * SECOND);
    assert_eq!(bench.cdrs().len(), 1);
    for (side, address, method) in [(&caller, CALLER, "UPDATE"), (&callee, VENDOR, "INVITE")] {
        let refresh = bench.request(side, method, "sip:x@y", 5, TIMED);
        let sent = bench.send(address, &refresh);
        assert_eq!(summary(&sent), [(address.to_owned(), "481")], "{method}");
    }
    let (_, heard) = exchange(&mut bench, &caller, ("INFO", 6, ""), (481, ""));
    assert_eq!(heard.to.to_string(), CALLER);
    let bye = bench.request(&callee, "BYE", "sip:caller@198.51.100.10", 7, "");
    let sent = bench.send(VENDOR, &bye);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "BYE")]);
    assert_eq!(sent[0].uri(), "sip:caller@198.51.100.10");
    assert_eq!(sent[0].header("Route"), None);
    let ok = reply(&sent[0].text, 200, "", "");
    assert_eq!(
        summary(&bench.send(CALLER, &ok)),
        [(VENDOR.to_owned(), "200")]
    );
    // The record is closed; who said BYE in the end is told beside it.
    assert_eq!(bench.cdrs().len(), 1);
    let alone = bench.records.iter().filter(|record| {
        matches!(record, Record::EndedAlone { cdr_id, ended_by: EndedBy::Callee, status: 200, .. }
            if *cdr_id == bench.only_cdr().cdr_id)
    });
    assert_eq!(alone.count(), 1);
    bench.rest();
}

#[test]
fn after_an_ordinary_end_a_second_bye_hears_481() {
    let mut bench = bench(90, 0);
    let (caller, callee, _) = call(&mut bench, SUPPORTED, TIMED);
    exchange(&mut bench, &caller, ("BYE", 2, ""), (200, ""));
    let bye = bench.request(&callee, "BYE", "sip:caller@198.51.100.10", 1, "");
    assert_eq!(
        summary(&bench.send(VENDOR, &bye)),
        [(VENDOR.to_owned(), "481")]
    );
    bench.wait(200 * SECOND);
    assert_eq!(bench.stat(Stat::SessionsExpired), 0);
}

//= proves RFC 4028 §8.2
#[test]
fn the_2xx_of_a_re_invite_and_of_an_update_renew_the_session() {
    let mut bench = bench(90, 0);
    let (caller, callee, _) = call(&mut bench, SUPPORTED, TIMED);
    bench.wait(90 * SECOND);
    let more = format!("{SUPPORTED}{TIMED}Contact: <sip:caller@198.51.100.10>\r\n");
    exchange(&mut bench, &caller, ("INVITE", 2, &more), (200, TIMED));
    bench.wait(90 * SECOND);
    exchange(&mut bench, &callee, ("UPDATE", 1, SUPPORTED), (200, TIMED));
    // A refresh that failed renews nothing.
    bench.wait(90 * SECOND);
    exchange(
        &mut bench,
        &caller,
        ("UPDATE", 3, &more),
        (500, "Retry-After: 5\r\n"),
    );
    let expires_us = bench.wall_us() + 10_000_000;
    let sent = bench.wait(20 * SECOND);
    assert_expired(&bench, &sent, expires_us, 280 * SECOND);
    // One record for the answer, one for each request of the dialog as ever, one for the end.
    let updated = bench.records.iter().filter_map(|record| match record {
        Record::Updated(updated) => Some(updated.session_end.expires_us()),
        _ => None,
    });
    let (answer_us, updated) = (
        bench.only_cdr().answer_us.unwrap(),
        updated.collect::<Vec<_>>(),
    );
    let after = |seconds: i64| Some(answer_us + seconds * 1_000_000);
    assert_eq!(updated, [after(190), after(280), after(280)]);
}

//= proves RFC 4028 §7.2
#[test]
fn a_2xx_without_session_expires_turns_the_timer_off() {
    let mut bench = bench(90, 0);
    let (caller, callee, _) = call(&mut bench, SUPPORTED, TIMED);
    bench.wait(50 * SECOND);
    exchange(&mut bench, &callee, ("UPDATE", 1, ""), (200, ""));
    bench.wait(1000 * SECOND);
    assert_eq!(bench.core.live_calls(), 1);
    exchange(&mut bench, &caller, ("BYE", 2, ""), (200, ""));
    assert_eq!(bench.only_cdr().cause, Cause::Answered);
    assert_eq!(bench.only_cdr().duration_us, 1050 * SECOND);
    bench.rest();
}

#[test]
fn a_refresh_whose_answer_is_on_its_way_is_waited_for() {
    for answer in [Some(200), Some(408), None] {
        let mut bench = bench(90, 0);
        let (caller, ..) = call(&mut bench, SUPPORTED, TIMED);
        let answered_us = bench.wall_us();
        bench.wait(99 * SECOND);
        let update = bench.request(&caller, "UPDATE", CALLEE, 2, TIMED);
        let sent = bench.send(CALLER, &update);
        bench.wait(3 * SECOND);
        assert_eq!(bench.core.live_calls(), 1, "not before it is answered");
        if let Some(status) = answer {
            let response = reply(&only(&sent, "UPDATE").text, status, "", TIMED);
            bench.send(VENDOR, &response);
        }
        let sent = bench.wait(70 * SECOND);
        if answer == Some(200) {
            assert_eq!(bench.core.live_calls(), 1);
        } else {
            // It renewed nothing: the session ended when it would have.
            assert_expired(&bench, &sent, answered_us + 100_000_000, 100 * SECOND);
        }
    }
}

#[test]
fn a_bye_that_came_before_the_expiry_is_the_end_even_when_nobody_answers_it() {
    for answered in [true, false] {
        let mut bench = bench(90, 0);
        let (caller, ..) = call(&mut bench, SUPPORTED, TIMED);
        bench.wait(90 * SECOND);
        let came_us = bench.wall_us();
        let bye = bench.request(&caller, "BYE", CALLEE, 2, "");
        let sent = bench.send(CALLER, &bye);
        bench.wait(15 * SECOND);
        assert_eq!(bench.core.live_calls(), 1);
        if answered {
            let ok = reply(&only(&sent, "BYE").text, 200, "", "");
            bench.send(VENDOR, &ok);
        }
        bench.wait(60 * SECOND);
        let cdr = bench.only_cdr();
        assert_eq!((cdr.cause, cdr.end_us), (Cause::Answered, Some(came_us)));
        assert_eq!(cdr.ended_by, Some(EndedBy::Caller));
        assert_eq!(bench.stat(Stat::SessionsExpired), 0);
    }
}

//= proves RFC 4028 §8.2
#[test]
fn two_dialogs_of_one_call_expire_each_by_itself() {
    let mut bench = bench(90, 0);
    let invite = invite(&mut bench, SUPPORTED);
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let answered_us = bench.wall_us();
    let mut dialogs = Vec::new();
    for (tag, seconds) in [("one", 100), ("two", 300)] {
        let more = format!("{CONTACT}Session-Expires: {seconds};refresher=uas\r\n");
        let ok = reply(&forwarded.text, 200, tag, &more);
        let sent = bench.send(VENDOR, &ok);
        let (caller, _) = Dialog::pair(only(&sent, "200"));
        let ack = bench.request(&caller, "ACK", CALLEE, 1, "");
        bench.send(CALLER, &ack);
        dialogs.push(caller);
    }
    bench.wait(200 * SECOND);
    assert_eq!(bench.stat(Stat::SessionsExpired), 1);
    assert_eq!((bench.core.live_calls(), bench.cdrs().len()), (1, 0));
    // The first is over: no refresh passes, and its BYE does.
    let refresh = bench.request(&dialogs[0], "UPDATE", CALLEE, 2, TIMED);
    assert_eq!(
        summary(&bench.send(CALLER, &refresh)),
        [(CALLER.to_owned(), "481")]
    );
    exchange(
        &mut bench,
        &dialogs[0],
        ("BYE", 3, "Reason: Q.850;cause=99\r\n"),
        (200, ""),
    );
    assert_eq!((bench.core.live_calls(), bench.cdrs().len()), (1, 0));
    bench.wait(101 * SECOND);
    let cdr = bench.only_cdr();
    assert_eq!(cdr.cause, Cause::SessionExpired);
    assert_eq!(cdr.end_us, Some(answered_us + 300_000_000));
    assert_eq!(cdr.reason, None, "a BYE after the end says nothing of it");
    bench.rest();
}

#[test]
fn a_dialog_that_outlives_an_expired_one_ends_in_its_own_way() {
    let mut bench = bench(90, 0);
    let invite = invite(&mut bench, SUPPORTED);
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let mut last = None;
    for (tag, more) in [("one", TIMED), ("two", "")] {
        let ok = reply(&forwarded.text, 200, tag, &format!("{CONTACT}{more}"));
        let sent = bench.send(VENDOR, &ok);
        let (caller, _) = Dialog::pair(only(&sent, "200"));
        let ack = bench.request(&caller, "ACK", CALLEE, 1, "");
        bench.send(CALLER, &ack);
        last = Some(caller);
    }
    bench.wait(200 * SECOND);
    exchange(&mut bench, &last.unwrap(), ("BYE", 2, ""), (200, ""));
    assert_eq!(bench.only_cdr().cause, Cause::Answered);
    assert_eq!(bench.only_cdr().ended_by, Some(EndedBy::Caller));
    bench.rest();
}

/// The call of the boot before, as its journal gives it back after `down_us`.
fn restored_after(down_us: u64) -> (Bench, Dialog, i64) {
    let mut before = bench(90, 0);
    let (caller, ..) = call(&mut before, SUPPORTED, TIMED);
    let answered = before.records.iter().find_map(|record| match record {
        Record::Answered(call) => Some((**call).clone()),
        _ => None,
    });
    let restored: AnsweredCall = answered.unwrap();
    let answer_us = restored.cdr.answer_us.unwrap();
    assert_eq!(
        restored.session_end,
        SessionEnd::Agreed(answer_us + 100_000_000)
    );
    let config = CoreConfig {
        boot: 2,
        ..config()
    };
    let mut bench = Bench::with(config, &ONE_VENDOR);
    bench.wait(down_us);
    bench.restore(&restored);
    (bench, caller, answer_us)
}

//= proves RFC 4028 §8.3
#[test]
fn a_session_expires_in_the_process_after_a_restart_too() {
    let (mut bench, _, answer_us) = restored_after(10 * SECOND);
    bench.wait(85 * SECOND);
    assert_eq!(bench.core.live_calls(), 1);
    let sent = bench.wait(10 * SECOND);
    assert_expired(&bench, &sent, answer_us + 100_000_000, 100 * SECOND);
}

#[test]
fn a_session_that_expired_while_nobody_was_here_leaves_time_for_a_refresh_under_way() {
    let (mut bench, _, answer_us) = restored_after(110 * SECOND);
    bench.wait(31 * SECOND);
    assert_eq!(bench.core.live_calls(), 1);
    let sent = bench.wait(2 * SECOND);
    assert_expired(&bench, &sent, answer_us + 100_000_000, 100 * SECOND);

    let (mut bench, caller, _) = restored_after(110 * SECOND);
    bench.wait(SECOND);
    exchange(&mut bench, &caller, ("UPDATE", 2, SUPPORTED), (200, TIMED));
    bench.wait(90 * SECOND);
    assert_eq!(bench.core.live_calls(), 1);
}

//= proves RFC 4028 §5
#[test]
fn an_interval_below_what_rfc_4028_allows_is_taken_for_its_least() {
    let mut bench = bench(90, 0);
    call(
        &mut bench,
        SUPPORTED,
        "Session-Expires: 1;refresher=uas\r\n",
    );
    bench.wait(89 * SECOND);
    assert_eq!(bench.core.live_calls(), 1);
    bench.wait(2 * SECOND);
    assert_eq!(bench.only_cdr().duration_us, 90 * SECOND);
}

//= proves departure RFC 4028 §8.3
#[test]
fn an_operator_who_does_not_trust_the_ends_has_an_expired_session_ended_by_bye() {
    let mut bench = bench_of(SessionTimerPolicy {
        on_expiry: SessionExpiry::Bye,
        ..SessionTimerPolicy::default()
    });
    call(&mut bench, SUPPORTED, TIMED);
    let sent = bench.wait(101 * SECOND);
    let first: Vec<_> = summary(&sent).into_iter().take(2).collect();
    assert_eq!(
        first,
        [(CALLER.to_owned(), "BYE"), (VENDOR.to_owned(), "BYE")]
    );
    assert_eq!(bench.only_cdr().cause, Cause::SessionExpired);
    assert_eq!(bench.only_cdr().duration_us, 100 * SECOND);
}

#[test]
fn a_422_of_a_vendor_goes_to_the_caller_with_its_min_se() {
    let mut bench = bench(90, 0);
    let invite = invite(&mut bench, "Supported: timer\r\nSession-Expires: 100\r\n");
    let sent = bench.send(CALLER, &invite);
    let refusal = reply(
        &only(&sent, "INVITE").text,
        422,
        "callee",
        "Min-SE: 600\r\n",
    );
    let sent = bench.send(VENDOR, &refusal);
    assert_eq!(only(&sent, "422").header("Min-SE"), Some("600"));
    assert_eq!(bench.only_cdr().status, 422);
}

//= proves RFC 4028 §7.3
#[test]
fn a_422_of_one_vendor_is_what_the_caller_hears_of_several_refusals() {
    let config = CoreConfig {
        policy: Policy {
            failover: FailoverTable::parse(["4xx"]).unwrap(),
            ..Policy::default()
        },
        ..config()
    };
    for (first, second) in [
        ((422, "Min-SE: 600\r\n"), (486, "")),
        ((486, ""), (422, "Min-SE: 600\r\n")),
    ] {
        let mut bench = Bench::with(config.clone(), &TWO_VENDORS);
        let invite = invite(&mut bench, "Supported: timer\r\nSession-Expires: 100\r\n");
        let one = only(&bench.send(CALLER, &invite), "INVITE").clone();
        let sent = bench.send(VENDOR, &reply(&one.text, first.0, "x", first.1));
        let two = only(&sent, "INVITE").clone();
        let sent = bench.send(SECOND_VENDOR, &reply(&two.text, second.0, "y", second.1));
        assert_eq!(only(&sent, "422").header("Min-SE"), Some("600"));
    }
}

//= proves RFC 4028 §8.1
#[test]
fn whatever_is_asked_for_the_forwarded_request_keeps_every_rule() {
    let seconds = |value: Option<&str>| value.map(|text| text.parse::<u32>().unwrap());
    let line = |name: &str, value: Option<u32>| {
        value.map_or_else(String::new, |value| format!("{name}: {value}\r\n"))
    };
    for min_se_s in [90, 120, 1800] {
        for wanted_s in [0, min_se_s, 1800, 3600] {
            let mut bench = bench(min_se_s, wanted_s);
            for asked in [None, Some(30), Some(90), Some(119), Some(1800), Some(7200)] {
                for min_se in [None, Some(10), Some(90), Some(150), Some(5000)] {
                    for supports in [false, true] {
                        let more = format!(
                            "{}{}{}",
                            if supports { "Supported: timer\r\n" } else { "" },
                            line("Session-Expires", asked),
                            line("Min-SE", min_se),
                        );
                        let case = format!("{min_se_s} {wanted_s} {more:?}");
                        let branch = bench.branch();
                        let invite = invite(&mut bench, &more).replace("call@bench", &branch);
                        let sent = bench.send(CALLER, &invite);
                        let refused = supports && asked.is_some_and(|asked| asked < min_se_s);
                        if refused {
                            let min_se = only(&sent, "422").header("Min-SE");
                            assert_eq!(seconds(min_se), Some(min_se_s), "{case}");
                            continue;
                        }
                        let (expires, least) = intervals(only(&sent, "INVITE"));
                        let (expires, least) = (seconds(expires), seconds(least));
                        let floor = least.unwrap_or(90).max(90);
                        assert!(expires.is_none_or(|expires| expires >= floor), "{case}");
                        assert!(expires.is_none_or(|expires| expires >= min_se_s), "{case}");
                        assert!(least >= min_se, "Min-SE is never lowered: {case}");
                        if supports || asked.is_none() {
                            assert_eq!(least, min_se, "Min-SE is the caller's: {case}");
                        }
                        match (asked, expires) {
                            (None, None) => assert_eq!(wanted_s, 0, "{case}"),
                            (None, Some(expires)) => {
                                assert_eq!(expires, wanted_s.max(floor), "{case}");
                            }
                            (Some(asked), Some(expires)) if expires > asked => {
                                assert_eq!(expires, floor, "raised to Min-SE and no more: {case}");
                            }
                            (Some(asked), Some(expires)) if expires < asked => {
                                assert!(wanted_s > 0, "{case}");
                                assert_eq!(expires, wanted_s.max(floor), "{case}");
                            }
                            (asked, expires) => assert_eq!(asked, expires, "{case}"),
                        }
                    }
                }
            }
        }
    }
}

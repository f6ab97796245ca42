//! A plan that tries equal targets at the same time: RFC 3261 §16.7, with more than one branch out.

use crate::bench::*;
use accounting::{Cause, EndedBy, Record};
use proxy_core::{CoreConfig, Durability, JobAnswer, Policy, Stat};

/// `v0` and `v1` at once, `v2` after them.
pub(crate) const FORK: Routes = Routes {
    vendors: "name,rate_sheet\nv0,v0\nv1,v1\nv2,v2\n",
    vendor_gateways: "vendor,address\nv0,203.0.113.10\nv1,203.0.113.11\nv2,203.0.113.12\n",
    routing_plans: "name,mode,forking\nplan,static,parallel\n",
    routes: "plan,prefix,vendor,priority\nplan,,v0,1\nplan,,v1,1\nplan,,v2,2\n",
    rates: "sheet,prefix,rate\nacme,,0.60\nv0,,0.06\nv1,,0.12\nv2,,0.18\n",
    ..TWO_VENDORS
};

pub(crate) const THIRD_VENDOR: &str = "203.0.113.12:5060";

/// Sends the INVITE; gives it, and what each vendor got, by address.
pub(crate) fn fork(bench: &mut Bench) -> (String, Vec<Sent>) {
    let invite = bench.invite();
    let mut sent = bench.send(CALLER, &invite);
    assert_eq!(sent.remove(0).what(), "100");
    sent.sort_by_key(|sent| sent.to);
    (invite, sent)
}

pub(crate) fn to(sent: &[Sent], address: &str) -> Sent {
    let found: Vec<_> = sent
        .iter()
        .filter(|sent| sent.to.to_string() == address)
        .collect();
    assert_eq!(found.len(), 1, "{address} in {:?}", summary(sent));
    found[0].clone()
}

fn contact(address: &str) -> String {
    format!("Contact: <sip:callee@{address}>\r\n")
}

/// A vendor's response to what it was sent.
pub(crate) fn respond(bench: &mut Bench, invite: &Sent, status: u16) -> Vec<Sent> {
    let address = invite.to.to_string();
    let tag = format!("tag-{}", invite.to.ip());
    let text = reply(&invite.text, status, &tag, &contact(&address));
    bench.send(&address, &text)
}

pub(crate) fn ack(bench: &mut Bench, invite: &str, refused: &Sent) {
    let ack = beside(invite, "ACK", refused.header("To").unwrap(), "");
    assert!(bench.send(CALLER, &ack).is_empty());
}

/// Vendor, status and cause of every attempt.
fn attempts(bench: &Bench) -> Vec<(String, u16, Cause)> {
    let attempts = bench.only_cdr().attempts.iter();
    attempts
        .map(|attempt| (attempt.vendor.clone(), attempt.status, attempt.cause))
        .collect()
}

//= proves RFC 3261 §16.7(1)
//= proves RFC 3261 §16.7(5)
//= proves RFC 3261 §16.7(10)
//= proves RFC 3326 §3.1
#[test]
fn the_first_answer_cancels_the_others_and_is_billed_alone() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    assert_eq!(
        summary(&invites),
        [
            (VENDOR.to_owned(), "INVITE"),
            (SECOND_VENDOR.to_owned(), "INVITE")
        ]
    );
    let branch = |sent: &Sent| sent.header("Via").unwrap().to_owned();
    assert_ne!(branch(&invites[0]), branch(&invites[1]));
    for invite in &invites {
        assert_eq!(
            summary(&respond(&mut bench, invite, 180)),
            [(CALLER.to_owned(), "180")]
        );
    }
    bench.wait(2 * SECOND);
    let sent = respond(&mut bench, &invites[1], 200);
    let cancel = to(&sent, VENDOR);
    assert_eq!(cancel.what(), "CANCEL");
    assert_eq!(
        cancel.header("Reason"),
        Some("SIP;cause=200;text=\"Call completed elsewhere\"")
    );
    assert_eq!(cancel.header("Via"), invites[0].header("Via"));
    let (caller, _) = Dialog::pair(&to(&sent, CALLER));
    bench.send(VENDOR, &reply(&cancel.text, 200, "tag", ""));
    let sent = respond(&mut bench, &invites[0], 487);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "ACK")]);
    // Nothing provisional goes upstream after the answer.
    assert!(respond(&mut bench, &invites[0], 183).is_empty());

    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.11", 2, "");
    bench.wait(10 * SECOND);
    let sent = bench.send(CALLER, &bye);
    assert_eq!(summary(&sent), [(SECOND_VENDOR.to_owned(), "BYE")]);
    bench.send(SECOND_VENDOR, &reply(&sent[0].text, 200, "", ""));
    bench.rest();
    assert_eq!(
        attempts(&bench),
        [
            ("v0".to_owned(), 487, Cause::Cancelled),
            ("v1".to_owned(), 200, Cause::Answered)
        ]
    );
    let rated = bench.only_cdr().rated();
    assert_eq!(rated.vendor_price, Some("0.02".parse().unwrap()));
    assert_eq!(rated.attempts[0].price, Some("0".parse().unwrap()));
    assert_eq!(bench.only_cdr().vendor.as_deref(), Some("v1"));
    assert_eq!(
        [Stat::Attempts, Stat::Failovers, Stat::ExtraAnswers].map(|stat| bench.stat(stat)),
        [2, 0, 0]
    );
}

//= proves RFC 3261 §16.7(5)
#[test]
fn two_answers_are_two_dialogs_and_a_bye_ends_the_one_it_names() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    bench.wait(SECOND);
    let first = to(&respond(&mut bench, &invites[0], 200), CALLER);
    bench.wait(SECOND);
    // The second answer crosses the CANCEL, which waits for a provisional response that never came.
    let second = to(&respond(&mut bench, &invites[1], 200), CALLER);
    assert_eq!(bench.stat(Stat::ExtraAnswers), 1);
    let notice = &bench.notices[..];
    assert!(
        format!("{notice:?}").contains("vendor: \"v1\", late: false"),
        "{notice:?}"
    );
    assert_ne!(first.header("To"), second.header("To"));
    let dialogs = [&first, &second].map(|answer| Dialog::pair(answer).0);
    for (dialog, address) in dialogs.iter().zip([VENDOR, SECOND_VENDOR]) {
        let ack = bench.request(dialog, "ACK", &format!("sip:callee@{address}"), 1, "");
        assert_eq!(
            summary(&bench.send(CALLER, &ack)),
            [(address.to_owned(), "ACK")]
        );
    }
    bench.wait(4 * SECOND);
    let bye = bench.request(&dialogs[0], "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "BYE")]);
    bench.send(VENDOR, &reply(&sent[0].text, 200, "", ""));
    assert!(bench.cdrs().is_empty(), "the other dialog is up");
    let ended = bench.records.iter().find_map(|record| match record {
        Record::AttemptEnded {
            attempt,
            duration_us,
            ..
        } => Some((*attempt, *duration_us)),
        _ => None,
    });
    assert_eq!(ended, Some((0, 5 * SECOND)));

    bench.wait(15 * SECOND);
    let bye = bench.request(&dialogs[1], "BYE", "sip:callee@203.0.113.11", 2, "");
    let sent = bench.send(CALLER, &bye);
    assert_eq!(summary(&sent), [(SECOND_VENDOR.to_owned(), "BYE")]);
    bench.send(SECOND_VENDOR, &reply(&sent[0].text, 200, "", ""));
    bench.rest();
    let cdr = bench.only_cdr();
    let durations = [0, 1].map(|at| cdr.attempts[at].duration_us);
    assert_eq!(durations, [5 * SECOND, 19 * SECOND]);
    let rated = cdr.rated();
    let prices = [0, 1].map(|at: usize| rated.attempts[at].price.unwrap().to_string());
    assert_eq!(prices, ["0.005", "0.038"]);
    // The caller pays from the first answer to the last end.
    assert_eq!(cdr.duration_us, 20 * SECOND);
    assert_eq!(cdr.ended_by, Some(EndedBy::Caller));
}

#[test]
fn two_answers_with_one_tag_are_one_dialog_and_both_attempts_are_billed() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    bench.wait(SECOND);
    let mut answers = Vec::new();
    for invite in &invites {
        let ok = reply(&invite.text, 200, "same", &contact("203.0.113.99"));
        let sent = bench.send(&invite.to.to_string(), &ok);
        answers.push(to(&sent, CALLER));
    }
    assert_eq!(bench.stat(Stat::ExtraAnswers), 1);
    let (caller, _) = Dialog::pair(&answers[0]);
    bench.wait(10 * SECOND);
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.99", 2, "");
    let sent = bench.send(CALLER, &bye);
    bench.send(&sent[0].to.to_string(), &reply(&sent[0].text, 200, "", ""));
    bench.rest();
    let cdr = bench.only_cdr();
    assert!(
        cdr.attempts
            .iter()
            .all(|attempt| attempt.duration_us == 10 * SECOND),
        "{cdr:#?}"
    );
}

#[test]
fn two_answers_wait_for_their_records_in_strict_mode() {
    let policy = Policy {
        durability: Durability::Strict,
        ..Policy::default()
    };
    let mut bench = Bench::with(CoreConfig { policy, ..config() }, &FORK);
    let (_, invites) = fork(&mut bench);
    assert!(respond(&mut bench, &invites[0], 200).is_empty());
    assert!(respond(&mut bench, &invites[1], 200).is_empty());
    let jobs = std::mem::take(&mut bench.jobs);
    assert_eq!(jobs.len(), 2);
    let mut sent = Vec::new();
    for job in &jobs {
        sent.extend(bench.end_job(job, JobAnswer::Committed));
    }
    assert_eq!(
        summary(&sent),
        [(CALLER.to_owned(), "200"), (CALLER.to_owned(), "200")]
    );
    for (answer, address) in sent.iter().zip([VENDOR, SECOND_VENDOR]) {
        let (caller, _) = Dialog::pair(answer);
        let bye = bench.request(&caller, "BYE", &format!("sip:callee@{address}"), 2, "");
        let sent = bench.send(CALLER, &bye);
        assert_eq!(summary(&sent), [(address.to_owned(), "BYE")]);
        bench.send(address, &reply(&sent[0].text, 200, "", ""));
        for job in std::mem::take(&mut bench.jobs) {
            bench.end_job(&job, JobAnswer::Committed);
        }
    }
    bench.rest();
    assert_eq!(bench.cdrs().len(), 1);
}

//= proves RFC 3261 §16.7(6)
#[test]
fn the_best_refusal_of_a_group_goes_upstream_once_all_have_failed() {
    // (first, second, upstream): the lowest class, what tells most, 503 last and as 500.
    for (first, second, upstream) in [
        (486, 503, "486"),
        (404, 486, "404"),
        (404, 484, "484"),
        (486, 408, "486"),
        (486, 401, "486"),
        (486, 302, "486"),
    ] {
        let mut bench = Bench::new(&FORK);
        let (invite, invites) = fork(&mut bench);
        let sent = respond(&mut bench, &invites[0], first);
        assert_eq!(summary(&sent), [(VENDOR.to_owned(), "ACK")]);
        let sent = respond(&mut bench, &invites[1], second);
        let refused = to(&sent, CALLER);
        assert_eq!(refused.what(), upstream, "{first} and {second}");
        ack(&mut bench, &invite, &refused);
        bench.rest();
        let causes = attempts(&bench);
        assert_eq!(causes.len(), 2, "486 and 404 end the hunt: {causes:?}");
    }
}

#[test]
fn the_next_group_is_tried_when_the_whole_group_has_failed() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    let sent = respond(&mut bench, &invites[0], 503);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "ACK")]);
    let sent = respond(&mut bench, &invites[1], 500);
    let third = to(&sent, THIRD_VENDOR);
    assert_eq!(third.what(), "INVITE");
    assert_eq!(
        [Stat::Attempts, Stat::Failovers].map(|stat| bench.stat(stat)),
        [3, 1]
    );
    let sent = respond(&mut bench, &third, 503);
    // 500 of v1 is better than the 503 of the others.
    assert_eq!(to(&sent, CALLER).what(), "500");
}

#[test]
fn a_group_of_503_is_heard_as_500() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    respond(&mut bench, &invites[0], 503);
    let sent = respond(&mut bench, &invites[1], 503);
    let sent = respond(&mut bench, &to(&sent, THIRD_VENDOR), 503);
    assert_eq!(to(&sent, CALLER).what(), "500");
}

#[test]
fn nobody_is_tried_after_a_member_of_the_group_has_rung() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    respond(&mut bench, &invites[0], 180);
    respond(&mut bench, &invites[1], 503);
    let sent = respond(&mut bench, &invites[0], 500);
    assert_eq!(to(&sent, CALLER).what(), "500");
}

#[test]
fn a_cancel_ends_every_branch() {
    let mut bench = Bench::new(&FORK);
    let (invite, invites) = fork(&mut bench);
    respond(&mut bench, &invites[0], 180);
    let cancel = beside(&invite, "CANCEL", header(&invite, "To").unwrap(), "");
    let sent = bench.send(CALLER, &cancel);
    assert_eq!(
        summary(&sent),
        [(CALLER.to_owned(), "200"), (VENDOR.to_owned(), "CANCEL")]
    );
    // The other one hears it as soon as it speaks.
    let sent = respond(&mut bench, &invites[1], 180);
    assert_eq!(
        summary(&sent),
        [
            (SECOND_VENDOR.to_owned(), "CANCEL"),
            (CALLER.to_owned(), "180")
        ]
    );
    let sent = respond(&mut bench, &invites[0], 487);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "ACK")]);
    let sent = respond(&mut bench, &invites[1], 487);
    let refused = to(&sent, CALLER);
    assert_eq!(refused.what(), "487");
    ack(&mut bench, &invite, &refused);
    bench.rest();
    assert_eq!(
        attempts(&bench),
        [
            ("v0".to_owned(), 487, Cause::Cancelled),
            ("v1".to_owned(), 487, Cause::Cancelled)
        ]
    );
    assert_eq!(bench.only_cdr().ended_by, Some(EndedBy::Caller));
}

#[test]
fn the_list_of_calls_shows_the_vendor_that_answered() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    respond(&mut bench, &invites[0], 200);
    let calls = bench.views();
    assert_eq!(calls[0].vendor.as_deref(), Some("v0"));
    assert_eq!(calls[0].next_hop.as_deref(), Some(VENDOR));
}

//= proves RFC 3261 §16.7(3)
//= proves RFC 3261 §16.7(9)
#[test]
fn a_response_goes_upstream_without_our_via_and_otherwise_as_it_came() {
    let mut bench = Bench::new(&FORK);
    let (invite, invites) = fork(&mut bench);
    let more =
        "Contact: <sip:callee@203.0.113.10>\r\nX-Vendor: kept\r\nWarning: 399 v \"as it is\"\r\n";
    let busy = reply(&invites[0].text, 183, "tag", more);
    let sent = bench.send(VENDOR, &busy);
    let own = lines(&busy, "Via").first().unwrap().len() + "\r\n".len();
    assert_eq!(sent[0].text.len() + own, busy.len());
    assert_eq!(lines(&sent[0].text, "Via").len(), 1);
    let via = header(&invite, "Via").unwrap();
    assert!(sent[0].header("Via").unwrap().starts_with(via));
    assert!(
        sent[0]
            .text
            .contains("X-Vendor: kept\r\nWarning: 399 v \"as it is\"\r\n")
    );
}

fn lines<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    text.split("\r\n")
        .filter(|line| line.starts_with(&format!("{name}: ")))
        .collect()
}

#[test]
fn what_is_no_call_is_sent_to_one_vendor_at_a_time() {
    let mut bench = Bench::new(&FORK);
    let message = bench.request(
        &Dialog::caller(""),
        "MESSAGE",
        "sip:4930123@192.0.2.1",
        1,
        "",
    );
    let first = bench.send(CALLER, &message);
    assert_eq!(first.len(), 1, "{:?}", summary(&first));
    let second = respond(&mut bench, &first[0], 503);
    assert_eq!(second.len(), 1, "{:?}", summary(&second));
    assert_ne!(second[0].to, first[0].to);
    assert_eq!(
        summary(&respond(&mut bench, &second[0], 200)),
        [(CALLER.to_owned(), "200")]
    );
}

#[test]
fn a_call_with_two_dialogs_ends_in_both_at_its_greatest_length() {
    let policy = Policy {
        max_call_us: 100 * SECOND,
        ..Policy::default()
    };
    let mut bench = Bench::with(CoreConfig { policy, ..config() }, &FORK);
    let (_, invites) = fork(&mut bench);
    for invite in &invites {
        let answer = to(&respond(&mut bench, invite, 200), CALLER);
        let (caller, _) = Dialog::pair(&answer);
        let uri = format!("sip:callee@{}", invite.to);
        let ack = bench.request(&caller, "ACK", &uri, 1, "");
        bench.send(CALLER, &ack);
    }
    let sent = bench.wait(100_200_000);
    let byes = sent.iter().filter(|sent| sent.what() == "BYE");
    let mut ended: Vec<String> = byes.map(|bye| bye.to.to_string()).collect();
    ended.sort();
    ended.dedup();
    assert_eq!(ended, [CALLER, VENDOR, SECOND_VENDOR]);
    let cdr = bench.only_cdr();
    assert!(
        cdr.attempts
            .iter()
            .all(|attempt| attempt.cause == Cause::MaxDuration),
        "{cdr:#?}"
    );
}

#[test]
fn a_loser_that_says_why_it_ended_does_not_change_the_reason_of_the_call() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    respond(&mut bench, &invites[1], 180);
    let answer = to(&respond(&mut bench, &invites[0], 200), CALLER);
    let reason = "Reason: Q.850;cause=102\r\n";
    let gone = reply(&invites[1].text, 487, "gone", reason);
    bench.send(SECOND_VENDOR, &gone);
    let (caller, _) = Dialog::pair(&answer);
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &bye);
    bench.send(VENDOR, &reply(&sent[0].text, 200, "", ""));
    bench.rest();
    assert_eq!(bench.only_cdr().q850_cause, None);
}

//= proves RFC 3261 §16.7(5)
#[test]
fn two_endpoints_behind_one_vendor_bill_once_and_raise_no_alarm() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let forwarded = only(&bench.send(CALLER, &invite), "INVITE").clone();
    for tag in ["one", "two"] {
        let ok = reply(&forwarded.text, 200, tag, &contact("203.0.113.10"));
        let heard = to(&bench.send(VENDOR, &ok), CALLER);
        let (caller, _) = Dialog::pair(&heard);
        let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
        bench.send(CALLER, &ack);
    }
    assert_eq!(bench.stat(Stat::ExtraAnswers), 0);
    assert_eq!(bench.stat(Stat::ForkedAnswers), 1);
    assert!(bench.notices.is_empty(), "{:?}", bench.notices);
}

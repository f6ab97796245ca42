//! Answers beside the first that the caller never takes: he does not pay them, and they do not last.

use crate::bench::*;
use accounting::EndedBy;
use proxy_core::{CoreConfig, Stat};

/// Two vendors at once.
const PAIR: Routes = Routes {
    routing_plans: "name,mode,forking\nplan,static,parallel\n",
    routes: "plan,prefix,vendor,priority\nplan,,v0,1\nplan,,v1,1\n",
    ..TWO_VENDORS
};
const ADDRESSES: [&str; 2] = [VENDOR, SECOND_VENDOR];

/// Both vendors answer in one moment: the caller's view of both dialogs.
fn two_answers(bench: &mut Bench) -> [Dialog; 2] {
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    ADDRESSES.map(|address| {
        let to_it = |sent: &&Sent| sent.to.to_string() == address;
        let invite = sent.iter().find(to_it).unwrap();
        let contact = format!("Contact: <sip:callee@{address}>\r\n");
        let ok = reply(&invite.text, 200, &format!("tag-{address}"), &contact);
        let sent = bench.send(address, &ok);
        Dialog::pair(only(&sent, "200")).0
    })
}

fn ack(bench: &mut Bench, dialog: &Dialog, address: &str) {
    let ack = bench.request(dialog, "ACK", &format!("sip:callee@{address}"), 1, "");
    assert_eq!(
        summary(&bench.send(CALLER, &ack)),
        [(address.to_owned(), "ACK")]
    );
}

/// The caller ends a dialog, whose vendor agrees.
fn hang_up(bench: &mut Bench, dialog: &Dialog, address: &str) {
    let bye = bench.request(dialog, "BYE", &format!("sip:callee@{address}"), 2, "");
    let sent = bench.send(CALLER, &bye);
    assert_eq!(summary(&sent), [(address.to_owned(), "BYE")]);
    bench.send(address, &reply(&sent[0].text, 200, "", ""));
}

fn durations(bench: &Bench) -> Vec<u64> {
    let attempts = bench.only_cdr().attempts.iter();
    attempts.map(|attempt| attempt.duration_us).collect()
}

#[test]
fn an_answer_that_the_caller_ignores_does_not_prolong_what_he_pays() {
    let mut bench = Bench::new(&PAIR);
    let [first, second] = two_answers(&mut bench);
    ack(&mut bench, &first, VENDOR);
    bench.wait(5 * SECOND);
    hang_up(&mut bench, &first, VENDOR);
    assert!(bench.cdrs().is_empty(), "the other vendor still bills");
    bench.wait(26 * SECOND);
    let vendors = Dialog {
        address: SECOND_VENDOR.to_owned(),
        from: second.to.clone(),
        to: second.from.clone(),
        routes: second.routes.clone(),
    };
    let bye = bench.request(&vendors, "BYE", "sip:caller@198.51.100.10", 1, "");
    let sent = bench.send(SECOND_VENDOR, &bye);
    let unknown = reply(&only(&sent, "BYE").text, 481, "", "");
    bench.send(CALLER, &unknown);
    bench.rest();
    let cdr = bench.only_cdr();
    assert_eq!(
        (cdr.duration_us, cdr.ended_by),
        (5 * SECOND, Some(EndedBy::Caller))
    );
    assert_eq!(durations(&bench), [5 * SECOND, 31 * SECOND]);
    let rated = cdr.rated();
    assert_eq!(rated.customer_price, Some("0.05".parse().unwrap()));
    assert_eq!(
        rated.attempts[1].price.map(|price| price.to_string()),
        Some("0.062".to_owned())
    );
}

//= proves departure RFC 3261 §16.1
//= proves departure RFC 3261 §13.3.1.4
#[test]
fn an_answer_that_nobody_takes_is_ended_by_a_bye_of_our_own_after_64_t1() {
    let config = config();
    let counters = std::sync::Arc::clone(&config.counters);
    let mut bench = Bench::with(CoreConfig { ..config }, &PAIR);
    let [first, _] = two_answers(&mut bench);
    ack(&mut bench, &first, VENDOR);
    bench.wait(5 * SECOND);
    hang_up(&mut bench, &first, VENDOR);
    assert!(
        bench
            .wait(26 * SECOND)
            .iter()
            .all(|sent| sent.what() != "BYE")
    );
    let sent = bench.wait(1_100_000);
    assert_eq!(
        summary(&sent)
            .into_iter()
            .filter(|(_, what)| *what == "BYE")
            .map(|(to, _)| to)
            .collect::<std::collections::BTreeSet<_>>(),
        [CALLER.to_owned(), SECOND_VENDOR.to_owned()].into()
    );
    assert_eq!(bench.stat(Stat::OwnByes), 2);
    let cdr = bench.only_cdr();
    assert_eq!(
        (cdr.duration_us, cdr.ended_by),
        (5 * SECOND, Some(EndedBy::Caller))
    );
    let lasted = durations(&bench)[1];
    assert!(
        (32 * SECOND..32 * SECOND + 100_000).contains(&lasted),
        "{lasted}"
    );
    let held: u32 = (0..16).map(|slot| counters.channels(slot)).sum();
    assert_eq!(held, 0);
    bench.rest();
}

#[test]
fn when_no_ack_comes_this_way_the_first_answer_is_what_the_customer_pays() {
    let mut bench = Bench::new(&PAIR);
    let [first, _] = two_answers(&mut bench);
    let sent = bench.wait(40 * SECOND);
    assert!(
        sent.iter()
            .all(|sent| sent.what() != "BYE" || sent.to.to_string() != VENDOR)
    );
    assert_eq!(
        bench.core.live_calls(),
        1,
        "a caller whose ACK goes another way"
    );
    bench.wait(60 * SECOND);
    hang_up(&mut bench, &first, VENDOR);
    bench.rest();
    assert_eq!(bench.only_cdr().duration_us, 100 * SECOND);
}

#[test]
fn both_answers_that_the_caller_takes_last() {
    let mut bench = Bench::new(&PAIR);
    let dialogs = two_answers(&mut bench);
    for (dialog, address) in dialogs.iter().zip(ADDRESSES) {
        ack(&mut bench, dialog, address);
    }
    bench.wait(60 * SECOND);
    assert_eq!(bench.stat(Stat::OwnByes), 0);
    hang_up(&mut bench, &dialogs[0], VENDOR);
    bench.wait(10 * SECOND);
    hang_up(&mut bench, &dialogs[1], SECOND_VENDOR);
    bench.rest();
    assert_eq!(bench.only_cdr().duration_us, 70 * SECOND);
}

#[test]
fn an_answer_behind_a_vendor_whose_first_one_has_ended_is_billed_again() {
    let config = config();
    let counters = std::sync::Arc::clone(&config.counters);
    let held = || -> u32 { (0..16).map(|slot| counters.channels(slot)).sum() };
    let mut bench = Bench::with(config, &PAIR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let to_it = |address: &str| {
        let found = sent.iter().find(|sent| sent.to.to_string() == address);
        found.unwrap().clone()
    };
    let (answering, ringing) = (to_it(VENDOR), to_it(SECOND_VENDOR));
    bench.send(SECOND_VENDOR, &reply(&ringing.text, 180, "ringing", ""));
    let contact = "Contact: <sip:callee@203.0.113.10>\r\n";
    let answer = |bench: &mut Bench, tag: &str| {
        let sent = bench.send(VENDOR, &reply(&answering.text, 200, tag, contact));
        let dialog = Dialog::pair(only(&sent, "200")).0;
        ack(bench, &dialog, VENDOR);
        dialog
    };
    let one = answer(&mut bench, "one");
    let with_one = held();
    bench.wait(2 * SECOND);
    hang_up(&mut bench, &one, VENDOR);
    assert_eq!(held() + 2, with_one);
    // The other vendor has not said how it ended, and an endpoint behind the first one answers as well.
    let two = answer(&mut bench, "two");
    assert_eq!(held(), with_one, "both channels are held again");
    bench.send(SECOND_VENDOR, &reply(&ringing.text, 487, "ringing", ""));
    bench.wait(60 * SECOND);
    hang_up(&mut bench, &two, VENDOR);
    bench.rest();
    assert_eq!(held(), 0);
    let cdr = bench.only_cdr();
    let answered = cdr.attempts.iter().find(|attempt| attempt.vendor == "v0");
    assert_eq!(answered.unwrap().duration_us, 62 * SECOND);
    assert_eq!(cdr.duration_us, 62 * SECOND);
    assert_eq!(cdr.ended_by, Some(EndedBy::Caller));
}

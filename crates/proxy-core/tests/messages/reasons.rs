//! The Reason header, RFC 3326: passed on a CANCEL, and kept in the record of what ended the call.

use crate::bench::*;

const CALLEE: &str = "sip:callee@203.0.113.10";
const TWO: &str = "Reason: SIP;cause=200;text=\"Call completed, elsewhere\"\r\nReason: Q.850;cause=26, X;cause=1\r\n";
const JOINED: &str = "SIP;cause=200;text=\"Call completed, elsewhere\", Q.850;cause=26, X;cause=1";

fn kept(bench: &Bench) -> (Option<&str>, Option<u16>) {
    let cdr = bench.only_cdr();
    (cdr.reason.as_deref(), cdr.q850_cause)
}

//= proves RFC 3326 §2
#[test]
fn all_reasons_of_a_cancel_go_on_with_ours_and_into_the_record() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let forwarded = only(&bench.send(CALLER, &invite), "INVITE").clone();
    bench.send(VENDOR, &reply(&forwarded.text, 180, "callee", ""));
    let cancel = beside(&invite, "CANCEL", header(&invite, "To").unwrap(), TWO);
    let sent = bench.send(CALLER, &cancel);
    assert_eq!(only(&sent, "CANCEL").header("Reason"), Some(JOINED));
    // What the vendor says to the CANCEL is not why the call ended.
    let over = reply(
        &forwarded.text,
        487,
        "callee",
        "Reason: Q.850;cause=127\r\n",
    );
    assert_eq!(only(&bench.send(VENDOR, &over), "487").what(), "487");
    assert_eq!(kept(&bench), (Some(JOINED), Some(26)));
}

#[test]
fn the_reason_of_the_bye_that_ended_the_call_is_kept() {
    for (more, reason, q850_cause) in [
        (
            "Reason: Q.850;cause=16\r\n",
            Some("Q.850;cause=16"),
            Some(16),
        ),
        (TWO, Some(JOINED), Some(26)),
        ("Reason: ;;=\"\r\n", Some(";;=\""), None),
        (
            "Reason: Q.850\r\n ;cause=31\r\n",
            Some("Q.850 ;cause=31"),
            Some(31),
        ),
        ("Reason:\r\n", None, None),
        ("", None, None),
    ] {
        let mut bench = Bench::new(&ONE_VENDOR);
        let (caller, callee) = bench.answered_call();
        let bye = bench.request(&caller, "BYE", CALLEE, 2, more);
        let sent = bench.send(CALLER, &bye);
        let forwarded = only(&sent, "BYE").clone();
        // The other side's crosses it.
        let other = bench.request(&callee, "BYE", "sip:x@y", 1, "Reason: Q.850;cause=99\r\n");
        let other = bench.send(VENDOR, &other)[0].clone();
        bench.send(VENDOR, &reply(&forwarded.text, 200, "", ""));
        bench.send(CALLER, &reply(&other.text, 200, "", ""));
        assert_eq!(kept(&bench), (reason, q850_cause), "{more:?}");
        bench.rest();
    }
}

#[test]
fn the_reason_of_a_refused_call_is_that_of_the_response_the_caller_hears() {
    // The two vendors' answers, what the caller hears, and the cause that the record keeps.
    for (first, second, heard, q850_cause) in [
        (
            (503, "Reason: Q.850;cause=42\r\n"),
            (486, "Reason: Q.850;cause=17\r\n"),
            "486",
            Some(17),
        ),
        (
            (500, "Reason: Q.850;cause=41\r\n"),
            (503, "Reason: Q.850;cause=42\r\n"),
            "500",
            Some(41),
        ),
        ((503, "Reason: Q.850;cause=42\r\n"), (404, ""), "404", None),
    ] {
        let mut bench = Bench::new(&TWO_VENDORS);
        let invite = bench.invite();
        let one = only(&bench.send(CALLER, &invite), "INVITE").clone();
        let sent = bench.send(VENDOR, &reply(&one.text, first.0, "x", first.1));
        let two = only(&sent, "INVITE").clone();
        let sent = bench.send(SECOND_VENDOR, &reply(&two.text, second.0, "y", second.1));
        let response = sent.iter().find(|sent| sent.to.to_string() == CALLER);
        assert_eq!(response.unwrap().what(), heard);
        assert_eq!(bench.only_cdr().q850_cause, q850_cause, "{heard}");
    }
}

#[test]
fn the_reason_of_a_vendor_that_failed_is_not_that_of_the_call_that_another_answered() {
    let mut bench = Bench::new(&TWO_VENDORS);
    let invite = bench.invite();
    let one = only(&bench.send(CALLER, &invite), "INVITE").clone();
    let refusal = reply(&one.text, 503, "x", "Reason: Q.850;cause=42\r\n");
    let two = only(&bench.send(VENDOR, &refusal), "INVITE").clone();
    let ok = reply(
        &two.text,
        200,
        "y",
        "Contact: <sip:callee@203.0.113.11>\r\n",
    );
    let sent = bench.send(SECOND_VENDOR, &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    let bye = bench.request(&caller, "BYE", CALLEE, 2, "");
    let bye = bench.send(CALLER, &bye)[0].clone();
    bench.send(SECOND_VENDOR, &reply(&bye.text, 200, "", ""));
    assert_eq!(kept(&bench), (None, None));
}

/// A call that rings and is cancelled: the INVITE and the CANCEL as the vendor gets them.
fn cancelled(bench: &mut Bench, invite: &str, more: &str) -> (Sent, Sent) {
    let forwarded = only(&bench.send(CALLER, invite), "INVITE").clone();
    bench.send(VENDOR, &reply(&forwarded.text, 180, "callee", ""));
    let cancel = beside(invite, "CANCEL", header(invite, "To").unwrap(), more);
    let sent = bench.send(CALLER, &cancel);
    let cancel = only(&sent, "CANCEL").clone();
    bench.send(VENDOR, &reply(&forwarded.text, 487, "callee", ""));
    (forwarded, cancel)
}

#[test]
fn of_reasons_beyond_a_kilobyte_whole_values_are_kept_as_far_as_they_fit() {
    let long = |length: usize| format!("SIP;text=\"{}\"", ",".repeat(length));
    let q850 = "Q.850;cause=16";
    for (lines, kept) in [
        (vec![long(3000)], None),
        (vec![long(3000), q850.to_owned()], Some(q850.to_owned())),
        (
            vec![format!("{q850}, {}", long(3000))],
            Some(q850.to_owned()),
        ),
        (
            vec![long(600), format!("{},{q850}", long(600))],
            Some(format!("{}, {q850}", long(600))),
        ),
        (vec![long(1013)], Some(long(1013))),
        (vec![long(1014)], None),
    ] {
        let more: String = lines
            .iter()
            .map(|line| format!("Reason: {line}\r\n"))
            .collect();
        let mut bench = Bench::new(&ONE_VENDOR);
        let invite = bench.invite();
        let (_, cancel) = cancelled(&mut bench, &invite, &more);
        assert_eq!(cancel.header("Reason"), kept.as_deref());
        let cause = kept.as_ref().filter(|kept| kept.contains(q850));
        assert_eq!(self::kept(&bench), (kept.as_deref(), cause.map(|_| 16)));
    }
}

#[test]
fn a_cancel_that_its_reason_makes_too_long_for_a_datagram_goes_without() {
    let reason = format!("SIP;text=\"{}\"", "x".repeat(1000));
    // A re-INVITE toward a callee behind nine proxies with long names.
    let outcome = |padding: usize| {
        let mut bench = Bench::new(&ONE_VENDOR);
        let invite = bench.invite();
        let forwarded = only(&bench.send(CALLER, &invite), "INVITE").clone();
        let ok = reply(
            &forwarded.text,
            200,
            "callee",
            "Contact: <sip:callee@203.0.113.10>\r\n",
        );
        let route = |length| {
            let padding = "y".repeat(length);
            format!("Record-Route: <sip:203.0.113.10;lr;x={padding}>\r\nRecord-Route:")
        };
        let ok = (0..9).fold(ok, |ok, at| {
            let length = if at == 0 { padding } else { 7700 };
            ok.replacen("Record-Route:", &route(length), 1)
        });
        let (caller, _) = Dialog::pair(only(&bench.send(VENDOR, &ok), "200"));
        let caller = Dialog {
            routes: caller.routes.lines().next().unwrap().to_owned() + "\r\n",
            ..caller
        };
        assert!(caller.routes.contains("tdm="), "{}", caller.routes);
        let invite = bench.request(&caller, "INVITE", CALLEE, 2, "");
        let forwarded = only(&bench.send(CALLER, &invite), "INVITE").clone();
        bench.send(VENDOR, &reply(&forwarded.text, 180, "", ""));
        let more = format!("Reason: {reason}\r\n");
        let cancel = beside(&invite, "CANCEL", &caller.to, &more);
        let sent = bench.send(CALLER, &cancel);
        (forwarded, only(&sent, "CANCEL").clone())
    };
    let (forwarded, cancel) = outcome(1000);
    assert_eq!(cancel.header("Reason"), Some(reason.as_str()));
    let (forwarded, cancel) = outcome(1000 + 65_300 - forwarded.text.len());
    assert_eq!(forwarded.text.len(), 65_300);
    assert!(cancel.text.len() <= 65_507, "{}", cancel.text.len());
    assert_eq!(cancel.header("Reason"), None);
}

//! Strict routers on either side of the proxy: RFC 3261 §16.4 for what they rewrote, §16.6(6) for what they need.

use crate::bench::*;
use proxy_core::{CoreConfig, PreloadedRoute, Stat, UnknownDialog};

/// A proxy between us and the callee that routes strictly.
const STRICT: &str = "203.0.113.20:5062";

/// The request as a strict router upstream of us passes it on: our own Route in the Request-URI, the remote target last.
fn by_strict_router(side: &Dialog, request: &str) -> String {
    let ours = side.routes.trim_end().strip_prefix("Route: <").unwrap();
    let ours = ours.strip_suffix('>').unwrap();
    let (line, rest) = request.split_once("\r\n").unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let rest = rest.replace(&side.routes, &format!("Route: <{target}>\r\n"));
    format!("{method} {ours} SIP/2.0\r\n{rest}")
}

//= proves RFC 3261 §16.4
#[test]
fn our_own_uri_in_the_request_line_gives_way_to_the_last_route() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, callee) = bench.answered_call();
    for (side, from, to, target) in [
        (&caller, CALLER, VENDOR, "sip:callee@203.0.113.10"),
        (&callee, VENDOR, CALLER, "sip:caller@198.51.100.10"),
    ] {
        // Such routers are old: their branch need not tell one request from another.
        let info = bench.request(side, "INFO", target, 2, "");
        let info = by_strict_router(side, &info).replace("z9hG4bKbench", "old");
        let sent = bench.send(from, &info);
        let forwarded = only(&sent, "INFO");
        assert_eq!(
            (forwarded.to.to_string().as_str(), forwarded.uri()),
            (to, target)
        );
        assert_eq!(forwarded.header("Route"), None, "{}", forwarded.text);
        assert!(
            bench.send(from, &info).is_empty(),
            "a retransmission is absorbed"
        );
        let sent = bench.send(to, &reply(&forwarded.text, 200, "", ""));
        assert_eq!(summary(&sent), [(from.to_owned(), "200")]);
    }
    assert_eq!(bench.stat(Stat::RequestsRetransmitted), 2);
    let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
    let sent = bench.send(CALLER, &by_strict_router(&caller, &ack));
    assert_eq!(only(&sent, "ACK").uri(), "sip:callee@203.0.113.10");
}

//= proves RFC 3261 §16.4
#[test]
fn a_cookie_in_the_request_line_is_worth_as_much_as_one_in_the_route() {
    let (caller, _) = Bench::new(&ONE_VENDOR).answered_call();
    let mut bench = Bench::with(
        CoreConfig {
            boot: 2,
            ..config()
        },
        &ONE_VENDOR,
    );
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &by_strict_router(&caller, &bye));
    let bye = only(&sent, "BYE");
    assert_eq!(
        (bye.to.to_string().as_str(), bye.uri()),
        (VENDOR, "sip:callee@203.0.113.10")
    );
    assert_eq!(bye.header("Route"), None, "{}", bye.text);
    let info = bench.request(&caller, "INFO", "sip:callee@203.0.113.99", 3, "");
    let sent = bench.send(CALLER, &by_strict_router(&caller, &info));
    assert_eq!(
        summary(&sent),
        [(CALLER.to_owned(), "403")],
        "another target than the trunk"
    );
}

/// A call whose callee sits behind the strict router.
fn call_behind_strict_router(bench: &mut Bench) -> Dialog {
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let contact = "Contact: <sip:callee@203.0.113.10>\r\n";
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", contact);
    let recorded = format!("\r\nRecord-Route: <sip:{STRICT};x=y>\r\nRecord-Route:");
    let ok = ok.replacen("\r\nRecord-Route:", &recorded, 1);
    let sent = bench.send(VENDOR, &ok);
    Dialog::pair(only(&sent, "200")).0
}

fn is_for_strict_router(sent: &Sent) {
    assert_eq!(sent.to.to_string(), STRICT, "{}", sent.text);
    assert_eq!(sent.uri(), format!("sip:{STRICT};x=y"));
    assert_eq!(sent.header("Route"), Some("<sip:callee@203.0.113.10>"));
}

//= proves RFC 3261 §16.6(6)
#[test]
fn a_stored_route_set_that_begins_with_a_strict_router_is_written_its_way() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let caller = call_behind_strict_router(&mut bench);
    for method in ["ACK", "INFO", "INVITE"] {
        let cseq = if method == "INVITE" { 3 } else { 2 };
        let cseq = if method == "ACK" { 1 } else { cseq };
        let request = bench.request(&caller, method, "sip:callee@203.0.113.10", cseq, "");
        let sent = bench.send(CALLER, &request);
        is_for_strict_router(only(&sent, method));
    }
}

//= proves RFC 3261 §16.6(6)
#[test]
fn a_cancel_goes_to_the_strict_router_with_the_line_of_its_invite() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let caller = call_behind_strict_router(&mut bench);
    let invite = bench.request(&caller, "INVITE", "sip:callee@203.0.113.10", 2, "");
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    bench.send(STRICT, &reply(&forwarded.text, 180, "", ""));
    let cancel = beside(&invite, "CANCEL", &caller.to, "");
    let sent = bench.send(CALLER, &cancel);
    let cancel = only(&sent, "CANCEL");
    is_for_strict_router(cancel);
    assert_eq!(cancel.header("Via"), forwarded.header("Via"));
}

//= proves RFC 3261 §12.2.1.1
#[test]
fn a_bye_of_our_own_goes_through_a_strict_router() {
    let mut short = config();
    short.policy.max_call_us = 60 * SECOND;
    let mut bench = Bench::with(short, &ONE_VENDOR);
    let caller = call_behind_strict_router(&mut bench);
    let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.10", 1, "");
    bench.send(CALLER, &ack);
    let sent = bench.wait(61 * SECOND);
    let byes: Vec<&Sent> = sent.iter().filter(|sent| sent.what() == "BYE").collect();
    let toward_callee = byes.iter().find(|bye| bye.to.to_string() == STRICT);
    is_for_strict_router(toward_callee.unwrap());
}

//= proves RFC 3261 §16.6(6)
#[test]
fn a_preloaded_strict_route_takes_the_request_line_and_leaves_the_others_before_the_target() {
    let mut trusting = config();
    trusting.policy.preloaded_route = PreloadedRoute::Follow;
    let mut bench = Bench::with(trusting, &ONE_VENDOR);
    let routes = format!("Max-Forwards: 70\r\nRoute: <sip:{STRICT}>, <sip:203.0.113.30;lr>");
    let invite = bench.invite().replace("Max-Forwards: 70", &routes);
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE");
    assert_eq!(forwarded.to.to_string(), STRICT);
    assert_eq!(forwarded.uri(), format!("sip:{STRICT}"));
    let routes: Vec<&str> = forwarded
        .text
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("Route: "))
        .collect();
    assert_eq!(routes, ["<sip:203.0.113.30;lr>", "<sip:4930123@192.0.2.1>"]);
}

//= proves RFC 3261 §16.4
#[test]
fn a_maddr_that_names_us_is_stripped_and_one_that_does_not_is_followed() {
    let mut trusting = config();
    trusting.policy.unknown_dialog = UnknownDialog::Forward;
    let mut bench = Bench::with(trusting, &ONE_VENDOR);
    let caller = Dialog::caller("callee");
    for (cseq, uri, to, becomes) in [
        (
            1,
            "sip:x@203.0.113.50;a=1;maddr=192.0.2.1;transport=udp;b",
            "203.0.113.50:5060",
            "sip:x@203.0.113.50;a=1;b",
        ),
        (
            2,
            "sip:203.0.113.50:5060;maddr=192.0.2.1",
            "203.0.113.50:5060",
            "sip:203.0.113.50",
        ),
        (
            3,
            "sip:x@203.0.113.50;maddr=203.0.113.51",
            "203.0.113.51:5060",
            "sip:x@203.0.113.50;maddr=203.0.113.51",
        ),
    ] {
        let info = bench.request(&caller, "INFO", uri, cseq, "");
        let sent = bench.send(CALLER, &info);
        let info = only(&sent, "INFO");
        assert_eq!((info.to.to_string().as_str(), info.uri()), (to, becomes));
    }
}

//= proves RFC 3261 §16.3(1)
#[test]
fn a_malformed_route_or_contact_is_answered_400_by_name() {
    for (line, reason) in [
        ("Route: <sip:192.0.2.1;lr", "Malformed Route"),
        ("Route: <sip:192.0.2.1;lr>,,", "Malformed Route"),
        ("Contact: sip:a@b?x=y", "Malformed Contact"),
    ] {
        let mut bench = Bench::new(&ONE_VENDOR);
        let lines = format!("Max-Forwards: 70\r\n{line}");
        let invite = bench.invite().replace("Max-Forwards: 70", &lines);
        let sent = bench.send(CALLER, &invite);
        assert_eq!(summary(&sent), [(CALLER.to_owned(), "400")], "{line}");
        let start = sent[0].text.split("\r\n").next();
        assert_eq!(start, Some(format!("SIP/2.0 400 {reason}").as_str()));
    }
}

//= proves RFC 3261 §16.4
#[test]
fn a_cookie_that_we_did_not_make_turns_no_route_into_a_request_line() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    for cookie in ["x".to_owned(), caller.cookie().replace('A', "B")] {
        let uri = format!("sip:{PROXY};lr;tdm={cookie}");
        let options = bench
            .request(&Dialog::caller(""), "OPTIONS", &uri, 1, "")
            .replace(
                "Max-Forwards: 70",
                "Max-Forwards: 0\r\nRoute: <sip:49301@192.0.2.1;lr>",
            );
        let sent = bench.send(CALLER, &options);
        assert_eq!(summary(&sent), [(CALLER.to_owned(), "200")], "it is for us");
    }
}

//= proves RFC 3261 §16.4
//= proves RFC 3261 §16.3(2)
//= proves RFC 3261 §16.3(3)
#[test]
fn what_a_strict_router_sent_is_judged_by_what_would_leave() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let (caller, _) = bench.answered_call();
    for (cseq, target, hops, status) in [
        (2, "sips:callee@203.0.113.10", 70, "416"),
        (3, "sip:callee@203.0.113.10", 0, "483"),
    ] {
        let info = bench.request(&caller, "INFO", target, cseq, "");
        let info = info.replace("Max-Forwards: 70", &format!("Max-Forwards: {hops}"));
        let sent = bench.send(CALLER, &by_strict_router(&caller, &info));
        assert_eq!(summary(&sent), [(CALLER.to_owned(), status)]);
    }
}

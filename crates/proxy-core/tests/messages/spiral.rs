//! A call that passes through here twice, with a proxy between: one Call-ID, one pair of tags, two calls.

use crate::bench::*;

const MIDDLE: &str = VENDOR;
const CALLEE: &str = SECOND_VENDOR;

/// The proxy in the middle is a vendor for one customer and a customer itself.
const SPIRAL: Routes = Routes {
    customers: "name,rate_sheet,routing_plan\nacme,acme,plan\nmiddle,acme,onward\n",
    customer_addresses: "customer,address\nacme,198.51.100.0/24\nmiddle,203.0.113.10\n",
    routing_plans: "name,mode\nplan,lcr\nonward,lcr\n",
    routes: "plan,prefix,vendor\nplan,,v0\nonward,,v1\n",
    ..TWO_VENDORS
};

/// Sends a request through both passes, the middle adding its Via and, when it stays in the way, its Record-Route.
/// Gives what arrived at the end.
fn through(bench: &mut Bench, from: &str, request: &str, record: bool) -> Sent {
    let method = request.split(' ').next().unwrap().to_owned();
    let mut sent = only(&bench.send(from, request), &method).clone();
    let ends = [CALLER, CALLEE];
    for _ in 0..4 {
        let to = sent.to.to_string();
        if ends.contains(&to.as_str()) {
            return sent;
        }
        if to == PROXY {
            sent = only(&bench.send(PROXY, &sent.text), &method).clone();
            continue;
        }
        assert_eq!(to, MIDDLE, "{}", sent.text);
        let own_route = format!("Route: <sip:{MIDDLE};lr>\r\n");
        let mut text = sent.text.replacen(&own_route, "", 1);
        let via = format!(
            "\r\nVia: SIP/2.0/UDP {MIDDLE};branch={}\r\n",
            bench.branch()
        );
        text = text.replacen("\r\n", &via, 1);
        if record {
            text = text.replacen(
                "\r\nRecord-Route",
                &format!("\r\nRecord-Route: <sip:{MIDDLE};lr>\r\nRecord-Route"),
                1,
            );
        }
        sent = only(&bench.send(MIDDLE, &text), &method).clone();
    }
    panic!("the request goes in circles: {}", sent.text);
}

/// Sends the response to a request that arrived back through both passes.
fn back(bench: &mut Bench, from: &str, response: &str) -> Sent {
    let mut sent = bench.send(from, response);
    for _ in 0..4 {
        let [only] = &sent[..] else {
            panic!("{:?}", summary(&sent))
        };
        let only = only.clone();
        match only.to.to_string().as_str() {
            PROXY => sent = bench.send(PROXY, &only.text),
            MIDDLE => {
                // Its own Via is on top.
                let end = only.text.find("Via: ").unwrap();
                let line_end = end + only.text[end..].find("\r\n").unwrap() + 2;
                let text = format!("{}{}", &only.text[..end], &only.text[line_end..]);
                sent = bench.send(MIDDLE, &text);
            }
            _ => return only,
        }
    }
    panic!("the response goes in circles");
}

fn spiral(record: bool, caller_hangs_up: bool, keeps_routes: bool) {
    let mut bench = Bench::new(&SPIRAL);
    let invite = bench.invite();
    let arrived = through(&mut bench, CALLER, &invite, record);
    assert_eq!(arrived.to.to_string(), CALLEE);
    bench.wait(2 * SECOND);
    let contact = "Contact: <sip:callee@203.0.113.11>\r\n";
    let ok = reply(&arrived.text, 200, "callee", contact);
    let answer = back(&mut bench, CALLEE, &ok);
    assert_eq!(
        (answer.to.to_string().as_str(), answer.what()),
        (CALLER, "200")
    );
    let (caller, callee) = Dialog::pair(&answer);
    let kept = |side: Dialog| match keeps_routes {
        true => side,
        false => Dialog {
            routes: String::new(),
            ..side
        },
    };
    let caller = kept(caller);
    let callee = kept(Dialog {
        address: CALLEE.to_owned(),
        ..callee
    });
    let ack = bench.request(&caller, "ACK", "sip:callee@203.0.113.11", 1, "");
    let arrived = through(&mut bench, CALLER, &ack, false);
    assert_eq!(arrived.to.to_string(), CALLEE);

    bench.wait(30 * SECOND);
    let (side, from, to, uri, cseq) = if caller_hangs_up {
        (&caller, CALLER, CALLEE, "sip:callee@203.0.113.11", 2)
    } else {
        (&callee, CALLEE, CALLER, "sip:caller@198.51.100.10", 1)
    };
    let bye = bench.request(side, "BYE", uri, cseq, "");
    let arrived = through(&mut bench, from, &bye, false);
    assert_eq!(arrived.to.to_string(), to);
    let ok = reply(&arrived.text, 200, "", "");
    let answer = back(&mut bench, to, &ok);
    assert_eq!(
        (answer.to.to_string().as_str(), answer.what()),
        (from, "200")
    );
    let cdrs = bench.cdrs();
    assert_eq!(cdrs.len(), 2, "{cdrs:#?}");
    let mut customers: Vec<&str> = cdrs.iter().map(|cdr| cdr.customer.as_str()).collect();
    customers.sort_unstable();
    assert_eq!(customers, ["acme", "middle"]);
    assert!(
        cdrs.iter().all(|cdr| cdr.duration_us == 30 * SECOND),
        "{cdrs:#?}"
    );
    bench.rest();
}

#[test]
fn the_caller_ends_a_spiral_through_a_proxy_that_stays_in_the_way() {
    spiral(true, true, true);
}

#[test]
fn the_callee_ends_a_spiral_through_a_proxy_that_stays_in_the_way() {
    spiral(true, false, true);
}

#[test]
fn the_caller_ends_a_spiral_through_a_proxy_that_does_not() {
    spiral(false, true, true);
}

#[test]
fn the_callee_ends_a_spiral_through_a_proxy_that_does_not() {
    spiral(false, false, true);
}

#[test]
fn without_a_route_the_source_tells_the_passes_of_a_spiral_apart() {
    spiral(true, true, false);
    spiral(true, false, false);
}

#[test]
fn a_bye_to_a_pass_that_is_over_is_answered_481_and_ends_the_other_pass() {
    let mut bench = Bench::new(&SPIRAL);
    let invite = bench.invite();
    let arrived = through(&mut bench, CALLER, &invite, false);
    let contact = "Contact: <sip:callee@203.0.113.11>\r\n";
    let ok = reply(&arrived.text, 200, "callee", contact);
    let answer = back(&mut bench, CALLEE, &ok);
    let (caller, callee) = Dialog::pair(&answer);
    let callee = Dialog {
        address: CALLEE.to_owned(),
        ..callee
    };
    // The first pass ends, and the second never hears of it.
    let bye = bench.request(&caller, "BYE", "sip:callee@203.0.113.11", 2, "");
    let bye = only(&bench.send(CALLER, &bye), "BYE").clone();
    bench.send(&bye.to.to_string(), &reply(&bye.text, 200, "", ""));
    assert_eq!(bench.core.live_calls(), 1);

    let bye = bench.request(&callee, "BYE", "sip:caller@198.51.100.10", 1, "");
    let bye = only(&bench.send(CALLEE, &bye), "BYE").clone();
    assert_eq!(bye.to.to_string(), PROXY);
    let gone = only(&bench.send(PROXY, &bye.text), "481").clone();
    let sent = bench.send(PROXY, &gone.text);
    assert_eq!(summary(&sent), [(CALLEE.to_owned(), "481")]);
    assert_eq!(bench.core.live_calls(), 0);
    assert_eq!(bench.cdrs().len(), 2);
    bench.rest();
}

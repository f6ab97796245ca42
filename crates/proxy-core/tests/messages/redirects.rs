//! Redirects of a vendor that may: only to its own gateways, each Contact once, never upstream (RFC 3261 §16.5, §16.7(4)).

use crate::bench::*;
use accounting::Cause;
use proxy_core::{CoreConfig, Policy, Stat};

/// `v0` may redirect and has three gateways, `v1` is next.
const REDIRECT: Routes = Routes {
    vendors: "name,rate_sheet,redirect\nv0,v0,true\nv1,v1,\n",
    vendor_gateways: "vendor,address,priority\nv0,203.0.113.10,1\nv0,203.0.113.20:5070,2\nv0,gw.vendor.example,3\nv1,203.0.113.11,1\n",
    routing_plans: "name,mode,max_attempts\nplan,lcr,20\n",
    ..TWO_VENDORS
};

const SECOND_GATEWAY: &str = "203.0.113.20:5070";

/// Calls, and lets the first gateway redirect with these Contacts.
fn redirected(bench: &mut Bench, contacts: &str) -> Vec<Sent> {
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    assert_eq!(forwarded.to.to_string(), VENDOR);
    redirect(bench, &forwarded, contacts)
}

fn redirect(bench: &mut Bench, invite: &Sent, contacts: &str) -> Vec<Sent> {
    let text = reply(&invite.text, 302, "r", &format!("Contact: {contacts}\r\n"));
    let address = invite.to.to_string();
    let sent = bench.send(&address, &text);
    sent.into_iter()
        .filter(|sent| sent.what() != "ACK")
        .collect()
}

fn refuse(bench: &mut Bench, invite: &Sent, status: u16) -> Vec<Sent> {
    let text = reply(&invite.text, status, "r", "");
    let sent = bench.send(&invite.to.to_string(), &text);
    sent.into_iter()
        .filter(|sent| sent.what() != "ACK")
        .collect()
}

/// Destination and request URI of the only INVITE.
fn went(sent: &[Sent]) -> (String, String) {
    let invite = only(sent, "INVITE");
    (invite.to.to_string(), invite.uri().to_owned())
}

//= proves RFC 3261 §16.5
#[test]
fn a_contact_at_a_gateway_of_the_vendor_is_followed() {
    let mut bench = Bench::new(&REDIRECT);
    let sent = redirected(
        &mut bench,
        "<sip:+15550001;rn=15559999;npdi@203.0.113.20:5070;transport=udp;user=phone?Subject=x>",
    );
    assert_eq!(
        went(&sent),
        (
            SECOND_GATEWAY.to_owned(),
            "sip:+15550001;rn=15559999;npdi@203.0.113.20:5070;user=phone".to_owned()
        )
    );
    assert_eq!(bench.stat(Stat::RedirectsFollowed), 1);
    let ok = reply(
        &only(&sent, "INVITE").text,
        200,
        "callee",
        "Contact: <sip:c@203.0.113.20:5070>\r\n",
    );
    let answer = bench.send(SECOND_GATEWAY, &ok);
    let (caller, _) = Dialog::pair(only(&answer, "200"));
    bench.wait(10 * SECOND);
    let bye = bench.request(&caller, "BYE", "sip:c@203.0.113.20:5070", 2, "");
    let sent = bench.send(CALLER, &bye);
    bench.send(SECOND_GATEWAY, &reply(&sent[0].text, 200, "", ""));
    bench.rest();
    let cdr = bench.only_cdr();
    let attempts: Vec<_> = cdr
        .attempts
        .iter()
        .map(|attempt| {
            (
                attempt.vendor.as_str(),
                attempt.next_hop.as_str(),
                attempt.callee_sent.as_str(),
                attempt.status,
                attempt.cause,
            )
        })
        .collect();
    assert_eq!(
        attempts,
        [
            ("v0", VENDOR, "4930123", 302, Cause::VendorRedirect),
            ("v0", SECOND_GATEWAY, "+15550001", 200, Cause::Answered)
        ]
    );
    assert_eq!(cdr.callee_sent.as_deref(), Some("+15550001"));
    assert_eq!(cdr.rated().vendor_price, Some("0.01".parse().unwrap()));
    assert_eq!(bench.stat(Stat::Failovers), 0);
}

//= proves RFC 3261 §16.5
#[test]
fn contacts_are_tried_by_q_and_then_in_their_order() {
    let mut bench = Bench::new(&REDIRECT);
    let mut sent = redirected(
        &mut bench,
        "<sip:1@203.0.113.10>;q=0.2, <sip:2@203.0.113.20:5070>;q=0.9, <sip:3@203.0.113.10>, \
         <sip:4@203.0.113.10>;q=0.9",
    );
    let mut users = Vec::new();
    while users.len() < 4 {
        let invite = only(&sent, "INVITE").clone();
        let user = invite.uri().split(['@', ':']).nth(1).unwrap().to_owned();
        users.push(user);
        sent = refuse(&mut bench, &invite, 503);
    }
    assert_eq!(users, ["3", "2", "4", "1"]);
    // Then the vendor's next gateway, with the number of the call.
    assert_eq!(went(&sent).1, "sip:4930123@203.0.113.20:5070");
}

//= proves RFC 3261 §16.5
#[test]
fn a_contact_that_is_not_the_vendors_own_is_a_failed_attempt() {
    for contact in [
        "<sip:1@203.0.113.11>",
        "<sip:1@203.0.113.10:5080>",
        "<sip:1@203.0.113.20>",
        "<sip:1@192.0.2.66>",
        "<sip:1@vendor.example>",
        "<sip:1@203.0.113.10;maddr=192.0.2.66>",
        "<sip:1@203.0.113.10;transport=tcp>",
        "<sips:1@203.0.113.10>",
        "<tel:+15550001>",
        "<mailto:x@203.0.113.10>",
        "*",
        // What was tried already.
        "<sip:4930123@203.0.113.10>",
    ] {
        let mut bench = Bench::new(&REDIRECT);
        let sent = redirected(&mut bench, contact);
        assert_eq!(went(&sent).1, "sip:4930123@203.0.113.20:5070", "{contact}");
        assert_eq!(bench.stat(Stat::RedirectsFollowed), 0);
    }
    // No mark, no redirect: though the Contact is the vendor's own.
    let mut bench = Bench::new(&Routes {
        vendors: TWO_VENDORS.vendors,
        ..REDIRECT
    });
    let sent = redirected(&mut bench, "<sip:1@203.0.113.20:5070>");
    assert_eq!(went(&sent).1, "sip:4930123@203.0.113.20:5070");
}

#[test]
fn names_compare_without_case_and_go_to_the_gateway_of_that_name() {
    for contact in [
        "<sip:1@GW.Vendor.Example>",
        "<sip:1@gw.vendor.example:5060>",
        "sip:1@gw.vendor.example",
    ] {
        let mut bench = Bench::new(&REDIRECT);
        let sent = redirected(&mut bench, contact);
        assert!(sent.is_empty(), "{:?}", summary(&sent));
        let job = bench.take_job();
        let addresses = vec!["203.0.113.30:5060".parse().unwrap()];
        let answer = proxy_core::JobAnswer::Resolved {
            addresses,
            ttl_s: 60,
        };
        let sent = bench.end_job(&job, answer);
        assert_eq!(
            went(&sent),
            (
                "203.0.113.30:5060".to_owned(),
                "sip:1@gw.vendor.example".to_owned()
            )
        );
    }
}

#[test]
fn a_contact_without_a_user_keeps_the_number() {
    let mut bench = Bench::new(&REDIRECT);
    let sent = redirected(&mut bench, "<sip:203.0.113.20:5070>");
    assert_eq!(went(&sent).1, "sip:4930123@203.0.113.20:5070");
    // The gateway that comes next is that very URI: it is not tried twice.
    let sent = refuse(&mut bench, only(&sent, "INVITE"), 503);
    assert!(sent.is_empty(), "{:?}", summary(&sent));
    assert!(format!("{:?}", bench.take_job().kind).contains("gw.vendor.example"));
}

//= proves RFC 3261 §16.5
#[test]
fn each_uri_is_tried_once_and_the_number_of_contacts_is_bounded() {
    let mut bench = Bench::new(&REDIRECT);
    let sent = redirected(
        &mut bench,
        "<sip:1@203.0.113.10>, <sip:1@203.0.113.10:5060>, <sip:1@203.0.113.10;ttl=3>, <sip:2@203.0.113.10>",
    );
    let first = only(&sent, "INVITE").clone();
    assert_eq!(first.uri(), "sip:1@203.0.113.10:5060");
    // Back to where it came from, and to itself: nothing new.
    let sent = redirect(
        &mut bench,
        &first,
        "<sip:4930123@203.0.113.10>, <sip:1@203.0.113.10>",
    );
    assert_eq!(went(&sent).1, "sip:2@203.0.113.10:5060");

    for limit in [0, 1, 3] {
        let policy = Policy {
            redirects_max: limit,
            ..Policy::default()
        };
        let mut bench = Bench::with(CoreConfig { policy, ..config() }, &REDIRECT);
        let mut sent = redirected(&mut bench, "<sip:1@203.0.113.10>");
        for step in 1..=limit {
            let invite = only(&sent, "INVITE").clone();
            assert_eq!(invite.uri(), format!("sip:{step}@203.0.113.10:5060"));
            let next = format!("<sip:{}@203.0.113.10>", step + 1);
            sent = redirect(&mut bench, &invite, &next);
        }
        assert_eq!(went(&sent).1, "sip:4930123@203.0.113.20:5070", "{limit}");
        assert_eq!(bench.stat(Stat::RedirectsFollowed), u64::from(limit));
    }
}

//= proves RFC 3261 §16.7(4)
#[test]
fn no_contact_of_a_redirect_goes_upstream() {
    for contact in ["<sip:1@192.0.2.66>", "<sip:1@203.0.113.10>"] {
        let mut bench = Bench::new(&Routes {
            vendor_gateways: "vendor,address\nv0,203.0.113.10\nv1,203.0.113.11\n",
            routes: "plan,prefix,vendor\nplan,,v0\n",
            ..REDIRECT
        });
        let mut sent = redirected(&mut bench, contact);
        if let [invite] = &sent[..]
            && invite.what() == "INVITE"
        {
            let invite = invite.clone();
            sent = redirect(&mut bench, &invite, "<sip:2@192.0.2.66>");
        }
        assert_eq!(summary(&sent), [(CALLER.to_owned(), "500")]);
        assert!(!sent[0].text.contains("192.0.2.66"));
    }
}

#[test]
fn a_followed_contact_that_refuses_for_good_ends_the_hunt() {
    let mut bench = Bench::new(&REDIRECT);
    let sent = redirected(&mut bench, "<sip:1@203.0.113.10>, <sip:2@203.0.113.10>");
    let sent = refuse(&mut bench, only(&sent, "INVITE"), 486);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "486")]);
}

#[test]
fn a_redirect_is_followed_while_the_other_members_of_its_group_ring() {
    let mut bench = Bench::new(&Routes {
        vendor_gateways: "vendor,address\nv0,203.0.113.10\nv1,203.0.113.11\n",
        routing_plans: "name,mode,forking\nplan,static,parallel\n",
        ..REDIRECT
    });
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let at = |address: &str| {
        let found = sent.iter().find(|sent| sent.to.to_string() == address);
        found.unwrap().clone()
    };
    let (first, second) = (at(VENDOR), at(SECOND_VENDOR));
    bench.send(SECOND_VENDOR, &reply(&second.text, 180, "b", ""));
    let sent = redirect(&mut bench, &first, "<sip:1@203.0.113.10>");
    let followed = only(&sent, "INVITE").clone();
    assert_eq!(followed.uri(), "sip:1@203.0.113.10:5060");
    // What the group has left decides when it is over.
    assert!(refuse(&mut bench, &second, 503).is_empty());
    let sent = refuse(&mut bench, &followed, 480);
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "480")]);
}

#[test]
fn a_redirect_after_the_cancel_is_not_followed() {
    let mut bench = Bench::new(&REDIRECT);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    bench.send(VENDOR, &reply(&forwarded.text, 180, "r", ""));
    let cancel = beside(&invite, "CANCEL", header(&invite, "To").unwrap(), "");
    bench.send(CALLER, &cancel);
    let sent = redirect(&mut bench, &forwarded, "<sip:1@203.0.113.10>");
    assert_eq!(summary(&sent), [(CALLER.to_owned(), "487")]);
}

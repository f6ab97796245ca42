//! Max-Breadth, RFC 5393 §5: what a request brings, what its branches carry, and what waits.

use crate::bench::*;
use accounting::Cause;
use proxy_core::{JobAnswer, JobFailure};

/// Four vendors at once, a fifth after them.
const FIVE: Routes = Routes {
    vendors: "name\nv0\nv1\nv2\nv3\nv4\n",
    vendor_gateways: "vendor,address\nv0,203.0.113.10\nv1,203.0.113.11\nv2,203.0.113.12\nv3,203.0.113.13\nv4,203.0.113.14\n",
    routing_plans: "name,mode,forking\nplan,static,parallel\n",
    routes: "plan,prefix,vendor,priority\nplan,,v0,1\nplan,,v1,1\nplan,,v2,1\nplan,,v3,1\nplan,,v4,2\n",
    ..TWO_VENDORS
};

const ONE_BY_ONE: Routes = Routes {
    routing_plans: "name,mode\nplan,static\n",
    ..FIVE
};

fn call(bench: &mut Bench, header: &str) -> Vec<Sent> {
    let invite = bench.invite();
    let invite = invite.replace("Content-Length", &format!("{header}Content-Length"));
    bench.send(CALLER, &invite)
}

fn invites(sent: &[Sent]) -> Vec<Sent> {
    let invites = sent.iter().filter(|sent| sent.what() == "INVITE");
    invites.cloned().collect()
}

fn shares(sent: &[Sent]) -> Vec<u32> {
    let shares = sent.iter().map(|sent| {
        let lines = sent.text.matches("Max-Breadth: ").count();
        assert_eq!(lines, 1, "{}", sent.text);
        sent.header("Max-Breadth").unwrap().parse().unwrap()
    });
    shares.collect()
}

fn refuse(bench: &mut Bench, invite: &Sent, status: u16) -> Vec<Sent> {
    let text = reply(&invite.text, status, "tag", "");
    bench.send(&invite.to.to_string(), &text)
}

//= proves RFC 5393 §5.3.3
#[test]
fn a_request_without_max_breadth_gets_one_of_60_and_more_is_taken_for_60() {
    for header in [
        "",
        "Max-Breadth: 60\r\n",
        "Max-Breadth: 61\r\n",
        "Max-Breadth: 99999999999999999999\r\n",
    ] {
        let mut bench = Bench::new(&ONE_VENDOR);
        let sent = invites(&call(&mut bench, header));
        assert_eq!(shares(&sent), [60], "{header}");
    }
    let mut bench = Bench::new(&ONE_VENDOR);
    let sent = invites(&call(&mut bench, "Max-Breadth: 7\r\n"));
    assert_eq!(shares(&sent), [7]);
}

//= proves RFC 5393 §5.3.3
#[test]
fn parallel_branches_share_what_the_request_brought() {
    for (header, expected) in [
        ("", vec![14, 15, 15, 15]),
        ("Max-Breadth: 5\r\n", vec![1, 1, 1, 1]),
        ("Max-Breadth: 4\r\n", vec![1, 1, 1, 1]),
        ("Max-Breadth: 3\r\n", vec![1, 1, 1]),
        ("Max-Breadth: 1\r\n", vec![1]),
    ] {
        let mut bench = Bench::new(&FIVE);
        let sent = invites(&call(&mut bench, header));
        let mut found = shares(&sent);
        found.sort_unstable();
        assert_eq!(found, expected, "{header}");
    }
}

//= proves RFC 5393 §5.3.3
//= proves RFC 5393 §5.3.3.1
#[test]
fn what_does_not_fit_waits_for_a_final_response() {
    let mut bench = Bench::new(&FIVE);
    let mut out = invites(&call(&mut bench, "Max-Breadth: 2\r\n"));
    let mut tried = 2;
    // Each refusal lets the next one go: four in all, then the second group, though nobody stopped ringing.
    for _ in 0..3 {
        let next = invites(&refuse(&mut bench, &out.remove(0), 503));
        assert_eq!(shares(&next).len(), 1);
        assert!(out.iter().chain(&next).count() <= 2);
        tried += next.len();
        out.extend(next);
        if tried == 4 {
            break;
        }
    }
    assert_eq!(out.len(), 2);
    assert!(invites(&refuse(&mut bench, &out.remove(0), 503)).is_empty());
    let last = invites(&refuse(&mut bench, &out.remove(0), 503));
    assert_eq!(last[0].to.to_string(), "203.0.113.14:5060");
    assert_eq!(shares(&last), [2]);
}

//= proves RFC 5393 §5.3.3.1
#[test]
fn serial_branches_have_all_but_what_later_targets_need_and_the_last_has_all() {
    let mut bench = Bench::new(&ONE_BY_ONE);
    let mut sent = invites(&call(&mut bench, ""));
    let mut seen = Vec::new();
    while let Some(invite) = sent.pop() {
        seen.extend(shares(std::slice::from_ref(&invite)));
        sent = invites(&refuse(&mut bench, &invite, 503));
    }
    assert_eq!(seen, [56, 57, 58, 59, 60]);
}

//= proves RFC 5393 §5.3.3
#[test]
fn a_branch_that_was_given_up_on_holds_its_share_until_it_ends() {
    let mut bench = Bench::new(&ONE_BY_ONE);
    let mut sent = invites(&call(&mut bench, ""));
    sent.extend(invites(&bench.wait(16_500_000)));
    // What is sent again is the same request.
    sent.dedup_by_key(|sent| sent.to);
    assert_eq!(shares(&sent), [56, 1, 1, 1, 1]);

    // With nothing in reserve, the next target waits for the end of the transaction: 64·T1.
    let mut bench = Bench::new(&ONE_BY_ONE);
    let first = invites(&call(&mut bench, "Max-Breadth: 1\r\n"));
    let sent = bench.wait(31_900_000);
    assert!(
        sent.iter().all(|sent| sent.to == first[0].to),
        "{:?}",
        summary(&sent)
    );
    let sent = invites(&bench.wait(200_000));
    assert_eq!(shares(&sent), [1]);
    assert_ne!(sent[0].to, first[0].to);
}

//= proves RFC 5393 §5.3.1
//= proves RFC 5393 §5.3.3
#[test]
fn a_value_that_is_none_is_refused() {
    for (header, status) in [
        ("Max-Breadth: 0\r\n", "440"),
        ("Max-Breadth: 000\r\n", "440"),
        ("Max-Breadth: x\r\n", "400"),
        ("Max-Breadth: -1\r\n", "400"),
        ("Max-Breadth: 5;a=b\r\n", "400"),
        ("Max-Breadth: 5, 6\r\n", "400"),
        ("Max-Breadth:\r\n", "400"),
        ("Max-Breadth: 5\r\nMax-Breadth: 5\r\n", "400"),
    ] {
        let mut bench = Bench::new(&FIVE);
        let sent = call(&mut bench, header);
        assert_eq!(summary(&sent), [(CALLER.to_owned(), status)], "{header}");
        if status == "440" {
            assert!(
                sent[0]
                    .text
                    .starts_with("SIP/2.0 440 Max-Breadth Exceeded\r\n")
            );
            assert_eq!(bench.core.stats().refused(Cause::MaxBreadth), 1);
        }
    }
}

//= proves RFC 5393 §5.3.3
#[test]
fn requests_within_a_dialog_carry_it_too() {
    let mut bench = Bench::new(&ONE_VENDOR);
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let ok = reply(
        &only(&sent, "INVITE").text,
        200,
        "callee",
        "Contact: <sip:callee@203.0.113.10>\r\n",
    );
    let sent = bench.send(VENDOR, &ok);
    let (caller, _) = Dialog::pair(only(&sent, "200"));
    for (method, cseq, more, expected) in [
        ("ACK", 1, "", 60),
        ("INFO", 2, "Max-Breadth: 9\r\n", 9),
        ("BYE", 3, "Max-Breadth: 70\r\n", 60),
    ] {
        let request = bench.request(&caller, method, "sip:callee@203.0.113.10", cseq, more);
        let sent = bench.send(CALLER, &request);
        assert_eq!(shares(&sent), [expected], "{method}");
    }
}

//= proves RFC 5393 §5.3.3
#[test]
fn a_target_whose_name_is_being_resolved_holds_its_share() {
    let mut bench = Bench::new(&Routes {
        vendor_gateways: "vendor,address\nv0,g0.example\nv1,g1.example\nv2,g2.example\nv3,g3.example\nv4,g4.example\n",
        ..FIVE
    });
    call(&mut bench, "Max-Breadth: 2\r\n");
    assert_eq!(bench.jobs.len(), 2, "two may be out");
    let job = bench.jobs.remove(0);
    bench.end_job(&job, JobAnswer::Failed(JobFailure::Error));
    assert_eq!(
        bench.jobs.len(),
        2,
        "the next takes the place of the one that failed"
    );
    let job = bench.jobs.remove(0);
    let addresses = vec!["203.0.113.10:5060".parse().unwrap()];
    let resolved = JobAnswer::Resolved {
        addresses,
        ttl_s: 60,
    };
    let sent = invites(&bench.end_job(&job, resolved));
    assert_eq!(shares(&sent), [1]);
    assert_eq!(bench.jobs.len(), 1);
}

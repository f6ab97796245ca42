//! The members of a fork, each by itself: its channel, its name, its patience, its Timer C, its transport errors.

use crate::bench::*;
use crate::forks::{FORK, THIRD_VENDOR, ack, fork, respond, to};
use proxy_core::{CoreConfig, JobAnswer, JobFailure, Policy, Stat};

#[test]
fn a_silent_member_is_given_up_while_the_other_rings_on() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    respond(&mut bench, &invites[1], 180);
    let sent = bench.wait(10 * SECOND);
    assert!(sent.iter().all(|sent| sent.to.to_string() == VENDOR));
    let sent = respond(&mut bench, &invites[1], 200);
    assert_eq!(to(&sent, CALLER).what(), "200");
    // It speaks at last: CANCEL, and its own end.
    let sent = respond(&mut bench, &invites[0], 180);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "CANCEL")]);
}

#[test]
fn when_all_members_are_silent_the_next_group_is_tried() {
    let mut bench = Bench::new(&FORK);
    fork(&mut bench);
    let sent = bench.wait(4_100_000);
    assert_eq!(to(&sent, THIRD_VENDOR).what(), "INVITE");
}

#[test]
fn each_member_takes_a_channel_of_its_own_vendor_and_gives_it_back() {
    let mut bench = Bench::new(&Routes {
        vendors: "name,rate_sheet,channel_limit\nv0,v0,1\nv1,v1,1\nv2,v2,1\n",
        ..FORK
    });
    let (_, invites) = fork(&mut bench);
    assert_eq!(invites.len(), 2);
    let other = bench.invite().replace("call@bench", "other@bench");
    let sent = bench.send(CALLER, &other);
    // Both vendors of the group are full; the next group has room.
    assert_eq!(
        summary(&sent),
        [
            (CALLER.to_owned(), "100"),
            (THIRD_VENDOR.to_owned(), "INVITE")
        ]
    );
    assert_eq!(bench.stat(Stat::VendorLimited), 2);
    respond(&mut bench, &invites[0], 486);
    respond(&mut bench, &invites[1], 486);
    let third = bench.invite().replace("call@bench", "third@bench");
    let sent = bench.send(CALLER, &third);
    assert_eq!(sent.len(), 3, "{:?}", summary(&sent));
}

#[test]
fn a_member_whose_name_is_being_resolved_holds_up_no_other() {
    let routes = Routes {
        vendor_gateways: "vendor,address\nv0,gateway.example\nv1,203.0.113.11\nv2,203.0.113.12\n",
        ..FORK
    };
    let mut bench = Bench::new(&routes);
    let (_, invites) = fork(&mut bench);
    assert_eq!(summary(&invites), [(SECOND_VENDOR.to_owned(), "INVITE")]);
    let job = bench.take_job();
    // The other's failure does not end the group.
    let sent = respond(&mut bench, &invites[0], 503);
    assert_eq!(summary(&sent), [(SECOND_VENDOR.to_owned(), "ACK")]);
    let addresses = vec![VENDOR.parse().unwrap()];
    let resolved = JobAnswer::Resolved {
        addresses,
        ttl_s: 60,
    };
    let sent = bench.end_job(&job, resolved);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "INVITE")]);

    // No address: the next group, at once.
    let mut bench = Bench::new(&routes);
    let (_, invites) = fork(&mut bench);
    respond(&mut bench, &invites[0], 503);
    let job = bench.take_job();
    let sent = bench.end_job(&job, JobAnswer::Failed(JobFailure::QueueFull));
    assert_eq!(to(&sent, CALLER).what(), "503");

    // An answer comes first: the name is no longer wanted.
    let mut bench = Bench::new(&routes);
    let (_, invites) = fork(&mut bench);
    respond(&mut bench, &invites[0], 200);
    let job = bench.take_job();
    let addresses = vec![VENDOR.parse().unwrap()];
    let resolved = JobAnswer::Resolved {
        addresses,
        ttl_s: 60,
    };
    assert!(bench.end_job(&job, resolved).is_empty());

    // A full queue while the other rings: only this member is lost.
    let mut bench = Bench::new(&routes);
    let (_, invites) = fork(&mut bench);
    let job = bench.take_job();
    let sent = bench.end_job(&job, JobAnswer::Failed(JobFailure::QueueFull));
    assert!(sent.is_empty());
    let sent = respond(&mut bench, &invites[0], 200);
    assert_eq!(to(&sent, CALLER).what(), "200");

    // CANCEL while a name is being resolved.
    let mut bench = Bench::new(&routes);
    let (invite, invites) = fork(&mut bench);
    respond(&mut bench, &invites[0], 180);
    let cancel = beside(&invite, "CANCEL", header(&invite, "To").unwrap(), "");
    bench.send(CALLER, &cancel);
    let job = bench.take_job();
    let sent = bench.end_job(&job, JobAnswer::Failed(JobFailure::Error));
    assert!(sent.is_empty(), "{:?}", summary(&sent));
    let sent = respond(&mut bench, &invites[0], 487);
    assert_eq!(to(&sent, CALLER).what(), "487");
}

//= proves RFC 3261 §16.7(2)
//= proves RFC 3261 §16.8
#[test]
fn timer_c_begins_anew_with_every_provisional_response_but_100() {
    for (status, refreshes) in [(100, false), (180, true), (183, true), (199, true)] {
        let policy = Policy {
            timer_c_us: 200 * SECOND,
            ring_timeout_us: 3_000 * SECOND,
            ..Policy::default()
        };
        let mut bench = Bench::with(CoreConfig { policy, ..config() }, &ONE_VENDOR);
        let invite = bench.invite();
        let sent = bench.send(CALLER, &invite);
        let forwarded = only(&sent, "INVITE").clone();
        respond(&mut bench, &forwarded, 100);
        bench.wait(150 * SECOND);
        respond(&mut bench, &forwarded, status);
        let sent = bench.wait(100 * SECOND);
        let cancelled = sent.iter().any(|sent| sent.what() == "CANCEL");
        assert_eq!(cancelled, !refreshes, "{status}");
    }
}

//= proves RFC 3261 §16.8
#[test]
fn timer_c_without_a_provisional_response_is_a_408() {
    let policy = Policy {
        timer_c_us: 10 * SECOND,
        no_1xx_us: 60 * SECOND,
        ..Policy::default()
    };
    let mut bench = Bench::with(CoreConfig { policy, ..config() }, &FORK);
    let (_, invites) = fork(&mut bench);
    let sent = bench.wait(10_100_000);
    assert_eq!(to(&sent, THIRD_VENDOR).what(), "INVITE");
    assert!(sent.iter().all(|sent| sent.what() == "INVITE"), "no CANCEL");
    // Its transaction is over: what comes now is a stray.
    assert!(respond(&mut bench, &invites[0], 180).is_empty());
    assert_eq!(bench.stat(Stat::ResponsesStray), 1);
}

//= proves RFC 3261 §16.9
#[test]
fn a_member_that_cannot_be_reached_counts_as_503() {
    let mut bench = Bench::new(&FORK);
    let (_, invites) = fork(&mut bench);
    assert!(bench.unreachable(VENDOR).is_empty());
    let sent = respond(&mut bench, &invites[1], 503);
    let sent = respond(&mut bench, &to(&sent, THIRD_VENDOR), 503);
    assert_eq!(to(&sent, CALLER).what(), "500");
    let refused = to(&sent, CALLER);
    assert!(refused.header("To").unwrap().contains("tag="));
}

//= proves RFC 3261 §16.6(11)
#[test]
fn every_member_has_its_own_ring_time() {
    let policy = Policy {
        ring_timeout_us: 30 * SECOND,
        ..Policy::default()
    };
    let mut bench = Bench::with(CoreConfig { policy, ..config() }, &FORK);
    let (_, invites) = fork(&mut bench);
    respond(&mut bench, &invites[0], 180);
    bench.wait(3 * SECOND);
    respond(&mut bench, &invites[1], 180);
    let sent = bench.wait(27_300_000);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "CANCEL")]);
    let sent = respond(&mut bench, &invites[0], 487);
    assert_eq!(summary(&sent), [(VENDOR.to_owned(), "ACK")]);
    let sent = respond(&mut bench, &invites[1], 200);
    assert_eq!(to(&sent, CALLER).what(), "200");
}

#[test]
fn an_answer_that_ends_the_hunt_waits_for_no_name() {
    let mut bench = Bench::new(&Routes {
        vendor_gateways: "vendor,address\nv0,gateway.example\nv1,203.0.113.11\nv2,203.0.113.12\n",
        ..FORK
    });
    let (invite, invites) = fork(&mut bench);
    let sent = respond(&mut bench, &invites[0], 486);
    let refused = to(&sent, CALLER);
    assert_eq!(refused.what(), "486");
    ack(&mut bench, &invite, &refused);
    let job = bench.take_job();
    let addresses = vec![VENDOR.parse().unwrap()];
    let resolved = JobAnswer::Resolved {
        addresses,
        ttl_s: 60,
    };
    assert!(bench.end_job(&job, resolved).is_empty());
    bench.rest();
    assert_eq!(bench.only_cdr().attempts.len(), 1);
}

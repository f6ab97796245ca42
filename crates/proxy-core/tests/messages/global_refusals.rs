//! 6xx: one vendor's word, or the end of the hunt (RFC 3261 §16.7(5)).

use crate::bench::*;
use accounting::Cause;

const SERIAL: Routes = Routes {
    vendors: "name,rate_sheet,on_6xx\nv0,v0,next\nv1,v1,\n",
    ..TWO_VENDORS
};

const SERIAL_STOP: Routes = Routes {
    vendors: "name,rate_sheet,on_6xx\nv0,v0,stop\nv1,v1,stop\n",
    ..TWO_VENDORS
};

const PARALLEL: Routes = Routes {
    routing_plans: "name,mode,forking\nplan,static,parallel\n",
    ..SERIAL
};

const PARALLEL_STOP: Routes = Routes {
    routing_plans: "name,mode,forking\nplan,static,parallel\n",
    ..SERIAL_STOP
};

fn invites(bench: &mut Bench) -> Vec<Sent> {
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let mut invites: Vec<Sent> = sent
        .into_iter()
        .filter(|sent| sent.what() == "INVITE")
        .collect();
    invites.sort_by_key(|sent| sent.to);
    invites
}

fn respond(bench: &mut Bench, invite: &Sent, status: u16) -> Vec<Sent> {
    let tag = format!("tag-{}", invite.to.ip());
    bench.send(
        &invite.to.to_string(),
        &reply(&invite.text, status, &tag, ""),
    )
}

/// What upstream heard.
fn upstream(sent: &[Sent]) -> Vec<&str> {
    let heard = sent.iter().filter(|sent| sent.to.to_string() == CALLER);
    heard.map(Sent::what).collect()
}

/// Two vendors one after the other, or at once: what upstream hears in the end.
fn outcome(routes: &Routes, first: u16, second: u16) -> String {
    let mut bench = Bench::new(routes);
    let mut out = invites(&mut bench);
    let sent = respond(&mut bench, &out.remove(0), first);
    if let [heard] = upstream(&sent)[..] {
        return heard.to_owned();
    }
    out.extend(sent.into_iter().filter(|sent| sent.what() == "INVITE"));
    let sent = respond(&mut bench, &out.remove(0), second);
    upstream(&sent)[0].to_owned()
}

//= proves departure RFC 3261 §16.7(5)
#[test]
fn a_6xx_is_a_failed_attempt_that_any_other_answer_wins_over() {
    for routes in [&SERIAL, &PARALLEL] {
        for (first, second, heard) in [
            (603, 486, "486"),
            (603, 404, "404"),
            (600, 503, "500"),
            (603, 408, "408"),
            (603, 604, "603"),
            (606, 401, "606"),
            (603, 302, "603"),
            (503, 603, "500"),
            (401, 603, "603"),
        ] {
            assert_eq!(outcome(routes, first, second), heard, "{first} {second}");
        }
    }
    let mut bench = Bench::new(&SERIAL);
    let out = invites(&mut bench);
    let sent = respond(&mut bench, &out[0], 603);
    let second = only(&sent, "INVITE").clone();
    assert_eq!(upstream(&respond(&mut bench, &second, 200)), ["200"]);
}

#[test]
fn the_only_vendors_6xx_goes_upstream_as_it_is() {
    let mut bench = Bench::new(&Routes {
        routes: "plan,prefix,vendor\nplan,,v0\n",
        ..SERIAL
    });
    let invite = bench.invite();
    let sent = bench.send(CALLER, &invite);
    let forwarded = only(&sent, "INVITE").clone();
    let declined = reply(
        &forwarded.text,
        603,
        "theirs",
        "Reason: Q.850;cause=21\r\nX-Vendor: kept\r\n",
    );
    let sent = bench.send(VENDOR, &declined);
    let heard = only(&sent, "603");
    assert!(heard.text.contains("X-Vendor: kept") && heard.text.contains(";tag=theirs"));
    bench.send(
        CALLER,
        &beside(&invite, "ACK", heard.header("To").unwrap(), ""),
    );
    bench.rest();
    let cdr = bench.only_cdr();
    assert_eq!((cdr.status, cdr.cause), (603, Cause::Rejected));
}

//= proves RFC 3261 §16.7(5)
//= proves RFC 3261 §16.7(6)
//= proves RFC 3261 §16.7(10)
#[test]
fn a_6xx_that_stops_cancels_the_others_and_goes_upstream_when_they_are_done() {
    assert_eq!(outcome(&SERIAL_STOP, 603, 486), "603");
    let mut bench = Bench::new(&PARALLEL_STOP);
    let out = invites(&mut bench);
    respond(&mut bench, &out[1], 180);
    let sent = respond(&mut bench, &out[0], 603);
    assert_eq!(
        summary(&sent),
        [
            (VENDOR.to_owned(), "ACK"),
            (SECOND_VENDOR.to_owned(), "CANCEL")
        ]
    );
    let sent = respond(&mut bench, &out[1], 487);
    assert_eq!(upstream(&sent), ["603"]);
}

//= proves RFC 3261 §16.7(5)
#[test]
fn an_answer_that_crosses_the_6xx_wins() {
    let mut bench = Bench::new(&PARALLEL_STOP);
    let out = invites(&mut bench);
    respond(&mut bench, &out[1], 180);
    respond(&mut bench, &out[0], 603);
    assert_eq!(upstream(&respond(&mut bench, &out[1], 200)), ["200"]);
}

#[test]
fn a_6xx_that_stops_wins_over_a_better_class() {
    assert_eq!(outcome(&PARALLEL_STOP, 486, 603), "603");
    assert_eq!(outcome(&PARALLEL_STOP, 503, 600), "600");
}

//= proves RFC 3261 §16.7(6)
#[test]
fn a_vendors_6xx_tells_the_caller_more_than_the_silence_of_another() {
    for routes in [&SERIAL, &PARALLEL] {
        for (declines, silent) in [(VENDOR, SECOND_VENDOR), (SECOND_VENDOR, VENDOR)] {
            let mut bench = Bench::new(routes);
            let mut sent = invites(&mut bench);
            let mut heard = Vec::new();
            let mut declined = false;
            for _ in 0..100 {
                let invite = sent
                    .iter()
                    .find(|sent| sent.what() == "INVITE" && sent.to == declines.parse().unwrap());
                sent = match invite.filter(|_| !declined) {
                    Some(invite) => {
                        declined = true;
                        respond(&mut bench, &invite.clone(), 603)
                    }
                    None => bench.wait(SECOND),
                };
                heard.extend(upstream(&sent).into_iter().map(str::to_owned));
            }
            heard.dedup();
            assert_eq!(heard, ["603"], "{silent} is silent");
            let cdr = bench.only_cdr();
            assert_eq!((cdr.status, cdr.cause), (603, Cause::Rejected));
        }
    }
}

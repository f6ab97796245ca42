//! Each invariant can fail: a run that holds them all is broken in one place, and that place is named.

use super::*;
use crate::clock::MS;
use crate::peer_caller::CallPlan;
use crate::peer_vendor::VendorScript;
use crate::sip_text::SipText;
use crate::world::{VendorPlan, WorldConfig};

/// One call that has run its course.
fn finished() -> World {
    let mut world = begun();
    assert!(world.run_until_peers_are_done(100 * SECOND));
    world.run_until(world.now_us + 100 * SECOND);
    assert_eq!(faults_at_end(&world), Vec::<String>::new());
    world
}

fn begun() -> World {
    let vendor = VendorPlan::new("0.06", vec![VendorScript::default()]);
    let mut world = World::new(WorldConfig::default(), 1, vec![vendor]);
    world.callers[0].plan(CallPlan::default());
    world
}

/// The faults of a finished run after `spoil` has had its way.
fn spoilt(spoil: impl FnOnce(&mut World)) -> String {
    let mut world = finished();
    spoil(&mut world);
    faults_at_end(&world).join("\n")
}

fn ended(world: &mut World) -> &mut Cdr {
    let cdrs = world
        .records
        .iter_mut()
        .filter_map(|recorded| match &mut recorded.record {
            Record::Ended(cdr) => Some(&mut **cdr),
            _ => None,
        });
    cdrs.last().expect("a CDR")
}

#[test]
fn what_is_left_behind_is_seen() {
    let mut world = begun();
    world.run_until(5 * SECOND);
    let faults = faults_at_end(&world).join("\n");
    for left in [
        "transactions are left",
        "contexts are left",
        "calls are left",
        "channels are left: [1, 1]",
    ] {
        assert!(faults.contains(left), "{left}: {faults}");
    }
}

#[test]
fn a_missing_and_a_second_cdr_are_seen() {
    let faults = spoilt(|world| {
        world
            .records
            .retain(|recorded| !matches!(recorded.record, Record::Ended(_)))
    });
    assert!(
        faults.contains("1 INVITEs of 198.51.100.10 have no CDR, only 0 were refused"),
        "{faults}"
    );
    assert!(faults.contains("answered, closed 0 times"), "{faults}");
    let faults = spoilt(|world| {
        let last = world.records.last().cloned().expect("a record");
        world.records.push(last);
    });
    assert!(
        faults.contains("has 2 CDRs") && faults.contains("closed twice"),
        "{faults}"
    );
}

#[test]
fn a_missing_cdr_is_seen_whatever_else_was_refused() {
    let config = WorldConfig {
        stranger_permille: 1000,
        ..WorldConfig::default()
    };
    let plan = VendorPlan::new("0.06", vec![VendorScript::default()]);
    let mut world = World::new(config, 3, vec![plan]);
    for _ in 0..16 {
        world.callers[0].plan(CallPlan::default());
    }
    assert!(world.run_until_peers_are_done(100 * SECOND));
    world.run_until(world.now_us + 100 * SECOND);
    assert_eq!(faults_at_end(&world), Vec::<String>::new());
    let refused = |recorded: &Recorded| matches!(recorded.record, Record::Refused(_));
    assert!(world.records.iter().any(refused));
    // A refusal of the caller himself would hide the gap from a count alone.
    let mut more = world.records.iter().find(|r| refused(r)).cloned();
    if let Some(Record::Refused(record)) = more.as_mut().map(|more| &mut more.record) {
        record.source = world.callers[0].agent.address.ip().to_string();
    }
    world.records.extend(more);
    assert_eq!(faults_at_end(&world), Vec::<String>::new());
    world.records.retain(
        |recorded| !matches!(&recorded.record, Record::Ended(cdr) if cdr.answer_us.is_some()),
    );
    let faults = faults_at_end(&world).join("\n");
    assert!(faults.contains("has no CDR and heard"), "{faults}");
}

#[test]
fn an_answer_recorded_twice_is_seen() {
    let faults = spoilt(|world| {
        let answered = |recorded: &&Recorded| matches!(recorded.record, Record::Answered(_));
        let again = world
            .records
            .iter()
            .find(answered)
            .cloned()
            .expect("an answer");
        world.records.push(again);
    });
    assert!(faults.contains("attempt 0 answered twice"), "{faults}");
}

#[test]
fn what_is_billed_and_was_not_in_the_journal_is_seen() {
    let faults = spoilt(|world| {
        for recorded in &mut world.records {
            if let Record::Answered(call) = &mut recorded.record {
                call.attempt += 1;
                call.cdr.answer_us = None;
            }
        }
    });
    assert!(
        faults.contains("attempt 0 is billed and was not in the journal"),
        "{faults}"
    );
    assert!(
        faults.contains("pays what was not in the journal"),
        "{faults}"
    );
}

#[test]
fn a_customer_who_pays_until_the_end_of_a_dialog_that_he_did_not_take_is_seen() {
    let faults = spoilt(|world| {
        let answers = world.tap.answers.clone();
        for ((call_id, tag, from), at_us) in answers {
            world.tap.acks.remove(&(call_id.clone(), tag));
            let other = (call_id, "another".to_owned());
            world.tap.acks.insert(other.clone());
            world.tap.answers.insert((other.0, other.1, from), at_us);
        }
        for bye in &mut world.tap.byes {
            bye.tags = bye.tags.clone().map(|tag| format!("{tag}-not"));
        }
    });
    assert!(faults.contains("the customer pays until"), "{faults}");
}

#[test]
fn a_final_response_that_nobody_heard_and_a_status_that_differs_are_seen() {
    let faults = spoilt(|world| world.tap.forget_finals());
    assert!(faults.contains("never heard a final response"), "{faults}");
    let faults = spoilt(|world| ended(world).status = 486);
    assert!(faults.contains("status 486, upstream heard"), "{faults}");
}

#[test]
fn times_and_prices_that_do_not_agree_are_seen() {
    let faults = spoilt(|world| ended(world).duration_us += 1);
    assert!(faults.contains("is not"), "{faults}");
    let faults = spoilt(|world| {
        let cdr = ended(world);
        cdr.end_us = cdr.end_us.map(|us| us + 1);
        cdr.duration_us += 1;
    });
    assert!(faults.contains("BYEs came at"), "{faults}");
    let faults = spoilt(|world| {
        let terms = ended(world).customer_terms.as_mut().expect("a rate");
        terms.connect_fee = Decimal::ONE;
    });
    assert!(faults.contains("customer price"), "{faults}");
}

#[test]
fn a_call_cancelled_in_time_that_hears_a_refusal_is_seen() {
    let mut world = World::new(
        WorldConfig::default(),
        1,
        vec![VendorPlan::new("0.06", vec![VendorScript::refuse(486)])],
    );
    let call_id = world.callers[0].plan(CallPlan::default());
    world.run_until(100 * SECOND);
    assert_eq!(faults_at_end(&world), Vec::<String>::new());
    world.tap.cancels.insert(call_id, (MS, false));
    let faults = faults_at_end(&world).join("\n");
    assert!(faults.contains("was cancelled and heard"), "{faults}");
}

#[test]
fn a_second_final_response_upstream_stops_the_run() {
    let mut world = finished();
    let (to, branch) = world
        .tap
        .invites
        .values()
        .map(|invite| (invite.from, invite.branch.clone()))
        .next()
        .expect("an INVITE");
    let invite = SipText::request("INVITE", "sip:1@192.0.2.1")
        .with("Via", &format!("SIP/2.0/UDP {to};branch={branch}"))
        .with("From", "<sip:a@b>;tag=1")
        .with("To", "<sip:c@d>")
        .with("Call-ID", "call-c0-0")
        .with("CSeq", "1 INVITE");
    world
        .tap
        .depart(0, to, &SipText::response(&invite, 486, "late").encode());
    assert!(
        world.tap.faults.concat().contains("hears 486 (late) after"),
        "{:?}",
        world.tap.faults
    );
}

#[test]
fn a_channel_above_its_limit_stops_the_run() {
    let mut plan = VendorPlan::new("0.06", vec![VendorScript::default()]);
    plan.channel_limit = Some(1);
    let mut world = World::new(WorldConfig::default(), 1, vec![plan]);
    world.callers[0].plan(CallPlan::default());
    let slot = world.slot_of(crate::routing_data::vendor_trunk(0));
    for _ in 0..2 {
        assert!(world.counters.try_acquire_channel(slot, None));
    }
    world.run_until(5 * SECOND);
    let faults = world.faults.concat();
    assert!(faults.contains("has 2 channels, limit Some(1)"), "{faults}");
}

#[test]
fn a_datagram_that_is_not_counted_is_seen() {
    let faults = spoilt(|world| world.given += 1);
    assert!(faults.contains("datagrams were given to lanes"), "{faults}");
}

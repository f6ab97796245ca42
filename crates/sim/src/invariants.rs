//! What must hold when a run is over, whatever the network did: CDRs against what crossed the boundary, limits, leftovers.
//! The boundary itself is watched all the time by `tap`, limits and outcomes after every step by `world`; `tests` breaks each.
//! Leaves out what only holds on a clean network: the named scenarios assert that.

use std::collections::{BTreeMap, BTreeSet};

use accounting::{AnsweredCall, Cause, Cdr, Record};
use proxy_core::Stat;
use rust_decimal::Decimal;

use crate::clock::{SECOND, wall_us};
use crate::peer_vendor::FORK;
use crate::routing_data::ROUND;
use crate::tap::{Final, OWN_BYE};
use crate::world::{OUTCOMES, PROXY, Recorded, World};

#[cfg(test)]
mod tests;

/// A record may wait for a job (a name to resolve, a commit) before its message leaves, µs.
const PARKED_MAX_US: i64 = 5_000_000;
/// For how long an answer waits for its ACK, µs: 64·T1.
const ACK_PATIENCE_US: i64 = 32_000_000;

/// Everything that is wrong with a finished run.
pub fn faults_at_end(world: &World) -> Vec<String> {
    if !world.faults.is_empty() {
        // The run was stopped there; what it left behind says nothing.
        return world.faults.clone();
    }
    let mut faults = faults_whoever_sent(world);
    // A kill takes the calls in setup with it; those that were answered are none the wiser.
    if !world.was_restarted() {
        check_calls(world, &mut faults);
    }
    for cdr in world.cdrs() {
        check_times(world, cdr, &mut faults);
    }
    faults
}

/// What must not be, whoever sent what from where: nothing is left behind, every record agrees with itself.
pub fn faults_whoever_sent(world: &World) -> Vec<String> {
    if !world.faults.is_empty() {
        return world.faults.clone();
    }
    let mut faults = Vec::new();
    if world.live_transactions() != 0 {
        faults.push(format!(
            "{} transactions are left",
            world.live_transactions()
        ));
    }
    if world.live_contexts() != 0 {
        faults.push(format!("{} contexts are left", world.live_contexts()));
    }
    if world.live_calls() != 0 {
        faults.push(format!("{} calls are left", world.live_calls()));
    }
    check_counts(world, &mut faults);
    for broken in world.network.broken() {
        faults.push(format!(
            "{} could not read what {} wrote: {}",
            broken.to, broken.from, broken.error
        ));
    }
    if world.channels().iter().any(|in_use| *in_use != 0) {
        faults.push(format!("channels are left: {:?}", world.channels()));
    }
    for cdr in world.cdrs() {
        check_prices(cdr, &mut faults);
    }
    check_answered_once(world, &mut faults);
    check_journal(world, &mut faults);
    check_ids(world, &mut faults);
    faults
}

/// Nothing disappears: what was given to the lanes was counted in, and everything counted in has one outcome.
fn check_counts(world: &World, faults: &mut Vec<String>) {
    let counted = world.stat(Stat::DatagramsIn);
    let outcomes: u64 = OUTCOMES.iter().map(|stat| world.stat(*stat)).sum();
    if (counted, outcomes) != (world.given, world.given) {
        faults.push(format!(
            "{} datagrams were given to lanes, {counted} counted in, {outcomes} have an outcome",
            world.given
        ));
    }
}

/// One CDR for every admitted INVITE, one final response upstream, 487 for what was cancelled in time.
fn check_calls(world: &World, faults: &mut Vec<String>) {
    let mut without: BTreeMap<String, u64> = BTreeMap::new();
    for (call_id, from) in world.tap.invites.keys() {
        let source = from.to_string();
        let cdrs: Vec<&Cdr> = world
            .cdrs()
            .into_iter()
            .filter(|cdr| cdr.call_id == *call_id && cdr.source == source)
            .collect();
        let finals = world.tap.finals(call_id, *from);
        match cdrs[..] {
            [] => {
                *without.entry(from.ip().to_string()).or_default() += 1;
                if finals
                    .iter()
                    .any(|heard| heard.marked || heard.status < 300)
                {
                    faults.push(format!("{call_id} has no CDR and heard {finals:?}"));
                }
            }
            [cdr] => check_status(cdr, finals, faults),
            _ => faults.push(format!("{call_id} has {} CDRs", cdrs.len())),
        }
        if finals.is_empty() {
            faults.push(format!("{call_id} never heard a final response"));
        }
        let cancelled = world
            .tap
            .cancels
            .get(call_id)
            .is_some_and(|(_, late)| !late && source != PROXY);
        let spared = |heard: &Final| heard.status == 487 || heard.status < 300;
        if cancelled && !finals.iter().all(spared) {
            faults.push(format!("{call_id} was cancelled and heard {finals:?}"));
        }
    }
    // Refusals are added up by source: those of a stranger excuse nobody else.
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    for recorded in &world.records {
        if let Record::Refused(record) = &recorded.record {
            *refused.entry(record.source.clone()).or_default() += record.count;
        }
    }
    for (source, without) in without {
        let refused = refused.get(&source).copied().unwrap_or(0);
        if without > refused {
            faults.push(format!(
                "{without} INVITEs of {source} have no CDR, only {refused} were refused"
            ));
        }
    }
}

fn check_status(cdr: &Cdr, finals: &[Final], faults: &mut Vec<String>) {
    let answers: Vec<&Final> = finals.iter().filter(|heard| heard.status < 300).collect();
    let billed = cdr
        .attempts
        .iter()
        .filter(|attempt| attempt.answer_us.is_some())
        .count();
    // Endpoints that answer behind one vendor are one attempt.
    let vendors: BTreeSet<&str> = answers
        .iter()
        .map(|heard| heard.tag.trim_end_matches(FORK))
        .collect();
    // So are the vendors behind the proxy as a vendor of its own.
    let comes_back = cdr.vendor.as_deref() == Some(ROUND);
    let parties = if comes_back {
        vendors.len().min(1)
    } else {
        vendors.len()
    };
    if billed != parties {
        faults.push(format!(
            "{}: {billed} attempts answered, upstream heard {answers:?}",
            cdr.call_id
        ));
    }
    // A 2xx after another final response is billed in its attempt, and to the customer once its ACK has come.
    let won = finals.first().is_some_and(|heard| heard.status < 300);
    if cdr.answer_us.is_none() && won || cdr.answer_us.is_some() && answers.is_empty() {
        faults.push(format!(
            "{}: answer {:?}, upstream heard {answers:?}",
            cdr.call_id, cdr.answer_us
        ));
    }
    if !finals.iter().any(|heard| heard.status == cdr.status) {
        faults.push(format!(
            "{}: status {}, upstream heard {finals:?}",
            cdr.call_id, cdr.status
        ));
    }
}

/// Answer and end are the moments at which the 2xx and the BYE came; the duration is what lies between.
fn check_times(world: &World, cdr: &Cdr, faults: &mut Vec<String>) {
    let call_id = &cdr.call_id;
    let answers: Vec<i64> = world
        .tap
        .answers
        .iter()
        .filter(|((known, ..), _)| known == call_id)
        .map(|(_, at_us)| wall_us(*at_us))
        .collect();
    let mut real = real_byes(world, call_id);
    real.insert(OWN_BYE.to_owned());
    let mut byes: BTreeSet<i64> = world
        .tap
        .byes
        .iter()
        .filter(|bye| bye.call_id == *call_id && real.contains(&bye.mark))
        .map(|bye| wall_us(bye.at_us))
        .collect();
    // A BYE that overtook the 2xx on its way ends the call at its answer.
    byes.extend(
        answers
            .iter()
            .filter(|answer| byes.iter().any(|bye| bye < *answer))
            .copied()
            .collect::<Vec<_>>(),
    );
    let taken = ends_of_taken(world, call_id, &real);
    let untaken = world
        .tap
        .answers
        .keys()
        .any(|(known, tag, _)| known == call_id && !is_taken(world, call_id, tag));
    let near = |at_us: i64| {
        answers
            .iter()
            .any(|came_us| (*came_us..came_us + PARKED_MAX_US).contains(&at_us))
    };
    for attempt in &cdr.attempts {
        let Some(answer_us) = attempt.answer_us else {
            if attempt.duration_us != 0 {
                faults.push(format!(
                    "{call_id}: an unanswered attempt lasted {} µs",
                    attempt.duration_us
                ));
            }
            continue;
        };
        if !near(answer_us) {
            faults.push(format!(
                "{call_id}: answer at {answer_us}, 2xx came at {answers:?}"
            ));
        }
        let ended_us = attempt.ended_us.unwrap_or(0);
        check_expiry(call_id, attempt.cause, answer_us, ended_us, faults);
        // One that the caller never took is ended by the proxy, once its vendor has waited for the ACK for 64·T1.
        let overdue = untaken && ended_us - answer_us >= ACK_PATIENCE_US;
        if !ends_by_itself(attempt.cause) && !overdue && !byes.contains(&ended_us) {
            faults.push(format!(
                "{call_id}: attempt ended at {ended_us}, BYEs came at {byes:?}"
            ));
        }
        check_duration(call_id, answer_us, ended_us, attempt.duration_us, faults);
    }
    if let Some(answer_us) = cdr.answer_us {
        check_duration(
            call_id,
            answer_us,
            cdr.end_us.unwrap_or(0),
            cdr.duration_us,
            faults,
        );
        if !ends_by_itself(cdr.cause) && !byes.contains(&cdr.end_us.unwrap_or(0)) {
            faults.push(format!(
                "{call_id}: ended at {:?}, BYEs came at {byes:?}",
                cdr.end_us
            ));
        }
        // A process that began anew does not know which ACKs had come.
        let ended_us = cdr.end_us.unwrap_or(0);
        let pays_more = taken.as_ref().is_some_and(|ends| !ends.contains(&ended_us));
        if !ends_by_itself(cdr.cause) && pays_more && !world.was_restarted() {
            faults.push(format!(
                "{call_id}: the customer pays until {ended_us}, the dialogs he took ended at {taken:?}"
            ));
        }
    } else if cdr.duration_us != 0 {
        faults.push(format!(
            "{call_id}: not answered, yet {} µs long",
            cdr.duration_us
        ));
    }
}

/// Whether the caller acknowledged the answer with this tag, or ended its dialog himself.
fn is_taken(world: &World, call_id: &str, tag: &str) -> bool {
    let key = (call_id.to_owned(), tag.to_owned());
    let mut byes = world.tap.byes.iter().filter(|bye| bye.mark != OWN_BYE);
    world.tap.acks.contains(&key) || byes.any(|bye| bye.call_id == call_id && bye.tags[1] == tag)
}

/// When the dialogs that the caller took were ended, UTC µs; `None` when he took none that the proxy knows of.
fn ends_of_taken(world: &World, call_id: &str, real: &BTreeSet<String>) -> Option<BTreeSet<i64>> {
    let answers = world.tap.answers.iter();
    let taken: Vec<(&str, i64)> = answers
        .filter(|((known, tag, _), _)| known == call_id && is_taken(world, call_id, tag))
        .map(|((_, tag, _), at_us)| (tag.as_str(), wall_us(*at_us)))
        .collect();
    let byes = world.tap.byes.iter();
    let byes = byes.filter(|bye| bye.call_id == call_id && real.contains(&bye.mark));
    // A BYE that overtook the 2xx on its way ends the dialog at its answer, which in a spiral comes twice.
    let ends = byes.flat_map(|bye| {
        let of = taken
            .iter()
            .filter(|(tag, _)| bye.tags.iter().any(|of| of == tag));
        of.map(|(_, answer_us)| wall_us(bye.at_us).max(*answer_us))
    });
    (!taken.is_empty()).then(|| ends.collect())
}

/// Whether the proxy ends a call of this cause, and no BYE of a peer does.
fn ends_by_itself(cause: Cause) -> bool {
    matches!(cause, Cause::MaxDuration | Cause::SessionExpired)
}

/// No session is shorter than the 90 s of RFC 4028 §5.
fn check_expiry(
    call_id: &str,
    cause: Cause,
    answer_us: i64,
    ended_us: i64,
    faults: &mut Vec<String>,
) {
    if cause == Cause::SessionExpired && ended_us < answer_us + 90_000_000 {
        faults.push(format!(
            "{call_id}: a session answered at {answer_us} expired at {ended_us}"
        ));
    }
}

fn check_duration(
    call_id: &str,
    answer_us: i64,
    end_us: i64,
    duration_us: u64,
    faults: &mut Vec<String>,
) {
    if u64::try_from(end_us - answer_us) != Ok(duration_us) {
        faults.push(format!(
            "{call_id}: {answer_us} to {end_us} is not {duration_us} µs"
        ));
    }
}

/// Marks of the BYEs by which a peer hung up in earnest, or which a peer took for it.
fn real_byes(world: &World, call_id: &str) -> BTreeSet<String> {
    let callers = world
        .callers
        .iter()
        .flat_map(|host| &host.calls)
        .filter(|call| call.call_id == call_id);
    let callers = callers.flat_map(|call| &call.legs).map(|(_, leg)| leg);
    let vendors = world
        .vendors
        .iter()
        .flat_map(|host| &host.calls)
        .filter(|call| call.call_id == call_id);
    let vendors = vendors.filter_map(|call| call.leg.as_ref());
    callers
        .chain(vendors)
        .flat_map(|leg| leg.log.bye_marks.iter().cloned())
        .collect()
}

/// Whole seconds begun, times the rate per minute: the terms of all simulated rates are 1/1 without a fee.
pub fn expected_price(rate: Decimal, duration_us: u64) -> Decimal {
    rate * Decimal::from(duration_us.div_ceil(SECOND)) / Decimal::from(60)
}

fn check_prices(cdr: &Cdr, faults: &mut Vec<String>) {
    let rated = cdr.rated();
    let check = |what: &str,
                 rate: Option<Decimal>,
                 price: Option<Decimal>,
                 duration_us: u64,
                 faults: &mut Vec<String>| {
        let expected = rate.map(|rate| expected_price(rate, duration_us));
        if price != expected {
            faults.push(format!(
                "{}: {what} price {price:?}, not {expected:?}",
                cdr.call_id
            ));
        }
    };
    let duration_us = if cdr.answer_us.is_some() {
        cdr.duration_us
    } else {
        0
    };
    check(
        "customer",
        rated.customer_rate,
        rated.customer_price,
        duration_us,
        faults,
    );
    // The vendor bills its own attempt: the customer's call may have ended before it, or never have begun.
    let own = cdr.attempts.iter().find(|attempt| {
        let place = (Some(&attempt.vendor), Some(&attempt.next_hop));
        attempt.answer_us.is_some() && place == (cdr.vendor.as_ref(), cdr.next_hop.as_ref())
    });
    let vendor_us = own.map_or(duration_us, |attempt| attempt.duration_us);
    check(
        "vendor",
        rated.vendor_rate,
        rated.vendor_price,
        vendor_us,
        faults,
    );
    for (attempt, plain) in rated.attempts.iter().zip(&cdr.attempts) {
        let duration_us = if plain.answer_us.is_some() {
            plain.duration_us
        } else {
            0
        };
        check("attempt", attempt.rate, attempt.price, duration_us, faults);
    }
}

/// No call is closed twice.
fn check_ids(world: &World, faults: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for cdr in world.cdrs() {
        if !seen.insert(cdr.cdr_id) {
            faults.push(format!("{}: closed twice", cdr.call_id));
        }
    }
}

/// Every answer is recorded once, and every call that has one is closed once.
fn check_answered_once(world: &World, faults: &mut Vec<String>) {
    let answered = |recorded: &'_ Recorded| match &recorded.record {
        Record::Answered(call) => Some((call.cdr.cdr_id, call.attempt, call.callee.tag.clone())),
        _ => None,
    };
    let all: Vec<_> = world.records.iter().filter_map(answered).collect();
    let mut seen = BTreeSet::new();
    for recorded in &world.records {
        if let Record::Answered(call) = &recorded.record {
            let (id, attempt, tag) = (call.cdr.cdr_id, call.attempt, call.callee.tag.clone());
            // A fork is one attempt: when one of its dialogs ends, the other is recorded again.
            let forked =
                |other: &(_, u16, String)| other.0 == id && other.1 == attempt && other.2 != tag;
            let is_fork = all.iter().any(forked);
            // An answer after another final response is recorded again when its ACK makes the customer pay.
            let is_late = answered_late(world, call);
            if !seen.insert((id, attempt, tag)) && !is_fork && !is_late {
                faults.push(format!(
                    "{}: attempt {attempt} answered twice",
                    call.cdr.call_id
                ));
            }
            let ended = world
                .cdrs()
                .into_iter()
                .filter(|cdr| cdr.cdr_id == call.cdr.cdr_id)
                .count();
            if ended != 1 {
                faults.push(format!(
                    "{}: answered, closed {ended} times",
                    call.cdr.call_id
                ));
            }
        }
    }
}

/// Whether an earlier record of this answer did not bill the customer, and this one does.
fn answered_late(world: &World, call: &AnsweredCall) -> bool {
    let mut earlier = world.records.iter().filter_map(answer_of);
    call.cdr.answer_us.is_some()
        && earlier.any(|other| {
            let same = (other.cdr.cdr_id, other.attempt) == (call.cdr.cdr_id, call.attempt);
            same && other.cdr.answer_us.is_none()
        })
}

fn answer_of(recorded: &Recorded) -> Option<&AnsweredCall> {
    match &recorded.record {
        Record::Answered(call) => Some(call),
        _ => None,
    }
}

/// What a CDR bills was in the journal while the call was up: every attempt that answered, and that the customer pays.
fn check_journal(world: &World, faults: &mut Vec<String>) {
    for cdr in world.cdrs() {
        let records = || {
            let answers = world.records.iter().filter_map(answer_of);
            answers.filter(|call| call.cdr.cdr_id == cdr.cdr_id)
        };
        for (at, attempt) in cdr.attempts.iter().enumerate() {
            let known = records().any(|call| usize::from(call.attempt) == at);
            if attempt.answer_us.is_some() && !known {
                faults.push(format!(
                    "{}: attempt {at} is billed and was not in the journal",
                    cdr.call_id
                ));
            }
        }
        let pays = records().any(|call| call.cdr.answer_us == cdr.answer_us);
        if cdr.answer_us.is_some() && !pays {
            faults.push(format!(
                "{}: the customer pays what was not in the journal",
                cdr.call_id
            ));
        }
    }
}

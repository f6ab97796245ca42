//! The decision once more, slow and obvious, from rows and strings; and random data to compare both on.

use std::collections::BTreeSet;

use super::*;
use crate::tables::{Forking, RateRow, RouteRow, Tables, VendorRow};
use crate::testing::{Random, read};
use crate::{SlotRegistry, compile};

/// A call of the comparison.
struct Call {
    customer: usize,
    user: String,
    tech_prefix_len: usize,
    number_override: Option<String>,
    wall_us: i64,
    call_hash: u64,
}

/// A rate: prefix and price.
type Rate = (String, String);

/// What both must agree on: outcome, routed number, customer's rate, and for each target vendor, gateway, number, rate,
/// group.
#[derive(Debug, PartialEq)]
struct Answer {
    outcome: RouteOutcome,
    routed: String,
    customer_rate: Option<Rate>,
    targets: Vec<(String, String, String, Option<Rate>, u16)>,
}

fn digits_of(number: &str) -> String {
    let bare = number.strip_prefix('+').unwrap_or(number);
    if bare.chars().all(|digit| digit.is_ascii_digit()) {
        bare.to_owned()
    } else {
        String::new()
    }
}

fn apply(number: &str, prefix_len: usize, strip: u8, prepend: &str) -> String {
    if prefix_len == 0 && strip == 0 && prepend.is_empty() {
        return number.to_owned();
    }
    let bare = number.strip_prefix('+').unwrap_or(number);
    prepend.to_owned()
        + &bare
            .chars()
            .skip(prefix_len + usize::from(strip))
            .collect::<String>()
}

/// The rate of a sheet: of all rates that match and hold, the longest prefix, then the latest start.
fn rate_of<'t>(tables: &'t Tables, sheet: &str, number: &str, wall_us: i64) -> Option<&'t RateRow> {
    tables
        .rates
        .iter()
        .filter(|rate| &*rate.sheet == sheet && number.starts_with(&rate.prefix.to_string()))
        .filter(|rate| rate.effective_from.is_none_or(|from| from <= wall_us))
        .filter(|rate| rate.effective_to.is_none_or(|to| wall_us < to))
        .max_by_key(|rate| (rate.prefix.len(), rate.effective_from))
}

fn shown(rate: &RateRow) -> Rate {
    (rate.prefix.to_string(), rate.terms.rate.to_string())
}

fn reference(tables: &Tables, call: &Call) -> Answer {
    let customer = &tables.customers[call.customer];
    let plan = tables
        .routing_plans
        .iter()
        .find(|plan| plan.name == customer.routing_plan)
        .unwrap();
    let dialled = call.user.split(';').next().unwrap();
    let routed = call.number_override.clone().unwrap_or_else(|| {
        apply(
            dialled,
            call.tech_prefix_len,
            customer.strip,
            &customer.prepend,
        )
    });
    let number = digits_of(&routed);
    let mut answer = Answer {
        outcome: RouteOutcome::NoPrefix,
        routed,
        customer_rate: None,
        targets: vec![],
    };

    let mut routes: Vec<&RouteRow> = tables
        .routes
        .iter()
        .filter(|route| {
            route.plan == plan.name
                && route.enabled
                && number.starts_with(&route.prefix.to_string())
        })
        .collect();
    match plan.mode {
        PlanMode::Static => {
            let longest = routes.iter().map(|route| route.prefix.len()).max();
            routes.retain(|route| Some(route.prefix.len()) == longest);
        }
        PlanMode::Lcr => {
            let all = routes.clone();
            routes.retain(|route| {
                !all.iter().any(|other| {
                    other.vendor == route.vendor && other.prefix.len() > route.prefix.len()
                })
            });
        }
    }
    if routes.is_empty() {
        return answer;
    }
    let customer_rate = customer
        .rate_sheet
        .as_ref()
        .map(|sheet| rate_of(tables, sheet, &number, call.wall_us));
    if customer_rate == Some(None) {
        answer.outcome = RouteOutcome::NoCustomerRate;
        return answer;
    }
    let customer_rate = customer_rate.flatten();
    answer.customer_rate = customer_rate.map(shown);

    let mut kept: Vec<(&RouteRow, &VendorRow, Option<&RateRow>)> = Vec::new();
    for route in routes {
        let vendor = tables
            .vendors
            .iter()
            .find(|vendor| vendor.name == route.vendor)
            .unwrap();
        let rate = vendor
            .rate_sheet
            .as_ref()
            .map(|sheet| rate_of(tables, sheet, &number, call.wall_us));
        let reachable = tables
            .vendor_gateways
            .iter()
            .any(|gateway| gateway.vendor == vendor.name);
        let margin_kept =
            plan.margin_min
                .is_none_or(|margin_min| match (customer_rate, rate.flatten()) {
                    (Some(asked), Some(billed)) => {
                        asked.terms.rate - billed.terms.rate >= margin_min
                    }
                    _ => false,
                });
        if vendor.enabled && reachable && rate != Some(None) && margin_kept {
            kept.push((route, vendor, rate.flatten()));
        }
    }
    answer.outcome = if kept.is_empty() {
        RouteOutcome::NoVendor
    } else {
        RouteOutcome::Routed
    };
    let score = |id: u64, weight| weighted_score(call.call_hash, id, weight);
    let trunk = |vendor: &VendorRow| u64::try_from(vendor.id).unwrap() * 2 + 1;
    kept.sort_by(
        |(route, vendor, rate), (other_route, other_vendor, other_rate)| {
            let price = |rate: &Option<&RateRow>| match plan.mode {
                PlanMode::Lcr => (rate.is_none(), rate.map(|rate| rate.terms.rate)),
                PlanMode::Static => (false, None),
            };
            let scores = (
                score(trunk(vendor), route.weight),
                score(trunk(other_vendor), other_route.weight),
            );
            (price(rate), route.priority)
                .cmp(&(price(other_rate), other_route.priority))
                .then(scores.0.partial_cmp(&scores.1).unwrap())
                .then(vendor.name.cmp(&other_vendor.name))
        },
    );
    // Vendors whose order only the draw decides share a rank; those of weight 0 are behind it.
    let mut ranks = Vec::new();
    let mut ranked = Vec::new();
    for (route, vendor, rate) in kept {
        let price = rate.map(|rate| rate.terms.rate);
        let rank = match (plan.forking, plan.mode) {
            (Forking::Serial, _) => (None, 0, route.weight == 0, vendor.name.as_str()),
            (_, PlanMode::Lcr) => (Some(price), route.priority, route.weight == 0, ""),
            (_, PlanMode::Static) => (None, route.priority, route.weight == 0, ""),
        };
        if !ranks.contains(&rank) {
            ranks.push(rank);
        }
        let rank = ranks.iter().position(|known| *known == rank).unwrap();
        let mut gateways: Vec<_> = tables
            .vendor_gateways
            .iter()
            .filter(|gateway| gateway.vendor == vendor.name)
            .collect();
        gateways.sort_by_key(|gateway| (gateway.priority, gateway.address.clone()));
        let mut scored: Vec<_> = gateways
            .into_iter()
            .zip(1u64..)
            .map(|(gateway, place)| {
                (
                    gateway,
                    score(trunk(vendor) ^ (place << 48), gateway.weight),
                )
            })
            .collect();
        scored.sort_by(|one, other| {
            one.0
                .priority
                .cmp(&other.0.priority)
                .then(one.1.partial_cmp(&other.1).unwrap())
        });
        for (round, (gateway, _)) in scored.into_iter().enumerate() {
            let sent = apply(&answer.routed, 0, vendor.strip, &vendor.prepend);
            let target = (
                vendor.name.clone(),
                gateway.address.clone(),
                sent,
                rate.map(shown),
                0,
            );
            ranked.push(((rank, round), target));
        }
    }
    ranked.sort_by_key(|(place, _)| *place);
    let mut places: Vec<_> = ranked.iter().map(|(place, _)| *place).collect();
    places.dedup();
    for (place, mut target) in ranked {
        let group = places.iter().position(|known| *known == place).unwrap();
        target.4 = u16::try_from(group).unwrap();
        answer.targets.push(target);
    }
    answer.targets.truncate(usize::from(plan.max_attempts));
    answer
}

fn compiled(snapshot: &Snapshot, tables: &Tables, call: &Call, out: &mut TargetSet) -> Answer {
    let query = RouteQuery {
        customer: snapshot
            .customer_by_name(&tables.customers[call.customer].name)
            .unwrap(),
        tech_prefix_len: call.tech_prefix_len,
        callee: call.user.as_bytes(),
        caller: b"100",
        number_override: call.number_override.as_deref(),
        wall_us: call.wall_us,
        call_hash: call.call_hash,
    };
    let mut explanation = Explanation::default();
    let explained = snapshot.route(&query, out, Some(&mut explanation));
    let with_explanation: Vec<Target> = out.targets.clone();
    let outcome = snapshot.route(&query, out, None);
    assert_eq!(
        (explained, &with_explanation),
        (outcome, &out.targets),
        "explaining changes nothing"
    );
    check_explanation(&explanation, snapshot, out, outcome);
    let shown = |prefix: Option<Prefix>, terms: &Option<RateTerms>| {
        Some((prefix?.to_string(), terms.as_ref()?.rate.to_string()))
    };
    let targets = out.targets.iter().map(|target| {
        let host = snapshot.gateway(target.gateway).host.to_string();
        let rate = shown(target.prefix, &target.terms);
        (
            snapshot.vendor(target.vendor).name.clone(),
            host,
            target.callee_sent.to_string(),
            rate,
            target.group,
        )
    });
    Answer {
        outcome,
        routed: out.callee_routed.to_string(),
        customer_rate: shown(out.customer_prefix, &out.customer_terms),
        targets: targets.collect(),
    }
}

/// The explanation names the same targets, and a vendor is undropped exactly when it is tried.
fn check_explanation(
    explanation: &Explanation,
    snapshot: &Snapshot,
    out: &TargetSet,
    outcome: RouteOutcome,
) {
    assert_eq!(explanation.outcome, Some(outcome));
    let name = |target: &Target| snapshot.vendor(target.vendor).name.clone();
    let explained: Vec<String> = explanation
        .targets
        .iter()
        .map(|target| target.vendor.clone())
        .collect();
    assert_eq!(explained, out.targets.iter().map(name).collect::<Vec<_>>());
    if outcome == RouteOutcome::Routed {
        let kept = explanation
            .candidates
            .iter()
            .filter(|candidate| candidate.dropped.is_none());
        let mut tried: Vec<String> = Vec::new();
        for vendor in explained {
            if !tried.contains(&vendor) {
                tried.push(vendor);
            }
        }
        assert_eq!(
            kept.map(|candidate| candidate.vendor.clone())
                .collect::<Vec<_>>(),
            tried
        );
    }
}

fn pick<'a>(random: &mut Random, choices: &[&'a str]) -> &'a str {
    choices[usize::try_from(random.below(choices.len() as u64)).unwrap()]
}

/// Prefixes and numbers of two different digits, so that much overlaps.
fn digits(random: &mut Random, most: u64) -> String {
    (0..random.below(most + 1))
        .map(|_| if random.one_in(2) { '4' } else { '0' })
        .collect()
}

/// A few customers, vendors, plans, routes and rates: valid, and as tangled as they may be.
fn random_tables(random: &mut Random) -> Tables {
    let mut customers = String::from("name,routing_plan,rate_sheet,strip,prepend\n");
    for name in 0..3 {
        let (plan, strip) = (pick(random, &["p0", "p1"]), random.below(3));
        customers += &format!(
            "c{name},{plan},s{name},{strip},{}\n",
            pick(random, &["", "", "4", "+", "00"])
        );
    }
    customers += "c3,p2,,0,\n";
    let mut vendors = String::from("name,rate_sheet,strip,prepend,enabled\n");
    let mut gateways = String::from("vendor,address,priority,weight\n");
    for name in 0..5 {
        // Only vendors 3 and 4, which the plans with a margin do not use, may lack a sheet.
        let sheet = if name >= 3 && random.one_in(2) {
            String::new()
        } else {
            format!("s{}", random.below(4))
        };
        let (strip, prepend) = (random.below(3), pick(random, &["", "", "+", "9*"]));
        vendors += &format!("v{name},{sheet},{strip},{prepend},{}\n", !random.one_in(8));
        for gateway in 0..random.below(4) {
            let (priority, weight) = (random.below(2), random.below(3));
            gateways += &format!("v{name},g{gateway}.example,{priority},{weight}\n");
        }
    }
    let margin = pick(random, &["-0.2", "0", "0.1"]);
    let attempts = 1 + random.below(8);
    let plans = format!(
        "name,mode,margin_min,max_attempts,forking\np0,{},{margin},{attempts},{}\np1,{},,,{}\np2,{},,,{}\n",
        pick(random, &["lcr", "static"]),
        pick(random, &["", "serial", "parallel"]),
        pick(random, &["lcr", "static"]),
        pick(random, &["serial", "parallel"]),
        pick(random, &["lcr", "static"]),
        pick(random, &["serial", "parallel"]),
    );
    let mut keys = BTreeSet::new();
    let mut routes = String::from("plan,prefix,vendor,priority,weight,enabled\n");
    for _ in 0..20 {
        let plan = random.below(3);
        let (prefix, vendor) = (
            digits(random, 4),
            random.below(if plan == 0 { 3 } else { 5 }),
        );
        if keys.insert((plan, prefix.clone(), vendor)) {
            let (priority, weight, enabled) = (random.below(3), random.below(3), !random.one_in(6));
            routes += &format!("p{plan},{prefix},v{vendor},{priority},{weight},{enabled}\n");
        }
    }
    let mut keys = BTreeSet::new();
    let mut rates = String::from("sheet,prefix,rate,effective_from,effective_to\n");
    for row in 0..40 {
        // The first four make sure that every sheet exists.
        let sheet = if row < 4 { row } else { random.below(4) };
        let (prefix, from) = (
            digits(random, 5),
            pick(random, &["", "", "2026-01-01", "2026-01-02"]),
        );
        if keys.insert((sheet, prefix.clone(), from)) {
            let (rate, to) = (
                random.below(5),
                pick(random, &["", "", "2026-01-03", "2026-01-04"]),
            );
            rates += &format!("s{sheet},{prefix},0.{rate},{from},{to}\n");
        }
    }
    let mut tables = read(&[
        (TableKind::Customers, &customers),
        (TableKind::Vendors, &vendors),
        (TableKind::VendorGateways, &gateways),
        (TableKind::RoutingPlans, &plans),
        (TableKind::Routes, &routes),
        (TableKind::Rates, &rates),
    ])
    .unwrap();
    for (row, id) in tables.vendors.iter_mut().zip(1..) {
        row.id = id;
    }
    tables
}

fn random_call(random: &mut Random) -> Call {
    let number = pick(random, &["", "+"]).to_owned() + &digits(random, 18);
    let user = match random.below(10) {
        0 => number + ";npdi;rn=44",
        1 => number + "x",
        _ => number,
    };
    let number_override = random
        .one_in(6)
        .then(|| pick(random, &["", "+"]).to_owned() + &digits(random, 6));
    Call {
        customer: usize::try_from(random.below(4)).unwrap(),
        user,
        tech_prefix_len: usize::try_from(random.below(3)).unwrap(),
        number_override,
        // From the day before the first change to the day after the last, on the instant half of the time.
        wall_us: crate::instant::parse("2025-12-31").unwrap()
            + i64::try_from(random.below(10)).unwrap() * 43_200_000_000,
        call_hash: random.next(),
    }
}

#[test]
fn the_compiled_decision_agrees_with_the_reference_on_random_cases() {
    let mut random = Random(2026);
    let mut out = TargetSet::new();
    let mut seen = std::collections::HashMap::<&str, u32>::new();
    for round in 0..600 {
        let tables = random_tables(&mut random);
        let snapshot = match compile(&tables, round, &mut SlotRegistry::new()) {
            Ok(snapshot) => snapshot,
            Err(faults) => panic!("{}", crate::testing::lines(&faults)),
        };
        for _ in 0..40 {
            let call = random_call(&mut random);
            let expected = reference(&tables, &call);
            *seen.entry(expected.outcome.as_str()).or_default() += 1;
            let found = compiled(&snapshot, &tables, &call, &mut out);
            assert_eq!(
                found, expected,
                "round {round}: {} of customer {}",
                call.user, call.customer
            );
        }
    }
    // The comparison shows something only if every outcome is there often.
    for outcome in ["routed", "no_prefix", "no_customer_rate", "no_vendor"] {
        assert!(
            seen.get(outcome).is_some_and(|count| *count > 500),
            "{seen:?}"
        );
    }
}

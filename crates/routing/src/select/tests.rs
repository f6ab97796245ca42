//! Tests of the decision, rule by rule; `reference` compares it with a slow and obvious one.

mod reference;

use super::*;
use crate::schema::TableKind;
use crate::testing::snapshot;

/// What a call gets: outcome, and `vendor@gateway` for each target.
fn decide(
    snapshot: &Snapshot,
    callee: &str,
    wall_us: i64,
    call_hash: u64,
) -> (RouteOutcome, Vec<String>) {
    let mut out = TargetSet::new();
    let query = RouteQuery {
        customer: snapshot.customer_by_name("acme").unwrap(),
        tech_prefix_len: 0,
        callee: callee.as_bytes(),
        caller: b"",
        number_override: None,
        wall_us,
        call_hash,
    };
    let outcome = snapshot.route(&query, &mut out, None);
    let targets = out.targets.iter().map(|target| {
        let host = &snapshot.gateway(target.gateway).host;
        format!("{}@{host}", snapshot.vendor(target.vendor).name)
    });
    (outcome, targets.collect())
}

fn vendors(snapshot: &Snapshot, callee: &str) -> Vec<String> {
    let (_, targets) = decide(snapshot, callee, 0, 0);
    targets
        .iter()
        .map(|target| target.split('@').next().unwrap().to_owned())
        .collect()
}

const CUSTOMER: (TableKind, &str) = (TableKind::Customers, "name,routing_plan\nacme,p\n");
const GATEWAYS: (TableKind, &str) = (
    TableKind::VendorGateways,
    "vendor,address\na,192.0.2.1\nb,192.0.2.2\nc,192.0.2.3\nd,192.0.2.4\n",
);
const VENDORS: (TableKind, &str) = (TableKind::Vendors, "name,rate_sheet\na,a\nb,b\nc,c\nd,\n");
const LCR: (TableKind, &str) = (TableKind::RoutingPlans, "name,mode\np,lcr\n");
const STATIC: (TableKind, &str) = (TableKind::RoutingPlans, "name,mode\np,static\n");

#[test]
fn lcr_tries_the_cheapest_first_then_priority_and_unknown_prices_last() {
    let snapshot = snapshot(&[
        CUSTOMER,
        VENDORS,
        GATEWAYS,
        LCR,
        (
            TableKind::Routes,
            "plan,prefix,vendor,priority\np,,a,1\np,,b,9\np,,c,2\np,,d,0\n",
        ),
        (
            TableKind::Rates,
            "sheet,prefix,rate\na,44,0.02\nb,44,0.010\nc,44,0.02\na,1,0.01\nb,1,0.01\nc,1,0.010\n",
        ),
    ]);
    assert_eq!(vendors(&snapshot, "4420"), ["b", "a", "c", "d"]);
    assert_eq!(
        vendors(&snapshot, "+1202"),
        ["a", "c", "b", "d"],
        "0.01 is 0.010: the priority decides"
    );
    assert_eq!(
        vendors(&snapshot, "33"),
        ["d"],
        "vendors with a sheet that has no rate are dropped"
    );
}

#[test]
fn lcr_uses_every_matching_route_and_each_vendors_longest() {
    let snapshot = snapshot(&[
        CUSTOMER,
        VENDORS,
        GATEWAYS,
        LCR,
        (
            TableKind::Routes,
            "plan,prefix,vendor,priority,enabled\np,,a,1,\np,44,b,2,\np,442,b,0,\np,4420,c,1,false\np,4420,a,1,\np,33,c,,false\n",
        ),
        (
            TableKind::Rates,
            "sheet,prefix,rate\na,,0.01\nb,,0.01\nc,,0.01\n",
        ),
    ]);
    assert_eq!(vendors(&snapshot, "4420"), ["b", "a"]);
    assert_eq!(vendors(&snapshot, "4419"), ["a", "b"]);
    assert_eq!(vendors(&snapshot, "33"), ["a"]);
}

#[test]
fn static_uses_only_the_routes_of_the_longest_enabled_prefix() {
    let snapshot = snapshot(&[
        CUSTOMER,
        (TableKind::Vendors, "name\na\nb\nc\nd\n"),
        GATEWAYS,
        STATIC,
        (
            TableKind::Routes,
            "plan,prefix,vendor,priority,enabled\np,,a,1,\np,44,b,2,\np,44,c,1,\np,442,d,1,false\n",
        ),
    ]);
    assert_eq!(vendors(&snapshot, "4420"), ["c", "b"]);
    assert_eq!(vendors(&snapshot, "33"), ["a"]);
    assert_eq!(
        vendors(&snapshot, "alice"),
        ["a"],
        "only the empty prefix matches what is no number"
    );
}

#[test]
fn each_way_of_failing_has_its_outcome() {
    let files = |customer: &'static str, routes: &'static str| {
        snapshot(&[
            (TableKind::Customers, customer),
            (
                TableKind::Vendors,
                "name,rate_sheet,enabled\na,a,\nb,a,false\nc,a,\n",
            ),
            (
                TableKind::VendorGateways,
                "vendor,address\na,192.0.2.1\nb,192.0.2.2\n",
            ),
            LCR,
            (TableKind::Routes, routes),
            (
                TableKind::Rates,
                "sheet,prefix,rate\na,44,0.02\nretail,441,0.03\n",
            ),
        ])
    };
    let rated = "name,routing_plan,rate_sheet\nacme,p,retail\n";
    let all = files(
        rated,
        "plan,prefix,vendor\np,44,a\np,44,b\np,44,c\np,33,a\n",
    );
    assert_eq!(
        decide(&all, "4419", 0, 0),
        (RouteOutcome::Routed, vec!["a@192.0.2.1:5060".to_owned()])
    );
    assert_eq!(decide(&all, "55", 0, 0), (RouteOutcome::NoPrefix, vec![]));
    assert_eq!(
        decide(&all, "4420", 0, 0),
        (RouteOutcome::NoCustomerRate, vec![])
    );
    let unrated = files(
        "name,routing_plan\nacme,p\n",
        "plan,prefix,vendor\np,44,b\np,44,c\np,33,a\n",
    );
    assert_eq!(
        decide(&unrated, "44", 0, 0).0,
        RouteOutcome::NoVendor,
        "one disabled, one without gateway"
    );
    assert_eq!(
        decide(&unrated, "33", 0, 0).0,
        RouteOutcome::NoVendor,
        "no rate"
    );
    let mut out = TargetSet::new();
    let query = RouteQuery {
        customer: CustomerIndex(99),
        tech_prefix_len: 0,
        callee: b"44",
        caller: b"",
        number_override: None,
        wall_us: 0,
        call_hash: 0,
    };
    assert_eq!(
        unrated.route(&query, &mut out, None),
        RouteOutcome::PlanMissing
    );
}

#[test]
fn the_margin_is_kept_to_the_last_digit() {
    let margin = |margin_min: &str| {
        let plans = format!("name,mode,margin_min\np,lcr,{margin_min}\n");
        let snapshot = snapshot(&[
            (
                TableKind::Customers,
                "name,routing_plan,rate_sheet\nacme,p,retail\n",
            ),
            (TableKind::Vendors, "name,rate_sheet\na,a\nb,b\nc,c\n"),
            GATEWAYS_OF_THREE,
            (TableKind::RoutingPlans, &plans),
            (TableKind::Routes, "plan,prefix,vendor\np,,a\np,,b\np,,c\n"),
            (
                TableKind::Rates,
                "sheet,prefix,rate\nretail,,0.0300\na,,0.025\nb,,0.0250000001\nc,,0.04\n",
            ),
        ]);
        vendors(&snapshot, "44")
    };
    assert_eq!(margin("0.005"), ["a"]);
    assert_eq!(margin("0"), ["a", "b"]);
    assert_eq!(margin("-0.01"), ["a", "b", "c"]);
    assert_eq!(margin(""), ["a", "b", "c"]);
    assert!(margin("1").is_empty());
}

const GATEWAYS_OF_THREE: (TableKind, &str) = (
    TableKind::VendorGateways,
    "vendor,address\na,192.0.2.1\nb,192.0.2.2\nc,192.0.2.3\n",
);

#[test]
fn a_rate_changes_at_its_instant_for_customer_and_vendor() {
    let snapshot = snapshot(&[
        (
            TableKind::Customers,
            "name,routing_plan,rate_sheet\nacme,p,retail\n",
        ),
        (TableKind::Vendors, "name,rate_sheet\na,a\nb,b\n"),
        (
            TableKind::VendorGateways,
            "vendor,address\na,192.0.2.1\nb,192.0.2.2\n",
        ),
        LCR,
        (TableKind::Routes, "plan,prefix,vendor\np,,a\np,,b\n"),
        (
            TableKind::Rates,
            "sheet,prefix,rate,effective_from,effective_to\nretail,,1,,\nretail,,2,2026-06-01,\n\
             a,,0.1,,\na,,0.3,2026-06-01,\nb,,0.2,,2026-07-01\n",
        ),
    ]);
    let june = crate::instant::parse("2026-06-01").unwrap();
    let july = crate::instant::parse("2026-07-01").unwrap();
    let order = |wall_us| -> Vec<String> {
        decide(&snapshot, "44", wall_us, 0)
            .1
            .iter()
            .map(|target| target[..1].to_owned())
            .collect()
    };
    assert_eq!(order(june - 1), ["a", "b"]);
    assert_eq!(order(june), ["b", "a"]);
    assert_eq!(order(july), ["a"]);
    let mut out = TargetSet::new();
    for (wall_us, rate) in [(june - 1, "1"), (june, "2")] {
        let customer = snapshot.customer_by_name("acme").unwrap();
        let query = RouteQuery {
            customer,
            tech_prefix_len: 0,
            callee: b"44",
            caller: b"",
            number_override: None,
            wall_us,
            call_hash: 0,
        };
        snapshot.route(&query, &mut out, None);
        assert_eq!(out.customer_terms.as_ref().unwrap().rate.to_string(), rate);
        assert_eq!(out.customer_prefix, Some(Prefix::EMPTY));
    }
}

#[test]
fn numbers_go_through_the_customers_rules_then_the_vendors() {
    let snapshot = snapshot(&[
        (
            TableKind::Customers,
            "name,routing_plan,strip,prepend\nacme,p,2,+44\n",
        ),
        (TableKind::Vendors, "name,strip,prepend\na,0,\nb,2,0044\n"),
        (
            TableKind::VendorGateways,
            "vendor,address\na,192.0.2.1\nb,192.0.2.2\n",
        ),
        STATIC,
        (
            TableKind::Routes,
            "plan,prefix,vendor,priority\np,4420,a,1\np,4420,b,2\np,33,a,1\n",
        ),
    ]);
    let mut out = TargetSet::new();
    let mut query = RouteQuery {
        customer: snapshot.customer_by_name("acme").unwrap(),
        tech_prefix_len: 3,
        callee: b"+77%2300207946;cpc=1",
        caller: b"",
        number_override: None,
        wall_us: 0,
        call_hash: 0,
    };
    assert_eq!(snapshot.route(&query, &mut out, None), RouteOutcome::Routed);
    assert_eq!(out.callee_routed.as_str(), "+44207946");
    let sent: Vec<_> = out
        .targets
        .iter()
        .map(|target| target.callee_sent.to_string())
        .collect();
    assert_eq!(sent, ["+44207946", "0044207946"]);
    // A lookup's answer is routed as it is.
    query.number_override = Some("+331");
    assert_eq!(snapshot.route(&query, &mut out, None), RouteOutcome::Routed);
    assert_eq!((out.callee_routed.as_str(), out.targets.len()), ("+331", 1));
}

#[test]
fn a_vendor_becomes_its_gateways_and_the_plan_caps_the_targets() {
    let targets = |max_attempts: &str| {
        let plans = format!("name,mode,max_attempts\np,static,{max_attempts}\n");
        let snapshot = snapshot(&[
            CUSTOMER,
            (TableKind::Vendors, "name\na\nb\n"),
            (
                TableKind::VendorGateways,
                "vendor,address,transport,priority,weight\na,192.0.2.9,,2,\na,sip.example.com,tls,1,0\na,192.0.2.8,,1,1\nb,192.0.2.2,,,\n",
            ),
            (TableKind::RoutingPlans, &plans),
            (
                TableKind::Routes,
                "plan,prefix,vendor,priority\np,,a,1\np,,b,2\n",
            ),
        ]);
        decide(&snapshot, "44", 0, 12345).1
    };
    let all = [
        "a@192.0.2.8:5060",
        "a@sip.example.com",
        "a@192.0.2.9:5060",
        "b@192.0.2.2:5060",
    ];
    assert_eq!(targets(""), all);
    assert_eq!(targets("2"), all[..2]);
}

#[test]
fn weights_are_shares_of_the_first_place_and_of_the_second_among_the_rest() {
    let snapshot = snapshot(&[
        CUSTOMER,
        (TableKind::Vendors, "name\na\nb\nc\nd\n"),
        GATEWAYS,
        STATIC,
        (
            TableKind::Routes,
            "plan,prefix,vendor,weight\np,,a,60\np,,b,30\np,,c,10\np,,d,0\n",
        ),
    ]);
    let (mut first_a, mut first_b, mut second_b_after_a) = (0u32, 0u32, 0u32);
    for call in 0..20_000 {
        let (_, targets) = decide(&snapshot, "44", 0, call);
        assert_eq!(
            targets,
            decide(&snapshot, "44", 0, call).1,
            "the same call is routed the same way"
        );
        assert!(targets[3].starts_with('d'), "weight 0 comes last");
        first_b += u32::from(targets[0].starts_with('b'));
        if targets[0].starts_with('a') {
            first_a += 1;
            second_b_after_a += u32::from(targets[1].starts_with('b'));
        }
    }
    // 60 % of 20,000 ± 5 standard deviations (69), 30 % likewise (65); then 30 to 10 among the rest.
    assert!((11_650..12_350).contains(&first_a), "{first_a}");
    assert!((5_670..6_330).contains(&first_b), "{first_b}");
    let share = f64::from(second_b_after_a) / f64::from(first_a);
    assert!((0.73..0.77).contains(&share), "{share}");
}

/// The groups of a plan, each as its targets.
fn groups(files: &[(TableKind, &str)], callee: &str) -> Vec<Vec<String>> {
    let snapshot = snapshot(files);
    let mut out = TargetSet::new();
    let query = RouteQuery {
        customer: snapshot.customer_by_name("acme").unwrap(),
        tech_prefix_len: 0,
        callee: callee.as_bytes(),
        caller: b"",
        number_override: None,
        wall_us: 0,
        call_hash: 7,
    };
    snapshot.route(&query, &mut out, None);
    let name = |target: &Target| {
        let host = snapshot.gateway(target.gateway).host.to_string();
        let last = host.trim_end_matches(":5060").rsplit('.').next().unwrap();
        format!("{}{last}", snapshot.vendor(target.vendor).name)
    };
    let groups = out.targets.chunk_by(|one, other| one.group == other.group);
    groups
        .map(|group| {
            let mut group: Vec<_> = group.iter().map(name).collect();
            group.sort();
            group
        })
        .collect()
}

/// Plans, routes, vendors, gateways, and the groups that come of them.
type GroupCase<'c> = (
    &'c str,
    &'c str,
    (TableKind, &'c str),
    (TableKind, &'c str),
    &'c [&'c [&'c str]],
);

#[test]
fn a_parallel_plan_tries_targets_of_equal_rank_at_once() {
    const FOUR: (TableKind, &str) = (TableKind::Vendors, "name\na\nb\nc\nd\n");
    const RATED: (TableKind, &str) = (TableKind::Vendors, "name,rate_sheet\na,a\nb,b\nc,c\nd,\n");
    const TWO_EACH: (TableKind, &str) = (
        TableKind::VendorGateways,
        "vendor,address,priority\na,192.0.2.1,1\na,192.0.2.2,2\na,192.0.2.3,2\nb,192.0.2.4,1\nc,192.0.2.6,9\nc,192.0.2.7,10\n",
    );
    let rates = "sheet,prefix,rate\na,,0.02\nb,,0.010\nc,,0.01\n";
    let cases: [GroupCase<'_>; 9] = [
        (
            "name,mode,forking\np,static,serial\n",
            "plan,prefix,vendor,priority\np,,a,1\np,,b,1\n",
            FOUR,
            GATEWAYS,
            &[&["a1"], &["b2"]],
        ),
        (
            "name,mode,forking\np,static,parallel\n",
            "plan,prefix,vendor,priority\np,,a,2\np,,b,1\np,,c,2\np,,d,1\n",
            FOUR,
            GATEWAYS,
            &[&["b2", "d4"], &["a1", "c3"]],
        ),
        // Weight 0 stays behind.
        (
            "name,mode,forking\np,static,parallel\n",
            "plan,prefix,vendor,priority,weight\np,,a,1,0\np,,b,1,5\np,,c,1,9\np,,d,1,0\n",
            FOUR,
            GATEWAYS,
            &[&["b2", "c3"], &["a1", "d4"]],
        ),
        // The longest prefix alone counts in a static plan.
        (
            "name,mode,forking\np,static,parallel\n",
            "plan,prefix,vendor\np,,a\np,44,b\np,44,c\n",
            FOUR,
            GATEWAYS,
            &[&["b2", "c3"]],
        ),
        // Equal prices, however they are written; unknown prices are equal to each other.
        (
            "name,mode,forking\np,lcr,parallel\n",
            "plan,prefix,vendor\np,,a\np,,b\np,,c\np,,d\n",
            RATED,
            GATEWAYS,
            &[&["b2", "c3"], &["a1"], &["d4"]],
        ),
        // Among equal prices the priority decides.
        (
            "name,mode,forking\np,lcr,parallel\n",
            "plan,prefix,vendor,priority\np,,a,1\np,,b,2\np,,c,1\n",
            RATED,
            GATEWAYS,
            &[&["c3"], &["b2"], &["a1"]],
        ),
        // A vendor is never tried twice at once: its second gateway waits for the first ones.
        (
            "name,mode,forking,max_attempts\np,static,parallel,9\n",
            "plan,prefix,vendor\np,,a\np,,b\np,,c\n",
            FOUR,
            TWO_EACH,
            &[&["a1", "b4", "c6"], &["a2", "c7"], &["a3"]],
        ),
        // max_attempts counts targets, and cuts a group.
        (
            "name,mode,forking,max_attempts\np,static,parallel,4\n",
            "plan,prefix,vendor\np,,a\np,,b\np,,c\n",
            FOUR,
            TWO_EACH,
            &[&["a1", "b4", "c6"], &["a2"]],
        ),
        (
            "name,mode,forking,max_attempts\np,static,parallel,1\n",
            "plan,prefix,vendor,priority\np,,a,1\np,,b,1\n",
            FOUR,
            GATEWAYS,
            &[&["a1"]],
        ),
    ];
    for (plans, routes, vendors, gateways, expected) in cases {
        let found = groups(
            &[
                CUSTOMER,
                vendors,
                gateways,
                (TableKind::RoutingPlans, plans),
                (TableKind::Routes, routes),
                (TableKind::Rates, rates),
            ],
            "4420",
        );
        assert_eq!(found, expected, "{plans}{routes}");
    }
}

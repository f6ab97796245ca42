//! Tests of what the compiler refuses and of what outlives a reload.

use super::*;
use crate::testing::{faults, lines, read, snapshot};

const CUSTOMERS: (TableKind, &str) = (TableKind::Customers, "name,routing_plan\nacme,gold\n");
const PLANS: (TableKind, &str) = (TableKind::RoutingPlans, "name,mode\ngold,lcr\n");

#[test]
fn references_to_nothing_are_told_with_the_line_they_stand_in() {
    let told = faults(&[
        (
            TableKind::Customers,
            "name,routing_plan,rate_sheet\nacme,golf,retail\n",
        ),
        (
            TableKind::CustomerAddresses,
            "customer,address\nacmee,192.0.2.1\n",
        ),
        (TableKind::Vendors, "name,rate_sheet\nv1,wholesael\n"),
        (
            TableKind::VendorGateways,
            "vendor,address\nvendor,192.0.2.1\n",
        ),
        PLANS,
        (TableKind::Routes, "plan,prefix,vendor\n\n\nsilver,,v2\n"),
        (TableKind::Rates, "sheet,prefix,rate\nwholesale,,1\n"),
    ]);
    assert_eq!(
        told,
        "customers.csv:2: routing_plan: \"golf\" is not in routing_plans; did you mean \"gold\"?\n\
         customer_addresses.csv:2: customer: \"acmee\" is not in customers; did you mean \"acme\"?\n\
         vendor_gateways.csv:2: vendor: \"vendor\" is not in vendors\n\
         routes.csv:4: plan: \"silver\" is not in routing_plans\n\
         routes.csv:4: vendor: \"v2\" is not in vendors; did you mean \"v1\"?\n\
         customers.csv:2: rate_sheet: \"retail\" is not in rates\n\
         vendors.csv:2: rate_sheet: \"wholesael\" is not in rates; did you mean \"wholesale\"?\n"
    );
}

#[test]
fn a_plan_without_routes_and_a_vendor_without_gateways_compile() {
    let snapshot = snapshot(&[CUSTOMERS, PLANS, (TableKind::Vendors, "name\nv1\n")]);
    assert_eq!(snapshot.customers().count(), 1);
    assert_eq!(snapshot.vendors().count(), 1);
    assert!(snapshot.customer_by_name("acme").is_some());
    assert!(snapshot.vendor_by_name("acme").is_none());
}

#[test]
fn rows_of_the_store_are_judged_without_files() {
    let mut tables = read(&[
        CUSTOMERS,
        PLANS,
        (TableKind::Rates, "sheet,prefix,rate\ns,44,1\n"),
    ])
    .unwrap();
    tables.origins = crate::tables::Origins::default();
    tables.rates[0].terms.rate = rust_decimal::Decimal::NEGATIVE_ONE;
    tables.customers[0].routing_plan = "silver".to_owned();
    tables.routing_plans[0].max_attempts = 0;
    tables.routing_plans[0].lookup = Some("http".to_owned());
    let told = lines(&compile(&tables, 1, &mut SlotRegistry::new()).unwrap_err());
    assert_eq!(
        told,
        "table customers:1: routing_plan: \"silver\" is not in routing_plans\n\
         table routing_plans:1: max_attempts: 0 is out of range; allowed: 1 to 20\n\
         table routing_plans:1: lookup: \"http\" is not a lookup; allowed: sql, or empty\n\
         table rates:1: rate: -1 is below zero; allowed: 0 and above\n"
    );
}

#[test]
fn prices_of_two_currencies_are_not_compared() {
    let files = |mode: &'static str| {
        vec![
            (
                TableKind::Vendors,
                "name,currency\nv1,USD\nv2,EUR\nv3,EUR\n",
            ),
            (TableKind::RoutingPlans, mode),
            (
                TableKind::Routes,
                "plan,prefix,vendor\np,1,v1\np,2,v2\np,3,v3\n",
            ),
        ]
    };
    assert_eq!(faults(&files("name,mode\np,static\n")), "");
    assert_eq!(
        faults(&files("name,mode\np,lcr\n")),
        "routes.csv:3: vendor: \"v2\" bills in EUR, but plan \"p\" compares prices in USD since line 2; \
         allowed: one currency a plan\n"
    );
}

#[test]
fn a_margin_needs_two_rates_in_one_currency() {
    let told = faults(&[
        (
            TableKind::Customers,
            "name,routing_plan,rate_sheet,currency\na,p,,USD\nb,p,s,EUR\n",
        ),
        (TableKind::Vendors, "name,rate_sheet\nv1,s\nv2,\n"),
        (
            TableKind::RoutingPlans,
            "name,mode,margin_min\np,static,0.001\n",
        ),
        (
            TableKind::Routes,
            "plan,prefix,vendor\np,1,v1\np,2,v2\np,3,v2\n",
        ),
        (TableKind::Rates, "sheet,prefix,rate\ns,,1\n"),
    ]);
    assert_eq!(
        told,
        "routes.csv:3: vendor: \"v2\" has no rate_sheet, but plan \"p\" has a margin_min; allowed: a vendor with a \
         rate_sheet\n\
         customers.csv:2: rate_sheet: is empty, but plan \"p\" has a margin_min; allowed: a sheet\n\
         customers.csv:3: currency: EUR can't be compared with USD of the vendors of plan \"p\", which has a \
         margin_min; allowed: USD\n"
    );
}

#[test]
fn a_trunk_keeps_identity_and_slot_over_a_reload_and_a_rename() {
    let mut tables = read(&[
        (TableKind::Customers, "name,routing_plan\nb,gold\na,gold\n"),
        PLANS,
        (TableKind::Vendors, "name\nv\n"),
    ])
    .unwrap();
    (
        tables.customers[0].id,
        tables.customers[1].id,
        tables.vendors[0].id,
    ) = (4, 9, 4);
    let mut slots = SlotRegistry::new();
    let first = compile(&tables, 1, &mut slots).unwrap();
    let (a, v) = (
        first.customer_by_trunk(TrunkId::customer(9)).unwrap(),
        first.vendor_by_trunk(TrunkId::vendor(4)),
    );
    let slot = first.customer(a).slot;
    assert_eq!(first.customer(a).name, "a");
    assert!(v.is_some() && first.customer_by_trunk(TrunkId::vendor(4)).is_none());

    tables.customers.remove(0);
    tables.customers[0].name = "renamed".to_owned();
    let second = compile(&tables, 2, &mut slots).unwrap();
    let renamed = second.customer_by_trunk(TrunkId::customer(9)).unwrap();
    assert_eq!(
        (
            second.customer(renamed).name.as_str(),
            second.customer(renamed).slot
        ),
        ("renamed", slot)
    );
    assert_eq!(second.version(), 2);
    assert!(second.customer_by_trunk(TrunkId::customer(4)).is_none());
}

#[test]
fn identities_must_be_positive_and_taken_once() {
    let mut tables = read(&[
        (
            TableKind::Customers,
            "name,routing_plan\na,gold\nb,gold\nc,gold\n",
        ),
        PLANS,
    ])
    .unwrap();
    (
        tables.customers[0].id,
        tables.customers[1].id,
        tables.customers[2].id,
    ) = (3, 3, -1);
    let told = lines(&compile(&tables, 1, &mut SlotRegistry::new()).unwrap_err());
    assert_eq!(
        told,
        "customers.csv:3: id: 3 is taken or not a key; allowed: a positive number, once\n\
         customers.csv:4: id: -1 is taken or not a key; allowed: a positive number, once\n"
    );
}

#[test]
fn more_trunks_than_slots_are_refused_and_take_none() {
    let mut tables = read(&[CUSTOMERS, PLANS]).unwrap();
    let vendor = crate::VendorRow {
        id: 0,
        name: String::new(),
        rate_sheet: None,
        currency: "USD".to_owned(),
        cps_limit: None,
        channel_limit: None,
        strip: 0,
        prepend: String::new(),
        enabled: true,
        redirect: false,
        on_6xx: crate::On6xx::Next,
    };
    tables.vendors = (0..TRUNKS_MAX)
        .map(|name| crate::VendorRow {
            name: name.to_string(),
            ..vendor.clone()
        })
        .collect();
    let mut slots = SlotRegistry::new();
    let told = lines(&compile(&tables, 1, &mut slots).unwrap_err());
    assert!(
        told.starts_with("table vendors: 16385 new trunks, but only 16384 of 16384 are free"),
        "{told}"
    );
    assert_eq!(slots.free(), TRUNKS_MAX);
    tables.vendors.pop();
    assert!(compile(&tables, 1, &mut slots).is_ok());
    assert_eq!(slots.free(), 0);
}

#[test]
fn the_lookups_of_customer_and_plan_are_kept_apart() {
    let snapshot = snapshot(&[
        (
            TableKind::Customers,
            "name,routing_plan,lookup,lookup_query\na,asks,,\nb,asks,sql,SELECT 2\nc,silent,,\n",
        ),
        (
            TableKind::RoutingPlans,
            "name,mode,lookup,lookup_query\nasks,lcr,sql,SELECT 1\nsilent,lcr,,\n",
        ),
    ]);
    let queries = |name| {
        let customer = snapshot.customer_by_name(name).unwrap();
        let own = snapshot.customer(customer).lookup.as_ref();
        let plan = snapshot.plan_lookup(customer);
        [own, plan].map(|lookup| lookup.map(|lookup| lookup.query.to_string()))
    };
    let (one, two) = (Some("SELECT 1".to_owned()), Some("SELECT 2".to_owned()));
    assert_eq!(queries("a"), [None, one.clone()]);
    assert_eq!(queries("b"), [two, one]);
    assert_eq!(queries("c"), [None, None]);
}

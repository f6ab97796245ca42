//! Tests of laying one set of tables over another.

use crate::schema::TableKind;
use crate::testing::{lines, read};
use crate::{SlotRegistry, compile};

#[test]
fn rows_of_the_same_key_are_replaced_and_keep_their_identity() {
    let mut base = read(&[
        (
            TableKind::Customers,
            "name,routing_plan,cps_limit\na,gold,5\nb,gold,5\n",
        ),
        (TableKind::RoutingPlans, "name,mode\ngold,lcr\n"),
        (
            TableKind::Rates,
            "sheet,prefix,rate,effective_from\ns,44,1,\ns,44,2,2026-01-01\n",
        ),
    ])
    .unwrap();
    (base.customers[0].id, base.customers[1].id) = (7, 8);
    let newer = read(&[
        (TableKind::Customers, "name,routing_plan\nc,gold\nb,gold\n"),
        (
            TableKind::Rates,
            "sheet,prefix,rate,effective_from\ns,44,3,2026-01-01T00:00:00Z\ns,45,4,\n",
        ),
    ])
    .unwrap();
    base.merge(&newer);
    let customers: Vec<_> = base
        .customers
        .iter()
        .map(|row| (row.id, &*row.name, row.cps_limit))
        .collect();
    assert_eq!(
        customers,
        [(7, "a", Some(5)), (8, "b", None), (0, "c", None)]
    );
    let rates: Vec<_> = base
        .rates
        .iter()
        .map(|row| row.terms.rate.to_string())
        .collect();
    assert_eq!(rates, ["1", "3", "4"]);
}

#[test]
fn a_merged_row_is_told_by_the_file_it_came_from() {
    let mut base = read(&[
        (TableKind::RoutingPlans, "name,mode\ngold,lcr\n"),
        (TableKind::Vendors, "name\nv\n"),
    ])
    .unwrap();
    base.origins = crate::tables::Origins::default();
    base.routes = read(&[(TableKind::Routes, "plan,prefix,vendor\ngold,1,v\n")])
        .unwrap()
        .routes;
    base.merge(
        &read(&[(
            TableKind::Routes,
            "plan,prefix,vendor\ngold,1,v\ngold,2,w\n",
        )])
        .unwrap(),
    );
    base.routes[0].vendor = "x".to_owned();
    let told = lines(&compile(&base, 1, &mut SlotRegistry::new()).unwrap_err());
    assert_eq!(
        told,
        "routes.csv:2: vendor: \"x\" is not in vendors\n\
         routes.csv:3: vendor: \"w\" is not in vendors\n"
    );
}

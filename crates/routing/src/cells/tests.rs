//! Tests of rows as texts, the way the store hands them in.

use super::*;

#[test]
fn every_table_takes_back_the_texts_it_gave() {
    let rows: [(TableKind, &[&str]); 7] = [
        (
            TableKind::Customers,
            &[
                "a", "", "p", "USD", "", "7", "0", "", "true", "sql", "SELECT 1",
            ],
        ),
        (
            TableKind::CustomerAddresses,
            &["a", "192.0.2.0/24:5060", "udp", "7#"],
        ),
        (
            TableKind::Vendors,
            &[
                "v", "s", "EUR", "5", "", "1", "+00", "false", "true", "stop",
            ],
        ),
        (
            TableKind::VendorGateways,
            &["v", "[2001:db8::1]:5070", "tls", "2", "0", "60"],
        ),
        (
            TableKind::RoutingPlans,
            &["p", "static", "parallel", "3", "-0.0010", "", ""],
        ),
        (
            TableKind::Routes,
            &["p", "44", "v", "1", "1", "always", "true"],
        ),
        (
            TableKind::Rates,
            &[
                "s",
                "",
                "0.10",
                "0",
                "0",
                "0.2",
                "60",
                "2026-01-01T00:00:00Z",
                "",
            ],
        ),
    ];
    let (mut tables, mut faults, mut out) = (Tables::default(), Vec::new(), Vec::new());
    for (kind, cells) in rows {
        let place = Place {
            name: "table x",
            line: 1,
        };
        assert!(
            push_cells(&mut tables, kind, place, 5, cells, &mut faults),
            "{faults:?}"
        );
        cells_of(&tables, kind, 0, &mut out);
        assert_eq!(out, cells);
    }
    assert_eq!((tables.customers[0].id, tables.vendors[0].id), (5, 5));
    cells_of(&tables, TableKind::Routes, 9, &mut out);
    assert!(out.is_empty(), "there is no such row");
}

#[test]
fn a_faulty_row_of_the_store_names_table_and_row() {
    let (mut tables, mut faults) = (Tables::default(), Vec::new());
    let place = Place {
        name: "table routes",
        line: 12,
    };
    assert!(!push_cells(
        &mut tables,
        TableKind::Routes,
        place,
        0,
        &["p", "4x", "v", "", "", "night"],
        &mut faults
    ));
    let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "table routes:12: prefix: \"4x\" is not a prefix; allowed: 0 to 15 digits, a leading + is ignored",
            "table routes:12: schedule: \"night\" is not a schedule; allowed: always; empty: always",
        ]
    );
    assert!(tables.is_empty());
}

//! What makes a row the row it is: keys, duplicates, and putting one set of tables on top of another.
//!
//! Keys: names; (address, transport, tech prefix); (vendor, gateway, transport); (plan, prefix, vendor); (sheet, prefix,
//! effective_from). Leaves out references between tables, which `compile` checks.

use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::fault::{self, FAULTS_MAX, Fault};
use crate::prefix::Prefix;
use crate::schema::TableKind;
use crate::tables::{RateRow, Tables};

/// Adds a fault for every row of `kind` whose key another row has as well; the fault names both lines.
pub(crate) fn check(tables: &Tables, kind: TableKind, faults: &mut Vec<Fault>) {
    match kind {
        TableKind::Customers => {
            each(
                tables,
                kind,
                &tables.customers,
                |row| row.name.as_str(),
                "name",
                faults,
            );
        }
        TableKind::CustomerAddresses => {
            let key = |row: &crate::CustomerAddressRow| {
                (row.address, row.transport, row.tech_prefix.clone())
            };
            each(
                tables,
                kind,
                &tables.customer_addresses,
                key,
                "address",
                faults,
            );
        }
        TableKind::Vendors => each(
            tables,
            kind,
            &tables.vendors,
            |row| row.name.as_str(),
            "name",
            faults,
        ),
        TableKind::VendorGateways => {
            let key =
                |row: &crate::GatewayRow| (row.vendor.clone(), row.address.clone(), row.transport);
            each(
                tables,
                kind,
                &tables.vendor_gateways,
                key,
                "address",
                faults,
            );
        }
        TableKind::RoutingPlans => {
            each(
                tables,
                kind,
                &tables.routing_plans,
                |row| row.name.as_str(),
                "name",
                faults,
            );
        }
        TableKind::Routes => {
            let key = |row: &crate::RouteRow| (row.plan.clone(), row.prefix, row.vendor.clone());
            each(tables, kind, &tables.routes, key, "prefix", faults);
        }
        TableKind::Rates => {
            rates_by_sheet(tables, faults);
        }
    }
}

fn each<'t, T, K: Hash + Eq>(
    tables: &Tables,
    kind: TableKind,
    rows: &'t [T],
    key: impl Fn(&'t T) -> K,
    column: &str,
    faults: &mut Vec<Fault>,
) {
    let mut seen: HashMap<K, usize, RandomState> = HashMap::default();
    for (row, value) in rows.iter().enumerate() {
        if faults.len() >= FAULTS_MAX {
            return;
        }
        match seen.entry(key(value)) {
            hashbrown::hash_map::Entry::Occupied(first) => {
                fault::push(faults, duplicate(tables, kind, *first.get(), row, column));
            }
            hashbrown::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(row);
            }
        }
    }
}

fn duplicate(tables: &Tables, kind: TableKind, first: usize, row: usize, column: &str) -> Fault {
    let what = match kind {
        TableKind::Customers | TableKind::Vendors | TableKind::RoutingPlans => "the same name",
        TableKind::CustomerAddresses => "the same address, transport and tech_prefix",
        TableKind::VendorGateways => "the same vendor, address and transport",
        TableKind::Routes => "the same plan, prefix and vendor",
        TableKind::Rates => "the same sheet, prefix and effective_from",
    };
    let line = tables.line(kind, first);
    tables.fault(
        kind,
        row,
        column,
        format!("{what} as in line {line}; allowed: once"),
    )
}

/// The rows of one rate sheet, sorted by prefix and start.
pub(crate) struct SheetRows {
    pub(crate) name: Arc<str>,
    pub(crate) rows: Vec<u32>,
}

/// When a rate starts, as a number that sorts.
pub(crate) fn start_of(rate: &RateRow) -> i64 {
    rate.effective_from.unwrap_or(i64::MIN)
}

/// Groups the rates by sheet and sorts each; equal neighbours are faults.
pub(crate) fn rates_by_sheet(tables: &Tables, faults: &mut Vec<Fault>) -> Vec<SheetRows> {
    let mut sheets: Vec<SheetRows> = Vec::new();
    let mut known: HashMap<Arc<str>, usize, RandomState> = HashMap::default();
    let mut last: Option<usize> = None;
    for (row, rate) in tables.rates.iter().enumerate() {
        // Rows of one sheet come in runs and share its name: most need no hashing.
        let same = last.filter(|last| Arc::ptr_eq(&sheets[*last].name, &rate.sheet));
        let sheet = same.unwrap_or_else(|| {
            *known.entry(Arc::clone(&rate.sheet)).or_insert_with(|| {
                sheets.push(SheetRows {
                    name: Arc::clone(&rate.sheet),
                    rows: Vec::new(),
                });
                sheets.len() - 1
            })
        });
        last = Some(sheet);
        sheets[sheet].rows.push(crate::rates::index(row));
    }
    for sheet in &mut sheets {
        let key = |row: &u32| -> (Prefix, i64, u32) {
            let rate = &tables.rates[*row as usize];
            (rate.prefix, start_of(rate), *row)
        };
        sheet.rows.sort_unstable_by_key(key);
        for pair in sheet.rows.windows(2) {
            let (first, second) = (key(&pair[0]), key(&pair[1]));
            if (first.0, first.1) == (second.0, second.1) {
                let (first, row) = (pair[0] as usize, pair[1] as usize);
                fault::push(
                    faults,
                    duplicate(tables, TableKind::Rates, first, row, "prefix"),
                );
            }
        }
    }
    sheets
}

/// The rows of a table in the order of an export: by their keys.
pub(crate) fn export_order(tables: &Tables, kind: TableKind) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..tables.len(kind)).collect();
    match kind {
        TableKind::Customers => rows.sort_by_key(|row| tables.customers[*row].name.as_str()),
        TableKind::CustomerAddresses => rows.sort_by_key(|row| {
            let row = &tables.customer_addresses[*row];
            (
                row.customer.as_str(),
                row.address,
                row.transport,
                row.tech_prefix.as_deref(),
            )
        }),
        TableKind::Vendors => rows.sort_by_key(|row| tables.vendors[*row].name.as_str()),
        TableKind::VendorGateways => rows.sort_by_key(|row| {
            let row = &tables.vendor_gateways[*row];
            (
                row.vendor.as_str(),
                row.priority,
                row.address.as_str(),
                row.transport,
            )
        }),
        TableKind::RoutingPlans => rows.sort_by_key(|row| tables.routing_plans[*row].name.as_str()),
        TableKind::Routes => rows.sort_by_key(|row| {
            let row = &tables.routes[*row];
            (row.plan.as_str(), row.prefix, row.vendor.as_str())
        }),
        TableKind::Rates => rows.sort_by_key(|row| {
            let row = &tables.rates[*row];
            (&*row.sheet, row.prefix, start_of(row))
        }),
    }
    rows
}

/// See [`Tables::merge`].
pub(crate) fn merge(base: &mut Tables, newer: &Tables) {
    let name = |row: &crate::CustomerRow| row.name.clone();
    let keep = |old: &crate::CustomerRow, new: &mut crate::CustomerRow| new.id = old.id;
    let places = lay_over(&mut base.customers, &newer.customers, name, keep);
    base.adopt_origins(newer, TableKind::Customers, &places);

    let name = |row: &crate::VendorRow| row.name.clone();
    let keep = |old: &crate::VendorRow, new: &mut crate::VendorRow| new.id = old.id;
    let places = lay_over(&mut base.vendors, &newer.vendors, name, keep);
    base.adopt_origins(newer, TableKind::Vendors, &places);

    let key =
        |row: &crate::CustomerAddressRow| (row.address, row.transport, row.tech_prefix.clone());
    let places = lay_over(
        &mut base.customer_addresses,
        &newer.customer_addresses,
        key,
        |_, _| {},
    );
    base.adopt_origins(newer, TableKind::CustomerAddresses, &places);

    let key = |row: &crate::GatewayRow| (row.vendor.clone(), row.address.clone(), row.transport);
    let places = lay_over(
        &mut base.vendor_gateways,
        &newer.vendor_gateways,
        key,
        |_, _| {},
    );
    base.adopt_origins(newer, TableKind::VendorGateways, &places);

    let name = |row: &crate::PlanRow| row.name.clone();
    let places = lay_over(
        &mut base.routing_plans,
        &newer.routing_plans,
        name,
        |_, _| {},
    );
    base.adopt_origins(newer, TableKind::RoutingPlans, &places);

    let key = |row: &crate::RouteRow| (row.plan.clone(), row.prefix, row.vendor.clone());
    let places = lay_over(&mut base.routes, &newer.routes, key, |_, _| {});
    base.adopt_origins(newer, TableKind::Routes, &places);

    let key = |row: &RateRow| (Arc::clone(&row.sheet), row.prefix, start_of(row));
    let places = lay_over(&mut base.rates, &newer.rates, key, |_, _| {});
    base.adopt_origins(newer, TableKind::Rates, &places);
}

/// Replaces rows of equal key, adds the others, and tells where each newer row went.
fn lay_over<T: Clone, K: Hash + Eq>(
    base: &mut Vec<T>,
    newer: &[T],
    key: impl Fn(&T) -> K,
    keep: impl Fn(&T, &mut T),
) -> Vec<usize> {
    let known: HashMap<K, usize, RandomState> = base
        .iter()
        .enumerate()
        .map(|(row, value)| (key(value), row))
        .collect();
    let mut places = Vec::with_capacity(newer.len());
    for row in newer {
        let mut row = row.clone();
        if let Some(place) = known.get(&key(&row)) {
            keep(&base[*place], &mut row);
            base[*place] = row;
            places.push(*place);
        } else {
            base.push(row);
            places.push(base.len() - 1);
        }
    }
    places
}

#[cfg(test)]
mod tests;

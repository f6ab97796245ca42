//! From rows to a snapshot; what needs two rows to be judged is judged in `check`.
//!
//! References, duplicates, prices, currencies, slots. All faults are told, up to `FAULTS_MAX`; with any, nothing is built.
//! Leaves out faults of single cells (`cells`) and swapping the snapshot in.

mod check;

use accounting::RateTerms;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::address::IpNet;
use crate::fault::{self, Fault};
use crate::number::NumberRule;
use crate::prefix::{Prefix, PrefixTable};
use crate::rates::{Sheet, Span, index};
use crate::schema::TableKind;
use crate::snapshot::{
    Customer, Gateway, GatewayHost, Lookup, Nobody, Plan, PlanRoute, Snapshot, Vendor, VendorIndex,
};
use crate::sources::{OwnedRanges, SourceEntry, SourceIndex};
use crate::tables::Tables;
use crate::trunk::{SlotRegistry, TRUNKS_MAX, TrunkId};
use crate::unique::{self, start_of};

type Map<K, V> = HashMap<K, V, RandomState>;

/// Compiles the tables into a snapshot of this version.
///
/// Trunks keep the slots that `slots` gave them before; new ones get theirs only when there is no fault. Rows whose `id`
/// is 0 (read from files, not stored yet) are numbered provisionally, so such a snapshot is for checking and explaining.
///
/// # Errors
/// All faults found, at most [`crate::FAULTS_MAX`], in the order of [`TableKind::ALL`].
pub fn compile(
    tables: &Tables,
    version: u64,
    slots: &mut SlotRegistry,
) -> Result<Snapshot, Vec<Fault>> {
    let mut compiler = Compiler::new(tables);
    compiler.check();
    let sheets = compiler.sheets();
    let plans = compiler.plans();
    compiler.check_money();
    let trunks = compiler.trunks(slots);
    if !compiler.faults.is_empty() {
        return Err(compiler.faults);
    }
    Ok(compiler.finish(version, slots, sheets, plans, trunks))
}

struct Compiler<'t> {
    tables: &'t Tables,
    faults: Vec<Fault>,
    customers: Map<&'t str, u32>,
    vendors: Map<&'t str, u32>,
    plans: Map<&'t str, u32>,
    sheets: Map<String, u32>,
    terms: Vec<RateTerms>,
}

/// The trunk of every customer and vendor, in the order of their rows.
struct Trunks {
    customers: Vec<TrunkId>,
    vendors: Vec<TrunkId>,
}

impl<'t> Compiler<'t> {
    fn new(tables: &'t Tables) -> Self {
        let named = |(row, name): (usize, &'t String)| (name.as_str(), index(row));
        Self {
            tables,
            faults: Vec::new(),
            customers: tables
                .customers
                .iter()
                .map(|row| &row.name)
                .enumerate()
                .map(named)
                .collect(),
            vendors: tables
                .vendors
                .iter()
                .map(|row| &row.name)
                .enumerate()
                .map(named)
                .collect(),
            plans: tables
                .routing_plans
                .iter()
                .map(|row| &row.name)
                .enumerate()
                .map(named)
                .collect(),
            sheets: Map::default(),
            terms: Vec::new(),
        }
    }

    fn fault(&mut self, kind: TableKind, row: usize, column: &str, message: String) {
        let fault = self.tables.fault(kind, row, column, message);
        fault::push(&mut self.faults, fault);
    }

    fn sheets(&mut self) -> Vec<Sheet> {
        let tables = self.tables;
        let groups = unique::rates_by_sheet(tables, &mut self.faults);
        self.sheets = groups
            .iter()
            .map(|group| group.name.to_string())
            .zip(0..)
            .collect();
        for (row, customer) in tables.customers.iter().enumerate() {
            if let Some(sheet) = &customer.rate_sheet {
                self.reference(
                    self.sheets.contains_key(sheet),
                    TableKind::Customers,
                    row,
                    "rate_sheet",
                    sheet,
                );
            }
        }
        for (row, vendor) in tables.vendors.iter().enumerate() {
            if let Some(sheet) = &vendor.rate_sheet {
                self.reference(
                    self.sheets.contains_key(sheet),
                    TableKind::Vendors,
                    row,
                    "rate_sheet",
                    sheet,
                );
            }
        }
        let mut interned: Map<TermsKey, u32> = Map::default();
        let mut sheets = Vec::with_capacity(groups.len());
        let mut spans = Vec::new();
        for group in groups {
            spans.clear();
            for row in group.rows {
                let rate = &tables.rates[row as usize];
                self.check_rate(row as usize);
                let terms = *interned.entry(terms_key(&rate.terms)).or_insert_with(|| {
                    self.terms.push(rate.terms.clone());
                    index(self.terms.len() - 1)
                });
                let to = rate.effective_to.unwrap_or(i64::MAX);
                spans.push((
                    rate.prefix,
                    Span {
                        from: start_of(rate),
                        to,
                        terms,
                    },
                ));
            }
            sheets.push(Sheet::build(group.name.to_string(), &spans));
        }
        sheets
    }

    fn plans(&mut self) -> Vec<Plan> {
        let tables = self.tables;
        let mut by_plan: Vec<Vec<(Prefix, PlanRoute)>> =
            vec![Vec::new(); tables.routing_plans.len()];
        for route in &tables.routes {
            let (Some(plan), Some(vendor)) = (
                self.plans.get(&*route.plan),
                self.vendors.get(&*route.vendor),
            ) else {
                continue;
            };
            by_plan[*plan as usize].push((
                route.prefix,
                PlanRoute {
                    vendor: *vendor,
                    priority: route.priority,
                    weight: route.weight,
                    enabled: route.enabled,
                },
            ));
        }
        tables
            .routing_plans
            .iter()
            .zip(by_plan)
            .map(|(row, routes)| Plan::build(row, routes))
            .collect()
    }

    /// Identities; rows without one get a provisional one above all others.
    fn trunks(&mut self, slots: &SlotRegistry) -> Trunks {
        let tables = self.tables;
        let customers: Vec<i64> = tables.customers.iter().map(|row| row.id).collect();
        let vendors: Vec<i64> = tables.vendors.iter().map(|row| row.id).collect();
        let trunks = Trunks {
            customers: self
                .identities(TableKind::Customers, &customers)
                .into_iter()
                .map(TrunkId::customer)
                .collect(),
            vendors: self
                .identities(TableKind::Vendors, &vendors)
                .into_iter()
                .map(TrunkId::vendor)
                .collect(),
        };
        let new = trunks
            .all()
            .filter(|trunk| slots.slot(*trunk).is_none())
            .count();
        if new > slots.free() {
            let kind = TableKind::Vendors;
            let message = format!(
                "{new} new trunks, but only {} of {TRUNKS_MAX} are free in this process; allowed: fewer customers and \
                 vendors, or a restart",
                slots.free()
            );
            let place = format!("table {}", kind.table_name());
            fault::push(
                &mut self.faults,
                Fault {
                    place,
                    line: 0,
                    column: String::new(),
                    message,
                },
            );
        }
        trunks
    }

    fn identities(&mut self, kind: TableKind, ids: &[i64]) -> Vec<i64> {
        let mut next = ids.iter().copied().max().unwrap_or(0).max(0);
        let mut seen = HashSet::<i64, RandomState>::default();
        let mut out = Vec::with_capacity(ids.len());
        for (row, id) in ids.iter().enumerate() {
            if *id < 0 || *id > i64::MAX >> 1 || (*id > 0 && !seen.insert(*id)) {
                self.fault(
                    kind,
                    row,
                    "id",
                    format!("{id} is taken or not a key; allowed: a positive number, once"),
                );
            }
            out.push(if *id == 0 {
                next += 1;
                next
            } else {
                *id
            });
        }
        out
    }

    fn finish(
        self,
        version: u64,
        slots: &mut SlotRegistry,
        sheets: Vec<Sheet>,
        plans: Vec<Plan>,
        trunks: Trunks,
    ) -> Snapshot {
        let customers = self.customers(slots, &trunks);
        let (vendors, gateways) = self.vendors(slots, &trunks);
        let tables = self.tables;
        let customer_of = |name: &str| self.customers.get(name).copied();
        let entries = tables.customer_addresses.iter().filter_map(|row| {
            let tech_prefix = row.tech_prefix.clone();
            let customer = customer_of(&row.customer)?;
            Some(SourceEntry {
                pattern: row.address,
                transport: row.transport,
                tech_prefix,
                customer,
            })
        });
        let sources = SourceIndex::build(entries);
        let mut owned: Map<TrunkId, OwnedRanges> = trunks
            .all()
            .map(|trunk| (trunk, OwnedRanges::default()))
            .collect();
        for row in &tables.customer_addresses {
            let trunk = customer_of(&row.customer)
                .and_then(|customer| trunks.customers.get(customer as usize));
            if let Some(ranges) = trunk.and_then(|trunk| owned.get_mut(trunk)) {
                ranges.add(row.address.net);
            }
        }
        for gateway in &gateways {
            let trunk = trunks.vendors.get(gateway.vendor.0 as usize);
            if let (GatewayHost::Ip(address), Some(ranges)) =
                (&gateway.host, trunk.and_then(|trunk| owned.get_mut(trunk)))
            {
                ranges.add(IpNet::host(address.ip()));
            }
        }
        owned.values_mut().for_each(OwnedRanges::finish);
        let mut owned_by_any = OwnedRanges::default();
        owned
            .values()
            .for_each(|ranges| owned_by_any.add_all(ranges));
        owned_by_any.finish();
        let by_trunk = trunks
            .customers
            .iter()
            .copied()
            .zip(0..)
            .chain(trunks.vendors.iter().copied().zip(0..))
            .collect();
        Snapshot {
            version,
            customers_by_name: customers
                .iter()
                .map(|customer| customer.name.clone())
                .zip(0..)
                .collect(),
            vendors_by_name: vendors
                .iter()
                .map(|vendor| vendor.name.clone())
                .zip(0..)
                .collect(),
            customers,
            vendors,
            gateways,
            plans,
            sheets,
            terms: self.terms,
            sources,
            owned,
            owned_by_any,
            by_trunk,
            nobody: Nobody::default(),
        }
    }

    fn customers(&self, slots: &mut SlotRegistry, trunks: &Trunks) -> Vec<Customer> {
        let tables = self.tables;
        let rows = tables.customers.iter().zip(&trunks.customers);
        rows.map(|(row, trunk)| {
            let plan = self.plans.get(&*row.routing_plan).copied();
            let query = row.lookup_query.as_deref();
            Customer {
                name: row.name.clone(),
                trunk: *trunk,
                slot: slots.assign(*trunk).unwrap_or_default(),
                currency: row.currency.clone(),
                cps_limit: row.cps_limit,
                channel_limit: row.channel_limit,
                rule: NumberRule {
                    strip: row.strip,
                    prepend: row.prepend.clone(),
                },
                enabled: row.enabled,
                lookup: query.map(|query| Lookup {
                    query: query.into(),
                }),
                plan,
                sheet: row
                    .rate_sheet
                    .as_ref()
                    .and_then(|sheet| self.sheets.get(sheet))
                    .copied(),
            }
        })
        .collect()
    }

    fn vendors(&self, slots: &mut SlotRegistry, trunks: &Trunks) -> (Vec<Vendor>, Vec<Gateway>) {
        let tables = self.tables;
        let mut of_vendor: Vec<Vec<Gateway>> = vec![Vec::new(); tables.vendors.len()];
        for row in &tables.vendor_gateways {
            let (Some(vendor), Ok(host)) = (
                self.vendors.get(&*row.vendor),
                row.address.parse::<GatewayHost>(),
            ) else {
                continue;
            };
            of_vendor[*vendor as usize].push(Gateway {
                vendor: VendorIndex(*vendor),
                host: host.with_default_port(row.transport),
                transport: row.transport,
                priority: row.priority,
                weight: row.weight,
                probe_interval_s: row.probe_interval_s,
            });
        }
        let mut gateways = Vec::with_capacity(tables.vendor_gateways.len());
        let rows = tables.vendors.iter().zip(&trunks.vendors).zip(of_vendor);
        let vendors = rows
            .map(|((row, trunk), mut own)| {
                // Sorted by what the operator sees, so that the order of rows in the store changes no decision.
                own.sort_by_cached_key(|gateway| {
                    (
                        gateway.priority,
                        gateway.host.to_string(),
                        gateway.transport,
                    )
                });
                let start = index(gateways.len());
                gateways.append(&mut own);
                Vendor {
                    name: row.name.clone(),
                    trunk: *trunk,
                    slot: slots.assign(*trunk).unwrap_or_default(),
                    currency: row.currency.clone(),
                    cps_limit: row.cps_limit,
                    channel_limit: row.channel_limit,
                    rule: NumberRule {
                        strip: row.strip,
                        prepend: row.prepend.clone(),
                    },
                    enabled: row.enabled,
                    redirect: row.redirect,
                    on_6xx: row.on_6xx,
                    sheet: row
                        .rate_sheet
                        .as_ref()
                        .and_then(|sheet| self.sheets.get(sheet))
                        .copied(),
                    gateways: (start, index(gateways.len())),
                }
            })
            .collect();
        (vendors, gateways)
    }
}

impl Trunks {
    fn all(&self) -> impl Iterator<Item = TrunkId> + '_ {
        self.customers.iter().chain(&self.vendors).copied()
    }
}

impl Plan {
    fn build(row: &crate::PlanRow, mut rows: Vec<(Prefix, PlanRoute)>) -> Self {
        rows.sort_by_key(|(prefix, _)| *prefix);
        let mut entries = Vec::new();
        let mut groups = Vec::new();
        let mut routes = Vec::with_capacity(rows.len());
        for run in rows.chunk_by(|(one, _), (other, _)| one == other) {
            let start = index(routes.len());
            routes.extend(run.iter().map(|(_, route)| *route));
            entries.extend(
                run.first()
                    .map(|(prefix, _)| (*prefix, index(groups.len()))),
            );
            groups.push((start, index(routes.len())));
        }
        Self {
            name: row.name.clone(),
            mode: row.mode,
            forking: row.forking,
            max_attempts: usize::from(row.max_attempts),
            lookup: row.lookup_query.as_deref().map(|query| Lookup {
                query: query.into(),
            }),
            margin_min: row.margin_min,
            table: PrefixTable::build(&entries),
            groups,
            routes,
        }
    }
}

/// Terms as bytes: equal only when they would be written alike (0.010 is not 0.01).
type TermsKey = ([u8; 16], [u8; 16], [u8; 16], u32, u32);

fn terms_key(terms: &RateTerms) -> TermsKey {
    (
        terms.rate.serialize(),
        terms.connect_fee.serialize(),
        terms.next_rate.serialize(),
        terms.initial_interval_s,
        terms.next_interval_s,
    )
}

#[cfg(test)]
mod tests;

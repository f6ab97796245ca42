//! What the compiler refuses: rows that point nowhere, stand twice, or can't be compared.
//!
//! Every fault names the row and what is allowed. Leaves out building (`compile`) and single cells (`cells`).

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::{Compiler, Map};
use crate::fault::{hint, quoted};
use crate::schema::TableKind;
use crate::snapshot::GatewayHost;
use crate::tables::PlanMode;
use crate::unique::{self, start_of};

impl Compiler<'_> {
    /// Duplicates and references.
    pub(super) fn check(&mut self) {
        let tables = self.tables;
        for kind in TableKind::ALL {
            // The rates are checked where they are sorted anyway.
            if kind != TableKind::Rates {
                unique::check(tables, kind, &mut self.faults);
            }
        }
        for (row, customer) in tables.customers.iter().enumerate() {
            let known = self.plans.contains_key(&*customer.routing_plan);
            self.reference(
                known,
                TableKind::Customers,
                row,
                "routing_plan",
                &customer.routing_plan,
            );
            self.lookup(
                TableKind::Customers,
                row,
                customer.lookup.as_deref(),
                customer.lookup_query.as_deref(),
            );
        }
        for (row, address) in tables.customer_addresses.iter().enumerate() {
            let known = self.customers.contains_key(&*address.customer);
            self.reference(
                known,
                TableKind::CustomerAddresses,
                row,
                "customer",
                &address.customer,
            );
        }
        for (row, gateway) in tables.vendor_gateways.iter().enumerate() {
            let known = self.vendors.contains_key(&*gateway.vendor);
            self.reference(
                known,
                TableKind::VendorGateways,
                row,
                "vendor",
                &gateway.vendor,
            );
            if let Err(message) = gateway.address.parse::<GatewayHost>() {
                self.fault(TableKind::VendorGateways, row, "address", message);
            }
        }
        for (row, plan) in tables.routing_plans.iter().enumerate() {
            if !(1..=20).contains(&plan.max_attempts) {
                let message = format!("{} is out of range; allowed: 1 to 20", plan.max_attempts);
                self.fault(TableKind::RoutingPlans, row, "max_attempts", message);
            }
            self.lookup(
                TableKind::RoutingPlans,
                row,
                plan.lookup.as_deref(),
                plan.lookup_query.as_deref(),
            );
        }
        for (row, route) in tables.routes.iter().enumerate() {
            let known = self.plans.contains_key(&*route.plan);
            self.reference(known, TableKind::Routes, row, "plan", &route.plan);
            let known = self.vendors.contains_key(&*route.vendor);
            self.reference(known, TableKind::Routes, row, "vendor", &route.vendor);
            if !matches!(&*route.schedule, "" | "always") {
                let message = format!(
                    "{} is not a schedule; allowed: always, or empty",
                    quoted(&route.schedule)
                );
                self.fault(TableKind::Routes, row, "schedule", message);
            }
        }
    }

    fn lookup(&mut self, kind: TableKind, row: usize, lookup: Option<&str>, query: Option<&str>) {
        let (column, message) = match (lookup, query) {
            (None, None) | (Some("sql"), Some(_)) => return,
            (Some("sql"), None) => (
                "lookup_query",
                "is empty, but lookup is sql; allowed: a query".to_owned(),
            ),
            (None, Some(_)) => (
                "lookup",
                "is empty, but there is a lookup_query; allowed: sql".to_owned(),
            ),
            (Some(other), _) => (
                "lookup",
                format!("{} is not a lookup; allowed: sql, or empty", quoted(other)),
            ),
        };
        self.fault(kind, row, column, message);
    }

    pub(super) fn reference(
        &mut self,
        known: bool,
        kind: TableKind,
        row: usize,
        column: &str,
        name: &str,
    ) {
        if known {
            return;
        }
        let (target, names): (TableKind, Vec<&str>) = match column {
            "customer" => (
                TableKind::Customers,
                self.customers.keys().copied().collect(),
            ),
            "vendor" => (TableKind::Vendors, self.vendors.keys().copied().collect()),
            "rate_sheet" => (
                TableKind::Rates,
                self.sheets.keys().map(String::as_str).collect(),
            ),
            _ => (
                TableKind::RoutingPlans,
                self.plans.keys().copied().collect(),
            ),
        };
        let mut names = names;
        // The nearest name must not depend on the order of a hash map.
        names.sort_unstable();
        let hint = hint(name, names.into_iter());
        let message = format!("{} is not in {}{hint}", quoted(name), target.table_name());
        self.fault(kind, row, column, message);
    }

    pub(super) fn check_rate(&mut self, row: usize) {
        let rate = &self.tables.rates[row];
        let terms = &rate.terms;
        let prices = [
            ("rate", terms.rate),
            ("connect_fee", terms.connect_fee),
            ("next_rate", terms.next_rate),
        ];
        if let Some((column, price)) = prices
            .into_iter()
            .find(|(_, price)| price.is_sign_negative() && !price.is_zero())
        {
            self.fault(
                TableKind::Rates,
                row,
                column,
                format!("{price} is below zero; allowed: 0 and above"),
            );
        } else if terms.next_interval_s == 0 {
            self.fault(
                TableKind::Rates,
                row,
                "next_interval_s",
                "is 0; allowed: 1 to 86400".to_owned(),
            );
        } else if rate.effective_to.is_some_and(|to| to <= start_of(rate)) {
            let message = "is not later than effective_from; allowed: a later instant".to_owned();
            self.fault(TableKind::Rates, row, "effective_to", message);
        }
    }

    /// Prices can be compared only in one currency, and a margin needs both prices.
    pub(super) fn check_money(&mut self) {
        let tables = self.tables;
        let mut currencies: Map<&str, (&str, usize)> = Map::default();
        let mut told = HashSet::<(&str, &str), RandomState>::default();
        for (row, route) in tables.routes.iter().enumerate() {
            let plan = self
                .plans
                .get(&*route.plan)
                .map(|plan| &tables.routing_plans[*plan as usize]);
            let vendor = self
                .vendors
                .get(&*route.vendor)
                .map(|vendor| &tables.vendors[*vendor as usize]);
            let (Some(plan), Some(vendor)) = (plan, vendor) else {
                continue;
            };
            if plan.margin_min.is_some()
                && vendor.rate_sheet.is_none()
                && told.insert((&plan.name, &vendor.name))
            {
                let message = format!(
                    "{} has no rate_sheet, but plan {} has a margin_min; allowed: a vendor with a rate_sheet",
                    quoted(&vendor.name),
                    quoted(&plan.name)
                );
                self.fault(TableKind::Routes, row, "vendor", message);
            }
            if plan.mode == PlanMode::Static && plan.margin_min.is_none() {
                continue;
            }
            let (currency, first) = *currencies
                .entry(&plan.name)
                .or_insert((&vendor.currency, row));
            if currency != vendor.currency && told.insert((&plan.name, &vendor.currency)) {
                let line = tables.line(TableKind::Routes, first);
                let message = format!(
                    "{} bills in {}, but plan {} compares prices in {currency} since line {line}; allowed: one \
                     currency a plan",
                    quoted(&vendor.name),
                    vendor.currency,
                    quoted(&plan.name)
                );
                self.fault(TableKind::Routes, row, "vendor", message);
            }
        }
        for (row, customer) in tables.customers.iter().enumerate() {
            let plan = self
                .plans
                .get(&*customer.routing_plan)
                .map(|plan| &tables.routing_plans[*plan as usize]);
            let Some(plan) = plan.filter(|plan| plan.margin_min.is_some()) else {
                continue;
            };
            if customer.rate_sheet.is_none() {
                let message = format!(
                    "is empty, but plan {} has a margin_min; allowed: a sheet",
                    quoted(&plan.name)
                );
                self.fault(TableKind::Customers, row, "rate_sheet", message);
            }
            if let Some((currency, _)) = currencies.get(&*plan.name)
                && *currency != customer.currency
            {
                let message = format!(
                    "{} can't be compared with {currency} of the vendors of plan {}, which has a margin_min; \
                     allowed: {currency}",
                    customer.currency,
                    quoted(&plan.name)
                );
                self.fault(TableKind::Customers, row, "currency", message);
            }
        }
    }
}

//! Routing data as plain rows, one struct per CSV file and SQL table.
//!
//! The names of columns and what they may hold stand in `schema`.
//! Leaves out everything that needs two rows to be judged: see `compile` and `unique`.

use std::sync::Arc;

use accounting::RateTerms;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::address::AddressPattern;
use crate::fault::Fault;
use crate::prefix::Prefix;
use crate::schema::TableKind;
use crate::transport::Transport;

/// A customer: sends calls, is billed by its rate sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRow {
    /// Key of the store, positive and stable over renames and reloads; 0 for a row that is not stored yet.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Sheet the customer pays by; `None`: calls are not rated on this side.
    pub rate_sheet: Option<String>,
    /// Plan that routes the customer's calls.
    pub routing_plan: String,
    /// ISO 4217 code, three capitals.
    pub currency: String,
    /// Most new calls per second; `None` is unlimited.
    pub cps_limit: Option<u32>,
    /// Most concurrent calls; `None` is unlimited.
    pub channel_limit: Option<u32>,
    /// Digits taken off the front of the dialled number, after the tech prefix.
    pub strip: u8,
    /// Put in front of the dialled number after `strip`.
    pub prepend: String,
    /// Whether calls are taken.
    pub enabled: bool,
    /// Lookup at admission, before the plan's: `sql` or none.
    pub lookup: Option<String>,
    /// The query of the lookup.
    pub lookup_query: Option<String>,
}

/// A source address that identifies a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerAddressRow {
    /// Name of the customer.
    pub customer: String,
    /// Network and perhaps port.
    pub address: AddressPattern,
    /// Transport the call must come in on; `None` matches any.
    pub transport: Option<Transport>,
    /// What the dialled number must start with; it is taken off.
    pub tech_prefix: Option<String>,
}

/// A vendor: takes calls, is paid by its rate sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorRow {
    /// Key of the store, as [`CustomerRow::id`].
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Sheet the vendor bills by; `None`: the price is unknown.
    pub rate_sheet: Option<String>,
    /// ISO 4217 code, three capitals.
    pub currency: String,
    /// Most new calls per second; `None` is unlimited.
    pub cps_limit: Option<u32>,
    /// Most concurrent calls; `None` is unlimited.
    pub channel_limit: Option<u32>,
    /// Digits taken off the front of the routed number.
    pub strip: u8,
    /// Put in front of the routed number after `strip`.
    pub prepend: String,
    /// Whether calls are sent there.
    pub enabled: bool,
    /// Whether its 3xx responses are followed, to its own gateways only.
    pub redirect: bool,
    /// What its 6xx does to the hunt.
    pub on_6xx: On6xx,
}

/// Where a vendor is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRow {
    /// Name of the vendor.
    pub vendor: String,
    /// `host`, `host:port`, `[v6]` or `[v6]:port`, as [`crate::snapshot::GatewayHost`] reads it.
    pub address: String,
    /// Transport to send on.
    pub transport: Transport,
    /// Lower is tried first.
    pub priority: u16,
    /// Share among equal priorities; 0: only after all others of that priority.
    pub weight: u16,
    /// Seconds between OPTIONS probes; 0: none.
    pub probe_interval_s: u32,
}

/// What a vendor's 6xx does to the hunt (RFC 3261 §16.7(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On6xx {
    /// A failed attempt: the next target is tried.
    Next,
    /// The end: other branches are cancelled, no target is tried any more.
    Stop,
}

impl On6xx {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Next, Self::Stop];

    /// The word used in CSV.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Stop => "stop",
        }
    }
}

/// Whether equal targets of a plan are tried one after another or at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forking {
    /// One after another.
    Serial,
    /// At the same time.
    Parallel,
}

impl Forking {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Serial, Self::Parallel];

    /// The word used in CSV.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Parallel => "parallel",
        }
    }
}

/// How a plan orders its vendors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanMode {
    /// Cheapest first.
    Lcr,
    /// By priority, then by weight, among the routes of the longest prefix.
    Static,
}

impl PlanMode {
    /// All modes.
    pub const ALL: [Self; 2] = [Self::Lcr, Self::Static];

    /// The word used in CSV.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lcr => "lcr",
            Self::Static => "static",
        }
    }
}

/// A routing plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRow {
    /// Unique name.
    pub name: String,
    /// How vendors are ordered.
    pub mode: PlanMode,
    /// Whether vendors of equal rank are tried at the same time.
    pub forking: Forking,
    /// Most targets of one call, 1 to 20.
    pub max_attempts: u8,
    /// Least customer rate minus vendor rate, per minute; `None`: any margin, also a loss.
    pub margin_min: Option<Decimal>,
    /// Lookup before routing: `sql` or none.
    pub lookup: Option<String>,
    /// The query of the lookup.
    pub lookup_query: Option<String>,
}

/// A vendor that may be used for a prefix in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// Name of the plan.
    pub plan: String,
    /// Called prefix; the empty one matches all.
    pub prefix: Prefix,
    /// Name of the vendor.
    pub vendor: String,
    /// Lower is tried first (in `lcr` plans among equal prices).
    pub priority: u16,
    /// Share among equals; 0: only after all others.
    pub weight: u16,
    /// When the route holds; empty: always.
    pub schedule: String,
    /// Whether the route is used at all.
    pub enabled: bool,
}

/// The price of a prefix in a rate sheet, over a span of time.
#[derive(Clone, Debug, PartialEq)]
pub struct RateRow {
    /// Name of the sheet; shared between rows, since there are millions.
    pub sheet: Arc<str>,
    /// Called prefix; the empty one matches all.
    pub prefix: Prefix,
    /// Prices and intervals.
    pub terms: RateTerms,
    /// First instant of validity, UTC µs; `None`: since ever.
    pub effective_from: Option<i64>,
    /// End of validity (not part of it), UTC µs; `None`: for ever.
    pub effective_to: Option<i64>,
}

/// All routing data.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// `customers.csv`
    pub customers: Vec<CustomerRow>,
    /// `customer_addresses.csv`
    pub customer_addresses: Vec<CustomerAddressRow>,
    /// `vendors.csv`
    pub vendors: Vec<VendorRow>,
    /// `vendor_gateways.csv`
    pub vendor_gateways: Vec<GatewayRow>,
    /// `routing_plans.csv`
    pub routing_plans: Vec<PlanRow>,
    /// `routes.csv`
    pub routes: Vec<RouteRow>,
    /// `rates.csv`
    pub rates: Vec<RateRow>,
    /// Where rows came from, for faults that show only when all tables are seen together.
    pub origins: Origins,
}

/// Where the rows of each table were read.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    places: [Option<String>; TableKind::ALL.len()],
    lines: [Vec<u32>; TableKind::ALL.len()],
}

impl Tables {
    /// Number of rows of one table.
    #[must_use]
    pub fn len(&self, kind: TableKind) -> usize {
        match kind {
            TableKind::Customers => self.customers.len(),
            TableKind::CustomerAddresses => self.customer_addresses.len(),
            TableKind::Vendors => self.vendors.len(),
            TableKind::VendorGateways => self.vendor_gateways.len(),
            TableKind::RoutingPlans => self.routing_plans.len(),
            TableKind::Routes => self.routes.len(),
            TableKind::Rates => self.rates.len(),
        }
    }

    /// Whether there is no row at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        TableKind::ALL.into_iter().all(|kind| self.len(kind) == 0)
    }

    /// Moves one table of `read` behind the rows of this one.
    pub(crate) fn append(&mut self, kind: TableKind, mut read: Self) {
        let start = self.len(kind);
        let places: Vec<usize> = (start..start + read.len(kind)).collect();
        match kind {
            TableKind::Customers => self.customers.append(&mut read.customers),
            TableKind::CustomerAddresses => {
                self.customer_addresses.append(&mut read.customer_addresses)
            }
            TableKind::Vendors => self.vendors.append(&mut read.vendors),
            TableKind::VendorGateways => self.vendor_gateways.append(&mut read.vendor_gateways),
            TableKind::RoutingPlans => self.routing_plans.append(&mut read.routing_plans),
            TableKind::Routes => self.routes.append(&mut read.routes),
            TableKind::Rates => self.rates.append(&mut read.rates),
        }
        self.adopt_origins(&read, kind, &places);
    }

    /// Notes that the last row of `kind` was read from this line of `place`.
    pub(crate) fn note_origin(&mut self, kind: TableKind, place: &str, line: u64) {
        let row = self.len(kind);
        let known = &mut self.origins.places[kind as usize];
        if known.as_deref() != Some(place) {
            *known = Some(place.to_owned());
        }
        let lines = &mut self.origins.lines[kind as usize];
        // Rows that were there without an origin keep none.
        lines.resize(row.saturating_sub(1), 0);
        lines.push(u32::try_from(line).unwrap_or(u32::MAX));
    }

    /// Takes the origins of rows that were copied from `newer` to `places`.
    pub(crate) fn adopt_origins(&mut self, newer: &Self, kind: TableKind, places: &[usize]) {
        let Some(place) = &newer.origins.places[kind as usize] else {
            return;
        };
        self.origins.places[kind as usize] = Some(place.clone());
        let (lines, from) = (
            &mut self.origins.lines[kind as usize],
            &newer.origins.lines[kind as usize],
        );
        for (row, line) in places.iter().zip(from) {
            if lines.len() <= *row {
                lines.resize(row + 1, 0);
            }
            lines[*row] = *line;
        }
    }

    /// Line of a row, from 1 (the row's number where it was not read from a file).
    #[must_use]
    pub fn line(&self, kind: TableKind, row: usize) -> u64 {
        match self.origins.lines[kind as usize].get(row) {
            Some(line) if *line > 0 => u64::from(*line),
            _ => row as u64 + 1,
        }
    }

    /// A fault at a row of a table.
    pub(crate) fn fault(
        &self,
        kind: TableKind,
        row: usize,
        column: &str,
        message: String,
    ) -> Fault {
        let place = match &self.origins.places[kind as usize] {
            Some(place)
                if self.origins.lines[kind as usize]
                    .get(row)
                    .is_some_and(|line| *line > 0) =>
            {
                place.clone()
            }
            _ => format!("table {}", kind.table_name()),
        };
        Fault {
            place,
            line: self.line(kind, row),
            column: column.to_owned(),
            message,
        }
    }

    /// Puts `newer` on top of this: rows of the same key are replaced (customers and vendors keep their `id`), others
    /// added. This is what `load` without `--replace` does to a store.
    pub fn merge(&mut self, newer: &Self) {
        crate::unique::merge(self, newer);
    }
}

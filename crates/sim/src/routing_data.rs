//! The routing data of a simulated node: one customer, one plan, some vendors, built from rows as an operator writes them.
//! Every price is per minute in whole seconds, so that the invariants can compute it again by other means.
//! Leaves out everything routing tests prove for themselves (prefixes, schedules, margins).

use routing::cells::{Place, push_cells};
use routing::{SlotRegistry, Snapshot, TableKind, Tables, TrunkId};

use crate::world::PROXY;

/// The customer's price per minute.
pub const CUSTOMER_RATE: &str = "0.60";
/// The network of the customer's hosts.
pub const CUSTOMER_NET: &str = "198.51.100.0/24";
/// The customer's id in the store.
pub const CUSTOMER_ID: i64 = 1;
/// The proxy's ids as its own vendor and as its own customer.
const ROUND_ID: i64 = 99;
/// The name of the proxy as its own vendor.
pub const ROUND: &str = "round";
/// The price per minute of the proxy as its own vendor.
pub const ROUND_RATE: &str = "0.30";

/// A vendor and its gateways.
#[derive(Clone, Debug)]
pub struct VendorSpec {
    /// Its name.
    pub name: String,
    /// Its price per minute.
    pub rate: String,
    /// Most concurrent calls.
    pub channel_limit: Option<u32>,
    /// Its redirects are followed.
    pub redirect: bool,
    /// Its 6xx ends the hunt.
    pub stops_at_6xx: bool,
    /// Gateway addresses as the table holds them: `host[:port]`, in order of priority.
    pub gateways: Vec<String>,
}

/// The plan leads to a vendor whose gateway is the proxy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// The number changes on the way, and what comes back is another customer's, whose plan leads to the vendors.
    Spiral,
    /// Nothing changes: what comes back goes round again.
    Loop,
}

/// What the customer is allowed.
#[derive(Clone, Debug, Default)]
pub struct CustomerSpec {
    /// Most concurrent calls.
    pub channel_limit: Option<u32>,
    /// Most new calls per second.
    pub cps_limit: Option<u32>,
    /// The query of a lookup before routing.
    pub lookup: Option<String>,
    /// The query of the plan's lookup.
    pub plan_lookup: Option<String>,
    /// Calls come back to the proxy first.
    pub round: Option<Round>,
}

/// The trunk of the vendor at that place of the list.
pub fn vendor_trunk(place: usize) -> TrunkId {
    TrunkId::vendor(i64::try_from(place).unwrap_or(0) + 1)
}

/// The trunk of the customer.
pub fn customer_trunk() -> TrunkId {
    TrunkId::customer(CUSTOMER_ID)
}

/// The trunks of the proxy as its own vendor and as its own customer.
pub fn round_trunks() -> [TrunkId; 2] {
    [TrunkId::vendor(ROUND_ID), TrunkId::customer(ROUND_ID)]
}

/// Compiles the data, or says what is wrong with it; with `parallel`, all vendors are tried at once.
pub fn snapshot(
    customer: &CustomerSpec,
    parallel: bool,
    vendors: &[VendorSpec],
    slots: &mut SlotRegistry,
) -> Result<Snapshot, String> {
    let mut rows = Rows {
        tables: Tables::default(),
        faults: Vec::new(),
    };
    let limit = |limit: Option<u32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
    let lookup =
        |query: &Option<String>| query.as_ref().map(|_| "sql").unwrap_or_default().to_owned();
    let query = |query: &Option<String>| query.clone().unwrap_or_default();
    rows.push(
        TableKind::Customers,
        CUSTOMER_ID,
        &[
            ("name", "acme"),
            ("rate_sheet", "acme"),
            ("routing_plan", "plan"),
            ("cps_limit", &limit(customer.cps_limit)),
            ("channel_limit", &limit(customer.channel_limit)),
            ("lookup", &lookup(&customer.lookup)),
            ("lookup_query", &query(&customer.lookup)),
        ],
    );
    rows.push(
        TableKind::CustomerAddresses,
        0,
        &[("customer", "acme"), ("address", CUSTOMER_NET)],
    );
    rows.push(
        TableKind::Rates,
        0,
        &[("sheet", "acme"), ("rate", CUSTOMER_RATE)],
    );
    let modes = [
        ("mode", if parallel { "static" } else { "lcr" }),
        ("forking", if parallel { "parallel" } else { "serial" }),
    ];
    let (plan_lookup, plan_query) = (lookup(&customer.plan_lookup), query(&customer.plan_lookup));
    let lookups = [
        ("lookup", plan_lookup.as_str()),
        ("lookup_query", plan_query.as_str()),
    ];
    let plan = [[("name", "plan"), modes[0], modes[1]].as_slice(), &lookups].concat();
    rows.push(TableKind::RoutingPlans, 0, &plan);
    if let Some(round) = customer.round {
        rows.push_round(round);
        let onward = [("name", "onward"), modes[0], modes[1]];
        rows.push(TableKind::RoutingPlans, 0, &onward);
    }
    let plan_of_vendors = if customer.round.is_some() {
        "onward"
    } else {
        "plan"
    };
    for (place, vendor) in vendors.iter().enumerate() {
        let id = i64::try_from(place).unwrap_or(0) + 1;
        let name = vendor.name.as_str();
        let channels = limit(vendor.channel_limit);
        rows.push(
            TableKind::Vendors,
            id,
            &[
                ("name", name),
                ("rate_sheet", name),
                ("channel_limit", &channels),
                ("redirect", if vendor.redirect { "true" } else { "false" }),
                ("on_6xx", if vendor.stops_at_6xx { "stop" } else { "next" }),
            ],
        );
        rows.push(
            TableKind::Rates,
            0,
            &[("sheet", name), ("rate", &vendor.rate)],
        );
        rows.push(
            TableKind::Routes,
            0,
            &[("plan", plan_of_vendors), ("vendor", name)],
        );
        for (order, gateway) in vendor.gateways.iter().enumerate() {
            let priority = (order + 1).to_string();
            rows.push(
                TableKind::VendorGateways,
                0,
                &[
                    ("vendor", name),
                    ("address", gateway),
                    ("priority", &priority),
                ],
            );
        }
    }
    if !rows.faults.is_empty() {
        return Err(format!("{:?}", rows.faults));
    }
    routing::compile(&rows.tables, 1, slots).map_err(|faults| format!("{faults:?}"))
}

struct Rows {
    tables: Tables,
    faults: Vec<routing::Fault>,
}

impl Rows {
    /// The proxy as a vendor of the plan, and as the customer whose calls come from it.
    fn push_round(&mut self, round: Round) {
        let address = PROXY.split(':').next().unwrap_or_default();
        let (prepend, customer) = match round {
            Round::Spiral => ("99", "onward"),
            Round::Loop => ("", "acme"),
        };
        for (kind, id, row) in [
            (
                TableKind::Vendors,
                ROUND_ID,
                &[("name", ROUND), ("rate_sheet", ROUND), ("prepend", prepend)][..],
            ),
            (
                TableKind::Rates,
                0,
                &[("sheet", ROUND), ("rate", ROUND_RATE)],
            ),
            (TableKind::Routes, 0, &[("plan", "plan"), ("vendor", ROUND)]),
            (
                TableKind::VendorGateways,
                0,
                &[("vendor", ROUND), ("address", PROXY), ("priority", "1")],
            ),
            (
                TableKind::Customers,
                ROUND_ID,
                &[
                    ("name", "onward"),
                    ("rate_sheet", ROUND),
                    ("routing_plan", "onward"),
                    ("strip", "2"),
                ],
            ),
            (
                TableKind::CustomerAddresses,
                0,
                &[("customer", customer), ("address", address)],
            ),
        ] {
            self.push(kind, id, row);
        }
    }

    fn push(&mut self, kind: TableKind, id: i64, named: &[(&str, &str)]) {
        let cell = |name: &str| {
            named
                .iter()
                .find(|(known, _)| *known == name)
                .map_or("", |(_, text)| *text)
        };
        let cells: Vec<&str> = kind
            .columns()
            .iter()
            .map(|column| cell(column.name))
            .collect();
        let place = Place {
            name: "simulation",
            line: 1,
        };
        push_cells(&mut self.tables, kind, place, id, &cells, &mut self.faults);
    }
}

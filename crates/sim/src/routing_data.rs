//! The routing data of a simulated node: one customer, one plan, some vendors, built from rows as an operator writes them.
//! Every price is per minute in whole seconds, so that the invariants can compute it again by other means.
//! Leaves out everything routing tests prove for themselves (prefixes, schedules, margins).

use routing::cells::{Place, push_cells};
use routing::{SlotRegistry, Snapshot, TableKind, Tables, TrunkId};

/// The customer's price per minute.
pub const CUSTOMER_RATE: &str = "0.60";
/// The network of the customer's hosts.
pub const CUSTOMER_NET: &str = "198.51.100.0/24";
/// The customer's id in the store.
pub const CUSTOMER_ID: i64 = 1;

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
}

/// The trunk of the vendor at that place of the list.
pub fn vendor_trunk(place: usize) -> TrunkId {
    TrunkId::vendor(i64::try_from(place).unwrap_or(0) + 1)
}

/// The trunk of the customer.
pub fn customer_trunk() -> TrunkId {
    TrunkId::customer(CUSTOMER_ID)
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
    rows.push(
        TableKind::RoutingPlans,
        0,
        &[
            ("name", "plan"),
            ("mode", if parallel { "static" } else { "lcr" }),
            ("forking", if parallel { "parallel" } else { "serial" }),
            ("lookup", &lookup(&customer.plan_lookup)),
            ("lookup_query", &query(&customer.plan_lookup)),
        ],
    );
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
        rows.push(TableKind::Routes, 0, &[("plan", "plan"), ("vendor", name)]);
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

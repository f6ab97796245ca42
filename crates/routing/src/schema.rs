//! The schema of routing data: tables, their files and columns, in one place for CSV and store.
//!
//! Which columns may be left out, and what each may hold in words for the operator.
//! Leaves out the reading of cells (`cells`).

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableKind {
    /// `customers.csv`
    Customers,
    /// `customer_addresses.csv`
    CustomerAddresses,
    /// `vendors.csv`
    Vendors,
    /// `vendor_gateways.csv`
    VendorGateways,
    /// `routing_plans.csv`
    RoutingPlans,
    /// `routes.csv`
    Routes,
    /// `rates.csv`
    Rates,
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name, as in the header line.
    pub name: &'static str,
    /// Whether the header must name it.
    pub required: bool,
    /// What it may hold, in words for the operator.
    pub allowed: &'static str,
}

const fn required(name: &'static str, allowed: &'static str) -> Column {
    Column {
        name,
        required: true,
        allowed,
    }
}

const fn optional(name: &'static str, allowed: &'static str) -> Column {
    Column {
        name,
        required: false,
        allowed,
    }
}

const NAME: &str = "1 to 64 characters, no control characters";
const CURRENCY: &str = "three capital letters (ISO 4217); empty: USD";
const CPS: &str = "whole number 0 to 1000000, calls per second; empty: unlimited";
const CHANNELS: &str = "whole number 0 to 1000000, concurrent calls; empty: unlimited";
const STRIP: &str = "whole number 0 to 32; empty: 0";
const PREPEND: &str = "up to 32 of 0-9 * # and letters, perhaps with a leading +; empty: nothing";
const ENABLED: &str = "true or false; empty: true";
const REDIRECT: &str = "true or false: follow its 3xx, to its own gateways only; empty: false";
const ON_6XX: &str = "next or stop: what its 6xx does to the hunt; empty: next";
const FORKING: &str =
    "serial or parallel: targets of equal rank one by one or at once; empty: serial";
const PRIORITY: &str = "whole number 0 to 65535, lower first; empty: 1";
const WEIGHT: &str = "whole number 0 to 65535; empty: 1";
const LOOKUP: &str = "sql; empty: none";
const QUERY: &str =
    "one SQL query of up to 4096 characters with {number}, {caller}, {customer}; needs lookup";
const PREFIX: &str = "0 to 15 digits, a leading + is ignored; empty: all numbers";
const EFFECTIVE: &str = "date (midnight UTC) or RFC 3339 instant; empty: no bound";
const INITIAL: &str = "whole number 0 to 86400, seconds; empty: 1";
const INTERVAL: &str = "whole number 1 to 86400, seconds; empty: 1";

impl TableKind {
    /// All tables, in an order in which every reference points to an earlier table or to `rates`.
    pub const ALL: [Self; 7] = [
        Self::Customers,
        Self::CustomerAddresses,
        Self::Vendors,
        Self::VendorGateways,
        Self::RoutingPlans,
        Self::Routes,
        Self::Rates,
    ];

    /// Name of the table, which is the file name without `.csv`.
    #[must_use]
    pub const fn table_name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::CustomerAddresses => "customer_addresses",
            Self::Vendors => "vendors",
            Self::VendorGateways => "vendor_gateways",
            Self::RoutingPlans => "routing_plans",
            Self::Routes => "routes",
            Self::Rates => "rates",
        }
    }

    /// Name of the CSV file.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Customers => "customers.csv",
            Self::CustomerAddresses => "customer_addresses.csv",
            Self::Vendors => "vendors.csv",
            Self::VendorGateways => "vendor_gateways.csv",
            Self::RoutingPlans => "routing_plans.csv",
            Self::Routes => "routes.csv",
            Self::Rates => "rates.csv",
        }
    }

    /// The columns, in the order in which they are exported.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Customers => {
                const {
                    &[
                        required("name", NAME),
                        optional(
                            "rate_sheet",
                            "name of a sheet in rates.csv; empty: calls are not rated",
                        ),
                        required("routing_plan", "name of a plan in routing_plans.csv"),
                        optional("currency", CURRENCY),
                        optional("cps_limit", CPS),
                        optional("channel_limit", CHANNELS),
                        optional("strip", STRIP),
                        optional("prepend", PREPEND),
                        optional("enabled", ENABLED),
                        optional("lookup", LOOKUP),
                        optional("lookup_query", QUERY),
                    ]
                }
            }
            Self::CustomerAddresses => {
                const {
                    &[
                        required("customer", "name of a customer in customers.csv"),
                        required("address", "IP address or network, perhaps with a port"),
                        optional("transport", "udp, tcp or tls; empty: any"),
                        optional(
                            "tech_prefix",
                            "up to 32 of 0-9 * # and letters; empty: none",
                        ),
                    ]
                }
            }
            Self::Vendors => {
                const {
                    &[
                        required("name", NAME),
                        optional(
                            "rate_sheet",
                            "name of a sheet in rates.csv; empty: the price is unknown",
                        ),
                        optional("currency", CURRENCY),
                        optional("cps_limit", CPS),
                        optional("channel_limit", CHANNELS),
                        optional("strip", STRIP),
                        optional("prepend", PREPEND),
                        optional("enabled", ENABLED),
                        optional("redirect", REDIRECT),
                        optional("on_6xx", ON_6XX),
                    ]
                }
            }
            Self::VendorGateways => {
                const {
                    &[
                        required("vendor", "name of a vendor in vendors.csv"),
                        required(
                            "address",
                            "IP address or host name, perhaps with a port; IPv6 in brackets",
                        ),
                        optional("transport", "udp, tcp or tls; empty: udp"),
                        optional("priority", PRIORITY),
                        optional("weight", WEIGHT),
                        optional(
                            "probe_interval_s",
                            "whole number 0 to 86400; empty or 0: no probes",
                        ),
                    ]
                }
            }
            Self::RoutingPlans => {
                const {
                    &[
                        required("name", NAME),
                        required("mode", "lcr or static"),
                        optional("forking", FORKING),
                        optional("max_attempts", "whole number 1 to 20; empty: 5"),
                        optional(
                            "margin_min",
                            "decimal -1000000 to 1000000, per minute; empty: no check",
                        ),
                        optional("lookup", LOOKUP),
                        optional("lookup_query", QUERY),
                    ]
                }
            }
            Self::Routes => {
                const {
                    &[
                        required("plan", "name of a plan in routing_plans.csv"),
                        required("prefix", PREFIX),
                        required("vendor", "name of a vendor in vendors.csv"),
                        optional("priority", PRIORITY),
                        optional("weight", WEIGHT),
                        optional("schedule", "always; empty: always"),
                        optional("enabled", ENABLED),
                    ]
                }
            }
            Self::Rates => {
                const {
                    &[
                        required("sheet", NAME),
                        required("prefix", PREFIX),
                        required(
                            "rate",
                            "decimal 0 to 1000000 with at most 10 places, per minute",
                        ),
                        optional(
                            "connect_fee",
                            "decimal 0 to 1000000 with at most 10 places; empty: 0",
                        ),
                        optional("initial_interval_s", INITIAL),
                        optional(
                            "next_rate",
                            "decimal 0 to 1000000 with at most 10 places, per minute; empty: rate",
                        ),
                        optional("next_interval_s", INTERVAL),
                        optional("effective_from", EFFECTIVE),
                        optional("effective_to", EFFECTIVE),
                    ]
                }
            }
        }
    }
}

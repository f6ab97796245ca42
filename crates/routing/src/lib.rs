//! Who called whom becomes an ordered list of targets with prices, without I/O.
//!
//! RFC 3261 §16.5 (the target set) as a carrier understands it: customer by source address, number rules, longest
//! prefix, price order, failover order. Leaves out the sending (`proxy-core`) and the store (`storage`).
//!
//! The way of a call through this crate:
//! [`Snapshot::customer_for`] (who calls) → [`Snapshot::route`] (where it may go, in which order, at which prices) →
//! [`TrunkCounters`] (is there room). Tables come from CSV ([`read_csv`]) or from the store, and [`compile()`] turns them
//! into the immutable [`Snapshot`] that workers share. The decision step by step is documented in [`select`].

pub mod address;
pub mod cells;
pub mod compile;
pub mod csv;
pub mod explain;
pub mod fault;
pub mod instant;
pub mod number;
pub mod prefix;
pub mod rates;
pub mod schema;
pub mod select;
pub mod snapshot;
pub mod sources;
pub mod tables;
pub mod transport;
pub mod trunk;
pub mod unique;

pub use address::{AddressPattern, IpNet};
pub use compile::compile;
pub use csv::{read_csv, write_csv};
pub use explain::Explanation;
pub use fault::{FAULTS_MAX, Fault};
pub use number::NumberText;
pub use prefix::Prefix;
pub use schema::{Column, TableKind};
pub use select::{RouteOutcome, RouteQuery, Target, TargetSet};
pub use snapshot::{
    Customer, CustomerIndex, CustomerMatch, Gateway, GatewayHost, GatewayIndex, Lookup, Snapshot,
    Vendor, VendorIndex,
};
pub use tables::{
    CustomerAddressRow, CustomerRow, Forking, GatewayRow, On6xx, PlanMode, PlanRow, RateRow,
    RouteRow, Tables, VendorRow,
};
pub use transport::Transport;
pub use trunk::{SlotRegistry, TRUNKS_MAX, TrunkCounters, TrunkId, TrunkSide};

#[cfg(test)]
mod testing;

//! The compiled routing data that workers share: immutable, versioned, swapped whole.
//!
//! RFC 3261 §16.5 asks it for targets, admission asks it for customers and limits.
//! Leaves out the decision itself (`select`) and how it is built (`compile`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use accounting::RateTerms;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rust_decimal::Decimal;

use crate::number::{NumberRule, NumberText, dialled};
use crate::prefix::PrefixTable;
use crate::rates::Sheet;
use crate::sources::{OwnedRanges, SourceIndex};
use crate::tables::{Forking, On6xx, PlanMode};
use crate::transport::Transport;
use crate::trunk::{TrunkId, TrunkSide};

/// A customer of one snapshot. Meaningless in another one: keep the [`TrunkId`] across a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerIndex(pub(crate) u32);

/// A vendor of one snapshot. Meaningless in another one: keep the [`TrunkId`] across a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VendorIndex(pub(crate) u32);

/// A gateway of one snapshot. Meaningless in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayIndex(pub(crate) u32);

/// A lookup before routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The SQL query, with `{number}`, `{caller}` and `{customer}` as placeholders.
    pub query: Arc<str>,
}

/// A compiled customer.
#[derive(Clone, Debug)]
pub struct Customer {
    /// Unique name.
    pub name: String,
    /// Identity that outlives reloads and renames.
    pub trunk: TrunkId,
    /// Where [`crate::TrunkCounters`] counts it.
    pub slot: u32,
    /// ISO 4217 code.
    pub currency: String,
    /// Most new calls per second; `None` is unlimited.
    pub cps_limit: Option<u32>,
    /// Most concurrent calls; `None` is unlimited.
    pub channel_limit: Option<u32>,
    /// What happens to the dialled number, after the tech prefix is gone.
    pub rule: NumberRule,
    /// Whether calls are taken. The caller of [`Snapshot::route`] must look: a disabled customer still owns its addresses.
    pub enabled: bool,
    /// The customer's own lookup, at admission; the plan's is [`Snapshot::plan_lookup`].
    pub lookup: Option<Lookup>,
    pub(crate) plan: Option<u32>,
    pub(crate) sheet: Option<u32>,
}

/// A compiled vendor.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Unique name.
    pub name: String,
    /// Identity that outlives reloads and renames.
    pub trunk: TrunkId,
    /// Where [`crate::TrunkCounters`] counts it.
    pub slot: u32,
    /// ISO 4217 code.
    pub currency: String,
    /// Most new calls per second; `None` is unlimited.
    pub cps_limit: Option<u32>,
    /// Most concurrent calls; `None` is unlimited.
    pub channel_limit: Option<u32>,
    /// What happens to the routed number on its way to this vendor.
    pub rule: NumberRule,
    /// Whether calls are sent there; [`Snapshot::route`] leaves disabled vendors out.
    pub enabled: bool,
    /// Whether its 3xx responses are followed, to its own gateways only.
    pub redirect: bool,
    /// What its 6xx does to the hunt.
    pub on_6xx: On6xx,
    pub(crate) sheet: Option<u32>,
    /// Its gateways, contiguous in the snapshot, by priority.
    pub(crate) gateways: (u32, u32),
}

/// Where a gateway is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GatewayHost {
    /// An address; the port is known unless the text left it out, then it is 0 until the transport's default is filled in.
    Ip(SocketAddr),
    /// A name, to be resolved by SRV where no port is given, else by A and AAAA (RFC 3263 §4.2).
    Name {
        /// Host name, as written.
        host: String,
        /// Port, if given.
        port: Option<u16>,
    },
}

impl GatewayHost {
    /// The same with the default port of `transport` where an address came without one.
    #[must_use]
    pub fn with_default_port(self, transport: Transport) -> Self {
        match self {
            Self::Ip(address) if address.port() == 0 => {
                Self::Ip(SocketAddr::new(address.ip(), transport.default_port()))
            }
            other => other,
        }
    }
}

impl fmt::Display for GatewayHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Name {
                host,
                port: Some(port),
            } => write!(f, "{host}:{port}"),
            Self::Name { host, port: None } => f.write_str(host),
        }
    }
}

impl FromStr for GatewayHost {
    type Err = String;

    /// Reads `192.0.2.1`, `192.0.2.1:5060`, `[2001:db8::1]`, `[2001:db8::1]:5060`, `2001:db8::1`, `sip.example.com` and
    /// `sip.example.com:5060`. The error says what is allowed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || {
            format!(
                "{} is not a gateway address; allowed: 192.0.2.1, [2001:db8::1] or sip.example.com, each perhaps \
                 with :port (1 to 65535)",
                crate::fault::quoted(text)
            )
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(SocketAddr::new(address.to_canonical(), 0)));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port))
                if !host.contains(':') || host.starts_with('[') && host.ends_with(']') =>
            {
                let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                match port.parse::<u16>() {
                    Ok(port) if digits && port > 0 => (host, Some(port)),
                    _ => return Err(refused()),
                }
            }
            _ => (text, None),
        };
        if let Some(inner) = host.strip_prefix('[') {
            let address = inner
                .strip_suffix(']')
                .and_then(|inner| inner.parse().ok())
                .ok_or_else(refused)?;
            return Ok(Self::Ip(SocketAddr::new(
                IpAddr::V6(address).to_canonical(),
                port.unwrap_or(0),
            )));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Self::Ip(SocketAddr::new(
                address.to_canonical(),
                port.unwrap_or(0),
            )));
        }
        if is_host_name(host) {
            Ok(Self::Name {
                host: host.to_owned(),
                port,
            })
        } else {
            Err(refused())
        }
    }
}

/// RFC 1123 and RFC 3261 §25.1: labels of letters, digits and hyphens; the last one starts with a letter, so that
/// a mistyped address is not taken for a name. Underscores are let through: internal DNS uses them.
fn is_host_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253
        && host.split('.').all(label)
        && host
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_alphabetic()))
}

/// A compiled gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The vendor it belongs to.
    pub vendor: VendorIndex,
    /// Where it is.
    pub host: GatewayHost,
    /// Transport to send on.
    pub transport: Transport,
    /// Lower is tried first.
    pub priority: u16,
    /// Share among equal priorities; 0: only after all others.
    pub weight: u16,
    /// Seconds between OPTIONS probes; 0: none.
    pub probe_interval_s: u32,
}

/// A compiled plan.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) mode: PlanMode,
    pub(crate) forking: Forking,
    pub(crate) max_attempts: usize,
    pub(crate) lookup: Option<Lookup>,
    pub(crate) margin_min: Option<Decimal>,
    /// Values are indexes of `groups`.
    pub(crate) table: PrefixTable,
    /// Ranges of `routes`, one per prefix.
    pub(crate) groups: Vec<(u32, u32)>,
    pub(crate) routes: Vec<PlanRoute>,
}

/// A vendor that may be used for a prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanRoute {
    pub(crate) vendor: u32,
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) enabled: bool,
}

/// Who a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomerMatch {
    /// The customer, of this snapshot.
    pub customer: CustomerIndex,
    /// Characters of the tech prefix at the start of the dialled number (without `+`); hand it to [`crate::RouteQuery`].
    pub tech_prefix_len: usize,
}

/// All routing data, compiled. Built by [`crate::compile()`], shared as `Arc<Snapshot>`.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) version: u64,
    pub(crate) customers: Vec<Customer>,
    pub(crate) vendors: Vec<Vendor>,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) terms: Vec<RateTerms>,
    pub(crate) sources: SourceIndex,
    pub(crate) owned: HashMap<TrunkId, OwnedRanges, RandomState>,
    pub(crate) owned_by_any: OwnedRanges,
    pub(crate) by_trunk: HashMap<TrunkId, u32, RandomState>,
    pub(crate) customers_by_name: HashMap<String, u32, RandomState>,
    pub(crate) vendors_by_name: HashMap<String, u32, RandomState>,
    pub(crate) nobody: Nobody,
}

/// What is shown for an index of another snapshot: disabled, nameless, going nowhere.
#[derive(Debug)]
pub(crate) struct Nobody {
    customer: Customer,
    vendor: Vendor,
    gateway: Gateway,
}

impl Default for Nobody {
    fn default() -> Self {
        Self {
            customer: Customer {
                name: String::new(),
                trunk: TrunkId::customer(0),
                slot: 0,
                currency: String::new(),
                cps_limit: Some(0),
                channel_limit: Some(0),
                rule: NumberRule::default(),
                enabled: false,
                lookup: None,
                plan: None,
                sheet: None,
            },
            vendor: Vendor {
                name: String::new(),
                trunk: TrunkId::vendor(0),
                slot: 0,
                currency: String::new(),
                cps_limit: Some(0),
                channel_limit: Some(0),
                rule: NumberRule::default(),
                enabled: false,
                redirect: false,
                on_6xx: On6xx::Next,
                sheet: None,
                gateways: (0, 0),
            },
            gateway: Gateway {
                vendor: VendorIndex(u32::MAX),
                host: GatewayHost::Name {
                    host: "invalid".to_owned(),
                    port: None,
                },
                transport: Transport::Udp,
                priority: u16::MAX,
                weight: 0,
                probe_interval_s: 0,
            },
        }
    }
}

impl Snapshot {
    /// The version given to [`crate::compile()`]; it goes into every CDR.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The customer that a call from `source` over `transport` to `dialled_user` (raw user part) belongs to.
    ///
    /// The best match of (transport given beats any, longest network, port given beats any, longest tech prefix), in this
    /// order. `None`: nobody's, 403. A match may be disabled: look at [`Customer::enabled`].
    #[must_use]
    pub fn customer_for(
        &self,
        transport: Transport,
        source: SocketAddr,
        dialled_user: &[u8],
    ) -> Option<CustomerMatch> {
        let (customer, tech_prefix_len) = self.sources.find(transport, source, dialled_user)?;
        Some(CustomerMatch {
            customer: CustomerIndex(customer),
            tech_prefix_len,
        })
    }

    /// The lookup that the plan of a customer makes before it routes.
    #[must_use]
    pub fn plan_lookup(&self, customer: CustomerIndex) -> Option<&Lookup> {
        let plan = self.customer(customer).plan?;
        self.plans.get(plan as usize)?.lookup.as_ref()
    }

    /// The number after the customer's rules: what a lookup is asked about and what is routed.
    pub fn routed_number(
        &self,
        customer: CustomerMatch,
        dialled_user: &[u8],
        out: &mut NumberText,
    ) {
        self.customer(customer.customer).rule.apply(
            &dialled(dialled_user),
            customer.tech_prefix_len,
            out,
        );
    }

    /// A customer of this snapshot; an index of another one may show a disabled nobody.
    #[must_use]
    pub fn customer(&self, index: CustomerIndex) -> &Customer {
        self.customers
            .get(index.0 as usize)
            .unwrap_or(&self.nobody.customer)
    }

    /// A vendor of this snapshot; an index of another one may show a disabled nobody.
    #[must_use]
    pub fn vendor(&self, index: VendorIndex) -> &Vendor {
        self.vendors
            .get(index.0 as usize)
            .unwrap_or(&self.nobody.vendor)
    }

    /// A gateway of this snapshot; an index of another one may show one that leads nowhere.
    #[must_use]
    pub fn gateway(&self, index: GatewayIndex) -> &Gateway {
        self.gateways
            .get(index.0 as usize)
            .unwrap_or(&self.nobody.gateway)
    }

    /// All customers.
    pub fn customers(&self) -> impl Iterator<Item = (CustomerIndex, &Customer)> {
        (0..).map(CustomerIndex).zip(&self.customers)
    }

    /// All vendors.
    pub fn vendors(&self) -> impl Iterator<Item = (VendorIndex, &Vendor)> {
        (0..).map(VendorIndex).zip(&self.vendors)
    }

    /// All gateways.
    pub fn gateways(&self) -> impl Iterator<Item = (GatewayIndex, &Gateway)> {
        (0..).map(GatewayIndex).zip(&self.gateways)
    }

    /// The gateways of a vendor, by priority.
    pub fn gateways_of(
        &self,
        vendor: VendorIndex,
    ) -> impl Iterator<Item = (GatewayIndex, &Gateway)> {
        let (start, end) = self.vendor(vendor).gateways;
        (start..end)
            .filter_map(|index| Some((GatewayIndex(index), self.gateways.get(index as usize)?)))
    }

    /// Number of rates in all sheets, each prefix of a sheet counted once.
    #[must_use]
    pub fn rate_count(&self) -> usize {
        self.sheets.iter().map(Sheet::len).sum()
    }

    /// Whether `address` is one of this trunk's: in a customer's networks, or a vendor's gateway given by address. Ports
    /// do not matter. Names are resolved elsewhere, so who resolves them must ask there too.
    #[must_use]
    pub fn trunk_owns_source(&self, trunk: TrunkId, address: IpAddr) -> bool {
        self.owned
            .get(&trunk)
            .is_some_and(|ranges| ranges.contains(address))
    }

    /// Whether an address belongs to any trunk, in the sense of [`Self::trunk_owns_source`].
    #[must_use]
    pub fn any_trunk_owns_source(&self, address: IpAddr) -> bool {
        self.owned_by_any.contains(address)
    }

    /// The customer of a trunk.
    #[must_use]
    pub fn customer_by_trunk(&self, trunk: TrunkId) -> Option<CustomerIndex> {
        let index = self.by_trunk.get(&trunk).copied().map(CustomerIndex);
        index.filter(|_| trunk.side() == TrunkSide::Customer)
    }

    /// The vendor of a trunk.
    #[must_use]
    pub fn vendor_by_trunk(&self, trunk: TrunkId) -> Option<VendorIndex> {
        let index = self.by_trunk.get(&trunk).copied().map(VendorIndex);
        index.filter(|_| trunk.side() == TrunkSide::Vendor)
    }

    /// The customer of this name.
    #[must_use]
    pub fn customer_by_name(&self, name: &str) -> Option<CustomerIndex> {
        self.customers_by_name.get(name).copied().map(CustomerIndex)
    }

    /// The vendor of this name.
    #[must_use]
    pub fn vendor_by_name(&self, name: &str) -> Option<VendorIndex> {
        self.vendors_by_name.get(name).copied().map(VendorIndex)
    }
}

#[cfg(test)]
mod tests;

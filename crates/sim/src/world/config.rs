//! What a run is made of: seeds, lanes, links, policy, customer, vendors and their scripts.
//! Plain values with a default of everything clean.
//! Leaves out what the peers do (`peer_caller`, `peer_vendor`).

use proxy_core::Policy;
use transaction_layer::Transport;

pub use super::handoff::Handoff;

use crate::jobs::JobsConfig;
use crate::network::LinkQuality;
use crate::peer_vendor::VendorScript;
use crate::routing_data::CustomerSpec;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Seeds the network, the jobs and the core.
    pub seed: u64,
    /// Lanes of the proxy.
    pub lanes: u8,
    /// What all links are: datagrams, or streams that are cut anywhere.
    pub transport: Transport,
    /// The rings between lanes; `None`: a datagram is with its owner at once.
    pub handoff: Option<Handoff>,
    /// The quality of all links that have no own.
    pub link: LinkQuality,
    /// The operator's policy.
    pub policy: Policy,
    /// The customer.
    pub customer: CustomerSpec,
    /// How jobs are answered.
    pub jobs: JobsConfig,
    /// All vendors are tried at once; else the cheapest first.
    pub parallel: bool,
    /// Unknown addresses answer by ICMP.
    pub icmp: bool,
    /// Requests that a stranger repeats from an address of his own, perhaps with some bytes changed, ‰.
    pub stranger_permille: u16,
    /// Keeps what crossed the boundary lately, for forgers.
    pub keep_traffic: bool,
    /// Prints every datagram, job and record.
    pub trace: bool,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            lanes: 1,
            transport: Transport::Udp,
            handoff: None,
            link: LinkQuality::CLEAN,
            policy: Policy::default(),
            customer: CustomerSpec::default(),
            jobs: JobsConfig::default(),
            parallel: false,
            icmp: false,
            stranger_permille: 0,
            keep_traffic: false,
            trace: false,
        }
    }
}

/// A vendor in the run: its row and the scripts of its gateways.
#[derive(Clone, Debug)]
pub struct VendorPlan {
    /// Its price per minute.
    pub rate: String,
    /// Most concurrent calls.
    pub channel_limit: Option<u32>,
    /// The gateway's address in the table, when it is not its socket address (a host name).
    pub gateway: Option<String>,
    /// Its redirects are followed.
    pub redirect: bool,
    /// Its 6xx ends the hunt.
    pub stops_at_6xx: bool,
    /// What it does with the INVITEs that come, in order.
    pub scripts: Vec<VendorScript>,
}

impl VendorPlan {
    /// A vendor without limits.
    pub fn new(rate: &str, scripts: Vec<VendorScript>) -> Self {
        Self {
            rate: rate.to_owned(),
            channel_limit: None,
            gateway: None,
            redirect: false,
            stops_at_6xx: false,
            scripts,
        }
    }
}

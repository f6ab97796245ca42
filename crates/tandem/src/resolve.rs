//! Where a host name leads: SRV, then A and AAAA, with a bounded cache.
//! RFC 3263 §4.2 (NAPTR of §4.1 is left out: the transport is always known), RFC 2782 for SRV order, RFC 2308 for
//! names that don't exist. Runs on the offload pool only.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{RData, RecordType};
use transaction_layer::Transport;

/// Names kept, at most; names come from peers, so the cache must not grow with them.
const CACHE_LEN_MAX: usize = 10_000;
/// The shortest and the longest time an answer is used, seconds.
const TTL_S: (u32, u32) = (1, 3_600);
/// The longest time "no such name" is believed, seconds; also used when the answer names none.
const NEGATIVE_TTL_S: u32 = 30;
/// How long a line of the hosts file is used before the file is read again, seconds.
const HOSTS_TTL_S: u32 = 10;
/// SRV records looked at, and addresses given, at most.
const TARGETS_MAX: usize = 16;
/// How long one query may take before it is sent again. The core waits two seconds by default.
const QUERY_TIMEOUT: Duration = Duration::from_millis(700);

/// What a name led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Most wanted first; empty when the name does not exist or has no address of a family we listen on.
    pub addresses: Vec<SocketAddr>,
    /// How long this may be used, seconds.
    pub ttl_s: u32,
}

/// The name service could not be asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No usable configuration of name servers.
    #[error("no name servers: {0}")]
    NoServers(String),
    /// The query failed: no answer, or a server's failure.
    #[error("name service: {0}")]
    Query(String),
}

/// The families of address that can be sent to, after our listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// There is an IPv4 listener.
    pub v4: bool,
    /// There is an IPv6 listener.
    pub v6: bool,
}

impl Families {
    fn allow(self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    host: String,
    port: Option<u16>,
    transport: Transport,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    priority: u16,
    weight: u16,
    addresses: Vec<SocketAddr>,
}

#[derive(Clone, Debug)]
struct Entry {
    targets: Vec<Target>,
    until: Instant,
}

/// Resolves names and remembers them.
pub struct NameResolver {
    resolver: Result<TokioResolver, String>,
    hosts_file: PathBuf,
    families: Families,
    cache: DashMap<Key, Entry>,
}

impl NameResolver {
    /// With the name servers of `/etc/resolv.conf`; without any, only addresses and the hosts file work.
    /// Call within the offload pool's runtime.
    #[must_use]
    pub fn system(families: Families, hosts_file: PathBuf) -> Self {
        let resolver = TokioResolver::builder_tokio().and_then(|mut builder| {
            let options = builder.options_mut();
            options.ip_strategy = match families {
                Families { v4: true, v6: true } => LookupIpStrategy::Ipv4AndIpv6,
                Families {
                    v4: false,
                    v6: true,
                } => LookupIpStrategy::Ipv6Only,
                Families { .. } => LookupIpStrategy::Ipv4Only,
            };
            options.timeout = QUERY_TIMEOUT;
            options.attempts = 2;
            builder.build()
        });
        Self::new(
            resolver.map_err(|error| error.to_string()),
            hosts_file,
            families,
        )
    }

    fn new(
        resolver: Result<TokioResolver, String>,
        hosts_file: PathBuf,
        families: Families,
    ) -> Self {
        Self {
            resolver,
            hosts_file,
            families,
            cache: DashMap::new(),
        }
    }

    /// Names in the cache.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// The addresses of `host`. With a port no SRV query is made (RFC 3263 §4.2). The hosts file goes before the
    /// name service, as everywhere on the machine.
    ///
    /// # Errors
    /// [`ResolveError`] when the name service can't be asked; a name that does not exist is an empty answer.
    pub async fn resolve(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Transport,
    ) -> Result<Resolved, ResolveError> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            let port = port.unwrap_or(transport.default_port());
            let addresses = Some(address).filter(|address| self.families.allow(*address));
            let addresses = addresses
                .map(|address| SocketAddr::new(address, port))
                .into_iter()
                .collect();
            return Ok(Resolved {
                addresses,
                ttl_s: TTL_S.1,
            });
        }
        let key = Key {
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            port,
            transport,
        };
        let now = Instant::now();
        if let Some(entry) = self.cache.get(&key).filter(|entry| entry.until > now) {
            return Ok(answer(&entry, now));
        }
        let (targets, ttl_s) = match self.in_hosts_file(&key) {
            Some(targets) => (targets, HOSTS_TTL_S),
            None => self.ask(&key).await?,
        };
        let entry = Entry {
            targets,
            until: Instant::now() + Duration::from_secs(u64::from(ttl_s)),
        };
        let answer = answer(&entry, Instant::now());
        self.remember(key, entry);
        Ok(answer)
    }

    fn remember(&self, key: Key, entry: Entry) {
        if self.cache.len() >= CACHE_LEN_MAX {
            let now = Instant::now();
            self.cache.retain(|_, entry| entry.until > now);
        }
        if self.cache.len() < CACHE_LEN_MAX {
            self.cache.insert(key, entry);
        }
    }

    fn in_hosts_file(&self, key: &Key) -> Option<Vec<Target>> {
        let text = std::fs::read_to_string(&self.hosts_file).ok()?;
        let addresses = hosts_of(&text, &key.host);
        // A name that the file gives only addresses of a family we don't have is not asked elsewhere either.
        (!addresses.is_empty()).then(|| vec![self.target(key, addresses, None)])
    }

    fn target(&self, key: &Key, addresses: Vec<IpAddr>, srv: Option<(u16, u16, u16)>) -> Target {
        let default_port = key.port.unwrap_or(key.transport.default_port());
        let (priority, weight, port) = srv.unwrap_or((0, 0, default_port));
        let addresses = addresses
            .into_iter()
            .filter(|address| self.families.allow(*address))
            .map(|address| SocketAddr::new(address, port))
            .collect();
        Target {
            priority,
            weight,
            addresses,
        }
    }

    async fn ask(&self, key: &Key) -> Result<(Vec<Target>, u32), ResolveError> {
        if key.port.is_none() {
            let (records, ttl_s) = self.services(key).await?;
            if !records.is_empty() {
                return self.ask_targets(key, records, ttl_s).await;
            }
        }
        let (addresses, ttl_s) = self.addresses(&key.host).await?;
        Ok((vec![self.target(key, addresses, None)], ttl_s))
    }

    /// The hosts of the SRV records. One that can't be resolved is left out, unless none can.
    async fn ask_targets(
        &self,
        key: &Key,
        records: Vec<(u16, u16, u16, String)>,
        mut ttl_s: u32,
    ) -> Result<(Vec<Target>, u32), ResolveError> {
        let mut targets = Vec::with_capacity(records.len());
        let mut failed = None;
        for (priority, weight, port, host) in records.into_iter().take(TARGETS_MAX) {
            // RFC 2782: a target of "." says that the service is not offered here.
            if host == "." {
                continue;
            }
            match self.addresses(&host).await {
                Ok((addresses, address_ttl_s)) => {
                    ttl_s = ttl_s.min(address_ttl_s);
                    targets.push(self.target(key, addresses, Some((priority, weight, port))));
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if targets.is_empty() => Err(error),
            _ => Ok((targets, ttl_s)),
        }
    }

    /// SRV records: priority, weight, port, host.
    async fn services(
        &self,
        key: &Key,
    ) -> Result<(Vec<(u16, u16, u16, String)>, u32), ResolveError> {
        let service = match key.transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        let resolver = self.resolver()?;
        match resolver
            .lookup(format!("{service}.{}.", key.host), RecordType::SRV)
            .await
        {
            Ok(found) => {
                let records = found
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::SRV(srv) => {
                            Some((srv.priority, srv.weight, srv.port, srv.target.to_string()))
                        }
                        _ => None,
                    });
                Ok((records.collect(), ttl_of(found.valid_until())))
            }
            Err(error) => Ok((Vec::new(), negative_ttl(error)?)),
        }
    }

    async fn addresses(&self, host: &str) -> Result<(Vec<IpAddr>, u32), ResolveError> {
        let resolver = self.resolver()?;
        let name = format!("{}.", host.trim_end_matches('.'));
        match resolver.lookup_ip(name).await {
            Ok(found) => Ok((
                found.iter().take(TARGETS_MAX).collect(),
                ttl_of(found.valid_until()),
            )),
            Err(error) => Ok((Vec::new(), negative_ttl(error)?)),
        }
    }

    fn resolver(&self) -> Result<&TokioResolver, ResolveError> {
        self.resolver
            .as_ref()
            .map_err(|error| ResolveError::NoServers(error.clone()))
    }
}

/// Puts an entry's targets in order: priority, then by chance in proportion to the weights (RFC 2782).
fn answer(entry: &Entry, now: Instant) -> Resolved {
    let mut targets: Vec<&Target> = entry.targets.iter().collect();
    targets.sort_by_key(|target| target.priority);
    let mut addresses = Vec::new();
    for group in targets.chunk_by_mut(|a, b| a.priority == b.priority) {
        shuffle_by_weight(group);
        addresses.extend(group.iter().flat_map(|target| &target.addresses).copied());
    }
    addresses.truncate(TARGETS_MAX);
    let left = entry.until.saturating_duration_since(now).as_secs();
    Resolved {
        addresses,
        ttl_s: u32::try_from(left)
            .unwrap_or(TTL_S.1)
            .clamp(TTL_S.0, TTL_S.1),
    }
}

fn shuffle_by_weight(targets: &mut [&Target]) {
    for first in 0..targets.len() {
        let rest = targets.get(first..).unwrap_or_default();
        // A weight of 0 has a small chance, as RFC 2782 asks for.
        let share = |target: &Target| u64::from(target.weight) * 100 + 1;
        let total: u64 = rest.iter().map(|target| share(target)).sum();
        let mut draw = fastrand::u64(0..total.max(1));
        let chosen = rest.iter().position(|target| {
            let share = share(target);
            let hit = draw < share;
            draw = draw.saturating_sub(share);
            hit
        });
        targets.swap(first, first + chosen.unwrap_or(0));
    }
}

fn ttl_of(valid_until: Instant) -> u32 {
    let left = valid_until
        .saturating_duration_since(Instant::now())
        .as_secs();
    u32::try_from(left)
        .unwrap_or(TTL_S.1)
        .clamp(TTL_S.0, TTL_S.1)
}

/// How long "no such record" may be believed; an error when that is not what the answer means.
fn negative_ttl(error: NetError) -> Result<u32, ResolveError> {
    match &error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => Ok(none
            .negative_ttl
            .unwrap_or(NEGATIVE_TTL_S)
            .clamp(TTL_S.0, NEGATIVE_TTL_S)),
        _ => Err(ResolveError::Query(error.to_string())),
    }
}

/// The addresses a hosts file has for a name; hosts(5).
fn hosts_of(text: &str, host: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host))
                .then_some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests;

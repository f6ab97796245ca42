//! What the configuration means: typed, checked across keys, and never changed after start.
//! Every fault is collected, so that one run of `tandem check` shows them all.
//! Leaves out the keys and tokens on disk (`keys.rs`) and everything that needs the store.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use proxy_core::{
    Durability, FailoverTable, LookupOnError, Policy, PreloadedRoute, SessionExpiry,
    SessionTimerPolicy, UnknownDialog,
};
use transaction_layer::Transport;

use super::fault::{ConfigError, ConfigFault, Origins};
use super::layers::Layered;
use super::raw::{RawConfig, RawListen, RawSessionTimer};

/// The most workers one process may have: a lane is named by one byte, and the last few are not for calls.
pub const WORKERS_MAX: u8 = 250;

/// Everything an operator can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; `None`: built-in defaults and environment.
    pub file: Option<String>,
    /// Threads, the node's name, the drain.
    pub runtime: RuntimeConfig,
    /// Where SIP is received; at least one.
    pub listen: Vec<ListenConfig>,
    /// Routing data and CDRs.
    pub store: StoreConfig,
    /// The local journal.
    pub journal: JournalConfig,
    /// The admin HTTP interface.
    pub admin: AdminConfig,
    /// Where the cookie keys are.
    pub proxy: ProxyConfig,
    /// What the core does with a request: `[proxy]`, `[session_timer]`, `[failover]`, `[limits]`, `[lookup]`, `journal.durability`.
    pub policy: Policy,
    /// The offload pool's bounds.
    pub offload: OffloadConfig,
    /// Logging.
    pub log: LogConfig,
}

/// `[runtime]`
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// The name of this node: 1 to 64 of letters, digits, `.`, `_`, `-`.
    pub node: String,
    /// Workers asked for; 0: one per hardware thread this process may use. At most [`WORKERS_MAX`].
    pub workers: u8,
    /// Threads of the offload pool, at least 1.
    pub offload_threads: u16,
    /// The longest a drain lasts, in seconds.
    pub drain_timeout_s: u32,
}

/// One `[[listen]]`
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// Always UDP in this version.
    pub transport: Transport,
    /// The address bound.
    pub address: SocketAddr,
    /// `host` or `host:port` as Via and Record-Route say it; the address where nothing else was asked for.
    pub advertise: String,
}

/// `[store]`; its `Debug` and `Display` show the scheme alone.
#[derive(Clone)]
pub struct StoreConfig {
    url: String,
}

impl StoreConfig {
    /// The URL, with whatever password it holds: to open the store with, never to show.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The path of the SQLite file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.url.strip_prefix("sqlite://").unwrap_or(&self.url))
    }

    /// The directory the SQLite file lies in: the data directory of this node.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        match self.path().parent() {
            Some(parent) if parent != Path::new("") => parent.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "StoreConfig({self})")
    }
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}://…",
            self.url.split("://").next().unwrap_or_default()
        )
    }
}

/// `[journal]`
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// Its directory, created when missing.
    pub directory: PathBuf,
    /// Between two syncs, in milliseconds, at least 1.
    pub flush_ms: u32,
    /// The size of a segment file, in bytes.
    pub segment_bytes: u64,
}

/// `[admin]`
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// The file with the bearer token.
    pub token_file: PathBuf,
}

/// `[proxy]`, as far as it is not policy.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// The file with the current and the previous key of the Record-Route cookie.
    pub cookie_key_file: PathBuf,
    /// Names that are looked up here before the name service is asked.
    pub hosts_file: PathBuf,
}

/// `[offload]`
#[derive(Debug, Clone)]
pub struct OffloadConfig {
    /// Jobs that may wait.
    pub queue_len_max: usize,
    /// Jobs that may run at the same time.
    pub concurrency_max: usize,
    /// The nice value of the pool's threads, 0 to 19.
    pub nice: u8,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub level: String,
    /// How log lines look.
    pub format: LogFormat,
}

/// Methods that can't be refused: the calls themselves.
const CALL_METHODS: [&str; 4] = ["INVITE", "ACK", "CANCEL", "BYE"];

struct Faults<'a> {
    origins: &'a Origins,
    found: Vec<ConfigFault>,
}

impl Faults<'_> {
    fn push(&mut self, key: &str, message: String) {
        self.found.push(ConfigFault {
            origin: self.origins.place(key),
            key: key.to_owned(),
            message,
        });
    }
}

/// The second stage.
pub(crate) fn resolve(layered: &Layered) -> Result<Config, ConfigError> {
    let raw = &layered.raw;
    let mut faults = Faults {
        origins: &layered.origins,
        found: Vec::new(),
    };
    let config = Config {
        file: layered.file.clone(),
        runtime: runtime(raw, &mut faults),
        listen: listeners(&raw.listen, &mut faults),
        store: store(raw, &mut faults),
        journal: journal(raw, &mut faults),
        admin: AdminConfig {
            address: address("admin.address", &raw.admin.address, &mut faults),
            token_file: path("admin.token_file", &raw.admin.token_file, &mut faults),
        },
        proxy: ProxyConfig {
            cookie_key_file: path(
                "proxy.cookie_key_file",
                &raw.proxy.cookie_key_file,
                &mut faults,
            ),
            hosts_file: path("proxy.hosts_file", &raw.proxy.hosts_file, &mut faults),
        },
        policy: policy(raw, &mut faults),
        offload: OffloadConfig {
            queue_len_max: raw.offload.queue_len_max,
            concurrency_max: raw.offload.concurrency_max,
            nice: raw.offload.nice,
        },
        log: log(raw, &mut faults),
    };
    if faults.found.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError {
            faults: faults.found,
        })
    }
}

fn runtime(raw: &RawConfig, faults: &mut Faults<'_>) -> RuntimeConfig {
    let node = if raw.runtime.node.is_empty() {
        host_name()
    } else {
        raw.runtime.node.clone()
    };
    let fits = node.len() <= 64
        && node
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !fits {
        let message = format!(
            "\"{node}\" is no node name; allowed: at most 64 letters, digits, `.`, `_`, `-`"
        );
        faults.push("runtime.node", message);
    }
    RuntimeConfig {
        node,
        workers: u8::try_from(raw.runtime.workers)
            .unwrap_or(WORKERS_MAX)
            .min(WORKERS_MAX),
        offload_threads: raw.runtime.offload_threads,
        drain_timeout_s: raw.runtime.drain_timeout_s,
    }
}

/// The host name of this machine, cut to what a node name may hold.
fn host_name() -> String {
    let written = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = written
        .trim()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "._-".contains(*letter))
        .take(64)
        .collect();
    if name.is_empty() {
        "tandem".to_owned()
    } else {
        name
    }
}

fn listeners(raw: &[RawListen], faults: &mut Faults<'_>) -> Vec<ListenConfig> {
    let mut listeners: Vec<ListenConfig> = Vec::with_capacity(raw.len());
    for (index, entry) in raw.iter().enumerate() {
        let key = format!("listen[{index}].address");
        let address = address(&key, &entry.address, faults);
        if listeners
            .iter()
            .any(|other| other.address == address && address.port() != 0)
        {
            faults.push(
                &key,
                format!("{address} is written twice; allowed: each address once"),
            );
        }
        let advertise = advertise(index, entry, address, faults);
        listeners.push(ListenConfig {
            transport: Transport::Udp,
            address,
            advertise,
        });
    }
    listeners
}

fn advertise(
    index: usize,
    entry: &RawListen,
    address: SocketAddr,
    faults: &mut Faults<'_>,
) -> String {
    match &entry.advertise {
        Some(text) if is_host_port(text) => text.clone(),
        Some(text) => {
            let message = format!(
                "\"{text}\" can't be advertised; allowed: HOST or HOST:PORT, an IPv6 address in brackets"
            );
            faults.push(&format!("listen[{index}].advertise"), message);
            text.clone()
        }
        None => {
            if address.ip().is_unspecified() {
                let message = format!(
                    "{address} is a wildcard and no peer can answer it; set `advertise` to the address that peers reach"
                );
                faults.push(&format!("listen[{index}].address"), message);
            }
            address.to_string()
        }
    }
}

/// `host`, `host:port`, `1.2.3.4:5060`, `[::1]`, `[::1]:5060`; no wildcard, no port 0.
fn is_host_port(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => match host.parse::<Ipv6Addr>() {
                Ok(address) if !address.is_unspecified() => ("ipv6", port),
                _ => return false,
            },
            None => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let host_fits = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && !matches!(host.parse::<IpAddr>(), Ok(address) if address.is_unspecified());
    let port_fits = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.parse::<u16>().is_ok_and(|port| port != 0));
    host_fits && port_fits
}

fn address(key: &str, text: &str, faults: &mut Faults<'_>) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        faults.push(
            key,
            format!("\"{text}\" is no address; allowed: IP:PORT, an IPv6 address in brackets"),
        );
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn path(key: &str, text: &str, faults: &mut Faults<'_>) -> PathBuf {
    if text.is_empty() {
        faults.push(
            key,
            "is empty; allowed: a path; a relative one starts at the working directory".to_owned(),
        );
    }
    PathBuf::from(text)
}

fn store(raw: &RawConfig, faults: &mut Faults<'_>) -> StoreConfig {
    let url = raw.store.url.clone();
    // The URL may hold a password: no message repeats more of it than its scheme.
    match url.split_once("://") {
        Some(("sqlite", path)) if path.contains('?') => {
            faults.push(
                "store.url",
                "has parameters; allowed: sqlite://PATH without any".to_owned(),
            );
        }
        Some(("sqlite", path)) if !path.is_empty() => {}
        Some(("sqlite", _)) => {
            faults.push(
                "store.url",
                "names no file; allowed: sqlite://PATH".to_owned(),
            );
        }
        Some((scheme @ ("postgres" | "postgresql" | "mysql"), _)) => {
            let message =
                format!("{scheme}:// is not part of this version; allowed: sqlite://PATH");
            faults.push("store.url", message);
        }
        _ => faults.push(
            "store.url",
            "is no URL of a store; allowed: sqlite://PATH".to_owned(),
        ),
    }
    StoreConfig { url }
}

fn journal(raw: &RawConfig, faults: &mut Faults<'_>) -> JournalConfig {
    JournalConfig {
        directory: path("journal.directory", &raw.journal.directory, faults),
        flush_ms: raw.journal.flush_ms,
        segment_bytes: u64::from(raw.journal.segment_mib) * 1024 * 1024,
    }
}

fn policy(raw: &RawConfig, faults: &mut Faults<'_>) -> Policy {
    let (proxy, failover) = (&raw.proxy, &raw.failover);
    Policy {
        no_1xx_us: u64::from(failover.no_1xx_ms) * 1_000,
        ring_timeout_us: u64::from(failover.ring_timeout_s) * 1_000_000,
        timer_c_us: u64::from(failover.timer_c_s) * 1_000_000,
        hunt_after_ringing: failover.after_ringing,
        failover: failover_table(&failover.next, faults),
        redirects_max: failover.redirects_max,
        limit_status: raw.limits.status,
        all_503_becomes: proxy.all_503_becomes,
        max_call_us: u64::from(proxy.max_call_s) * 1_000_000,
        session_timer: session_timer(&raw.session_timer, faults),
        lookup_deadline_us: u64::from(raw.lookup.deadline_ms) * 1_000,
        lookup_on_error: match raw.lookup.on_error.as_str() {
            "refuse" => LookupOnError::Refuse,
            _ => LookupOnError::Continue,
        },
        preloaded_route: match proxy.preloaded_route.as_str() {
            "follow" => PreloadedRoute::Follow,
            _ => PreloadedRoute::Refuse,
        },
        unknown_dialog: match proxy.unknown_dialog.as_str() {
            "forward" => UnknownDialog::Forward,
            _ => UnknownDialog::Refuse,
        },
        malformed_answers_per_s: proxy.malformed_answers_per_s,
        malformed_answers_per_source_s: proxy.malformed_answers_per_source_s,
        stranger_answers_per_s: proxy.stranger_answers_per_s,
        stranger_answers_per_source_s: proxy.stranger_answers_per_source_s,
        refuse_methods: refused_methods(&proxy.refuse_methods, faults),
        durability: match raw.journal.durability.as_str() {
            "strict" => Durability::Strict,
            _ => Durability::Group,
        },
        ..Policy::default()
    }
}

fn session_timer(raw: &RawSessionTimer, faults: &mut Faults<'_>) -> SessionTimerPolicy {
    if raw.session_expires_s != 0 && raw.session_expires_s < raw.min_se_s {
        let message = format!(
            "{} is below min_se_s; allowed: 0, or a whole number from {} to 86400",
            raw.session_expires_s, raw.min_se_s
        );
        faults.push("session_timer.session_expires_s", message);
    }
    SessionTimerPolicy {
        min_se_s: raw.min_se_s,
        session_expires_s: raw.session_expires_s,
        on_expiry: match raw.on_expiry.as_str() {
            "bye" => SessionExpiry::Bye,
            _ => SessionExpiry::Close,
        },
    }
}

fn refused_methods(written: &[String], faults: &mut Faults<'_>) -> Vec<Vec<u8>> {
    for method in written {
        // RFC 3261 §25.1: a method is a token.
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
        if method.is_empty()
            || !method.bytes().all(token)
            || CALL_METHODS.contains(&method.as_str())
        {
            let message = format!(
                "\"{method}\" can't be refused; allowed: SIP methods other than INVITE, ACK, CANCEL, BYE"
            );
            faults.push("proxy.refuse_methods", message);
        }
    }
    written
        .iter()
        .map(|method| method.as_bytes().to_vec())
        .collect()
}

fn failover_table(written: &[String], faults: &mut Faults<'_>) -> FailoverTable {
    FailoverTable::parse(written.iter().map(String::as_str)).unwrap_or_else(|wrong| {
        let message = format!(
            "\"{wrong}\" is no final status of a failure; allowed: 300 to 599, \"3xx\", \"4xx\", \"5xx\" (what a 6xx \
             does is `on_6xx` in vendors.csv)"
        );
        faults.push("failover.next", message);
        FailoverTable::default()
    })
}

fn log(raw: &RawConfig, faults: &mut Faults<'_>) -> LogConfig {
    let plain =
        ["off", "error", "warn", "info", "debug", "trace"].contains(&raw.log.level.as_str());
    let directives = raw.log.level.contains(['=', ',']);
    let known =
        plain || (directives && tracing_subscriber::EnvFilter::try_new(&raw.log.level).is_ok());
    if !known {
        let message = format!(
            "\"{}\" is no level; allowed: error, warn, info, debug, trace or off, or directives such as \"warn,tandem=debug\"",
            raw.log.level
        );
        faults.push("log.level", message);
    }
    LogConfig {
        level: raw.log.level.clone(),
        format: if raw.log.format == "json" {
            LogFormat::Json
        } else {
            LogFormat::Text
        },
    }
}

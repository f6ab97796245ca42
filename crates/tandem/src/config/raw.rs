//! The configuration as written: what the layers deserialise into, with the defaults filled in.
//! Unknown keys are refused here as well as in `layers.rs`, which finds them first and knows their lines.
//! Leaves out all meaning: addresses are still text, statuses still strings.

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawConfig {
    pub(crate) runtime: RawRuntime,
    pub(crate) listen: Vec<RawListen>,
    pub(crate) store: RawStore,
    pub(crate) journal: RawJournal,
    pub(crate) admin: RawAdmin,
    pub(crate) proxy: RawProxy,
    pub(crate) session_timer: RawSessionTimer,
    pub(crate) failover: RawFailover,
    pub(crate) limits: RawLimits,
    pub(crate) lookup: RawLookup,
    pub(crate) offload: RawOffload,
    pub(crate) log: RawLog,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            runtime: RawRuntime::default(),
            listen: vec![RawListen::default()],
            store: RawStore::default(),
            journal: RawJournal::default(),
            admin: RawAdmin::default(),
            proxy: RawProxy::default(),
            session_timer: RawSessionTimer::default(),
            failover: RawFailover::default(),
            limits: RawLimits::default(),
            lookup: RawLookup::default(),
            offload: RawOffload::default(),
            log: RawLog::default(),
        }
    }
}

/// `[runtime]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawRuntime {
    pub(crate) node: String,
    pub(crate) workers: u16,
    pub(crate) offload_threads: u16,
    pub(crate) drain_timeout_s: u32,
}

impl Default for RawRuntime {
    fn default() -> Self {
        Self {
            node: String::new(),
            workers: 0,
            offload_threads: 2,
            drain_timeout_s: 30,
        }
    }
}

/// One `[[listen]]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawListen {
    pub(crate) transport: String,
    pub(crate) address: String,
    pub(crate) advertise: Option<String>,
}

impl Default for RawListen {
    fn default() -> Self {
        Self {
            transport: "udp".to_owned(),
            address: "127.0.0.1:5060".to_owned(),
            advertise: None,
        }
    }
}

/// `[store]`; no `Debug`, the URL may hold a password.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawStore {
    pub(crate) url: String,
}

impl Default for RawStore {
    fn default() -> Self {
        Self {
            url: "sqlite://tandem-data/tandem.db".to_owned(),
        }
    }
}

impl std::fmt::Debug for RawStore {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("RawStore { url: … }")
    }
}

/// `[journal]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawJournal {
    pub(crate) directory: String,
    pub(crate) flush_ms: u32,
    pub(crate) segment_mib: u32,
    pub(crate) durability: String,
}

impl Default for RawJournal {
    fn default() -> Self {
        Self {
            directory: "tandem-data/journal".to_owned(),
            flush_ms: 5,
            segment_mib: 64,
            durability: "group".to_owned(),
        }
    }
}

/// `[admin]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawAdmin {
    pub(crate) address: String,
    pub(crate) token_file: String,
}

impl Default for RawAdmin {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8060".to_owned(),
            token_file: "tandem-data/admin.token".to_owned(),
        }
    }
}

/// `[proxy]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawProxy {
    pub(crate) cookie_key_file: String,
    pub(crate) preloaded_route: String,
    pub(crate) unknown_dialog: String,
    pub(crate) refuse_methods: Vec<String>,
    pub(crate) max_call_s: u32,
    pub(crate) all_503_becomes: u16,
    pub(crate) malformed_answers_per_s: u32,
    pub(crate) malformed_answers_per_source_s: u32,
    pub(crate) stranger_answers_per_s: u32,
    pub(crate) stranger_answers_per_source_s: u32,
    pub(crate) hosts_file: String,
}

impl Default for RawProxy {
    fn default() -> Self {
        Self {
            cookie_key_file: "tandem-data/cookie.key".to_owned(),
            preloaded_route: "refuse".to_owned(),
            unknown_dialog: "refuse".to_owned(),
            refuse_methods: ["REGISTER", "SUBSCRIBE", "PUBLISH"]
                .map(str::to_owned)
                .to_vec(),
            max_call_s: 14_400,
            all_503_becomes: 500,
            malformed_answers_per_s: 500,
            malformed_answers_per_source_s: 50,
            stranger_answers_per_s: 500,
            stranger_answers_per_source_s: 50,
            hosts_file: "/etc/hosts".to_owned(),
        }
    }
}

/// `[session_timer]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawSessionTimer {
    pub(crate) min_se_s: u32,
    pub(crate) session_expires_s: u32,
    pub(crate) on_expiry: String,
}

impl Default for RawSessionTimer {
    fn default() -> Self {
        Self {
            min_se_s: 90,
            session_expires_s: 0,
            on_expiry: "close".to_owned(),
        }
    }
}

/// `[failover]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawFailover {
    pub(crate) next: Vec<String>,
    pub(crate) no_1xx_ms: u32,
    pub(crate) ring_timeout_s: u32,
    pub(crate) timer_c_s: u32,
    pub(crate) after_ringing: bool,
    pub(crate) redirects_max: u8,
}

impl Default for RawFailover {
    fn default() -> Self {
        Self {
            next: ["3xx", "401", "407", "408", "5xx"]
                .map(str::to_owned)
                .to_vec(),
            no_1xx_ms: 4_000,
            ring_timeout_s: 120,
            timer_c_s: 200,
            after_ringing: false,
            redirects_max: 5,
        }
    }
}

/// `[limits]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawLimits {
    pub(crate) status: u16,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self { status: 503 }
    }
}

/// `[lookup]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawLookup {
    pub(crate) deadline_ms: u32,
    pub(crate) on_error: String,
}

impl Default for RawLookup {
    fn default() -> Self {
        Self {
            deadline_ms: 500,
            on_error: "continue".to_owned(),
        }
    }
}

/// `[offload]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawOffload {
    pub(crate) queue_len_max: usize,
    pub(crate) concurrency_max: usize,
    pub(crate) nice: u8,
}

impl Default for RawOffload {
    fn default() -> Self {
        Self {
            queue_len_max: 4_096,
            concurrency_max: 64,
            nice: 10,
        }
    }
}

/// `[log]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawLog {
    pub(crate) level: String,
    pub(crate) format: String,
}

impl Default for RawLog {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: "text".to_owned(),
        }
    }
}

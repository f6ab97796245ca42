//! Every key of the configuration: its section, what it may hold, its unit, its default and what it does.
//! The checks of file and environment, the nearest-name hints and the reference in `docs/configuration.md` all read it.
//! Leaves out rules over more than one key, which are `resolve.rs`.

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within these bounds, both included.
    Integer {
        /// The least value allowed.
        min: i64,
        /// The greatest value allowed.
        max: i64,
    },
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text; the sentence says which.
    Text(&'static str),
    /// A text that is never shown in a message or a log, such as a URL with a password; the sentence says which.
    Secret(&'static str),
    /// A list of texts, separated by commas in the environment; the sentence says which.
    List(&'static str),
}

impl Kind {
    /// What is allowed, for a message or the reference.
    #[must_use]
    pub fn allowed(&self) -> String {
        match self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Bool => "true or false".to_owned(),
            Self::Choice(words) => words
                .iter()
                .map(|word| format!("\"{word}\""))
                .collect::<Vec<_>>()
                .join(", "),
            Self::Text(sentence) | Self::Secret(sentence) | Self::List(sentence) => {
                (*sentence).to_owned()
            }
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct KeySpec {
    /// The table it stands in; `listen` is an array of tables.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// The default as it would be written in the file; empty when there is none.
    pub default: &'static str,
    /// The unit of a number; empty for anything else.
    pub unit: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    unit: &'static str,
    about: &'static str,
) -> KeySpec {
    KeySpec {
        section,
        name,
        kind,
        default,
        unit,
        about,
    }
}

const ADDRESS: &str = "IP:PORT, an IPv6 address in brackets";
const PATH: &str = "a path; a relative one starts at the working directory";

/// Every key there is, in the order of the reference.
pub const SCHEMA: &[KeySpec] = &[
    key(
        "runtime",
        "node",
        Kind::Text("a name of at most 64 letters, digits, `.`, `_`, `-`"),
        "\"\"",
        "",
        "The name of this node in CDRs, cookies and the store; empty: the host name.",
    ),
    key(
        "runtime",
        "workers",
        Kind::Integer { min: 0, max: 250 },
        "0",
        "threads",
        "Worker threads, one lane each; 0: one per hardware thread this process may use.",
    ),
    key(
        "runtime",
        "offload_threads",
        Kind::Integer { min: 1, max: 64 },
        "2",
        "threads",
        "Threads of the offload pool: store, DNS, admin HTTP. They never handle SIP.",
    ),
    key(
        "runtime",
        "drain_timeout_s",
        Kind::Integer {
            min: 0,
            max: 86_400,
        },
        "30",
        "s",
        "How long a drain waits for live transactions; then calls that are still being set up get 503, and it ends all the same.",
    ),
    key(
        "listen",
        "transport",
        Kind::Choice(&["udp"]),
        "\"udp\"",
        "",
        "The transport of this listener; this version speaks UDP.",
    ),
    key(
        "listen",
        "address",
        Kind::Text(ADDRESS),
        "\"127.0.0.1:5060\"",
        "",
        "Where SIP is received. A wildcard address (0.0.0.0, [::]) needs `advertise`.",
    ),
    key(
        "listen",
        "advertise",
        Kind::Text("HOST or HOST:PORT, an IPv6 address in brackets"),
        "",
        "",
        "What Via and Record-Route say instead of the address; default: the address.",
    ),
    key(
        "store",
        "url",
        Kind::Secret("sqlite://PATH (a relative path starts at the working directory)"),
        "\"sqlite://tandem-data/tandem.db\"",
        "",
        "Where routing data and CDRs are kept. Never shown in a log, error or status.",
    ),
    key(
        "journal",
        "directory",
        Kind::Text(PATH),
        "\"tandem-data/journal\"",
        "",
        "The local journal of calls; on a disk of this machine.",
    ),
    key(
        "journal",
        "flush_ms",
        Kind::Integer { min: 1, max: 1_000 },
        "5",
        "ms",
        "How often the journal is synced to disk. A power cut loses at most this, and one sync for each worker.",
    ),
    key(
        "journal",
        "segment_mib",
        Kind::Integer { min: 1, max: 1_024 },
        "64",
        "MiB",
        "The size at which a journal file is closed and the next begins.",
    ),
    key(
        "journal",
        "durability",
        Kind::Choice(&["group", "strict"]),
        "\"group\"",
        "",
        "`group`: synced every `flush_ms`. `strict`: an answer goes upstream once its record is on disk, and after 1 s whatever the disk does (counted as `commits_missed`).",
    ),
    key(
        "admin",
        "address",
        Kind::Text(ADDRESS),
        "\"127.0.0.1:8060\"",
        "",
        "Where the admin HTTP interface listens.",
    ),
    key(
        "admin",
        "token_file",
        Kind::Text(PATH),
        "\"tandem-data/admin.token\"",
        "",
        "The bearer token for every POST and for anything beyond loopback; created on first start, mode 0600.",
    ),
    key(
        "proxy",
        "cookie_key_file",
        Kind::Text(PATH),
        "\"tandem-data/cookie.key\"",
        "",
        "Keys of the Record-Route cookie, current and previous, one a line; created on first start, mode 0600.",
    ),
    key(
        "proxy",
        "preloaded_route",
        Kind::Choice(&["refuse", "follow"]),
        "\"refuse\"",
        "",
        "A Route on a new request that names someone else: refuse with 403, or follow it.",
    ),
    key(
        "proxy",
        "unknown_dialog",
        Kind::Choice(&["refuse", "forward"]),
        "\"refuse\"",
        "",
        "A To-tag with neither cookie nor known call: refuse with 481, or forward (trusted networks, conformance tests).",
    ),
    key(
        "proxy",
        "refuse_methods",
        Kind::List("a list of SIP methods other than INVITE, ACK, CANCEL, BYE"),
        "[\"REGISTER\", \"SUBSCRIBE\", \"PUBLISH\"]",
        "",
        "Methods outside a dialog that get 405 with Allow.",
    ),
    key(
        "proxy",
        "max_call_s",
        Kind::Integer {
            min: 1,
            max: 604_800,
        },
        "14400",
        "s",
        "An answered call that lasts longer is ended by a BYE to both sides.",
    ),
    key(
        "proxy",
        "all_503_becomes",
        Kind::Integer { min: 400, max: 699 },
        "500",
        "SIP status",
        "What upstream hears when every vendor answered only 503 (RFC 3261 §16.7(6)); 503 leaves it as it is.",
    ),
    key(
        "proxy",
        "malformed_answers_per_s",
        Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        "500",
        "answers/s",
        "Malformed requests of all trunks together that a worker answers (400, 505, 513); the rest is dropped and counted.",
    ),
    key(
        "proxy",
        "malformed_answers_per_source_s",
        Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        "50",
        "answers/s",
        "The same for one source address.",
    ),
    key(
        "proxy",
        "stranger_answers_per_s",
        Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        "500",
        "answers/s",
        "Requests from sources that are no trunk that a worker answers, whatever they ask; the rest is dropped and counted.",
    ),
    key(
        "proxy",
        "stranger_answers_per_source_s",
        Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        "50",
        "answers/s",
        "The same for one source address that is no trunk's.",
    ),
    key(
        "proxy",
        "hosts_file",
        Kind::Text(PATH),
        "\"/etc/hosts\"",
        "",
        "Names of gateways, routes and contacts are looked up in this file before the name service is asked.",
    ),
    key(
        "session_timer",
        "min_se_s",
        Kind::Integer {
            min: 90,
            max: 86_400,
        },
        "90",
        "s",
        "The least session interval (RFC 4028): a shorter one is answered 422 with Min-SE, or raised where the caller knows no timers.",
    ),
    key(
        "session_timer",
        "session_expires_s",
        Kind::Integer {
            min: 0,
            max: 86_400,
        },
        "0",
        "s",
        "The session interval put into requests without one, and the most that is left in others; 0: neither. At least `min_se_s`.",
    ),
    key(
        "session_timer",
        "on_expiry",
        Kind::Choice(&["close", "bye"]),
        "\"close\"",
        "",
        "A session that nobody refreshed: `close` its record and give back its limits, or do so and send a `bye` to both sides. One that only one end watches always ends with a BYE.",
    ),
    key(
        "failover",
        "next",
        Kind::List("a list of statuses from 300 to 599 and classes \"3xx\", \"4xx\", \"5xx\""),
        "[\"3xx\", \"401\", \"407\", \"408\", \"5xx\"]",
        "",
        "Final statuses of a vendor after which the next target is tried; for 6xx see `on_6xx` in `vendors.csv`.",
    ),
    key(
        "failover",
        "no_1xx_ms",
        Kind::Integer {
            min: 100,
            max: 32_000,
        },
        "4000",
        "ms",
        "A vendor silent for this long is given up and the next one tried; 32000 leaves it to Timer B.",
    ),
    key(
        "failover",
        "ring_timeout_s",
        Kind::Integer { min: 1, max: 3_600 },
        "120",
        "s",
        "A vendor that has answered only 1xx for this long is cancelled.",
    ),
    key(
        "failover",
        "timer_c_s",
        Kind::Integer {
            min: 181,
            max: 3_600,
        },
        "200",
        "s",
        "Timer C (RFC 3261 §16.6 step 11), restarted by each 101-199; must be over three minutes.",
    ),
    key(
        "failover",
        "after_ringing",
        Kind::Bool,
        "false",
        "",
        "Whether a vendor that failed after ringing or early media is followed by the next.",
    ),
    key(
        "failover",
        "redirects_max",
        Kind::Integer { min: 0, max: 20 },
        "5",
        "Contacts",
        "How many Contacts of vendors marked `redirect` are tried in one call.",
    ),
    key(
        "limits",
        "status",
        Kind::Integer { min: 400, max: 699 },
        "503",
        "SIP status",
        "What a customer over its CPS or channel limit hears.",
    ),
    key(
        "lookup",
        "deadline_ms",
        Kind::Integer {
            min: 1,
            max: 30_000,
        },
        "500",
        "ms",
        "How long a call waits for a lookup, time in the queue included.",
    ),
    key(
        "lookup",
        "on_error",
        Kind::Choice(&["continue", "refuse"]),
        "\"continue\"",
        "",
        "A lookup that failed or was late: continue with the number as dialled, or refuse the call.",
    ),
    key(
        "offload",
        "queue_len_max",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        "4096",
        "jobs",
        "Jobs that may wait for the offload pool; one more is answered 503 at once.",
    ),
    key(
        "offload",
        "concurrency_max",
        Kind::Integer {
            min: 1,
            max: 65_536,
        },
        "64",
        "jobs",
        "Jobs of the pool that may run at the same time.",
    ),
    key(
        "offload",
        "nice",
        Kind::Integer { min: 0, max: 19 },
        "10",
        "nice",
        "How far the pool's threads stand back behind the workers (nice(7)).",
    ),
    key(
        "log",
        "level",
        Kind::Text(
            "error, warn, info, debug, trace or off, or directives such as \"warn,tandem=debug\"",
        ),
        "\"info\"",
        "",
        "What is logged, to stderr.",
    ),
    key(
        "log",
        "format",
        Kind::Choice(&["text", "json"]),
        "\"text\"",
        "",
        "One line of text, or one JSON object, per event.",
    ),
];

/// The names of all sections, once each.
pub(crate) fn sections() -> Vec<&'static str> {
    let mut names: Vec<_> = SCHEMA.iter().map(|spec| spec.section).collect();
    names.dedup();
    names
}

/// The names of the keys of `section`.
pub(crate) fn keys_of(section: &str) -> Vec<&'static str> {
    SCHEMA
        .iter()
        .filter(|spec| spec.section == section)
        .map(|spec| spec.name)
        .collect()
}

/// The key `name` of `section`, if there is one.
pub(crate) fn find(section: &str, name: &str) -> Option<&'static KeySpec> {
    SCHEMA
        .iter()
        .find(|spec| spec.section == section && spec.name == name)
}

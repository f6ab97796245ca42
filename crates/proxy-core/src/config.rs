//! What the operator decides about the core, resolved to plain values.
//!
//! The defaults are those of the configuration reference. Everything is immutable once the core runs.

use routing::TrunkCounters;
use std::{net::SocketAddr, sync::Arc};
use transaction_layer::{TRANSACTIONS_MAX, TimerConfig, Transport};

/// One listener, as Via, Record-Route and Contact name it.
#[derive(Clone, Debug)]
pub struct ListenerInfo {
    /// The transport of its socket.
    pub transport: Transport,
    /// The address it is bound to.
    pub address: SocketAddr,
    /// `host[:port]` that peers are told.
    pub advertise: String,
}

/// Everything a core needs to start.
#[derive(Clone)]
pub struct CoreConfig {
    /// This lane, 0-based.
    pub lane: u8,
    /// The number of lanes.
    pub lanes: u8,
    /// Generation of this boot: another value after every start of the process.
    pub boot: u32,
    /// The node's name in CDRs.
    pub node: String,
    /// Key of the placement of Call-IDs on lanes and of the check in our branches: the same in all lanes of a process,
    /// random per boot, secret.
    pub hash_seed: u64,
    /// Listeners; a [`transaction_layer::Flow::listener`] is an index into this list.
    pub listeners: Vec<ListenerInfo>,
    /// Key of the Record-Route cookie.
    pub cookie_key: [u8; 16],
    /// The key before the last rotation, still accepted.
    pub cookie_key_previous: Option<[u8; 16]>,
    /// The timers of RFC 3261 §17.
    pub timers: TimerConfig,
    /// The operator's policy.
    pub policy: Policy,
    /// Seeds identifiers and the keys of tables: random per boot and lane, secret.
    pub seed: u64,
    /// Channels and calls per second of every trunk, shared by all lanes.
    pub counters: Arc<TrunkCounters>,
}

/// The operator's policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Silence of a vendor (no provisional, no final response) after which the next one is tried, µs.
    pub no_1xx_us: u64,
    /// Ringing or early media of a vendor after which it is cancelled, µs.
    pub ring_timeout_us: u64,
    /// Timer C of RFC 3261 §16.6(11), µs; must exceed 3 minutes.
    pub timer_c_us: u64,
    /// How long the final response to a cancelled branch is awaited (RFC 3261 §9.1: 64·T1), µs.
    pub cancel_wait_us: u64,
    /// Try the next vendor even when one has already rung or sent early media.
    pub hunt_after_ringing: bool,
    /// Which responses of a vendor make the next one be tried.
    pub failover: FailoverTable,
    /// Contacts of redirecting vendors that are tried in one call, at most; 0 follows none.
    pub redirects_max: u8,
    /// The status for a customer over its limit.
    pub limit_status: u16,
    /// What upstream hears when every vendor answered only 503 (RFC 3261 §16.7(6) asks for 500).
    pub all_503_becomes: u16,
    /// Longest call, µs; the proxy then ends it with BYE to both sides.
    pub max_call_us: u64,
    /// Session timers, RFC 4028.
    pub session_timer: SessionTimerPolicy,
    /// How long a lookup may take, µs.
    pub lookup_deadline_us: u64,
    /// What a failed or late lookup does to the call.
    pub lookup_on_error: LookupOnError,
    /// How long resolving a host name may take, µs.
    pub resolve_deadline_us: u64,
    /// How long a response waits for its record to be on disk, with [`Durability::Strict`], µs.
    pub commit_deadline_us: u64,
    /// A Route on a new request that names someone else.
    pub preloaded_route: PreloadedRoute,
    /// A request within a dialog that nobody here knows.
    pub unknown_dialog: UnknownDialog,
    /// Answers to malformed requests of trunks, of this lane, per second; beyond, they are dropped.
    pub malformed_answers_per_s: u32,
    /// The same to one source address.
    pub malformed_answers_per_source_s: u32,
    /// Answers to sources that are no trunk, of this lane, per second; beyond, what they send is dropped.
    pub stranger_answers_per_s: u32,
    /// The same to one source address.
    pub stranger_answers_per_source_s: u32,
    /// Methods answered 405.
    pub refuse_methods: Vec<Vec<u8>>,
    /// When a record must be on disk.
    pub durability: Durability,
    /// Calls in memory, at most; the next INVITE is answered 503.
    pub calls_max: usize,
    /// Transactions in memory, at most; beyond, requests are answered 503.
    pub transactions_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            no_1xx_us: 4_000_000,
            ring_timeout_us: 120_000_000,
            timer_c_us: 200_000_000,
            cancel_wait_us: 32_000_000,
            hunt_after_ringing: false,
            failover: FailoverTable::default(),
            redirects_max: 5,
            limit_status: 503,
            all_503_becomes: 500,
            max_call_us: 14_400_000_000,
            session_timer: SessionTimerPolicy::default(),
            lookup_deadline_us: 500_000,
            lookup_on_error: LookupOnError::Continue,
            resolve_deadline_us: 2_000_000,
            commit_deadline_us: 1_000_000,
            preloaded_route: PreloadedRoute::Refuse,
            unknown_dialog: UnknownDialog::Refuse,
            malformed_answers_per_s: 500,
            malformed_answers_per_source_s: 50,
            stranger_answers_per_s: 500,
            stranger_answers_per_source_s: 50,
            refuse_methods: [&b"REGISTER"[..], b"SUBSCRIBE", b"PUBLISH"]
                .map(<[u8]>::to_vec)
                .to_vec(),
            durability: Durability::Group,
            calls_max: 1_000_000,
            transactions_max: TRANSACTIONS_MAX,
        }
    }
}

/// What the proxy wants of session timers (RFC 4028 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimerPolicy {
    /// The least session interval that is accepted, seconds; at least 90 (§5).
    pub min_se_s: u32,
    /// The interval that is put into requests without one, and the most that is left in others, seconds; 0: neither.
    pub session_expires_s: u32,
    /// What happens to a session that nobody refreshed.
    pub on_expiry: SessionExpiry,
}

impl Default for SessionTimerPolicy {
    fn default() -> Self {
        Self {
            min_se_s: crate::session_timer::MIN_SE_S,
            session_expires_s: 0,
            on_expiry: SessionExpiry::Close,
        }
    }
}

/// What happens to a session that nobody refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionExpiry {
    /// Its record is closed and its limits are given back; nobody is told (RFC 4028 §8.3), unless one end alone watched it.
    Close,
    /// The same, and both sides get a BYE.
    Bye,
}

/// What a failed or late lookup does to the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupOnError {
    /// Go on with the number as it was.
    Continue,
    /// Refuse with 503.
    Refuse,
}

/// A Route on a new request that names someone else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreloadedRoute {
    /// 403: a Class 4 proxy is no open relay.
    Refuse,
    /// Go where it says; for trusted networks and conformance tests.
    Follow,
}

/// A request within a dialog that nobody here knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownDialog {
    /// 481; an ACK is dropped.
    Refuse,
    /// Forward it by its Route and request URI; for trusted networks and conformance tests.
    Forward,
}

/// When a record must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Within the journal's flush interval.
    Group,
    /// Before the message that tells a peer leaves.
    Strict,
}

/// Which final responses of a vendor make the next one be tried.
///
/// The default is `3xx 401 407 408 5xx`: faults of the vendor. All else (404, 486 …) is taken to be
/// about the callee, and ends the hunt. What a 6xx does is the vendor's `on_6xx`.
#[derive(Clone, PartialEq, Eq)]
pub struct FailoverTable {
    next: [bool; 300],
}

impl FailoverTable {
    /// Reads patterns: a status (`"486"`) or a class (`"5xx"`), 300 to 599.
    ///
    /// # Errors
    /// The first pattern that is neither.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut table = Self { next: [false; 300] };
        for pattern in patterns {
            let (first, len) = match pattern.as_bytes() {
                [class @ b'3'..=b'5', b'x' | b'X', b'x' | b'X'] => {
                    (usize::from(class - b'0') * 100, 100)
                }
                [b'3'..=b'5', b'0'..=b'9', b'0'..=b'9'] => {
                    (pattern.parse().map_err(|_| pattern)?, 1)
                }
                _ => return Err(pattern),
            };
            table.next[first - 300..first - 300 + len].fill(true);
        }
        Ok(table)
    }

    /// Whether `status` makes the next target be tried.
    #[must_use]
    pub fn tries_next(&self, status: u16) -> bool {
        usize::from(status)
            .checked_sub(300)
            .and_then(|at| self.next.get(at))
            .copied()
            .unwrap_or(false)
    }
}

impl Default for FailoverTable {
    fn default() -> Self {
        let mut next = [false; 300];
        next[..100].fill(true);
        for status in [401, 407, 408] {
            next[status - 300] = true;
        }
        next[200..300].fill(true);
        Self { next }
    }
}

impl std::fmt::Debug for FailoverTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries((300..600_u16).filter(|status| self.tries_next(*status)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_table_is_the_documented_patterns() {
        let parsed = FailoverTable::parse(["3xx", "401", "407", "408", "5xx"]);
        assert_eq!(parsed, Ok(FailoverTable::default()));
    }

    #[test]
    fn patterns_outside_300_to_599_are_refused() {
        for bad in ["2xx", "6xx", "603", "7xx", "99", "5x", "5xxx", "", "500a"] {
            assert_eq!(FailoverTable::parse([bad]), Err(bad));
        }
        assert!(
            FailoverTable::parse(["599"])
                .is_ok_and(|table| table.tries_next(599) && !table.tries_next(598))
        );
    }
}

//! The transaction layer: all transactions of one worker, with their keys, timers and buffers.
//! RFC 3261 §17 as amended by RFC 6026; the machines decide, this carries out.
//! Leaves out the transaction user: what is answered, forwarded and cancelled is decided above.
//!
//! Every transaction ends by itself 64·T1 (Timer D: 32 s) after its last event, with these exceptions, which the
//! TU ends: a server transaction without a final response (`respond` or `abandon_server`), and an INVITE client
//! transaction that has heard a provisional (`abandon_client`; the TU's Timer C tells when).

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use sip_parser::{HeaderTable, Limits};

use crate::buffers::Buffers;
use crate::event::{TableFull, TransactionEvent};
use crate::outbox::Outbox;
use crate::remotes::Remotes;
use crate::slots::{SlotId, Slots};
use crate::step::Durations;
use crate::timer::{Timer, TimerConfig};
use crate::wheel::{TICK_US, TimerWheel};

use clients::Client;
use servers::Server;

mod clients;
mod entry;
mod servers;
#[cfg(test)]
mod tests;

/// The most transactions that can live in one `Transactions`, servers and clients together.
pub const TRANSACTIONS_MAX: usize = 2_000_000;

/// A server transaction. Safe to keep when stale: every call then answers as if there were none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ServerId(SlotId);

/// A client transaction. Safe to keep when stale: every call then answers as if there were none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClientId(SlotId);

/// How many transactions live, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LiveTransactions {
    /// INVITE server transactions (RFC 3261 §17.2.1).
    pub server_invite: usize,
    /// Non-INVITE server transactions (§17.2.2).
    pub server_non_invite: usize,
    /// INVITE client transactions (§17.1.1).
    pub client_invite: usize,
    /// Non-INVITE client transactions (§17.1.2).
    pub client_non_invite: usize,
}

impl LiveTransactions {
    /// All kinds together.
    #[must_use]
    pub fn total(&self) -> usize {
        self.server_invite + self.server_non_invite + self.client_invite + self.client_non_invite
    }
}

/// A running timer: whose, and which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    Server(SlotId, Timer),
    Client(SlotId, Timer),
}

/// Room for this many timers of one tick is made at the start.
const DUE_WARM: usize = 256;

/// A key's hash and the transaction that has the key.
type Indexed = (u64, SlotId);

/// The transactions of one worker. Times are µs of one monotonic clock that the caller passes in.
#[derive(Debug)]
pub struct Transactions {
    config: TimerConfig,
    hash: FixedState,
    transactions_max: usize,
    servers: Slots<Server>,
    server_index: HashTable<Indexed>,
    clients: Slots<Client>,
    client_index: HashTable<Indexed>,
    unheard: Remotes,
    wheel: TimerWheel<Due>,
    buffers: Buffers,
    live: LiveTransactions,
    /// The key being looked up.
    key: Vec<u8>,
    /// For parsing what is stored.
    headers: HeaderTable,
    /// Timers that fired in this call, with their deadlines.
    due: Vec<(u64, Due)>,
}

impl Transactions {
    /// An empty layer for at most `TRANSACTIONS_MAX` transactions. `seed` should be unknown to peers, because they
    /// choose what is hashed; the same seed gives the same behaviour.
    #[must_use]
    pub fn new(config: TimerConfig, seed: u64) -> Self {
        Self::with_limit(config, seed, TRANSACTIONS_MAX)
    }

    /// As `new`, with a limit of its own; one above `TRANSACTIONS_MAX` is lowered to it.
    #[must_use]
    pub fn with_limit(config: TimerConfig, seed: u64, transactions_max: usize) -> Self {
        let hash = FixedState::with_seed(seed);
        Self {
            config,
            unheard: Remotes::new(hash.clone()),
            hash,
            transactions_max: transactions_max.min(TRANSACTIONS_MAX),
            servers: Slots::new(),
            server_index: HashTable::new(),
            clients: Slots::new(),
            client_index: HashTable::new(),
            wheel: TimerWheel::new(),
            buffers: Buffers::new(),
            live: LiveTransactions::default(),
            key: Vec::new(),
            headers: HeaderTable::new(Limits::default()),
            due: Vec::with_capacity(DUE_WARM),
        }
    }

    /// The transactions that live now, finished ones that linger included.
    #[must_use]
    pub fn live(&self) -> LiveTransactions {
        self.live
    }

    /// The server transactions that live now.
    #[must_use]
    pub fn live_servers(&self) -> usize {
        self.live.server_invite + self.live.server_non_invite
    }

    /// The client transactions that live now.
    #[must_use]
    pub fn live_clients(&self) -> usize {
        self.live.client_invite + self.live.client_non_invite
    }

    /// When `expire` should be called next, µs; it may have nothing to report then. `None` when no timer runs.
    #[must_use]
    pub fn next_deadline_us(&self) -> Option<u64> {
        self.wheel.next_deadline_us()
    }

    /// Runs all timers that are due: repeated messages go to `outbox`, endings are appended to `events`.
    pub fn expire(&mut self, now_us: u64, outbox: &mut Outbox, events: &mut Vec<TransactionEvent>) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel
            .expire_each(now_us, |deadline_us, timer| due.push((deadline_us, timer)));
        // The wheel orders by ticks only; messages due in one tick leave in the order of their deadlines.
        due.sort_unstable_by_key(|(deadline_us, _)| *deadline_us);
        for (deadline_us, timer) in due.drain(..) {
            // The next interval counts from the deadline, so that ticks do not add up; a late caller
            // shifts the schedule, so that nothing is sent in bursts.
            let base_us = deadline_us.max(now_us.saturating_sub(TICK_US));
            let event = match timer {
                Due::Server(id, timer) => self.on_server_timer(base_us, id, timer, outbox),
                Due::Client(id, timer) => self.on_client_timer(base_us, id, timer, outbox),
            };
            events.extend(event);
        }
        self.due = due;
    }

    fn check_limit(&self) -> Result<(), TableFull> {
        if self.live.total() < self.transactions_max {
            return Ok(());
        }
        Err(TableFull {
            transactions_max: self.transactions_max,
        })
    }

    fn durations(&self, is_reliable: bool) -> Durations {
        Durations {
            config: self.config,
            is_reliable,
        }
    }

    /// The bytes of all messages held, for tests.
    #[cfg(test)]
    fn stored_bytes(&self) -> usize {
        let servers = self.servers.iter().map(Server::stored_len);
        let clients = self.clients.iter().map(Client::stored_len);
        servers.chain(clients).sum()
    }
}

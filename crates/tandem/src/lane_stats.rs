//! What a lane counts about itself: datagrams, turns, hand-offs, drops.
//! Plain integers with one writer, published once per turn as relaxed stores (no read-modify-write).
//! Leaves out what the core counts about messages (`proxy_core::Stats`).

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! lane_stats {
    ($($(#[doc = $doc:literal])+ $name:ident => $label:literal, $help:literal;)+) => {
        /// One number of a lane.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum LaneStat { $($(#[doc = $doc])+ $name),+ }

        impl LaneStat {
            /// All of them, in the order of their values.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The metric's name without prefix; counters without `_total`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// One sentence for the metric's help.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $help),+ }
            }
        }
    };
}

lane_stats! {
    /// Datagrams read from this lane's sockets.
    DatagramsIn => "datagrams_in", "Datagrams read from the lane's sockets.";
    /// Their bytes.
    BytesIn => "bytes_in", "Bytes of the datagrams read.";
    /// Datagrams the kernel took.
    DatagramsOut => "datagrams_out", "Datagrams sent.";
    /// Their bytes.
    BytesOut => "bytes_out", "Bytes of the datagrams sent.";
    /// Turns of the loop.
    Turns => "turns", "Turns of the lane's loop.";
    /// Time spent in turns, µs.
    BusyUs => "busy_us", "Time spent in turns, in microseconds.";
    /// Datagrams passed on to the lane that owns them.
    HandedOff => "handed_off", "Datagrams passed on to the lane that owns them.";
    /// Datagrams taken over from other lanes.
    TakenOver => "taken_over", "Datagrams taken over from the lane that received them.";
    /// Other lanes woken for a hand-off.
    LanesWoken => "lanes_woken", "Wake-ups of other lanes for a batch of hand-offs.";
    /// New requests, and what belongs to nothing that was begun, dropped because the owner's ring was full up to its reserve.
    RingOverflowNew => "ring_overflow_new", "New requests, and what belongs to nothing that was begun, dropped because the owner's ring was full up to its reserve.";
    /// Responses and in-dialog requests dropped because the owner's ring was full.
    RingOverflowKept => "ring_overflow_kept", "Responses and in-dialog requests dropped because the owner's ring was full.";
    /// Datagrams the kernel dropped because a socket's receive buffer was full.
    KernelDrops => "kernel_drops", "Datagrams the kernel dropped because a socket's receive buffer was full.";
    /// Sum of the times datagrams waited in the kernel, µs.
    KernelWaitUs => "kernel_wait_us", "Sum of the times datagrams waited in the kernel, in microseconds.";
    /// The longest such wait since the last reading of the clock's second, µs (a gauge).
    KernelWaitMaxUs => "kernel_wait_max_us", "The longest time a datagram waited in the kernel within the last second, in microseconds.";
    /// Errors when reading a socket.
    ReceiveErrors => "receive_errors", "Errors when reading a socket.";
    /// Datagrams the kernel refused to send.
    SendErrors => "send_errors", "Datagrams the kernel refused to send.";
    /// Datagrams that had to wait for room in the send buffer.
    SendDelayed => "send_delayed", "Datagrams that waited for room in the send buffer.";
    /// Datagrams dropped because too many waited for room in the send buffer, or because no socket can send them.
    SendDropped => "send_dropped", "Datagrams dropped because too many waited for room in the send buffer.";
    /// Entries of the error queue that said a remote can't be reached.
    Unreachable => "unreachable", "ICMP errors that said a remote can't be reached.";
    /// Other entries of the error queue.
    OtherSocketErrors => "other_socket_errors", "Other entries of the sockets' error queues.";
    /// Jobs handed to the offload pool.
    JobsSubmitted => "jobs_submitted", "Jobs handed to the offload pool.";
    /// Jobs that found the queue full.
    JobsFull => "jobs_full", "Jobs that found the offload queue full.";
    /// Records handed to the journal.
    Records => "records", "Records handed to the journal.";
    /// Records lost because the journal could not be written and its buffer was full.
    RecordsLost => "records_lost", "Records lost because the journal could not be written.";
    /// Records that wait in memory because the journal can't be written (a gauge).
    RecordsWaiting => "records_waiting", "Records that wait in memory because the journal can't be written.";
    /// Calls the lane owns now (a gauge).
    LiveCalls => "calls", "Calls the lane owns.";
    /// Transactions the lane has now (a gauge).
    LiveTransactions => "transactions", "Transactions the lane has.";
    /// Response contexts the lane has now (a gauge).
    LiveContexts => "response_contexts", "Response contexts the lane has.";
    /// Requests without a final response (a gauge); counted while draining only, because counting walks all contexts.
    UnfinishedRequests => "unfinished_requests", "Requests a drain waits for; 0 while not draining.";
}

impl LaneStat {
    /// Whether the number can fall.
    #[must_use]
    pub fn is_gauge(self) -> bool {
        matches!(
            self,
            Self::RecordsWaiting
                | Self::LiveCalls
                | Self::LiveTransactions
                | Self::LiveContexts
                | Self::UnfinishedRequests
                | Self::KernelWaitMaxUs
        )
    }
}

const LEN: usize = LaneStat::ALL.len();

/// The numbers of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneCounters([u64; LEN]);

impl Default for LaneCounters {
    fn default() -> Self {
        Self([0; LEN])
    }
}

impl LaneCounters {
    /// One number.
    #[must_use]
    pub fn value(&self, stat: LaneStat) -> u64 {
        self.0[stat as usize]
    }

    pub(crate) fn add(&mut self, stat: LaneStat, count: u64) {
        self.0[stat as usize] += count;
    }

    pub(crate) fn set(&mut self, stat: LaneStat, value: u64) {
        self.0[stat as usize] = value;
    }
}

/// Where a lane's numbers are read by other threads; aligned so that no two lanes share a cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct LaneCells([AtomicU64; LEN]);

impl Default for LaneCells {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; LEN])
    }
}

impl LaneCells {
    pub(crate) fn publish(&self, counters: &LaneCounters) {
        for (cell, value) in self.0.iter().zip(&counters.0) {
            cell.store(*value, Ordering::Relaxed);
        }
    }

    /// A reading; each number is exact, together they may be torn by a turn.
    #[must_use]
    pub fn read(&self) -> LaneCounters {
        let mut counters = LaneCounters::default();
        for (value, cell) in counters.0.iter_mut().zip(&self.0) {
            *value = cell.load(Ordering::Relaxed);
        }
        counters
    }

    /// One number.
    #[must_use]
    pub fn value(&self, stat: LaneStat) -> u64 {
        self.0[stat as usize].load(Ordering::Relaxed)
    }
}

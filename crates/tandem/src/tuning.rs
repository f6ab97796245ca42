//! The sizes that shape a lane's turn, in one place.
//! Each was chosen for batches that fill under load and for turns that stay below a millisecond.
//! Leaves out what an operator decides (`config`).

/// Sizes of batches, rings and buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Datagrams read from a socket per turn, at most.
    pub receive_batch: usize,
    /// Datagrams handed to the kernel per call, at most.
    pub send_batch: usize,
    /// Datagrams taken from each ring per turn, at most.
    pub ring_batch: usize,
    /// Bytes a ring between two lanes holds.
    pub ring_bytes: usize,
    /// Datagrams a ring between two lanes holds.
    pub ring_parcels: usize,
    /// Share of a ring, in percent, that new requests leave free for responses and in-dialog requests.
    pub ring_reserve_percent: usize,
    /// Receive buffer asked of the kernel per socket, bytes.
    pub receive_buffer_bytes: usize,
    /// Send buffer asked of the kernel per socket, bytes.
    pub send_buffer_bytes: usize,
    /// Datagrams that may wait per socket when its send buffer is full.
    pub unsent_len_max: usize,
    /// Entries taken from a socket's error queue per turn, at most.
    pub error_batch: usize,
    /// Results of jobs taken per turn, at most.
    pub result_batch: usize,
    /// How often the core's counters are published, µs.
    pub publish_us: u64,
}

impl Tuning {
    /// The sizes for a number of lanes: rings share 64 MiB when there are many.
    #[must_use]
    pub fn for_lanes(lanes: usize) -> Self {
        let rings = (lanes * lanes.saturating_sub(1)).max(1);
        let ring_bytes = ((64 << 20) / rings).clamp(256 << 10, 2 << 20);
        Self {
            receive_batch: 64,
            send_batch: 64,
            ring_batch: 64,
            ring_bytes,
            ring_parcels: ring_bytes / 256,
            ring_reserve_percent: 25,
            receive_buffer_bytes: 4 << 20,
            send_buffer_bytes: 4 << 20,
            unsent_len_max: 4_096,
            error_batch: 64,
            result_batch: 64,
            publish_us: 10_000,
        }
    }
}

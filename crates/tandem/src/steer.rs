//! Hand-off between lanes: bounded single-producer rings, one wake-up per batch.
//! Keeps the order of what one lane receives for another; `proxy_core::steer` says who owns a datagram.
//! Leaves out reading sockets and handling what arrives (`worker.rs`).
//!
//! Order: one source is read by one socket, hence by one lane, in order; what that lane passes to one owner goes
//! through one ring, in order; so two messages of a dialog from one source are never swapped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::Notify;
use transaction_layer::Flow;

use crate::net::sys::DATAGRAM_LEN_MAX;

/// The size of every ring of a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// Bytes a ring holds; at least two of the largest datagrams are made room for.
    pub bytes: usize,
    /// Parcels a ring holds; at least 4.
    pub parcels: usize,
    /// Share of both, in percent, kept free of new requests; 0 to 90.
    pub reserve_percent: usize,
}

/// What one lane passes to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parcel {
    /// A datagram: its flow; its bytes are in the byte ring.
    Datagram(Flow),
    /// News that a remote can't be reached: the transactions concerned may be anyone's.
    Unreachable(SocketAddr),
}

#[derive(Clone, Copy)]
struct Slot {
    parcel: Parcel,
    len: usize,
}

/// The sending end of a ring.
pub struct RingSender {
    slots: Producer<Slot>,
    bytes: Producer<u8>,
    slots_reserved: usize,
    bytes_reserved: usize,
}

/// The receiving end of a ring.
pub struct RingReceiver {
    slots: Consumer<Slot>,
    bytes: Consumer<u8>,
    /// For datagrams that lie across the end of the ring.
    joined: Vec<u8>,
}

/// A ring.
#[must_use]
pub fn ring(config: RingConfig) -> (RingSender, RingReceiver) {
    let bytes_len = config.bytes.max(2 * DATAGRAM_LEN_MAX);
    let parcels = config.parcels.max(4);
    let percent = config.reserve_percent.min(90);
    let (slots, slots_out) = RingBuffer::new(parcels);
    let (bytes, bytes_out) = RingBuffer::new(bytes_len);
    let sender = RingSender {
        slots,
        bytes,
        slots_reserved: parcels * percent / 100,
        bytes_reserved: bytes_len * percent / 100,
    };
    (
        sender,
        RingReceiver {
            slots: slots_out,
            bytes: bytes_out,
            joined: Vec::with_capacity(DATAGRAM_LEN_MAX),
        },
    )
}

impl RingSender {
    /// Puts a parcel in; false when there is no room. A new request (`may_use_reserve` false) leaves the reserve free.
    #[must_use]
    pub fn push(&mut self, parcel: Parcel, bytes: &[u8], may_use_reserve: bool) -> bool {
        let (slots_kept, bytes_kept) = if may_use_reserve {
            (0, 0)
        } else {
            (self.slots_reserved, self.bytes_reserved)
        };
        if self.slots.slots() <= slots_kept || self.bytes.slots() < bytes_kept + bytes.len() {
            return false;
        }
        // Bytes first: whoever sees the slot finds them.
        self.bytes.push_entire_slice(bytes).is_ok()
            && self
                .slots
                .push(Slot {
                    parcel,
                    len: bytes.len(),
                })
                .is_ok()
    }
}

impl RingReceiver {
    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes out up to `max` parcels in order; returns how many. Bytes are empty but for datagrams.
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(Parcel, &[u8])) -> usize {
        for count in 0..max {
            let Ok(Slot { parcel, len }) = self.slots.pop() else {
                return count;
            };
            let Ok(chunk) = self.bytes.read_chunk(len) else {
                debug_assert!(false, "bytes are put in before their slot");
                return count;
            };
            let (head, tail) = chunk.as_slices();
            if tail.is_empty() {
                take(parcel, head);
            } else {
                self.joined.clear();
                self.joined.extend_from_slice(head);
                self.joined.extend_from_slice(tail);
                take(parcel, &self.joined);
            }
            chunk.commit_all();
        }
        max
    }
}

/// Wakes the lane that waits for parcels, and only when it waits.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Doorbell {
    idle: AtomicBool,
    notify: Notify,
}

impl Doorbell {
    /// Called by another lane after it has put parcels in; returns whether someone had to be woken.
    pub fn ring(&self) -> bool {
        // Pairs with the fence in `wait`: either this load sees `idle`, or the waiter's check sees the parcels.
        fence(Ordering::SeqCst);
        if self.idle.load(Ordering::Relaxed) && self.idle.swap(false, Ordering::AcqRel) {
            self.notify.notify_one();
            return true;
        }
        false
    }

    /// Waits until somebody rings, unless `has_parcels` says that there is no need. May return early.
    pub async fn wait(&self, has_parcels: impl Fn() -> bool) {
        self.idle.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if has_parcels() {
            self.idle.store(false, Ordering::Relaxed);
            return;
        }
        self.notify.notified().await;
    }
}

/// One lane's ends of all its rings; none to itself.
pub struct LaneRings {
    /// By receiving lane.
    pub to: Vec<Option<RingSender>>,
    /// By sending lane.
    pub from: Vec<Option<RingReceiver>>,
    /// By lane.
    pub bells: Arc<[Doorbell]>,
}

/// The rings between all pairs of lanes.
#[must_use]
pub fn mesh(lanes: usize, config: RingConfig) -> Vec<LaneRings> {
    let bells: Arc<[Doorbell]> = (0..lanes).map(|_| Doorbell::default()).collect();
    let empty = || LaneRings {
        to: std::iter::repeat_with(|| None).take(lanes).collect(),
        from: std::iter::repeat_with(|| None).take(lanes).collect(),
        bells: Arc::clone(&bells),
    };
    let mut all: Vec<LaneRings> = (0..lanes).map(|_| empty()).collect();
    for sender in 0..lanes {
        for receiver in (0..lanes).filter(|receiver| *receiver != sender) {
            let (to, from) = ring(config);
            all[sender].to[receiver] = Some(to);
            all[receiver].from[sender] = Some(from);
        }
    }
    all
}

#[cfg(test)]
mod tests;

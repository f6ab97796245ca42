//! A table of slots with ids that are safe when stale; it grows by chunks, so growing never copies what is there.
//! No RFC: memory layout of this crate.
//! Leaves out shrinking: a chunk once made is reused for ever.

use std::num::NonZeroU32;

/// Slots per chunk.
const CHUNK_LEN: u32 = 256;

/// The end of the list of free slots.
const NONE: u32 = u32::MAX;

/// Where an item is kept: its index, and the serial number that tells it from later tenants of that index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SlotId {
    index: u32,
    /// That of an occupied slot is odd, so an `Option<SlotId>` takes no more room than a `SlotId`. It wraps after
    /// 2^31 tenants of one slot.
    serial: NonZeroU32,
}

#[derive(Debug)]
struct Slot<T> {
    serial: u32,
    next_free: u32,
    item: Option<T>,
}

/// Items by `SlotId`. Insert, look-up and removal take constant time.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    chunks: Vec<Vec<Slot<T>>>,
    free: u32,
    made: u32,
    len: usize,
}

impl<T> Slots<T> {
    /// What an item takes, bytes.
    #[cfg(test)]
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot<T>>();

    pub(crate) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            free: NONE,
            made: 0,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Keeps `item` and returns its id; `None` when all 2^32 - 1 slots are taken.
    pub(crate) fn insert(&mut self, item: T) -> Option<SlotId> {
        let index = if self.free == NONE {
            self.add_slot()?
        } else {
            self.free
        };
        let slot = self.slot_mut(index)?;
        let serial = NonZeroU32::new(slot.serial.wrapping_add(1))?;
        let next_free = slot.next_free;
        slot.serial = serial.get();
        slot.item = Some(item);
        self.free = next_free;
        self.len += 1;
        Some(SlotId { index, serial })
    }

    /// Takes the item out; `None` when `id` is stale.
    pub(crate) fn remove(&mut self, id: SlotId) -> Option<T> {
        let free = self.free;
        let slot = self
            .slot_mut(id.index)
            .filter(|slot| slot.serial == id.serial.get())?;
        let item = slot.item.take()?;
        slot.serial = slot.serial.wrapping_add(1);
        slot.next_free = free;
        self.free = id.index;
        self.len -= 1;
        Some(item)
    }

    /// The item; `None` when `id` is stale.
    pub(crate) fn item(&self, id: SlotId) -> Option<&T> {
        let slot = self
            .chunks
            .get((id.index / CHUNK_LEN) as usize)?
            .get((id.index % CHUNK_LEN) as usize)?;
        if slot.serial == id.serial.get() {
            slot.item.as_ref()
        } else {
            None
        }
    }

    /// The item, to change; `None` when `id` is stale.
    pub(crate) fn item_mut(&mut self, id: SlotId) -> Option<&mut T> {
        self.slot_mut(id.index)
            .filter(|slot| slot.serial == id.serial.get())?
            .item
            .as_mut()
    }

    /// How many slots were taken from the allocator so far.
    #[cfg(test)]
    pub(crate) fn made(&self) -> usize {
        self.made as usize
    }

    /// All items.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let slots = self.chunks.iter().flatten();
        slots.filter_map(|slot| slot.item.as_ref())
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.chunks
            .get_mut((index / CHUNK_LEN) as usize)?
            .get_mut((index % CHUNK_LEN) as usize)
    }

    fn add_slot(&mut self) -> Option<u32> {
        let index = self.made;
        if index == NONE {
            return None;
        }
        if index.is_multiple_of(CHUNK_LEN) {
            self.chunks.push(Vec::with_capacity(CHUNK_LEN as usize));
        }
        self.chunks.last_mut()?.push(Slot {
            serial: 0,
            next_free: NONE,
            item: None,
        });
        self.made += 1;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_finds_nothing_after_its_slot_is_reused() {
        let mut slots = Slots::new();
        let first = slots.insert('a').unwrap();
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert('b').unwrap();
        assert_eq!(second.index, first.index);
        assert_eq!(slots.item(first), None);
        assert_eq!(slots.item_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.item(second), Some(&'b'));
        assert_eq!(slots.len(), 1);
        for id in [first, second] {
            assert_eq!(id.serial.get() % 2, 1, "so that it never wraps to zero");
        }
    }

    #[test]
    fn growing_over_chunks_keeps_every_item() {
        let mut slots = Slots::new();
        let ids: Vec<_> = (0..CHUNK_LEN * 3 + 1)
            .map(|n| slots.insert(n).unwrap())
            .collect();
        for (n, id) in (0..).zip(&ids) {
            assert_eq!(slots.item(*id), Some(&n));
        }
        for id in &ids {
            assert!(slots.remove(*id).is_some());
        }
        assert_eq!(slots.len(), 0);
        let made = slots.made();
        for n in 0..CHUNK_LEN * 3 + 1 {
            slots.insert(n).unwrap();
        }
        assert_eq!(slots.made(), made, "freed slots are used again");
    }
}

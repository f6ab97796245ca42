//! The pool of buffers that hold what may have to be sent again, sorted by size.
//! No RFC: memory layout of this crate; a steady load takes no memory from the allocator.
//! Leaves out the outbox, which has its own arena.

/// Capacities of pooled buffers, bytes: a stored message wastes at most a third.
const SIZES: [usize; 20] = [
    64, 96, 128, 192, 256, 384, 512, 768, 1_024, 1_536, 2_048, 3_072, 4_096, 6_144, 8_192, 12_288,
    16_384, 24_576, 32_768, 65_536,
];

/// The most idle memory kept per size, bytes; what exceeds it goes back to the allocator.
const IDLE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Idle buffers by capacity.
#[derive(Debug)]
pub(crate) struct Buffers {
    idle: [Vec<Vec<u8>>; SIZES.len()],
    #[cfg(test)]
    made: usize,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self {
            idle: std::array::from_fn(|_| Vec::new()),
            #[cfg(test)]
            made: 0,
        }
    }

    /// A buffer that holds a copy of `bytes`. Above the largest pooled size it is made to measure and not pooled.
    pub(crate) fn store(&mut self, bytes: &[u8]) -> Vec<u8> {
        let class = SIZES.iter().position(|size| *size >= bytes.len());
        let idle = class.and_then(|class| self.idle.get_mut(class)?.pop());
        let mut buffer = idle.unwrap_or_else(|| {
            #[cfg(test)]
            {
                self.made += 1;
            }
            let size = class.and_then(|class| SIZES.get(class).copied());
            Vec::with_capacity(size.unwrap_or(bytes.len()))
        });
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Gives a buffer back; an empty one without memory is ignored.
    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let Some(class) = SIZES.iter().position(|size| *size == capacity) else {
            return;
        };
        if let Some(idle) = self.idle.get_mut(class)
            && idle.len() < IDLE_BYTES_MAX / capacity
        {
            buffer.clear();
            idle.push(buffer);
        }
    }

    /// How many buffers were taken from the allocator so far.
    #[cfg(test)]
    pub(crate) fn made(&self) -> usize {
        self.made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_buffer_is_used_again() {
        let mut buffers = Buffers::new();
        let first = buffers.store(&[1; 700]);
        let at = first.as_ptr();
        assert_eq!(first.capacity(), 768);
        buffers.recycle(first);
        let second = buffers.store(&[2; 513]);
        assert_eq!(second.as_ptr(), at);
        assert_eq!(second, [2; 513]);
        assert_eq!(buffers.made(), 1);
    }

    #[test]
    fn a_message_above_the_largest_size_is_stored_but_not_kept() {
        let mut buffers = Buffers::new();
        let big = buffers.store(&[3; 70_000]);
        assert_eq!(big.len(), 70_000);
        buffers.recycle(big);
        assert!(buffers.idle.iter().all(Vec::is_empty));
    }

    #[test]
    fn idle_memory_is_bounded() {
        let mut buffers = Buffers::new();
        let many: Vec<_> = (0..IDLE_BYTES_MAX / 65_536 + 10)
            .map(|_| buffers.store(&[0; 65_000]))
            .collect();
        for buffer in many {
            buffers.recycle(buffer);
        }
        let idle: usize = buffers.idle.iter().flatten().map(Vec::capacity).sum();
        assert_eq!(idle, IDLE_BYTES_MAX);
    }
}

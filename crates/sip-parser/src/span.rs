//! Offsets of a part within a message, half the size of a slice and free of its lifetime.
//! They let a [`HeaderTable`](crate::HeaderTable) outlive the message it describes.
//! An absent part is a span too, so that no `Option` is paid for.

/// `start..end` within a message, or [`Span::NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The part is absent.
    pub(crate) const NONE: Self = Self {
        start: u32::MAX,
        end: u32::MAX,
    };

    #[expect(
        clippy::cast_possible_truncation,
        reason = "offsets are below Limits::size_max, which is clamped below u32::MAX"
    )]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end < u32::MAX as usize);
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// Where `part`, a slice of `whole`, lies in it.
    pub(crate) fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        Self::new(start, start + part.len())
    }

    /// As [`Span::of`]; `None` becomes [`Span::NONE`].
    pub(crate) fn of_option(part: Option<&[u8]>, whole: &[u8]) -> Self {
        part.map_or(Self::NONE, |part| Self::of(part, whole))
    }

    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    pub(crate) fn end(self) -> usize {
        self.end as usize
    }

    pub(crate) fn len(self) -> usize {
        self.end() - self.start()
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start()..self.end()
    }

    /// The octets of the span; empty when absent or out of bounds.
    pub(crate) fn slice(self, whole: &[u8]) -> &[u8] {
        whole.get(self.range()).unwrap_or_default()
    }

    /// The octets of the span; `None` when absent.
    pub(crate) fn slice_option(self, whole: &[u8]) -> Option<&[u8]> {
        whole.get(self.range())
    }
}

//! Rate sheets: the price of a number at an instant.
//!
//! The longest prefix that has a rate in force wins; of several rates of one prefix, the one that came into force last.
//! Leaves out what a call costs in the end, which is `accounting`'s.

use std::ops::Range;

use crate::prefix::{Prefix, PrefixTable};

/// A compiled rate sheet.
#[derive(Debug)]
pub struct Sheet {
    /// Name of the sheet.
    pub name: String,
    /// Values are an index of terms, or (with [`SPANS`] set) of `groups`.
    table: PrefixTable,
    groups: Vec<Range<u32>>,
    spans: Vec<Span>,
}

/// Marks a value of the prefix table as an index of `groups`: the rate of that prefix changes over time.
const SPANS: u32 = 1 << 31;

/// Terms over a span of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// First instant, UTC µs; `i64::MIN` is since ever.
    pub(crate) from: i64,
    /// End, not part of the span; `i64::MAX` is for ever.
    pub(crate) to: i64,
    /// Index of the terms in the snapshot.
    pub(crate) terms: u32,
}

impl Span {
    const fn holds(&self, wall_us: i64) -> bool {
        self.from <= wall_us && wall_us < self.to
    }
}

/// A rate found in a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundRate {
    pub(crate) prefix: Prefix,
    pub(crate) terms: u32,
}

impl Sheet {
    /// Builds a sheet from spans sorted by prefix and `from`.
    pub(crate) fn build(name: String, rates: &[(Prefix, Span)]) -> Self {
        let mut entries = Vec::with_capacity(rates.len());
        let (mut groups, mut spans) = (Vec::new(), Vec::new());
        for run in rates.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((prefix, first)) = run.first() else {
                continue;
            };
            let value = if run.len() == 1 && first.from == i64::MIN && first.to == i64::MAX {
                first.terms
            } else {
                let start = index(spans.len());
                spans.extend(run.iter().map(|(_, span)| *span));
                groups.push(start..index(spans.len()));
                SPANS | index(groups.len() - 1)
            };
            entries.push((*prefix, value));
        }
        Self {
            name,
            table: PrefixTable::build(&entries),
            groups,
            spans,
        }
    }

    /// The rate of `number` at `wall_us`: prefixes longest first, those without a rate in force are passed over.
    pub(crate) fn find(&self, number: Prefix, wall_us: i64) -> Option<FoundRate> {
        self.table.matches(number).find_map(|(prefix, value)| {
            Some(FoundRate {
                prefix,
                terms: self.in_force(value, wall_us)?,
            })
        })
    }

    /// Whether any rate matches `number`, in force or not.
    pub(crate) fn ever_matches(&self, number: Prefix) -> bool {
        self.table.matches(number).next().is_some()
    }

    /// Number of different prefixes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the sheet has no rate.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn in_force(&self, value: u32, wall_us: i64) -> Option<u32> {
        if value & SPANS == 0 {
            return Some(value);
        }
        let group = self.groups.get((value & !SPANS) as usize)?;
        // Sorted by `from`: the last that holds is the one that came into force last.
        let spans = self.spans.get(group.start as usize..group.end as usize)?;
        spans
            .iter()
            .rev()
            .find(|span| span.holds(wall_us))
            .map(|span| span.terms)
    }
}

/// A count as an index of 31 bits. The compiler refuses tables that are larger.
pub(crate) fn index(count: usize) -> u32 {
    debug_assert!(count < SPANS as usize, "an index of {count} does not fit");
    u32::try_from(count).unwrap_or(SPANS - 1)
}

#[cfg(test)]
mod tests;

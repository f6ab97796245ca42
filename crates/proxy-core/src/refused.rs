//! Requests that get no CDR of their own, added up by source and minute.
//!
//! A flood from an unknown source, or of a customer over its limit, must not fill the disk: one record a minute
//! tells who, why and how often. The table is bounded; what does not fit is added up under `*`.

use accounting::{Cause, Record, RefusedAggregate};
use hashbrown::HashMap;
use std::net::IpAddr;

/// Distinct (source, cause, customer) a minute, at most.
const SOURCES_MAX: usize = 10_000;
const MINUTE_US: i64 = 60_000_000;

#[derive(PartialEq, Eq, Hash)]
struct Key {
    source: Option<IpAddr>,
    cause: Cause,
    customer: Option<String>,
}

/// The counts of the current minute.
#[derive(Default)]
pub(crate) struct Refused {
    counts: HashMap<Key, u64, foldhash::fast::RandomState>,
    minute_us: i64,
}

impl Refused {
    /// Counts one refusal; false when the table was full and it went under `*`.
    pub(crate) fn count(&mut self, source: IpAddr, cause: Cause, customer: Option<&str>) -> bool {
        let key = Key {
            source: Some(source),
            cause,
            customer: customer.map(str::to_owned),
        };
        if self.counts.len() < SOURCES_MAX || self.counts.contains_key(&key) {
            *self.counts.entry(key).or_default() += 1;
            return true;
        }
        // At most one more entry for each cause: the table stays bounded.
        *self
            .counts
            .entry(Key {
                source: None,
                cause,
                customer: None,
            })
            .or_default() += 1;
        false
    }

    /// Whether a minute that has ended waits to be written.
    pub(crate) fn is_due(&self, wall_us: i64) -> bool {
        !self.counts.is_empty() && wall_us.div_euclid(MINUTE_US) * MINUTE_US != self.minute_us
    }

    /// Starts the minute of `wall_us` if none is running.
    pub(crate) fn start_minute(&mut self, wall_us: i64) {
        if self.counts.is_empty() {
            self.minute_us = wall_us.div_euclid(MINUTE_US) * MINUTE_US;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Writes what was counted.
    pub(crate) fn flush(&mut self, node: &str, records: &mut Vec<Record>) {
        let minute_us = self.minute_us;
        records.extend(self.counts.drain().map(|(key, count)| {
            Record::Refused(RefusedAggregate {
                node: node.to_owned(),
                minute_us,
                source: key
                    .source
                    .map_or_else(|| "*".to_owned(), |ip| ip.to_string()),
                cause: key.cause,
                customer: key.customer,
                count,
            })
        }));
    }
}

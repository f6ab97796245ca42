//! Percentiles of a set of durations, by the nearest rank.
//! Holds every sample (four octets each), so the figures are exact.
//! Leaves out histograms: a run is bounded in calls.

use serde::Serialize;

/// Durations in microseconds.
#[derive(Default)]
pub struct Samples {
    values_us: Vec<u32>,
}

/// The summary of a set of durations, in microseconds; all zero when there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// How many durations there were.
    pub count: u64,
    /// Half of them are at most this.
    pub p50_us: u32,
    /// Nine of ten are at most this.
    pub p90_us: u32,
    /// 99 of a hundred are at most this.
    pub p99_us: u32,
    /// 999 of a thousand are at most this.
    pub p999_us: u32,
    /// The longest.
    pub max_us: u32,
}

impl Samples {
    /// Adds a duration; above 71 minutes it counts as 71 minutes.
    pub fn add(&mut self, us: u64) {
        self.values_us.push(u32::try_from(us).unwrap_or(u32::MAX));
    }

    /// Sorts and sums up.
    pub fn summary(&mut self) -> Percentiles {
        self.values_us.sort_unstable();
        let Some(&max_us) = self.values_us.last() else {
            return Percentiles::default();
        };
        Percentiles {
            count: self.values_us.len() as u64,
            p50_us: self.rank(500),
            p90_us: self.rank(900),
            p99_us: self.rank(990),
            p999_us: self.rank(999),
            max_us,
        }
    }

    /// The smallest value with at least `per_mille` of a thousand at or below it.
    fn rank(&self, per_mille: usize) -> u32 {
        let rank = (self.values_us.len() * per_mille).div_ceil(1_000).max(1);
        self.values_us[rank - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut samples = Samples::default();
        for us in (1..=1_000).rev() {
            samples.add(us);
        }
        let summary = samples.summary();
        assert_eq!(
            summary,
            Percentiles {
                count: 1_000,
                p50_us: 500,
                p90_us: 900,
                p99_us: 990,
                p999_us: 999,
                max_us: 1_000
            }
        );
    }

    #[test]
    fn no_sample_gives_zeros_and_one_sample_is_every_percentile() {
        assert_eq!(Samples::default().summary(), Percentiles::default());
        let mut one = Samples::default();
        one.add(7);
        let summary = one.summary();
        assert_eq!((summary.p50_us, summary.p999_us, summary.max_us), (7, 7, 7));
    }
}

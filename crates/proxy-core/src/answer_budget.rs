//! How often something is answered without state: a token bucket for the lane and one for each source.
//!
//! RFC 3261 §16.3(1) wants a 400 for a malformed request, and every request an answer. A flood of them must not cost an
//! answer each, nor have us send to whoever a forged source names. Left out: what is answered, `reply.rs`.

use foldhash::quality::FixedState;
use std::{hash::BuildHasher as _, net::IpAddr};

/// Buckets of sources. Two sources may share one; then they share its answers.
const SOURCES: usize = 1024;
const SECOND_US: u64 = 1_000_000;

/// A bucket that fills with the time: what it holds is told by when it would be full.
#[derive(Clone, Copy, Default)]
struct Bucket {
    /// When it will be full again, monotonic µs.
    full_at_us: u64,
}

impl Bucket {
    /// The bucket without one of the `per_s` answers of a second, all of which may be taken at once; `None` when it is
    /// empty.
    fn less_one(self, now_us: u64, per_s: u32) -> Option<Self> {
        let step_us = SECOND_US.checked_div(u64::from(per_s))?;
        let full_at_us = self.full_at_us.max(now_us) + step_us;
        (full_at_us <= now_us + SECOND_US).then_some(Self { full_at_us })
    }
}

/// The answers that a lane may still give.
pub(crate) struct AnswerBudget {
    per_s: u32,
    per_source_s: u32,
    total: Bucket,
    sources: Box<[Bucket]>,
    hash: FixedState,
}

impl AnswerBudget {
    /// So many answers a second in all, and to one source; the seed keeps sources from choosing their bucket.
    pub(crate) fn new(per_s: u32, per_source_s: u32, seed: u64) -> Self {
        Self {
            per_s,
            per_source_s,
            total: Bucket::default(),
            sources: vec![Bucket::default(); SOURCES].into_boxed_slice(),
            hash: FixedState::with_seed(seed),
        }
    }

    /// Takes one answer to `source`, if there is one left.
    pub(crate) fn take(&mut self, now_us: u64, source: IpAddr) -> bool {
        let hash = self.hash.hash_one(source.to_canonical());
        let at = usize::try_from(hash % SOURCES as u64).unwrap_or(0);
        let Some(source) = self.sources.get_mut(at) else {
            return false;
        };
        // Both or none: a source that has none left uses up nothing of all, and pays nothing for what it does not get.
        let left = source.less_one(now_us, self.per_source_s);
        match (left, self.total.less_one(now_us, self.per_s)) {
            (Some(left), Some(total)) => {
                (*source, self.total) = (left, total);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn source(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(n))
    }

    fn taken(budget: &mut AnswerBudget, now_us: u64, from: IpAddr) -> usize {
        (0..1_000).filter(|_| budget.take(now_us, from)).count()
    }

    #[test]
    fn a_source_gets_its_share_of_each_second_and_no_more() {
        let mut budget = AnswerBudget::new(1_000, 10, 1);
        assert_eq!(taken(&mut budget, 5, source(1)), 10);
        assert_eq!(taken(&mut budget, 5 + SECOND_US / 2, source(1)), 5);
        assert_eq!(taken(&mut budget, 5 + 100 * SECOND_US, source(1)), 10);
    }

    #[test]
    fn many_sources_share_what_the_lane_gives() {
        let mut budget = AnswerBudget::new(100, 10, 1);
        let all: usize = (0..500).map(|n| taken(&mut budget, 7, source(n))).sum();
        assert_eq!(all, 100);
        assert_eq!(taken(&mut budget, 7 + SECOND_US, source(9_999)), 10);
    }

    #[test]
    fn a_source_pays_nothing_for_an_answer_that_all_others_had_used_up() {
        let mut budget = AnswerBudget::new(100, 10, 1);
        for n in 0..200 {
            taken(&mut budget, 7, source(n));
        }
        assert_eq!(taken(&mut budget, 7, source(9_999)), 0);
        // A tenth of a second brings the lane ten answers, and would bring a source one.
        assert_eq!(taken(&mut budget, 7 + SECOND_US / 10, source(9_999)), 10);
    }

    #[test]
    fn zero_is_silence() {
        let mut budget = AnswerBudget::new(0, 10, 1);
        assert_eq!(taken(&mut budget, 7, source(1)), 0);
        let mut budget = AnswerBudget::new(10, 0, 1);
        assert_eq!(taken(&mut budget, 7, source(1)), 0);
    }
}

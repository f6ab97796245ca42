//! A circuit breaker: stops asking a service that keeps failing, and tries it again by single probes.
//! No RFC; the clock is the caller's (`now_us`, monotonic microseconds).
//! Leaves out locking and metrics: whoever shares a breaker wraps it.
//!
//! | state | `allow` | on success | on failure |
//! |---|---|---|---|
//! | closed | yes | failures := 0 | failures + 1; at the limit → open |
//! | open | no, until `open_us` is over → half-open | ignored (late answer) | ignored (late answer) |
//! | half-open | one probe at a time | → closed | → open, waiting twice as long (capped) |

/// Limits of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open the circuit; 1 or more.
    pub failures_max: u32,
    /// How long an open circuit refuses before the first probe, µs.
    pub open_us: u64,
    /// The longest refusal after repeated failed probes, µs; at least `open_us`.
    pub open_max_us: u64,
    /// A probe that has not reported after this long counts as failed, µs.
    pub probe_timeout_us: u64,
}

impl Default for BreakerConfig {
    /// Five failures in a row; refuse for 1 s, doubling up to 30 s; a probe has 10 s.
    fn default() -> Self {
        Self {
            failures_max: 5,
            open_us: 1_000_000,
            open_max_us: 30_000_000,
            probe_timeout_us: 10_000_000,
        }
    }
}

/// What a [`Breaker`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// Requests are refused.
    Open,
    /// One probe at a time passes.
    HalfOpen,
}

impl BreakerState {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until_us: u64,
        wait_us: u64,
    },
    HalfOpen {
        probe_until_us: Option<u64>,
        wait_us: u64,
    },
}

/// A circuit breaker; see the table in the module's documentation.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    opened: u64,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: State::Closed { failures: 0 },
            opened: 0,
        }
    }

    /// Whether a request may be made now. In half-open state a `true` hands out the probe:
    /// report it with [`Breaker::on_success`] or [`Breaker::on_failure`].
    pub fn allow(&mut self, now_us: u64) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until_us, wait_us } if now_us >= until_us => {
                self.start_probe(now_us, wait_us);
                true
            }
            State::Open { .. } => false,
            State::HalfOpen {
                probe_until_us: Some(until_us),
                ..
            } if now_us < until_us => false,
            // The probe never reported: its task is gone. That says as much as a failure.
            State::HalfOpen {
                probe_until_us: Some(_),
                wait_us,
            } => {
                self.open(now_us, self.doubled(wait_us));
                false
            }
            State::HalfOpen {
                probe_until_us: None,
                wait_us,
            } => {
                self.start_probe(now_us, wait_us);
                true
            }
        }
    }

    /// A request was answered.
    pub fn on_success(&mut self) {
        match self.state {
            State::Closed { .. } | State::HalfOpen { .. } => {
                self.state = State::Closed { failures: 0 };
            }
            State::Open { .. } => {}
        }
    }

    /// A request failed or timed out.
    pub fn on_failure(&mut self, now_us: u64) {
        match self.state {
            State::Closed { failures } if failures + 1 >= self.config.failures_max => {
                self.open(now_us, self.config.open_us);
            }
            State::Closed { failures } => {
                self.state = State::Closed {
                    failures: failures + 1,
                }
            }
            State::HalfOpen { wait_us, .. } => self.open(now_us, self.doubled(wait_us)),
            State::Open { .. } => {}
        }
    }

    /// The probe was given back without an outcome (its caller stopped waiting for other reasons).
    pub fn on_abandoned(&mut self) {
        if let State::HalfOpen { wait_us, .. } = self.state {
            self.state = State::HalfOpen {
                probe_until_us: None,
                wait_us,
            };
        }
    }

    /// The state for metrics; an open circuit whose wait is over still reads as open.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// How often the circuit has opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    fn open(&mut self, now_us: u64, wait_us: u64) {
        self.opened += 1;
        self.state = State::Open {
            until_us: now_us.saturating_add(wait_us),
            wait_us,
        };
    }

    fn start_probe(&mut self, now_us: u64, wait_us: u64) {
        let until_us = now_us.saturating_add(self.config.probe_timeout_us);
        self.state = State::HalfOpen {
            probe_until_us: Some(until_us),
            wait_us,
        };
    }

    fn doubled(&self, wait_us: u64) -> u64 {
        wait_us.saturating_mul(2).min(self.config.open_max_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig {
        failures_max: 3,
        open_us: 100,
        open_max_us: 350,
        probe_timeout_us: 50,
    };

    fn opened_at(now_us: u64) -> Breaker {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..CONFIG.failures_max {
            assert!(breaker.allow(now_us));
            breaker.on_failure(now_us);
        }
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_the_circuit() {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..10 {
            breaker.on_failure(0);
            breaker.on_failure(0);
            breaker.on_success();
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        let mut breaker = opened_at(0);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.allow(99));
        assert_eq!(breaker.opened(), 1);
    }

    #[test]
    fn one_probe_at_a_time_and_its_success_closes() {
        let mut breaker = opened_at(0);
        assert!(breaker.allow(100));
        assert!(!breaker.allow(101), "the probe is out");
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.on_success();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.allow(102) && breaker.allow(102));
    }

    #[test]
    fn failed_probes_wait_twice_as_long_up_to_the_limit() {
        let mut breaker = opened_at(0);
        let mut now_us = 0;
        for wait_us in [100, 200, 350, 350] {
            assert!(!breaker.allow(now_us + wait_us - 1), "before {wait_us}");
            now_us += wait_us;
            assert!(breaker.allow(now_us), "after {wait_us}");
            breaker.on_failure(now_us);
        }
        assert_eq!(breaker.opened(), 5);
    }

    #[test]
    fn a_probe_that_never_reports_counts_as_failed_and_one_given_back_does_not() {
        let mut breaker = opened_at(0);
        assert!(breaker.allow(100));
        assert!(!breaker.allow(150), "reopened");
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.allow(349));
        assert!(breaker.allow(350));
        breaker.on_abandoned();
        assert!(breaker.allow(351), "the next caller gets the probe");
    }

    #[test]
    fn late_answers_do_not_move_an_open_circuit() {
        let mut breaker = opened_at(0);
        breaker.on_success();
        breaker.on_failure(50);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.allow(100));
    }
}

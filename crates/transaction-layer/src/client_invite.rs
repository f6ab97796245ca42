//! The INVITE client transaction.
//! RFC 3261 §17.1.1 with figure 5 of RFC 6026 (Accepted, Timer M).
//! Leaves out CANCEL (RFC 3261 §9.1, a transaction of its own), Timer C and the ACK for a 2xx, which are the TU's.
//!
//! | state      | 1xx            | 2xx          | 300–699            | Timer A     | Timer B | Timer D/M  | unreachable | hush   | abandon |
//! |------------|----------------|--------------|--------------------|-------------|---------|------------|-------------|--------|---------|
//! | Calling    | Proceeding, TU | Accepted, TU | Completed, TU, ACK | INVITE, A·2 | end, TU | –          | end, TU     | A ends | end     |
//! | Proceeding | TU             | Accepted, TU | Completed, TU, ACK | –           | –       | –          | –           | –      | end     |
//! | Completed  | –              | –            | ACK again          | –           | –       | D: end, TU | –           | –      | –       |
//! | Accepted   | –              | TU           | –                  | –           | –       | M: end, TU | –           | –      | –       |
//! | Terminated | –              | –            | –                  | –           | –       | –          | –           | –      | –       |
//!
//! Start sends the INVITE and enters Calling with Timers A (UDP only) and B. Proceeding has no timer: the TU
//! ends it. "Unreachable" is news by ICMP, which can be late or forged, so it ends only what has heard nothing;
//! figure 5 ends Completed as well, to the same effect for the TU, which has had its final response. "Hush" is the
//! TU's wish that nothing be repeated while it still listens until Timer B.

use crate::step::{Bytes, Change, Durations, Step, Tell};
use crate::timer::Timer;

#[cfg(test)]
mod tests;

/// The state of an INVITE client transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClientInvite {
    /// The INVITE was sent and nothing heard; `interval_us` is the running interval of Timer A.
    Calling { interval_us: u64 },
    /// A provisional came.
    Proceeding,
    /// A non-2xx final came and was acknowledged.
    Completed,
    /// A 2xx came; more may follow.
    Accepted,
    /// Over.
    Terminated,
}

impl ClientInvite {
    pub(crate) fn start(durations: Durations) -> (Self, Step) {
        let step = Step {
            send: Bytes::New,
            // Held over reliable transports too: the ACK for a non-2xx is made from it.
            hold: Bytes::New,
            tell: Tell::Nothing,
            again: durations.start(Timer::A),
            end: durations.start(Timer::B),
        };
        let interval_us = durations.config.t1_us;
        (Self::Calling { interval_us }, step)
    }

    pub(crate) fn on_timer(self, timer: Timer) -> (Self, Step) {
        match (self, timer) {
            //= RFC 3261 §17.1.1.2: the interval doubles after each transmission, without a cap
            (Self::Calling { interval_us }, Timer::A) => {
                let interval_us = interval_us.saturating_mul(2);
                let step = Step {
                    send: Bytes::Stored,
                    again: Change::Start(Timer::A, interval_us),
                    ..Step::NONE
                };
                (Self::Calling { interval_us }, step)
            }
            //= RFC 3261 §17.1.1.2: when Timer B fires the TU is told, and no ACK is made
            (Self::Calling { .. }, Timer::B) => (Self::Terminated, Step::terminate(Tell::Timeout)),
            (Self::Completed, Timer::D) | (Self::Accepted, Timer::M) => {
                (Self::Terminated, Step::terminate(Tell::Terminated))
            }
            _ => (self, Step::NONE),
        }
    }

    /// A response with this status came.
    pub(crate) fn on_response(self, status: u16, durations: Durations) -> (Self, Step) {
        match status {
            ..200 => self.on_provisional(),
            200..300 => self.on_success(durations),
            300.. => self.on_failure(durations),
        }
    }

    fn on_provisional(self) -> (Self, Step) {
        match self {
            Self::Calling { .. } | Self::Proceeding => {
                let step = Step {
                    tell: Tell::Deliver,
                    again: Change::Stop,
                    end: Change::Stop,
                    ..Step::NONE
                };
                (Self::Proceeding, step)
            }
            Self::Completed | Self::Accepted | Self::Terminated => (self, Step::NONE),
        }
    }

    fn on_success(self, durations: Durations) -> (Self, Step) {
        match self {
            Self::Calling { .. } | Self::Proceeding => {
                let step = Step {
                    send: Bytes::Nothing,
                    hold: Bytes::Nothing,
                    tell: Tell::Deliver,
                    again: Change::Stop,
                    end: durations.start(Timer::M),
                };
                (Self::Accepted, step)
            }
            //= RFC 6026 §8.4: repeated 2xx, and 2xx of other branches of a fork downstream, go to the TU
            Self::Accepted => {
                let step = Step {
                    tell: Tell::Deliver,
                    ..Step::NONE
                };
                (self, step)
            }
            Self::Completed | Self::Terminated => (self, Step::NONE),
        }
    }

    fn on_failure(self, durations: Durations) -> (Self, Step) {
        match self {
            Self::Calling { .. } | Self::Proceeding => {
                let step = Step {
                    send: Bytes::New,
                    hold: Bytes::New,
                    tell: Tell::Deliver,
                    again: Change::Stop,
                    end: durations.start(Timer::D),
                };
                (Self::Completed, step)
            }
            //= RFC 3261 §17.1.1.2: a repeated final gets the ACK again and is not passed up
            Self::Completed => {
                let step = Step {
                    send: Bytes::Stored,
                    ..Step::NONE
                };
                (self, step)
            }
            Self::Accepted | Self::Terminated => (self, Step::NONE),
        }
    }

    /// The next hop cannot be reached.
    pub(crate) fn on_unreachable(self) -> (Self, Step) {
        match self {
            Self::Calling { .. } => (Self::Terminated, Step::terminate(Tell::Unreachable)),
            Self::Proceeding | Self::Completed | Self::Accepted | Self::Terminated => {
                (self, Step::NONE)
            }
        }
    }

    /// The TU wants the INVITE sent no more.
    pub(crate) fn on_hush(self) -> (Self, Step) {
        match self {
            Self::Calling { .. } => {
                let step = Step {
                    again: Change::Stop,
                    ..Step::NONE
                };
                (self, step)
            }
            Self::Proceeding | Self::Completed | Self::Accepted | Self::Terminated => {
                (self, Step::NONE)
            }
        }
    }

    /// The TU gives up waiting for a final response.
    pub(crate) fn on_abandon(self) -> (Self, Step) {
        match self {
            Self::Calling { .. } | Self::Proceeding => {
                (Self::Terminated, Step::terminate(Tell::Nothing))
            }
            // These end by a timer, and until then they do what the peer needs: ACKs, further 2xx.
            Self::Completed | Self::Accepted | Self::Terminated => (self, Step::NONE),
        }
    }
}

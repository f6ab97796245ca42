//! The non-INVITE client transaction.
//! RFC 3261 §17.1.2, figure 6.
//! Leaves out what a time-out means to the caller (RFC 4320), which is the TU's.
//!
//! | state      | 1xx            | 200–699       | Timer E              | Timer F | Timer K | unreachable | abandon |
//! |------------|----------------|---------------|----------------------|---------|---------|-------------|---------|
//! | Trying     | Proceeding, TU | Completed, TU | request, min(E·2,T2) | end, TU | –       | end, TU     | end     |
//! | Proceeding | TU             | Completed, TU | request, T2          | end, TU | –       | –           | end     |
//! | Completed  | –              | –             | –                    | –       | end, TU | –           | –       |
//! | Terminated | –              | –             | –                    | –       | –       | –           | –       |
//!
//! Start sends the request and enters Trying with Timers E (UDP only) and F. Figure 6 also ends Proceeding on a
//! transport error; ICMP can be late or forged, so here it ends only what has heard nothing, and Timer F the rest.

use crate::step::{Bytes, Change, Durations, Step, Tell};
use crate::timer::Timer;

#[cfg(test)]
mod tests;

/// The state of a non-INVITE client transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClientNonInvite {
    /// The request was sent and nothing heard; `interval_us` is the running interval of Timer E.
    Trying { interval_us: u64 },
    /// A provisional came.
    Proceeding,
    /// The final came.
    Completed,
    /// Over.
    Terminated,
}

impl ClientNonInvite {
    pub(crate) fn start(durations: Durations) -> (Self, Step) {
        let step = Step {
            send: Bytes::New,
            // Only a datagram is ever sent again.
            hold: if durations.is_reliable {
                Bytes::Nothing
            } else {
                Bytes::New
            },
            tell: Tell::Nothing,
            again: durations.start(Timer::E),
            end: durations.start(Timer::F),
        };
        let interval_us = durations.config.t1_us;
        (Self::Trying { interval_us }, step)
    }

    pub(crate) fn on_timer(self, timer: Timer, durations: Durations) -> (Self, Step) {
        let t2_us = durations.config.t2_us;
        match (self, timer) {
            (Self::Trying { interval_us }, Timer::E) => {
                let interval_us = interval_us.saturating_mul(2).min(t2_us);
                let step = Step {
                    send: Bytes::Stored,
                    again: Change::Start(Timer::E, interval_us),
                    ..Step::NONE
                };
                (Self::Trying { interval_us }, step)
            }
            //= RFC 3261 §17.1.2.2: a provisional slows the repetition down and does not stop it, because the
            //=   server repeats its response only when asked
            (Self::Proceeding, Timer::E) => {
                let step = Step {
                    send: Bytes::Stored,
                    again: Change::Start(Timer::E, t2_us),
                    ..Step::NONE
                };
                (self, step)
            }
            (Self::Trying { .. } | Self::Proceeding, Timer::F) => {
                (Self::Terminated, Step::terminate(Tell::Timeout))
            }
            (Self::Completed, Timer::K) => (Self::Terminated, Step::terminate(Tell::Terminated)),
            _ => (self, Step::NONE),
        }
    }

    /// A response with this status came.
    pub(crate) fn on_response(self, status: u16, durations: Durations) -> (Self, Step) {
        match (self, status) {
            // Timer E runs on; it takes the interval T2 when it next fires.
            (Self::Trying { .. } | Self::Proceeding, ..200) => {
                let step = Step {
                    tell: Tell::Deliver,
                    ..Step::NONE
                };
                (Self::Proceeding, step)
            }
            (Self::Trying { .. } | Self::Proceeding, 200..) => {
                let step = Step {
                    send: Bytes::Nothing,
                    hold: Bytes::Nothing,
                    tell: Tell::Deliver,
                    again: Change::Stop,
                    end: durations.start(Timer::K),
                };
                (Self::Completed, step)
            }
            (Self::Completed | Self::Terminated, _) => (self, Step::NONE),
        }
    }

    /// The next hop cannot be reached.
    pub(crate) fn on_unreachable(self) -> (Self, Step) {
        match self {
            Self::Trying { .. } => (Self::Terminated, Step::terminate(Tell::Unreachable)),
            Self::Proceeding | Self::Completed | Self::Terminated => (self, Step::NONE),
        }
    }

    /// The TU gives up waiting for a final response.
    pub(crate) fn on_abandon(self) -> (Self, Step) {
        match self {
            Self::Trying { .. } | Self::Proceeding => {
                (Self::Terminated, Step::terminate(Tell::Nothing))
            }
            Self::Completed | Self::Terminated => (self, Step::NONE),
        }
    }
}

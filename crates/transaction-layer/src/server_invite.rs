//! The INVITE server transaction.
//! RFC 3261 §17.2.1 with figure 7 of RFC 6026 (Accepted, Timer L; transport errors change nothing).
//! Leaves out the 100 Trying, which the TU sends at once, and the repetition of a 2xx, which the far end does.
//!
//! | state      | INVITE again   | ACK              | 1xx by TU  | 2xx by TU       | 300–699 by TU    | Timer G             | Timer H | Timer I/L  | abandon |
//! |------------|----------------|------------------|------------|-----------------|------------------|---------------------|---------|------------|---------|
//! | Proceeding | last 1xx again | TU               | send, hold | Accepted, send  | Completed, send  | –                   | –       | –          | end     |
//! | Completed  | final again    | Confirmed        | –          | –               | –                | final, min(G·2, T2) | end, TU | –          | –       |
//! | Confirmed  | –              | –                | –          | –               | –                | –                   | –       | I: end, TU | –       |
//! | Accepted   | –              | TU               | –          | send            | –                | –                   | –       | L: end, TU | –       |
//! | Terminated | –              | –                | –          | –               | –                | –                   | –       | –          | –       |
//!
//! Start enters Proceeding, which has no timer: the TU ends it with a final response. An ACK before any final
//! confirms nothing, so the TU gets it as a stray.

use crate::step::{Bytes, Change, Durations, Step, Tell};
use crate::timer::Timer;

#[cfg(test)]
mod tests;

/// The state of an INVITE server transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ServerInvite {
    /// No final response yet.
    Proceeding,
    /// A non-2xx final was sent and waits for its ACK; `interval_us` is the running interval of Timer G.
    Completed { interval_us: u64 },
    /// The ACK came.
    Confirmed,
    /// A 2xx was sent.
    Accepted,
    /// Over.
    Terminated,
}

impl ServerInvite {
    /// The INVITE came again.
    pub(crate) fn on_retransmission(self) -> (Self, Step) {
        match self {
            Self::Proceeding | Self::Completed { .. } => {
                let step = Step {
                    send: Bytes::Stored,
                    ..Step::NONE
                };
                (self, step)
            }
            //= RFC 6026 §8.7: after a 2xx the far end takes care of reliability
            Self::Confirmed | Self::Accepted | Self::Terminated => (self, Step::NONE),
        }
    }

    /// An ACK that matches came.
    pub(crate) fn on_ack(self, durations: Durations) -> (Self, Step) {
        match self {
            Self::Completed { .. } => {
                let step = Step {
                    send: Bytes::Nothing,
                    hold: Bytes::Nothing,
                    tell: Tell::Confirmed,
                    again: Change::Stop,
                    end: durations.start(Timer::I),
                };
                (Self::Confirmed, step)
            }
            //= RFC 6026 §8.7: in Accepted the ACK is for the 2xx and goes to the TU
            Self::Proceeding | Self::Accepted => {
                let step = Step {
                    tell: Tell::Deliver,
                    ..Step::NONE
                };
                (self, step)
            }
            Self::Confirmed | Self::Terminated => (self, Step::NONE),
        }
    }

    /// The TU responds with this status; a step that sends nothing is a refusal.
    pub(crate) fn on_respond(self, status: u16, durations: Durations) -> (Self, Step) {
        match (self, status) {
            (Self::Proceeding, ..200) => {
                let step = Step {
                    send: Bytes::New,
                    hold: Bytes::New,
                    ..Step::NONE
                };
                (self, step)
            }
            //= RFC 6026 §8.5: a 2xx is sent once, and Accepted entered
            (Self::Proceeding, 200..300) => {
                let step = Step {
                    send: Bytes::New,
                    hold: Bytes::Nothing,
                    end: durations.start(Timer::L),
                    ..Step::NONE
                };
                (Self::Accepted, step)
            }
            //= RFC 3261 §17.2.1: another final is sent until its ACK comes or Timer H fires
            (Self::Proceeding, 300..) => {
                let step = Step {
                    send: Bytes::New,
                    hold: Bytes::New,
                    tell: Tell::Nothing,
                    again: durations.start(Timer::G),
                    end: durations.start(Timer::H),
                };
                let interval_us = durations.config.t1_us;
                (Self::Completed { interval_us }, step)
            }
            //= RFC 6026 §8.7: repeated 2xx, and those of other branches, pass
            (Self::Accepted, 200..300) => {
                let step = Step {
                    send: Bytes::New,
                    ..Step::NONE
                };
                (self, step)
            }
            (Self::Completed { .. } | Self::Confirmed | Self::Accepted | Self::Terminated, _) => {
                (self, Step::NONE)
            }
        }
    }

    pub(crate) fn on_timer(self, timer: Timer, durations: Durations) -> (Self, Step) {
        match (self, timer) {
            (Self::Completed { interval_us }, Timer::G) => {
                let interval_us = interval_us.saturating_mul(2).min(durations.config.t2_us);
                let step = Step {
                    send: Bytes::Stored,
                    again: Change::Start(Timer::G, interval_us),
                    ..Step::NONE
                };
                (Self::Completed { interval_us }, step)
            }
            (Self::Completed { .. }, Timer::H) => {
                (Self::Terminated, Step::terminate(Tell::AckTimeout))
            }
            (Self::Confirmed, Timer::I) | (Self::Accepted, Timer::L) => {
                (Self::Terminated, Step::terminate(Tell::Terminated))
            }
            _ => (self, Step::NONE),
        }
    }

    /// The TU will not respond.
    pub(crate) fn on_abandon(self) -> (Self, Step) {
        match self {
            Self::Proceeding => (Self::Terminated, Step::terminate(Tell::Nothing)),
            Self::Completed { .. } | Self::Confirmed | Self::Accepted | Self::Terminated => {
                (self, Step::NONE)
            }
        }
    }
}

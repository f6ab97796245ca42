//! The non-INVITE server transaction.
//! RFC 3261 §17.2.2, figure 8, with RFC 6026 §8.8: transport errors change nothing.
//! Leaves out when a provisional may be sent at all (RFC 4320), which is the TU's.
//!
//! | state      | request again  | 1xx by TU              | 200–699 by TU         | Timer J | abandon |
//! |------------|----------------|------------------------|-----------------------|---------|---------|
//! | Trying     | –              | Proceeding, send, hold | Completed, send, hold | –       | end     |
//! | Proceeding | last 1xx again | send, hold             | Completed, send, hold | –       | end     |
//! | Completed  | final again    | –                      | –                     | end, TU | –       |
//! | Terminated | –              | –                      | –                     | –       | –       |
//!
//! Start enters Trying. Trying and Proceeding have no timer: the TU ends them with a final response or by
//! abandoning them.

use crate::step::{Bytes, Durations, Step, Tell};
use crate::timer::Timer;

#[cfg(test)]
mod tests;

/// The state of a non-INVITE server transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ServerNonInvite {
    /// No response yet.
    Trying,
    /// A provisional was sent.
    Proceeding,
    /// The final was sent.
    Completed,
    /// Over.
    Terminated,
}

//= RFC 3261 §17.2.2: absorbed while Trying, the last response again for a repeated request, gone with Timer J
impl ServerNonInvite {
    /// The request came again.
    pub(crate) fn on_retransmission(self) -> (Self, Step) {
        match self {
            Self::Proceeding | Self::Completed => {
                let step = Step {
                    send: Bytes::Stored,
                    ..Step::NONE
                };
                (self, step)
            }
            Self::Trying | Self::Terminated => (self, Step::NONE),
        }
    }

    /// The TU responds with this status; a step that sends nothing is a refusal.
    pub(crate) fn on_respond(self, status: u16, durations: Durations) -> (Self, Step) {
        match (self, status) {
            (Self::Trying | Self::Proceeding, ..200) => {
                let step = Step {
                    send: Bytes::New,
                    hold: Bytes::New,
                    ..Step::NONE
                };
                (Self::Proceeding, step)
            }
            //= RFC 3261 §17.2.2: the final response is kept for repeated requests until Timer J fires
            (Self::Trying | Self::Proceeding, 200..) => {
                let step = Step {
                    send: Bytes::New,
                    // Timer J is zero over a reliable transport: there is nobody to repeat it to.
                    hold: if durations.is_reliable {
                        Bytes::Nothing
                    } else {
                        Bytes::New
                    },
                    end: durations.start(Timer::J),
                    ..Step::NONE
                };
                (Self::Completed, step)
            }
            (Self::Completed | Self::Terminated, _) => (self, Step::NONE),
        }
    }

    pub(crate) fn on_timer(self, timer: Timer) -> (Self, Step) {
        match (self, timer) {
            (Self::Completed, Timer::J) => (Self::Terminated, Step::terminate(Tell::Terminated)),
            _ => (self, Step::NONE),
        }
    }

    /// The TU will not respond.
    pub(crate) fn on_abandon(self) -> (Self, Step) {
        match self {
            Self::Trying | Self::Proceeding => (Self::Terminated, Step::terminate(Tell::Nothing)),
            Self::Completed | Self::Terminated => (self, Step::NONE),
        }
    }
}

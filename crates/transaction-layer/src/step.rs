//! What a machine asks of the layer after a transition: a message, a buffer, a word to the user, timers.
//! RFC 3261 §17: the "action to take" below the line of figures 5 to 8.
//! Leaves out how it is done: the layer owns keys, buffers and the wheel.

use crate::timer::{Timer, TimerConfig};

/// The actions of one transition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// The message to send.
    pub(crate) send: Bytes,
    /// The message to hold from now on; `Stored` leaves the buffer as it is.
    pub(crate) hold: Bytes,
    /// What the TU learns.
    pub(crate) tell: Tell,
    /// The timer that sends again: A, E or G.
    pub(crate) again: Change,
    /// The timer that ends the state: B, D, F, H, I, J, K, L or M.
    pub(crate) end: Change,
}

impl Step {
    /// No action: the event is absorbed.
    pub(crate) const NONE: Self = Self {
        send: Bytes::Nothing,
        hold: Bytes::Stored,
        tell: Tell::Nothing,
        again: Change::Keep,
        end: Change::Keep,
    };

    /// The transaction is destroyed: buffers go and timers stop.
    pub(crate) const fn terminate(tell: Tell) -> Self {
        Self {
            send: Bytes::Nothing,
            hold: Bytes::Nothing,
            tell,
            again: Change::Stop,
            end: Change::Stop,
        }
    }
}

/// A message a step speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bytes {
    /// None.
    Nothing,
    /// The one the transaction holds.
    Stored,
    /// The one this event brings: the TU's request or response, or the ACK made for a response.
    New,
}

/// What the TU learns from a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tell {
    /// Nothing: absorbed.
    Nothing,
    /// The message that came is for the TU.
    Deliver,
    /// The ACK confirmed the response; for the TU's statistics.
    Confirmed,
    /// No response came in time.
    Timeout,
    /// No ACK came in time.
    AckTimeout,
    /// The next hop cannot be reached.
    Unreachable,
    /// The transaction has ended in good order.
    Terminated,
}

/// What becomes of a timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// It runs on, or stays stopped.
    Keep,
    /// It is stopped.
    Stop,
    /// It is stopped and this one started.
    Start(Timer, u64),
}

/// The durations that hold for one transaction: the configuration and its transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durations {
    pub(crate) config: TimerConfig,
    pub(crate) is_reliable: bool,
}

impl Durations {
    /// Starts `timer` for the first time; `Stop` where the transport does without it.
    pub(crate) fn start(&self, timer: Timer) -> Change {
        match self.config.first_us(timer, self.is_reliable) {
            Some(in_us) => Change::Start(timer, in_us),
            None => Change::Stop,
        }
    }
}

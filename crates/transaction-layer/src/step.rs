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

/// The actions of a step in words, for the tables of the machines' tests.
#[cfg(test)]
pub(crate) fn describe(step: Step) -> String {
    let mut words = Vec::new();
    match step.send {
        Bytes::Nothing => {}
        Bytes::Stored => words.push("send stored".to_owned()),
        Bytes::New => words.push("send new".to_owned()),
    }
    match step.hold {
        Bytes::Nothing => words.push("drop".to_owned()),
        Bytes::Stored => {}
        Bytes::New => words.push("hold new".to_owned()),
    }
    if step.tell != Tell::Nothing {
        words.push(format!("tell {:?}", step.tell));
    }
    for (name, change) in [("again", step.again), ("end", step.end)] {
        match change {
            Change::Keep => {}
            Change::Stop => words.push(format!("stop {name}")),
            Change::Start(timer, in_us) => words.push(format!("{timer:?} {}ms", in_us / 1000)),
        }
    }
    words.join(", ")
}

/// The default durations over UDP or, reliable, over TCP.
#[cfg(test)]
pub(crate) fn default_durations(is_reliable: bool) -> Durations {
    Durations {
        config: TimerConfig::default(),
        is_reliable,
    }
}

/// Checks a whole state × event table: `cells` names the cells in which something happens, with the next state and
/// the actions; in every other cell the machine must stay as it is and ask for nothing.
#[cfg(test)]
pub(crate) fn check_table<M, E>(
    states: &[M],
    events: &[E],
    cells: &[(M, E, M, &str)],
    apply: impl Fn(M, E) -> (M, Step),
) where
    M: Copy + PartialEq + std::fmt::Debug,
    E: Copy + PartialEq + std::fmt::Debug,
{
    for (state, event, ..) in cells {
        assert!(states.contains(state), "{state:?} is a state");
        assert!(events.contains(event), "{event:?} is an event");
    }
    for state in states {
        for event in events {
            let mut matching = cells
                .iter()
                .filter(|cell| cell.0 == *state && cell.1 == *event);
            let (next, actions) = matching
                .next()
                .map_or((*state, ""), |cell| (cell.2, cell.3));
            assert!(matching.next().is_none(), "{state:?} × {event:?} twice");
            let (found, step) = apply(*state, *event);
            assert_eq!(
                (found, describe(step).as_str()),
                (next, actions),
                "{state:?} × {event:?}"
            );
        }
    }
}

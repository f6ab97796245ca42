//! What every transaction has: its key, flow, user, stored message and timers; and the carrying out of steps.
//! RFC 3261 §17: the actions of the figures.
//! Leaves out the machines and what is told to the TU.

use crate::buffers::Buffers;
use crate::flow::Flow;
use crate::key::StoredKey;
use crate::outbox::Outbox;
use crate::step::{Bytes, Change, Step};
use crate::timer::Timer;
use crate::wheel::{TimerId, TimerWheel};

use super::Due;

/// The part of a transaction that does not depend on its machine.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: StoredKey,
    pub(super) hash: u64,
    /// Where the transaction's messages are sent.
    pub(super) flow: Flow,
    pub(super) user: u64,
    /// The message that may have to be sent again; empty when none is held.
    pub(super) stored: Vec<u8>,
    again: Option<TimerId>,
    end: Option<TimerId>,
}

impl Entry {
    pub(super) fn new(key: StoredKey, hash: u64, flow: Flow, user: u64) -> Self {
        Self {
            key,
            hash,
            flow,
            user,
            stored: Vec::new(),
            again: None,
            end: None,
        }
    }

    /// Sends what the step asks for; `new` is the message that the event brought.
    pub(super) fn send(&self, step: Step, new: &[u8], outbox: &mut Outbox) {
        let bytes = match step.send {
            Bytes::Nothing => return,
            Bytes::Stored => &self.stored,
            Bytes::New => new,
        };
        // Nothing may be stored yet: an INVITE repeated before the TU's first response.
        if !bytes.is_empty() {
            outbox.push(&self.flow, bytes);
        }
    }

    /// Holds what the step asks for.
    pub(super) fn hold(&mut self, step: Step, new: &[u8], buffers: &mut Buffers) {
        match step.hold {
            Bytes::Stored => {}
            Bytes::Nothing => buffers.recycle(std::mem::take(&mut self.stored)),
            Bytes::New => {
                buffers.recycle(std::mem::take(&mut self.stored));
                self.stored = buffers.store(new);
            }
        }
    }

    /// Starts and stops timers; durations count from `base_us`.
    pub(super) fn set_timers(
        &mut self,
        step: Step,
        base_us: u64,
        wheel: &mut TimerWheel<Due>,
        due: impl Fn(Timer) -> Due,
    ) {
        for (timer, change) in [(&mut self.again, step.again), (&mut self.end, step.end)] {
            if change == Change::Keep {
                continue;
            }
            if let Some(running) = timer.take() {
                wheel.cancel(running);
            }
            if let Change::Start(letter, in_us) = change {
                let deadline_us = base_us.saturating_add(in_us);
                *timer = Some(wheel.insert(base_us, deadline_us, due(letter)));
            }
        }
    }

    /// Gives the buffers back.
    pub(super) fn recycle(self, buffers: &mut Buffers) {
        buffers.recycle(self.stored);
        self.key.recycle(buffers);
    }
}

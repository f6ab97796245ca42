//! Answered calls that have not ended, worked out of the records in the order of the journal.
//! Applying a record twice, or an older copy before a newer one, leads to the same result.
//! Leaves out: where the records are read from.

use std::collections::{BTreeMap, HashMap};

use accounting::{AnsweredCall, Record, Updated};
use uuid::Uuid;

/// The calls that are up, with every dialog of each.
#[derive(Debug, Default)]
pub(crate) struct OpenCalls {
    calls: HashMap<Uuid, BTreeMap<u16, AnsweredCall>>,
}

impl OpenCalls {
    /// Takes in the next record.
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Answered(call) => self.answered(*call),
            Record::Updated(updated) => self.updated(updated),
            Record::AttemptEnded {
                cdr_id,
                attempt,
                ended_us,
                duration_us,
                cause,
            } => {
                let Some(dialogs) = self.calls.get_mut(&cdr_id) else {
                    return;
                };
                // The last one stays: its CDR is still to be written, with the end that is noted below.
                if dialogs.len() > 1 {
                    dialogs.remove(&attempt);
                }
                for call in dialogs.values_mut() {
                    if let Some(ended) = call.cdr.attempts.get_mut(usize::from(attempt)) {
                        ended.ended_us = Some(ended_us);
                        ended.duration_us = duration_us;
                        ended.cause = cause;
                    }
                }
            }
            Record::Ended(cdr) => {
                self.calls.remove(&cdr.cdr_id);
            }
            Record::Settled { cdr_id } => {
                self.calls.remove(&cdr_id);
            }
            // A node that does not know a call can't take it up again either; refused calls were never up.
            Record::EndedAlone { .. } | Record::Refused(_) => {}
        }
    }

    fn answered(&mut self, call: AnsweredCall) {
        let dialogs = self.calls.entry(call.cdr.cdr_id).or_default();
        // The newest dialog has seen most: its record holds the attempts answered before it.
        for earlier in dialogs.values_mut() {
            earlier.cdr = call.cdr.clone();
        }
        dialogs.insert(call.attempt, call);
    }

    fn updated(&mut self, updated: Updated) {
        let dialog = self
            .calls
            .get_mut(&updated.cdr_id)
            .and_then(|dialogs| dialogs.get_mut(&updated.attempt));
        if let Some(call) = dialog {
            if let Some(caller) = updated.caller {
                call.caller = caller;
            }
            if let Some(callee) = updated.callee {
                call.callee = callee;
            }
            call.session_end = updated.session_end;
        }
    }

    /// What is up, oldest setup first, the dialogs of one call together.
    pub(crate) fn into_calls(self) -> Vec<AnsweredCall> {
        let mut calls: Vec<_> = self
            .calls
            .into_values()
            .flat_map(BTreeMap::into_values)
            .collect();
        calls.sort_by_key(|call| (call.cdr.setup_us, call.cdr.cdr_id, call.attempt));
        calls
    }
}

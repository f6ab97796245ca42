//! The process dies and comes back with any number of lanes.
//! Answered calls are restored from their records, all else is forgotten.
//! Leaves out the files of the journal, whose recovery is tested where it is written.

use accounting::{AnsweredCall, Record};
use proxy_core::steer;

use super::World;

impl World {
    /// The proxy's process dies and starts again at once with another number of lanes; open calls are restored.
    pub fn restart(&mut self, lanes: u8) -> usize {
        self.keep_stats();
        self.tap.forget_finals();
        self.down = false;
        self.boot += 1;
        self.boot_us = self.now_us;
        self.config.lanes = lanes;
        self.boot();
        let open = self.open_calls();
        let now = self.now();
        for call in &open {
            let lane = steer::lane_of_call_id(call.cdr.call_id.as_bytes(), lanes, self.hash_seed());
            if let Some(core) = self.cores.get_mut(usize::from(lane)) {
                core.restore_call(now, call);
            }
        }
        self.drain(None);
        open.len()
    }

    /// True once the process has been started again.
    pub fn was_restarted(&self) -> bool {
        self.boot > 1
    }

    /// The process is dead: whatever is sent to it is lost until `restart`.
    pub fn kill(&mut self) {
        self.down = true;
        self.rings.clear();
        if let Some(streams) = self.network.streams() {
            streams.reset();
        }
    }

    /// The answered calls that have no end yet, as the journal gives them back: by attempt, the last one kept until its CDR.
    fn open_calls(&self) -> Vec<AnsweredCall> {
        let mut open: Vec<AnsweredCall> = Vec::new();
        for recorded in &self.records {
            match &recorded.record {
                Record::Answered(call) => {
                    let id = call.cdr.cdr_id;
                    open.retain(|known| known.cdr.cdr_id != id || known.attempt != call.attempt);
                    for known in open.iter_mut().filter(|known| known.cdr.cdr_id == id) {
                        known.cdr = call.cdr.clone();
                    }
                    open.push((**call).clone());
                }
                Record::Updated(update) => {
                    let same = |call: &&mut AnsweredCall| {
                        call.cdr.cdr_id == update.cdr_id && call.attempt == update.attempt
                    };
                    if let Some(call) = open.iter_mut().find(same) {
                        if let Some(leg) = &update.caller {
                            call.caller = leg.clone();
                        }
                        if let Some(leg) = &update.callee {
                            call.callee = leg.clone();
                        }
                        call.session_end = update.session_end;
                    }
                }
                Record::Ended(cdr) => open.retain(|call| call.cdr.cdr_id != cdr.cdr_id),
                Record::AttemptEnded {
                    cdr_id,
                    attempt,
                    ended_us,
                    duration_us,
                    cause,
                } => {
                    let same = |call: &AnsweredCall| call.cdr.cdr_id == *cdr_id;
                    if open.iter().filter(|call| same(call)).count() > 1 {
                        open.retain(|call| !same(call) || call.attempt != *attempt);
                    }
                    let place = usize::from(*attempt);
                    let calls = open.iter_mut().filter(|call| same(call));
                    for ended in calls.filter_map(|call| call.cdr.attempts.get_mut(place)) {
                        ended.ended_us = Some(*ended_us);
                        ended.duration_us = *duration_us;
                        ended.cause = *cause;
                    }
                }
                _ => {}
            }
        }
        open
    }
}

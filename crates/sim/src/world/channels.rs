//! Channels against their limits, step by step: no trunk rises above its limit, but by an answer that cannot be refused.
//! Such an answer belongs to an attempt that holds no channel any more (its vendor's), or to a call whose dialogs were
//! all over (the customer's). Leaves out what is left at the end, which `invariants` looks for.

use std::collections::{BTreeMap, HashMap};

use accounting::Record;
use routing::TrunkId;
use uuid::Uuid;

use super::Recorded;

/// What the records say of answered attempts, and what every trunk held after the step before.
#[derive(Debug, Default)]
pub(super) struct ChannelWatch {
    /// By call, whether each attempt that was answered is up.
    answered: HashMap<Uuid, BTreeMap<u16, bool>>,
    records_read: usize,
    before: Vec<u32>,
    /// Channels that were taken beyond a limit and could be, so far.
    pub(super) beyond: u64,
}

impl ChannelWatch {
    /// What is wrong after a step: `in_use` channels of the trunks of `limits`, in their order.
    pub(super) fn check(
        &mut self,
        records: &[Recorded],
        limits: &[(TrunkId, Option<u32>)],
        in_use: &[u32],
    ) -> Vec<String> {
        let again = self.taken_again(records);
        self.before.resize(limits.len(), 0);
        let mut faults = Vec::new();
        for (((trunk, limit), before), in_use) in limits.iter().zip(&mut self.before).zip(in_use) {
            // What is beyond the limit already stays until it is given back, also over a restart.
            let most = limit.map(|limit| limit.max(*before));
            let rise = most.map_or(0, |most| in_use.saturating_sub(most));
            if rise > again.get(trunk).copied().unwrap_or(0) {
                faults.push(format!("{trunk:?} has {in_use} channels, limit {limit:?}"));
            }
            self.beyond += u64::from(rise);
            *before = *in_use;
        }
        faults
    }

    /// How many channels of each trunk the answers of this step may have taken anew.
    fn taken_again(&mut self, records: &[Recorded]) -> HashMap<TrunkId, u32> {
        let mut again = HashMap::new();
        for recorded in records.get(self.records_read..).unwrap_or_default() {
            match &recorded.record {
                Record::Answered(call) => {
                    let attempts = self.answered.entry(call.cdr.cdr_id).or_default();
                    if !attempts.is_empty() && !attempts.values().any(|is_up| *is_up) {
                        *again.entry(TrunkId(call.customer_trunk)).or_default() += 1;
                    }
                    if attempts.insert(call.attempt, true) != Some(true) {
                        *again.entry(TrunkId(call.vendor_trunk)).or_default() += 1;
                    }
                }
                Record::AttemptEnded {
                    cdr_id, attempt, ..
                } => {
                    let attempts = self.answered.entry(*cdr_id).or_default();
                    attempts.insert(*attempt, false);
                }
                Record::Ended(cdr) => {
                    self.answered.remove(&cdr.cdr_id);
                }
                _ => {}
            }
        }
        self.records_read = records.len();
        again
    }
}

//! After a failed branch: the next target, or the best response (RFC 3261 §16.7(6)).

use crate::{
    context::{Best, BranchState, ContextRef, Stage},
    core::ProxyCore,
    output::{Now, Output},
};
use accounting::Cause;

impl ProxyCore {
    /// Keeps the best final response (§16.7(6)).
    pub(crate) fn consider(
        &mut self,
        name: ContextRef,
        status: u16,
        cause: Cause,
        bytes: Option<Vec<u8>>,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        //= departs RFC 3261 §16.7(6): a vendor's 3xx, 401 and 407 are failed attempts that upstream never sees;
        //=   because they speak to Tandem as the vendor's customer, not to the caller
        // What a vendor asks of us is not for the customer: a failed attempt, and no response to choose.
        if matches!(cause, Cause::VendorAuth | Cause::VendorRedirect) {
            if let Some(hunt) = &mut context.hunt {
                hunt.passed_over.get_or_insert(cause);
            }
            return;
        }
        // Of equals, what a vendor said tells the caller more than what stands for its silence.
        //= RFC 3261 §16.7(6): the best final response is kept; of equals the first
        let better = context.best.as_ref().is_none_or(|best| {
            (rank(status), bytes.is_none()) < (rank(best.status), best.bytes.is_empty())
        });
        if better {
            context.best = Some(Best {
                status,
                cause,
                bytes: bytes.unwrap_or_default(),
            });
        }
    }

    /// After a failed branch: the next target, or the end.
    pub(crate) fn continue_hunt(
        &mut self,
        now: Now,
        name: ContextRef,
        status: u16,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context.cancelled {
            return self.finish_cancelled(now, name, out);
        }
        if context
            .branches
            .iter()
            .any(|branch| branch.state != BranchState::Done && !branch.abandoned)
        {
            return;
        }
        let policy = &self.config.policy;
        //= departs RFC 3261 §16.7(5): whether a status ends the hunt is the `failover.next` table, by default a 6xx does;
        //=   because carriers differ
        if policy.failover.tries_next(status) && (!context.ringing || policy.hunt_after_ringing) {
            context.stage = Stage::Forward;
            self.advance(now, name, out);
        } else {
            self.finish_hunt(now, name, out);
        }
    }

    /// No target is left, or none may be tried: the best response goes upstream.
    pub(crate) fn finish_hunt(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context
            .branches
            .iter()
            .any(|branch| branch.state != BranchState::Done && !branch.abandoned)
        {
            return;
        }
        let passed_over = context.hunt.as_ref().and_then(|hunt| hunt.passed_over);
        match context.best.take() {
            //= RFC 3261 §16.7(6): a 503 of downstream is not passed on as such, it would stop all traffic toward us
            //= departs RFC 3261 §16.7(6): what all 503 become is configurable, `proxy.all_503_becomes`; because carriers differ
            Some(best) if best.status == 503 => {
                let status = self.config.policy.all_503_becomes;
                self.finish_here(now, name, status, best.cause, out);
            }
            Some(best) if best.bytes.is_empty() => {
                self.finish_here(now, name, best.status, best.cause, out)
            }
            Some(best) => self.finish_with(now, name, best, out),
            None => {
                let cause = passed_over.unwrap_or(Cause::NoVendor);
                let auth_or_redirect = matches!(cause, Cause::VendorAuth | Cause::VendorRedirect);
                let status = if auth_or_redirect {
                    self.config.policy.all_503_becomes
                } else {
                    503
                };
                self.finish_here(now, name, status, cause, out);
            }
        }
    }
}

/// The order of §16.7(6): 6xx first, else the lowest class; within 4xx what tells the caller most, within 5xx 503 last.
fn rank(status: u16) -> u32 {
    let class = u32::from(status / 100);
    let within = match status {
        401 | 407 | 415 | 420 | 484 => 0,
        503 => 2,
        _ => 1,
    };
    if class == 6 { 0 } else { class * 10 + within }
}

#[cfg(test)]
mod tests {
    use super::rank;

    //= proves RFC 3261 §16.7(6)
    #[test]
    fn the_best_response_is_chosen_as_16_7_6_says() {
        let mut statuses = [503, 404, 500, 486, 603, 408, 415, 302];
        statuses.sort_by_key(|status| rank(*status));
        assert_eq!(statuses, [603, 302, 415, 404, 486, 408, 500, 503]);
    }
}

//! After a failed branch: what its response does to the hunt, and the best response (RFC 3261 §16.7 steps 4 to 6).
//!
//! Left out: the branches that are made next (`fork`), Contacts of redirects (`redirect`).

use crate::{
    context::{Best, BranchRef, ContextRef},
    core::ProxyCore,
    output::{Now, Output},
};
use accounting::Cause;
use routing::On6xx;

impl ProxyCore {
    /// A branch has failed, by a final response or by what stands for one, and upstream still waits.
    pub(crate) fn after_failure(
        &mut self,
        now: Now,
        name: BranchRef,
        failure: Best,
        out: &mut Output,
    ) {
        let policy = self.on_6xx(name, failure.status);
        let ends = match policy {
            Some(policy) => policy == On6xx::Stop,
            None => {
                let redirects = (300..400).contains(&failure.status) && self.has_contacts(name);
                !redirects && !self.config.policy.failover.tries_next(failure.status)
            }
        };
        if ends
            && let Some(context) = self.contexts.at_mut(name.context)
            && let Some(hunt) = &mut context.hunt
        {
            hunt.closed = true;
            // What waits for its address would be a new branch.
            hunt.waiting.clear();
        }
        match policy {
            //= RFC 3261 §16.7(5): after a 6xx no new branches, and CANCEL for those that are out
            //= RFC 3261 §16.7(10): a 6xx cancels all pending branches
            Some(On6xx::Stop) => self.cancel_branches(now, name.context, Some(name.branch), out),
            //= departs RFC 3261 §16.7(5): a 6xx ends the hunt only for a vendor with `on_6xx` = `stop`, else it is a failed
            //=   attempt outside the candidate set; because one carrier that declines does not speak for the others
            Some(On6xx::Next) => return self.keep_global(now, name.context, failure, out),
            None => {}
        }
        self.consider(name.context, failure);
        self.start_targets(now, name.context, out);
    }

    /// What a 6xx of this branch's vendor means; `None` for any other status.
    fn on_6xx(&self, name: BranchRef, status: u16) -> Option<On6xx> {
        if status < 600 {
            return None;
        }
        let context = self.contexts.at(name.context)?;
        let hunt = context.hunt.as_ref()?;
        let branch = context.branches.get(usize::from(name.branch))?;
        // Where a preloaded Route leads there is no vendor, and the word of the RFC holds.
        let target = hunt.target(branch.to);
        Some(target.map_or(On6xx::Stop, |target| {
            hunt.snapshot.vendor(target.vendor).on_6xx
        }))
    }

    /// Whether a redirect of this branch's target has Contacts to be tried.
    fn has_contacts(&self, name: BranchRef) -> bool {
        let context = self.contexts.at(name.context);
        let Some(branch) = self.contexts.branch(name) else {
            return false;
        };
        let hunt = context.and_then(|context| context.hunt.as_ref());
        hunt.is_some_and(|hunt| {
            hunt.queued.iter().any(|at| {
                let contact = hunt.contacts.get(usize::from(*at));
                contact.is_some_and(|contact| contact.target == branch.to.target)
            })
        })
    }

    /// A 6xx that is not the world's: the first one is kept for the case that there is nothing else.
    fn keep_global(&mut self, now: Now, name: ContextRef, failure: Best, out: &mut Output) {
        if let Some(hunt) = self
            .contexts
            .at_mut(name)
            .and_then(|context| context.hunt.as_mut())
        {
            hunt.global.get_or_insert(failure);
        }
        self.start_targets(now, name, out);
    }

    /// Keeps the best final response (§16.7(6)).
    fn consider(&mut self, name: ContextRef, failure: Best) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        //= RFC 3261 §16.7(4): a redirect is no candidate, followed or not, and its Contacts stay here
        //= departs RFC 3261 §16.7(7): challenges are not collected, and neither 401, 407 nor 3xx goes upstream; because what
        //=   a vendor asks of us is not for the customer: a failed attempt, and no response to choose
        //= departs RFC 3261 §16.7(6): a vendor's 3xx, 401 and 407 are no candidates; because they speak to Tandem as the vendor's
        //=   customer, not to the caller
        if matches!(failure.cause, Cause::VendorAuth | Cause::VendorRedirect) {
            if let Some(hunt) = &mut context.hunt {
                hunt.passed_over.get_or_insert(failure.cause);
            }
            return;
        }
        //= RFC 3261 §16.7(6): the best final response is kept: 6xx first, else the lowest class; of equals the first
        // But what a vendor said tells the caller more than what stands for its silence.
        let better = context.best.as_ref().is_none_or(|best| {
            (rank(failure.status), failure.bytes.is_empty())
                < (rank(best.status), best.bytes.is_empty())
        });
        if better {
            context.best = Some(failure);
        }
    }

    /// No target is left, or none may be tried: the best response goes upstream.
    pub(crate) fn finish_hunt(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        if context.is_hunting() {
            return;
        }
        let hunt = context.hunt.as_mut();
        let (passed_over, global) =
            hunt.map_or((None, None), |hunt| (hunt.passed_over, hunt.global.take()));
        // Even a 6xx that is one vendor's alone tells the caller more than what stands for silence.
        let (said, silence) = match context.best.take() {
            Some(best) if best.bytes.is_empty() => (None, Some(best)),
            best => (best, None),
        };
        match said.or(global).or(silence) {
            //= RFC 3261 §16.7(6): 500 upstream where 503 is all that was heard
            // It would stop all traffic toward us.
            //= departs RFC 3261 §16.7(6): what all 503 become is configurable, `proxy.all_503_becomes`; because carriers differ
            Some(best) if best.status == 503 => {
                let status = self.config.policy.all_503_becomes;
                self.finish_here(now, name, status, best.cause, out);
            }
            Some(best) if best.bytes.is_empty() => {
                self.finish_here(now, name, best.status, best.cause, out)
            }
            Some(best) => self.finish_with(now, name, best, out),
            //= departs RFC 3261 §16.7(6): without any candidate upstream hears 503, or what `all_503_becomes` says, and not 408;
            //=   because nothing timed out: no vendor could be tried, or all asked something of us
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
        //= RFC 4028 §7.3: a vendor's 422 tells the caller how to ask again, and is preferred like its kind
        401 | 407 | 415 | 420 | 422 | 484 => 0,
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

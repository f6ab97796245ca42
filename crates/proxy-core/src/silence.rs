//! Branches that do not answer: RFC 3261 §16.8 (Timer C), §16.9 (transport errors), and the operator's own patience.

use crate::{
    context::{Best, BranchRef, BranchState, ResponseContext, Role},
    core::ProxyCore,
    output::{Now, Output},
};
use accounting::Cause;

impl ProxyCore {
    /// A client transaction ended without a final response: Timer B or F, as if 408 had come (§16.8), or the next
    /// hop cannot be reached, as if 503 had (§16.9).
    //= RFC 3261 §16.8: a branch that times out counts as 408
    //= RFC 3261 §16.9: a next hop that cannot be reached counts as 503
    pub(crate) fn on_branch_silent(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        cause: Cause,
        out: &mut Output,
    ) {
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.client = None;
        }
        self.on_silence(now, name, status, cause, out);
        self.release_context(name.context);
    }

    pub(crate) fn on_silence(
        &mut self,
        now: Now,
        name: BranchRef,
        status: u16,
        cause: Cause,
        out: &mut Output,
    ) {
        let Some(context) = self.contexts.at(name.context) else {
            return;
        };
        if self
            .contexts
            .branch(name)
            .is_none_or(|branch| branch.state == BranchState::Done)
        {
            return;
        }
        if matches!(context.role, Role::Initial) {
            self.on_branch_failed(now, name, status, cause, None, out);
        } else {
            self.finish_branch(name);
            self.on_dialog_silence(now, name, status, out);
        }
    }

    /// A client transaction is gone.
    pub(crate) fn on_branch_terminated(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.client = None;
        }
        // A transaction that ended without a final response or time-out would leave its branch open for ever.
        if self
            .contexts
            .branch(name)
            .is_some_and(|branch| branch.state != BranchState::Done)
        {
            self.on_silence(now, name, 408, Cause::TimeoutB, out);
        }
        self.release_context(name.context);
    }

    /// The vendor has said nothing at all for too long: it is given up, and the next one is tried.
    pub(crate) fn on_no_1xx(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        branch.no_1xx = None;
        if branch.state != BranchState::Calling {
            return;
        }
        branch.abandoned = true;
        branch.given_up = Some(Cause::TimeoutNo1xx);
        branch.cancel = crate::context::CancelState::Wanted;
        //= departs RFC 3261 §17.1.1.2: a vendor given up on after `failover.no_1xx_ms` is not sent the INVITE again;
        //=   because it would ring a phone nobody calls any more; its late answer still counts
        // It is not asked again; should it speak after all, it hears CANCEL, and a 2xx still counts.
        if let Some(client) = branch.client {
            self.transactions.stop_retransmitting(now.mono_us, client);
        }
        let attempt = branch.attempt;
        let Some(context) = self.contexts.at(name.context) else {
            return;
        };
        if let Some(call) = context.call.and_then(|id| self.calls.at_mut(id))
            && let Some(state) = call.attempt_mut(attempt)
        {
            state.record.cause = Cause::TimeoutNo1xx;
        }
        if self
            .contexts
            .at(name.context)
            .is_some_and(ResponseContext::is_open)
        {
            let silence = Best {
                status: 408,
                cause: Cause::TimeoutNo1xx,
                bytes: Vec::new(),
            };
            self.after_failure(now, name, silence, out);
        }
    }

    /// The vendor has been ringing for too long.
    pub(crate) fn on_ring_timeout(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.ring = None;
        }
        self.give_up(now, name, Cause::TimeoutRing, out);
    }

    /// Timer C, §16.8.
    pub(crate) fn on_timer_c(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        branch.timer_c = None;
        if branch.state == BranchState::Calling {
            //= RFC 3261 §16.8: Timer C without a provisional response counts as 408
            if let Some(client) = branch.client.take() {
                self.transactions.abandon_client(now.mono_us, client);
            }
            self.on_silence(now, name, 408, Cause::TimerC, out);
            return self.release_context(name.context);
        }
        //= RFC 3261 §16.8: Timer C after a provisional response is a CANCEL
        self.give_up(now, name, Cause::TimerC, out);
    }

    pub(crate) fn give_up(&mut self, now: Now, name: BranchRef, cause: Cause, out: &mut Output) {
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        if branch.state == BranchState::Done {
            return;
        }
        branch.given_up.get_or_insert(cause);
        self.cancel_branch(now, name, out);
    }
}

//! CANCEL, RFC 3261 §9 and §16.10: the hunt ends at once, and upstream hears 487 unless a 2xx won.
//!
//! A branch that has heard nothing yet is cancelled when it does (§9.1); it is told nothing if it never speaks.

use crate::{
    calls::signed,
    context::{BranchRef, BranchState, CancelState, ContextRef, Kind, NOBODY, Role},
    core::ProxyCore,
    fork::UDP_PAYLOAD_MAX,
    output::{Now, Output},
    reply::Reject,
    stats::Stat,
    timers::CoreTimer,
};
use accounting::{Cause, EndedBy};
use sip_parser::{Message, Method, parse_datagram, write_cancel};
use std::mem;
use transaction_layer::Flow;

impl ProxyCore {
    /// A CANCEL from upstream.
    //= RFC 3261 §16.10: a CANCEL that finds its INVITE is answered 200, and all its branches are cancelled; another is 481
    //= departs RFC 3261 §16.10: a CANCEL counts only from the address that sent the INVITE, from elsewhere it is 481;
    //=   because a guessed branch must not end another's call
    pub(crate) fn on_cancel(
        &mut self,
        now: Now,
        cancel: &Message<'_>,
        flow: &Flow,
        out: &mut Output,
    ) {
        self.stats.count(Stat::Cancels);
        let found = self.transactions.cancelled_invite(cancel);
        //= RFC 3261 §9.2: a CANCEL of an INVITE that has had its final response is answered 200 and changes nothing; one
        //=   that was refused for a limit has no more than its transaction
        if let Some((server, NOBODY, _)) = found
            && (self.transactions.server_flow(server))
                .is_some_and(|invite| invite.remote.ip() == flow.remote.ip())
        {
            let ok = Reject::new(200, Cause::Cancelled);
            return self.answer_if_due(now, cancel, flow, &ok, out);
        }
        let name = found.map(|(_, user, _)| BranchRef::from_user(user).context);
        // Only the hop that sent the INVITE may take it back.
        let context = name.and_then(|name| Some((name, self.contexts.at_mut(name)?)));
        let Some((name, context)) =
            context.filter(|(_, context)| context.flow.remote.ip() == flow.remote.ip())
        else {
            let unknown = Reject::new(481, Cause::UnknownDialog);
            return self.answer_if_due(now, cancel, flow, &unknown, out);
        };
        let over = context.final_sent.is_some() || context.won;
        if !over {
            context.cancelled = true;
            context.cancel_reason = crate::reason::joined(cancel);
            if matches!(context.role, Role::Initial)
                && let Some(call) = context.call.and_then(|id| self.calls.at_mut(id))
            {
                // The caller's word takes the place of what a vendor said before.
                (call.cdr.reason, call.cdr.q850_cause) = (None, None);
                call.note_reason(cancel);
                call.ended_by(EndedBy::Caller);
            }
        }
        self.reply_statelessly(cancel, flow, &Reject::new(200, Cause::Cancelled), out);
        if over {
            return;
        }
        self.cancel_branches(now, name, None, out);
        self.finish_cancelled(now, name, out);
    }

    /// 487 upstream as soon as no branch is out that may still win.
    pub(crate) fn finish_cancelled(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        let Some(context) = self.contexts.at(name) else {
            return;
        };
        let waiting = context
            .branches
            .iter()
            .any(|branch| branch.is_live() || branch.held);
        if context.cancelled && !waiting && !context.won && context.final_sent.is_none() {
            if matches!(context.role, Role::InDialog { .. }) {
                return self.finish_in_dialog_here(now, name, 487, out);
            }
            self.finish_here(now, name, 487, Cause::Cancelled, out);
        }
    }

    /// Cancels every branch but `except`.
    pub(crate) fn cancel_branches(
        &mut self,
        now: Now,
        name: ContextRef,
        except: Option<u8>,
        out: &mut Output,
    ) {
        let count = self
            .contexts
            .at(name)
            .map_or(0, |context| context.branches.len());
        for branch in (0..count)
            .filter_map(|at| u8::try_from(at).ok())
            .filter(|at| Some(*at) != except)
        {
            self.cancel_branch(
                now,
                BranchRef {
                    context: name,
                    branch,
                },
                out,
            );
        }
    }

    /// Cancels one branch now, or when it first speaks.
    //= RFC 3261 §9.1: a branch that has heard nothing yet is cancelled when it first hears a provisional
    pub(crate) fn cancel_branch(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        match (branch.state, branch.cancel) {
            (BranchState::Done, _) | (_, CancelState::Sent) => {}
            (BranchState::Calling, _) => branch.cancel = CancelState::Wanted,
            (BranchState::Proceeding, _) => self.send_cancel(now, name, out),
        }
    }

    fn send_cancel(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        let context = self.contexts.at(name.context);
        //= RFC 3326 §2: the Reason of the CANCEL goes on with ours
        let reason = context.and_then(|context| context.cancel_reason.clone());
        let mut table = mem::take(&mut self.inner_table);
        let mut cancel = self.buffer();
        let client = self.contexts.branch(name).and_then(|branch| branch.client);
        let invite = client.and_then(|client| self.transactions.client_request(client));
        if let Some(Ok(message)) = invite.map(|invite| parse_datagram(invite, &mut table)) {
            write_cancel(&message, reason.as_deref(), &mut cancel);
            if cancel.len() > UDP_PAYLOAD_MAX {
                // The INVITE fitted, and so does a CANCEL that gives no reason.
                cancel.clear();
                write_cancel(&message, None, &mut cancel);
            }
        }
        self.inner_table = table;
        let wait_us = self.config.policy.cancel_wait_us;
        if let Some(branch) = self.contexts.branch_mut(name) {
            branch.cancel = CancelState::Sent;
            // Nothing but the final response is awaited now.
            for timer in [
                branch.ring.take(),
                branch.timer_c.take(),
                branch.no_1xx.take(),
            ]
            .into_iter()
            .flatten()
            {
                self.wheel.cancel(timer);
            }
            let wait = self.wheel.insert(
                now.mono_us,
                now.mono_us + wait_us,
                CoreTimer::CancelWait(name),
            );
            branch.cancel_wait = Some(wait);
            let (text, flow) = (branch.text, branch.flow);
            if !cancel.is_empty() {
                // A full table of transactions: the wait above still ends the branch.
                let _ = self.transactions.start_client(
                    now.mono_us,
                    Method::Cancel,
                    &text,
                    &cancel,
                    &flow,
                    NOBODY,
                    &mut out.outbox,
                );
            }
        }
        self.recycle(cancel);
    }

    /// The final response to a cancelled branch never came: it is taken to be cancelled (§9.1).
    //= RFC 3261 §9.1: a cancelled branch that never ends is taken to be cancelled
    pub(crate) fn on_cancel_wait(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        let Some(branch) = self.contexts.branch_mut(name) else {
            return;
        };
        branch.cancel_wait = None;
        if branch.state == BranchState::Done {
            return;
        }
        if let Some(client) = branch.client.take() {
            self.transactions.abandon_client(now.mono_us, client);
        }
        self.on_silence(now, name, 487, Cause::Cancelled, out);
        self.release_context(name.context);
    }

    /// A drain has lasted as long as it may: requests that begin something and have no final response get 503 from here,
    /// and their branches CANCEL. Their records follow when the branches have ended, or with [`Self::end_branches`].
    pub fn end_setup(&mut self, now: Now, out: &mut Output) {
        for name in self.contexts.names() {
            let Some(context) = self.contexts.at_mut(name) else {
                continue;
            };
            let over = context.final_sent.is_some() || context.won;
            if over || !matches!(context.role, Role::Initial) {
                continue;
            }
            let invite = context.kind == Kind::Invite;
            if context.cancelled {
                self.finish_here(now, name, 487, Cause::Cancelled, out);
                continue;
            }
            context.cancelled = invite;
            if let Some(call) = context.call.and_then(|id| self.calls.at_mut(id)) {
                call.ended_by(EndedBy::Proxy);
            }
            if invite {
                self.cancel_branches(now, name, None, out);
            }
            self.finish_here(now, name, 503, Cause::Restart, out);
        }
    }

    /// The process ends: nothing is heard any more from branches whose request is over, so that its record is due now.
    pub fn end_branches(&mut self, now: Now, out: &mut Output) {
        for context in self.contexts.names() {
            let open = self.contexts.at(context).filter(|context| {
                matches!(context.role, Role::Initial)
                    && (context.final_sent.is_some() || context.won)
            });
            let count = open.map_or(0, |context| context.branches.len());
            for branch in (0..count).filter_map(|at| u8::try_from(at).ok()) {
                let name = BranchRef { context, branch };
                let Some(branch) = self.contexts.branch_mut(name) else {
                    continue;
                };
                if branch.state == BranchState::Done {
                    continue;
                }
                if let Some(client) = branch.client.take() {
                    self.transactions.abandon_client(now.mono_us, client);
                }
                self.on_silence(now, name, 487, Cause::Cancelled, out);
            }
            self.release_context(context);
        }
    }

    /// A response to a branch on which CANCEL waits for one.
    pub(crate) fn cancel_if_wanted(&mut self, now: Now, name: BranchRef, out: &mut Output) {
        if self
            .contexts
            .branch(name)
            .is_some_and(|branch| branch.cancel == CancelState::Wanted)
        {
            self.send_cancel(now, name, out);
        }
    }

    /// The monotonic time of `now`, in the signed form of calls.
    pub(crate) fn at(now: Now) -> i64 {
        signed(now.mono_us)
    }
}

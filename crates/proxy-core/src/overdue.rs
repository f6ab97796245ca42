//! Non-INVITE requests that take long, and responses that help nobody: RFC 4320.
//!
//! Upstream hears 100 once its Timer E has reached T2, no other provisional, and no 408.
//! Left out: Timers E and F themselves, which are the transaction layer's.

use crate::{
    context::{ContextRef, Kind},
    core::ProxyCore,
    output::{Now, Output},
    timers::CoreTimer,
};

impl ProxyCore {
    /// A non-INVITE request has come: it is looked after when Timer E of who sent it has reached T2.
    pub(crate) fn watch_non_invite(&mut self, now: Now, name: ContextRef) {
        let due_us = now
            .mono_us
            .saturating_add(self.config.timers.timer_e_at_t2_us());
        let timer = self
            .wheel
            .insert(now.mono_us, due_us, CoreTimer::Overdue(name));
        if let Some(context) = self.contexts.at_mut(name) {
            context.overdue = Some(timer);
        }
    }

    /// It has had its final response, or needs no looking after for another reason.
    pub(crate) fn unwatch(&mut self, name: ContextRef) {
        let timer = self
            .contexts
            .at_mut(name)
            .and_then(|context| context.overdue.take());
        if let Some(timer) = timer {
            self.wheel.cancel(timer);
        }
    }

    pub(crate) fn on_overdue(&mut self, now: Now, name: ContextRef, out: &mut Output) {
        let Some(context) = self.contexts.at_mut(name) else {
            return;
        };
        context.overdue = None;
        match context.final_sent {
            //= RFC 4320 §4.1: a non-INVITE request without an answer gets 100 once Timer E has reached T2, never before
            None => self.respond_here(now, name, 100, out),
            Some(408) => {
                // Whoever sent it has given up by now, so it cannot come again.
                let server = context.server;
                context.server_alive = false;
                self.transactions.abandon_server(now.mono_us, server);
                self.release_context(name);
            }
            Some(_) => {}
        }
    }

    /// Whether a response may go upstream; one to a non-INVITE request that may not is forgotten here.
    pub(crate) fn may_go_upstream(&mut self, now: Now, name: ContextRef, status: u16) -> bool {
        let Some(context) = self
            .contexts
            .at_mut(name)
            .filter(|context| context.kind != Kind::Invite)
        else {
            return true;
        };
        match status {
            //= RFC 4320 §4.1: no provisional but 100 goes out to a non-INVITE request
            101..200 => false,
            //= RFC 4320 §4.2: a 408 to a non-INVITE request is not forwarded; its server transaction goes on absorbing
            //=   repetitions until nobody can send any
            408 => {
                let gone_us = context
                    .arrived_us
                    .saturating_add(self.config.timers.t1_times_64_us())
                    .max(now.mono_us);
                let timer = self
                    .wheel
                    .insert(now.mono_us, gone_us, CoreTimer::Overdue(name));
                if let Some(old) = context.overdue.replace(timer) {
                    self.wheel.cancel(old);
                }
                context.final_sent = Some(408);
                false
            }
            _ => true,
        }
    }
}

//! The server side of the layer: requests that arrive, and the responses of the TU.
//! RFC 3261 §17.2.3 (matching), §9.2 (the INVITE of a CANCEL), §18.2.2 (where responses go).
//! Leaves out the machines, `server_invite` and `server_non_invite`.

use sip_parser::{Message, Method, parse_datagram};

use crate::event::{RequestArrival, TableFull, TransactionEvent};
use crate::flow::Flow;
use crate::key::{self, ServerKey, StoredKey, write_server_key};
use crate::outbox::Outbox;
use crate::reply::reply_flow;
use crate::server_invite::ServerInvite;
use crate::server_non_invite::ServerNonInvite;
use crate::slots::SlotId;
use crate::step::{Bytes, Durations, Step, Tell};
use crate::timer::Timer;

use super::entry::Entry;
use super::{Due, ServerId, Transactions};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Machine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

impl Machine {
    fn on_retransmission(self) -> (Self, Step) {
        match self {
            Self::Invite(machine) => wrap(Self::Invite, machine.on_retransmission()),
            Self::NonInvite(machine) => wrap(Self::NonInvite, machine.on_retransmission()),
        }
    }

    fn on_respond(self, status: u16, durations: Durations) -> (Self, Step) {
        match self {
            Self::Invite(machine) => wrap(Self::Invite, machine.on_respond(status, durations)),
            Self::NonInvite(machine) => {
                wrap(Self::NonInvite, machine.on_respond(status, durations))
            }
        }
    }

    fn on_timer(self, timer: Timer, durations: Durations) -> (Self, Step) {
        match self {
            Self::Invite(machine) => wrap(Self::Invite, machine.on_timer(timer, durations)),
            Self::NonInvite(machine) => wrap(Self::NonInvite, machine.on_timer(timer)),
        }
    }

    fn on_abandon(self) -> (Self, Step) {
        match self {
            Self::Invite(machine) => wrap(Self::Invite, machine.on_abandon()),
            Self::NonInvite(machine) => wrap(Self::NonInvite, machine.on_abandon()),
        }
    }

    fn is_terminated(self) -> bool {
        matches!(
            self,
            Self::Invite(ServerInvite::Terminated) | Self::NonInvite(ServerNonInvite::Terminated)
        )
    }

    fn has_final(self) -> bool {
        !matches!(
            self,
            Self::Invite(ServerInvite::Proceeding)
                | Self::NonInvite(ServerNonInvite::Trying | ServerNonInvite::Proceeding)
        )
    }
}

fn wrap<M>(kind: impl Fn(M) -> Machine, (machine, step): (M, Step)) -> (Machine, Step) {
    (kind(machine), step)
}

#[derive(Debug)]
pub(super) struct Server {
    entry: Entry,
    machine: Machine,
}

#[cfg(test)]
impl Server {
    pub(super) fn stored_len(&self) -> usize {
        self.entry.stored.len()
    }
}

impl Transactions {
    /// A request came. What it repeats is absorbed here, with the response sent again where there is one; a request
    /// that is `New` is the TU's, which may `start_server` with it. RFC 3261 §17.2.3.
    pub fn on_request(
        &mut self,
        now_us: u64,
        request: &Message<'_>,
        outbox: &mut Outbox,
    ) -> RequestArrival {
        if request.method() == Method::Ack {
            return self.on_ack(now_us, request);
        }
        let key = write_server_key(request, request.method(), &mut self.key);
        let Some(id) = self.find_server(key, false) else {
            return RequestArrival::New;
        };
        if let Some(server) = self.servers.item(id) {
            let (machine, step) = server.machine.on_retransmission();
            server.entry.send(step, &[], outbox);
            self.carry_out_server(now_us, id, machine, step, &[]);
        }
        RequestArrival::Retransmission
    }

    fn on_ack(&mut self, now_us: u64, ack: &Message<'_>) -> RequestArrival {
        //= RFC 3261 §17.2.3(3): an ACK matches the INVITE's transaction
        let key = write_server_key(ack, Method::Invite, &mut self.key);
        let Some(id) = self.find_server(key, true) else {
            return RequestArrival::StrayAck;
        };
        let Some(server) = self.servers.item(id) else {
            return RequestArrival::StrayAck;
        };
        let Machine::Invite(invite) = server.machine else {
            return RequestArrival::StrayAck;
        };
        let is_completed = matches!(invite, ServerInvite::Completed { .. });
        if key.is_legacy && is_completed {
            //= RFC 3261 §17.2.3: from an RFC 2543 peer, the tag tells the ACK for this response from one for a 2xx
            let sent = parse_datagram(&server.entry.stored, &mut self.headers);
            if sent.is_ok_and(|sent| sent.to_tag() != ack.to_tag()) {
                return RequestArrival::StrayAck;
            }
        }
        let user = server.entry.user;
        let is_reliable = server.entry.flow.transport.is_reliable();
        let (invite, step) = invite.on_ack(self.durations(is_reliable));
        match self.carry_out_server(now_us, id, Machine::Invite(invite), step, &[]) {
            Tell::Confirmed => RequestArrival::AckNon2xx {
                server: ServerId(id),
                user,
            },
            Tell::Deliver => RequestArrival::StrayAck,
            _ => RequestArrival::Retransmission,
        }
    }

    /// The INVITE transaction that `cancel` is to cancel: the same branch and sent-by, or by the RFC 2543 rules
    /// (RFC 3261 §9.2). Returns its id, its user and whether a final response has been sent, in which case the
    /// CANCEL has no effect.
    //= RFC 3261 §9.2: a CANCEL is for the request that a transaction key with another method finds
    pub fn cancelled_invite(&mut self, cancel: &Message<'_>) -> Option<(ServerId, u64, bool)> {
        let key = write_server_key(cancel, Method::Invite, &mut self.key);
        let id = self.find_server(key, false)?;
        let server = self.servers.item(id)?;
        Some((ServerId(id), server.entry.user, server.machine.has_final()))
    }

    /// Starts the server transaction of a `request` that came on `flow` and was `New`, and is no ACK. Responses
    /// will go where `reply_flow` says. `user` is the TU's and comes back in arrivals and events.
    ///
    /// # Errors
    /// `TableFull` when the limit of transactions is reached; nothing was started.
    pub fn start_server(
        &mut self,
        request: &Message<'_>,
        flow: &Flow,
        user: u64,
    ) -> Result<ServerId, TableFull> {
        debug_assert_ne!(
            request.method(),
            Method::Ack,
            "an ACK starts no transaction"
        );
        self.check_limit()?;
        let key = write_server_key(request, request.method(), &mut self.key);
        debug_assert_eq!(
            self.find_server(key, false),
            None,
            "the caller asked on_request first"
        );
        let hash = key::hash(&self.hash, self.key.get(..key.base_len).unwrap_or_default());
        let stored_key = StoredKey::new(&self.key, &mut self.buffers);
        let machine = if request.method() == Method::Invite {
            Machine::Invite(ServerInvite::Proceeding)
        } else {
            Machine::NonInvite(ServerNonInvite::Trying)
        };
        let entry = Entry::new(stored_key, hash, reply_flow(request, flow), user);
        let Some(id) = self.servers.insert(Server { entry, machine }) else {
            return Err(TableFull {
                transactions_max: self.transactions_max,
            });
        };
        self.server_index
            .insert_unique(hash, (hash, id), |(hash, _)| *hash);
        match machine {
            Machine::Invite(_) => self.live.server_invite += 1,
            Machine::NonInvite(_) => self.live.server_non_invite += 1,
        }
        Ok(ServerId(id))
    }

    /// Sends a response of the TU: `bytes`, whose status is `status`. Returns `false`, and sends nothing, when the
    /// transaction is gone or its machine does not allow the response any more (a second final, a provisional after
    /// the final); the caller counts that. After a 2xx to an INVITE further 2xx are allowed (RFC 6026 §8.7).
    pub fn respond(
        &mut self,
        now_us: u64,
        server: ServerId,
        status: u16,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) -> bool {
        debug_assert!(
            (100..700).contains(&status),
            "the status of a response is 100 to 699"
        );
        let ServerId(id) = server;
        let Some(server) = self.servers.item(id) else {
            return false;
        };
        let is_reliable = server.entry.flow.transport.is_reliable();
        let (machine, step) = server
            .machine
            .on_respond(status, self.durations(is_reliable));
        if step.send != Bytes::New {
            return false;
        }
        server.entry.send(step, bytes, outbox);
        self.carry_out_server(now_us, id, machine, step, bytes);
        true
    }

    /// Ends a server transaction that will get no final response, for instance a non-INVITE one for which it would
    /// come too late (RFC 4320 §4.2). Returns `false`, and does nothing, when there is a final already. No event follows.
    //= RFC 4320 §4.2: a non-INVITE transaction may end without a final response
    pub fn abandon_server(&mut self, now_us: u64, server: ServerId) -> bool {
        let ServerId(id) = server;
        let Some(server) = self.servers.item(id) else {
            return false;
        };
        let (machine, step) = server.machine.on_abandon();
        if !machine.is_terminated() {
            return false;
        }
        self.carry_out_server(now_us, id, machine, step, &[]);
        true
    }

    /// Where the responses of a server transaction go.
    #[must_use]
    pub fn server_flow(&self, server: ServerId) -> Option<&Flow> {
        Some(&self.servers.item(server.0)?.entry.flow)
    }

    pub(super) fn on_server_timer(
        &mut self,
        base_us: u64,
        id: SlotId,
        timer: Timer,
        outbox: &mut Outbox,
    ) -> Option<TransactionEvent> {
        let server = self.servers.item(id)?;
        let user = server.entry.user;
        let is_reliable = server.entry.flow.transport.is_reliable();
        let (machine, step) = server.machine.on_timer(timer, self.durations(is_reliable));
        server.entry.send(step, &[], outbox);
        let server = ServerId(id);
        match self.carry_out_server(base_us, id, machine, step, &[]) {
            Tell::AckTimeout => Some(TransactionEvent::AckTimeout { server, user }),
            Tell::Terminated => Some(TransactionEvent::ServerTerminated { server, user }),
            _ => None,
        }
    }

    /// The transaction with the key in the scratch buffer. An RFC 2543 ACK is matched without its To tag.
    fn find_server(&self, key: ServerKey, is_ack: bool) -> Option<SlotId> {
        let base = self.key.get(..key.base_len)?;
        let hash = key::hash(&self.hash, base);
        let is_match = |(_, id): &(u64, SlotId)| {
            self.servers.item(*id).is_some_and(|server| {
                let stored = server.entry.key.as_bytes();
                if key.is_legacy && is_ack {
                    stored.starts_with(base)
                } else {
                    stored == self.key
                }
            })
        };
        Some(self.server_index.find(hash, is_match)?.1)
    }

    /// Everything a step asks for but the sending; `new` is the message that the event brought.
    fn carry_out_server(
        &mut self,
        base_us: u64,
        id: SlotId,
        machine: Machine,
        step: Step,
        new: &[u8],
    ) -> Tell {
        let Some(server) = self.servers.item_mut(id) else {
            return Tell::Nothing;
        };
        server.machine = machine;
        server.entry.hold(step, new, &mut self.buffers);
        server
            .entry
            .set_timers(step, base_us, &mut self.wheel, |timer| {
                Due::Server(id, timer)
            });
        if machine.is_terminated() {
            self.remove_server(id);
        }
        step.tell
    }

    fn remove_server(&mut self, id: SlotId) {
        let Some(server) = self.servers.remove(id) else {
            return;
        };
        let found = self
            .server_index
            .find_entry(server.entry.hash, |(_, other)| *other == id);
        match found {
            Ok(found) => {
                found.remove();
            }
            Err(_) => debug_assert!(false, "every server transaction is indexed"),
        }
        match server.machine {
            Machine::Invite(_) => self.live.server_invite -= 1,
            Machine::NonInvite(_) => self.live.server_non_invite -= 1,
        }
        server.entry.recycle(&mut self.buffers);
    }
}

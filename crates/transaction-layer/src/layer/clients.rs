//! The client side of the layer: requests of the TU, and the responses that arrive.
//! RFC 3261 §17.1.3 (matching), §17.1.1.3 (the ACK for a non-2xx), §17.1.4 (unreachable next hops).
//! Leaves out the machines, `client_invite` and `client_non_invite`.

use std::net::SocketAddr;

use sip_parser::{Message, Method, parse_datagram, write_ack_non_2xx};

use crate::client_invite::ClientInvite;
use crate::client_non_invite::ClientNonInvite;
use crate::event::{ResponseArrival, TableFull, TransactionEvent};
use crate::flow::Flow;
use crate::key::{self, StoredKey, write_client_key};
use crate::outbox::Outbox;
use crate::slots::SlotId;
use crate::step::{Bytes, Durations, Step, Tell};
use crate::timer::Timer;

use super::entry::Entry;
use super::{ClientId, Due, Transactions};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Machine {
    Invite(ClientInvite),
    NonInvite(ClientNonInvite),
}

impl Machine {
    fn on_response(self, status: u16, durations: Durations) -> (Self, Step) {
        match self {
            Self::Invite(machine) => wrap(Self::Invite, machine.on_response(status, durations)),
            Self::NonInvite(machine) => {
                wrap(Self::NonInvite, machine.on_response(status, durations))
            }
        }
    }

    fn on_timer(self, timer: Timer, durations: Durations) -> (Self, Step) {
        match self {
            Self::Invite(machine) => wrap(Self::Invite, machine.on_timer(timer)),
            Self::NonInvite(machine) => wrap(Self::NonInvite, machine.on_timer(timer, durations)),
        }
    }

    fn on_unreachable(self) -> (Self, Step) {
        match self {
            Self::Invite(machine) => wrap(Self::Invite, machine.on_unreachable()),
            Self::NonInvite(machine) => wrap(Self::NonInvite, machine.on_unreachable()),
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
            Self::Invite(ClientInvite::Terminated) | Self::NonInvite(ClientNonInvite::Terminated)
        )
    }

    fn is_proceeding(self) -> bool {
        matches!(
            self,
            Self::Invite(ClientInvite::Proceeding) | Self::NonInvite(ClientNonInvite::Proceeding)
        )
    }

    /// Whether nothing has been heard.
    fn is_unheard(self) -> bool {
        matches!(
            self,
            Self::Invite(ClientInvite::Calling { .. })
                | Self::NonInvite(ClientNonInvite::Trying { .. })
        )
    }
}

fn wrap<M>(kind: impl Fn(M) -> Machine, (machine, step): (M, Step)) -> (Machine, Step) {
    (kind(machine), step)
}

#[derive(Debug)]
pub(super) struct Client {
    entry: Entry,
    machine: Machine,
    /// Neighbours in the list of those that have heard nothing from the same remote.
    previous: Option<SlotId>,
    next: Option<SlotId>,
}

#[cfg(test)]
impl Client {
    pub(super) fn stored_len(&self) -> usize {
        self.entry.stored.len()
    }
}

impl Transactions {
    /// Starts a client transaction: sends `bytes`, a request with this `method` whose top Via has this `branch`, on
    /// `flow`, and again as its timers say. The branch must be unique among live transactions of the method; a
    /// CANCEL has that of its INVITE and is a transaction of its own. An ACK for a 2xx is none: push it to the outbox.
    /// `user` is the TU's and comes back in arrivals and events.
    ///
    /// # Errors
    /// `TableFull` when the limit of transactions is reached; nothing was started or sent.
    #[expect(
        clippy::too_many_arguments,
        reason = "a request is its method, branch, bytes and flow; a struct for one call hides that"
    )]
    pub fn start_client(
        &mut self,
        now_us: u64,
        method: Method<'_>,
        branch: &[u8],
        bytes: &[u8],
        flow: &Flow,
        user: u64,
        outbox: &mut Outbox,
    ) -> Result<ClientId, TableFull> {
        debug_assert_ne!(method, Method::Ack, "an ACK starts no transaction");
        self.check_limit()?;
        write_client_key(branch, method, &mut self.key);
        debug_assert_eq!(self.find_client(), None, "a branch id is used once");
        let hash = key::hash(&self.hash, &self.key);
        let durations = self.durations(flow.transport.is_reliable());
        let (machine, step) = if method == Method::Invite {
            wrap(Machine::Invite, ClientInvite::start(durations))
        } else {
            wrap(Machine::NonInvite, ClientNonInvite::start(durations))
        };
        let stored_key = StoredKey::new(&self.key, &mut self.buffers);
        let entry = Entry::new(stored_key, hash, *flow, user);
        entry.send(step, bytes, outbox);
        let Some(id) = self.clients.insert(Client {
            entry,
            machine,
            previous: None,
            next: None,
        }) else {
            return Err(TableFull {
                transactions_max: self.transactions_max,
            });
        };
        self.client_index
            .insert_unique(hash, (hash, id), |(hash, _)| *hash);
        match machine {
            Machine::Invite(_) => self.live.client_invite += 1,
            Machine::NonInvite(_) => self.live.client_non_invite += 1,
        }
        self.link_unheard(id, flow.remote);
        self.carry_out_client(now_us, id, machine, step, bytes);
        Ok(ClientId(id))
    }

    /// A response came. Its ACK, where the layer owes one (a non-2xx final to an INVITE), goes to `outbox`.
    /// RFC 3261 §17.1.3: branch and CSeq method tell which request it answers.
    //= RFC 3261 §17.1.3: branch and CSeq method tell which request a response answers
    pub fn on_response(
        &mut self,
        now_us: u64,
        response: &Message<'_>,
        outbox: &mut Outbox,
    ) -> ResponseArrival {
        let Some(branch) = response.top_via().ok().and_then(|via| via.branch) else {
            //= RFC 6026 §7.3: a response that matches no transaction is not the proxy's to forward
            return ResponseArrival::Stray;
        };
        write_client_key(branch, response.cseq().method, &mut self.key);
        let Some(id) = self.find_client() else {
            return ResponseArrival::Stray;
        };
        let Some(client) = self.clients.item(id) else {
            return ResponseArrival::Stray;
        };
        let user = client.entry.user;
        let durations = self.durations(client.entry.flow.transport.is_reliable());
        let (machine, step) = client.machine.on_response(response.status(), durations);
        let tell = if step.send == Bytes::New {
            self.send_ack(id, response, outbox);
            let ack = outbox.last().unwrap_or_default();
            self.carry_out_client(now_us, id, machine, step, ack)
        } else {
            client.entry.send(step, &[], outbox);
            self.carry_out_client(now_us, id, machine, step, &[])
        };
        let client = ClientId(id);
        if tell == Tell::Deliver {
            ResponseArrival::Deliver { client, user }
        } else {
            ResponseArrival::Absorbed { client, user }
        }
    }

    /// ICMP or the transport says that `remote` cannot be reached: every transaction that sent there and has heard
    /// nothing ends, with `ClientUnreachable` appended to `events`. Others wait for their timers. RFC 3261 §17.1.4.
    //= RFC 3261 §17.1.4: a transport error tells the TU and ends the transaction
    //= RFC 6026 §8.8: a server transaction stays in its state, whatever the transport says
    pub fn on_unreachable(
        &mut self,
        now_us: u64,
        remote: SocketAddr,
        events: &mut Vec<TransactionEvent>,
    ) {
        while let Some(id) = self.unheard.head(remote) {
            let Some(client) = self.clients.item(id) else {
                debug_assert!(false, "the lists hold live transactions only");
                self.unheard.replace_head(remote, None);
                return;
            };
            let user = client.entry.user;
            let (machine, step) = client.machine.on_unreachable();
            let tell = self.carry_out_client(now_us, id, machine, step, &[]);
            debug_assert_eq!(tell, Tell::Unreachable);
            let client = ClientId(id);
            events.push(TransactionEvent::ClientUnreachable { client, user });
        }
    }

    /// Gives up a client transaction that has no final response yet, such as an INVITE that stays in Proceeding after
    /// its CANCEL (RFC 3261 §9.1 allows 64·T1). It is gone at once and no event follows; whatever still comes for it,
    /// a late 2xx included, is `Stray`. Returns `false`, and does nothing, when there is a final response: such a
    /// transaction still serves the peer and ends by a timer.
    pub fn abandon_client(&mut self, now_us: u64, client: ClientId) -> bool {
        let ClientId(id) = client;
        let Some(client) = self.clients.item(id) else {
            return false;
        };
        let (machine, step) = client.machine.on_abandon();
        if !machine.is_terminated() {
            return false;
        }
        self.carry_out_client(now_us, id, machine, step, &[]);
        true
    }

    /// Stops repeating an INVITE that has heard nothing, while still waiting for what may come until Timer B: for a
    /// TU that has turned elsewhere but must learn of a late 2xx. Does nothing to any other transaction.
    pub fn stop_retransmitting(&mut self, now_us: u64, client: ClientId) {
        let ClientId(id) = client;
        let Some(client) = self.clients.item(id) else {
            return;
        };
        if let Machine::Invite(machine) = client.machine {
            let (machine, step) = machine.on_hush();
            self.carry_out_client(now_us, id, Machine::Invite(machine), step, &[]);
        }
    }

    /// Whether the last thing heard is a provisional, so that a CANCEL may be sent (RFC 3261 §9.1).
    #[must_use]
    pub fn client_has_provisional(&self, client: ClientId) -> bool {
        self.clients
            .item(client.0)
            .is_some_and(|client| client.machine.is_proceeding())
    }

    /// Where a client transaction sent its request.
    #[must_use]
    pub fn client_flow(&self, client: ClientId) -> Option<&Flow> {
        Some(&self.clients.item(client.0)?.entry.flow)
    }

    /// The request as it was sent, from which a CANCEL can be made (RFC 3261 §9.1). Held for an INVITE until its
    /// final response, for other requests as long as they may be repeated.
    #[must_use]
    pub fn client_request(&self, client: ClientId) -> Option<&[u8]> {
        let client = self.clients.item(client.0)?;
        let is_request = client.machine.is_unheard() || client.machine.is_proceeding();
        (is_request && !client.entry.stored.is_empty()).then_some(&client.entry.stored)
    }

    pub(super) fn on_client_timer(
        &mut self,
        base_us: u64,
        id: SlotId,
        timer: Timer,
        outbox: &mut Outbox,
    ) -> Option<TransactionEvent> {
        let client = self.clients.item(id)?;
        let user = client.entry.user;
        let is_reliable = client.entry.flow.transport.is_reliable();
        let (machine, step) = client.machine.on_timer(timer, self.durations(is_reliable));
        client.entry.send(step, &[], outbox);
        let client = ClientId(id);
        match self.carry_out_client(base_us, id, machine, step, &[]) {
            Tell::Timeout => Some(TransactionEvent::ClientTimeout { client, user }),
            Tell::Terminated => Some(TransactionEvent::ClientTerminated { client, user }),
            _ => None,
        }
    }

    /// The transaction with the key in the scratch buffer.
    fn find_client(&self) -> Option<SlotId> {
        let hash = key::hash(&self.hash, &self.key);
        let is_match = |(_, id): &(u64, SlotId)| {
            self.clients
                .item(*id)
                .is_some_and(|client| client.entry.key.as_bytes() == self.key)
        };
        Some(self.client_index.find(hash, is_match)?.1)
    }

    /// Sends the ACK for a non-2xx final on the flow of the INVITE (RFC 3261 §17.1.1.2, §17.1.1.3).
    //= RFC 3261 §17.1.1.3: the ACK for a non-2xx is made from the INVITE, with the To of the response, on the INVITE's flow
    fn send_ack(&mut self, id: SlotId, response: &Message<'_>, outbox: &mut Outbox) {
        let Some(client) = self.clients.item(id) else {
            return;
        };
        match parse_datagram(&client.entry.stored, &mut self.headers) {
            Ok(invite) => outbox.push_with(&client.entry.flow, |out| {
                write_ack_non_2xx(&invite, response, out);
            }),
            Err(error) => debug_assert!(false, "the TU's own INVITE does not parse: {error:?}"),
        }
    }

    /// Everything a step asks for but the sending; `new` is the message that the event brought.
    fn carry_out_client(
        &mut self,
        base_us: u64,
        id: SlotId,
        machine: Machine,
        step: Step,
        new: &[u8],
    ) -> Tell {
        let Some(client) = self.clients.item_mut(id) else {
            return Tell::Nothing;
        };
        let was_unheard = client.machine.is_unheard();
        client.machine = machine;
        client.entry.hold(step, new, &mut self.buffers);
        client
            .entry
            .set_timers(step, base_us, &mut self.wheel, |timer| {
                Due::Client(id, timer)
            });
        if was_unheard && !machine.is_unheard() {
            self.unlink_unheard(id);
        }
        if machine.is_terminated() {
            self.remove_client(id);
        }
        step.tell
    }

    fn link_unheard(&mut self, id: SlotId, remote: SocketAddr) {
        let next = self.unheard.push(remote, id);
        if let Some(next) = next.and_then(|next| self.clients.item_mut(next)) {
            next.previous = Some(id);
        }
        if let Some(client) = self.clients.item_mut(id) {
            client.next = next;
        }
    }

    fn unlink_unheard(&mut self, id: SlotId) {
        let Some(client) = self.clients.item_mut(id) else {
            return;
        };
        let (previous, next) = (client.previous.take(), client.next.take());
        let remote = client.entry.flow.remote;
        if let Some(next) = next.and_then(|next| self.clients.item_mut(next)) {
            next.previous = previous;
        }
        match previous.and_then(|previous| self.clients.item_mut(previous)) {
            Some(previous) => previous.next = next,
            None => self.unheard.replace_head(remote, next),
        }
    }

    fn remove_client(&mut self, id: SlotId) {
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        let found = self
            .client_index
            .find_entry(client.entry.hash, |(_, other)| *other == id);
        match found {
            Ok(found) => {
                found.remove();
            }
            Err(_) => debug_assert!(false, "every client transaction is indexed"),
        }
        match client.machine {
            Machine::Invite(_) => self.live.client_invite -= 1,
            Machine::NonInvite(_) => self.live.client_non_invite -= 1,
        }
        client.entry.recycle(&mut self.buffers);
    }
}

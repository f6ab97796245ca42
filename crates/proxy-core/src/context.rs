//! The response context of RFC 3261 §16: one server transaction and the branches made for it.
//!
//! A context lives until its server transaction and all its client transactions are gone, since a 2xx may come
//! late (RFC 6026). What a finished one no longer needs is given back at once.

use crate::{cookie::Cookie, cookie::Side, loops::LoopText, session_timer::SessionAsk};
use accounting::Cause;
use routing::{CustomerMatch, GatewayIndex, NumberText, Snapshot, TargetSet};
use slab::Slab;
use smallvec::SmallVec;
use std::{collections::VecDeque, rc::Rc, sync::Arc};
use transaction_layer::{ClientId, Flow, ServerId, TimerId};
use uuid::Uuid;

/// Names a context; safe when stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContextRef {
    index: u32,
    generation: u32,
}

/// Names one branch of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BranchRef {
    pub(crate) context: ContextRef,
    pub(crate) branch: u8,
}

const GENERATION_MASK: u32 = (1 << 28) - 1;
/// Contexts at most, so that an index fits its bits of a transaction's user word.
pub(crate) const CONTEXTS_MAX: usize = 1 << 22;
/// The user word of client transactions whose outcome nobody awaits (CANCEL, a BYE of our own).
pub(crate) const NOBODY: u64 = u64::MAX;
/// The branch that a server transaction's user word names.
const SERVER_BRANCH: u8 = u8::MAX;

impl BranchRef {
    /// The word that a transaction carries for us.
    pub(crate) fn to_user(self) -> u64 {
        u64::from(self.branch) << 56
            | u64::from(self.context.generation) << 28
            | u64::from(self.context.index)
    }

    pub(crate) fn from_user(user: u64) -> Self {
        let low28 = |word: u64| u32::try_from(word & u64::from(GENERATION_MASK)).unwrap_or(0);
        Self {
            context: ContextRef {
                index: low28(user),
                generation: low28(user >> 28),
            },
            branch: u8::try_from(user >> 56).unwrap_or(SERVER_BRANCH),
        }
    }
}

impl ContextRef {
    pub(crate) fn server_user(self) -> u64 {
        BranchRef {
            context: self,
            branch: SERVER_BRANCH,
        }
        .to_user()
    }
}

/// The methods that the core treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invite,
    Bye,
    Update,
    Other,
}

/// What a context is for.
pub(crate) enum Role {
    /// Begins something: the target set is found by routing.
    Initial,
    /// Within the dialog of a known call.
    InDialog { dialog: u8, from: Side },
    /// Within a dialog that only its cookie, or nothing, speaks for.
    Passing {
        cookie: Option<(Cookie, Side)>,
        /// How many names of gateways were asked for, to tell whose addresses these are.
        asked: u16,
    },
}

/// How far an initial request has come; each is a point where it may wait for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The customer's lookup.
    Admit,
    /// The plan's lookup.
    Lookup,
    /// §16.5.
    Route,
    /// §16.6, next target.
    Forward,
    /// Branches are out, or the final response has been sent.
    Forwarded,
}

/// The routing data of one version, shared with the other lanes. The `Rc` spares each request a write to the
/// reference count that all lanes would share.
pub(crate) type SharedSnapshot = Rc<Arc<Snapshot>>;

/// The search through the target set.
pub(crate) struct Hunt {
    pub(crate) snapshot: SharedSnapshot,
    pub(crate) customer: CustomerMatch,
    pub(crate) targets: TargetSet,
    /// The next target to try.
    pub(crate) next: usize,
    /// The group of the target tried last.
    pub(crate) group: Option<u16>,
    /// What a vendor said ends the hunt: no branch is made any more.
    pub(crate) closed: bool,
    /// Max-Breadth of the request (RFC 5393 §5.3.2).
    pub(crate) breadth: u8,
    /// Targets whose host name is being resolved.
    pub(crate) waiting: SmallVec<[Waiting; 1]>,
    /// Usable Contacts of redirects, in the order in which they came.
    pub(crate) contacts: Vec<RedirectContact>,
    /// Those still to be tried: indexes, the next one of each target first.
    pub(crate) queued: VecDeque<u16>,
    /// How many have been tried.
    pub(crate) followed: u8,
    /// A 6xx of a vendor that does not speak for the world: heard upstream when there is nothing else.
    pub(crate) global: Option<Best>,
    /// What a lookup says the number is.
    pub(crate) number: Option<String>,
    /// Where a preloaded Route leads, instead of routing.
    pub(crate) preloaded: bool,
    /// Why the last candidate that was passed over was.
    pub(crate) passed_over: Option<Cause>,
}

/// What a branch of a hunt is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Index of the target.
    pub(crate) target: u16,
    /// The Contact of a redirect of that target, instead of the target itself.
    pub(crate) contact: Option<u16>,
}

/// A target that waits for its address.
pub(crate) struct Waiting {
    pub(crate) to: Destination,
    /// The share that it will have.
    pub(crate) breadth: u8,
}

/// A Contact of a redirect that leads to a gateway of the vendor that sent it.
pub(crate) struct RedirectContact {
    pub(crate) target: u16,
    pub(crate) gateway: GatewayIndex,
    /// The number it names, or that of the target.
    pub(crate) number: NumberText,
    /// Its URI; empty when it names no number.
    pub(crate) uri: Vec<u8>,
}

/// Where a branch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BranchState {
    /// Nothing heard.
    Calling,
    /// A provisional response was heard.
    Proceeding,
    /// A final response was heard, or the branch was given up for good.
    Done,
}

/// CANCEL on a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelState {
    No,
    /// To be sent once a provisional response has come (RFC 3261 §9.1).
    Wanted,
    Sent,
}

/// One forwarding leg.
pub(crate) struct Branch {
    pub(crate) client: Option<ClientId>,
    pub(crate) flow: Flow,
    /// The Via branch, to build the same request again for CANCEL.
    pub(crate) text: crate::branch::BranchText,
    /// Index of its attempt in the call.
    pub(crate) attempt: u16,
    /// What it was made for.
    pub(crate) to: Destination,
    /// Its share of the Max-Breadth; `None`: it is alone, and passes on what the request brought.
    pub(crate) breadth: Option<u8>,
    pub(crate) state: BranchState,
    pub(crate) cancel: CancelState,
    /// Its final response has come and waits its turn in a parked dialog.
    pub(crate) held: bool,
    /// Given up: its failure no longer moves the hunt.
    pub(crate) abandoned: bool,
    /// Why we gave it up, if we did.
    pub(crate) given_up: Option<Cause>,
    pub(crate) no_1xx: Option<TimerId>,
    pub(crate) ring: Option<TimerId>,
    pub(crate) timer_c: Option<TimerId>,
    pub(crate) cancel_wait: Option<TimerId>,
}

impl Branch {
    /// Whether its final response is still to come.
    pub(crate) fn is_pending(&self) -> bool {
        self.state != BranchState::Done
    }

    /// Whether the hunt waits for it.
    pub(crate) fn is_live(&self) -> bool {
        self.is_pending() && !self.abandoned
    }
}

/// The best final response so far (§16.7(6)), ready to go upstream.
pub(crate) struct Best {
    pub(crate) status: u16,
    pub(crate) cause: Cause,
    /// Empty when it has to be made here.
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct ResponseContext {
    generation: u32,
    pub(crate) server: ServerId,
    pub(crate) server_alive: bool,
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    pub(crate) flow: Flow,
    /// Where responses go when the server transaction no longer takes them.
    pub(crate) reply: Flow,
    /// The request as received; given back once nothing can be made from it any more.
    pub(crate) request: Vec<u8>,
    /// What its branches end with (RFC 5393 §4.2.1).
    pub(crate) loop_text: LoopText,
    pub(crate) call: Option<Uuid>,
    pub(crate) stage: Stage,
    /// The job it waits for.
    pub(crate) parked: Option<u64>,
    /// How many queues hold it besides.
    pub(crate) held: bool,
    pub(crate) hunt: Option<Box<Hunt>>,
    pub(crate) branches: SmallVec<[Branch; 1]>,
    pub(crate) best: Option<Best>,
    /// The final status that went upstream.
    pub(crate) final_sent: Option<u16>,
    /// A 2xx has come and will go upstream, whatever else happens.
    pub(crate) won: bool,
    pub(crate) cancelled: bool,
    /// The Reason that came with the CANCEL (RFC 3326): it goes on with ours.
    pub(crate) cancel_reason: Option<Vec<u8>>,
    /// A vendor has rung or sent early media.
    pub(crate) ringing: bool,
    /// What an INVITE or UPDATE asks of session timers (RFC 4028 §8.1).
    pub(crate) session: SessionAsk,
    /// The timer of a non-INVITE request that takes long (RFC 4320).
    pub(crate) overdue: Option<TimerId>,
    /// When the request came, monotonic µs.
    pub(crate) arrived_us: u64,
}

impl ResponseContext {
    /// Whether anything can still happen in it.
    pub(crate) fn is_over(&self) -> bool {
        !self.server_alive
            && self.parked.is_none()
            && !self.held
            && self.branches.iter().all(|branch| branch.client.is_none())
    }

    /// Whether upstream still waits for a final response.
    pub(crate) fn is_open(&self) -> bool {
        self.final_sent.is_none() && !self.won
    }

    /// Branches whose final response is still to come.
    pub(crate) fn is_pending(&self) -> bool {
        self.branches.iter().any(Branch::is_pending)
    }

    /// Whether the hunt waits for a branch, or for the address of a target.
    pub(crate) fn is_hunting(&self) -> bool {
        let waits = self
            .hunt
            .as_ref()
            .is_some_and(|hunt| !hunt.waiting.is_empty());
        waits || self.branches.iter().any(Branch::is_live)
    }
}

/// All contexts of a lane.
#[derive(Default)]
pub(crate) struct Contexts {
    slots: Slab<ResponseContext>,
    generation: u32,
}

/// What a new context is made of.
pub(crate) struct NewContext {
    pub(crate) server: ServerId,
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    pub(crate) flow: Flow,
    pub(crate) reply: Flow,
    pub(crate) request: Vec<u8>,
    pub(crate) loop_text: LoopText,
    pub(crate) arrived_us: u64,
}

impl Contexts {
    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() >= CONTEXTS_MAX
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The name that the next inserted context will have: its server transaction must know it.
    pub(crate) fn next_ref(&self) -> ContextRef {
        ContextRef {
            index: u32::try_from(self.slots.vacant_key()).unwrap_or(u32::MAX),
            generation: (self.generation + 1) & GENERATION_MASK,
        }
    }

    pub(crate) fn insert(&mut self, new: NewContext) -> ContextRef {
        let name = self.next_ref();
        self.generation = name.generation;
        self.slots.insert(ResponseContext {
            generation: name.generation,
            server: new.server,
            server_alive: true,
            kind: new.kind,
            role: new.role,
            flow: new.flow,
            reply: new.reply,
            request: new.request,
            loop_text: new.loop_text,
            call: None,
            stage: Stage::Forwarded,
            parked: None,
            held: false,
            hunt: None,
            branches: SmallVec::new(),
            best: None,
            final_sent: None,
            won: false,
            cancelled: false,
            cancel_reason: None,
            ringing: false,
            session: SessionAsk::default(),
            overdue: None,
            arrived_us: new.arrived_us,
        });
        name
    }

    pub(crate) fn at(&self, name: ContextRef) -> Option<&ResponseContext> {
        self.slots
            .get(name.index as usize)
            .filter(|context| context.generation == name.generation)
    }

    pub(crate) fn at_mut(&mut self, name: ContextRef) -> Option<&mut ResponseContext> {
        self.slots
            .get_mut(name.index as usize)
            .filter(|context| context.generation == name.generation)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ResponseContext> {
        self.slots.iter().map(|(_, context)| context)
    }

    /// All names, for those who change contexts as they go.
    pub(crate) fn names(&self) -> Vec<ContextRef> {
        self.slots
            .iter()
            .filter_map(|(index, context)| {
                Some(ContextRef {
                    index: u32::try_from(index).ok()?,
                    generation: context.generation,
                })
            })
            .collect()
    }

    pub(crate) fn branch(&self, name: BranchRef) -> Option<&Branch> {
        self.at(name.context)?
            .branches
            .get(usize::from(name.branch))
    }

    pub(crate) fn branch_mut(&mut self, name: BranchRef) -> Option<&mut Branch> {
        self.at_mut(name.context)?
            .branches
            .get_mut(usize::from(name.branch))
    }

    pub(crate) fn remove(&mut self, name: ContextRef) -> Option<ResponseContext> {
        self.at(name)?;
        Some(self.slots.remove(name.index as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_word_names_its_branch() {
        let name = BranchRef {
            context: ContextRef {
                index: 0x3F_FFFF,
                generation: GENERATION_MASK,
            },
            branch: 7,
        };
        assert_eq!(BranchRef::from_user(name.to_user()), name);
        assert_ne!(name.context.server_user(), NOBODY);
    }
}

//! Transaction keys: the bytes that make two messages belong to one transaction.
//! RFC 3261 §17.1.3, §17.2.3 and §9.2, with the rules for RFC 2543 peers, whose branch is missing or means nothing.
//! Leaves out the tables that hold them.
//!
//! Values are compared as received, octet by octet, except the sent-by, whose host ignores case: a peer repeats
//! its own spelling, and branches of some stacks differ only in case. Every part carries its length, so that no
//! choice of values makes two keys meet.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;
use sip_parser::{Message, Method};

use crate::buffers::Buffers;

#[cfg(test)]
mod tests;

/// What a branch begins with when it identifies the transaction (RFC 3261 §8.1.1.7).
const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// A key that was just built in the scratch buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ServerKey {
    /// How many bytes of the key are hashed. The rest is the To tag of an RFC 2543 request.
    pub(crate) base_len: usize,
    /// Whether RFC 2543 matching applies.
    pub(crate) is_legacy: bool,
}

/// Writes the server transaction key of `request` as if its method were `method`, which is INVITE when the
/// request is an ACK (§17.2.3) or a CANCEL whose INVITE is looked for (§9.2).
pub(crate) fn write_server_key(
    request: &Message<'_>,
    method: Method<'_>,
    key: &mut Vec<u8>,
) -> ServerKey {
    key.clear();
    let via = request.top_via().ok();
    let branch = via.as_ref().and_then(|via| via.branch).unwrap_or_default();
    let sent_by = via.as_ref().map(|via| via.sent_by).unwrap_or_default();
    //= RFC 3261 §17.2.3(1), RFC 3261 §17.2.3(2): with the magic cookie, branch and sent-by make the key
    if is_rfc_3261_branch(branch) {
        key.push(b'b');
        push_part(key, method.as_bytes());
        push_part(key, branch);
        let start = key.len();
        key.extend_from_slice(sent_by);
        if let Some(sent_by) = key.get_mut(start..) {
            sent_by.make_ascii_lowercase();
        }
        return ServerKey {
            base_len: key.len(),
            is_legacy: false,
        };
    }
    key.push(b'l');
    push_part(key, method.as_bytes());
    push_part(key, request.request_uri());
    push_part(key, request.from_tag().unwrap_or_default());
    push_part(key, request.call_id());
    push_part(key, &request.cseq().number.to_be_bytes());
    push_part(key, via.map(|via| via.value).unwrap_or_default());
    let base_len = key.len();
    // The To tag comes last and unhashed: an ACK carries the response's tag, not that of the INVITE.
    key.extend_from_slice(request.to_tag().unwrap_or_default());
    ServerKey {
        base_len,
        is_legacy: true,
    }
}

/// Writes the client transaction key: branch and CSeq method (§17.1.3).
pub(crate) fn write_client_key(branch: &[u8], method: Method<'_>, key: &mut Vec<u8>) {
    key.clear();
    push_part(key, method.as_bytes());
    key.extend_from_slice(branch);
}

/// Whether the branch identifies a transaction. One that is the bare cookie identifies nothing, so such requests
/// are matched by the older rules (RFC 4475 §3.2.1).
fn is_rfc_3261_branch(branch: &[u8]) -> bool {
    branch.len() > MAGIC_COOKIE.len()
        && branch
            .get(..MAGIC_COOKIE.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

fn push_part(key: &mut Vec<u8>, part: &[u8]) {
    // No part reaches 4 GiB: a message is at most a few times 64 KiB.
    let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
    key.extend_from_slice(&len.to_be_bytes());
    key.extend_from_slice(part);
}

/// The seeded hash of a key: peers choose the bytes, so the seed must be unknown to them.
pub(crate) fn hash(state: &FixedState, key: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// Most keys fit into a transaction itself; this is what is kept there, bytes.
const INLINE_LEN_MAX: usize = 94;

/// A key as a transaction keeps it.
#[derive(Debug)]
pub(crate) enum StoredKey {
    Inline {
        len: u8,
        bytes: [u8; INLINE_LEN_MAX],
    },
    Pooled(Vec<u8>),
}

impl StoredKey {
    pub(crate) fn new(key: &[u8], buffers: &mut Buffers) -> Self {
        let mut bytes = [0; INLINE_LEN_MAX];
        match (bytes.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(start), Ok(len)) => {
                start.copy_from_slice(key);
                Self::Inline { len, bytes }
            }
            _ => Self::Pooled(buffers.store(key)),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Pooled(bytes) => bytes,
        }
    }

    pub(crate) fn recycle(self, buffers: &mut Buffers) {
        match self {
            Self::Inline { .. } => {}
            Self::Pooled(bytes) => buffers.recycle(bytes),
        }
    }
}

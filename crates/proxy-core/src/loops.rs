//! Loop detection, RFC 3261 §16.3(4) as RFC 5393 §4.2 corrects it: the part of our Via branch that a loop repeats.
//!
//! It is a keyed digest of all that decides where a request goes. A request that carries a Via of ours with the digest
//! that it would get again has come round unchanged; one whose digest differs spirals. Left out: loops of CANCEL and
//! of the ACK of a refusal, which follow their INVITE.

use crate::{branch, cookie::LOOP_PURPOSE, core::ProxyCore};
use foldhash::quality::FixedState;
use memchr::memmem;
use sip_parser::{KnownHeader, Message};
use siphasher::sip::SipHasher13;
use std::{
    hash::{BuildHasher as _, Hasher},
    net::SocketAddr,
};
use transaction_layer::Flow;

/// Characters of the digest: 40 bits tell two requests of one call apart.
pub(crate) const LOOP_TEXT_LEN: usize = 8;
const BASE32HEX: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// The digest as it stands at the end of a branch.
pub(crate) type LoopText = [u8; LOOP_TEXT_LEN];

/// The end of the branch of a request of our own, which has come from nowhere.
pub(crate) const NO_LOOP: LoopText = *b"00000000";

/// Who sent a request, as far as that decides where it goes.
pub(crate) enum Origin {
    /// The customer whose routing plan takes it.
    Customer(u64),
    /// The address that its dialog must know.
    Source(SocketAddr),
}

/// What all lanes and all boots of a node share, so that each knows the loops of the others.
pub(crate) struct LoopDigest {
    key: FixedState,
    branches: memmem::Finder<'static>,
}

impl LoopDigest {
    /// The key is made of that of the cookies and the node's name: another node's Via is never taken for ours. The digest
    /// need not withstand forgery: who forges one is told that their own request loops.
    pub(crate) fn new(cookie_key: &[u8; 16], node: &str) -> Self {
        let mut key = SipHasher13::new_with_key(cookie_key);
        key.write(LOOP_PURPOSE);
        key.write(node.as_bytes());
        Self {
            key: FixedState::with_seed(key.finish()),
            branches: memmem::Finder::new(branch::PREFIX),
        }
    }

    //= RFC 5393 §4.2.1: the second part of our branch depends on the received Request-URI, the Route values, and all
    //=   else that routing looks at (who sent it, the number it comes from), and not on the method
    /// The digest of a request. Call-ID and CSeq are in it, so that a collision is not met again by the next call.
    fn text(&self, request: &Message<'_>, origin: &Origin) -> LoopText {
        let mut hasher = self.key.build_hasher();
        match origin {
            Origin::Customer(trunk) => hasher.write_u64(*trunk),
            Origin::Source(SocketAddr::V4(source)) => {
                hasher.write(&source.ip().octets());
                hasher.write_u16(source.port());
            }
            Origin::Source(SocketAddr::V6(source)) => {
                hasher.write(&source.ip().octets());
                hasher.write_u16(source.port());
            }
        }
        part(&mut hasher, request.request_uri());
        for route in request.headers_named(KnownHeader::Route) {
            part(&mut hasher, route.value);
        }
        part(
            &mut hasher,
            request.from().map_or(&b""[..], |from| from.uri),
        );
        part(&mut hasher, request.call_id());
        hasher.write_u32(request.cseq().number);
        let mut digest = hasher.finish();
        let mut text = NO_LOOP;
        for character in &mut text {
            // Five bits a character; the top 24 of the 64 are not used.
            *character = BASE32HEX[(digest & 31) as usize];
            digest >>= 5;
        }
        text
    }

    //= RFC 5393 §4.2.2: every Via value of ours is looked at, and one with the digest of this request makes it a loop
    /// Whether a Via of `request` ends with `text`. The Via lines are searched, not parsed: what others write there
    /// can fail nothing, and a branch of ours is told by its digest alone.
    fn is_in_via(&self, request: &Message<'_>, text: &LoopText) -> bool {
        request.headers_named(KnownHeader::Via).any(|via| {
            self.branches.find_iter(via.value).any(|at| {
                let end = at + branch::TEXT_LEN;
                via.value.get(end - LOOP_TEXT_LEN..end) == Some(&text[..])
            })
        })
    }
}

/// Lengths keep two parts apart from any other split of the same bytes.
fn part(hasher: &mut impl Hasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

impl ProxyCore {
    //= RFC 5393 §4.1: every request is tested, whether it will fork or not
    //= RFC 3261 §16.3(4): a request that comes back as it left is a loop: 482, and an ACK is dropped
    /// Whether a request has looped. What its branches end with is kept for the context that is opened for it.
    pub(crate) fn has_looped(&mut self, request: &Message<'_>, origin: &Origin) -> bool {
        self.loop_text = self.loops.text(request, origin);
        self.loops.is_in_via(request, &self.loop_text)
    }

    /// What the branch of an ACK ends with.
    pub(crate) fn loop_text_of_ack(&self, ack: &Message<'_>, flow: &Flow) -> LoopText {
        self.loops.text(ack, &Origin::Source(flow.remote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::branch::BranchMint;
    use sip_parser::{HeaderTable, parse_datagram};

    fn text_of(digest: &LoopDigest, message: &str, customer: u64) -> LoopText {
        let mut table = HeaderTable::default();
        match parse_datagram(message.as_bytes(), &mut table) {
            Ok(message) => digest.text(&message, &Origin::Customer(customer)),
            Err(error) => panic!("{error:?}"),
        }
    }

    const INVITE: &str = "INVITE sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nRoute: <sip:a;lr>\r\n\
        Max-Forwards: 70\r\nFrom: <sip:2@h>;tag=a\r\nTo: <sip:1@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n";

    //= proves RFC 5393 §4.2.1
    #[test]
    fn the_digest_changes_with_what_decides_the_way_and_with_nothing_else() {
        let digest = LoopDigest::new(&[7; 16], "node");
        let text = text_of(&digest, INVITE, 1);
        let same = [
            INVITE.replace("Max-Forwards: 70", "Max-Forwards: 60"),
            INVITE.replace("INVITE", "OPTIONS"),
            INVITE.replace("Via: ", "Via: SIP/2.0/UDP other;branch=z9hG4bKy\r\nVia: "),
            INVITE.replace("To: <sip:1@h>", "To: <sip:1@h>;tag=b"),
        ];
        for message in same {
            assert_eq!(text_of(&digest, &message, 1), text, "{message}");
        }
        let other = [
            INVITE.replace("sip:1@h SIP", "sip:3@h SIP"),
            INVITE.replace("Route: <sip:a;lr>", "Route: <sip:b;lr>"),
            INVITE.replace("Route: <sip:a;lr>", "Route: <sip:b;lr>, <sip:a;lr>"),
            INVITE.replace("From: <sip:2@h>", "From: <sip:4@h>"),
            INVITE.replace("CSeq: 1 ", "CSeq: 2 "),
            INVITE.replace("Call-ID: c", "Call-ID: d"),
        ];
        for message in other {
            assert_ne!(text_of(&digest, &message, 1), text, "{message}");
        }
        assert_ne!(text_of(&digest, INVITE, 2), text);
    }

    //= proves RFC 5393 §4.2.2
    #[test]
    fn a_digest_is_found_in_any_via_written_by_any_lane_or_boot_of_the_node() {
        let digest = LoopDigest::new(&[7; 16], "node");
        let text = text_of(&digest, INVITE, 1);
        for (lane, boot, seed) in [(0, 1, 1), (7, 2, 99)] {
            let branch = BranchMint::new(lane, boot, seed).next(&text);
            let branch = String::from_utf8_lossy(&branch);
            for via in [
                format!(
                    "Via: SIP/2.0/UDP h2;branch=z9hG4bKy\r\nv: SIP/2.0/UDP p;branch={branch}\r\n"
                ),
                format!(
                    "Via: SIP/2.0/UDP h2;x=\"a,b\";flag , SIP/2.0/UDP p;Branch = {branch};received=::1\r\n"
                ),
            ] {
                let looped = INVITE.replace("Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n", &via);
                let mut table = HeaderTable::default();
                let message = parse_datagram(looped.as_bytes(), &mut table);
                assert!(
                    message.is_ok_and(|message| digest.is_in_via(&message, &text)),
                    "{via}"
                );
            }
        }
        for other in [
            LoopDigest::new(&[7; 16], "other"),
            LoopDigest::new(&[8; 16], "node"),
        ] {
            assert_ne!(
                text_of(&other, INVITE, 1),
                text,
                "another node has another digest"
            );
        }
        let cut = INVITE.replace("z9hG4bKx", "z9hG4bKt0000");
        let mut table = HeaderTable::default();
        let message = parse_datagram(cut.as_bytes(), &mut table);
        assert!(message.is_ok_and(|message| !digest.is_in_via(&message, &text)));
    }
}

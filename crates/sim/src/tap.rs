//! What crosses the proxy's boundary, and the checks that need nothing else: order within a dialog, untouched bytes,
//! one final response upstream, Via and Max-Forwards (RFC 3261 §16.6, §16.7).
//! Leaves out everything that only the peers or the records know: see `invariants`.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use crate::breadth::{self, BreadthWatch};
use crate::leg::FOREIGN;
use crate::sip_text::{SipText, parameter};
use crate::world::PROXY;

/// The mark of a BYE by which the proxy ends a call that comes back to it.
pub const OWN_BYE: &str = "own";

/// One arrival of a marked message.
#[derive(Debug)]
struct Arrival {
    order: u64,
    message: SipText,
    from: SocketAddr,
}

/// One message of a dialog that has left: when it had come, and its mark.
#[derive(Debug)]
struct Left {
    order: u64,
    mark: String,
}

/// A final response that left for an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    /// When it first left, µs.
    pub at_us: u64,
    /// Its status.
    pub status: u16,
    /// Its To-tag.
    pub tag: String,
    /// It came from a vendor, not from the proxy itself.
    pub marked: bool,
    /// What tells it from another of its status and tag: the mark of a 2xx, all the text of another.
    digest: u64,
    /// How often its INVITE had come when it left.
    arrivals: u64,
}

/// A new INVITE that reached the proxy.
#[derive(Clone, Debug)]
pub struct InviteSeen {
    /// When first, µs.
    pub at_us: u64,
    /// From where.
    pub from: SocketAddr,
    /// Its branch.
    pub branch: String,
}

/// A BYE that reached the proxy.
#[derive(Clone, Debug)]
pub struct ByeSeen {
    /// When, µs.
    pub at_us: u64,
    /// Call-ID.
    pub call_id: String,
    /// The message's mark.
    pub mark: String,
    /// Its From-tag and To-tag.
    pub tags: [String; 2],
}

/// The watcher at the proxy's boundary.
#[derive(Debug, Default)]
pub struct Tap {
    arrivals: HashMap<String, Vec<Arrival>>,
    order: u64,
    left: HashMap<(SocketAddr, String), Left>,
    gone: HashSet<String>,
    finals: HashMap<(SocketAddr, String), Vec<Final>>,
    /// How often each INVITE has come, by source and branch.
    invited: HashMap<(SocketAddr, String), u64>,
    /// Max-Breadth of the branches that are out.
    pub breadth: BreadthWatch,
    /// New INVITEs that reached the proxy, by Call-ID and source: a spiral comes from the proxy itself too.
    pub invites: HashMap<(String, SocketAddr), InviteSeen>,
    /// 2xx to INVITE that reached the proxy, by Call-ID, To-tag and source: when first, µs.
    pub answers: HashMap<(String, String, SocketAddr), u64>,
    /// ACKs that reached the proxy: Call-ID and To-tag.
    pub acks: HashSet<(String, String)>,
    /// BYEs that reached the proxy, every arrival: the first may have been refused.
    pub byes: Vec<ByeSeen>,
    /// CANCELs that reached the proxy, by Call-ID: when first, µs, and whether a final response had left before.
    pub cancels: HashMap<String, (u64, bool)>,
    /// Forgers garble INVITEs: the 400s that the proxy makes, without state, say nothing of the INVITE they resemble.
    pub garbled: bool,
    /// Messages here may be written in ways that the peers' reader does not know (folds, for one).
    pub tortuous: bool,
    /// What was found wrong.
    pub faults: Vec<String>,
}

impl Tap {
    /// The proxy's process was started again: what it had said of INVITEs under way it no longer knows.
    pub fn forget_finals(&mut self) {
        self.finals.clear();
        self.breadth.forget();
    }

    /// The place of a datagram in the order of arrival at the proxy's host.
    pub fn note_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// Notes a datagram that reaches its owner in the proxy; `order` is its place among those that reached the host.
    pub fn arrive(&mut self, now_us: u64, from: SocketAddr, bytes: &[u8], order: u64) {
        let Some(message) = SipText::parse(bytes) else {
            return;
        };
        if !message.is_request() {
            self.breadth.hear(&message);
        }
        let call_id = message.call_id().to_owned();
        let Some(mark) = message.first("X-Sim").map(str::to_owned) else {
            // One of the proxy's own, to itself.
            if message.is_request() && message.method() == "BYE" && Ok(from) == PROXY.parse() {
                self.byes.push(ByeSeen {
                    at_us: now_us,
                    call_id,
                    mark: OWN_BYE.to_owned(),
                    tags: tags_of(&message),
                });
            }
            return;
        };
        if message.is_request() {
            match message.method() {
                "INVITE" => {
                    let branch = message.branch().unwrap_or_default();
                    *self.invited.entry((from, branch.clone())).or_default() += 1;
                    if message.to_tag().is_none() {
                        self.invites.entry((call_id, from)).or_insert(InviteSeen {
                            at_us: now_us,
                            from,
                            branch,
                        });
                    }
                }
                "BYE" => self.byes.push(ByeSeen {
                    at_us: now_us,
                    call_id,
                    mark: mark.clone(),
                    tags: tags_of(&message),
                }),
                "ACK" => {
                    let [_, to_tag] = tags_of(&message);
                    self.acks.insert((call_id, to_tag));
                }
                "CANCEL" => {
                    let key = (from, message.branch().unwrap_or_default());
                    let late = self
                        .finals
                        .get(&key)
                        .is_some_and(|finals| !finals.is_empty());
                    let known = self.invites.contains_key(&(call_id.clone(), from));
                    if known {
                        self.cancels.entry(call_id).or_insert((now_us, late));
                    }
                }
                _ => {}
            }
        } else if message.method() == "INVITE" && (200..300).contains(&message.status()) {
            let tag = message.to_tag().unwrap_or("").to_owned();
            self.answers.entry((call_id, tag, from)).or_insert(now_us);
        }
        self.arrivals.entry(mark).or_default().push(Arrival {
            order,
            message,
            from,
        });
    }

    /// Notes a datagram that leaves the proxy.
    pub fn depart(&mut self, now_us: u64, to: SocketAddr, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        // What a stranger garbled comes back to him as he wrote it, in the fields that a response copies.
        let Some(message) = SipText::parse(text.as_bytes()) else {
            if !text.starts_with("SIP/2.0 4") && !self.tortuous {
                self.faults.push(format!(
                    "{now_us}: unreadable datagram sent to {to}: {text}"
                ));
            }
            return;
        };
        let upstream = FOREIGN.parse() != Ok(to);
        if upstream
            && !message.is_request()
            && message.status() >= 200
            && message.method() == "INVITE"
        {
            self.note_final(now_us, to, &message, &text);
        }
        if message.is_request() && message.method() == "CANCEL" {
            self.breadth.cancel(now_us, &message);
        }
        let Some(mark) = message.first("X-Sim").map(str::to_owned) else {
            return;
        };
        if let Some(fault) = self.check_breadth(now_us, to, &mark, &message) {
            self.faults
                .push(format!("{now_us}: {mark} to {to}: {fault}"));
        }
        if let Some(fault) = self.compare(&mark, &message) {
            self.faults
                .push(format!("{now_us}: {mark} to {to}: {fault}"));
        }
        self.check_order(now_us, &mark);
    }

    /// RFC 3261 §16.7: one final response per INVITE, or several 2xx (which may also follow another one, step 5).
    fn note_final(&mut self, now_us: u64, to: SocketAddr, message: &SipText, text: &str) {
        let (status, tag) = (message.status(), message.to_tag().unwrap_or("").to_owned());
        let key = (to, message.branch().unwrap_or_default());
        let arrivals = self.invited.get(&key).copied().unwrap_or(0);
        let dialog_since_us = self.dialog_since_us(message);
        let finals = self.finals.entry(key).or_default();
        let mark = message.first("X-Sim");
        let marked = mark.is_some();
        let digest = match mark {
            Some(mark) if status < 300 => digest_of(mark),
            _ => digest_of(text),
        };
        if self.garbled && status == 400 && !marked {
            return;
        }
        if finals
            .iter()
            .any(|known| known.status == status && known.tag == tag && known.digest == digest)
        {
            return;
        }
        // A refusal for want of room is made without state: the INVITE, come again since, may find some (overload, RFC 3261
        // §16.11). A 2xx may follow either way, and says nothing of which it was.
        // So is the 481 to a re-INVITE that overtook the 2xx of its dialog.
        if status >= 300 {
            finals.retain(|known| {
                let early = dialog_since_us.is_some_and(|since_us| known.at_us <= since_us);
                let without_state = known.status == 503 || known.status == 481 && early;
                known.marked || !without_state || arrivals == known.arrivals
            });
        }
        if status >= 300 && !finals.is_empty() {
            self.faults.push(format!(
                "{now_us}: {} hears {status} ({tag}) after {finals:?}",
                message.call_id()
            ));
        }
        finals.push(Final {
            at_us: now_us,
            status,
            tag,
            marked,
            digest,
            arrivals,
        });
    }

    /// When the 2xx came that made the dialog of an INVITE's response, µs: one side's tag is the one it brought.
    fn dialog_since_us(&self, message: &SipText) -> Option<u64> {
        let tags = tags_of(message);
        let answers = self.answers.iter();
        let of = answers.filter(|((call_id, tag, _), _)| {
            call_id == message.call_id() && tags.contains(tag) && !tag.is_empty()
        });
        of.map(|(_, at_us)| *at_us).min()
    }

    /// RFC 5393 §5.3.3: one Max-Breadth in every forwarded request; those of a fork share what came.
    fn check_breadth(
        &mut self,
        now_us: u64,
        to: SocketAddr,
        mark: &str,
        out: &SipText,
    ) -> Option<String> {
        if !out.is_request() || self.garbled {
            return None;
        }
        let came = self.arrivals.get(mark)?.iter();
        let mut brought = came.map(|arrival| breadth::brought(&arrival.message));
        if out.method() == "INVITE" && out.to_tag().is_none() {
            let brought = brought.max()?;
            return self.breadth.forward(now_us, to, brought, out);
        }
        let whole = brought.any(|brought| breadth::of(out) == Some(brought));
        // A request without a dialog is hunted too.
        (!whole && out.to_tag().is_some()).then(|| "Max-Breadth is not what came".to_owned())
    }

    /// What was forwarded must be what came, the last time or, when it spirals or is repeated, before.
    fn compare(&self, mark: &str, out: &SipText) -> Option<String> {
        let mut arrivals = self.arrivals.get(mark)?.iter().rev();
        let last = Self::difference(&arrivals.next()?.message, out)?;
        let same = |arrival: &Arrival| Self::difference(&arrival.message, out).is_none();
        (!arrivals.any(same)).then_some(last)
    }

    /// What differs beyond what §16.6 and §16.7 change, and RFC 4028 §8 in session refreshes.
    fn difference(came: &SipText, out: &SipText) -> Option<String> {
        let kept = |message: &SipText| -> Vec<(String, String)> {
            let changed = [
                "Via",
                "Max-Forwards",
                "Max-Breadth",
                "Route",
                "Record-Route",
                "Content-Length",
            ];
            let refresh = message
                .first("CSeq")
                .is_some_and(|cseq| cseq.ends_with(" INVITE") || cseq.ends_with(" UPDATE"));
            let timer = |name: &str, value: &str| {
                refresh
                    && (["Session-Expires", "Min-SE"].contains(&name)
                        || name == "Require" && value == "timer")
            };
            let fields = message.headers.iter();
            fields
                .filter(|(name, value)| !changed.contains(&name.as_str()) && !timer(name, value))
                .cloned()
                .collect()
        };
        if kept(came) != kept(out) || came.body != out.body {
            return Some(format!("changed on the way: {came:?} became {out:?}"));
        }
        let branches = |message: &SipText| -> Vec<String> {
            let vias = message.values("Via");
            vias.iter()
                .map(|via| parameter(via, "branch").unwrap_or("").to_owned())
                .collect()
        };
        let (before, after) = (branches(came), branches(out));
        if came.is_request() {
            if after.get(1..) != Some(&before[..]) {
                return Some(format!("Via {before:?} became {after:?}"));
            }
            let hops = |message: &SipText| {
                message
                    .first("Max-Forwards")
                    .and_then(|hops| hops.parse::<u32>().ok())
            };
            if hops(out).map(|hops| hops + 1) != hops(came) {
                return Some("Max-Forwards is not one less".to_owned());
            }
        } else if before.get(1..) != Some(&after[..]) {
            return Some(format!("Via {before:?} became {after:?}"));
        }
        None
    }

    /// Two messages of one dialog that came in order from one source leave in that order.
    fn check_order(&mut self, now_us: u64, mark: &str) {
        let Some(arrivals) = self.arrivals.get(mark) else {
            return;
        };
        // Which arrival was forwarded is not known: earlier ones may have been refused, all may have been parked. A swap is
        // what no reading explains: all of this one's arrivals lie before the first of one that left earlier.
        let (Some(first), Some(arrival)) = (arrivals.first(), arrivals.last()) else {
            return;
        };
        let message = &arrival.message;
        let mut tags = [
            message.from_tag().unwrap_or(""),
            message.to_tag().unwrap_or(""),
        ];
        tags.sort_unstable();
        let group = (
            arrival.from,
            format!("{} {} {}", message.call_id(), tags[0], tags[1]),
        );
        // With strict durability the answer to a BYE waits for its record, when the dialog is over already.
        if !message.is_request() && message.method() == "BYE" {
            return;
        }
        // Refusals are kept until the best of them is chosen (§16.7(6)).
        if !message.is_request() && message.method() == "INVITE" && message.status() >= 300 {
            return;
        }
        // A retransmission that is forwarded again (2xx, ACK) has had its turn.
        if !self.gone.insert(mark.to_owned()) {
            return;
        }
        let (earliest, latest) = (first.order, arrival.order);
        match self.left.get_mut(&group) {
            Some(last) if last.order > latest => {
                let fault = format!(
                    "{now_us}: {mark} was overtaken by {} in {}",
                    last.mark, group.1
                );
                self.faults.push(fault);
            }
            Some(last) if last.order > earliest => {}
            _ => {
                let mark = mark.to_owned();
                self.left.insert(
                    group,
                    Left {
                        order: earliest,
                        mark,
                    },
                );
            }
        }
    }

    /// Final responses that left for the new INVITE of that Call-ID from there.
    pub fn finals(&self, call_id: &str, from: SocketAddr) -> &[Final] {
        let invite = self.invites.get(&(call_id.to_owned(), from));
        invite
            .and_then(|invite| self.finals.get(&(from, invite.branch.clone())))
            .map_or(&[], Vec::as_slice)
    }
}

fn tags_of(message: &SipText) -> [String; 2] {
    [message.from_tag(), message.to_tag()].map(|tag| tag.unwrap_or_default().to_owned())
}

fn digest_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(method: &str, mark: &str) -> SipText {
        SipText::request(method, "sip:1@192.0.2.2")
            .with("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa")
            .with("Max-Forwards", "70")
            .with("From", "<sip:a@b>;tag=1")
            .with("To", "<sip:c@d>;tag=2")
            .with("Call-ID", "c")
            .with("CSeq", &format!("2 {method}"))
            .with("X-Sim", mark)
    }

    fn forwarded(mut message: SipText) -> Vec<u8> {
        message.headers.insert(
            0,
            ("Via".to_owned(), "SIP/2.0/UDP p;branch=z9hG4bKp".to_owned()),
        );
        message.set("Max-Forwards", "69");
        message.set("Max-Breadth", "60");
        message.encode()
    }

    #[test]
    fn a_swap_within_a_dialog_is_seen() {
        let (source, to) = (
            "192.0.2.9:5060".parse().unwrap(),
            "192.0.2.2:5060".parse().unwrap(),
        );
        let mut tap = Tap::default();
        tap.arrive(0, source, &message("ACK", "m1").encode(), 1);
        tap.arrive(1, source, &message("BYE", "m2").encode(), 2);
        tap.depart(1, to, &forwarded(message("BYE", "m2")));
        tap.depart(2, to, &forwarded(message("ACK", "m1")));
        assert_eq!(tap.faults.len(), 1, "{:?}", tap.faults);
    }

    #[test]
    fn a_changed_header_is_seen() {
        let (source, to) = (
            "192.0.2.9:5060".parse().unwrap(),
            "192.0.2.2:5060".parse().unwrap(),
        );
        let mut tap = Tap::default();
        tap.arrive(0, source, &message("BYE", "m1").encode(), 1);
        tap.depart(0, to, &forwarded(message("BYE", "m1").with("Subject", "x")));
        assert_eq!(tap.faults.len(), 1);
        tap.depart(0, to, &forwarded(message("BYE", "m1")));
        assert_eq!(tap.faults.len(), 1);
    }

    #[test]
    fn another_refusal_of_the_same_status_and_tag_is_seen() {
        let to = "192.0.2.9:5060".parse().unwrap();
        let mut tap = Tap::default();
        let refusal = SipText::response(&message("INVITE", "m1"), 486, "t");
        for _ in 0..2 {
            tap.depart(0, to, &refusal.encode());
        }
        assert!(tap.faults.is_empty());
        tap.depart(0, to, &refusal.with("Warning", "399 p other").encode());
        assert_eq!(tap.faults.len(), 1);
    }

    #[test]
    fn a_503_is_forgiven_only_when_the_invite_has_come_again_since() {
        let source = "192.0.2.9:5060".parse().unwrap();
        for again in [true, false] {
            let mut tap = Tap::default();
            let mut invite = message("INVITE", "m1");
            invite.set("To", "<sip:c@d>");
            tap.arrive(0, source, &invite.encode(), 1);
            tap.depart(1, source, &SipText::response(&invite, 503, "t").encode());
            if again {
                tap.arrive(2, source, &invite.encode(), 2);
            }
            tap.depart(3, source, &SipText::response(&invite, 486, "t").encode());
            assert_eq!(tap.faults.is_empty(), again, "{:?}", tap.faults);
        }
    }

    #[test]
    fn a_481_is_forgiven_only_when_the_2xx_of_the_dialog_and_the_re_invite_have_come_since() {
        let source = "192.0.2.9:5060".parse().unwrap();
        for (answered_us, again) in [
            (Some(2), true),
            (Some(2), false),
            (None, true),
            (Some(0), true),
        ] {
            let mut tap = Tap::default();
            let mut answer =
                SipText::response(&message("INVITE", "m0"), 200, "1").with("X-Sim", "m9");
            answer.set("To", "<sip:a@b>;tag=1");
            answer.set("From", "<sip:c@d>;tag=2");
            let invite = message("INVITE", "m1");
            if answered_us == Some(0) {
                tap.arrive(0, source, &answer.encode(), 1);
            }
            tap.arrive(1, source, &invite.encode(), 2);
            tap.depart(1, source, &SipText::response(&invite, 481, "2").encode());
            if answered_us == Some(2) {
                tap.arrive(2, source, &answer.encode(), 3);
            }
            if again {
                tap.arrive(3, source, &invite.encode(), 4);
            }
            tap.depart(4, source, &SipText::response(&invite, 486, "2").encode());
            let forgiven = answered_us == Some(2) && again;
            assert_eq!(tap.faults.is_empty(), forgiven, "{:?}", tap.faults);
        }
    }

    #[test]
    fn two_refusals_of_one_invite_are_seen() {
        let to = "192.0.2.9:5060".parse().unwrap();
        let mut tap = Tap::default();
        let invite = message("INVITE", "m1");
        tap.depart(0, to, &SipText::response(&invite, 486, "t").encode());
        tap.depart(0, to, &SipText::response(&invite, 486, "t").encode());
        assert!(tap.faults.is_empty());
        tap.depart(0, to, &SipText::response(&invite, 487, "t").encode());
        assert_eq!(tap.faults.len(), 1);
    }
}

//! The Max-Breadth of what leaves, against that of what came (RFC 5393 §5.3.3): branches without a final response never
//! have more, together, than their INVITE brought.
//! Leaves out in-dialog requests, which have one branch: `tap` compares their value.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::agent::T64_US;
use crate::sip_text::{SipText, parameter};

/// What an INVITE brings that says nothing, and the most that any can.
const DEFAULT: u32 = 60;

#[derive(Debug)]
struct Branch {
    to: SocketAddr,
    breadth: u32,
    /// When the proxy gives it up by itself: Timer B, or 64·T1 after its CANCEL; `None` while it rings.
    ends_us: Option<u64>,
    cancelled: bool,
}

/// The branches of every INVITE under way.
#[derive(Debug, Default)]
pub struct BreadthWatch {
    /// By Call-ID and the branch of the INVITE as it came; within, by the branch that the proxy gave.
    forks: HashMap<(String, String), HashMap<String, Branch>>,
}

/// The value of a request.
pub fn of(message: &SipText) -> Option<u32> {
    message.first("Max-Breadth")?.parse().ok()
}

/// What a forwarded request may share out: what came, as far as it is allowed.
pub fn brought(came: &SipText) -> u32 {
    of(came).unwrap_or(DEFAULT).min(DEFAULT)
}

fn branches(message: &SipText) -> (String, String) {
    let vias = message.values("Via");
    let branch = |at: usize| {
        let via = vias.get(at).map(String::as_str).unwrap_or_default();
        parameter(via, "branch").unwrap_or("").to_owned()
    };
    (branch(0), branch(1))
}

impl BreadthWatch {
    /// A response reaches the proxy.
    pub fn hear(&mut self, message: &SipText) {
        if message.method() != "INVITE" {
            return;
        }
        let (ours, theirs) = branches(message);
        let key = (message.call_id().to_owned(), theirs);
        let Some(fork) = self.forks.get_mut(&key) else {
            return;
        };
        if message.status() >= 200 {
            fork.remove(&ours);
        } else if let Some(branch) = fork.get_mut(&ours)
            && !branch.cancelled
        {
            branch.ends_us = None;
        }
    }

    /// A forwarded INVITE leaves; the fault, if there is one.
    pub fn forward(
        &mut self,
        now_us: u64,
        to: SocketAddr,
        brought: u32,
        out: &SipText,
    ) -> Option<String> {
        let Some(breadth) = of(out) else {
            return Some("no Max-Breadth".to_owned());
        };
        let (ours, theirs) = branches(out);
        let fork = self
            .forks
            .entry((out.call_id().to_owned(), theirs))
            .or_default();
        fork.retain(|_, branch| branch.ends_us.is_none_or(|ends_us| now_us < ends_us));
        fork.entry(ours).or_insert(Branch {
            to,
            breadth,
            ends_us: Some(now_us + T64_US),
            cancelled: false,
        });
        let sum: u32 = fork.values().map(|branch| branch.breadth).sum();
        (breadth == 0 || sum > brought)
            .then(|| format!("Max-Breadth {sum} in all, {brought} brought"))
    }

    /// A CANCEL leaves: its branch is awaited for 64·T1 at most.
    pub fn cancel(&mut self, now_us: u64, cancel: &SipText) {
        let ours = cancel.branch().unwrap_or_default();
        for fork in self.forks.values_mut() {
            // A CANCEL that is sent again changes nothing.
            if let Some(branch) = fork.get_mut(&ours)
                && !branch.cancelled
            {
                branch.cancelled = true;
                branch.ends_us = Some(now_us + T64_US);
            }
        }
    }

    /// The proxy hears that an address cannot be reached.
    pub fn unreachable(&mut self, remote: SocketAddr) {
        for fork in self.forks.values_mut() {
            fork.retain(|_, branch| branch.to != remote);
        }
    }

    /// The proxy's process was started again.
    pub fn forget(&mut self) {
        self.forks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(breadth: &str, ours: &str) -> SipText {
        SipText::request("INVITE", "sip:1@192.0.2.2")
            .with("Via", &format!("SIP/2.0/UDP p;branch={ours}"))
            .with("Via", "SIP/2.0/UDP c;branch=theirs")
            .with("From", "<sip:a@b>;tag=1")
            .with("To", "<sip:c@d>")
            .with("Call-ID", "c")
            .with("CSeq", "1 INVITE")
            .with("Max-Breadth", breadth)
    }

    #[test]
    fn a_fork_that_is_too_broad_is_seen() {
        let to = SocketAddr::from(([192, 0, 2, 2], 5060));
        let mut watch = BreadthWatch::default();
        assert_eq!(watch.forward(0, to, 5, &invite("3", "one")), None);
        assert_eq!(watch.forward(0, to, 5, &invite("2", "two")), None);
        // The same request once more is no branch of its own.
        assert_eq!(watch.forward(1, to, 5, &invite("2", "two")), None);
        assert!(watch.forward(2, to, 5, &invite("1", "three")).is_some());
        assert!(watch.forward(2, to, 5, &invite("0", "four")).is_some());
    }

    #[test]
    fn a_final_response_frees_the_share_of_its_branch_and_so_does_its_time_out() {
        let to = SocketAddr::from(([192, 0, 2, 2], 5060));
        let mut watch = BreadthWatch::default();
        assert_eq!(watch.forward(0, to, 3, &invite("3", "one")), None);
        watch.hear(&SipText::response(&invite("3", "one"), 180, "t"));
        assert!(watch.forward(T64_US, to, 3, &invite("1", "two")).is_some());
        watch.hear(&SipText::response(&invite("1", "two"), 503, "t"));
        watch.hear(&SipText::response(&invite("3", "one"), 503, "t"));
        assert_eq!(watch.forward(T64_US, to, 3, &invite("3", "three")), None);
        assert_eq!(
            watch.forward(2 * T64_US, to, 3, &invite("3", "four")),
            None,
            "nothing was heard of it for 64·T1"
        );
    }
}

//! A dialog as an endpoint keeps it (RFC 3261 §12): tags, CSeq numbers, route set, remote target.
//! Builds the requests of the dialog and says where they go (§12.2.1.1).
//! Leaves out strict routing: Tandem's Record-Route always says `lr`.

use std::net::SocketAddr;

use crate::sip_text::{SipText, parameter, socket_of, uri_of};

/// One side's state of one dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// From of our requests, with our tag.
    pub local: String,
    /// To of our requests, with the peer's tag.
    pub remote: String,
    /// CSeq number of our last request.
    pub local_cseq: u32,
    /// Highest CSeq number seen from the peer.
    pub remote_cseq: u32,
    /// Route values of our requests.
    pub routes: Vec<String>,
    /// Remote target: the request URI of our requests.
    pub target: String,
    /// Our Contact value.
    pub contact: String,
    /// The session interval that our re-INVITEs and UPDATEs ask for (RFC 4028), as it was first asked for.
    pub session_expires: Option<String>,
}

impl Dialog {
    /// The caller's side, from its INVITE and a response with a To-tag (§12.1.2).
    pub fn of_caller(invite: &SipText, response: &SipText) -> Self {
        let mut routes = response.values("Record-Route");
        routes.reverse();
        Self {
            call_id: invite.call_id().to_owned(),
            local: invite.first("From").unwrap_or("").to_owned(),
            remote: response.first("To").unwrap_or("").to_owned(),
            local_cseq: invite.cseq(),
            remote_cseq: 0,
            routes,
            target: contact_uri(response),
            contact: invite.first("Contact").unwrap_or("").to_owned(),
            session_expires: invite.first("Session-Expires").map(str::to_owned),
        }
    }

    /// The callee's side, from the INVITE and our own tag and Contact (§12.1.1).
    pub fn of_callee(invite: &SipText, local_tag: &str, contact: &str) -> Self {
        Self {
            call_id: invite.call_id().to_owned(),
            local: format!("{};tag={local_tag}", invite.first("To").unwrap_or("")),
            remote: invite.first("From").unwrap_or("").to_owned(),
            local_cseq: 0,
            remote_cseq: invite.cseq(),
            routes: invite.values("Record-Route"),
            target: contact_uri(invite),
            contact: contact.to_owned(),
            session_expires: None,
        }
    }

    /// The peer's tag.
    pub fn remote_tag(&self) -> &str {
        parameter(&self.remote, "tag").unwrap_or("")
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        parameter(&self.local, "tag").unwrap_or("")
    }

    /// A request of the dialog without Via, CSeq counted up (but for ACK, which takes `cseq`).
    pub fn request(&mut self, method: &str, cseq: Option<u32>) -> SipText {
        let number = cseq.unwrap_or_else(|| {
            self.local_cseq += 1;
            self.local_cseq
        });
        let mut request = SipText::request(method, &self.target);
        for route in &self.routes {
            request.push("Route", route);
        }
        request.push("Max-Forwards", "70");
        request.push("From", &self.local);
        request.push("To", &self.remote);
        request.push("Call-ID", &self.call_id);
        request.push("CSeq", &format!("{number} {method}"));
        if matches!(method, "INVITE" | "UPDATE") {
            request.push("Contact", &self.contact);
            if let Some(session_expires) = &self.session_expires {
                request.push("Supported", "timer");
                request.push("Session-Expires", session_expires);
            }
        }
        request
    }

    /// Where our requests go: the first Route, else `otherwise`.
    pub fn next_hop(&self, otherwise: SocketAddr) -> SocketAddr {
        self.routes
            .first()
            .and_then(|route| socket_of(uri_of(route)))
            .unwrap_or(otherwise)
    }

    /// Target refresh by a request or a 2xx of the peer (§12.2).
    pub fn refresh_target(&mut self, message: &SipText) {
        let target = contact_uri(message);
        if !target.is_empty() {
            self.target = target;
        }
    }
}

fn contact_uri(message: &SipText) -> String {
    message
        .first("Contact")
        .map(uri_of)
        .unwrap_or("")
        .to_owned()
}

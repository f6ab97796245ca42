//! One call placed by a scripted caller: INVITE, the dialog that the 200 makes, in-dialog requests.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use super::peer::{Peer, Received};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// The caller's view of its call.
pub(crate) struct Call<'a> {
    caller: &'a Peer,
    proxy: SocketAddr,
    number: String,
    pub(crate) call_id: String,
    from_tag: String,
    /// To, with the tag once there is one.
    to: String,
    remote_target: String,
    /// Route values, first hop first.
    routes: Vec<String>,
}

impl<'a> Call<'a> {
    /// A call that is not sent yet.
    pub(crate) fn new(caller: &'a Peer, proxy: SocketAddr, number: &str) -> Self {
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            caller,
            proxy,
            number: number.to_owned(),
            call_id: format!(
                "drill-{}-{serial}@{}",
                std::process::id(),
                caller.address.ip()
            ),
            from_tag: format!("f{serial}"),
            to: format!("<sip:{number}@{proxy}>"),
            remote_target: format!("sip:{number}@{proxy}"),
            routes: Vec::new(),
        }
    }

    /// Places a call, has `vendor` answer it, and acknowledges.
    pub(crate) fn up(
        caller: &'a Peer,
        proxy: SocketAddr,
        number: &str,
        vendor: &Peer,
    ) -> (Self, Received) {
        let mut call = Self::new(caller, proxy, number);
        call.send_invite();
        let invite = vendor.expect("INVITE");
        vendor.answer(&invite, "180 Ringing", "v1");
        vendor.answer(&invite, "200 OK", "v1");
        let ok = caller.expect("200 INVITE");
        call.learn(&ok);
        call.send(&call.request("ACK", 1));
        vendor.expect("ACK");
        (call, invite)
    }

    /// The same call in another dialog: the one that a further 200 makes.
    pub(crate) fn fork(&self, ok: &Received) -> Self {
        let mut other = Self {
            caller: self.caller,
            proxy: self.proxy,
            number: self.number.clone(),
            call_id: self.call_id.clone(),
            from_tag: self.from_tag.clone(),
            to: String::new(),
            remote_target: String::new(),
            routes: Vec::new(),
        };
        other.learn(ok);
        other
    }

    /// The branch of requests outside the dialog: INVITE, its CANCEL, the ACK of a refusal.
    fn invite_branch(&self) -> String {
        format!("z9hG4bK-{}-invite", self.from_tag)
    }

    pub(crate) fn send_invite(&self) {
        let text = self.out_of_dialog("INVITE", &self.to);
        self.send(&text);
    }

    /// An INVITE with more header lines.
    pub(crate) fn send_invite_with(&self, more: &str) {
        let text = self.out_of_dialog("INVITE", &self.to);
        self.send(&text.replace("Content-Length:", &format!("{more}Content-Length:")));
    }

    pub(crate) fn send_cancel(&self) {
        let text = self.out_of_dialog("CANCEL", &self.to);
        self.send(&text);
    }

    /// Acknowledges a final response above 299.
    pub(crate) fn acknowledge_refusal(&self, response: &Received) {
        let text = self.out_of_dialog("ACK", response.header("To"));
        self.send(&text);
    }

    fn out_of_dialog(&self, method: &str, to: &str) -> String {
        let (proxy, local) = (self.proxy, self.caller.address);
        format!(
            "{method} sip:{}@{proxy} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:12025550100@{local}>;tag={}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:12025550100@{local}>\r\nContent-Length: 0\r\n\r\n",
            self.number,
            self.invite_branch(),
            self.from_tag,
            self.call_id
        )
    }

    /// Takes tag, remote target and route set from a 200.
    pub(crate) fn learn(&mut self, ok: &Received) {
        self.to = ok.header("To").to_owned();
        let contact = ok.header("Contact");
        self.remote_target = contact
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap_or_default()
            .to_owned();
        self.routes = ok
            .headers("Record-Route")
            .iter()
            .rev()
            .map(|&route| route.to_owned())
            .collect();
    }

    /// An in-dialog request with a branch of its own.
    pub(crate) fn request(&self, method: &str, cseq: u32) -> String {
        let local = self.caller.address;
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let routes: String = self
            .routes
            .iter()
            .map(|route| format!("Route: {route}\r\n"))
            .collect();
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{}-{serial};rport\r\n{routes}Max-Forwards: 70\r\n\
             From: <sip:12025550100@{local}>;tag={}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            self.remote_target, self.from_tag, self.from_tag, self.to, self.call_id
        )
    }

    /// The Route lines as they stand in a request.
    pub(crate) fn route_lines(&self) -> String {
        self.routes
            .iter()
            .map(|route| format!("Route: {route}\r\n"))
            .collect()
    }

    /// Sends text to the proxy from the caller's socket.
    pub(crate) fn send(&self, text: &str) {
        self.caller.send(self.proxy, text);
    }

    /// Hangs up properly: `vendor` answers the BYE and the caller hears it.
    pub(crate) fn hang_up(&self, cseq: u32, vendor: &Peer) {
        self.send(&self.request("BYE", cseq));
        let bye = vendor.expect("BYE");
        vendor.answer(&bye, "200 OK", "");
        self.caller.expect("200 BYE");
    }
}

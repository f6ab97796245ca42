//! A scripted SIP peer on a socket of its own: sends text, waits for what should come, answers by hand.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long a peer waits for a message that must come.
const PATIENCE: Duration = Duration::from_secs(8);

/// The peer.
pub(crate) struct Peer {
    socket: UdpSocket,
    pub(crate) address: SocketAddr,
}

/// A message as received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) text: String,
    pub(crate) from: SocketAddr,
}

impl Received {
    pub(crate) fn start_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The status of a response, 0 for a request.
    pub(crate) fn status(&self) -> u16 {
        self.start_line()
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or(0)
    }

    /// Every value of a header field, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(field, _)| field.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The first value of a header field that must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers(name)
            .first()
            .copied()
            .unwrap_or_else(|| panic!("no {name} in:\n{}", self.text))
    }

    /// Whether this is a request of `what`, or a response whose status and CSeq method are `what`, as in `200 INVITE`.
    pub(crate) fn is(&self, what: &str) -> bool {
        match self.status() {
            0 => self.start_line().split(' ').next() == Some(what),
            status => {
                let method = self
                    .header("CSeq")
                    .split_whitespace()
                    .nth(1)
                    .unwrap_or_default();
                what == format!("{status} {method}")
            }
        }
    }

    /// The user part of the request URI.
    pub(crate) fn called_user(&self) -> &str {
        let uri = self.start_line().split(' ').nth(1).unwrap_or_default();
        uri.trim_start_matches("sip:")
            .split('@')
            .next()
            .unwrap_or_default()
    }
}

impl Peer {
    pub(crate) fn bind(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        Self {
            address: socket.local_addr().expect("bound"),
            socket,
        }
    }

    pub(crate) fn send(&self, to: SocketAddr, text: &str) {
        self.send_bytes(to, text.as_bytes());
    }

    pub(crate) fn send_bytes(&self, to: SocketAddr, bytes: &[u8]) {
        self.socket.send_to(bytes, to).expect("sent");
    }

    /// The next message, whatever it is.
    pub(crate) fn receive(&self, limit: Duration) -> Option<Received> {
        let (bytes, from) = self.receive_bytes(limit)?;
        Some(Received {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            from,
        })
    }

    /// The next datagram, which need not be text.
    pub(crate) fn receive_bytes(&self, limit: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; 65_535];
        self.socket
            .set_read_timeout(Some(limit.max(Duration::from_millis(1))))
            .expect("set");
        let (len, from) = self.socket.recv_from(&mut buffer).ok()?;
        buffer.truncate(len);
        Some((buffer, from))
    }

    /// The next message of this kind (see [`Received::is`]); others are skipped.
    pub(crate) fn expect(&self, what: &str) -> Received {
        self.expect_within(what, PATIENCE)
            .unwrap_or_else(|| panic!("{} waited in vain for {what}", self.address))
    }

    /// As [`Peer::expect`], but it may fail to come.
    pub(crate) fn expect_within(&self, what: &str, limit: Duration) -> Option<Received> {
        let until = Instant::now() + limit;
        while let Some(left) = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            if let Some(received) = self.receive(left)
                && received.is(what)
            {
                return Some(received);
            }
        }
        None
    }

    /// The next final response to a method.
    pub(crate) fn expect_final(&self, method: &str) -> Received {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let received = self
                .receive(left)
                .unwrap_or_else(|| panic!("{} got no final response to {method}", self.address));
            if received.status() >= 200 && received.header("CSeq").ends_with(method) {
                return received;
            }
            assert!(
                !left.is_zero(),
                "{} got no final response to {method}",
                self.address
            );
        }
    }

    /// Answers a request; `to_tag` is added when the To has none.
    pub(crate) fn answer(&self, request: &Received, status: &str, to_tag: &str) {
        self.answer_with(request, status, to_tag, "");
    }

    /// As [`Peer::answer`], with more header lines, each ended by CRLF.
    pub(crate) fn answer_with(&self, request: &Received, status: &str, to_tag: &str, more: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        let mut line = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\r\n"));
        for via in request.headers("Via") {
            line("Via", via);
        }
        for route in request.headers("Record-Route") {
            line("Record-Route", route);
        }
        line("From", request.header("From"));
        let to = request.header("To");
        line(
            "To",
            &if to.contains(";tag=") {
                to.to_owned()
            } else {
                format!("{to};tag={to_tag}")
            },
        );
        line("Call-ID", request.header("Call-ID"));
        line("CSeq", request.header("CSeq"));
        line("Contact", &format!("<sip:vendor@{}>", self.address));
        line("Content-Length", "0");
        text.push_str(more);
        text.push_str("\r\n");
        self.send(request.from, &text);
    }
}

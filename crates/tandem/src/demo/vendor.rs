//! A vendor of the demo: a UAS on a loopback socket that refuses, answers, is busy or rings for ever.
//! Just enough of RFC 3261 §8.2 and §13.3 for a network that loses nothing.
//! Leaves out retransmission: on loopback nothing is lost.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sip_parser::{
    HeaderTable, KnownHeader, Limits, Message, Method, ResponseParts, parse_datagram,
    write_response,
};

/// How long the called party rings before it answers.
const RING: Duration = Duration::from_millis(300);
/// How often the thread looks at its clock.
const TICK: Duration = Duration::from_millis(10);

/// What a vendor does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 503 to everyone.
    Refuses,
    /// Rings, then does what the last digit of the number says: 2 is busy, 3 is never answered, all others answer.
    Answers,
}

/// A vendor that runs until it is dropped.
pub(crate) struct DemoVendor {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DemoVendor {
    /// Starts it on a free port of 127.0.0.1.
    pub(crate) fn start(manner: Manner) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(TICK))?;
        let address = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("demo-vendor".to_owned())
            .spawn(move || {
                let mut vendor = Vendor {
                    socket,
                    address,
                    manner,
                    due: Vec::new(),
                    ringing: Vec::new(),
                };
                while !stopped.load(Ordering::Relaxed) {
                    vendor.turn();
                }
            })?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DemoVendor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A vendor that panicked has already said so on stderr.
            let _ = thread.join();
        }
    }
}

/// An INVITE that has no final response yet.
struct Ringing {
    branch: Vec<u8>,
    request: Vec<u8>,
    peer: SocketAddr,
}

struct Vendor {
    socket: UdpSocket,
    address: SocketAddr,
    manner: Manner,
    /// Answers to send later: when, and the branch of the INVITE.
    due: Vec<(Instant, Vec<u8>, u16)>,
    ringing: Vec<Ringing>,
}

impl Vendor {
    fn turn(&mut self) {
        let mut buffer = [0; 65_535];
        if let Ok((len, peer)) = self.socket.recv_from(&mut buffer) {
            let mut table = HeaderTable::new(Limits::default());
            if let Ok(message) = parse_datagram(&buffer[..len], &mut table) {
                self.on_message(&message, peer);
            }
        }
        let now = Instant::now();
        let due: Vec<_> = self.due.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, branch, status) in due {
            self.finish(&branch, status);
        }
    }

    fn on_message(&mut self, message: &Message<'_>, peer: SocketAddr) {
        if !message.is_request() {
            return;
        }
        match message.method() {
            Method::Invite => self.on_invite(message, peer),
            Method::Cancel => {
                self.send(message, peer, 200);
                let branch = branch_of(message);
                self.finish(&branch, 487);
            }
            Method::Ack => {}
            _ => self.send(message, peer, 200),
        }
    }

    fn on_invite(&mut self, message: &Message<'_>, peer: SocketAddr) {
        if self.manner == Manner::Refuses {
            self.send(message, peer, 503);
            return;
        }
        let branch = branch_of(message);
        if self.ringing.iter().any(|ringing| ringing.branch == branch) {
            return;
        }
        self.send(message, peer, 100);
        self.send(message, peer, 180);
        let user = message
            .request_uri()
            .split(|byte| *byte == b'@')
            .next()
            .unwrap_or_default();
        let answer = match user.last() {
            Some(b'2') => Some(486),
            Some(b'3') => None,
            _ => Some(200),
        };
        if let Some(status) = answer {
            self.due
                .push((Instant::now() + RING, branch.clone(), status));
        }
        self.ringing.push(Ringing {
            branch,
            request: message.bytes().to_vec(),
            peer,
        });
    }

    /// Sends the final response of a ringing INVITE, once.
    fn finish(&mut self, branch: &[u8], status: u16) {
        let Some(index) = self
            .ringing
            .iter()
            .position(|ringing| ringing.branch == branch)
        else {
            return;
        };
        let ringing = self.ringing.swap_remove(index);
        let mut table = HeaderTable::new(Limits::default());
        if let Ok(invite) = parse_datagram(&ringing.request, &mut table) {
            self.send(&invite, ringing.peer, status);
        }
    }

    fn send(&self, request: &Message<'_>, peer: SocketAddr, status: u16) {
        let contact = format!("<sip:{}>", self.address);
        let establishes = request.method() == Method::Invite && (101..300).contains(&status);
        let headers: &[(&[u8], &[u8])] = if establishes {
            &[(b"Contact", contact.as_bytes())]
        } else {
            &[]
        };
        // One tag for one call, so that 180 and 200 are of one dialog.
        let tag: Vec<u8> = request
            .call_id()
            .iter()
            .copied()
            .filter(u8::is_ascii_alphanumeric)
            .take(16)
            .collect();
        let mut bytes = Vec::new();
        let parts = ResponseParts {
            status,
            reason: sip_parser::reason_phrase(status).as_bytes(),
            to_tag: Some(&tag),
            received_from: None,
            headers,
            copy_record_route: establishes,
        };
        write_response(request, &parts, &mut bytes);
        // A caller that has gone needs no answer.
        let _ = self.socket.send_to(&bytes, peer);
    }
}

fn branch_of(message: &Message<'_>) -> Vec<u8> {
    message
        .header(KnownHeader::Via)
        .map(|via| via.value.to_vec())
        .unwrap_or_default()
}

//! The caller of the demo: one call, from INVITE to the end, on a socket of its own.
//! Just enough of RFC 3261 §8.1, §9.1, §13.2 and §15.1 for a network that loses nothing.
//! Leaves out media: the call is its signalling.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sip_parser::{HeaderTable, KnownHeader, Limits, Message, Method, parse_datagram};

/// How long a call may take to get its final response before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the caller does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plan {
    /// Talks for this long, then hangs up.
    Talk(Duration),
    /// Gives up when it has rung for this long.
    Cancel(Duration),
}

/// One call of the demo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DemoCall {
    /// The number called.
    pub(crate) callee: &'static str,
    /// What it shows, in a few words.
    pub(crate) story: &'static str,
    /// What the caller does.
    pub(crate) plan: Plan,
}

impl DemoCall {
    /// Places the call through `proxy` and returns the final status heard.
    ///
    /// # Errors
    /// The socket fails, or no final response comes in time.
    pub(crate) fn place(self, proxy: SocketAddr) -> io::Result<u16> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(proxy)?;
        let local = socket.local_addr()?;
        let caller = Caller {
            id: format!("demo-{:016x}", fastrand::u64(..)),
            call: self,
            proxy,
            local,
            socket,
        };
        caller.run()
    }
}

struct Caller {
    id: String,
    call: DemoCall,
    proxy: SocketAddr,
    local: SocketAddr,
    socket: UdpSocket,
}

/// What the 2xx says about the rest of the dialog.
struct Dialog {
    to: String,
    target: String,
    /// The route set: Record-Route in reverse (RFC 3261 §12.1.2).
    routes: Vec<String>,
}

impl Caller {
    fn run(&self) -> io::Result<u16> {
        let uri = format!("sip:{}@{}", self.call.callee, self.proxy);
        let to = format!("<{uri}>");
        self.send("INVITE", &uri, &to, "invite", 1, &[])?;
        let deadline = Instant::now() + PATIENCE;
        let mut cancel_at = None;
        let mut buffer = vec![0; 65_535];
        loop {
            if cancel_at.is_some_and(|at| at <= Instant::now()) {
                cancel_at = None;
                self.send("CANCEL", &uri, &to, "invite", 1, &[])?;
            }
            let Some(len) = self.receive(&mut buffer, Duration::from_millis(10))? else {
                if Instant::now() > deadline {
                    let message = format!("no final response for the call to {}", self.call.callee);
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
                continue;
            };
            let mut table = HeaderTable::new(Limits::default());
            let Ok(message) = parse_datagram(&buffer[..len], &mut table) else {
                continue;
            };
            if message.is_request() || message.method() != Method::Invite {
                continue;
            }
            match (message.status(), self.call.plan) {
                (180..=199, Plan::Cancel(after)) => cancel_at = Some(Instant::now() + after),
                (0..=199, _) => {}
                (status @ 200..=299, plan) => {
                    let dialog = dialog_of(&message);
                    self.send("ACK", &dialog.target, &dialog.to, "ack", 1, &dialog.routes)?;
                    if let Plan::Talk(duration) = plan {
                        std::thread::sleep(duration);
                    }
                    self.send("BYE", &dialog.target, &dialog.to, "bye", 2, &dialog.routes)?;
                    self.receive(&mut buffer, PATIENCE)?;
                    return Ok(status);
                }
                (status, _) => {
                    let answered_to = text(message.header(KnownHeader::To).map(|to| to.value));
                    self.send("ACK", &uri, &answered_to, "invite", 1, &[])?;
                    return Ok(status);
                }
            }
        }
    }

    fn send(
        &self,
        method: &str,
        uri: &str,
        to: &str,
        branch: &str,
        cseq: u32,
        routes: &[String],
    ) -> io::Result<()> {
        let (id, local) = (&self.id, self.local);
        let mut message = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK-{id}-{branch};rport\r\n\
             Max-Forwards: 70\r\n"
        );
        for route in routes {
            message += &format!("Route: {route}\r\n");
        }
        message += &format!(
            "From: <sip:4930123456@{local}>;tag={id}\r\n\
             To: {to}\r\n\
             Call-ID: {id}@demo\r\n\
             CSeq: {cseq} {method}\r\n"
        );
        if method == "INVITE" {
            message += &format!("Contact: <sip:4930123456@{local}>\r\n");
        }
        message += "Content-Length: 0\r\n\r\n";
        self.socket.send(message.as_bytes()).map(drop)
    }

    fn receive(&self, buffer: &mut [u8], patience: Duration) -> io::Result<Option<usize>> {
        self.socket.set_read_timeout(Some(patience))?;
        match self.socket.recv(buffer) {
            Ok(len) => Ok(Some(len)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn dialog_of(answer: &Message<'_>) -> Dialog {
    let contact = answer
        .header(KnownHeader::Contact)
        .map(|contact| contact.value);
    let target = text(contact);
    let target = target
        .split(['<', '>'])
        .nth(1)
        .unwrap_or(&target)
        .to_owned();
    let mut routes: Vec<String> = answer
        .headers_named(KnownHeader::RecordRoute)
        .map(|header| text(Some(header.value)))
        .collect();
    routes.reverse();
    Dialog {
        to: text(answer.header(KnownHeader::To).map(|to| to.value)),
        target,
        routes,
    }
}

fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

//! UDP listeners: one group of sockets per listen address, one socket of it per lane.
//! RFC 3261 §18.1, §18.2 for datagrams; RFC 3581 §4: a reply leaves from the address that received.
//! Leaves out when to read and write (`worker.rs`), and TCP and TLS.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use transaction_layer::Outbox;

use super::sys::{self, Outgoing, ReceiveBatch, ReceiveOptions, SendBatch, SocketError};

/// How often a pending error of the socket is stepped over before a call is given up.
const ERRORS_IN_A_ROW_MAX: usize = 8;

/// What a group of sockets is bound to, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// The address; port 0 lets the kernel choose one.
    pub address: SocketAddr,
    /// Sockets in the group, one per lane; at least 1.
    pub sockets: usize,
    /// Receive buffer asked for per socket, bytes.
    pub receive_buffer_bytes: usize,
    /// Send buffer asked for per socket, bytes.
    pub send_buffer_bytes: usize,
}

/// Why an address could not be bound; one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Someone listens there, perhaps another Tandem.
    #[error(
        "listen udp {address}: the port is in use by another process (it may be another tandem)"
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address belongs to no interface.
    #[error("listen udp {address}: this machine does not have that address")]
    NotOurs {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A port below 1024 without the right to it.
    #[error("listen udp {address}: permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)")]
    Denied {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("listen udp {address}: {source}")]
    Io {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::AddrNotAvailable => Self::NotOurs { address },
            io::ErrorKind::PermissionDenied => Self::Denied { address },
            _ => Self::Io { address, source },
        }
    }
}

/// The sockets of one listener, bound and not yet read.
#[derive(Debug)]
pub struct UdpGroup {
    /// The address bound, with its real port.
    pub address: SocketAddr,
    /// One socket per lane.
    pub sockets: Vec<UdpSocket>,
    /// The receive buffer the kernel gave, bytes, when it is smaller than what was asked for.
    pub receive_buffer_short: Option<usize>,
}

/// Binds a group. The first socket is bound without `SO_REUSEPORT`, which fails when anyone else
/// has the port, and opens itself to the others of this group afterwards: no moment in between lets another process in.
///
/// # Errors
/// [`BindError`], one line that names the address.
pub fn bind_group(config: GroupConfig) -> Result<UdpGroup, BindError> {
    let fail = |source| BindError::new(config.address, source);
    let first = open(config).map_err(fail)?;
    first.bind(&config.address.into()).map_err(fail)?;
    first.set_reuse_port(true).map_err(fail)?;
    let given = first.recv_buffer_size().map_err(fail)?;
    let first = UdpSocket::from(first);
    let address = first.local_addr().map_err(fail)?;
    let mut sockets = vec![first];
    for _ in 1..config.sockets {
        let socket = open(config).map_err(fail)?;
        socket.set_reuse_port(true).map_err(fail)?;
        socket.bind(&address.into()).map_err(fail)?;
        sockets.push(socket.into());
    }
    // The kernel doubles what is asked for, to pay for its own bookkeeping, and reports the double.
    let receive_buffer_short = (given / 2 < config.receive_buffer_bytes).then_some(given / 2);
    Ok(UdpGroup {
        address,
        sockets,
        receive_buffer_short,
    })
}

fn open(config: GroupConfig) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(config.address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if config.address.is_ipv6() {
        // One family per listener: an IPv4 peer never shows up as ::ffff:a.b.c.d.
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(config.receive_buffer_bytes)?;
    socket.set_send_buffer_size(config.send_buffer_bytes)?;
    socket.set_nonblocking(true)?;
    let options = ReceiveOptions {
        ipv6: config.address.is_ipv6(),
        packet_info: config.address.ip().is_unspecified(),
    };
    sys::set_receive_options(socket.as_fd(), options)?;
    Ok(socket)
}

/// What became of a run of datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendTally {
    /// Datagrams the kernel took.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Datagrams it refused.
    pub errors: u64,
    /// Datagrams that wait for room in the send buffer.
    pub delayed: u64,
    /// Datagrams dropped because too many wait already.
    pub dropped: u64,
}

/// One lane's socket of a listener.
pub struct UdpPort {
    socket: AsyncFd<UdpSocket>,
    listener: u16,
    address: SocketAddr,
    wildcard: bool,
    unsent: RefCell<Unsent>,
    unsent_len_max: usize,
    unsent_bell: Notify,
    drops: Cell<u64>,
}

/// Datagrams that found the send buffer full; they keep their place before all later ones.
#[derive(Default)]
struct Unsent {
    outbox: Outbox,
    sent: usize,
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.sent == self.outbox.len()
    }

    /// Notes that all before `sent` has left. What has left gives its room back when all has, or when it is as much as
    /// may wait at most: under steady pressure the list never runs empty, and must not grow for that.
    fn sent_up_to(&mut self, sent: usize, unsent_len_max: usize) {
        self.sent = sent;
        if self.is_empty() {
            *self = Self::default();
        } else if self.sent >= unsent_len_max {
            let mut waiting = Outbox::new();
            for (flow, bytes) in self.outbox.iter().skip(self.sent) {
                waiting.push(flow, bytes);
            }
            *self = Self {
                outbox: waiting,
                sent: 0,
            };
        }
    }
}

impl UdpPort {
    /// Takes over a socket of a group; call within the lane's runtime.
    ///
    /// # Errors
    /// What the runtime's poller said.
    pub fn new(
        socket: UdpSocket,
        listener: u16,
        address: SocketAddr,
        unsent_len_max: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: sys::watch_readable(socket)?,
            listener,
            address,
            wildcard: address.ip().is_unspecified(),
            unsent: RefCell::default(),
            unsent_len_max,
            unsent_bell: Notify::new(),
            drops: Cell::new(0),
        })
    }

    /// The readiness of the socket.
    #[must_use]
    pub fn readiness(&self) -> &AsyncFd<UdpSocket> {
        &self.socket
    }

    /// The number of the listener.
    #[must_use]
    pub fn listener(&self) -> u16 {
        self.listener
    }

    /// The address a datagram was sent to: the one bound, or what the packet information says.
    #[must_use]
    pub fn local_of(&self, received: Option<IpAddr>) -> SocketAddr {
        match received {
            Some(ip) if self.wildcard => SocketAddr::new(ip, self.address.port()),
            _ => self.address,
        }
    }

    /// Receives a batch without waiting; 0 when nothing is there. Pending errors of the socket are stepped over:
    /// the error queue tells them better.
    ///
    /// # Errors
    /// An error that does not go away.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        let mut last = None;
        for _ in 0..ERRORS_IN_A_ROW_MAX {
            match batch.receive(self.socket.as_fd()) {
                Ok(count) => {
                    let drops = batch.iter().filter_map(|received| received.drops).last();
                    if let Some(drops) = drops {
                        self.note_drops(drops);
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(0), Err)
    }

    /// Datagrams the kernel dropped at this socket because its buffer was full, since it was bound.
    #[must_use]
    pub fn kernel_drops(&self) -> u64 {
        self.drops.get()
    }

    /// The kernel's count is 32 bits wide and wraps.
    fn note_drops(&self, count: u32) {
        let known = self.drops.get();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low half is what the kernel counts"
        )]
        let step = count.wrapping_sub(known as u32);
        self.drops.set(known + u64::from(step));
    }

    /// Takes one entry from the error queue; `None` when it is empty.
    ///
    /// # Errors
    /// What the system said.
    pub fn take_error(&self) -> io::Result<Option<SocketError>> {
        sys::take_error(self.socket.as_fd())
    }

    /// Sends the run of `outbox` that starts at `first` and goes out on this listener; returns the index behind it.
    /// `on_unreachable` hears of remotes that the kernel has no way to.
    pub fn send_run(
        &self,
        batch: &mut SendBatch,
        outbox: &Outbox,
        first: usize,
        tally: &mut SendTally,
        mut on_unreachable: impl FnMut(SocketAddr),
    ) -> usize {
        let run = outbox
            .iter()
            .skip(first)
            .take_while(|(flow, _)| flow.listener == self.listener)
            .count();
        let end = first + run;
        let sent = if self.unsent.borrow().is_empty() {
            self.send_range(batch, outbox, first, end, tally, &mut on_unreachable)
        } else {
            first
        };
        if sent < end {
            self.keep(outbox, sent, end, tally);
        }
        end
    }

    /// Waits until there are datagrams that found the send buffer full.
    pub async fn unsent(&self) {
        while self.unsent.borrow().is_empty() {
            self.unsent_bell.notified().await;
        }
    }

    /// Tries again what found the send buffer full.
    pub fn send_unsent(
        &self,
        batch: &mut SendBatch,
        tally: &mut SendTally,
        mut on_unreachable: impl FnMut(SocketAddr),
    ) {
        let mut unsent = self.unsent.borrow_mut();
        let end = unsent.outbox.len();
        let first = unsent.sent;
        let sent = self.send_range(
            batch,
            &unsent.outbox,
            first,
            end,
            tally,
            &mut on_unreachable,
        );
        unsent.sent_up_to(sent, self.unsent_len_max);
    }

    /// Sends entries until the send buffer is full; returns the index of the first that was not taken.
    fn send_range(
        &self,
        batch: &mut SendBatch,
        outbox: &Outbox,
        first: usize,
        end: usize,
        tally: &mut SendTally,
        on_unreachable: &mut impl FnMut(SocketAddr),
    ) -> usize {
        let mut at = first;
        let mut errors_in_a_row = 0;
        while at < end {
            let datagrams = outbox
                .iter()
                .skip(at)
                .take(end - at)
                .map(|(flow, bytes)| Outgoing {
                    bytes,
                    remote: flow.remote,
                    source: Some(flow.local.ip())
                        .filter(|ip| self.wildcard && !ip.is_unspecified()),
                });
            match batch.send(self.socket.as_fd(), datagrams) {
                Ok(count) => {
                    let taken = outbox.iter().skip(at).take(count);
                    tally.bytes += taken.map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
                    tally.datagrams += count as u64;
                    at += count;
                    errors_in_a_row = 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return at,
                // The error may be the echo of an earlier datagram: this one gets another chance.
                Err(_) if errors_in_a_row < ERRORS_IN_A_ROW_MAX => errors_in_a_row += 1,
                Err(error) => {
                    tally.errors += 1;
                    if let (true, Some((flow, _))) = (is_no_way(&error), outbox.iter().nth(at)) {
                        on_unreachable(flow.remote);
                    }
                    at += 1;
                    errors_in_a_row = 0;
                }
            }
        }
        at
    }

    fn keep(&self, outbox: &Outbox, first: usize, end: usize, tally: &mut SendTally) {
        let mut unsent = self.unsent.borrow_mut();
        for (flow, bytes) in outbox.iter().skip(first).take(end - first) {
            if unsent.outbox.len() - unsent.sent >= self.unsent_len_max {
                tally.dropped += 1;
            } else {
                unsent.outbox.push(flow, bytes);
                tally.delayed += 1;
            }
        }
        self.unsent_bell.notify_one();
    }
}

/// Whether an error of a send means that its remote can't be reached from here.
fn is_no_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NetworkDown
    ) || error.raw_os_error() == Some(libc::EINVAL)
}

/// Whether an entry of the error queue means that its remote can't be reached (RFC 3261 §18.4).
#[must_use]
pub fn is_unreachable(error: &SocketError) -> bool {
    error.from_network
        && matches!(
            error.errno,
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENOPROTOOPT
                | libc::EACCES
                | libc::ENONET
        )
}

#[cfg(test)]
mod tests;

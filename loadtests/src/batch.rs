//! A UDP socket that receives and sends many datagrams with one system call (`recvmmsg`, `sendmmsg`).
//! Buffers are allocated once and reused; nothing is copied between receiving and handling.
//! Leaves out ancillary data (the tools bind to one address each) and datagrams above [`DATAGRAM_MAX`].

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg,
    sendmmsg, setsockopt, sockopt,
};

/// Datagrams handled by one system call.
pub const BATCH_MAX: usize = 64;
/// Longest datagram taken, in octets; a longer one is cut and counted.
pub const DATAGRAM_MAX: usize = 8_192;
/// Kernel receive buffer asked for on each socket, in octets.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How long a full send buffer is waited for, in milliseconds, before a datagram is given up.
const SEND_WAIT_MS: u16 = 100;

/// The datagrams of the last receive.
pub struct Inbound {
    headers: MultiHeaders<SockaddrStorage>,
    buffer: Box<[u8]>,
    received: Vec<(usize, SocketAddr)>,
    truncated: u64,
}

impl Inbound {
    fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH_MAX, None),
            buffer: vec![0; BATCH_MAX * DATAGRAM_MAX].into_boxed_slice(),
            received: Vec::with_capacity(BATCH_MAX),
            truncated: 0,
        }
    }

    /// Datagram `index` of the last receive and where it came from.
    pub fn datagram(&self, index: usize) -> (&[u8], SocketAddr) {
        let (len, from) = self.received[index];
        let start = index * DATAGRAM_MAX;
        (&self.buffer[start..start + len], from)
    }

    /// Datagrams that were longer than [`DATAGRAM_MAX`] so far.
    pub fn truncated(&self) -> u64 {
        self.truncated
    }

    fn receive(&mut self, socket: &UdpSocket, flags: MsgFlags) -> io::Result<usize> {
        self.received.clear();
        let mut chunks = self.buffer.chunks_exact_mut(DATAGRAM_MAX);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH_MAX] =
            std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let results = match recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter_mut(),
            flags,
            None,
        ) {
            Ok(results) => results,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(errno) => return Err(errno.into()),
        };
        for message in results {
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                self.truncated += 1;
            }
            // A datagram without a readable source cannot be answered; its place is kept so that indexes hold.
            let from = message
                .address
                .as_ref()
                .and_then(to_std)
                .unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
            self.received.push((message.bytes.min(DATAGRAM_MAX), from));
        }
        Ok(self.received.len())
    }
}

/// Datagrams that wait for the next flush.
pub struct Outbound {
    headers: MultiHeaders<SockaddrStorage>,
    arena: Vec<u8>,
    queued: Vec<(usize, usize)>,
    addresses: Vec<Option<SockaddrStorage>>,
    sent: u64,
    failed: u64,
}

impl Outbound {
    fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH_MAX, None),
            arena: Vec::with_capacity(BATCH_MAX * 1_024),
            queued: Vec::with_capacity(BATCH_MAX),
            addresses: Vec::with_capacity(BATCH_MAX),
            sent: 0,
            failed: 0,
        }
    }

    /// Queues a copy of `bytes` for `to`.
    pub fn push(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.push_with(to, |arena| arena.extend_from_slice(bytes));
    }

    /// Queues for `to` what `write` appends.
    pub fn push_with(&mut self, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.arena.len();
        write(&mut self.arena);
        self.queued.push((start, self.arena.len()));
        self.addresses.push(Some(to.into()));
    }

    /// Datagrams handed to the kernel so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Datagrams that the kernel refused so far.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    fn flush(&mut self, socket: &UdpSocket) {
        let mut done = 0;
        while done < self.queued.len() {
            let count = (self.queued.len() - done).min(BATCH_MAX);
            let queued = &self.queued[done..done + count];
            let slices: [[IoSlice<'_>; 1]; BATCH_MAX] = std::array::from_fn(|i| {
                [IoSlice::new(
                    queued
                        .get(i)
                        .map_or(&[][..], |&(start, end)| &self.arena[start..end]),
                )]
            });
            let outcome = send_slices(
                socket,
                &mut self.headers,
                &slices[..count],
                &self.addresses[done..done + count],
            );
            done += self.account(outcome);
        }
        self.arena.clear();
        self.queued.clear();
        self.addresses.clear();
    }

    /// Counts what one system call did and says how many datagrams are behind us.
    fn account(&mut self, outcome: io::Result<usize>) -> usize {
        if let Ok(sent) = outcome
            && sent > 0
        {
            self.sent += sent as u64;
            sent
        } else {
            // The first of the batch is the one refused; the rest is tried again without it.
            self.failed += 1;
            1
        }
    }
}

/// A bound UDP socket with its two halves.
pub struct BatchSocket {
    socket: UdpSocket,
    local: SocketAddr,
    /// What was received last.
    pub inbound: Inbound,
    /// What is sent at the next flush.
    pub outbound: Outbound,
}

/// Binds `address` (port 0: any free one) and asks for `RECEIVE_BUFFER` octets of kernel buffer.
///
/// # Errors
/// When the address is in use or not local.
pub fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    Ok(socket)
}

impl BatchSocket {
    /// Takes a bound socket over. The value stays in the thread that made it: the kernel's headers hold addresses.
    ///
    /// # Errors
    /// When the socket has no local address.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            inbound: Inbound::new(),
            outbound: Outbound::new(),
        })
    }

    /// The address bound.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The descriptor's standard socket, for polling and options.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Takes what is there, without waiting; 0 when nothing is.
    ///
    /// # Errors
    /// Only for faults of the socket itself.
    pub fn receive(&mut self) -> io::Result<usize> {
        self.inbound.receive(&self.socket, MsgFlags::MSG_DONTWAIT)
    }

    /// Waits for the first datagram (or the socket's read time-out), then takes what else is there.
    ///
    /// # Errors
    /// Only for faults of the socket itself.
    pub fn receive_waiting(&mut self) -> io::Result<usize> {
        self.inbound.receive(&self.socket, MsgFlags::MSG_WAITFORONE)
    }

    /// Sends all that is queued; what the kernel refuses is counted, not kept.
    pub fn flush(&mut self) {
        self.outbound.flush(&self.socket);
    }

    /// Sends the datagrams of the last receive on, each to the address that `next` names, in order and without copying.
    pub fn forward_received(&mut self, mut next: impl FnMut(SocketAddr) -> Option<SocketAddr>) {
        let inbound = &self.inbound;
        let count = inbound.received.len();
        let addresses: [Option<SockaddrStorage>; BATCH_MAX] = std::array::from_fn(|i| {
            inbound
                .received
                .get(i)
                .and_then(|&(_, from)| next(from))
                .map(SockaddrStorage::from)
        });
        let mut done = 0;
        while done < count {
            // A run of datagrams with a destination goes in one call; one without is skipped.
            let run = addresses[done..count]
                .iter()
                .take_while(|address| address.is_some())
                .count();
            if run == 0 {
                done += 1;
                continue;
            }
            let slices: [[IoSlice<'_>; 1]; BATCH_MAX] = std::array::from_fn(|i| {
                [IoSlice::new(if i < run {
                    inbound.datagram(done + i).0
                } else {
                    &[]
                })]
            });
            let outcome = send_slices(
                &self.socket,
                &mut self.outbound.headers,
                &slices[..run],
                &addresses[done..done + run],
            );
            done += self.outbound.account(outcome);
        }
    }
}

/// One `sendmmsg`, waiting once when the send buffer is full.
fn send_slices(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    slices: &[[IoSlice<'_>; 1]],
    addresses: &[Option<SockaddrStorage>],
) -> io::Result<usize> {
    let no_control: &[ControlMessage<'_>] = &[];
    for attempt in 0..2 {
        let sent = sendmmsg(
            socket.as_raw_fd(),
            headers,
            slices,
            addresses,
            no_control,
            MsgFlags::MSG_DONTWAIT,
        )
        .map(Iterator::count);
        match sent {
            Ok(count) => return Ok(count),
            Err(Errno::EAGAIN) if attempt == 0 => {
                let mut ready = [PollFd::new(
                    std::os::fd::AsFd::as_fd(socket),
                    PollFlags::POLLOUT,
                )];
                nix::poll::poll(&mut ready, PollTimeout::from(SEND_WAIT_MS))?;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        AddressFamily::Inet => address
            .as_sockaddr_in()
            .map(|a| SocketAddr::V4(SocketAddrV4::from(*a))),
        AddressFamily::Inet6 => address
            .as_sockaddr_in6()
            .map(|a| SocketAddr::V6(SocketAddrV6::from(*a))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn bound() -> BatchSocket {
        listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .and_then(BatchSocket::new)
            .expect("a free port")
    }

    #[test]
    fn more_datagrams_than_one_batch_arrive_whole_and_in_order() {
        let (mut a, mut b) = (bound(), bound());
        let count = BATCH_MAX * 2 + 3;
        for i in 0..count {
            a.outbound
                .push(b.local(), format!("datagram {i}").as_bytes());
        }
        a.flush();
        b.socket()
            .set_read_timeout(Some(Duration::from_secs(2)))
            .expect("set");
        let mut seen = 0;
        while seen < count {
            let n = b.receive_waiting().expect("receive");
            assert!(n > 0, "only {seen} of {count} came");
            for i in 0..n {
                let (bytes, from) = b.inbound.datagram(i);
                assert_eq!(bytes, format!("datagram {seen}").as_bytes());
                assert_eq!(from, a.local());
                seen += 1;
            }
        }
        assert_eq!(a.outbound.sent(), count as u64);
        assert_eq!(a.outbound.failed(), 0);
    }

    #[test]
    fn a_datagram_too_long_for_the_buffer_is_cut_and_counted() {
        let (mut a, mut b) = (bound(), bound());
        a.outbound.push(b.local(), &vec![b'x'; DATAGRAM_MAX + 10]);
        a.flush();
        b.socket()
            .set_read_timeout(Some(Duration::from_secs(2)))
            .expect("set");
        assert_eq!(b.receive_waiting().expect("receive"), 1);
        assert_eq!(b.inbound.datagram(0).0.len(), DATAGRAM_MAX);
        assert_eq!(b.inbound.truncated(), 1);
    }
}

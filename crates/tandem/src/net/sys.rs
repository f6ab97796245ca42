//! System calls that the standard library does not have: `recvmmsg`, `sendmmsg`, the error queue, thread priority.
//! RFC 3581 §4 (a reply leaves from the address that received) needs `IP_PKTINFO`; linux man pages ip(7), ipv6(7), socket(7).
//! The only file of the workspace with unsafe code. Leaves out policy: callers decide what an error means.

#![expect(unsafe_code, reason = "these system calls have no safe wrapper here")]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_storage, socklen_t};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The largest datagram, bytes: what an IP length field can say.
pub const DATAGRAM_LEN_MAX: usize = 65_535;

/// Distance between two receive buffers: not a power of two, so that the first lines of all
/// buffers don't compete for the same few cache sets.
const SLOT_STRIDE: usize = DATAGRAM_LEN_MAX + 1 + 17 * 64;

/// Room for the control messages asked for: packet info (40), time stamp (32), drop count (24).
const CONTROL_LEN: usize = 128;

#[expect(clippy::cast_possible_truncation, reason = "the families are 2 and 10")]
const FAMILY_V4: libc::sa_family_t = libc::AF_INET as _;
#[expect(clippy::cast_possible_truncation, reason = "the families are 2 and 10")]
const FAMILY_V6: libc::sa_family_t = libc::AF_INET6 as _;

/// Control messages must be aligned as `cmsghdr` is.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_LEN]);

const EMPTY_CONTROL: Control = Control([0; CONTROL_LEN]);

/// A datagram that was received; borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Received<'b> {
    /// The payload.
    pub bytes: &'b [u8],
    /// Who sent it.
    pub remote: SocketAddr,
    /// The address it was sent to; `None` unless the socket was asked for it.
    pub local: Option<IpAddr>,
    /// When the kernel received it, µs since 1970 UTC.
    pub stamp_us: Option<i64>,
    /// Datagrams this socket has dropped so far because its buffer was full (wraps at 2³²);
    /// `None` when there were none.
    pub drops: Option<u32>,
    /// The datagram was longer than its buffer.
    pub truncated: bool,
}

/// Reused buffers for one `recvmmsg`: some 66 KiB of address space each, touched only as far as used.
pub struct ReceiveBatch {
    payload: Vec<u8>,
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    iovecs: Vec<iovec>,
    headers: Vec<mmsghdr>,
    filled: usize,
}

impl ReceiveBatch {
    /// Buffers for up to `len` datagrams (1 to 1,024; clamped).
    #[must_use]
    pub fn new(len: usize) -> Self {
        let len = len.clamp(1, 1_024);
        Self {
            payload: vec![0; len * SLOT_STRIDE],
            names: vec![empty_name(); len],
            controls: vec![EMPTY_CONTROL; len],
            iovecs: vec![empty_iovec(); len],
            headers: vec![empty_header(); len],
            filled: 0,
        }
    }

    /// How many datagrams fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Receives what is there, without waiting; returns the number, at least 1.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; a pending error of the socket (`ECONNREFUSED` …), which this call clears.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.filled = 0;
        let slots = self.payload.chunks_exact_mut(SLOT_STRIDE);
        for ((((header, iovec), name), control), slot) in self
            .headers
            .iter_mut()
            .zip(&mut self.iovecs)
            .zip(&mut self.names)
            .zip(&mut self.controls)
            .zip(slots)
        {
            iovec.iov_base = slot.as_mut_ptr().cast();
            iovec.iov_len = DATAGRAM_LEN_MAX;
            header.msg_len = 0;
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = len_of::<sockaddr_storage>();
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            header.msg_hdr.msg_flags = 0;
        }
        let len = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        // SAFETY: the descriptor is open (borrowed). Each of the `len` headers points at one iovec, name and control
        // buffer of this batch with their true lengths, set just above; nothing else touches them during the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                len,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        self.filled = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(self.filled)
    }

    /// The datagrams of the last [`Self::receive`], in the order they arrived.
    /// One whose sender has no IP address is left out (it can't be answered).
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.headers
            .iter()
            .zip(&self.names)
            .zip(&self.controls)
            .zip(self.payload.chunks_exact(SLOT_STRIDE))
            .take(self.filled)
            .filter_map(|(((header, name), control), slot)| {
                let remote = address_of(name, header.msg_hdr.msg_namelen)?;
                let bytes = slot.get(..header.msg_len as usize)?;
                let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
                let mut received = Received {
                    bytes,
                    remote,
                    local: None,
                    stamp_us: None,
                    drops: None,
                    truncated,
                };
                let said = header.msg_hdr.msg_controllen.min(CONTROL_LEN);
                for message in ControlMessages::new(control, said) {
                    message.apply(&mut received);
                }
                Some(received)
            })
    }
}

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'b> {
    /// The payload.
    pub bytes: &'b [u8],
    /// Where to.
    pub remote: SocketAddr,
    /// The address it leaves from; `None`: the address the socket is bound to, or the kernel's choice.
    pub source: Option<IpAddr>,
}

/// Reused headers for one `sendmmsg`.
pub struct SendBatch {
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    iovecs: Vec<iovec>,
    headers: Vec<mmsghdr>,
}

impl SendBatch {
    /// Headers for up to `len` datagrams a call (1 to 1,024; clamped).
    #[must_use]
    pub fn new(len: usize) -> Self {
        let len = len.clamp(1, 1_024);
        Self {
            names: vec![empty_name(); len],
            controls: vec![EMPTY_CONTROL; len],
            iovecs: vec![empty_iovec(); len],
            headers: vec![empty_header(); len],
        }
    }

    /// Sends as many of `datagrams` as fit a call and the kernel takes, from the first on; returns how many.
    /// 0 only when there were none.
    ///
    /// # Errors
    /// That of the first datagram: `WouldBlock` when the send buffer is full; a pending error of the socket, which may
    /// be the echo of an earlier datagram; or a fault of this one (no route, too long).
    pub fn send<'b>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = Outgoing<'b>>,
    ) -> io::Result<usize> {
        let mut len = 0;
        for ((((header, iovec), name), control), datagram) in self
            .headers
            .iter_mut()
            .zip(&mut self.iovecs)
            .zip(&mut self.names)
            .zip(&mut self.controls)
            .zip(datagrams)
        {
            iovec.iov_base = datagram.bytes.as_ptr().cast_mut().cast();
            iovec.iov_len = datagram.bytes.len();
            header.msg_len = 0;
            header.msg_hdr.msg_namelen = write_address(datagram.remote, name);
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_flags = 0;
            let said = datagram
                .source
                .map_or(0, |source| write_source(source, control));
            header.msg_hdr.msg_controllen = said as _;
            header.msg_hdr.msg_control = if said == 0 {
                std::ptr::null_mut()
            } else {
                control.0.as_mut_ptr().cast()
            };
            len += 1;
        }
        if len == 0 {
            return Ok(0);
        }
        // SAFETY: the descriptor is open (borrowed). The first `len` headers point at names, controls and iovecs of this
        // batch with their true lengths; the iovecs point at payloads borrowed for 'b, which outlives the call, and
        // sendmmsg only reads them.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                len,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

/// An entry of a socket's error queue: what became of a datagram sent earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketError {
    /// Where that datagram was going.
    pub remote: Option<SocketAddr>,
    /// The error number (`ECONNREFUSED`, `EHOSTUNREACH`, `EMSGSIZE` …).
    pub errno: i32,
    /// A router or the peer's host said so (ICMP), rather than our own kernel.
    pub from_network: bool,
}

/// Takes one entry from the error queue; `None` when it is empty. Never waits.
///
/// # Errors
/// What `recvmsg` said, an empty queue apart.
pub fn take_error(socket: BorrowedFd<'_>) -> io::Result<Option<SocketError>> {
    // The queue also returns the payload of the datagram; its first bytes are not needed.
    let mut name = empty_name();
    let mut control = [EMPTY_CONTROL; 4];
    let mut header = empty_header().msg_hdr;
    header.msg_name = std::ptr::from_mut(&mut name).cast();
    header.msg_namelen = len_of::<sockaddr_storage>();
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<[Control; 4]>() as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the descriptor is open (borrowed); name and control point at locals with their true lengths; no iovec.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    if count < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock {
            Ok(None)
        } else {
            Err(error)
        };
    }
    let mut found = SocketError {
        remote: address_of(&name, header.msg_namelen),
        errno: 0,
        from_network: false,
    };
    // SAFETY: the header was filled by recvmsg above; its control pointer and length are those of `control`.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !at.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR only return pointers to whole headers inside the control buffer.
        let (level, kind, len) = unsafe { ((*at).cmsg_level, (*at).cmsg_type, (*at).cmsg_len) };
        let is_error = matches!(
            (level, kind),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        );
        if is_error && len >= cmsg_len(size_of::<libc::sock_extended_err>()) {
            // SAFETY: the length was checked; read_unaligned asks for no alignment.
            let error = unsafe {
                libc::CMSG_DATA(at)
                    .cast::<libc::sock_extended_err>()
                    .read_unaligned()
            };
            found.errno = i32::try_from(error.ee_errno).unwrap_or(i32::MAX);
            found.from_network = matches!(
                error.ee_origin,
                libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6
            );
        }
        // SAFETY: `at` is inside the control buffer that `header` describes.
        at = unsafe { libc::CMSG_NXTHDR(&raw const header, at) };
    }
    Ok(Some(found))
}

/// What a socket tells with each datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveOptions {
    /// The socket is an IPv6 one.
    pub ipv6: bool,
    /// Tell the local address (needed on a wildcard address only; it costs some time a datagram).
    pub packet_info: bool,
}

/// Turns on kernel time stamps, the drop count, the error queue and, where asked for, packet info.
///
/// # Errors
/// What `setsockopt` said.
pub fn set_receive_options(socket: BorrowedFd<'_>, options: ReceiveOptions) -> io::Result<()> {
    set_flag(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
    set_flag(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL)?;
    match options.ipv6 {
        true => set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR)?,
        false => set_flag(socket, libc::IPPROTO_IP, libc::IP_RECVERR)?,
    }
    match options {
        ReceiveOptions {
            packet_info: false, ..
        } => Ok(()),
        ReceiveOptions { ipv6: true, .. } => {
            set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
        }
        ReceiveOptions { ipv6: false, .. } => set_flag(socket, libc::IPPROTO_IP, libc::IP_PKTINFO),
    }
}

/// Lowers the calling thread below the lanes: its nice value (0 to 19), and batch scheduling, which makes it
/// less eager to take a core from someone who is running. Threads it starts inherit both.
///
/// # Errors
/// What the kernel said; raising one's own nice value is always permitted.
pub fn lower_thread_priority(nice: u8) -> io::Result<()> {
    let nice = c_int::from(nice.min(19));
    // SAFETY: no pointers; who = 0 is the calling thread.
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters outlive the call; pid 0 is the calling thread.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Registers a socket with the current runtime for reading alone. Asking for writability too would wake the
/// lane once more for every datagram that has left.
///
/// # Errors
/// What the runtime's poller said.
pub fn watch_readable(socket: UdpSocket) -> io::Result<AsyncFd<UdpSocket>> {
    // SAFETY: the socket owns its descriptor, always returns the same one, and closes it only when it is dropped,
    // which the AsyncFd outlives by deregistering first.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.map_err(Into::into)
}

/// The calling thread's kernel id, as `ps -L` and `/proc/<pid>/task` show it.
#[must_use]
pub fn thread_id() -> i32 {
    // SAFETY: gettid takes nothing and never fails.
    unsafe { libc::gettid() }
}

fn set_flag(socket: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: the descriptor is open (borrowed); the value is an int that outlives the call, with its length.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(&on).cast::<c_void>(),
            len_of::<c_int>(),
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Walks the control messages of one datagram.
struct ControlMessages<'c> {
    header: msghdr,
    at: *mut cmsghdr,
    buffer: std::marker::PhantomData<&'c Control>,
}

impl<'c> ControlMessages<'c> {
    fn new(control: &'c Control, len: usize) -> Self {
        let mut header = empty_header().msg_hdr;
        header.msg_control = control.0.as_ptr().cast_mut().cast();
        header.msg_controllen = len.min(CONTROL_LEN) as _;
        // SAFETY: the header describes `control`, which is borrowed for 'c and at least that long; it is only read.
        let at = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
        Self {
            header,
            at,
            buffer: std::marker::PhantomData,
        }
    }
}

impl<'c> Iterator for ControlMessages<'c> {
    type Item = ControlMessage<'c>;

    fn next(&mut self) -> Option<ControlMessage<'c>> {
        if self.at.is_null() {
            return None;
        }
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR only return pointers to whole headers inside the control buffer, whose
        // alignment is that of `Control`. The data range is cut to what the buffer holds.
        let message = unsafe {
            let header = &*self.at;
            let data = libc::CMSG_DATA(self.at);
            let start = data as usize - self.header.msg_control as usize;
            let said = header.cmsg_len.saturating_sub(cmsg_len(0));
            let held = self.header.msg_controllen.saturating_sub(start);
            ControlMessage {
                level: header.cmsg_level,
                kind: header.cmsg_type,
                data: std::slice::from_raw_parts(data, said.min(held)),
            }
        };
        // SAFETY: as above; `at` is inside the buffer that the header describes.
        self.at = unsafe { libc::CMSG_NXTHDR(&raw const self.header, self.at) };
        Some(message)
    }
}

struct ControlMessage<'c> {
    level: c_int,
    kind: c_int,
    data: &'c [u8],
}

impl ControlMessage<'_> {
    fn apply(&self, received: &mut Received<'_>) {
        match (self.level, self.kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                received.stamp_us = self.i64_at(0).zip(self.i64_at(8)).map(|(seconds, nanos)| {
                    seconds
                        .saturating_mul(1_000_000)
                        .saturating_add(nanos / 1_000)
                });
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                received.drops = self.bytes_at::<4>(0).map(u32::from_ne_bytes);
            }
            // in_pktinfo: interface, ipi_spec_dst (the local address, also for a broadcast), ipi_addr.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                received.local = self
                    .bytes_at::<4>(4)
                    .map(|octets| Ipv4Addr::from(octets).into());
            }
            // in6_pktinfo: address, interface.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                received.local = self
                    .bytes_at::<16>(0)
                    .map(|octets| Ipv6Addr::from(octets).into());
            }
            _ => {}
        }
    }

    fn bytes_at<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..at + N)?.try_into().ok()
    }

    fn i64_at(&self, at: usize) -> Option<i64> {
        self.bytes_at::<8>(at).map(i64::from_ne_bytes)
    }
}

/// Writes the control message that names the source address; returns its length.
fn write_source(source: IpAddr, control: &mut Control) -> usize {
    // The layouts of in_pktinfo and in6_pktinfo, interface 0: the routing table chooses.
    let mut info = [0; 20];
    let (level, kind, len) = match source {
        IpAddr::V4(address) => {
            info[4..8].copy_from_slice(&address.octets());
            (
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                size_of::<libc::in_pktinfo>(),
            )
        }
        IpAddr::V6(address) => {
            info[..16].copy_from_slice(&address.octets());
            (
                libc::IPPROTO_IPV6,
                libc::IPV6_PKTINFO,
                size_of::<libc::in6_pktinfo>(),
            )
        }
    };
    // SAFETY: all zeroes is a valid cmsghdr (integers and, on some targets, padding).
    let mut header: cmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.cmsg_level = level;
    header.cmsg_type = kind;
    header.cmsg_len = cmsg_len(len) as _;
    // SAFETY: the buffer has the alignment of a cmsghdr and room for it and 20 bytes of data behind it.
    unsafe {
        let at = control.0.as_mut_ptr().cast::<cmsghdr>();
        at.write(header);
        std::ptr::copy_nonoverlapping(info.as_ptr(), libc::CMSG_DATA(at), len);
    }
    cmsg_space(len)
}

fn cmsg_len(data_len: usize) -> usize {
    // SAFETY: arithmetic on its argument.
    unsafe { libc::CMSG_LEN(u32::try_from(data_len).unwrap_or(0)) as usize }
}

fn cmsg_space(data_len: usize) -> usize {
    // SAFETY: arithmetic on its argument.
    unsafe { libc::CMSG_SPACE(u32::try_from(data_len).unwrap_or(0)) as usize }
}

fn address_of(name: &sockaddr_storage, len: socklen_t) -> Option<SocketAddr> {
    let name_ptr = std::ptr::from_ref(name);
    match c_int::from(name.ss_family) {
        libc::AF_INET if len >= len_of::<libc::sockaddr_in>() => {
            // SAFETY: the family and the length say that this is a sockaddr_in; the storage is larger and aligned for it.
            let address = unsafe { &*name_ptr.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        libc::AF_INET6 if len >= len_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above, for a sockaddr_in6.
            let address = unsafe { &*name_ptr.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let port = u16::from_be(address.sin6_port);
            // The flow label is not part of who someone is; the scope is.
            Some(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn write_address(address: SocketAddr, name: &mut sockaddr_storage) -> socklen_t {
    let name_ptr = std::ptr::from_mut(name);
    match address {
        SocketAddr::V4(address) => {
            let value = libc::sockaddr_in {
                sin_family: FAMILY_V4,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is at least as large and as strictly aligned as any socket address.
            unsafe { name_ptr.cast::<libc::sockaddr_in>().write(value) };
            len_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(address) => {
            let value = libc::sockaddr_in6 {
                sin6_family: FAMILY_V6,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { name_ptr.cast::<libc::sockaddr_in6>().write(value) };
            len_of::<libc::sockaddr_in6>()
        }
    }
}

fn len_of<T>() -> socklen_t {
    socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn empty_name() -> sockaddr_storage {
    // SAFETY: all zeroes is a valid sockaddr_storage: family AF_UNSPEC and plain bytes.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn empty_header() -> mmsghdr {
    // SAFETY: all zeroes is a valid mmsghdr: null pointers and zero lengths.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn empty_iovec() -> iovec {
    iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }
}

#[cfg(test)]
mod tests;

use super::*;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn bound(address: &str, packet_info: bool) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    let ipv6 = socket.local_addr().unwrap().is_ipv6();
    set_receive_options(socket.as_fd(), ReceiveOptions { ipv6, packet_info }).unwrap();
    socket
}

/// Loopback delivers at once, but not always before the sender's next instruction.
fn receive(batch: &mut ReceiveBatch, socket: &UdpSocket) -> usize {
    let give_up = Instant::now() + Duration::from_secs(5);
    loop {
        match batch.receive(socket.as_fd()) {
            Ok(count) => return count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                assert!(Instant::now() < give_up, "nothing came");
                std::thread::yield_now();
            }
        }
    }
}

fn outgoing(bytes: &[u8], remote: SocketAddr) -> Outgoing<'_> {
    Outgoing {
        bytes,
        remote,
        source: None,
    }
}

fn a_batch_arrives_whole_in_order_with_sender_and_stamp(address: &str) {
    let from = bound(address, false);
    let to = bound(address, false);
    let remote = to.local_addr().unwrap();
    let payloads: Vec<Vec<u8>> = (0..20_u8)
        .map(|n| vec![n; 1 + usize::from(n) * 400])
        .collect();
    let mut sender = SendBatch::new(16);
    let mut sent = 0;
    while sent < payloads.len() {
        let rest = payloads
            .iter()
            .skip(sent)
            .map(|bytes| outgoing(bytes, remote));
        let count = sender.send(from.as_fd(), rest).unwrap();
        assert!((1..=16).contains(&count));
        sent += count;
    }
    let mut batch = ReceiveBatch::new(8);
    let mut seen = Vec::new();
    while seen.len() < payloads.len() {
        let count = receive(&mut batch, &to);
        assert!(count <= 8);
        assert_eq!(batch.iter().count(), count);
        for received in batch.iter() {
            assert_eq!(received.remote, from.local_addr().unwrap());
            assert_eq!(
                (received.local, received.drops, received.truncated),
                (None, None, false)
            );
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let age = i64::try_from(now.as_micros()).unwrap() - received.stamp_us.unwrap();
            assert!(
                (-1_000..5_000_000).contains(&age),
                "a stamp of {age} µs ago"
            );
            seen.push(received.bytes.to_vec());
        }
    }
    assert_eq!(seen, payloads);
    let empty = batch.receive(to.as_fd()).unwrap_err();
    assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(batch.iter().count(), 0, "an old batch is not seen twice");
}

#[test]
fn a_batch_arrives_whole_in_order_with_sender_and_stamp_v4() {
    a_batch_arrives_whole_in_order_with_sender_and_stamp("127.0.0.1:0");
}

#[test]
fn a_batch_arrives_whole_in_order_with_sender_and_stamp_v6() {
    a_batch_arrives_whole_in_order_with_sender_and_stamp("[::1]:0");
}

#[test]
fn the_largest_datagram_arrives_whole() {
    let from = bound("127.0.0.1:0", false);
    let to = bound("127.0.0.1:0", false);
    let payload = vec![7; 65_507];
    let mut sender = SendBatch::new(1);
    let remote = to.local_addr().unwrap();
    assert_eq!(
        sender
            .send(from.as_fd(), [outgoing(&payload, remote)].into_iter())
            .unwrap(),
        1
    );
    let mut batch = ReceiveBatch::new(4);
    assert_eq!(receive(&mut batch, &to), 1);
    assert_eq!(batch.iter().next().unwrap().bytes, payload);
    let error = sender
        .send(
            from.as_fd(),
            [outgoing(&vec![7; 65_508], remote)].into_iter(),
        )
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
}

#[test]
fn a_wildcard_socket_tells_the_address_and_replies_from_it() {
    let proxy = bound("0.0.0.0:0", true);
    let port = proxy.local_addr().unwrap().port();
    let peer = bound("127.0.0.1:0", false);
    peer.send_to(b"ask", ("127.0.0.2", port)).unwrap();
    let mut batch = ReceiveBatch::new(4);
    assert_eq!(receive(&mut batch, &proxy), 1);
    let asked = batch.iter().next().unwrap();
    assert_eq!(asked.local, Some("127.0.0.2".parse().unwrap()));
    let reply = Outgoing {
        bytes: b"reply",
        remote: asked.remote,
        source: asked.local,
    };
    let plain = Outgoing {
        bytes: b"plain",
        remote: asked.remote,
        source: None,
    };
    assert_eq!(
        SendBatch::new(4)
            .send(proxy.as_fd(), [reply, plain].into_iter())
            .unwrap(),
        2
    );
    let mut buffer = [0; 100];
    let (len, from) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!(
        (&buffer[..len], from),
        (
            &b"reply"[..],
            SocketAddr::new("127.0.0.2".parse().unwrap(), port)
        )
    );
    let (_, from) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!(
        from.ip(),
        IpAddr::from([127, 0, 0, 1]),
        "without a source the kernel chooses"
    );
}

#[test]
fn a_wildcard_ipv6_socket_tells_the_address_and_replies_from_it() {
    let proxy = bound("[::]:0", true);
    let port = proxy.local_addr().unwrap().port();
    let peer = bound("[::1]:0", false);
    peer.send_to(b"ask", ("::1", port)).unwrap();
    let mut batch = ReceiveBatch::new(4);
    assert_eq!(receive(&mut batch, &proxy), 1);
    let asked = batch.iter().next().unwrap();
    assert_eq!(asked.local, Some(Ipv6Addr::LOCALHOST.into()));
    let reply = Outgoing {
        bytes: b"reply",
        remote: asked.remote,
        source: asked.local,
    };
    assert_eq!(
        SendBatch::new(4)
            .send(proxy.as_fd(), [reply].into_iter())
            .unwrap(),
        1
    );
    let mut buffer = [0; 100];
    let (_, from) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!(from, SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port));
}

#[test]
fn a_source_that_is_not_ours_is_refused() {
    let proxy = bound("0.0.0.0:0", true);
    let datagram = Outgoing {
        bytes: b"x",
        remote: "127.0.0.1:9".parse().unwrap(),
        source: Some("192.0.2.1".parse().unwrap()),
    };
    assert!(
        SendBatch::new(1)
            .send(proxy.as_fd(), [datagram].into_iter())
            .is_err()
    );
}

fn a_closed_port_shows_up_in_the_error_queue(address: &str) {
    let socket = bound(address, false);
    let closed = UdpSocket::bind(address).unwrap().local_addr().unwrap();
    assert_eq!(take_error(socket.as_fd()).unwrap(), None);
    SendBatch::new(1)
        .send(socket.as_fd(), [outgoing(b"anyone?", closed)].into_iter())
        .unwrap();
    let give_up = Instant::now() + Duration::from_secs(5);
    let error = loop {
        if let Some(error) = take_error(socket.as_fd()).unwrap() {
            break error;
        }
        assert!(Instant::now() < give_up, "no ICMP came");
        std::thread::yield_now();
    };
    assert_eq!(
        error,
        SocketError {
            remote: Some(closed),
            errno: libc::ECONNREFUSED,
            from_network: true
        }
    );
    assert_eq!(take_error(socket.as_fd()).unwrap(), None);
}

#[test]
fn a_closed_port_shows_up_in_the_error_queue_v4() {
    a_closed_port_shows_up_in_the_error_queue("127.0.0.1:0");
}

#[test]
fn a_closed_port_shows_up_in_the_error_queue_v6() {
    a_closed_port_shows_up_in_the_error_queue("[::1]:0");
}

#[test]
fn drops_of_a_full_buffer_are_told() {
    let to = bound("127.0.0.1:0", false);
    socket2::SockRef::from(&to)
        .set_recv_buffer_size(4_096)
        .unwrap();
    let from = bound("127.0.0.1:0", false);
    let remote = to.local_addr().unwrap();
    let mut sender = SendBatch::new(64);
    let payload = [0; 1_000];
    for _ in 0..4 {
        sender
            .send(from.as_fd(), (0..64).map(|_| outgoing(&payload, remote)))
            .unwrap();
    }
    let mut batch = ReceiveBatch::new(64);
    let kept = receive(&mut batch, &to);
    assert!(kept < 256);
    // The count travels with the next datagram that finds room.
    from.send_to(b"after", remote).unwrap();
    receive(&mut batch, &to);
    let told = batch.iter().filter_map(|received| received.drops).last();
    assert_eq!(told, Some(u32::try_from(256 - kept).unwrap()));
}

#[test]
fn a_thread_that_lowers_itself_is_nicer_than_the_one_that_started_it() {
    let nice = |tid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap();
        // Behind the parenthesised name: state is field 3, nice field 19, policy field 41 of proc(5).
        let fields: Vec<String> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        (fields[16].clone(), fields[38].clone())
    };
    let lowered = std::thread::spawn(move || {
        lower_thread_priority(7).unwrap();
        nice(thread_id())
    });
    assert_eq!(
        lowered.join().unwrap(),
        ("7".to_owned(), libc::SCHED_BATCH.to_string())
    );
    let (own, _) = nice(thread_id());
    assert_ne!(own, "7");
}

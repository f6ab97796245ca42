use super::*;
use std::os::fd::AsRawFd;
use std::time::Duration;
use transaction_layer::{Flow, Transport};

fn config(address: &str, sockets: usize) -> GroupConfig {
    GroupConfig {
        address: address.parse().unwrap(),
        sockets,
        receive_buffer_bytes: 100_000,
        send_buffer_bytes: 100_000,
    }
}

fn flow(listener: u16, local: SocketAddr, remote: SocketAddr) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener,
        local,
        remote,
        connection: 0,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_port_in_use_is_refused_in_one_line_though_the_other_shares_its_port() {
    let group = bind_group(config("127.0.0.1:0", 2)).unwrap();
    let error = bind_group(config(&group.address.to_string(), 2)).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "listen udp {}: the port is in use by another process (it may be another tandem)",
            group.address
        )
    );
    drop(group.sockets);
    bind_group(config(&group.address.to_string(), 2)).unwrap();
}

#[test]
fn an_address_of_someone_else_is_refused_and_named() {
    let error = bind_group(config("192.0.2.77:5060", 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "listen udp 192.0.2.77:5060: this machine does not have that address"
    );
}

#[test]
fn all_sockets_of_a_group_share_the_port_and_the_kernel_spreads_peers_over_them() {
    let group = bind_group(config("127.0.0.1:0", 4)).unwrap();
    assert!(
        group
            .sockets
            .iter()
            .all(|socket| socket.local_addr().unwrap() == group.address)
    );
    for _ in 0..200 {
        UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .send_to(b"x", group.address)
            .unwrap();
    }
    let counts: Vec<usize> = group
        .sockets
        .iter()
        .map(|socket| {
            let mut buffer = [0; 10];
            std::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count()
        })
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 200);
    assert!(counts.iter().all(|count| *count > 10), "spread: {counts:?}");
}

#[test]
fn a_smaller_receive_buffer_than_asked_for_is_reported() {
    let limit: usize = std::fs::read_to_string("/proc/sys/net/core/rmem_max")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let mut asked = config("127.0.0.1:0", 1);
    asked.receive_buffer_bytes = limit;
    assert_eq!(bind_group(asked).unwrap().receive_buffer_short, None);
    asked.receive_buffer_bytes = limit + 1;
    assert_eq!(bind_group(asked).unwrap().receive_buffer_short, Some(limit));
}

#[test]
fn a_port_sends_its_own_run_and_steps_over_a_stale_error() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let group = bind_group(config("127.0.0.1:0", 1)).unwrap();
    let address = group.address;
    let socket = group.sockets.into_iter().next().unwrap();
    let port = UdpPort::new(socket, 3, address, 10).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let to = peer.local_addr().unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();

    let mut outbox = Outbox::new();
    outbox.push(&flow(0, address, to), b"not ours");
    outbox.push(&flow(3, address, closed), b"lost");
    outbox.push(&flow(3, address, to), b"one");
    outbox.push(&flow(3, address, to), b"two");
    outbox.push(&flow(1, address, to), b"not ours either");
    let mut tally = SendTally::default();
    // One datagram a call, so that the ICMP answer to the first is a pending error for the second.
    let mut batch = SendBatch::new(1);
    let next = port.send_run(&mut batch, &outbox, 1, &mut tally, |_| {
        panic!("all can be sent")
    });
    assert_eq!(next, 4);
    assert_eq!(
        tally,
        SendTally {
            datagrams: 3,
            bytes: 10,
            ..SendTally::default()
        }
    );
    let mut buffer = [0; 10];
    for expected in [&b"one"[..], b"two"] {
        let (len, _) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], expected);
    }
    let error = port.take_error().unwrap().unwrap();
    assert!(is_unreachable(&error));
    assert_eq!(error.remote, Some(closed));
}

#[test]
fn a_datagram_that_can_not_leave_is_counted_and_its_remote_told() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let group = bind_group(config("127.0.0.1:0", 1)).unwrap();
    let address = group.address;
    let socket = group.sockets.into_iter().next().unwrap();
    let port = UdpPort::new(socket, 0, address, 10).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    // From a loopback address there is no way out of the machine.
    let outside: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let mut outbox = Outbox::new();
    outbox.push(&flow(0, address, outside), b"no way");
    outbox.push(&flow(0, address, peer.local_addr().unwrap()), b"fine");
    let mut tally = SendTally::default();
    let mut unreachable = Vec::new();
    let mut batch = SendBatch::new(8);
    port.send_run(&mut batch, &outbox, 0, &mut tally, |remote| {
        unreachable.push(remote)
    });
    assert_eq!((tally.datagrams, tally.errors), (1, 1));
    assert_eq!(unreachable, [outside]);
}

#[test]
fn datagrams_that_find_the_buffer_full_wait_in_order_up_to_the_limit() {
    let runtime = runtime();
    let _entered = runtime.enter();
    // A UNIX datagram pair has a send buffer that fills while nobody reads; UDP over loopback hands over at once.
    // So the full buffer is produced by hand: what `keep` holds goes out before anything later.
    let group = bind_group(config("127.0.0.1:0", 1)).unwrap();
    let address = group.address;
    let socket = group.sockets.into_iter().next().unwrap();
    assert!(socket.as_raw_fd() >= 0);
    let port = UdpPort::new(socket, 0, address, 2).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let to = peer.local_addr().unwrap();
    let mut tally = SendTally::default();
    let mut early = Outbox::new();
    early.push(&flow(0, address, to), b"first");
    port.keep(&early, 0, 1, &mut tally);
    let mut late = Outbox::new();
    late.push(&flow(0, address, to), b"second");
    late.push(&flow(0, address, to), b"third");
    let mut batch = SendBatch::new(8);
    let next = port.send_run(&mut batch, &late, 0, &mut tally, |_| {});
    assert_eq!(next, 2);
    assert_eq!((tally.datagrams, tally.delayed, tally.dropped), (0, 2, 1));
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(5), port.unsent())
            .await
            .unwrap()
    });
    port.send_unsent(&mut batch, &mut tally, |_| {});
    assert_eq!(tally.datagrams, 2);
    let mut buffer = [0; 10];
    for expected in [&b"first"[..], b"second"] {
        let (len, _) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], expected);
    }
    port.send_run(&mut batch, &late, 1, &mut tally, |_| {});
    assert_eq!(
        tally.datagrams, 3,
        "nothing waits any more, so this one goes at once"
    );
}

#[test]
fn a_list_of_waiting_datagrams_that_never_runs_empty_stays_small_and_in_order() {
    const WAITING_MAX: usize = 4;
    let any: SocketAddr = "127.0.0.1:5060".parse().unwrap();
    let mut unsent = Unsent::default();
    let (mut pushed, mut left) = (0_u32, 0_u32);
    for _ in 0..1_000 {
        while unsent.outbox.len() - unsent.sent < WAITING_MAX {
            unsent
                .outbox
                .push(&flow(0, any, any), &pushed.to_be_bytes());
            pushed += 1;
        }
        let (_, bytes) = unsent.outbox.iter().nth(unsent.sent).unwrap();
        assert_eq!(bytes, left.to_be_bytes());
        left += 1;
        unsent.sent_up_to(unsent.sent + 1, WAITING_MAX);
        assert!(!unsent.is_empty());
        assert!(
            unsent.outbox.len() < 2 * WAITING_MAX,
            "{}",
            unsent.outbox.len()
        );
    }
}

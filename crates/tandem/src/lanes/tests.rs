use super::*;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use offload::{Pool, PoolConfig};
use routing::{SlotRegistry, Tables};

struct Bench {
    lanes: Lanes,
    pool: Pool,
    input: LanesInputParts,
    _directory: tempfile::TempDir,
}

/// What a second set of lanes can be started from.
struct LanesInputParts {
    store: Arc<Store>,
    journal_sync: Arc<JournalSync>,
    routing: Arc<ArcSwap<Snapshot>>,
    journal: std::path::PathBuf,
}

fn config(workers: u8, address: &str, journal: &std::path::Path) -> Arc<Config> {
    let advertise = if address.starts_with("0.0.0.0") {
        "advertise = \"127.0.0.1\""
    } else {
        ""
    };
    let text = format!(
        "[runtime]\nworkers = {workers}\nnode = \"test\"\n[[listen]]\ntransport = \"udp\"\naddress = \"{address}\"\n\
         {advertise}\n[proxy]\nstranger_answers_per_s = 100000\nstranger_answers_per_source_s = 100000\n\
         [journal]\ndirectory = \"{}\"\n",
        journal.display()
    );
    Arc::new(crate::config::parse(Some(("test.toml", &text)), &[]).unwrap())
}

fn input(
    parts: &LanesInputParts,
    pool: &Pool,
    workers: u8,
    address: &str,
    boot: u32,
) -> LanesInput {
    LanesInput {
        config: config(workers, address, &parts.journal),
        cookie_keys: CookieKeys {
            current: [7; 16],
            previous: None,
        },
        boot,
        routing: Arc::clone(&parts.routing),
        counters: Arc::new(TrunkCounters::new()),
        store: Arc::clone(&parts.store),
        journal_sync: Arc::clone(&parts.journal_sync),
        restored: Vec::new(),
        pool: pool.handle().clone(),
    }
}

fn empty_snapshot(version: u64) -> Arc<Snapshot> {
    Arc::new(routing::compile(&Tables::default(), version, &mut SlotRegistry::new()).unwrap())
}

fn bench(workers: u8, address: &str) -> Bench {
    let pool = Pool::start(PoolConfig::default(), Arc::new(|| {})).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("t.db").display());
    let parts = LanesInputParts {
        store: Arc::new(pool.handle().block_on(Store::open(&url)).unwrap()),
        journal_sync: Arc::new(JournalSync::start(Duration::from_millis(1)).unwrap()),
        routing: Arc::new(ArcSwap::new(empty_snapshot(1))),
        journal: directory.path().to_owned(),
    };
    let lanes = Lanes::start(input(&parts, &pool, workers, address, 1)).unwrap();
    Bench {
        lanes,
        pool,
        input: parts,
        _directory: directory,
    }
}

fn request(method: &str, to: SocketAddr, from: SocketAddr, call: usize, cseq: usize) -> String {
    format!(
        "{method} sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}{call}x{cseq};rport\r\n\
         From: <sip:a@{from}>;tag=a{call}\r\nTo: <sip:b@{to}>\r\nCall-ID: call-{call}\r\nCSeq: {cseq} {method}\r\n\
         Max-Forwards: 70\r\nContact: <sip:a@{from}>\r\nContent-Length: 0\r\n\r\n"
    )
}

struct Peer(UdpSocket);

impl Peer {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Status, call and CSeq of the next response, and where it came from.
    fn response(&self) -> (u16, usize, usize, SocketAddr) {
        let mut buffer = [0; 4_096];
        let (len, from) = self.0.recv_from(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..len]).unwrap();
        let header = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..]
                .trim()
                .split(' ')
                .next()
                .unwrap()
                .to_owned()
        };
        let call = header("Call-ID: call-").parse().unwrap();
        (
            text[8..11].parse().unwrap(),
            call,
            header("CSeq:").parse().unwrap(),
            from,
        )
    }
}

fn settled(what: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while !what() {
        assert!(Instant::now() < give_up, "never settled");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn two_lanes_share_one_source_and_keep_the_order_of_every_dialog() {
    let bench = bench(2, "127.0.0.1:0");
    let proxy = bench.lanes.addresses()[0];
    let peer = Peer::new();
    const CALLS: usize = 40;
    const ROUNDS: usize = 50;
    let mut last: HashMap<usize, usize> = HashMap::new();
    for cseq in 1..=ROUNDS {
        for call in 0..CALLS {
            peer.0
                .send_to(
                    request("OPTIONS", proxy, peer.address(), call, cseq).as_bytes(),
                    proxy,
                )
                .unwrap();
        }
        // Two rounds are under way at any time, so that a swap within a dialog could happen.
        for _ in 0..if cseq == 1 { 0 } else { CALLS } {
            let (_, call, cseq, from) = peer.response();
            assert_eq!(from, proxy);
            let before = last.insert(call, cseq).unwrap_or(0);
            assert_eq!(cseq, before + 1, "call {call}");
        }
    }
    for _ in 0..CALLS {
        let (_, call, cseq, _) = peer.response();
        assert_eq!(last.insert(call, cseq), Some(cseq - 1), "call {call}");
    }
    let total = (CALLS * ROUNDS) as u64;
    let sum = |stat: LaneStat| -> u64 {
        bench
            .lanes
            .status()
            .iter()
            .map(|lane| lane.counters.value(stat))
            .sum()
    };
    settled(|| sum(LaneStat::DatagramsOut) == total);
    assert_eq!(sum(LaneStat::DatagramsIn), total);
    assert_eq!(sum(LaneStat::HandedOff), sum(LaneStat::TakenOver));
    for stat in [
        LaneStat::RingOverflowNew,
        LaneStat::RingOverflowKept,
        LaneStat::SendErrors,
        LaneStat::KernelDrops,
    ] {
        assert_eq!(sum(stat), 0, "{stat:?}");
    }
    // One socket received everything; the Call-ID placed about half of it elsewhere.
    let share = sum(LaneStat::HandedOff) * 100 / total;
    assert!((15..=85).contains(&share), "{share} % handed off");
    settled(|| {
        let handled = |lane: &LaneStatus| lane.stats.value(proxy_core::Stat::DatagramsIn);
        let lanes = bench.lanes.status();
        lanes.iter().map(handled).sum::<u64>() == total
            && lanes.iter().all(|lane| handled(lane) > 0)
    });
    bench.lanes.stop();
    bench.pool.stop(Duration::from_secs(1));
}

#[test]
fn a_wildcard_listener_replies_from_the_address_that_was_asked() {
    let bench = bench(1, "0.0.0.0:0");
    let port = bench.lanes.addresses()[0].port();
    let asked = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), port);
    let peer = Peer::new();
    peer.0
        .send_to(
            request("OPTIONS", asked, peer.address(), 1, 1).as_bytes(),
            asked,
        )
        .unwrap();
    assert_eq!(peer.response().3, asked);
}

#[test]
fn new_routing_data_is_used_from_the_next_turn_on_and_the_old_is_freed_elsewhere() {
    let bench = bench(2, "127.0.0.1:0");
    let proxy = bench.lanes.addresses()[0];
    let old = Arc::downgrade(&bench.input.routing.load_full());
    bench.lanes.set_snapshot(empty_snapshot(2));
    let peer = Peer::new();
    for call in 0..20 {
        peer.0
            .send_to(
                request("OPTIONS", proxy, peer.address(), call, 1).as_bytes(),
                proxy,
            )
            .unwrap();
        peer.response();
    }
    settled(|| old.strong_count() == 0);
}

#[test]
fn draining_lanes_refuse_what_is_new_and_stopping_twice_is_harmless() {
    let bench = bench(2, "127.0.0.1:0");
    let proxy = bench.lanes.addresses()[0];
    let peer = Peer::new();
    bench.lanes.drain();
    std::thread::sleep(Duration::from_millis(50));
    for call in 0..10 {
        peer.0
            .send_to(
                request("OPTIONS", proxy, peer.address(), call, 1).as_bytes(),
                proxy,
            )
            .unwrap();
        assert_eq!(peer.response().0, 503);
    }
    let calls = bench.pool.handle().block_on(bench.lanes.calls(10));
    assert!(calls.calls.is_empty() && !calls.truncated, "{calls:?}");
    bench.lanes.stop();
    bench.lanes.stop();
    assert_eq!(
        bench.lanes.status().len(),
        2,
        "the last numbers stay readable"
    );
}

#[test]
fn no_lane_reads_its_sockets_before_all_have_their_word_and_without_it_all_end() {
    let bench = bench(1, "127.0.0.1:0");
    let prepared = Lanes::prepare(input(&bench.input, &bench.pool, 2, "127.0.0.1:0", 2)).unwrap();
    let proxy = prepared.lanes.addresses()[0];
    let peer = Peer::new();
    for call in 0..8 {
        let text = request("OPTIONS", proxy, peer.address(), call, 1);
        peer.0.send_to(text.as_bytes(), proxy).unwrap();
    }
    peer.0
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(
        peer.0.recv_from(&mut [0; 4_096]).is_err(),
        "a lane has read its socket"
    );
    peer.0
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let lanes = prepared.go();
    for _ in 0..8 {
        peer.response();
    }
    let threads: Vec<_> = lanes.status().iter().map(|lane| lane.thread_id).collect();
    assert!(threads.iter().all(|thread| *thread > 0), "{threads:?}");
    drop(lanes);
    // Joins the threads: a lane that went on would keep this from returning.
    drop(Lanes::prepare(input(&bench.input, &bench.pool, 2, "127.0.0.1:0", 3)).unwrap());
}

#[test]
fn a_port_in_use_is_said_before_anything_is_started() {
    let bench = bench(1, "127.0.0.1:0");
    let address = bench.lanes.addresses()[0].to_string();
    let error = Lanes::start(input(&bench.input, &bench.pool, 1, &address, 2))
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "listen udp {address}: the port is in use by another process (it may be another tandem)"
        )
    );
}

#[test]
fn a_boot_number_that_was_used_before_is_refused_with_the_lane_named() {
    let bench = bench(1, "127.0.0.1:0");
    let error = Lanes::start(input(&bench.input, &bench.pool, 1, "127.0.0.1:0", 1))
        .err()
        .unwrap();
    assert!(
        matches!(error, LanesError::Journal { lane: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_panic_anywhere_in_a_lane_is_told_as_its_failure() {
    let error = thread::guarded(|| panic!("ring {} is gone", 3)).unwrap_err();
    assert_eq!(error.to_string(), "panicked: ring 3 is gone");
    let error = thread::guarded(|| panic!("gone")).unwrap_err();
    assert_eq!(error.to_string(), "panicked: gone");
    assert!(thread::guarded(|| Ok(())).is_ok());
}

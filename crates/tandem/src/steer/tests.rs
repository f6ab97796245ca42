use super::*;
use std::time::Duration;
use transaction_layer::Transport;

const CONFIG: RingConfig = RingConfig {
    bytes: 200_000,
    parcels: 1_000,
    reserve_percent: 25,
};

fn parcel(port: u16) -> Parcel {
    Parcel::Datagram(Flow {
        transport: Transport::Udp,
        listener: 0,
        local: ([127, 0, 0, 1], 5060).into(),
        remote: ([127, 0, 0, 1], port).into(),
        connection: 0,
    })
}

fn drained(receiver: &mut RingReceiver) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    receiver.drain(usize::MAX, |_, bytes| all.push(bytes.to_vec()));
    all
}

#[test]
fn parcels_of_all_sizes_come_out_whole_and_in_order_round_and_round() {
    let (mut sender, mut receiver) = ring(CONFIG);
    let mut next_in = 0_u32;
    let mut next_out = 0_u32;
    let payload = |n: u32| {
        let len = 4 + (n as usize * 7_919) % 60_000;
        let mut bytes = n.to_be_bytes().to_vec();
        bytes.resize(len, n.to_be_bytes()[3]);
        bytes
    };
    for round in 0..200 {
        while sender.push(parcel((next_in % 60_000) as u16), &payload(next_in), true) {
            next_in += 1;
        }
        let taken = receiver.drain(1 + round % 3, |out, bytes| {
            assert_eq!(out, parcel((next_out % 60_000) as u16));
            assert_eq!(bytes, payload(next_out), "datagram {next_out}");
            next_out += 1;
        });
        assert!(taken > 0);
    }
    assert!(next_out > 300, "the ring went round several times");
}

#[test]
fn new_requests_leave_room_for_what_belongs_to_calls() {
    let (mut sender, mut receiver) = ring(RingConfig {
        parcels: 100,
        ..CONFIG
    });
    let new = (0..200)
        .take_while(|_| sender.push(parcel(1), b"INVITE", false))
        .count();
    assert_eq!(new, 75);
    let kept = (0..200)
        .take_while(|_| sender.push(parcel(1), b"BYE", true))
        .count();
    assert_eq!(kept, 25);
    assert!(!sender.push(parcel(1), b"BYE", true), "full is full");
    assert_eq!(drained(&mut receiver).len(), 100);
    assert!(sender.push(parcel(1), b"INVITE", false));
}

#[test]
fn the_reserve_counts_bytes_too() {
    let (mut sender, _receiver) = ring(CONFIG);
    let large = vec![0; 10_000];
    assert_eq!(
        (0..200)
            .take_while(|_| sender.push(parcel(1), &large, false))
            .count(),
        15
    );
    assert_eq!(
        (0..200)
            .take_while(|_| sender.push(parcel(1), &large, true))
            .count(),
        5
    );
}

#[test]
fn a_small_ring_still_takes_the_largest_datagram() {
    let (mut sender, mut receiver) = ring(RingConfig {
        bytes: 1,
        parcels: 1,
        reserve_percent: 50,
    });
    let largest = vec![9; DATAGRAM_LEN_MAX];
    assert!(sender.push(parcel(1), &largest, false));
    assert_eq!(drained(&mut receiver), [largest]);
}

#[test]
fn every_pair_of_lanes_has_its_own_ring() {
    let mut lanes = mesh(3, CONFIG);
    for sender in 0..3_u16 {
        for receiver in 0..3_u16 {
            match &mut lanes[usize::from(sender)].to[usize::from(receiver)] {
                Some(ring) => assert!(ring.push(parcel(sender), &receiver.to_be_bytes(), false)),
                None => assert_eq!(sender, receiver),
            }
        }
    }
    for receiver in 0..3_u16 {
        for sender in 0..3_u16 {
            let mut seen = Vec::new();
            if let Some(ring) = &mut lanes[usize::from(receiver)].from[usize::from(sender)] {
                ring.drain(10, |out, bytes| seen.push((out, bytes.to_vec())));
                assert_eq!(seen, [(parcel(sender), receiver.to_be_bytes().to_vec())]);
            }
        }
    }
}

#[test]
fn the_bell_wakes_only_a_lane_that_waits() {
    let bell = Doorbell::default();
    assert!(!bell.ring(), "nobody waits");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        bell.wait(|| true).await;
        assert!(!bell.ring(), "it did not wait: there were parcels");
        let ring = async {
            tokio::task::yield_now().await;
            assert!(bell.ring());
            assert!(!bell.ring(), "once is enough");
        };
        let both = async { tokio::join!(bell.wait(|| false), ring) };
        tokio::time::timeout(Duration::from_secs(5), both)
            .await
            .unwrap();
    });
}

#[test]
fn a_lane_on_another_thread_gets_every_parcel_in_order_and_never_sleeps_through_one() {
    const COUNT: u32 = 200_000;
    let mut lanes = mesh(
        2,
        RingConfig {
            bytes: 140_000,
            parcels: 64,
            reserve_percent: 0,
        },
    );
    let mut receiving = lanes.pop().unwrap();
    let mut sending = lanes.pop().unwrap();
    let sender = std::thread::spawn(move || {
        let ring = sending.to[1].as_mut().unwrap();
        let mut n = 0;
        while n < COUNT {
            if ring.push(parcel(7), &n.to_be_bytes(), true) {
                n += 1;
            } else {
                std::thread::yield_now();
            }
            // Batches of different lengths, so that the receiver falls asleep at every possible moment.
            if n % 13 == 0 || n % 64 == 0 || n == COUNT {
                sending.bells[1].ring();
            }
        }
        sending.bells[1].ring();
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut next = 0;
    runtime.block_on(async {
        while next < COUNT {
            let ring = receiving.from[0].as_mut().unwrap();
            let wait = receiving.bells[1].wait(|| !ring.is_empty());
            tokio::time::timeout(Duration::from_secs(20), wait)
                .await
                .expect("slept through a parcel");
            ring.drain(usize::MAX, |_, bytes| {
                assert_eq!(bytes, next.to_be_bytes());
                next += 1;
            });
        }
    });
    sender.join().unwrap();
}

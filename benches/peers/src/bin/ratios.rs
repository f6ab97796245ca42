//! Our parser against the floor and its fastest full peer as ratios, on a machine that others use too.
//! Short slices of each, in turn, thousands of times; the fastest slice of each is what the machine can do.
//! `ratios`: nanoseconds of the fastest and the median slice, and the ratios between the fastest.

use std::hint::black_box;
use std::time::Instant;

use peers::INVITE;
use sip_parser::{Edits, HeaderTable, parse_datagram};

const ROUNDS: usize = 4_000;

/// About a hundred microseconds, shorter than what the scheduler gives at a time.
const SLICE_NS: f64 = 100_000.0;

struct Measured {
    fastest_ns: f64,
    median_ns: f64,
}

fn main() {
    let mut table = HeaderTable::default();
    let (mut other, mut edits, mut out) = (HeaderTable::default(), Edits::new(), Vec::new());
    let mut works: [(&str, Box<dyn FnMut() -> usize>); 4] = [
        (
            "memchr over all line feeds",
            Box::new(|| peers::line_feeds(black_box(INVITE))),
        ),
        (
            "tandem L1",
            Box::new(move || peers::tandem_l1(black_box(INVITE), &mut table)),
        ),
        (
            "rsipstack L1",
            Box::new(|| peers::rsipstack_l1(black_box(INVITE))),
        ),
        (
            "tandem parse, edit, write",
            Box::new(move || {
                let message = parse_datagram(black_box(INVITE), &mut other).expect("a message");
                peers::forward(&message, &mut edits, &mut out);
                out.len()
            }),
        ),
    ];
    let mut slices = [const { Vec::new() }; 4];
    let mut times = [100; 4];
    for _ in 0..ROUNDS {
        for (index, (_, work)) in works.iter_mut().enumerate() {
            let start = Instant::now();
            for _ in 0..times[index] {
                black_box(work());
            }
            let each = start.elapsed().as_nanos() as f64 / f64::from(times[index]);
            times[index] = (SLICE_NS / each) as u32 + 1;
            slices[index].push(each);
        }
    }
    let measured = slices.map(|mut slices| {
        slices.sort_by(f64::total_cmp);
        Measured {
            fastest_ns: slices[0],
            median_ns: slices[slices.len() / 2],
        }
    });
    for ((name, _), measured) in works.iter().zip(&measured) {
        println!(
            "{name:<28} fastest {:>8.1} ns, median {:>8.1} ns",
            measured.fastest_ns, measured.median_ns
        );
    }
    let [floor, ours, peer, _] = measured;
    println!(
        "tandem / memchr    {:.1} (medians {:.1})",
        ours.fastest_ns / floor.fastest_ns,
        ours.median_ns / floor.median_ns
    );
    println!(
        "rsipstack / tandem {:.2} (medians {:.2})",
        peer.fastest_ns / ours.fastest_ns,
        peer.median_ns / ours.median_ns
    );
}

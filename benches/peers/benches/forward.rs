//! The INVITE as it is forwarded: parsed, edited and written, with and without the parse.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use peers::{INVITE, forward};
use sip_parser::{Edits, HeaderTable, ResponseParts, parse_datagram, write_response};

fn forwarding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward");
    let (mut table, mut edits, mut out) = (HeaderTable::default(), Edits::new(), Vec::new());
    group.bench_function("parse, edit, write", |bench| {
        bench.iter(|| {
            let message = parse_datagram(black_box(INVITE), &mut table).expect("a message");
            forward(&message, &mut edits, &mut out);
            out.len()
        });
    });
    let message = parse_datagram(INVITE, &mut table).expect("a message");
    group.bench_function("edit, write", |bench| {
        bench.iter(|| {
            forward(black_box(&message), &mut edits, &mut out);
            out.len()
        });
    });
    let parts = ResponseParts {
        status: 100,
        reason: b"Trying",
        to_tag: None,
        received_from: Some(SocketAddr::from(([192, 0, 2, 20], 5062))),
        headers: &[],
        copy_record_route: false,
    };
    group.bench_function("write 100 Trying", |bench| {
        bench.iter(|| {
            out.clear();
            write_response(black_box(&message), &parts, &mut out);
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, forwarding);
criterion_main!(benches);

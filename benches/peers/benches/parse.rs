//! Parsers over the same INVITE, one after the other in one run: read the figures as ratios.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use peers::INVITE;
use sip_parser::{HeaderTable, parse_datagram};

fn parse(criterion: &mut Criterion) {
    assert_eq!(INVITE.len(), 935);
    let mut group = criterion.benchmark_group("parse");
    let shared = Bytes::from_static(INVITE);
    let mut table = HeaderTable::default();
    group.bench_function("floor: memchr over all line feeds", |bench| {
        bench.iter(|| peers::line_feeds(black_box(INVITE)));
    });
    group.bench_function("tandem L1", |bench| {
        bench.iter(|| peers::tandem_l1(black_box(INVITE), &mut table));
    });
    group.bench_function("tandem parse_datagram", |bench| {
        bench.iter(|| parse_datagram(black_box(INVITE), &mut table).is_ok());
    });
    group.bench_function("httparse, header lines", |bench| {
        bench.iter(|| peers::httparse_split(black_box(INVITE)));
    });
    group.bench_function("parsip split", |bench| {
        bench.iter(|| peers::parsip_split(black_box(INVITE)));
    });
    group.bench_function("rsipstack split", |bench| {
        bench.iter(|| peers::rsipstack_split(black_box(INVITE)));
    });
    group.bench_function("rsipstack L1", |bench| {
        bench.iter(|| peers::rsipstack_l1(black_box(INVITE)));
    });
    group.bench_function("sipx-sip split", |bench| {
        bench.iter(|| peers::sipx_split(black_box(&shared)));
    });
    group.bench_function("sipx-sip L1", |bench| {
        bench.iter(|| peers::sipx_l1(black_box(&shared)));
    });
    group.bench_function("rsip split", |bench| {
        bench.iter(|| peers::rsip_split(black_box(INVITE)));
    });
    group.bench_function("rsip L1", |bench| {
        bench.iter(|| peers::rsip_l1(black_box(INVITE)));
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);

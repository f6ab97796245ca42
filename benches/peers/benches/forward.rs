//! The INVITE as it is forwarded: parsed, edited and written, with and without the parse.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use peers::INVITE;
use sip_parser::{
    Edits, HeaderTable, Message, ResponseParts, parse_datagram, write_message, write_response,
};

const VIA: &[u8] = b"SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK.0.1a2b3c4d5e6f7081.0";
const RECORD_ROUTE: &[u8] =
    b"<sip:198.51.100.10:5060;lr;tdm=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8>";

/// All that forwarding changes of an INVITE.
fn forward(message: &Message<'_>, edits: &mut Edits, out: &mut Vec<u8>) {
    let remote = SocketAddr::from(([192, 0, 2, 20], 5062));
    edits.clear();
    edits.set_request_uri(
        message,
        black_box(b"sip:4930123456@203.0.113.9:5060;user=phone"),
    );
    edits.push_via(message, black_box(VIA));
    edits.amend_top_via(message, remote, false);
    let hops = message.max_forwards().ok().flatten().unwrap_or(70);
    edits.set_max_forwards(message, hops - 1);
    edits.push_record_route(message, black_box(RECORD_ROUTE));
    edits.remove_first_route(message);
    out.clear();
    write_message(message, edits, out);
}

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

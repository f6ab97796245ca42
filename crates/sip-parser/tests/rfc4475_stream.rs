//! The torture messages of RFC 4475 over a stream: each gets what `rfc4475/index.tsv` wants, however it is cut.
//! The column `tcp_prefer` holds the outcomes wanted on a stream, `proxy_prefer` those of all others.
//! What only a proxy decides (`fwd`, 416, 420, 483, dropping a response) is here a message that is parsed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use sip_parser::{Frame, FrameError, FrameLimits, Framer, HeaderTable, parse_datagram, salvage};

/// One row of the index with its octets.
#[derive(Debug)]
struct Torture {
    name: String,
    is_request: bool,
    /// The outcomes wanted, best first.
    wanted: Vec<String>,
    bytes: Vec<u8>,
}

fn torture() -> Vec<Torture> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let text = fs::read_to_string(folder.join("index.tsv")).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let wanted = match columns[10] {
                "" => columns[7],
                tcp => tcp,
            };
            Torture {
                name: columns[1].to_owned(),
                is_request: columns[5] == "request",
                wanted: wanted.split(',').map(str::to_owned).collect(),
                bytes: fs::read(folder.join(format!("{}.dat", columns[1]))).unwrap(),
            }
        })
        .collect()
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    frames: Vec<Vec<u8>>,
    error: Option<FrameError>,
    pending: Vec<u8>,
}

fn run<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut framer = Framer::new(FrameLimits::default());
    let mut frames = Vec::new();
    let mut error = None;
    for mut piece in pieces {
        loop {
            match framer.next_frame(&mut piece) {
                Ok(Some(Frame::Message(message))) => frames.push(message.to_vec()),
                Ok(Some(Frame::Ping)) => {}
                Ok(None) => break,
                Err(found) => {
                    error = Some(found);
                    break;
                }
            }
        }
    }
    Outcome {
        frames,
        error,
        pending: framer.pending().to_vec(),
    }
}

/// The outcome of the first message in the words of the index.
fn verdict(torture: &Torture, outcome: &Outcome) -> String {
    let mut table = HeaderTable::default();
    let Some(first) = outcome.frames.first() else {
        let answerable = salvage(&outcome.pending, &mut table).is_some();
        return match outcome.error {
            Some(error) if answerable => format!("{}+close", error.status()),
            // The end of the stream, or the patience of the connection's owner, comes first.
            _ => "close".to_owned(),
        };
    };
    let error = match parse_datagram(first, &mut table) {
        Ok(message) => {
            assert_eq!(
                message.bytes(),
                first,
                "{}: one frame, one message",
                torture.name
            );
            match message.contacts().find_map(Result::err) {
                // A Contact is read by who needs it, and then its fault is found.
                Some(error) => error,
                None => return "parsed".to_owned(),
            }
        }
        Err(error) => error,
    };
    match salvage(first, &mut table) {
        Some(_) => error.kind.status().to_string(),
        None => "drop".to_owned(),
    }
}

/// Whether `verdict` is what the index calls `wanted`.
fn meets(torture: &Torture, verdict: &str, wanted: &str) -> bool {
    match (verdict, wanted) {
        ("400+close", "4xx+close" | "400") => true,
        ("parsed", "drop") => !torture.is_request,
        ("parsed", "fwd" | "404" | "416" | "420" | "483") => true,
        ("400", "4xx") => true,
        _ => verdict == wanted,
    }
}

//= proves RFC 3261 §18.3
#[test]
fn all_forty_nine_messages_over_a_stream_get_the_outcome_of_the_index() {
    let all = torture();
    assert_eq!(all.len(), 49);
    for torture in &all {
        let verdict = verdict(torture, &run([&torture.bytes[..]]));
        let met = torture
            .wanted
            .iter()
            .any(|wanted| meets(torture, &verdict, wanted));
        assert!(
            met,
            "{}: {verdict}, wanted {:?}",
            torture.name, torture.wanted
        );
    }
}

#[test]
fn the_second_request_behind_the_first_is_a_message_of_its_own() {
    let all = torture();
    let double = all.iter().find(|row| row.name == "dblreq").unwrap();
    let outcome = run([&double.bytes[..]]);
    assert_eq!(outcome.frames.len(), 2);
    assert!(outcome.frames[1].starts_with(b"INVITE sip:joe@example.com"));
    let mut table = HeaderTable::default();
    assert!(parse_datagram(&outcome.frames[1], &mut table).is_ok());
}

#[test]
fn every_torture_message_cut_into_single_octets_gives_the_same() {
    for torture in torture() {
        let whole = run([&torture.bytes[..]]);
        assert_eq!(run(torture.bytes.chunks(1)), whole, "{}", torture.name);
    }
}

proptest! {
    #[test]
    fn torture_messages_on_one_connection_give_the_same_however_they_are_cut(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
        sizes in prop::collection::vec(1usize..400, 1..30),
    ) {
        let all = torture();
        let stream: Vec<u8> = picks
            .iter()
            .flat_map(|pick| pick.get(&all).bytes.iter().copied())
            .collect();
        let whole = run([&stream[..]]);
        let mut rest = &stream[..];
        let mut sizes = sizes.iter().cycle();
        let pieces = std::iter::from_fn(|| {
            let size = (*sizes.next()?).min(rest.len());
            let (piece, after) = rest.split_at(size);
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(run(pieces), whole);
    }
}

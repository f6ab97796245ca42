//! Any bytes as a connection, cut at every place, at places chosen by the last eight bytes, and not at all.
//! The frames must be the same however the bytes were cut, within the limits, and what is pending too.
//! Leaves out what a framed message says, which `datagram` walks over.

use sip_parser::{Frame, FrameError, FrameLimits, Framer};

/// Bytes that choose where the stream is cut.
const SEED_LEN: usize = 8;

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    messages: Vec<Vec<u8>>,
    pings: usize,
    error: Option<FrameError>,
}

fn run(bytes: &[u8], limits: FrameLimits, mut cut: impl FnMut(usize) -> usize) -> Outcome {
    let mut framer = Framer::new(limits);
    let mut outcome = Outcome {
        messages: Vec::new(),
        pings: 0,
        error: None,
    };
    let mut rest = bytes;
    while !rest.is_empty() && outcome.error.is_none() {
        let (mut piece, later) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
        rest = later;
        loop {
            let before = piece.len();
            match framer.next_frame(&mut piece) {
                Ok(Some(Frame::Message(message))) => {
                    assert!(message.len() <= limits.size_max, "{} octets", message.len());
                    outcome.messages.push(message.to_vec());
                }
                Ok(Some(Frame::Ping)) => {
                    outcome.pings += 1;
                    assert!(piece.len() < before, "a ping takes octets");
                }
                Ok(None) => {
                    assert!(piece.is_empty(), "all octets are taken");
                    break;
                }
                Err(error) => {
                    outcome.error = Some(error);
                    break;
                }
            }
        }
        // With single octets nothing can be held beyond the limits; a larger piece is not kept whole either.
        let held = framer.pending().len();
        assert!(
            held <= limits.size_max.max(limits.head_max) + 1,
            "{held} octets are held"
        );
    }
    outcome
}

/// Holds the framer against one stream.
pub fn check(bytes: &[u8]) {
    let Some((bytes, seed)) = bytes.split_last_chunk::<SEED_LEN>() else {
        return;
    };
    let seed = u64::from_le_bytes(*seed);
    let limits = if seed & 1 == 0 {
        FrameLimits::default()
    } else {
        FrameLimits {
            head_max: 300,
            size_max: 500,
        }
    };
    let whole = run(bytes, limits, |left| left);
    let single = run(bytes, limits, |_| 1);
    assert_eq!(whole, single, "one octet at a time");
    let mut state = seed | 1;
    let cut = run(bytes, limits, |left| {
        // xorshift64: any cheap sequence will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        1 + usize::try_from(state % 64).unwrap_or(0).min(left)
    });
    assert_eq!(whole, cut, "cut by {seed}");
}

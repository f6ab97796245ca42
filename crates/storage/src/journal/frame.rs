//! One record as it lies in a segment: `length u32 | CRC32C u32 | sequence u64 | payload`, all little-endian.
//! The checksum covers length, sequence and payload. Leaves out: what the payload means (`accounting::Record`).

/// Bytes before the payload.
pub(crate) const HEAD_LEN: usize = 16;

/// Largest payload; a record is a few hundred bytes, so a longer length is damage.
pub(crate) const PAYLOAD_LEN_MAX: usize = 4 << 20;

/// What lies at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole, sound frame of `HEAD_LEN + payload_len` bytes.
    Sound { seq: u64, payload_len: usize },
    /// Could be a frame, but `missing` more bytes are needed to tell.
    Short { missing: usize },
    /// No frame starts here.
    Bad,
}

fn checksum(head: [u8; HEAD_LEN], payload: &[u8]) -> u32 {
    let [l0, l1, l2, l3, _, _, _, _, seq @ ..] = head;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[l0, l1, l2, l3]), &seq);
    crc32c::crc32c_append(crc, payload)
}

/// Appends a frame around the payload that `fill` appends. Returns false, with `out` as it was, when the payload is
/// empty or longer than [`PAYLOAD_LEN_MAX`].
pub(crate) fn append(out: &mut Vec<u8>, seq: u64, fill: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_LEN]);
    fill(out);
    let payload_len = out.len() - start - HEAD_LEN;
    let Some(len) = u32::try_from(payload_len)
        .ok()
        .filter(|_| (1..=PAYLOAD_LEN_MAX).contains(&payload_len))
    else {
        out.truncate(start);
        return false;
    };
    let mut head = [0; HEAD_LEN];
    head[..4].copy_from_slice(&len.to_le_bytes());
    head[8..].copy_from_slice(&seq.to_le_bytes());
    let crc = checksum(head, &out[start + HEAD_LEN..]);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    out[start..start + HEAD_LEN].copy_from_slice(&head);
    true
}

/// Looks at the start of `bytes`; never panics.
pub(crate) fn look(bytes: &[u8]) -> Frame {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_LEN>() else {
        return Frame::Short {
            missing: HEAD_LEN - bytes.len(),
        };
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3, seq @ ..] = *head;
    let payload_len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if !(1..=PAYLOAD_LEN_MAX).contains(&payload_len) {
        return Frame::Bad;
    }
    let Some(payload) = rest.get(..payload_len) else {
        return Frame::Short {
            missing: payload_len - rest.len(),
        };
    };
    if checksum(*head, payload) == u32::from_le_bytes([c0, c1, c2, c3]) {
        Frame::Sound {
            seq: u64::from_le_bytes(seq),
            payload_len,
        }
    } else {
        Frame::Bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_again_and_cut_anywhere_it_is_short() {
        let mut bytes = Vec::new();
        assert!(append(&mut bytes, 7, |out| out.extend_from_slice(b"payload")));
        assert_eq!(
            look(&bytes),
            Frame::Sound {
                seq: 7,
                payload_len: 7
            }
        );
        for cut in 0..bytes.len() {
            let whole = if cut < HEAD_LEN {
                HEAD_LEN
            } else {
                bytes.len()
            };
            assert_eq!(
                look(&bytes[..cut]),
                Frame::Short {
                    missing: whole - cut
                }
            );
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_is_never_sound() {
        let mut bytes = Vec::new();
        append(&mut bytes, 7, |out| out.extend_from_slice(b"payload"));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(look(&damaged), Frame::Sound { .. }), "bit {bit}");
        }
    }

    #[test]
    fn zeros_as_a_power_cut_leaves_them_are_bad_and_empty_payloads_are_not_written() {
        assert_eq!(look(&[0; 64]), Frame::Bad);
        let mut bytes = vec![1];
        assert!(!append(&mut bytes, 7, |_| {}));
        assert!(!append(&mut bytes, 7, |out| out
            .resize(PAYLOAD_LEN_MAX + HEAD_LEN + 2, 0)));
        assert_eq!(bytes, [1]);
    }
}

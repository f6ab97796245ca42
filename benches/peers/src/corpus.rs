//! The messages that parsers are compared on: those of RFC 4475, ordinary ones, ones with IPv6, and mutations of all.
//! A mutation depends on the seed and its number alone.

use std::fs;
use std::io;
use std::path::Path;

/// A message under its name.
pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Every message that is kept in a file.
///
/// # Errors
/// A folder or file can't be read.
pub fn samples() -> io::Result<Vec<Sample>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut samples = Vec::new();
    for folder in ["crates/sip-parser/tests/rfc4475", "benches/messages"] {
        for entry in fs::read_dir(top.join(folder))? {
            let path = entry?.path();
            let extension = path.extension().unwrap_or_default();
            if extension == "dat" || extension == "sip" {
                samples.push(Sample {
                    name: path
                        .file_stem()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                    bytes: fs::read(&path)?,
                });
            }
        }
    }
    samples.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(samples)
}

/// What is put into messages: all that means something in one.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n ",
    b"\n",
    b"\r",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"=",
    b"@",
    b"%",
    b"%41",
    b"?",
    b"&",
    b"/",
    b" ",
    b"  ",
    b"\t",
    b"\0",
    b"\x7f",
    b"\xc3\xa9",
    b"\xff",
    b".",
    b"0",
    b"1",
    b"-1",
    b"256",
    b"65536",
    b"4294967296",
    b"[2001:db8::1]",
    b"[",
    b"]",
    b"192.0.2.1",
    b"sip:",
    b"sips:",
    b"tel:+1",
    b"SIP/2.0",
    b"sip/2.0",
    b"SIP/3.0",
    b"SIP/2.0/UDP ",
    b";rport",
    b";branch=z9hG4bKx",
    b";tag=x",
    b";tag=",
    b";lr",
    b"Via: SIP/2.0/UDP a\r\n",
    b"To: <sip:a>\r\n",
    b"t: <sip:a>\r\n",
    b"CSeq: 1 INVITE\r\n",
    b"Max-Forwards: 7\r\n",
    b"Content-Length: 0\r\n",
    b"l: 5\r\n",
    b"X: y\r\n",
    b"INVITE",
];

/// The mutation with this number of a sample that the number chooses.
pub fn mutation(samples: &[Sample], seed: u64, number: u64) -> (String, Vec<u8>) {
    let mut random = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let sample = &samples[random.usize(..samples.len())];
    let mut bytes = sample.bytes.clone();
    for _ in 0..random.usize(1..4) {
        let piece = PIECES[random.usize(..PIECES.len())];
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(..12)).min(bytes.len());
        match random.u8(..5) {
            0 => drop(bytes.splice(at..at, piece.iter().copied())),
            1 => drop(bytes.splice(at..end, piece.iter().copied())),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet = random.u8(..);
                }
            }
        }
    }
    (format!("{}#{number}", sample.name), bytes)
}

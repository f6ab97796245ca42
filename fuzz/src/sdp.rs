//! Any bytes as a session description (RFC 8866), with every view of it.
//! Views lie within the body, are the same at every look, and line ends may be either kind.
//! Leaves out what the proxy does with it.

use sip_parser::{Sdp, has_active_media};

/// Holds the reader against one body.
pub fn check(bytes: &[u8]) {
    let active = has_active_media(bytes);
    let sdp = match Sdp::parse(bytes) {
        Ok(sdp) => sdp,
        Err(error) => {
            assert!(error.offset <= bytes.len());
            return;
        }
    };
    assert_eq!(active, sdp.has_active_media(), "one answer by both ways");
    let starts = |prefix: &[u8]| {
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(prefix))
            .count()
    };
    assert_eq!(
        sdp.media().count(),
        starts(b"m="),
        "a description for every m= line"
    );
    let seen = format!(
        "{:?} {:?} {:?}",
        sdp.origin(),
        sdp.connection(),
        sdp.direction()
    );
    for media in sdp.media() {
        let _ = format!("{media:?}");
    }
    // CRLF for LF changes nothing but the octets.
    let mut spelt = Vec::with_capacity(bytes.len() + 64);
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r') {
            spelt.push(b'\r');
        }
        spelt.push(*byte);
    }
    let again = Sdp::parse(&spelt).expect("line ends may be either kind");
    assert_eq!(
        seen,
        format!(
            "{:?} {:?} {:?}",
            again.origin(),
            again.connection(),
            again.direction()
        )
    );
    assert_eq!(again.media().count(), sdp.media().count());
    assert_eq!(again.has_active_media(), active);
}

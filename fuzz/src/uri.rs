//! Two URIs, one a line: parse and compare (RFC 3261 §19.1.4, RFC 3966 §4).
//! Equality is reflexive and symmetric (transitive it is not, by the RFC), and parsing is blind to what follows.
//! Leaves out URIs in header fields, which `datagram` walks over.

use sip_parser::{Host, Uri};

/// Holds parse and comparison against two URIs.
pub fn check(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let (one, two) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let parsed = [one, two].map(Uri::parse);
    for uri in parsed.iter().flatten() {
        let known = !matches!(uri, Uri::Other { .. });
        assert_eq!(uri.equivalent(uri), known, "not equal to itself: {uri:?}");
        if let Uri::Sip(uri) = uri {
            assert!(uri.user.is_none_or(|user| !user.is_empty()) && uri.port != Some(0));
            if let Host::Name(name) = uri.host {
                assert!(!name.is_empty());
            }
        }
    }
    if let [Ok(one), Ok(two)] = &parsed {
        assert_eq!(one.equivalent(two), two.equivalent(one), "{one:?} {two:?}");
    }
    // The scheme is compared without regard to case, and so is the host.
    if let Ok(uri) = &parsed[0]
        && let Some(colon) = one.iter().position(|byte| *byte == b':')
    {
        let mut shouted = one.to_vec();
        shouted[..colon].make_ascii_uppercase();
        let other = Uri::parse(&shouted).expect("case of the scheme matters to nobody");
        assert_eq!(uri.equivalent(&other), uri.equivalent(uri));
    }
}

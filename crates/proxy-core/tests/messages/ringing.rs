//! When a call has rung: 180, 181, 182, or a 183 that brings media; and what a vendor that fails afterwards may still do.

use crate::bench::*;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 203.0.113.10\r\ns=-\r\nc=IN IP4 203.0.113.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

/// A response with a session description.
fn with_media(response: &str) -> String {
    let length = format!(
        "Content-Type: application/sdp\r\nContent-Length: {}\r\n",
        SDP.len()
    );
    response.replace("Content-Length: 0\r\n", &length) + SDP
}

/// The first vendor sends this provisional after a second and then fails: whether the second one is tried, and when the
/// call rang.
fn fails_after(status: u16, media: bool) -> (bool, Option<u64>) {
    let mut bench = Bench::new(&TWO_VENDORS);
    let invite = bench.invite();
    let one = only(&bench.send(CALLER, &invite), "INVITE").clone();
    bench.wait(SECOND);
    let provisional = reply(&one.text, status, "callee", "");
    let provisional = if media {
        with_media(&provisional)
    } else {
        provisional
    };
    let sent = bench.send(VENDOR, &provisional);
    assert_eq!(
        summary(&sent),
        [(CALLER.to_owned(), status.to_string().as_str())]
    );
    bench.wait(SECOND);
    let sent = bench.send(VENDOR, &reply(&one.text, 503, "callee", ""));
    let second = sent.iter().find(|sent| sent.what() == "INVITE").cloned();
    if let Some(second) = &second {
        bench.send(SECOND_VENDOR, &reply(&second.text, 486, "x", ""));
    }
    let cdr = bench.only_cdr();
    assert_eq!(cdr.ring_us.is_some(), cdr.pdd_us.is_some());
    assert_eq!(cdr.ring_us, cdr.attempts[0].ring_us);
    (second.is_some(), cdr.pdd_us)
}

#[test]
fn a_call_has_rung_at_180_181_182_and_at_a_183_only_with_media() {
    for (status, media, rung) in [
        (180, false, true),
        (181, false, true),
        (182, false, true),
        (183, false, false),
        (183, true, true),
        (199, true, false),
    ] {
        let (hunted_on, pdd_us) = fails_after(status, media);
        assert_eq!(pdd_us, rung.then_some(SECOND), "{status} {media}");
        assert_eq!(hunted_on, !rung, "{status} {media}");
    }
}

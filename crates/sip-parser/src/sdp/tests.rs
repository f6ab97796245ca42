use super::*;
use crate::Host;

const OFFER: &str = "v=0\r\n\
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n\
s=Call to John Smith\r\n\
c=IN IP4 198.51.100.1\r\n\
t=0 0\r\n\
a=sendonly\r\n\
m=audio 49170 RTP/AVP 0 8\r\n\
a=rtpmap:8 PCMA/8000\r\n\
m=audio 49180 RTP/AVP 0\r\n\
a=inactive\r\n\
m=video 51372/2 RTP/AVP 99\r\n\
c=IN IP6 2001:db8::2\r\n\
c=IN IP6 2001:db8::3\r\n\
a=recvonly\r\n\
a=rtpmap:99 h263-1998/90000\r\n";

fn error_of(body: &str) -> (SdpErrorKind, usize) {
    let error = Sdp::parse(body.as_bytes()).unwrap_err();
    (error.kind, error.offset)
}

fn v6(address: &str) -> Host<'static> {
    Host::V6(address.parse().unwrap())
}

//= proves RFC 8866 §5.7
//= proves RFC 8866 §6.7
#[test]
fn media_have_their_own_connection_and_direction_or_those_of_the_session() {
    let sdp = Sdp::parse(OFFER.as_bytes()).unwrap();
    assert_eq!(
        sdp.origin(),
        Some(&b"jdoe 3724394400 3724394405 IN IP4 198.51.100.1"[..])
    );
    assert_eq!(sdp.direction(), Direction::SendOnly);
    let media: Vec<_> = sdp.media().collect();
    let [first, second, third] = media[..] else {
        panic!("three media");
    };
    let session = sdp.connection().unwrap();
    assert_eq!(session.address, Host::V4([198, 51, 100, 1].into()));
    assert_eq!(
        (first.connection(), first.direction()),
        (Some(session), Direction::SendOnly)
    );
    assert_eq!(first.lines().count(), 1);
    assert_eq!(first.rtpmap(b"8").unwrap().encoding, b"PCMA");
    assert_eq!(
        (second.connection(), second.direction()),
        (Some(session), Direction::Inactive)
    );
    assert_eq!(third.direction(), Direction::RecvOnly);
    assert_eq!(third.connection().unwrap().address, v6("2001:db8::2"));
    let addresses: Vec<_> = third.connections().map(|c| c.address).collect();
    assert_eq!(addresses, [v6("2001:db8::2"), v6("2001:db8::3")]);
    let active: Vec<_> = media.iter().map(Media::is_active).collect();
    assert_eq!(active, [true, false, true]);

    let sdp = Sdp::parse(b"v=0\r\nm=audio 1 RTP/AVP 0\r\n").unwrap();
    let only = sdp.media().next().unwrap();
    assert_eq!(
        (only.direction(), only.connection()),
        (Direction::SendRecv, None)
    );
}

//= proves RFC 8866 §5
#[test]
fn lines_may_end_with_a_line_feed_alone_and_the_last_one_without() {
    let mixed = OFFER.replacen("\r\n", "\n", 5);
    let open = OFFER.trim_end();
    for body in [
        &OFFER.replace("\r\n", "\n"),
        &mixed,
        open,
        &(OFFER.to_owned() + "\r\n\n"),
    ] {
        let sdp = Sdp::parse(body.as_bytes()).unwrap();
        assert_eq!(sdp.lines().count(), 6);
        let ports: Vec<_> = sdp.media().map(|media| media.port).collect();
        assert_eq!(ports, [49_170, 49_180, 51_372], "{body}");
        let last = sdp.media().last().unwrap();
        assert_eq!(last.lines().count(), 4);
        assert_eq!(last.rtpmap(b"99").unwrap().clock_rate, 90_000);
    }
    assert_eq!(Sdp::parse(b"v=0\n\n").unwrap().lines().count(), 1);
}

#[test]
fn the_first_malformed_line_is_named_by_its_kind_and_offset() {
    assert_eq!(error_of(""), (SdpErrorKind::Version, 0));
    assert_eq!(error_of("\r\nv=0\r\n"), (SdpErrorKind::Version, 0));
    assert_eq!(error_of("v=1\r\n"), (SdpErrorKind::Version, 0));
    assert_eq!(error_of("o=x\r\nv=0\r\n"), (SdpErrorKind::Version, 0));
    assert_eq!(
        error_of("v=0\r\nm =video 1 RTP/AVP 31\r\n"),
        (SdpErrorKind::Line, 5)
    );
    assert_eq!(error_of("v=0\r\n\r\ns=x\r\n"), (SdpErrorKind::Line, 5));
    assert_eq!(error_of("v=0\r\ns=a\rb\r\n"), (SdpErrorKind::Line, 5));
    assert_eq!(error_of("v=0\nA=b\n"), (SdpErrorKind::Line, 4));
    assert_eq!(error_of("v=0\nc=IN IP4\n"), (SdpErrorKind::Connection, 4));
    assert_eq!(
        error_of("v=0\ns=-\nm=audio 1 RTP/AVP 0\nc=IN IP6 ::g\n"),
        (SdpErrorKind::Connection, 28)
    );
    assert_eq!(
        error_of("v=0\nm=audio x RTP/AVP 0\n"),
        (SdpErrorKind::Media, 4)
    );
    let error = SdpError {
        kind: SdpErrorKind::Media,
        offset: 4,
    };
    assert_eq!(error.to_string(), "sdp_media at offset 4");
}

#[test]
fn media_are_active_unless_refused_inactive_or_on_hold() {
    let body = |connection: &str, port: u16, attribute: &str| {
        format!("v=0\r\nc={connection}\r\nm=audio {port} RTP/AVP 8\r\na={attribute}\r\n")
    };
    for (connection, port, attribute, active) in [
        ("IN IP4 192.0.2.1", 4_000, "sendrecv", true),
        ("IN IP6 2001:db8::1", 4_000, "ptime:20", true),
        ("IN IP6 2001:db8::1", 4_000, "sendonly", true),
        ("IN IP4 192.0.2.1", 4_000, "inactive", false),
        ("IN IP4 192.0.2.1", 0, "sendrecv", false),
        ("IN IP4 0.0.0.0", 4_000, "sendrecv", false),
        ("IN IP6 ::", 4_000, "sendrecv", false),
    ] {
        let body = body(connection, port, attribute);
        assert_eq!(has_active_media(body.as_bytes()), active, "{body}");
    }
    assert!(!has_active_media(b""));
    assert!(!has_active_media(b"v=0\r\n"));
    assert!(!has_active_media(
        b"--boundary\r\nContent-Type: application/sdp\r\n\r\n"
    ));
}

#[test]
fn what_follows_each_other_without_lines_between_is_read_too() {
    let sdp =
        Sdp::parse(b"v=0\nm=audio 1 RTP/AVP 0\nm=audio 2 RTP/AVP 0\nm=audio 3 RTP/AVP 0").unwrap();
    let ports: Vec<_> = sdp.media().map(|media| media.port).collect();
    assert_eq!(ports, [1, 2, 3]);
    assert!(sdp.media().all(|media| media.lines().count() == 0));
}

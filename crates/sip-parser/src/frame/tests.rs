use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::parse::tests::INVITE;

/// What a framer gave, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    Message(Vec<u8>),
    Ping,
    Refused(FrameError),
}

/// All that `framer` gives for `pieces`, which are read one after the other.
fn read_with<'p>(framer: &mut Framer, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Given> {
    let mut given = Vec::new();
    for mut piece in pieces {
        loop {
            match framer.next_frame(&mut piece) {
                Ok(Some(Frame::Message(message))) => given.push(Given::Message(message.to_vec())),
                Ok(Some(Frame::Ping)) => given.push(Given::Ping),
                Ok(None) => break,
                Err(error) => {
                    given.push(Given::Refused(error));
                    return given;
                }
            }
        }
        assert!(piece.is_empty());
    }
    given
}

fn read(stream: &[u8]) -> Vec<Given> {
    read_with(&mut Framer::new(FrameLimits::default()), [stream])
}

fn message(bytes: &[u8]) -> Given {
    Given::Message(bytes.to_vec())
}

/// A request with these header lines and body.
fn request(lines: &str, body: &str) -> Vec<u8> {
    format!("OPTIONS sip:a SIP/2.0\r\n{lines}\r\n{body}").into_bytes()
}

//= proves RFC 3261 §18.3
//= proves RFC 3261 §7.5
#[test]
fn messages_are_cut_by_content_length_and_line_ends_between_them_are_dropped() {
    let other = request("l: 0\r\n", "");
    let stream = [b"\r\n", INVITE, b"\n\r\n", &other, &other, b"\r\n", INVITE].concat();
    let expected = [INVITE, &other, &other, INVITE].map(message);
    assert_eq!(read(&stream), expected);
    let mut framer = Framer::new(FrameLimits::default());
    assert_eq!(read_with(&mut framer, stream.chunks(1)), expected);
}

//= proves RFC 5626 §4.4.1
#[test]
fn a_double_crlf_between_messages_is_a_ping_and_a_single_one_is_nothing() {
    assert_eq!(read(b"\r\n"), []);
    assert_eq!(read(b"\r\n\r\n"), [Given::Ping]);
    assert_eq!(read(b"\r\n\r\n\r\n\r\n\r\n"), [Given::Ping, Given::Ping]);
    assert_eq!(read(b"\r\r\n\r\n"), [Given::Ping]);
    assert_eq!(read(b"\r\n\n\r\n"), []);
    let stream = [INVITE, b"\r\n\r\n", INVITE, b"\r\n"].concat();
    let expected = [message(INVITE), Given::Ping, message(INVITE)];
    assert_eq!(read(&stream), expected);
    let mut framer = Framer::new(FrameLimits::default());
    assert_eq!(read_with(&mut framer, stream.chunks(1)), expected);
}

#[test]
fn the_length_is_read_from_any_spelling_of_its_header() {
    for line in [
        "Content-Length: 5\r\n",
        "CONTENT-length:5\r\n",
        "l : 5\r\n",
        "L\t:\t00005 \r\n",
        "Content-Length:\r\n 5\r\n",
        "Content-Length: 5\r\n \r\n",
        "Subject: x\r\n Content-Length: 7\r\nlanguage: l\r\nl: 5\r\n",
    ] {
        let bytes = request(line, "hello");
        assert_eq!(read(&bytes), [message(&bytes)], "{line}");
    }
}

#[test]
fn each_fault_of_framing_has_its_own_error_and_keeps_what_it_is_about() {
    for (lines, error) in [
        ("X: y\r\n", FrameError::ContentLengthMissing),
        ("l: 1\r\nl: 1\r\n", FrameError::ContentLengthRepeated),
        (
            "l: 1\r\nContent-Length: 0\r\n",
            FrameError::ContentLengthRepeated,
        ),
        ("l: -1\r\n", FrameError::ContentLength),
        ("l: 0x1\r\n", FrameError::ContentLength),
        ("l: 1, 1\r\n", FrameError::ContentLength),
        ("l: 1\r\n 2\r\n", FrameError::ContentLength),
        ("l:\r\n", FrameError::ContentLength),
        ("l\r\n : 1\r\n", FrameError::ContentLength),
        ("l 1\r\n", FrameError::ContentLength),
        ("l: 4294967296\r\n", FrameError::ContentLength),
        ("l: 99999999999999999999999\r\n", FrameError::ContentLength),
        ("l: 4294967295\r\n", FrameError::TooLarge),
        ("l: 65535\r\n", FrameError::TooLarge),
    ] {
        let head = request(lines, "");
        let stream = [&head[..], b"body"].concat();
        for size in [1, 7, stream.len()] {
            let mut framer = Framer::new(FrameLimits::default());
            let given = read_with(&mut framer, stream.chunks(size));
            assert_eq!(given, [Given::Refused(error)], "{lines}");
            assert_eq!(framer.pending(), head, "{lines}");
            let mut more = INVITE;
            assert_eq!(framer.next_frame(&mut more), Err(error), "it stays refused");
            assert_eq!((framer.pending(), more), (&head[..], &b""[..]));
        }
    }
}

#[test]
fn a_lone_line_feed_in_the_head_and_octets_that_start_no_line_are_refused_at_once() {
    for (stream, error, pending) in [
        (
            "OPTIONS sip:a SIP/2.0\nl: 0\n\n",
            FrameError::LineEnding,
            22,
        ),
        (
            "OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\n",
            FrameError::LineEnding,
            30,
        ),
        ("\u{16}\u{3}\u{1}", FrameError::StartLine, 1),
        (" OPTIONS", FrameError::StartLine, 1),
    ] {
        for size in [1, 3, stream.len()] {
            let mut framer = Framer::new(FrameLimits::default());
            let given = read_with(&mut framer, stream.as_bytes().chunks(size));
            assert_eq!(given, [Given::Refused(error)], "{stream}");
            assert_eq!(framer.pending(), &stream.as_bytes()[..pending]);
        }
    }
}

#[test]
fn limits_hold_to_the_octet() {
    let bytes = request("l: 9\r\nX: y\r\n", "body-body");
    let head_len = bytes.len() - 9;
    for (head_max, size_max, expected) in [
        (head_len, bytes.len(), message(&bytes)),
        (
            head_len - 1,
            bytes.len(),
            Given::Refused(FrameError::HeadTooLong),
        ),
        (
            head_len,
            bytes.len() - 1,
            Given::Refused(FrameError::TooLarge),
        ),
    ] {
        for size in [1, 10, bytes.len()] {
            let mut framer = Framer::new(FrameLimits { head_max, size_max });
            let given = read_with(&mut framer, bytes.chunks(size));
            assert_eq!(given, std::slice::from_ref(&expected));
        }
    }
}

#[test]
fn an_endless_line_or_body_is_held_up_to_the_limit_and_no_further() {
    let limits = FrameLimits::default();
    for start in [
        "x",
        "OPTIONS sip:a SIP/2.0\r\nX: ",
        "OPTIONS sip:a SIP/2.0\r\nl: 60000\r\n\r\n",
    ] {
        let mut framer = Framer::new(limits);
        let piece = [b'x'; 1_000];
        let pieces = std::iter::once(start.as_bytes()).chain(std::iter::repeat_n(&piece[..], 200));
        read_with(&mut framer, pieces);
        assert!(framer.held.capacity() <= 2 * limits.size_max, "{start}");
    }
    let mut framer = Framer::new(limits);
    let large = request("l: 60000\r\n", &"x".repeat(60_000));
    assert_eq!(read_with(&mut framer, large.chunks(999)), [message(&large)]);
    assert!(framer.held.capacity() <= KEPT_CAPACITY, "given back");
}

#[test]
fn what_is_pending_says_whether_a_message_was_cut_short() {
    let mut framer = Framer::new(FrameLimits::default());
    assert!(!framer.is_within_message());
    for (at, octet) in INVITE.iter().enumerate() {
        assert_eq!(framer.pending(), &INVITE[..at]);
        read_with(&mut framer, [std::slice::from_ref(octet)]);
        assert_eq!(framer.is_within_message(), at + 1 < INVITE.len());
    }
    assert_eq!(framer.pending(), b"");
    read_with(&mut framer, [&INVITE[..INVITE.len() - 1]]);
    assert!(framer.is_within_message());
}

#[test]
fn a_message_that_is_whole_in_what_was_read_is_not_copied() {
    let stream = [INVITE, INVITE].concat();
    let mut framer = Framer::new(FrameLimits::default());
    let mut rest = &stream[..];
    for start in [0, INVITE.len()] {
        let Ok(Some(Frame::Message(message))) = framer.next_frame(&mut rest) else {
            panic!("a message");
        };
        assert!(std::ptr::eq(message, &stream[start..start + INVITE.len()]));
    }
    assert_eq!(framer.held.capacity(), 0);
}

#[test]
fn every_error_has_a_label_and_a_phrase_of_its_own() {
    let labels: HashSet<_> = FrameError::ALL.iter().map(|error| error.as_str()).collect();
    let phrases: HashSet<_> = FrameError::ALL.iter().map(|error| error.reason()).collect();
    assert_eq!((labels.len(), phrases.len()), (7, 7));
    for (index, error) in FrameError::ALL.into_iter().enumerate() {
        assert_eq!(error as usize, index);
        assert!(matches!(error.status(), 400 | 513));
        assert_eq!(error.to_string(), error.as_str());
    }
}

/// Messages, line ends and garbage in any order.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => "[a-zA-Z \r\n]{0,40}".prop_map(|body| request(&format!("l: {}\r\n", body.len()), &body)),
        2 => Just(INVITE.to_vec()),
        2 => "[\r\n]{1,6}".prop_map(String::into_bytes),
        1 => "[l: 0-9xX\r\n]{1,20}".prop_map(String::into_bytes),
        1 => "(l: [0-9]{1,2}\r\n){0,2}".prop_map(|lines| request(&lines, "")),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_given_does_not_depend_on_how_the_stream_is_cut(
        stream in stream(),
        sizes in prop::collection::vec(1usize..60, 1..20),
    ) {
        let mut whole = Framer::new(FrameLimits::default());
        let expected = read_with(&mut whole, [&stream[..]]);
        let mut rest = &stream[..];
        let mut sizes = sizes.iter().cycle();
        let pieces = std::iter::from_fn(|| {
            let size = (*sizes.next()?).min(rest.len());
            let (piece, after) = rest.split_at(size);
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        let mut cut = Framer::new(FrameLimits::default());
        prop_assert_eq!(read_with(&mut cut, pieces), expected.clone());
        prop_assert_eq!(cut.pending(), whole.pending());
        let mut single = Framer::new(FrameLimits::default());
        prop_assert_eq!(read_with(&mut single, stream.chunks(1)), expected);
        prop_assert_eq!(single.pending(), whole.pending());
    }
}

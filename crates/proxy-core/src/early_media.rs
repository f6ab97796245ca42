//! What a provisional response lets the caller hear: ringing, or media (RFC 3960 §2).
//!
//! It decides when a call has rung, for the CDR and for the hunt, which does not go on behind a caller's ear.
//! Left out: whether media really flows; a proxy does not see it.

use sip_parser::{Message, has_active_media};

/// Whether a provisional response tells the caller that somebody is being reached.
///
/// 180, 181 and 182 do. A 183, or another 18x, does when it brings media: a session description with a medium that is
/// neither refused nor inactive. One that cannot be read is no media.
pub(crate) fn is_heard(response: &Message<'_>) -> bool {
    match response.status() {
        180..183 => true,
        183..190 => session_description(response).is_some_and(has_active_media),
        _ => false,
    }
}

/// The session description in a body: all of it, or the first in a multipart one (RFC 5621), as SIP-I sends.
fn session_description<'m>(message: &Message<'m>) -> Option<&'m [u8]> {
    let (of, body) = (message.content_type()?, message.body());
    if starts_with(of, b"application/sdp") {
        return Some(body);
    }
    if !starts_with(of, b"multipart/") {
        return None;
    }
    let named = find(body, |rest| starts_with(rest, b"application/sdp"))?;
    let part = body.get(named..)?;
    let headers_end = find(part, |rest| rest.starts_with(b"\r\n\r\n"))?;
    let content = part.get(headers_end + 4..)?;
    // A boundary begins its line with two hyphens, which no line of a description does.
    let end = find(content, |rest| rest.starts_with(b"\r\n--")).unwrap_or(content.len());
    content.get(..end)
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len())
        .is_some_and(|text| text.eq_ignore_ascii_case(start))
}

/// The first place from which on `is_it`.
fn find(text: &[u8], is_it: impl Fn(&[u8]) -> bool) -> Option<usize> {
    (0..text.len()).find(|at| text.get(*at..).is_some_and(&is_it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_parser::{HeaderTable, parse_datagram};

    fn heard(status: u16, content_type: &str, body: &str) -> bool {
        let content_type = match content_type {
            "" => String::new(),
            of => format!("Content-Type: {of}\r\n"),
        };
        let text = format!(
            "SIP/2.0 {status} Whatever\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=a\r\n\
             To: <sip:b@h>;tag=b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{content_type}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut table = HeaderTable::default();
        parse_datagram(text.as_bytes(), &mut table).is_ok_and(|message| is_heard(&message))
    }

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

    #[test]
    fn ringing_is_heard_and_a_183_only_with_media() {
        for (status, expected) in [
            (100, false),
            (180, true),
            (181, true),
            (182, true),
            (183, false),
            (188, false),
            (199, false),
        ] {
            assert_eq!(heard(status, "", ""), expected, "{status}");
        }
        for (content_type, body, expected) in [
            ("application/sdp", SDP.to_owned(), true),
            ("Application/SDP;charset=x", SDP.to_owned(), true),
            ("application/sdp", String::new(), false),
            ("application/sdp", "not a description".to_owned(), false),
            (
                "application/sdp",
                SDP.replace("audio 4000", "audio 0"),
                false,
            ),
            ("application/sdp", format!("{SDP}a=inactive\r\n"), false),
            (
                "application/sdp",
                format!("{SDP}a=inactive\r\nm=video 4002 RTP/AVP 99\r\n"),
                true,
            ),
            ("application/sdp", format!("{SDP}a=sendonly\r\n"), true),
            ("application/isup", SDP.to_owned(), false),
        ] {
            assert_eq!(
                heard(183, content_type, &body),
                expected,
                "{content_type} {body}"
            );
        }
    }

    #[test]
    fn a_description_beside_an_isup_message_is_found() {
        let parts = |sdp: &str| {
            format!(
                "--b\r\nContent-Type: application/ISUP;version=itu-t92+\r\n\r\n\u{1}\u{2}\r\n\
                 --b\r\ncontent-type: application/sdp\r\nContent-Disposition: session\r\n\r\n{sdp}\r\n--b--\r\n"
            )
        };
        let of = "multipart/mixed;boundary=b";
        assert!(heard(183, of, &parts(SDP)));
        assert!(!heard(
            183,
            of,
            &parts(&SDP.replace("audio 4000", "audio 0"))
        ));
        assert!(!heard(
            183,
            of,
            "--b\r\nContent-Type: application/isup\r\n\r\n\u{1}\r\n--b--\r\n"
        ));
        assert!(!heard(183, of, "--b\r\nContent-Type: application/sdp"));
    }
}

use super::*;
use crate::{Host, Limits, Method};

pub(crate) const INVITE: &[u8] = b"INVITE sip:+4930123456@gw.example.net;user=phone SIP/2.0\r\n\
Via: SIP/2.0/UDP pbx.example.org:5070;branch=z9hG4bK776asdhds;rport\r\n\
Max-Forwards: 70\r\n\
From: \"Alice \\\"A\\\" Liddell\" <sip:alice@example.org>;tag=1928301774\r\n\
To: <sip:+4930123456@gw.example.net>\r\n\
Call-ID: a84b4c76e66710@pbx.example.org\r\n\
CSeq: 314159 INVITE\r\n\
Contact: <sip:alice@192.0.2.7:5070;transport=udp>\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 4\r\n\
\r\n\
v=0\n";

fn error_of(text: &[u8]) -> ParseErrorKind {
    let mut table = HeaderTable::default();
    parse_datagram(text, &mut table).unwrap_err().kind
}

#[test]
fn an_ordinary_invite_is_read() {
    let mut table = HeaderTable::new(Limits::default());
    let message = parse_datagram(INVITE, &mut table).unwrap();
    assert!(message.is_request());
    assert_eq!(message.method(), Method::Invite);
    assert_eq!(
        message.request_uri(),
        b"sip:+4930123456@gw.example.net;user=phone"
    );
    let via = message.top_via().unwrap();
    assert_eq!(via.transport, b"UDP");
    assert_eq!(via.host, Host::Name(b"PBX.example.org"));
    assert_eq!(via.port, Some(5070));
    assert_eq!(via.branch, Some(&b"z9hG4bK776asdhds"[..]));
    assert_eq!(via.rport, Some(None));
    assert_eq!(via.sent_by, b"pbx.example.org:5070");
    assert_eq!(
        message.from().unwrap().display,
        Some(&b"Alice \\\"A\\\" Liddell"[..])
    );
    assert_eq!(message.from_tag(), Some(&b"1928301774"[..]));
    assert_eq!(message.to_tag(), None);
    assert_eq!(message.call_id(), b"a84b4c76e66710@pbx.example.org");
    assert_eq!(message.cseq().number, 314_159);
    assert_eq!(message.max_forwards(), Ok(Some(70)));
    assert_eq!(message.content_length(), Some(4));
    assert_eq!(message.body(), b"v=0\n");
    assert_eq!(message.headers().count(), 9);
}

#[test]
fn a_body_shorter_than_content_length_is_refused() {
    assert_eq!(
        error_of(&INVITE[..INVITE.len() - 1]),
        ParseErrorKind::BodyTooShort
    );
}

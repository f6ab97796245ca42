use super::*;

fn parse(value: &str) -> Option<Media<'_>> {
    Media::parse_line(value.as_bytes())
}

#[test]
fn media_lines_are_taken_apart() {
    let media = parse("audio 49170 RTP/AVP 8 0 101").unwrap();
    assert_eq!(
        (media.kind, media.protocol),
        (&b"audio"[..], &b"RTP/AVP"[..])
    );
    assert_eq!((media.port, media.port_count), (49_170, 1));
    let formats: Vec<_> = media.formats().collect();
    assert_eq!(formats, [&b"8"[..], b"0", b"101"]);

    let media = parse("video 49170/2 RTP/AVP 31").unwrap();
    assert_eq!((media.port, media.port_count), (49_170, 2));
    assert_eq!(parse("image 4000 udptl t38").unwrap().protocol, b"udptl");
    assert_eq!(parse("audio 0 RTP/AVP").unwrap().formats().count(), 0);
}

#[test]
fn malformed_media_lines_are_refused() {
    for value in [
        "",
        "audio",
        "audio 1",
        "audio 1 RTP/AVP",
        "audio x RTP/AVP 0",
        "audio -1 RTP/AVP 0",
        "audio 65536 RTP/AVP 0",
        "audio 1/0 RTP/AVP 0",
        "audio 1/ RTP/AVP 0",
        "audio $ RTP/AVP 0",
    ] {
        assert!(parse(value).is_none(), "{value}");
    }
}

#[test]
fn formats_lead_to_their_map_and_their_parameters() {
    let lines =
        b"a=rtpmap:10 L16/44100/2\r\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\r\n\
                  a=fmtp:18 annexb=no\r\na=rtpmap:1010 x\r\na=ptime:20\r\na=rtcp-mux\r\n";
    let sdp = Sdp::parse(b"v=0\r\n").unwrap();
    let media = Media::new(b"audio 1 RTP/AVP 10 101 18", lines, &sdp).unwrap();
    assert_eq!(
        media.rtpmap(b"10"),
        Some(RtpMap {
            encoding: b"L16",
            clock_rate: 44_100,
            parameters: Some(b"2")
        })
    );
    let event = media.rtpmap(b"101").unwrap();
    assert_eq!(
        (event.encoding, event.clock_rate),
        (&b"telephone-event"[..], 8_000)
    );
    assert_eq!(
        (
            media.rtpmap(b"18"),
            media.rtpmap(b"1010"),
            media.rtpmap(b"1")
        ),
        (None, None, None)
    );
    assert_eq!(media.fmtp(b"101"), Some(&b"0-16"[..]));
    assert_eq!(media.fmtp(b"18"), Some(&b"annexb=no"[..]));
    assert_eq!(media.fmtp(b"10"), None);
    let attributes: Vec<_> = media.attributes().skip(5).collect();
    assert_eq!(
        attributes,
        [
            Attribute {
                name: b"ptime",
                value: Some(b"20")
            },
            Attribute {
                name: b"rtcp-mux",
                value: None
            },
        ]
    );
}

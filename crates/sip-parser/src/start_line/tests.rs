use super::*;

fn kind_of(line: &[u8]) -> ParseErrorKind {
    parse(line, line.len()).unwrap_err().kind
}

#[test]
fn a_status_line_gives_code_and_reason() {
    let line = b"sip/2.0 404 Not  Found";
    let start = parse(line, line.len()).unwrap();
    assert_eq!(start.status, 404);
    assert_eq!(start.reason.slice(line), b"Not  Found");
    for line in [&b"SIP/2.0 100 "[..], b"SIP/2.0 100"] {
        let start = parse(line, line.len()).unwrap();
        assert_eq!((start.status, start.reason.slice(line)), (100, &b""[..]));
    }
}

#[test]
fn each_fault_of_the_first_line_has_its_own_kind() {
    let cases: [(&[u8], ParseErrorKind); 16] = [
        (b"SIP/2.0 99 x", ParseErrorKind::StatusCode),
        (b"SIP/2.0 700 x", ParseErrorKind::StatusCode),
        (b"SIP/2.0 4294967301 x", ParseErrorKind::StatusCode),
        (b"SIP/2.0 200x", ParseErrorKind::StatusCode),
        (b"SIP/3.0 200 OK", ParseErrorKind::Version),
        (b"SIP/2.0", ParseErrorKind::StatusCode),
        (b"", ParseErrorKind::Method),
        (b"INVITE", ParseErrorKind::Method),
        (b"IN<ITE sip:a SIP/2.0", ParseErrorKind::Method),
        (b"INVITE sip:a", ParseErrorKind::StartLine),
        (b"INVITE sip:a HTTP/1.1", ParseErrorKind::StartLine),
        (b"INVITE sip:a SIP/2.", ParseErrorKind::StartLine),
        (b"INVITE sip:a SIP/2.0 ", ParseErrorKind::StartLine),
        (b"INVITE sip:a SIP/7.0", ParseErrorKind::Version),
        (b"INVITE a SIP/2.0", ParseErrorKind::RequestUri),
        (
            b"INVITE sip:a?b=c SIP/2.0",
            ParseErrorKind::RequestUriHeaders,
        ),
    ];
    for (line, kind) in cases {
        assert_eq!(kind_of(line), kind, "{}", String::from_utf8_lossy(line));
    }
}

use super::*;

fn via(value: &[u8]) -> Via<'_> {
    Via::parse(value).unwrap()
}

fn fault_of(value: &[u8]) -> ParseErrorKind {
    Via::parse(value).unwrap_err().kind
}

#[test]
fn white_space_and_folds_may_stand_between_all_parts() {
    let via = via(b"SIP / 2.0\r\n / UDP\r\n   192.0.2.2 : 5062 ;\r\n branch = z9hG4bKa ; rport");
    assert_eq!(via.transport, b"UDP");
    assert_eq!(via.host, Host::V4([192, 0, 2, 2].into()));
    assert_eq!(via.port, Some(5062));
    assert_eq!(via.branch, Some(&b"z9hG4bKa"[..]));
    assert_eq!(via.rport, Some(None));
}

#[test]
fn an_ipv6_reference_and_a_received_without_brackets_are_read() {
    let via = via(b"SIP/2.0/TLS [2001:db8::9:1]:5061;received=2001:db8::9:255;rport=4711;ttl=1");
    assert_eq!(via.host, Host::V6("2001:db8::9:1".parse().unwrap()));
    assert_eq!(via.sent_by, b"[2001:db8::9:1]:5061");
    assert_eq!(via.received, Some(&b"2001:db8::9:255"[..]));
    assert_eq!(via.rport, Some(Some(4711)));
    assert_eq!(via.ttl, Some(1));
}

#[test]
fn parameter_names_are_compared_without_regard_to_case() {
    let via = via(b"SIP/2.0/UDP h;BRANCH=b;Maddr=224.2.0.1;x=\"a;b,c\"");
    assert_eq!(via.branch, Some(&b"b"[..]));
    assert_eq!(via.maddr, Some(&b"224.2.0.1"[..]));
    assert_eq!(via.params.get(b"X"), Some(&b"\"a;b,c\""[..]));
}

#[test]
fn malformed_values_are_refused() {
    for value in [
        &b""[..],
        b"SIP/2.0",
        b"SIP/2.0/UDP",
        b"SIP/2.0/UDP ",
        b"SIP/2.0/UDPhost",
        b"HTTP/1.1/TCP host",
        b"SIP//UDP host",
        b"SIP/2.0/UDP host:",
        b"SIP/2.0/UDP host:0",
        b"SIP/2.0/UDP host:65536",
        b"SIP/2.0/UDP host:port",
        b"SIP/2.0/UDP 192.0.2.256",
        b"SIP/2.0/UDP [::1",
        b"SIP/2.0/UDP [zz]",
        b"SIP/2.0/UDP host;;branch=a",
        b"SIP/2.0/UDP host;branch",
        b"SIP/2.0/UDP host;branch=",
        b"SIP/2.0/UDP host;rport=99999",
        b"SIP/2.0/UDP host;ttl=256",
        b"SIP/2.0/UDP host;x=\"open",
        b"SIP/2.0/UDP host (comment)",
        b"SIP/2.0/UDP host,SIP/2.0/UDP other",
    ] {
        assert_eq!(
            fault_of(value),
            ParseErrorKind::ViaSyntax,
            "{}",
            String::from_utf8_lossy(value)
        );
    }
}

#[test]
fn too_many_parameters_are_an_error_of_their_own() {
    let mut value = b"SIP/2.0/UDP host".to_vec();
    value.extend(b";a".repeat(64));
    assert!(Via::parse(&value).is_ok());
    value.extend_from_slice(b";a");
    assert_eq!(fault_of(&value), ParseErrorKind::ParamsTooMany);
}

//= proves RFC 3261 §7.3.1
#[test]
fn a_parameter_that_a_proxy_reads_may_not_appear_twice() {
    for twice in [
        "branch=z9hG4bKa;branch=z9hG4bKb",
        "branch=z9hG4bKa;BRANCH=z9hG4bKa",
        "received=192.0.2.1;received=192.0.2.2",
        "rport;rport=5060",
        "maddr=192.0.2.1;maddr=192.0.2.1",
        "ttl=1;ttl=1",
    ] {
        let value = format!("SIP/2.0/UDP h;{twice}");
        let error = Via::parse(value.as_bytes()).unwrap_err();
        assert_eq!(error.kind, ParseErrorKind::ViaSyntax, "{twice}");
    }
    assert!(Via::parse(b"SIP/2.0/UDP h;x=1;x=2").is_ok());
}

use super::*;

fn sip(uri: &[u8]) -> SipUri<'_> {
    match Uri::parse(uri) {
        Ok(Uri::Sip(uri)) => uri,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_parts_of_a_sip_uri_are_found() {
    let uri = sip(b"sips:1234#56;phone-context=x:pw@[2001:db8::1]:5061;lr;transport=tls?a=b&c=d");
    assert!(uri.secure);
    assert_eq!(uri.user, Some(&b"1234#56;phone-context=x"[..]));
    assert_eq!(uri.password, Some(&b"pw"[..]));
    assert_eq!(uri.host, Host::V6("2001:db8::1".parse().unwrap()));
    assert_eq!(uri.port, Some(5061));
    assert!(uri.params.contains(b"LR"));
    assert_eq!(uri.params.get(b"transport"), Some(&b"tls"[..]));
    assert_eq!(uri.headers, b"a=b&c=d");
    let uri = sip(b"SIP:example.com");
    assert_eq!((uri.user, uri.port), (None, None));
}

#[test]
fn each_fault_has_its_own_error() {
    let cases: [(&[u8], UriError); 22] = [
        (b"", UriError::Scheme),
        (b"sip", UriError::Scheme),
        (b"sip:", UriError::Scheme),
        (b":a@b", UriError::Scheme),
        (b"1x:a", UriError::Scheme),
        (b"sip:a b@c", UriError::Octet),
        (b"sip:<a@c>", UriError::Octet),
        (b"sip:\xc3\xa4@c", UriError::Octet),
        (b"sip:a%4@c", UriError::Escape),
        (b"sip:a@c;x=%zz", UriError::Escape),
        (b"sip:@host", UriError::User),
        (b"sip:a@", UriError::Host),
        (b"sip:a@b@c", UriError::Host),
        (b"sip:a@1.2.3", UriError::Host),
        (b"sip:a@[::1", UriError::Host),
        (b"sip:a@host/x", UriError::Host),
        (b"sip:a@host:", UriError::Port),
        (b"sip:a@host:70000", UriError::Port),
        (b"sip:a@host;", UriError::Params),
        (b"sip:a@host;=x", UriError::Params),
        (b"sip:a@host;x=,", UriError::Params),
        (b"sip:a@host?", UriError::Params),
    ];
    for (uri, error) in cases {
        assert_eq!(
            Uri::parse(uri).unwrap_err(),
            error,
            "{}",
            String::from_utf8_lossy(uri)
        );
    }
}

#[test]
fn too_many_parameters_or_headers_are_refused() {
    let with = |part: &[u8], times: usize, start: &[u8]| [start, &part.repeat(times)].concat();
    assert!(Uri::parse(&with(b";a", 64, b"sip:h")).is_ok());
    let params = with(b";a", 65, b"sip:h");
    assert_eq!(Uri::parse(&params).unwrap_err(), UriError::ParamsTooMany);
    assert!(Uri::parse(&with(b"&a=b", 63, b"sip:h?a=b")).is_ok());
    let headers = with(b"&a=b", 64, b"sip:h?a=b");
    assert_eq!(Uri::parse(&headers).unwrap_err(), UriError::ParamsTooMany);
}

#[test]
fn other_schemes_are_only_named() {
    assert!(matches!(
        Uri::parse(b"soap.beep://192.0.2.103:3002"),
        Ok(Uri::Other {
            scheme: b"soap.beep"
        })
    ));
}

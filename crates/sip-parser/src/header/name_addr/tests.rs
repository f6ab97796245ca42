use super::*;

fn address(value: &[u8]) -> NameAddr<'_> {
    NameAddr::parse(value).unwrap()
}

#[test]
fn a_quoted_display_name_may_hold_anything_that_is_escaped() {
    let address = address(br#""A <b>, \"c\"; d" <sip:a@b;lr;x=y>;tag=1;q="a;b""#);
    assert_eq!(address.display, Some(&br#"A <b>, \"c\"; d"#[..]));
    assert_eq!(address.uri, b"sip:a@b;lr;x=y");
    assert_eq!(address.tag, Some(&b"1"[..]));
    assert_eq!(address.params.get(b"q"), Some(&br#""a;b""#[..]));
}

#[test]
fn the_display_name_may_touch_its_bracket_and_may_be_several_words() {
    assert_eq!(address(b"caller<sip:a@b>").display, Some(&b"caller"[..]));
    assert_eq!(
        address(b"a b\r\n c <sip:a@b>").display,
        Some(&b"a b\r\n c"[..])
    );
    assert_eq!(address(b"<sip:a@b>").display, None);
    assert_eq!(address(b"\"\" <sip:a@b>").display, Some(&b""[..]));
    assert_eq!(
        address("Zoë <sip:a@b>".as_bytes()).display,
        Some("Zoë".as_bytes())
    );
}

#[test]
fn parameters_behind_a_bare_uri_belong_to_the_header() {
    let address = address(b"sip:+1650@ss1.example.net;user=phone ; tag = x");
    assert_eq!(address.uri, b"sip:+1650@ss1.example.net");
    assert_eq!(address.params.get(b"user"), Some(&b"phone"[..]));
    assert_eq!(address.tag, Some(&b"x"[..]));
}

#[test]
fn other_schemes_are_addresses_too() {
    assert_eq!(address(b"isbn:2983792873").uri, b"isbn:2983792873");
    assert_eq!(
        address(b"<http://www.example.com>;tag=3").uri,
        b"http://www.example.com"
    );
    assert_eq!(address(b"<tel:+4930123>").uri, b"tel:+4930123");
}

#[test]
fn malformed_values_are_refused() {
    for value in [
        &b""[..],
        b"<>",
        b"<sip:>",
        b"sip:",
        b"sip:a@b?x=y",
        b"nothing",
        b"<sip:a@b",
        b"< sip:a@b>",
        b"<sip:a@b >",
        b"<sip:a@\r\n b>",
        b"<sip:a\0@b>",
        b"<1sip:a@b>",
        b"\"open <sip:a@b>",
        b"\"a\" sip:a@b",
        b"Bell, A <sip:a@b>",
        b"<sip:a@b>;",
        b"<sip:a@b>;;tag=1",
        b"<sip:a@b>;tag",
        b"<sip:a@b>;tag=",
        b"<sip:a@b>;tag=1;tag=2",
        b"<sip:a@b> x",
        b"<sip:a@b>,<sip:c@d>",
    ] {
        let error = NameAddr::parse(value).unwrap_err();
        assert_eq!(
            error.kind,
            ParseErrorKind::NameAddrSyntax,
            "{}",
            String::from_utf8_lossy(value)
        );
    }
}

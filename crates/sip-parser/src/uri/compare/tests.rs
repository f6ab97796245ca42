use crate::Uri;

/// Both ways round, because equivalence is symmetric.
fn equivalent(one: &str, two: &str) -> bool {
    let (one, two) = (
        Uri::parse(one.as_bytes()).unwrap(),
        Uri::parse(two.as_bytes()).unwrap(),
    );
    assert_eq!(one.equivalent(&two), two.equivalent(&one));
    one.equivalent(&two)
}

//= proves RFC 3261 §19.1.4
#[test]
fn the_equivalent_examples_of_the_rfc_are_equivalent() {
    for (one, two) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(equivalent(one, two), "{one} {two}");
    }
}

//= proves RFC 3261 §19.1.4
#[test]
fn the_different_examples_of_the_rfc_are_different() {
    for (one, two) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
    ] {
        assert!(!equivalent(one, two), "{one} {two}");
    }
}

#[test]
fn every_component_counts() {
    for (one, two) in [
        ("sip:a@h", "sips:a@h"),
        ("sip:a@h", "sip:h"),
        ("sip:a:b@h", "sip:a@h"),
        ("sip:a:b@h", "sip:a:B@h"),
        ("sip:a@h", "sip:a@h;user=phone"),
        ("sip:a@h", "sip:a@h;ttl=1"),
        ("sip:a@h", "sip:a@h;maddr=1.2.3.4"),
        ("sip:a@h", "sip:a@h;method=INVITE"),
        ("sip:a@h;x", "sip:a@h;x=1"),
        ("sip:a%2Cb@h", "sip:a,b@h"),
        ("sip:a@h?x=1&x=1&y=2", "sip:a@h?x=1&y=2"),
        ("sip:a@h", "tel:+1"),
        ("isbn:1", "isbn:1"),
    ] {
        assert!(!equivalent(one, two), "{one} {two}");
    }
    assert!(equivalent("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]"));
}

//= proves RFC 3966 §4
#[test]
fn telephone_numbers_are_compared_by_their_digits() {
    assert!(equivalent("tel:+1-201-555-0123", "tel:+1(201)555.0123"));
    assert!(equivalent(
        "tel:7042;phone-context=+1-201",
        "tel:7042;PHONE-CONTEXT=+1201"
    ));
    assert!(equivalent(
        "tel:70A2;phone-context=Example.com",
        "tel:70a2;phone-context=example.com"
    ));
    assert!(!equivalent("tel:+12015550123", "tel:12015550123"));
    assert!(!equivalent("tel:+12015550123", "tel:+12015550123;ext=1"));
    assert!(!equivalent(
        "tel:7042;phone-context=a.com",
        "tel:7042;phone-context=b.com"
    ));
}

/// Found by fuzzing.
#[test]
fn a_uri_that_says_a_parameter_twice_is_equal_to_itself() {
    for uri in [
        "sip:carol@chicago.com;security=on;security=off",
        "sip:carol@chicago.com;transport=tcp;transport",
        "tel:7042;isub=1;isub=2",
    ] {
        assert!(equivalent(uri, uri), "{uri}");
    }
    assert!(equivalent("sip:a@b;x=1;x=2", "sip:a@b;X=2;x=1"));
    assert!(!equivalent("sip:a@b;x=1;x=2", "sip:a@b;x=1;x=3"));
}

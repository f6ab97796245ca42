//! Tests of address patterns.

use super::*;

fn pattern(text: &str) -> AddressPattern {
    text.parse().unwrap()
}

#[test]
fn every_form_is_read_and_printed_alike() {
    let same = [
        "192.0.2.1",
        "192.0.2.0/24",
        "0.0.0.0/0",
        "192.0.2.1:5060",
        "192.0.2.0/24:5060",
        "2001:db8::1",
        "2001:db8::/32",
        "::/0",
        "[2001:db8::1]:5060",
        "[2001:db8::]/32:5060",
    ];
    for text in same {
        assert_eq!(pattern(text).to_string(), text);
    }
    assert_eq!(pattern("192.0.2.1/32").to_string(), "192.0.2.1");
    assert_eq!(pattern("[2001:db8::1]").to_string(), "2001:db8::1");
    assert_eq!(pattern("::ffff:192.0.2.1").to_string(), "192.0.2.1");
    assert_eq!(pattern("::ffff:192.0.2.0/120").to_string(), "192.0.2.0/24");
}

#[test]
fn what_is_no_address_is_refused_with_what_is_allowed() {
    let bad = [
        "sip.example.com",
        "192.0.2",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:+5",
        "192.0.2.0/",
        "192.0.2.0/ab",
        "192.0.2.0/256",
        "[192.0.2.1]:5060",
        "[2001:db8::1",
        "192.0.2.1 ",
        "10.0.0.1:5060/24",
        "",
    ];
    for text in bad {
        let fault = text.parse::<AddressPattern>().unwrap_err();
        assert!(fault.contains("allowed: 192.0.2.1"), "{text}: {fault}");
    }
    let fault = "192.0.2.1/24".parse::<AddressPattern>().unwrap_err();
    assert_eq!(
        fault,
        "192.0.2.1/24 has bits set behind /24; write 192.0.2.0/24"
    );
    let fault = "192.0.2.0/33".parse::<AddressPattern>().unwrap_err();
    assert_eq!(fault, "/33 is too long a network length; allowed: 0 to 32");
    assert!(
        "192.0.2.1:0"
            .parse::<AddressPattern>()
            .unwrap_err()
            .contains("allowed: 1 to 65535")
    );
}

#[test]
fn a_network_holds_its_addresses_and_no_others() {
    let net = pattern("192.0.2.128/25").net;
    assert!(net.contains("192.0.2.128".parse().unwrap()));
    assert!(net.contains("::ffff:192.0.2.255".parse().unwrap()));
    assert!(!net.contains("192.0.2.127".parse().unwrap()));
    assert!(
        !pattern("::/0").net.contains("192.0.2.1".parse().unwrap()),
        "IPv6 is not IPv4"
    );
    assert!(
        !pattern("0.0.0.0/0")
            .net
            .contains("2001:db8::1".parse().unwrap())
    );
}

#[test]
fn the_range_of_a_network_is_its_first_and_last_address() {
    assert_eq!(pattern("0.0.0.0/0").net.range(), (0, u128::from(u32::MAX)));
    assert_eq!(pattern("::/0").net.range(), (0, u128::MAX));
    assert_eq!(pattern("0.0.1.0/24").net.range(), (256, 511));
    assert_eq!(pattern("::5").net.range(), (5, 5));
    assert_eq!(pattern("8000::/1").net.range(), (1 << 127, u128::MAX));
}

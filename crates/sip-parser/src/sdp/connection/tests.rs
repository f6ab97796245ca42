use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn parse(value: &str) -> Option<Connection<'_>> {
    Connection::parse(value.as_bytes())
}

//= proves RFC 8866 §5.7
#[test]
fn unicast_and_multicast_addresses_of_both_families_are_read() {
    let group4 = Host::V4(Ipv4Addr::new(233, 252, 0, 1));
    let group6 = Host::V6("ff00::db8:0:101".parse().unwrap());
    for (value, address, ttl, count) in [
        (
            "IN IP4 192.0.2.1",
            Host::V4(Ipv4Addr::new(192, 0, 2, 1)),
            None,
            1,
        ),
        (
            "IN IP4 media.example.com",
            Host::Name(b"media.example.com"),
            None,
            1,
        ),
        ("IN IP4 233.252.0.1/127", group4, Some(127), 1),
        ("IN IP4 233.252.0.1/127/3", group4, Some(127), 3),
        ("IN IP6 ff00::db8:0:101", group6, None, 1),
        ("IN IP6 ff00::db8:0:101/3", group6, None, 3),
        (
            "IN IP6 ::ffff:192.0.2.1",
            Host::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()),
            None,
            1,
        ),
        ("IN IP6 ::", Host::V6(Ipv6Addr::UNSPECIFIED), None, 1),
        (
            "IN IP6 media.example.com",
            Host::Name(b"media.example.com"),
            None,
            1,
        ),
        (
            "IN  IP4  192.0.2.1 ",
            Host::V4(Ipv4Addr::new(192, 0, 2, 1)),
            None,
            1,
        ),
        (
            "ATM NSAP 47.0091.8100",
            Host::Name(b"47.0091.8100"),
            None,
            1,
        ),
    ] {
        let connection = parse(value).unwrap();
        assert_eq!(connection.address, address, "{value}");
        assert_eq!((connection.ttl, connection.count), (ttl, count), "{value}");
    }
}

#[test]
fn malformed_values_are_refused() {
    for value in [
        "",
        "IN",
        "IN IP4",
        "IN IP4 192.0.2.1 x",
        "IN IP4 192.0.2.256",
        "IN IP4 2001:db8::1",
        "IN IP4 192.0.2.1/256",
        "IN IP4 192.0.2.1/1/0",
        "IN IP4 192.0.2.1/1/1/1",
        "IN IP4 192.0.2.1/",
        "IN IP6 192.0.2.1",
        "IN IP6 2001:db8::g",
        "IN IP6 [2001:db8::1]",
        "IN IP6 2001:db8::1/1/1",
        "IN IP6 fe80::1%eth0",
    ] {
        assert_eq!(parse(value), None, "{value}");
    }
}

#[test]
fn an_address_of_zeros_puts_on_hold() {
    assert!(parse("IN IP4 0.0.0.0").unwrap().is_unspecified());
    assert!(parse("IN IP6 ::").unwrap().is_unspecified());
    assert!(!parse("IN IP4 192.0.2.1").unwrap().is_unspecified());
    assert!(!parse("IN IP4 example.com").unwrap().is_unspecified());
}

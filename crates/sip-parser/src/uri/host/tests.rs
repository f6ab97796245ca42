use super::*;

#[test]
fn names_addresses_and_references_are_told_apart() {
    assert_eq!(
        Host::parse(b"gw-1.example_x.net"),
        Some(Host::Name(b"GW-1.example_x.NET"))
    );
    assert_eq!(
        Host::parse(b"192.0.2.1"),
        Some(Host::V4([192, 0, 2, 1].into()))
    );
    assert_eq!(Host::parse(b"[::1]"), Some(Host::V6(Ipv6Addr::LOCALHOST)));
    assert_eq!(
        Host::parse(b"1.2.3.4.in-addr"),
        Some(Host::Name(b"1.2.3.4.in-addr"))
    );
    assert_eq!(Host::parse(b"3com9"), Some(Host::Name(b"3com9")));
}

#[test]
fn what_is_neither_is_refused() {
    for host in [
        &b""[..],
        b".",
        b"-a",
        b"a b",
        b"a:b",
        b"1.2.3",
        b"1.2.3.4.5",
        b"1.2.3.256",
        b"1..2.3",
        b"1.2.3.0004",
        b"[",
        b"[]",
        b"[::1",
        b"[1.2.3.4]",
        b"::1",
    ] {
        assert_eq!(Host::parse(host), None, "{}", String::from_utf8_lossy(host));
    }
}

#[test]
fn a_name_is_never_equal_to_an_address() {
    assert_ne!(Host::Name(b"192.0.2.1"), Host::V4([192, 0, 2, 1].into()));
    assert_eq!(Host::Name(b"192.0.2.1").ip(), None);
}

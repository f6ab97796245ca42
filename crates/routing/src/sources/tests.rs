//! Tests of the search by source address.

use super::*;
use crate::testing::Random;

fn entry(
    pattern: &str,
    transport: Option<Transport>,
    tech_prefix: Option<&str>,
    customer: u32,
) -> SourceEntry {
    let tech_prefix = tech_prefix.map(str::to_owned);
    SourceEntry {
        pattern: pattern.parse().unwrap(),
        transport,
        tech_prefix,
        customer,
    }
}

fn find(
    index: &SourceIndex,
    transport: Transport,
    source: &str,
    user: &str,
) -> Option<(u32, usize)> {
    index.find(transport, source.parse().unwrap(), user.as_bytes())
}

#[test]
fn the_most_specific_entry_wins_in_the_documented_order() {
    let index = SourceIndex::build(
        [
            entry("192.0.2.0/24", None, None, 1),
            entry("192.0.2.9", None, None, 2),
            entry("192.0.2.9:5070", None, None, 3),
            entry("192.0.2.9:5070", None, Some("77"), 4),
            entry("192.0.2.9", None, Some("7788"), 5),
            entry("192.0.0.0/16", Some(Transport::Tls), None, 6),
        ]
        .into_iter(),
    );
    assert_eq!(
        find(&index, Transport::Udp, "192.0.2.1:5060", "44"),
        Some((1, 0))
    );
    assert_eq!(
        find(&index, Transport::Udp, "192.0.2.9:5060", "44"),
        Some((2, 0))
    );
    assert_eq!(
        find(&index, Transport::Udp, "192.0.2.9:5070", "44"),
        Some((3, 0))
    );
    assert_eq!(
        find(&index, Transport::Udp, "192.0.2.9:5070", "7744"),
        Some((4, 2))
    );
    // A port beats a longer tech prefix.
    assert_eq!(
        find(&index, Transport::Udp, "192.0.2.9:5070", "778844"),
        Some((4, 2))
    );
    assert_eq!(
        find(&index, Transport::Udp, "192.0.2.9:5060", "778844"),
        Some((5, 4))
    );
    // A transport beats everything, even a shorter network.
    assert_eq!(
        find(&index, Transport::Tls, "192.0.2.9:5070", "7744"),
        Some((6, 0))
    );
    assert_eq!(
        find(&index, Transport::Udp, "198.51.100.1:5060", "44"),
        None
    );
}

#[test]
fn a_tech_prefix_is_compared_without_plus_and_escapes() {
    let index = SourceIndex::build([entry("192.0.2.1", None, Some("12#"), 1)].into_iter());
    assert_eq!(
        find(&index, Transport::Udp, "192.0.2.1:5060", "+12%2344"),
        Some((1, 3))
    );
    assert_eq!(find(&index, Transport::Udp, "192.0.2.1:5060", "1244"), None);
    assert_eq!(
        find(&index, Transport::Udp, "192.0.2.1:5060", "44;x=12%23"),
        None
    );
}

#[test]
fn the_index_agrees_with_a_look_at_every_entry() {
    let mut random = Random(11);
    let transports = [None, None, Some(Transport::Udp), Some(Transport::Tcp)];
    for _ in 0..200 {
        let entries: Vec<SourceEntry> = (0..random.below(30))
            .map(|_| {
                let length = u8::try_from(28 + random.below(5)).unwrap();
                let address = IpAddr::from([192, 0, 2, u8::try_from(random.below(16)).unwrap()]);
                let net = IpNet::new(masked(address, length), length).unwrap();
                let port = random
                    .one_in(3)
                    .then(|| 5060 + u16::try_from(random.below(2)).unwrap());
                let tech_prefix = random
                    .one_in(2)
                    .then(|| "1".repeat(1 + usize::try_from(random.below(3)).unwrap()));
                let transport = transports[usize::try_from(random.below(4)).unwrap()];
                (AddressPattern { net, port }, transport, tech_prefix)
            })
            // One entry a key, as the compiler makes sure.
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .zip(0..)
            .map(
                |((pattern, transport, tech_prefix), customer)| SourceEntry {
                    pattern,
                    transport,
                    tech_prefix,
                    customer,
                },
            )
            .collect();
        let index = SourceIndex::build(entries.iter().cloned());
        for _ in 0..100 {
            let address = IpAddr::from([192, 0, 2, u8::try_from(random.below(20)).unwrap()]);
            let source = SocketAddr::new(address, 5060 + u16::try_from(random.below(2)).unwrap());
            let user = format!("{}2", "1".repeat(usize::try_from(random.below(5)).unwrap()));
            let transport = Transport::ALL[usize::try_from(random.below(3)).unwrap()];
            let expected = entries
                .iter()
                .filter(|entry| entry.transport.is_none_or(|wanted| wanted == transport))
                .filter(|entry| entry.pattern.net.contains(address))
                .filter(|entry| entry.pattern.port.is_none_or(|port| port == source.port()))
                .filter(|entry| {
                    entry
                        .tech_prefix
                        .as_ref()
                        .is_none_or(|prefix| user.starts_with(prefix))
                })
                .max_by_key(|entry| {
                    let tech_prefix_len = entry.tech_prefix.as_ref().map_or(0, String::len);
                    (
                        entry.transport.is_some(),
                        entry.pattern.net.length(),
                        entry.pattern.port.is_some(),
                        tech_prefix_len,
                    )
                })
                .map(|entry| {
                    (
                        entry.customer,
                        entry.tech_prefix.as_ref().map_or(0, String::len),
                    )
                });
            assert_eq!(
                index.find(transport, source, user.as_bytes()),
                expected,
                "{source} {user} {transport}"
            );
        }
    }
}

#[test]
fn owned_ranges_join_networks_that_overlap() {
    let mut owned = OwnedRanges::default();
    for text in ["192.0.2.0/25", "192.0.2.64", "192.0.2.200", "2001:db8::/64"] {
        owned.add(text.parse::<AddressPattern>().unwrap().net);
    }
    owned.finish();
    let mut copy = OwnedRanges::default();
    copy.add_all(&owned);
    copy.finish();
    for (address, expected) in [
        ("192.0.2.0", true),
        ("192.0.2.127", true),
        ("192.0.2.128", false),
        ("192.0.2.200", true),
        ("::ffff:192.0.2.200", true),
        ("2001:db8::ffff", true),
        ("2001:db8:0:1::", false),
    ] {
        assert_eq!(
            owned.contains(address.parse().unwrap()),
            expected,
            "{address}"
        );
        assert_eq!(copy.contains(address.parse().unwrap()), expected);
    }
}

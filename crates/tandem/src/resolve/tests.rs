use super::*;
use std::collections::HashMap;
use std::io::Write as _;

const BOTH: Families = Families { v4: true, v6: true };

fn without_servers(hosts: &str, families: Families) -> (NameResolver, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(hosts.as_bytes()).unwrap();
    (
        NameResolver::new(
            Err("none in this test".into()),
            file.path().into(),
            families,
        ),
        file,
    )
}

fn resolve(
    resolver: &NameResolver,
    host: &str,
    port: Option<u16>,
) -> Result<Resolved, ResolveError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(resolver.resolve(host, port, Transport::Udp))
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn an_address_needs_no_name_service() {
    let (resolver, _file) = without_servers("", BOTH);
    let cases = [
        ("192.0.2.7", None, "192.0.2.7:5060"),
        ("192.0.2.7", Some(5080), "192.0.2.7:5080"),
        ("[2001:db8::1]", None, "[2001:db8::1]:5060"),
        ("2001:db8::1", Some(9), "[2001:db8::1]:9"),
    ];
    for (host, port, expected) in cases {
        assert_eq!(
            resolve(&resolver, host, port).unwrap().addresses,
            addresses(&[expected])
        );
    }
    assert_eq!(resolver.cached(), 0);
}

#[test]
fn the_hosts_file_goes_first_and_is_remembered() {
    let text = "# comment\n127.0.0.9 vendor.example Alias # 127.0.0.10 vendor.example\n\n::9\tvendor.example\nbroken line\n";
    let (resolver, file) = without_servers(text, BOTH);
    let found = resolve(&resolver, "Vendor.Example.", None).unwrap();
    assert_eq!(
        found.addresses,
        addresses(&["127.0.0.9:5060", "[::9]:5060"])
    );
    assert!((1..=HOSTS_TTL_S).contains(&found.ttl_s));
    assert_eq!(
        resolve(&resolver, "alias", Some(7)).unwrap().addresses,
        addresses(&["127.0.0.9:7"])
    );
    assert_eq!(resolver.cached(), 2);
    std::fs::write(file.path(), "127.0.0.11 vendor.example").unwrap();
    let again = resolve(&resolver, "vendor.example", None).unwrap();
    assert_eq!(again.addresses, found.addresses, "from the cache");
}

#[test]
fn only_families_we_listen_on_are_given() {
    let (resolver, _file) = without_servers(
        "127.0.0.9 h\n::9 h\n",
        Families {
            v4: false,
            v6: true,
        },
    );
    assert_eq!(
        resolve(&resolver, "h", None).unwrap().addresses,
        addresses(&["[::9]:5060"])
    );
    assert_eq!(resolve(&resolver, "192.0.2.1", None).unwrap().addresses, []);
}

#[test]
fn a_name_nobody_can_be_asked_about_is_an_error_and_not_remembered() {
    let (resolver, _file) = without_servers("", BOTH);
    let error = resolve(&resolver, "vendor.example", None).unwrap_err();
    assert_eq!(error.to_string(), "no name servers: none in this test");
    assert_eq!(resolver.cached(), 0);
}

fn target(priority: u16, weight: u16, address: &str) -> Target {
    Target {
        priority,
        weight,
        addresses: addresses(&[address]),
    }
}

#[test]
fn targets_go_by_priority_and_within_it_by_weight() {
    let now = Instant::now();
    let entry = Entry {
        targets: vec![
            target(20, 0, "192.0.2.3:1"),
            target(10, 30, "192.0.2.1:1"),
            target(10, 10, "192.0.2.2:1"),
            target(10, 0, "192.0.2.4:1"),
        ],
        until: now + Duration::from_secs(60),
    };
    let mut first: HashMap<SocketAddr, u32> = HashMap::new();
    for _ in 0..8_000 {
        let found = answer(&entry, now);
        assert_eq!(found.addresses.len(), 4);
        assert_eq!(
            found.addresses[3],
            "192.0.2.3:1".parse().unwrap(),
            "the last resort is last"
        );
        assert_eq!(found.ttl_s, 60);
        *first.entry(found.addresses[0]).or_default() += 1;
    }
    let share = |address: &str| first.get(&address.parse().unwrap()).copied().unwrap_or(0);
    assert!((5_700..6_300).contains(&share("192.0.2.1:1")), "{first:?}");
    assert!((1_700..2_300).contains(&share("192.0.2.2:1")), "{first:?}");
}

#[test]
fn the_cache_does_not_grow_without_bound() {
    let (resolver, _file) = without_servers("", BOTH);
    let key = |n: usize| Key {
        host: format!("h{n}"),
        port: None,
        transport: Transport::Udp,
    };
    let entry = |seconds| Entry {
        targets: Vec::new(),
        until: Instant::now() + Duration::from_secs(seconds),
    };
    for n in 0..CACHE_LEN_MAX + 50 {
        resolver.remember(key(n), entry(60));
    }
    assert_eq!(resolver.cached(), CACHE_LEN_MAX);
    for mut item in resolver.cache.iter_mut() {
        item.until = Instant::now();
    }
    resolver.remember(key(0), entry(60));
    assert_eq!(resolver.cached(), 1, "what is over makes room");
}

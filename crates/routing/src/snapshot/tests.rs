//! Tests of gateways and of who owns a source.

use super::*;
use crate::schema::TableKind;
use crate::testing::snapshot;

#[test]
fn gateway_addresses_are_read_in_all_their_forms() {
    let cases = [
        ("192.0.2.1", "192.0.2.1:5060"),
        ("192.0.2.1:5070", "192.0.2.1:5070"),
        ("2001:db8::1", "[2001:db8::1]:5060"),
        ("[2001:db8::1]", "[2001:db8::1]:5060"),
        ("[2001:db8::1]:5070", "[2001:db8::1]:5070"),
        ("::ffff:192.0.2.1", "192.0.2.1:5060"),
        ("sip.example.com", "sip.example.com"),
        ("sip_1.example.com.:5070", "sip_1.example.com.:5070"),
        ("localhost", "localhost"),
    ];
    for (text, expected) in cases {
        let host: GatewayHost = text.parse().unwrap();
        assert_eq!(
            host.with_default_port(Transport::Tcp).to_string(),
            expected,
            "{text}"
        );
    }
    let tls = "192.0.2.1"
        .parse::<GatewayHost>()
        .unwrap()
        .with_default_port(Transport::Tls);
    assert_eq!(tls.to_string(), "192.0.2.1:5061");
}

#[test]
fn what_is_no_gateway_is_refused_with_what_is_allowed() {
    let bad = [
        "",
        "192.0.2.256",
        "192.0.2.1:0",
        "192.0.2.1:70000",
        "192.0.2.1:",
        "[2001:db8::1",
        "[sip.example.com]",
        "sip..example.com",
        "-sip.example.com",
        "sip.example.com:+5",
        "sip example",
        "192.0.2.0/24",
        "a@b",
        "[::1]x",
    ];
    for text in bad {
        let fault = text.parse::<GatewayHost>().unwrap_err();
        assert!(
            fault.contains("allowed: 192.0.2.1, [2001:db8::1] or sip.example.com"),
            "{text}: {fault}"
        );
    }
}

#[test]
fn a_trunk_owns_its_networks_or_gateways_and_nothing_else() {
    let snapshot = snapshot(&[
        (
            TableKind::Customers,
            "name,routing_plan,enabled\na,p,true\nb,p,false\n",
        ),
        (
            TableKind::CustomerAddresses,
            "customer,address\na,192.0.2.0/25\na,192.0.2.200:5070\nb,203.0.113.0/24\n",
        ),
        (TableKind::Vendors, "name,enabled\nv,false\n"),
        (
            TableKind::VendorGateways,
            "vendor,address\nv,198.51.100.1:5070\nv,sip.example.com\nv,2001:db8::9\n",
        ),
        (TableKind::RoutingPlans, "name,mode\np,lcr\n"),
    ]);
    let trunk = |name| {
        snapshot
            .customer(snapshot.customer_by_name(name).unwrap())
            .trunk
    };
    let (a, b) = (trunk("a"), trunk("b"));
    let v = snapshot.vendor(snapshot.vendor_by_name("v").unwrap()).trunk;
    let owns = |trunk, address: &str| snapshot.trunk_owns_source(trunk, address.parse().unwrap());
    assert!(owns(a, "192.0.2.127") && owns(a, "192.0.2.200") && owns(a, "::ffff:192.0.2.1"));
    assert!(!owns(a, "192.0.2.128") && !owns(a, "203.0.113.1") && !owns(a, "198.51.100.1"));
    // Calls that are up outlive the day on which a trunk is disabled.
    assert!(owns(b, "203.0.113.7") && owns(v, "198.51.100.1") && owns(v, "2001:db8::9"));
    assert!(!owns(v, "192.0.2.1") && !owns(TrunkId(4_000), "192.0.2.1"));
}

#[test]
fn a_disabled_customer_is_still_recognised() {
    let snapshot = snapshot(&[
        (
            TableKind::Customers,
            "name,routing_plan,enabled,strip,prepend\nwide,p,true,0,\nnarrow,p,false,1,+9\n",
        ),
        (
            TableKind::CustomerAddresses,
            "customer,address,tech_prefix\nwide,192.0.2.0/24,\nnarrow,192.0.2.9,77\n",
        ),
        (TableKind::RoutingPlans, "name,mode\np,lcr\n"),
    ]);
    let found = snapshot
        .customer_for(Transport::Udp, "192.0.2.9:5060".parse().unwrap(), b"+7744")
        .unwrap();
    let customer = snapshot.customer(found.customer);
    assert_eq!(
        (
            customer.name.as_str(),
            customer.enabled,
            found.tech_prefix_len
        ),
        ("narrow", false, 2)
    );
    let mut number = NumberText::new();
    snapshot.routed_number(found, b"+7744", &mut number);
    assert_eq!(number.as_str(), "+94");
}

#[test]
fn an_index_of_another_snapshot_shows_a_disabled_nobody() {
    let snapshot = snapshot(&[]);
    assert!(!snapshot.customer(CustomerIndex(3)).enabled);
    assert!(!snapshot.vendor(VendorIndex(3)).enabled);
    assert_eq!(
        snapshot.gateway(GatewayIndex(3)).host.to_string(),
        "invalid"
    );
    assert_eq!(snapshot.gateways_of(VendorIndex(3)).count(), 0);
}

#[test]
fn thousands_of_addresses_are_told_apart() {
    let mut customers = String::from("name,routing_plan\n");
    let mut addresses = String::from("customer,address\n");
    for number in 0..5_000u32 {
        customers += &format!("c{number},p\n");
        addresses += &format!("c{number},10.{}.{}.0/24\n", number / 256, number % 256);
    }
    let snapshot = snapshot(&[
        (TableKind::Customers, &customers),
        (TableKind::CustomerAddresses, &addresses),
        (TableKind::RoutingPlans, "name,mode\np,lcr\n"),
    ]);
    for number in 0..5_000u32 {
        let source = format!("10.{}.{}.77:5060", number / 256, number % 256)
            .parse()
            .unwrap();
        let found = snapshot
            .customer_for(Transport::Udp, source, b"44")
            .unwrap();
        assert_eq!(snapshot.customer(found.customer).name, format!("c{number}"));
    }
}

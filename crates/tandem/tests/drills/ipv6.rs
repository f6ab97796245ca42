//! A call over IPv6: the listener, the caller and the vendor on `::1`, told apart by their ports.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::support::call::Call;
use crate::support::peer::Peer;
use crate::support::proxy::Setup;
use crate::support::shared_machine;

#[test]
fn a_call_over_ipv6_is_set_up_hung_up_and_recorded() {
    let _machine = shared_machine();
    let mut setup = Setup::new();
    // There is but one IPv6 loopback address, so the process chooses the ports; below those that are given out.
    let first = u16::try_from(10_000 + std::process::id() % 2_000 * 10).expect("a port");
    setup.ip = IpAddr::V6(Ipv6Addr::LOCALHOST);
    setup.sip = setup.at(first);
    let (caller, vendor) = (setup.at(first + 1), setup.at(first + 2));
    setup.table("customer_addresses.csv", "customer,address\nacme,::1\n");
    setup.vendor("good", vendor, "0.10");
    let proxy = setup.start();
    let (caller, vendor) = (Peer::bind(caller), Peer::bind(vendor));

    let (call, invite) = Call::up(&caller, setup.sip, "4930123456", &vendor);
    let uri = invite.start_line().split(' ').nth(1);
    assert_eq!(
        uri,
        Some(format!("sip:4930123456@{}", vendor.address).as_str())
    );
    let via = format!("SIP/2.0/UDP {};branch=z9hG4bK", setup.sip);
    assert!(invite.header("Via").starts_with(&via), "{}", invite.text);
    let record = format!("<sip:{};lr;", setup.sip);
    assert!(
        invite.header("Record-Route").starts_with(&record),
        "{}",
        invite.text
    );
    call.hang_up(2, &vendor);

    let cdrs = setup.expect_cdrs(1);
    assert_eq!(cdrs[0].text("cause"), "answered");
    let source: SocketAddr = cdrs[0].text("source").parse().expect("an address");
    assert_eq!(source, caller.address);
    assert_eq!(cdrs[0].text("next_hop"), vendor.address.to_string());
    proxy.stop();
}

//! Reply addresses, by the bullets of RFC 3261 §18.2.2 and RFC 3581 §4.

use super::*;
use crate::fixture::{Request, flow, parsed};
use crate::flow::Transport;

fn reply_to(via: &str, transport: Transport, source: &str) -> String {
    let mut request = Request::new("INVITE", "");
    request.via = via.to_owned();
    let from = flow(transport, source);
    let to = parsed(&request.bytes(), |message| reply_flow(message, &from));
    assert_eq!(
        (to.local, to.listener, to.transport, to.connection),
        (from.local, from.listener, from.transport, from.connection),
        "the reply leaves where the request came in"
    );
    to.remote.to_string()
}

//= proves RFC 3261 §18.2.2
//= proves RFC 3581 §4
//= proves departure RFC 3261 §18.2.2
#[test]
fn over_udp_the_address_and_port_follow_the_via() {
    let rows = [
        // (Via after "SIP/2.0/UDP ", source, reply)
        (
            "198.51.100.7:5070",
            "198.51.100.7:5070",
            "198.51.100.7:5070",
        ),
        (
            "198.51.100.7:5070",
            "198.51.100.7:40000",
            "198.51.100.7:5070",
        ),
        ("198.51.100.7", "198.51.100.7:40000", "198.51.100.7:5060"),
        ("10.0.0.1:5070", "198.51.100.7:40000", "198.51.100.7:5070"),
        ("pbx.example.com", "198.51.100.7:40000", "198.51.100.7:5060"),
        (
            "10.0.0.1:5070;rport",
            "198.51.100.7:40000",
            "198.51.100.7:40000",
        ),
        (
            "10.0.0.1:5070;rport=1",
            "198.51.100.7:40000",
            "198.51.100.7:40000",
        ),
        // A `received` of the request's own is not believed.
        (
            "10.0.0.1;received=192.0.2.66",
            "198.51.100.7:40000",
            "198.51.100.7:5060",
        ),
        (
            "10.0.0.1:5070;maddr=198.51.100.8",
            "198.51.100.7:40000",
            "198.51.100.7:5070",
        ),
        (
            "10.0.0.1;maddr=198.51.100.8;rport",
            "198.51.100.7:40000",
            "198.51.100.7:40000",
        ),
        // Whatever it holds, `maddr` is not believed.
        (
            "10.0.0.1;maddr=224.0.1.75",
            "198.51.100.7:40000",
            "198.51.100.7:5060",
        ),
        (
            "10.0.0.1;maddr=0.0.0.0",
            "198.51.100.7:40000",
            "198.51.100.7:5060",
        ),
        (
            "10.0.0.1;maddr=m.example.com",
            "198.51.100.7:40000",
            "198.51.100.7:5060",
        ),
        (
            "10.0.0.1;maddr=[2001:db8::1]",
            "198.51.100.7:40000",
            "198.51.100.7:5060",
        ),
        (
            "[2001:db8::2]:5070",
            "[2001:db8::7]:40000",
            "[2001:db8::7]:5070",
        ),
        (
            "[2001:db8::2]:5070;rport",
            "[2001:db8::7]:40000",
            "[2001:db8::7]:40000",
        ),
        (
            "h.example.com;maddr=[2001:db8::1]",
            "[2001:db8::7]:40000",
            "[2001:db8::7]:5060",
        ),
    ];
    for (via, source, reply) in rows {
        let via = format!("SIP/2.0/UDP {via};branch=z9hG4bK1");
        assert_eq!(reply_to(&via, Transport::Udp, source), reply, "{via}");
    }
}

//= proves RFC 3261 §18.2.2
#[test]
fn over_a_stream_the_reply_takes_the_connection() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let via = format!(
            "SIP/2.0/{} 10.0.0.1:5070;maddr=198.51.100.8;branch=z9hG4bK1",
            transport.as_str()
        );
        assert_eq!(
            reply_to(&via, transport, "198.51.100.7:40000"),
            "198.51.100.7:40000"
        );
    }
}

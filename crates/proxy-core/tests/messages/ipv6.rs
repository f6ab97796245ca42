//! IPv6 in every place of a message where an address may stand, after the subjects of RFC 5118.

use crate::bench::*;
use proxy_core::{ListenerInfo, Stat};
use transaction_layer::Transport;

const US: &str = "[2001:db8::1]:5060";
const PEER: &str = "[2001:db8::10]:5060";
const GATEWAY: &str = "[2001:db8:f::20]:5060";

fn bench() -> Bench {
    let mut config = config();
    config.listeners = vec![ListenerInfo {
        transport: Transport::Udp,
        address: US.parse().unwrap(),
        advertise: US.to_owned(),
    }];
    let routes = Routes {
        customer_addresses: "customer,address\nacme,2001:db8::/48\n",
        vendors: "name,rate_sheet\nv0,v0\n",
        vendor_gateways: "vendor,address\nv0,2001:db8:f::20\n",
        ..ONE_VENDOR
    };
    Bench::with(config, &routes)
}

/// An INVITE that holds IPv6 addresses in every header that has one, and in its session description.
fn invite(uri: &str, via: &str) -> String {
    let sdp = "v=0\r\no=a 1 1 IN IP6 2001:db8::20\r\ns=-\r\nc=IN IP6 2001:db8::20\r\nt=0 0\r\n\
        m=audio 6000 RTP/AVP 0\r\nm=video 6024 RTP/AVP 107\r\nc=IN IP4 192.0.2.1\r\n\
        a=x:IN IP6 ::ffff:192.0.2.3\r\n";
    format!(
        "INVITE {uri} SIP/2.0\r\n{via}Max-Forwards: 70\r\nFrom: <sip:caller@[2001:db8::10]>;tag=caller\r\n\
         To: <sip:4930123@[2001:db8::1]>\r\nCall-ID: 84b4c76e66710@2001:db8::9:1\r\nCSeq: 1 INVITE\r\n\
         Contact: \"Caller\" <sip:caller@[2001:db8::10]:5060>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

const VIA: &str = "Via: SIP/2.0/UDP [2001:db8::10];branch=z9hG4bKv6\r\n";

#[test]
fn a_reference_in_brackets_is_an_address_with_or_without_port() {
    for host in [
        "[2001:db8::1]",
        "[2001:DB8:0:0:0:0:0:1]",
        "[2001:db8::1]:5070",
        // The port is part of the address here: legal, and it means what it says.
        "[2001:db8::1:5070]",
        "[::ffff:192.0.2.10]:19823",
        "[::]",
        // The grammar of RFC 3261 allowed three colons before an IPv4 address.
        "[2001:db8:::192.0.2.1]",
    ] {
        let mut bench = bench();
        let text = invite(&format!("sip:4930123@{host}"), VIA);
        let sent = bench.send(PEER, &text);
        let forwarded = only(&sent, "INVITE");
        assert_eq!(forwarded.to.to_string(), GATEWAY, "{host}");
        assert_eq!(
            forwarded.uri(),
            "sip:4930123@[2001:db8:f::20]:5060",
            "{host}"
        );
        let via = forwarded.header("Via").unwrap();
        assert!(
            via.starts_with("SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK"),
            "{via}"
        );
        let record = forwarded.header("Record-Route").unwrap();
        assert!(
            record.starts_with("<sip:[2001:db8::1]:5060;lr;"),
            "{record}"
        );
        for name in ["Call-ID", "Contact", "From", "To"] {
            assert_eq!(forwarded.header(name), header(&text, name));
        }
        let body = |text: &str| text.split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(body(&forwarded.text), body(&text));
    }
}

#[test]
fn a_reference_without_brackets_is_answered_400() {
    for uri in [
        "sip:4930123@2001:db8::1",
        "sip:2001:db8::1",
        "sip:4930123@[2001:db8::1",
        "sip:4930123@2001:db8::1]",
        "sip:4930123@[2001:db8::g]",
        "sip:4930123@[2001:db8::1]5070",
        "sip:4930123@[2001:db8::1]:",
        "sip:4930123@[192.0.2.1]",
        "sip:4930123@[2001:db8:::1:2]",
    ] {
        let mut bench = bench();
        let sent = bench.send(PEER, &invite(uri, VIA));
        assert_eq!(summary(&sent), [(PEER.to_owned(), "400")], "{uri}");
        assert!(
            sent[0]
                .text
                .starts_with("SIP/2.0 400 Malformed Request-URI\r\n")
        );
    }
}

#[test]
fn received_is_accepted_with_and_without_brackets() {
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let lower =
            format!("Via: SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKlow\r\n");
        let mut bench = bench();
        let sent = bench.send(
            PEER,
            &invite("sip:4930123@[2001:db8::1]", &format!("{VIA}{lower}")),
        );
        let forwarded = only(&sent, "INVITE");
        assert!(forwarded.text.contains(&lower), "{}", forwarded.text);
        // In the top Via it is the sender's own word, and ours takes its place.
        let top = format!(
            "Via: SIP/2.0/UDP [2001:db8::9:1]:5060;rport;received={received};branch=z9hG4bKtop\r\n"
        );
        let mut bench = self::bench();
        let sent = bench.send(PEER, &invite("sip:4930123@[2001:db8::1]", &top));
        let forwarded = &only(&sent, "INVITE").text;
        assert!(!forwarded.contains("9:255"), "{forwarded}");
        let written = ["received=2001:db8::10", "received=[2001:db8::10]"];
        assert!(
            written.iter().any(|written| forwarded.contains(written)),
            "{forwarded}"
        );
        assert!(forwarded.contains("rport=5060"), "{forwarded}");
        assert_eq!(only(&sent, "100").to.to_string(), PEER);
        // The vendor says in our own Via where it heard us, either way.
        let ok = reply(
            forwarded,
            200,
            "callee",
            "Contact: <sip:callee@[2001:db8:f::20]>\r\n",
        );
        let ours = ok.split("\r\n").find(|line| line.starts_with("Via: "));
        let ours = ours.unwrap().to_owned();
        let ok = ok.replacen(&ours, &format!("{ours};received={received}"), 1);
        assert_eq!(only(&bench.send(GATEWAY, &ok), "200").to.to_string(), PEER);
    }
}

#[test]
fn addresses_of_both_families_stand_in_one_message() {
    let vias = format!(
        "{VIA}Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKb, SIP/2.0/UDP [::ffff:192.0.2.2]:19823;branch=z9hG4bKc\r\n"
    );
    let mut bench = bench();
    let sent = bench.send(PEER, &invite("sip:4930123@[2001:db8::1]", &vias));
    let forwarded = only(&sent, "INVITE");
    assert!(
        forwarded.text.contains(vias.split_once("\r\n").unwrap().1),
        "{}",
        forwarded.text
    );
    let ok = reply(&forwarded.text, 486, "callee", "");
    let sent = bench.send(GATEWAY, &ok);
    let refusal = sent
        .iter()
        .find(|sent| sent.to.to_string() == PEER)
        .unwrap();
    assert_eq!(
        refusal.text.matches("z9hG4bK").count(),
        3,
        "{}",
        refusal.text
    );
}

#[test]
fn a_call_between_ipv6_peers_is_set_up_and_ended() {
    let mut bench = bench();
    let sent = bench.send(PEER, &invite("sip:4930123@[2001:db8::1]", VIA));
    // The callee is behind its gateway, at an address and port of its own.
    let contact = "Contact: <sip:callee@[2001:db8:f::99]:5070;transport=udp>\r\n";
    let ok = reply(&only(&sent, "INVITE").text, 200, "callee", contact);
    let sent = bench.send(GATEWAY, &ok);
    let (caller, callee) = Dialog::pair(only(&sent, "200"));
    let v6 = |text: String| text.replace("call@bench", "84b4c76e66710@2001:db8::9:1");
    let target = "sip:callee@[2001:db8:f::99]:5070;transport=udp";
    let caller = Dialog {
        address: PEER.to_owned(),
        ..caller
    };
    let ack = v6(bench.request(&caller, "ACK", target, 1, ""));
    let sent = bench.send(PEER, &ack);
    assert_eq!(
        summary(&sent),
        [("[2001:db8:f::99]:5070".to_owned(), "ACK")]
    );
    assert_eq!(sent[0].header("Route"), None);
    bench.wait(2 * SECOND);
    let callee = Dialog {
        address: GATEWAY.to_owned(),
        ..callee
    };
    let bye = v6(bench.request(&callee, "BYE", "sip:caller@[2001:db8::10]:5060", 1, ""));
    let sent = bench.send(GATEWAY, &bye);
    assert_eq!(summary(&sent), [(PEER.to_owned(), "BYE")]);
    let sent = bench.send(PEER, &reply(&sent[0].text, 200, "", ""));
    assert_eq!(summary(&sent), [(GATEWAY.to_owned(), "200")]);
    assert_eq!(bench.only_cdr().duration_us, 2 * SECOND);
    assert_eq!(bench.stat(Stat::ResponsesForeign), 0);
    bench.rest();
}

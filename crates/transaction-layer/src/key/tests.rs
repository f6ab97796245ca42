//! Which requests belong together: RFC 3261 §17.2.3, case by case.

use super::*;
use crate::fixture::{Request, parsed};

fn key_as(request: &Request, method: Method<'_>) -> (Vec<u8>, ServerKey) {
    let mut key = Vec::new();
    let shape = parsed(&request.bytes(), |message| {
        write_server_key(message, method, &mut key)
    });
    (key, shape)
}

fn key(request: &Request) -> Vec<u8> {
    key_as(request, Method::from_bytes(request.method.as_bytes())).0
}

//= proves RFC 3261 §17.2.3(1)
//= proves RFC 3261 §17.2.3(2)
#[test]
fn with_the_magic_cookie_only_branch_sent_by_and_method_count() {
    let invite = Request::new("INVITE", "z9hG4bKabc");
    let mut other = invite.clone();
    other.uri = "sip:other@192.0.2.1";
    other.from_tag = "f2";
    other.to_tag = "t2";
    other.call_id = "call-2";
    other.cseq = 1;
    other.via = "SIP/2.0/UDP 198.51.100.7:5070;x=y;branch=z9hG4bKabc".to_owned();
    assert_eq!(key(&other), key(&invite));

    assert_ne!(key(&Request::new("INVITE", "z9hG4bKabd")), key(&invite));
    assert_ne!(key(&Request::new("BYE", "z9hG4bKabc")), key(&invite));
    for sent_by in ["198.51.100.7:5071", "198.51.100.8:5070", "198.51.100.7"] {
        other.via = format!("SIP/2.0/UDP {sent_by};branch=z9hG4bKabc");
        assert_ne!(key(&other), key(&invite), "{sent_by}");
    }
}

#[test]
fn the_host_of_the_sent_by_ignores_case_and_the_branch_does_not() {
    let mut lower = Request::new("INVITE", "");
    lower.via = "SIP/2.0/UDP host.example.com;branch=z9hG4bKabc".to_owned();
    let mut upper = lower.clone();
    upper.via = "SIP/2.0/UDP HOST.Example.com;branch=z9hG4bKabc".to_owned();
    assert_eq!(key(&lower), key(&upper));
    upper.via = "SIP/2.0/UDP host.example.com;branch=z9hG4bKABC".to_owned();
    assert_ne!(key(&lower), key(&upper));
}

#[test]
fn an_ack_and_a_cancel_find_the_invite() {
    let invite = Request::new("INVITE", "z9hG4bKabc");
    for method in ["ACK", "CANCEL"] {
        let other = Request::new(method, "z9hG4bKabc");
        assert_ne!(key(&other), key(&invite));
        assert_eq!(key_as(&other, Method::Invite).0, key(&invite));
    }
}

#[test]
fn without_the_magic_cookie_every_part_of_the_older_rule_counts() {
    for branch in ["", ";branch=1", ";branch=z9hG4bK"] {
        let mut invite = Request::legacy("INVITE");
        invite.via.push_str(branch);
        assert_eq!(key(&invite.clone()), key(&invite));
        assert!(key_as(&invite, Method::Invite).1.is_legacy, "{branch}");
        let changes: [fn(&mut Request); 7] = [
            |request| request.uri = "sip:other@192.0.2.1",
            |request| request.from_tag = "f2",
            |request| request.to_tag = "t2",
            |request| request.call_id = "call-2",
            |request| request.cseq = 4712,
            |request| request.via.push_str(";x"),
            |request| request.method = "BYE",
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut other = invite.clone();
            change(&mut other);
            assert_ne!(key(&other), key(&invite), "change {number}, {branch}");
        }
    }
}

#[test]
fn the_to_tag_of_an_older_request_is_not_hashed() {
    let invite = Request::legacy("INVITE");
    let mut ack = Request::legacy("ACK");
    ack.to_tag = "t9";
    let (invite_key, invite_shape) = key_as(&invite, Method::Invite);
    let (ack_key, ack_shape) = key_as(&ack, Method::Invite);
    assert_eq!(
        invite_key[..invite_shape.base_len],
        ack_key[..ack_shape.base_len]
    );
    assert_ne!(invite_key, ack_key);
}

#[test]
fn moving_bytes_between_parts_makes_another_key() {
    let mut one = Request::legacy("INVITE");
    one.from_tag = "ab";
    one.call_id = "c";
    let mut two = one.clone();
    two.from_tag = "a";
    two.call_id = "bc";
    assert_ne!(key(&one), key(&two));
    let mut client_one = Vec::new();
    let mut client_two = Vec::new();
    write_client_key(b"E1", Method::Other(b"BY"), &mut client_one);
    write_client_key(b"1", Method::Other(b"BYE"), &mut client_two);
    assert_ne!(client_one, client_two);
}

#[test]
fn keys_of_any_length_are_kept() {
    let mut buffers = Buffers::new();
    for len in [0, 1, INLINE_LEN_MAX, INLINE_LEN_MAX + 1, 300, 70_000] {
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        let stored = StoredKey::new(&bytes, &mut buffers);
        assert_eq!(stored.as_bytes(), bytes);
        stored.recycle(&mut buffers);
    }
}

#[test]
fn another_seed_is_another_hash() {
    let hashes = [1, 2].map(|seed| hash(&FixedState::with_seed(seed), b"key"));
    assert_ne!(hashes[0], hashes[1]);
}

use super::*;

fn pair() -> (Agent, Agent) {
    let caller = Agent::new("a", "192.0.2.1:5060".parse().unwrap());
    let callee = Agent::new("b", "192.0.2.2:5060".parse().unwrap());
    (caller, callee)
}

fn invite() -> SipText {
    SipText::request("INVITE", "sip:1@192.0.2.2")
        .with("From", "<sip:a@x>;tag=1")
        .with("To", "<sip:1@x>")
        .with("Call-ID", "c")
        .with("CSeq", "1 INVITE")
}

fn server_of(event: Option<AgentEvent>) -> (u64, SipText) {
    match event {
        Some(AgentEvent::Request {
            server, request, ..
        }) => (server, request),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unanswered_invite_goes_out_seven_times_and_then_times_out() {
    let (mut caller, callee) = pair();
    caller.start_client(0, invite(), callee.address);
    let mut timed_out_us = None;
    while let Some(at_us) = caller.next_us() {
        if !caller.on_time(at_us).is_empty() {
            timed_out_us = Some(at_us);
        }
    }
    assert_eq!(timed_out_us, Some(T64_US));
    assert_eq!(caller.outgoing.len(), 7);
}

#[test]
fn a_refusal_is_repeated_until_the_ack_arrives() {
    let (mut caller, mut callee) = pair();
    caller.start_client(0, invite(), callee.address);
    let first = caller.outgoing.remove(0);
    let (server, request) = server_of(callee.on_datagram(0, first.from, &first.bytes));
    assert!(callee.on_datagram(0, first.from, &first.bytes).is_none());
    assert!(callee.respond(0, server, SipText::response(&request, 486, "t")));
    assert!(callee.on_time(T1_US).is_empty());
    assert_eq!(callee.outgoing.len(), 2);
    for datagram in std::mem::take(&mut callee.outgoing) {
        caller.on_datagram(0, datagram.from, &datagram.bytes);
    }
    let acks = std::mem::take(&mut caller.outgoing);
    assert_eq!(acks.len(), 2);
    assert!(
        callee
            .on_datagram(0, acks[0].from, &acks[0].bytes)
            .is_none()
    );
    assert!(callee.on_time(T1_US * 10).is_empty());
    assert!(callee.outgoing.is_empty());
    assert_eq!(callee.next_us(), None);
}

#[test]
fn a_cancel_finds_the_invite_it_cancels() {
    let (mut caller, mut callee) = pair();
    let client = caller.start_client(0, invite(), callee.address);
    let cancel = cancel_of(caller.client_request(client).unwrap());
    caller.start_client(0, cancel, callee.address);
    let sent = std::mem::take(&mut caller.outgoing);
    let (server, _) = server_of(callee.on_datagram(0, sent[0].from, &sent[0].bytes));
    match callee.on_datagram(0, sent[1].from, &sent[1].bytes) {
        Some(AgentEvent::Request {
            cancels, request, ..
        }) => {
            assert_eq!(cancels, Some(server));
            assert_eq!(request.method(), "CANCEL");
        }
        other => panic!("{other:?}"),
    }
    assert!(callee.server_open(server));
}

#[test]
fn a_2xx_is_repeated_until_its_ack_and_reported_when_none_comes() {
    let (mut caller, mut callee) = pair();
    caller.start_client(0, invite(), callee.address);
    let first = caller.outgoing.remove(0);
    let (server, request) = server_of(callee.on_datagram(0, first.from, &first.bytes));
    callee.respond(0, server, SipText::response(&request, 200, "t"));
    let mut events = Vec::new();
    while let Some(at_us) = callee.next_us() {
        events.extend(callee.on_time(at_us));
    }
    assert!(matches!(events[..], [AgentEvent::Unacknowledged { .. }]));
    assert_eq!(callee.outgoing.len(), 11);
}

use super::*;
use crate::batch::{BatchSocket, listen};

fn callee(behaviour: Behaviour) -> (Callee, BatchSocket) {
    let socket = listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .and_then(BatchSocket::new)
        .expect("a free port");
    let plan = CalleePlan {
        address: socket.local(),
        behaviour,
        answer_after_us: 0,
    };
    (Callee::new(plan, socket.local(), 7, 0), socket)
}

fn request(method: &str, to_tag: &str, routes: &str) -> String {
    format!(
        "{method} sip:2@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP y;branch=z9hG4bK0\r\n{routes}\
         From: <sip:1@x>;tag=f\r\nTo: <sip:2@x>{to_tag}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\r\n"
    )
}

fn feed(callee: &mut Callee, socket: &mut BatchSocket, text: &str) {
    let from = SocketAddr::from(([127, 0, 0, 1], 9));
    callee.on_datagram(1, text.as_bytes(), from, &mut socket.outbound);
}

fn report_of(callee: &Callee) -> Report {
    let mut report = Report::default();
    callee.report(&mut report);
    report
}

#[test]
fn an_ack_after_the_bye_is_an_order_fault_and_one_that_never_comes_is_missing() {
    let (mut callee, mut socket) = callee(Behaviour::Answer);
    feed(&mut callee, &mut socket, &request("INVITE", "", ""));
    feed(
        &mut callee,
        &mut socket,
        &request("BYE", ";tag=00000007t0.0", ""),
    );
    let report = report_of(&callee);
    assert_eq!(
        (report.order.total(), report.missing.bye_without_ack),
        (0, 1)
    );
    feed(
        &mut callee,
        &mut socket,
        &request("ACK", ";tag=00000007t0.0", ""),
    );
    let report = report_of(&callee);
    assert_eq!(
        (report.order.ack_after_bye, report.missing.bye_without_ack),
        (1, 0)
    );
}

#[test]
fn an_ack_sent_after_the_bye_is_in_its_place_behind_it_and_stands_in_for_none() {
    let (mut callee, mut socket) = callee(Behaviour::Answer);
    let tag = ";tag=00000007t0.0";
    feed(&mut callee, &mut socket, &request("INVITE", "", ""));
    feed(&mut callee, &mut socket, &request("BYE", tag, ""));
    let late = request("ACK", tag, "").replace("branch=z9hG4bK0", "branch=z9hG4bK.7.0.l");
    feed(&mut callee, &mut socket, &late);
    let report = report_of(&callee);
    assert_eq!(
        (report.order.total(), report.missing.bye_without_ack),
        (0, 1)
    );
    // The one that was sent before the BYE, overtaken.
    feed(&mut callee, &mut socket, &request("ACK", tag, ""));
    assert_eq!(report_of(&callee).order.ack_after_bye, 1);
}

#[test]
fn an_ack_in_its_place_is_no_fault_even_when_it_comes_again_after_the_bye() {
    let (mut callee, mut socket) = callee(Behaviour::Answer);
    feed(&mut callee, &mut socket, &request("INVITE", "", ""));
    for method in ["ACK", "BYE", "ACK"] {
        feed(
            &mut callee,
            &mut socket,
            &request(method, ";tag=00000007t0.0", ""),
        );
    }
    let report = report_of(&callee);
    assert_eq!(
        (report.order.total(), report.missing.bye_without_ack),
        (0, 0)
    );
    assert_eq!((report.callee.answered, report.callee.byes), (1, 1));
}

#[test]
fn a_request_that_still_carries_a_route_is_counted() {
    let (mut callee, mut socket) = callee(Behaviour::Answer);
    feed(
        &mut callee,
        &mut socket,
        &request("INVITE", "", "Route: <sip:127.0.0.1:5060;lr>\r\n"),
    );
    assert_eq!(report_of(&callee).callee.route_left, 1);
}

#[test]
fn a_bye_for_an_unknown_dialog_is_refused() {
    let (mut callee, mut socket) = callee(Behaviour::Answer);
    feed(
        &mut callee,
        &mut socket,
        &request("BYE", ";tag=elsewhere", ""),
    );
    assert_eq!(report_of(&callee).callee.unknown_dialog, 1);
}

#[test]
fn the_487_of_a_cancelled_invite_carries_every_via_of_the_invite() {
    let (mut callee, mut socket) = callee(Behaviour::Ring);
    feed(&mut callee, &mut socket, &request("INVITE", "", ""));
    let cancelled = Scan::read(&callee.legs[0].cancelled)
        .map(|scan| (scan.status(), scan.vias.as_slice().len()));
    assert_eq!(cancelled, Some((Some(487), 2)));
    feed(&mut callee, &mut socket, &request("CANCEL", "", ""));
    assert_eq!(report_of(&callee).callee.cancelled, 1);
}

#[test]
fn a_behaviour_is_named_or_a_status() {
    assert_eq!("503".parse(), Ok(Behaviour::Refuse(503)));
    assert_eq!("ring".parse(), Ok(Behaviour::Ring));
    for wrong in ["200", "700", "maybe"] {
        assert!(wrong.parse::<Behaviour>().is_err(), "{wrong}");
    }
}

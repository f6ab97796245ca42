use super::*;
use crate::batch::{BatchSocket, listen};
use crate::report::Report;

const PROXY: &str = "127.0.0.1:5060";

fn caller() -> (Caller, BatchSocket) {
    let socket = listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .and_then(BatchSocket::new)
        .expect("a free port");
    let plan = CallerPlan {
        target: PROXY.parse().expect("an address"),
        number_prefix: String::new(),
        from_number: "1".to_owned(),
        rate: 1.0,
        calls: 1,
        hold_us: NEVER,
        cancel_after_us: None,
        setup_max_us: 10_000_000,
        pin_target: false,
    };
    (Caller::new(plan, socket.local(), 7), socket)
}

fn response(status: &str, to_tag: &str, extra: &str) -> String {
    format!(
        "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK.00000007.0.i\r\n{extra}From: <sip:1@x>;tag=00000007f0\r\n\
         To: <sip:2@x>;tag={to_tag}\r\nCall-ID: 00000007-0@127.0.0.1\r\nCSeq: 1 INVITE\r\nContact: <sip:c@127.0.0.1:9>\r\n\r\n"
    )
}

fn dialog(caller: &Caller, record_routes: &str) -> Dialog {
    let text = response("200 OK", "t", record_routes);
    caller
        .dialog_of(&Scan::read(text.as_bytes()).expect("readable"))
        .expect("a dialog")
}

#[test]
fn the_route_set_is_record_route_reversed_and_its_first_hop_is_the_next_hop() {
    let (caller, _socket) = caller();
    let dialog = dialog(
        &caller,
        "Record-Route: <sip:10.0.0.2:5062;lr;c=a,b>, <sip:10.0.0.3;lr=on>\r\nRecord-Route: <sip:10.0.0.1:5061;lr>\r\n",
    );
    assert_eq!(
        &*dialog.routes,
        b"Route: <sip:10.0.0.1:5061;lr>\r\nRoute: <sip:10.0.0.3;lr=on>\r\nRoute: <sip:10.0.0.2:5062;lr;c=a,b>\r\n"
    );
    assert_eq!(&*dialog.request_uri, b"sip:c@127.0.0.1:9");
    assert_eq!(
        dialog.next_hop,
        "10.0.0.1:5061".parse().expect("an address")
    );
}

#[test]
fn a_strict_router_takes_the_request_uri_and_the_remote_target_goes_last() {
    let (caller, _socket) = caller();
    let dialog = dialog(
        &caller,
        "Record-Route: <sip:10.0.0.2;lr>\r\nRecord-Route: <sip:10.0.0.1>\r\n",
    );
    assert_eq!(&*dialog.request_uri, b"sip:10.0.0.1");
    assert_eq!(
        &*dialog.routes,
        b"Route: <sip:10.0.0.2;lr>\r\nRoute: <sip:c@127.0.0.1:9>\r\n"
    );
    assert_eq!(
        dialog.next_hop,
        "10.0.0.1:5060".parse().expect("an address")
    );
}

#[test]
fn without_record_route_the_contact_is_the_next_hop_unless_the_target_is_pinned() {
    let (mut caller, _socket) = caller();
    assert_eq!(
        dialog(&caller, "").next_hop,
        "127.0.0.1:9".parse().expect("an address")
    );
    caller.plan.pin_target = true;
    assert_eq!(
        dialog(&caller, "").next_hop,
        PROXY.parse().expect("an address")
    );
}

#[test]
fn ringing_after_the_answer_is_an_order_fault_only_in_the_same_dialog() {
    let (mut caller, mut socket) = caller();
    caller.start_due(0, &mut socket.outbound);
    let mut feed = |caller: &mut Caller, text: String| {
        caller.on_datagram(
            10,
            text.as_bytes(),
            PROXY.parse().expect("an address"),
            &mut socket.outbound,
        );
    };
    feed(&mut caller, response("180 Ringing", "t", ""));
    feed(&mut caller, response("200 OK", "t", ""));
    assert_eq!(caller.order.ringing_after_answer, 0);
    feed(&mut caller, response("180 Ringing", "other", ""));
    assert_eq!(
        caller.order.ringing_after_answer, 0,
        "another branch may still ring"
    );
    feed(&mut caller, response("180 Ringing", "t", ""));
    assert_eq!(caller.order.ringing_after_answer, 1);
    let mut report = Report::default();
    caller.report(&mut report);
    assert_eq!(
        (
            report.order.total(),
            report.missing.answered_without_ringing
        ),
        (1, 0)
    );
}

#[test]
fn an_answer_without_ringing_is_reported_as_missing_not_as_an_order_fault() {
    let (mut caller, mut socket) = caller();
    caller.start_due(0, &mut socket.outbound);
    caller.on_datagram(
        10,
        response("200 OK", "t", "").as_bytes(),
        PROXY.parse().expect("an address"),
        &mut socket.outbound,
    );
    let mut report = Report::default();
    caller.report(&mut report);
    assert_eq!(
        (
            report.order.total(),
            report.missing.answered_without_ringing
        ),
        (0, 1)
    );
    assert_eq!(report.statuses, [(200, 1)].into());
}

#[test]
fn a_response_of_another_run_is_a_stray() {
    let (mut caller, mut socket) = caller();
    caller.start_due(0, &mut socket.outbound);
    let text = response("200 OK", "t", "").replace("00000007-0@", "00000008-0@");
    caller.on_datagram(
        10,
        text.as_bytes(),
        PROXY.parse().expect("an address"),
        &mut socket.outbound,
    );
    assert_eq!((caller.stray, caller.answered()), (1, 0));
}

#[test]
fn a_cancelled_call_waits_for_its_final_response_unless_the_far_side_knows_no_such_call() {
    for (status, finished) in [("200 OK", 0), ("481 Call/Transaction Does Not Exist", 1)] {
        let (mut caller, mut socket) = caller();
        caller.plan.setup_max_us = 100;
        caller.start_due(0, &mut socket.outbound);
        let from = PROXY.parse().expect("an address");
        let ringing = response("180 Ringing", "t", "");
        caller.on_datagram(10, ringing.as_bytes(), from, &mut socket.outbound);
        caller.on_timers(200, &mut socket.outbound);
        let text = response(status, "t", "").replace("1 INVITE", "1 CANCEL");
        caller.on_datagram(210, text.as_bytes(), from, &mut socket.outbound);
        assert_eq!(caller.finished(), finished, "{status}");
    }
}

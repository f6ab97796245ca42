//! Records for tests.

use std::net::SocketAddr;

use accounting::{AnsweredCall, Attempt, Cause, Cdr, EndedBy, Leg, RateTerms, Record};
use rust_decimal::Decimal;
use uuid::Uuid;

/// 2026-11-22 10:40:00 UTC.
pub(crate) const SETUP_US: i64 = 1_795_344_000_000_000;

/// A call answered for `duration_us` (0: refused with 503), at 0.06 a minute by the second, bought at 0.03.
pub(crate) fn cdr(id: u128, duration_us: u64) -> Cdr {
    let answered = duration_us > 0;
    let at = |offset: i64| answered.then_some(SETUP_US + offset);
    let end = SETUP_US + 2_000_000 + duration_us.cast_signed();
    let status = if answered { 200 } else { 503 };
    let cause = if answered {
        Cause::Answered
    } else {
        Cause::Vendor5xx
    };
    let terms = |cents| Some(RateTerms::per_second(Decimal::new(cents, 2)));
    Cdr {
        cdr_id: Uuid::from_u128(id),
        node: "n1".into(),
        call_id: format!("call-{id}@caller"),
        from_tag: "from".into(),
        to_tag: answered.then(|| "to".into()),
        customer: "acme".into(),
        vendor: Some("beta".into()),
        source: "198.51.100.1:5060".into(),
        next_hop: Some("192.0.2.20:5060".into()),
        caller: "4915100".into(),
        callee: "+4930123".into(),
        callee_routed: Some("4930123".into()),
        callee_sent: Some("4930123".into()),
        setup_us: SETUP_US,
        ring_us: at(500_000),
        answer_us: at(2_000_000),
        end_us: Some(end),
        pdd_us: Some(500_000),
        duration_us,
        status,
        cause,
        ended_by: answered.then_some(EndedBy::Caller),
        attempts: vec![Attempt {
            vendor: "beta".into(),
            next_hop: "192.0.2.20:5060".into(),
            started_us: SETUP_US + 100,
            ring_us: at(499_000),
            answer_us: at(1_999_000),
            ended_us: Some(end),
            duration_us,
            status,
            cause,
            terms: terms(3),
            prefix: Some("49".into()),
            callee_sent: "4930123".into(),
        }],
        customer_terms: terms(6),
        customer_currency: Some("USD".into()),
        vendor_terms: terms(3),
        vendor_currency: Some("EUR".into()),
        q850_cause: Some(16),
        reason: None,
        pai: None,
        lrn: None,
        transport_in: "UDP".into(),
        transport_out: Some("UDP".into()),
        listener: "udp:203.0.113.7:5060".into(),
        customer_prefix: Some("49".into()),
        vendor_prefix: Some("49".into()),
        route_version: 1,
    }
}

pub(crate) fn ended(id: u128) -> Record {
    Record::Ended(Box::new(cdr(id, 60_000_000)))
}

pub(crate) fn leg(tag: &str, cseq: u32) -> Leg {
    Leg {
        tag: tag.into(),
        remote_target: format!("sip:{tag}@192.0.2.20:5060"),
        route_set: vec!["<sip:192.0.2.30;lr>".into()],
        cseq,
        local_cseq: 0,
        flow_remote: SocketAddr::from(([192, 0, 2, 20], 5060)),
        flow_listener: 0,
        flow_transport: 0,
    }
}

pub(crate) fn answered_call(id: u128) -> AnsweredCall {
    let mut cdr = cdr(id, 60_000_000);
    cdr.end_us = None;
    cdr.ended_by = None;
    cdr.duration_us = 0;
    cdr.attempts[0].ended_us = None;
    cdr.attempts[0].duration_us = 0;
    AnsweredCall {
        cdr,
        caller: leg("from", 1),
        callee: leg("to", 0),
        attempt: 0,
        customer_trunk: 2,
        vendor_trunk: 3,
        call_from_uri: "<sip:4915100@caller>".into(),
        call_to_uri: "<sip:+4930123@tandem>".into(),
        max_end_us: SETUP_US + 3_600_000_000,
        session_end: accounting::SessionEnd::Never,
    }
}

pub(crate) fn answered(id: u128) -> Record {
    Record::Answered(Box::new(answered_call(id)))
}

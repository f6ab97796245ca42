//! The keys and values that an operator sees.

use super::*;

/// The CDR keys that scripts rely on, in the order in which they are documented.
const CDR_KEYS: &[&str] = &[
    "cdr_id",
    "node",
    "call_id",
    "from_tag",
    "to_tag",
    "customer",
    "vendor",
    "source",
    "next_hop",
    "caller",
    "callee",
    "callee_routed",
    "callee_sent",
    "setup_at",
    "ring_at",
    "answer_at",
    "end_at",
    "pdd_ms",
    "duration_ms",
    "status",
    "cause",
    "ended_by",
    "attempts",
    "customer_rate",
    "customer_billed_s",
    "customer_price",
    "customer_currency",
    "vendor_rate",
    "vendor_billed_s",
    "vendor_price",
    "vendor_currency",
    "q850_cause",
    "reason",
    "pai",
    "lrn",
    "transport_in",
    "transport_out",
    "listener",
    "customer_prefix",
    "vendor_prefix",
    "route_version",
];

const ATTEMPT_KEYS: &[&str] = &[
    "vendor",
    "next_hop",
    "callee_sent",
    "started_at",
    "ring_at",
    "answer_at",
    "ended_at",
    "status",
    "cause",
    "rate",
    "billed_s",
    "price",
];

/// Refused by a first vendor with 503 after 20 ms, answered by a second for 61.5 s.
fn call() -> Cdr {
    let setup_us = 1_795_344_000_000_000;
    let refused = Attempt {
        vendor: "alpha".into(),
        next_hop: "192.0.2.10:5060".into(),
        started_us: setup_us + 1_000,
        ring_us: None,
        answer_us: None,
        ended_us: Some(setup_us + 21_000),
        duration_us: 0,
        status: 503,
        cause: Cause::Vendor5xx,
        terms: Some(RateTerms::per_second(Decimal::new(6, 3))),
        prefix: Some("49".into()),
        callee_sent: "4930123".into(),
    };
    let answered = Attempt {
        vendor: "beta".into(),
        next_hop: "192.0.2.20:5060".into(),
        started_us: setup_us + 21_100,
        ring_us: Some(setup_us + 500_000),
        answer_us: Some(setup_us + 2_000_000),
        ended_us: Some(setup_us + 63_500_000),
        duration_us: 61_500_000,
        status: 200,
        cause: Cause::Answered,
        terms: Some(RateTerms::per_second(Decimal::new(12, 3))),
        prefix: Some("4930".into()),
        callee_sent: "4930123".into(),
    };
    Cdr {
        cdr_id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
        node: "n1".into(),
        call_id: "a@b".into(),
        from_tag: "f1".into(),
        to_tag: Some("t1".into()),
        customer: "acme".into(),
        vendor: Some("beta".into()),
        source: "198.51.100.1:5060".into(),
        next_hop: Some("192.0.2.20:5060".into()),
        caller: "4915100".into(),
        callee: "+4930123".into(),
        callee_routed: Some("4930123".into()),
        callee_sent: Some("4930123".into()),
        setup_us,
        ring_us: Some(setup_us + 500_100),
        answer_us: Some(setup_us + 2_000_100),
        end_us: Some(setup_us + 63_500_000),
        pdd_us: Some(500_999),
        duration_us: 61_500_000,
        status: 200,
        cause: Cause::Answered,
        ended_by: Some(EndedBy::Caller),
        attempts: vec![refused, answered],
        customer_terms: Some(RateTerms {
            rate: Decimal::new(30, 3),
            connect_fee: Decimal::new(1, 2),
            initial_interval_s: 60,
            next_rate: Decimal::new(30, 3),
            next_interval_s: 60,
        }),
        customer_currency: Some("USD".into()),
        vendor_terms: Some(RateTerms::per_second(Decimal::new(12, 3))),
        vendor_currency: Some("EUR".into()),
        q850_cause: Some(16),
        reason: Some("Q.850;cause=16".into()),
        pai: None,
        lrn: None,
        transport_in: "UDP".into(),
        transport_out: Some("UDP".into()),
        listener: "udp:203.0.113.7:5060".into(),
        customer_prefix: Some("49".into()),
        vendor_prefix: Some("4930".into()),
        route_version: 7,
    }
}

fn keys(object: &serde_json::Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// JSON text keeps the order of the fields, a parsed object may not.
fn keys_in_order(json: &str, keys: &[&str]) -> bool {
    let places: Vec<_> = keys
        .iter()
        .map(|key| json.find(&format!("\"{key}\":")))
        .collect();
    places.iter().all(Option::is_some) && places.is_sorted()
}

#[test]
fn json_has_exactly_the_documented_keys() {
    let json = serde_json::to_string(&call().rated()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sorted = |keys: &[&str]| {
        keys.iter()
            .map(ToString::to_string)
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(sorted(&keys(&value)), sorted(CDR_KEYS));
    for attempt in value["attempts"].as_array().unwrap() {
        assert_eq!(sorted(&keys(attempt)), sorted(ATTEMPT_KEYS));
    }
    let attempts = json.find("\"attempts\":[").unwrap();
    assert!(keys_in_order(&json[..attempts], &CDR_KEYS[..22]), "{json}");
}

#[test]
fn values_have_the_documented_types_and_prices_worked_by_hand() {
    let value = serde_json::to_value(call().rated()).unwrap();
    assert_eq!(value["setup_at"], "2026-11-22T10:40:00.000000Z");
    assert_eq!(value["end_at"], "2026-11-22T10:41:03.500000Z");
    assert_eq!(value["pdd_ms"], 500);
    assert_eq!(value["duration_ms"], 61_500);
    assert_eq!(value["status"], 200);
    assert_eq!(value["cause"], "answered");
    assert_eq!(value["ended_by"], "caller");
    assert_eq!(value["pai"], serde_json::Value::Null);
    // 62 s by 60/60 are two minutes: 0.01 + 2·0.03.
    assert_eq!(
        (&value["customer_billed_s"], &value["customer_price"]),
        (&120.into(), &"0.07".into())
    );
    // 62 s by 1/1: 62·0.012/60.
    assert_eq!(
        (&value["vendor_billed_s"], &value["vendor_price"]),
        (&62.into(), &"0.0124".into())
    );
    assert_eq!(value["vendor_rate"], "0.012");
    let (refused, answered) = (&value["attempts"][0], &value["attempts"][1]);
    assert_eq!(
        (&refused["status"], &refused["cause"]),
        (&503.into(), &"vendor_5xx".into())
    );
    assert_eq!(
        (&refused["billed_s"], &refused["price"]),
        (&0.into(), &"0".into())
    );
    assert_eq!(refused["ring_at"], serde_json::Value::Null);
    assert_eq!(
        (&answered["billed_s"], &answered["price"]),
        (&62.into(), &"0.0124".into())
    );
}

#[test]
fn a_side_without_terms_has_no_price_and_no_status_is_null() {
    let mut cdr = call();
    cdr.vendor_terms = None;
    cdr.status = 0;
    cdr.attempts[0].status = 0;
    let value = serde_json::to_value(cdr.rated()).unwrap();
    assert_eq!(value["vendor_price"], serde_json::Value::Null);
    assert_eq!(value["vendor_billed_s"], 0);
    assert_eq!(value["status"], serde_json::Value::Null);
    assert_eq!(value["attempts"][0]["status"], serde_json::Value::Null);
}

#[test]
fn json_is_read_back_as_the_same_record() {
    let rated = call().rated();
    let json = serde_json::to_string(&rated).unwrap();
    assert_eq!(serde_json::from_str::<RatedCdr>(&json).unwrap(), rated);
}

#[test]
fn the_vendor_bills_its_own_attempt_not_what_the_customer_is_billed() {
    // The caller took a second answer: its call went on after the dialog with the vendor of the top line had ended.
    let mut cdr = call();
    let of_vendor = cdr.rated();
    cdr.duration_us += 600_000_000;
    let rated = cdr.rated();
    assert_eq!(rated.vendor_price, of_vendor.vendor_price);
    assert_eq!(rated.vendor_billed_s, of_vendor.vendor_billed_s);
    assert_eq!(
        rated.customer_billed_s,
        of_vendor.customer_billed_s + 600,
        "billed by the second"
    );
    // A vendor that answered after the caller had been refused bills all the same.
    cdr.answer_us = None;
    cdr.duration_us = 0;
    let rated = cdr.rated();
    assert_eq!(rated.vendor_price, of_vendor.vendor_price);
    assert_eq!(rated.customer_billed_s, 0);
}

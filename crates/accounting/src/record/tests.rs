//! The codec: what is written is read back, and no bytes make it panic.

use std::net::SocketAddr;

use proptest::option;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::{Attempt, RateTerms, SessionEnd};

fn text() -> impl Strategy<Value = String> {
    "[a-z0-9@.:;+ é]{0,24}"
}

fn decimal() -> impl Strategy<Value = Decimal> {
    (-(1i128 << 95)..(1i128 << 95), 0u32..=28)
        .prop_map(|(mantissa, scale)| Decimal::from_i128_with_scale(mantissa, scale))
}

fn terms() -> impl Strategy<Value = RateTerms> {
    (decimal(), decimal(), any::<u32>(), decimal(), any::<u32>()).prop_map(
        |(rate, connect_fee, initial_interval_s, next_rate, next_interval_s)| RateTerms {
            rate,
            connect_fee,
            initial_interval_s,
            next_rate,
            next_interval_s,
        },
    )
}

fn cause() -> impl Strategy<Value = Cause> {
    proptest::sample::select(Cause::ALL)
}

fn side() -> impl Strategy<Value = EndedBy> {
    proptest::sample::select(vec![EndedBy::Caller, EndedBy::Callee, EndedBy::Proxy])
}

fn attempt() -> impl Strategy<Value = Attempt> {
    (
        (
            text(),
            text(),
            any::<i64>(),
            any::<Option<i64>>(),
            any::<Option<i64>>(),
            any::<Option<i64>>(),
        ),
        (
            any::<u64>(),
            any::<u16>(),
            cause(),
            option::of(terms()),
            option::of(text()),
            text(),
        ),
    )
        .prop_map(|(first, second)| Attempt {
            vendor: first.0,
            next_hop: first.1,
            started_us: first.2,
            ring_us: first.3,
            answer_us: first.4,
            ended_us: first.5,
            duration_us: second.0,
            status: second.1,
            cause: second.2,
            terms: second.3,
            prefix: second.4,
            callee_sent: second.5,
        })
}

fn cdr() -> impl Strategy<Value = Cdr> {
    let texts = proptest::collection::vec(text(), 10);
    let maybe = proptest::collection::vec(option::of(text()), 14);
    (
        (
            any::<u128>(),
            texts,
            maybe,
            proptest::collection::vec(attempt(), 0..4),
        ),
        (
            any::<i64>(),
            any::<[Option<i64>; 3]>(),
            any::<Option<u64>>(),
            any::<u64>(),
            any::<u16>(),
            cause(),
        ),
        (
            option::of(side()),
            option::of(terms()),
            option::of(terms()),
            any::<Option<u16>>(),
            any::<u64>(),
        ),
    )
        .prop_map(|((id, mut texts, mut maybe, attempts), times, rest)| {
            let mut text = || texts.pop().unwrap_or_default();
            let mut maybe = || maybe.pop().unwrap_or_default();
            Cdr {
                cdr_id: Uuid::from_u128(id),
                node: text(),
                call_id: text(),
                from_tag: text(),
                to_tag: maybe(),
                customer: text(),
                vendor: maybe(),
                source: text(),
                next_hop: maybe(),
                caller: text(),
                callee: text(),
                callee_routed: maybe(),
                callee_sent: maybe(),
                setup_us: times.0,
                ring_us: times.1[0],
                answer_us: times.1[1],
                end_us: times.1[2],
                pdd_us: times.2,
                duration_us: times.3,
                status: times.4,
                cause: times.5,
                ended_by: rest.0,
                attempts,
                customer_terms: rest.1,
                customer_currency: maybe(),
                vendor_terms: rest.2,
                vendor_currency: maybe(),
                q850_cause: rest.3,
                reason: maybe(),
                pai: maybe(),
                lrn: maybe(),
                transport_in: text(),
                transport_out: maybe(),
                listener: text(),
                customer_prefix: maybe(),
                vendor_prefix: maybe(),
                route_version: rest.4,
            }
        })
}

fn leg() -> impl Strategy<Value = Leg> {
    (
        (
            text(),
            text(),
            proptest::collection::vec(text(), 0..3),
            any::<u32>(),
            any::<u32>(),
        ),
        (
            any::<std::net::IpAddr>(),
            any::<u16>(),
            any::<u16>(),
            any::<u8>(),
        ),
    )
        .prop_map(|(state, flow)| Leg {
            tag: state.0,
            remote_target: state.1,
            route_set: state.2,
            cseq: state.3,
            local_cseq: state.4,
            flow_remote: SocketAddr::new(flow.0, flow.1),
            flow_listener: flow.2,
            flow_transport: flow.3,
        })
}

fn session_end() -> impl Strategy<Value = SessionEnd> {
    prop_oneof![
        Just(SessionEnd::Never),
        any::<i64>().prop_map(SessionEnd::Agreed),
        any::<i64>().prop_map(SessionEnd::OneSided),
    ]
}

/// Version 2 had an `Option` here before sessions of one end alone were told apart.
#[test]
fn the_end_of_a_session_reads_as_the_time_that_was_written_before() {
    for (before, now) in [
        (None, SessionEnd::Never),
        (Some(-7), SessionEnd::Agreed(-7)),
        (Some(i64::MAX), SessionEnd::Agreed(i64::MAX)),
    ] {
        let bytes = postcard::to_allocvec::<Option<i64>>(&before).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(now));
        assert_eq!(now.expires_us(), before);
    }
}

fn record() -> impl Strategy<Value = Record> {
    let id = any::<u128>().prop_map(Uuid::from_u128);
    prop_oneof![
        (
            cdr(),
            leg(),
            leg(),
            any::<u16>(),
            any::<(u64, u64)>(),
            text(),
            text(),
            (any::<i64>(), session_end())
        )
            .prop_map(
                |(cdr, caller, callee, attempt, trunks, call_from_uri, call_to_uri, ends)| {
                    Record::Answered(Box::new(AnsweredCall {
                        cdr,
                        caller,
                        callee,
                        attempt,
                        customer_trunk: trunks.0,
                        vendor_trunk: trunks.1,
                        call_from_uri,
                        call_to_uri,
                        max_end_us: ends.0,
                        session_end: ends.1,
                    }))
                }
            ),
        (
            id.clone(),
            any::<u16>(),
            option::of(leg()),
            option::of(leg()),
            session_end()
        )
            .prop_map(|(cdr_id, attempt, caller, callee, session_end)| {
                Record::Updated(Updated {
                    cdr_id,
                    attempt,
                    caller,
                    callee,
                    session_end,
                })
            }),
        (
            id.clone(),
            any::<u16>(),
            any::<i64>(),
            any::<u64>(),
            cause()
        )
            .prop_map(|(cdr_id, attempt, ended_us, duration_us, cause)| {
                Record::AttemptEnded {
                    cdr_id,
                    attempt,
                    ended_us,
                    duration_us,
                    cause,
                }
            }),
        cdr().prop_map(|cdr| Record::Ended(Box::new(cdr))),
        (id.clone(), text(), any::<i64>(), side(), any::<u16>()).prop_map(
            |(cdr_id, node, at_us, ended_by, status)| {
                Record::EndedAlone {
                    cdr_id,
                    node,
                    at_us,
                    ended_by,
                    status,
                }
            }
        ),
        (
            text(),
            any::<i64>(),
            text(),
            cause(),
            option::of(text()),
            any::<u64>()
        )
            .prop_map(
                |(node, minute_us, source, cause, customer, count)| Record::Refused(
                    RefusedAggregate {
                        node,
                        minute_us,
                        source,
                        cause,
                        customer,
                        count
                    }
                )
            ),
        id.prop_map(|cdr_id| Record::Settled { cdr_id }),
    ]
}

proptest! {
    #[test]
    fn a_record_is_read_back_as_it_was_written(record in record()) {
        let mut bytes = vec![0xAA];
        record.encode(&mut bytes);
        prop_assert_eq!(Record::decode(&bytes[1..]), Ok(record));
    }

    #[test]
    fn a_record_cut_anywhere_or_followed_by_a_byte_is_an_error(record in record(), at in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        prop_assert!(Record::decode(&bytes[..at.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert_eq!(Record::decode(&bytes), Err(RecordError::Trailing(1)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Record::decode(&bytes);
        // With a good version byte the bytes reach the decoder proper.
        bytes.insert(0, VERSION);
        let _ = Record::decode(&bytes);
        bytes[0] = version_1::VERSION;
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn a_damaged_record_never_panics(record in record(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = Record::decode(&bytes);
    }
}

#[test]
fn another_version_is_named_in_the_error() {
    assert_eq!(Record::decode(&[]), Err(RecordError::Empty));
    assert_eq!(Record::decode(&[9, 0]), Err(RecordError::Version(9)));
}

#[test]
fn the_first_bytes_of_a_record_are_version_and_variant() {
    // What is on disks in the field: changing either breaks recovery after an upgrade.
    let mut bytes = Vec::new();
    Record::Settled {
        cdr_id: Uuid::from_u128(1),
    }
    .encode(&mut bytes);
    let mut expected = vec![2, 6, 16];
    expected.extend_from_slice(&1u128.to_be_bytes());
    assert_eq!(bytes, expected);
}
fn sample_leg(tag: &str) -> Leg {
    Leg {
        tag: tag.to_owned(),
        remote_target: format!("sip:{tag}@h"),
        route_set: vec!["<sip:p;lr>".to_owned()],
        cseq: 7,
        local_cseq: 0,
        flow_remote: SocketAddr::from(([192, 0, 2, 1], 5060)),
        flow_listener: 1,
        flow_transport: 0,
    }
}

fn sample_cdr() -> Cdr {
    Cdr {
        cdr_id: Uuid::from_u128(1),
        node: "n".to_owned(),
        call_id: "c".to_owned(),
        from_tag: "a".to_owned(),
        to_tag: Some("b".to_owned()),
        customer: "acme".to_owned(),
        vendor: None,
        source: "s".to_owned(),
        next_hop: None,
        caller: "1".to_owned(),
        callee: "2".to_owned(),
        callee_routed: None,
        callee_sent: None,
        setup_us: 100,
        ring_us: None,
        answer_us: Some(200),
        end_us: None,
        pdd_us: None,
        duration_us: 0,
        status: 200,
        cause: Cause::Answered,
        ended_by: None,
        attempts: Vec::new(),
        customer_terms: None,
        customer_currency: None,
        vendor_terms: None,
        vendor_currency: None,
        q850_cause: None,
        reason: None,
        pai: None,
        lrn: None,
        transport_in: "udp".to_owned(),
        transport_out: None,
        listener: "l".to_owned(),
        customer_prefix: None,
        vendor_prefix: None,
        route_version: 3,
    }
}

/// The bytes of a text of hexadecimal digits.
fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or(""), 16).unwrap_or(0))
        .collect()
}

#[test]
fn records_of_version_1_are_read_after_an_upgrade() {
    // What version 1 wrote, as it stands on disks in the field.
    let answered = "01001000000000000000000000000000000001016e016301610101620461636d6500017300013101320000c80100\
                    019003000000c80100000000000000000000000375647000016c0000030161077369703a614068010a3c7369703a70\
                    3b6c723e070000c0000201c42701000162077369703a624068010a3c7369703a703b6c723e070000c0000201c42701\
                    00000203073c7369703a663e073c7369703a743e880e";
    let updated = "0101100000000000000000000000000000000100010161077369703a614068010a3c7369703a703b6c723e070000c0\
                   000201c427010000";
    let ended = "01031000000000000000000000000000000001016e016301610101620461636d6500017300013101320000c80100019003\
                 000000c80100000000000000000000000375647000016c000003";
    assert_eq!(
        Record::decode(&unhex(answered)),
        Ok(Record::Answered(Box::new(AnsweredCall {
            cdr: sample_cdr(),
            caller: sample_leg("a"),
            callee: sample_leg("b"),
            attempt: 0,
            customer_trunk: 2,
            vendor_trunk: 3,
            call_from_uri: "<sip:f>".to_owned(),
            call_to_uri: "<sip:t>".to_owned(),
            max_end_us: 900,
            session_end: SessionEnd::Never,
        })))
    );
    assert_eq!(
        Record::decode(&unhex(updated)),
        Ok(Record::Updated(Updated {
            cdr_id: Uuid::from_u128(1),
            attempt: 0,
            caller: Some(sample_leg("a")),
            callee: None,
            session_end: SessionEnd::Never,
        }))
    );
    assert_eq!(
        Record::decode(&unhex(ended)),
        Ok(Record::Ended(Box::new(sample_cdr())))
    );
}

use super::*;
use crate::parse::tests::INVITE;
use crate::{HeaderTable, parse_datagram, write_message};

/// What `edit` makes of `bytes`.
fn edited(bytes: &[u8], edit: impl FnOnce(&mut Edits, &Message<'_>)) -> String {
    let mut table = HeaderTable::default();
    let message = parse_datagram(bytes, &mut table).unwrap();
    let mut edits = Edits::new();
    edit(&mut edits, &message);
    let mut out = Vec::new();
    write_message(&message, &edits, &mut out);
    String::from_utf8(out).unwrap()
}

fn with_lines(lines: &str) -> Vec<u8> {
    let text = std::str::from_utf8(INVITE).unwrap();
    text.replace("Max-Forwards: 70\r\n", lines).into_bytes()
}

#[test]
fn no_edits_leave_the_message_as_it_is() {
    assert_eq!(edited(INVITE, |_, _| {}).as_bytes(), INVITE);
}

#[test]
fn edits_may_be_made_in_any_order() {
    let text = edited(INVITE, |edits, message| {
        edits.add_header(message, b"X-Last", b"1");
        edits.set_max_forwards(message, 9);
        edits.set_request_uri(message, b"sip:b");
        edits.push_via(message, b"SIP/2.0/UDP p;branch=z9hG4bKp");
    });
    assert!(
        text.starts_with("INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bKp\r\nVia: ")
    );
    assert!(text.contains("\r\nMax-Forwards: 9\r\n"));
    assert!(text.contains("Content-Length: 4\r\nX-Last: 1\r\n\r\nv=0\n"));
}

#[test]
fn insertions_at_one_place_keep_the_order_of_the_calls_and_precede_a_replacement() {
    let text = edited(INVITE, |edits, _| {
        edits.replace(0..6, b"BYE");
        edits.insert(0, b"a");
        edits.insert(0, b"b");
    });
    assert!(text.starts_with("abBYE sip:"));
}

#[test]
#[should_panic(expected = "overlaps an earlier one")]
fn an_edit_that_overlaps_an_earlier_one_is_a_fault_of_the_caller() {
    edited(INVITE, |edits, _| {
        edits.replace(0..6, b"BYE");
        edits.insert(3, b"x");
    });
}

#[test]
fn max_forwards_is_added_below_the_top_via_when_there_is_none() {
    let text = edited(&with_lines(""), |edits, message| {
        edits.set_max_forwards(message, 70);
    });
    assert!(text.contains(";rport\r\nMax-Forwards: 70\r\nFrom: "));
}

#[test]
fn the_first_value_goes_with_its_line_only_when_it_was_alone() {
    let two = with_lines("Route: <sip:a;lr>;x=1 ,\r\n <sip:b;lr>\r\nRoute: <sip:c;lr>\r\n");
    let text = edited(&two, |edits, message| edits.remove_first_route(message));
    assert!(text.contains(";rport\r\nRoute: <sip:b;lr>\r\nRoute: <sip:c;lr>\r\nFrom"));
    for line in ["Route: <sip:a;lr>\r\n", "Route: <sip:a;lr>,\r\n"] {
        let text = edited(&with_lines(line), |edits, message| {
            edits.remove_first_route(message);
        });
        assert!(text.contains(";rport\r\nFrom"), "{text}");
    }
}

#[test]
fn set_routes_takes_the_place_of_all_route_lines() {
    let bytes = with_lines("Route: <sip:a>\r\nX: y\r\nRoute: <sip:b>, <sip:c>\r\n");
    let text = edited(&bytes, |edits, message| {
        edits.set_routes(message, &[b"<sip:n;lr>", b"<sip:o;lr>"]);
    });
    assert!(text.contains(";rport\r\nRoute: <sip:n;lr>\r\nRoute: <sip:o;lr>\r\nX: y\r\nFrom"));
    let text = edited(&bytes, |edits, message| edits.set_routes(message, &[]));
    assert!(text.contains(";rport\r\nX: y\r\nFrom"));
}

#[test]
fn a_record_route_goes_above_those_that_are_there() {
    let bytes = with_lines("X: y\r\nRecord-Route: <sip:a;lr>\r\n");
    let text = edited(&bytes, |edits, message| {
        edits.push_record_route(message, b"<sip:p;lr>");
    });
    assert!(text.contains("X: y\r\nRecord-Route: <sip:p;lr>\r\nRecord-Route: <sip:a;lr>\r\n"));
    let text = edited(&with_lines("X: y\r\n"), |edits, message| {
        edits.push_record_route(message, b"<sip:p;lr>");
    });
    assert!(text.contains(";rport\r\nRecord-Route: <sip:p;lr>\r\nX: y\r\n"));
}

#[test]
fn remove_all_takes_full_and_compact_names() {
    let bytes = with_lines("Supported: a\r\nX: y\r\nk: b,\r\n c\r\n");
    let text = edited(&bytes, |edits, message| {
        edits.remove_all(message, KnownHeader::Supported);
    });
    assert!(text.contains(";rport\r\nX: y\r\nFrom"));
}

#[test]
fn cleared_edits_are_empty() {
    let mut edits = Edits::new();
    edits.insert(0, b"x");
    assert!(!edits.is_empty());
    edits.clear();
    edits.remove(3..3);
    assert!(edits.is_empty());
}

/// Found by fuzzing.
//= proves RFC 3261 §7.1
#[test]
fn a_version_in_lower_case_is_sent_in_upper_case() {
    let options = "OPTIONS sip:a SIp/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                   To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
    let response = options.replacen("OPTIONS sip:a SIp/2.0", "sip/2.0 200 sip/2.0", 1);
    for (text, expected) in [
        (options, "OPTIONS sip:a SIP/2.0\r\n"),
        (&response, "SIP/2.0 200 sip/2.0\r\n"),
    ] {
        let mut table = HeaderTable::default();
        let message = parse_datagram(text.as_bytes(), &mut table).unwrap();
        let mut edits = Edits::new();
        edits.spell_version(&message);
        let mut out = Vec::new();
        write_message(&message, &edits, &mut out);
        assert!(
            out.starts_with(expected.as_bytes()),
            "{}",
            String::from_utf8_lossy(&out)
        );
        assert_eq!(out.len(), text.len());
    }
}

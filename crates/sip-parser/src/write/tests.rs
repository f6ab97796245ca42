use crate::parse::tests::INVITE;
use crate::{Edits, HeaderTable, parse_datagram, write_message};

#[test]
fn the_writer_appends_to_what_is_there() {
    let mut table = HeaderTable::default();
    let message = parse_datagram(INVITE, &mut table).unwrap();
    let mut out = b"before".to_vec();
    write_message(&message, &Edits::new(), &mut out);
    assert_eq!(out, [b"before", INVITE].concat());
}

#[test]
fn edits_at_both_ends_and_behind_each_other_are_applied() {
    let mut table = HeaderTable::default();
    let message = parse_datagram(INVITE, &mut table).unwrap();
    let mut edits = Edits::new();
    edits.insert(INVITE.len(), b"end");
    edits.remove(6..7);
    edits.replace(0..6, b"start");
    let mut out = Vec::new();
    write_message(&message, &edits, &mut out);
    assert_eq!(out, [b"start", &INVITE[7..], b"end"].concat());
}

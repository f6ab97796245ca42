//! Tests of numbers and number rules.

use super::*;

fn apply(strip: u8, prepend: &str, prefix_len: usize, number: &str) -> String {
    let mut out = NumberText::from("rubbish");
    NumberRule {
        strip,
        prepend: prepend.to_owned(),
    }
    .apply(number, prefix_len, &mut out);
    out.to_string()
}

#[test]
fn the_number_ends_at_the_first_semicolon_and_escapes_are_resolved() {
    let cases: [(&[u8], &str); 8] = [
        (b"+442079460000", "+442079460000"),
        (b"4420;npdi;rn=+4420", "4420"),
        (b"%2B4420%3b5", "+4420;5"),
        (b"44%zz", "44%zz"),
        (b"44%4", "44%4"),
        (b"", ""),
        (b";x=1", ""),
        (b"44\xff", "44\u{fffd}"),
    ];
    for (user, expected) in cases {
        assert_eq!(dialled(user).as_str(), expected);
    }
}

#[test]
fn only_digits_are_compared_and_a_plus_is_not() {
    assert_eq!(NumberText::from("+4420").key(), "4420".parse().unwrap());
    for other in ["++44", "44a", "alice", "44-20", "+", ""] {
        assert_eq!(NumberText::from(other).key(), Prefix::EMPTY, "{other}");
    }
}

#[test]
fn rules_take_the_plus_off_only_when_they_change_something() {
    assert_eq!(apply(0, "", 0, "+4420"), "+4420");
    assert_eq!(apply(2, "", 0, "+4420"), "20");
    assert_eq!(apply(0, "00", 0, "+4420"), "004420");
    assert_eq!(apply(0, "+", 0, "4420"), "+4420");
    assert_eq!(apply(0, "+", 0, "+4420"), "+4420");
    assert_eq!(apply(1, "9", 3, "+123044"), "944");
    assert_eq!(apply(9, "5", 0, "44"), "5");
    assert_eq!(apply(1, "", 0, "é44"), "44", "characters, not bytes");
}

#[test]
fn a_long_number_survives() {
    let long = "1".repeat(200);
    assert_eq!(dialled(long.as_bytes()).as_str(), long);
    assert_eq!(NumberText::from(long.as_str()).key().len(), 15);
}

#[test]
fn a_number_is_escaped_for_the_user_part() {
    let mut out = Vec::new();
    escape_user("+44#5;é a*", &mut out);
    assert_eq!(out, b"+44%235%3B%C3%A9%20a*");
    assert_eq!(dialled(&out).as_str(), "+44#5;é a*");
}

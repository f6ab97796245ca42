//! Tests of prefixes and their table.

use std::collections::BTreeMap;

use super::*;
use crate::testing::Random;

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

#[test]
fn a_prefix_prints_what_it_was_read_from() {
    for text in [
        "",
        "0",
        "1",
        "00",
        "44",
        "999999999999999",
        "000000000000000",
        "120255501234567",
    ] {
        assert_eq!(prefix(text).to_string(), text);
        assert_eq!(prefix(text).len(), text.len());
    }
}

#[test]
fn a_leading_plus_is_ignored_and_other_characters_are_refused() {
    assert_eq!(prefix("+44"), prefix("44"));
    for text in ["4a", "++44", "4 4", "-1", "1234567890123456", "٣"] {
        let fault = text.parse::<Prefix>().unwrap_err();
        assert!(fault.contains("allowed: 0 to 15 digits"), "{fault}");
    }
}

#[test]
fn leading_zeros_make_a_different_prefix() {
    assert_ne!(prefix("0"), prefix("00"));
    assert!(!prefix("00").matches(prefix("0")));
    assert!(prefix("0").matches(prefix("00")));
}

#[test]
fn numbers_longer_than_fifteen_digits_are_matched_by_their_start() {
    let number = Prefix::of_number(b"12345678901234567890").unwrap();
    assert!(prefix("123456789012345").matches(number));
    assert!(!prefix("123456789012346").matches(number));
    assert_eq!(Prefix::of_number(b"1234567890123456x"), None);
}

#[test]
fn an_empty_table_finds_nothing() {
    let table = PrefixTable::build(&[]);
    assert_eq!(table.matches(prefix("44")).next(), None);
    assert_eq!(table.exact(Prefix::EMPTY), None);
}

#[test]
fn the_table_agrees_with_a_search_over_all_prefixes() {
    let mut random = Random(7);
    for round in 0..60 {
        let mut known = BTreeMap::new();
        for value in 0..=random.below(400) {
            let len = usize::try_from(random.below(16)).unwrap();
            // Few different digits make many overlaps.
            let text: String = (0..len)
                .map(|_| char::from(b'0' + u8::try_from(random.below(3)).unwrap()))
                .collect();
            known.insert(prefix(&text), u32::try_from(value).unwrap());
        }
        let entries: Vec<_> = known.iter().map(|(key, value)| (*key, *value)).collect();
        let table = PrefixTable::build(&entries);
        assert_eq!(table.len(), known.len());
        for _ in 0..400 {
            let len = random.below(20);
            let number: Vec<u8> = (0..len)
                .map(|_| b'0' + u8::try_from(random.below(3)).unwrap())
                .collect();
            let text = String::from_utf8(number.clone()).unwrap();
            let mut expected: Vec<_> = entries
                .iter()
                .filter(|(key, _)| text.starts_with(&key.to_string()))
                .copied()
                .collect();
            expected.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
            let found: Vec<_> = table.matches(Prefix::of_number(&number).unwrap()).collect();
            assert_eq!(found, expected, "round {round}, number {text}");
        }
    }
}

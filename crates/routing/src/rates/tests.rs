//! Tests of the search for a rate in force.

use super::*;

fn sheet(rates: &[(&str, i64, i64, u32)]) -> Sheet {
    let mut rates: Vec<(Prefix, Span)> = rates
        .iter()
        .map(|(prefix, from, to, terms)| {
            (
                prefix.parse().unwrap(),
                Span {
                    from: *from,
                    to: *to,
                    terms: *terms,
                },
            )
        })
        .collect();
    rates.sort_by_key(|(prefix, span)| (*prefix, span.from));
    Sheet::build("s".to_owned(), &rates)
}

fn found(sheet: &Sheet, number: &str, wall_us: i64) -> Option<(String, u32)> {
    sheet
        .find(number.parse().unwrap(), wall_us)
        .map(|rate| (rate.prefix.to_string(), rate.terms))
}

#[test]
fn the_switch_happens_at_the_instant_named() {
    let sheet = sheet(&[
        ("44", i64::MIN, 100, 1),
        ("44", 100, i64::MAX, 2),
        ("44", 200, 300, 3),
    ]);
    for (wall_us, terms) in [(99, 1), (100, 2), (199, 2), (200, 3), (299, 3), (300, 2)] {
        assert_eq!(
            found(&sheet, "4420", wall_us),
            Some(("44".to_owned(), terms)),
            "at {wall_us}"
        );
    }
    assert_eq!(sheet.len(), 1);
}

#[test]
fn a_prefix_without_a_rate_in_force_is_passed_over() {
    let sheet = sheet(&[
        ("4", i64::MIN, i64::MAX, 1),
        ("44", 100, 200, 2),
        ("442", i64::MIN, i64::MAX, 3),
    ]);
    assert_eq!(found(&sheet, "4419", 150), Some(("44".to_owned(), 2)));
    assert_eq!(found(&sheet, "4419", 99), Some(("4".to_owned(), 1)));
    assert_eq!(found(&sheet, "4429", 99), Some(("442".to_owned(), 3)));
    assert_eq!(found(&sheet, "5", 99), None);
    assert!(sheet.ever_matches("44".parse().unwrap()) && !sheet.ever_matches("5".parse().unwrap()));
}

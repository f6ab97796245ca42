use super::*;

#[test]
fn escapes_become_their_octets_and_other_percent_signs_stay() {
    let mut out = Vec::new();
    unescape(b"a%41%0a%00%zz%4", &mut out);
    assert_eq!(out, b"aA\n\0%zz%4");
}

#[test]
fn each_percent_sign_must_start_an_escape() {
    assert!(is_well_formed(b"a%41%fFb"));
    for text in [&b"%"[..], b"%4", b"a%4g", b"%%41"] {
        assert!(!is_well_formed(text));
    }
}

use super::*;

#[test]
fn a_usual_spelling_is_the_header_that_the_slow_way_finds() {
    let mut found = 0;
    for (header, name) in crate::header::name::NAMES {
        let line = format!("{name}: a value that is long enough\r\n");
        if let Some(usual) = name_of(line.as_bytes()) {
            assert_eq!(usual, (header, name.len()));
            assert_eq!(H::from_name(name.as_bytes()), Some(header));
            found += 1;
        }
    }
    assert_eq!(found, USUAL.len());
}

#[test]
fn what_only_looks_like_a_usual_spelling_is_left_alone() {
    for line in [
        "via: SIP/2.0/UDP a",
        "Via : SIP/2.0/UDP a",
        "To\0: <sip:a@example.com>",
        "Supported\0: 100rel, timer",
        "Max-Forwards : 70\r\n",
        "Max-Forwardz: 70\r\n",
        "Content-Lengths: 70\r\n",
        "P-Asserted-Identitx: a",
        "P-Asserted-Ident: abcd",
        ": a value without a name",
        "Via: a\r",
    ] {
        assert_eq!(name_of(line.as_bytes()), None, "{line}");
    }
}

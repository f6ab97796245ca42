use super::*;

#[test]
fn every_known_name_is_found_in_any_case_and_stands_at_its_place() {
    for (index, (header, name)) in NAMES.iter().enumerate() {
        assert_eq!(header.index(), index);
        assert_eq!(header.name(), *name);
        assert_eq!(KnownHeader::from_name(name.as_bytes()), Some(*header));
        let upper = name.to_ascii_uppercase();
        assert_eq!(KnownHeader::from_name(upper.as_bytes()), Some(*header));
        let lower = name.to_ascii_lowercase();
        assert_eq!(KnownHeader::from_name(lower.as_bytes()), Some(*header));
    }
}

//= proves RFC 3261 §7.3.3
#[test]
fn compact_forms_are_found_in_either_case() {
    let forms = [
        (b"v", H::Via),
        (b"f", H::From),
        (b"t", H::To),
        (b"i", H::CallId),
        (b"m", H::Contact),
        (b"l", H::ContentLength),
        (b"c", H::ContentType),
        (b"e", H::ContentEncoding),
        (b"k", H::Supported),
        (b"s", H::Subject),
        (b"o", H::Event),
        (b"r", H::ReferTo),
        (b"b", H::ReferredBy),
        (b"x", H::SessionExpires),
        (b"u", H::AllowEvents),
    ];
    for (letter, header) in forms {
        assert_eq!(KnownHeader::from_name(letter), Some(header));
        assert_eq!(
            KnownHeader::from_name(&letter.to_ascii_uppercase()),
            Some(header)
        );
    }
}

#[test]
fn names_that_only_look_alike_are_unknown() {
    for name in [
        &b""[..],
        b"z",
        b"Vib",
        b"Max-Forwardz",
        b"Max-Forward",
        b"C%6Fntact",
        b"Via ",
    ] {
        assert_eq!(KnownHeader::from_name(name), None);
    }
}

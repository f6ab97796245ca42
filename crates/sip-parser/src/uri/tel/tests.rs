use crate::{Uri, UriError};

#[test]
fn global_and_local_numbers_are_told_apart() {
    let Ok(Uri::Tel(tel)) = Uri::parse(b"TEL:+49(30)123-456;npdi;rn=+4930") else {
        panic!("a tel URI");
    };
    assert!(tel.is_global());
    assert_eq!(tel.number, b"+49(30)123-456");
    assert!(tel.params.contains(b"npdi"));
    assert_eq!(tel.params.get(b"rn"), Some(&b"+4930"[..]));
    let Ok(Uri::Tel(tel)) = Uri::parse(b"tel:*31#7042;phone-context=example.com") else {
        panic!("a tel URI");
    };
    assert!(!tel.is_global());
}

#[test]
fn what_is_no_number_is_refused() {
    for uri in [
        &b"tel:+"[..],
        b"tel:+49a",
        b"tel:-",
        b"tel:xyz",
        b"tel:;a=b",
        b"tel:+4+9",
    ] {
        assert_eq!(Uri::parse(uri).unwrap_err(), UriError::Number);
    }
    assert_eq!(Uri::parse(b"tel:").unwrap_err(), UriError::Scheme);
    assert_eq!(Uri::parse(b"tel:+49;").unwrap_err(), UriError::Params);
}

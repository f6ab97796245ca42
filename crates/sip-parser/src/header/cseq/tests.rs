use super::*;

#[test]
fn number_and_method_may_be_folded_apart() {
    let cseq = CSeq::parse(b"0009\r\n  INVITE").unwrap();
    assert_eq!(cseq.number, 9);
    assert_eq!(cseq.method, Method::Invite);
    assert_eq!(
        CSeq::parse(b"1 invite").unwrap().method,
        Method::Other(b"invite")
    );
}

#[test]
fn the_number_fits_in_32_bits() {
    assert_eq!(CSeq::parse(b"4294967295 BYE").unwrap().number, u32::MAX);
    assert_eq!(CSeq::parse(b"4294967296 BYE"), None);
    let saturated = CSeq::parse_forgiving(b"36893488147419103232 BYE").unwrap();
    assert_eq!(saturated.number, u32::MAX);
}

#[test]
fn malformed_values_are_refused() {
    for value in [
        &b""[..],
        b"1",
        b"1 ",
        b"INVITE",
        b"1INVITE",
        b"-1 BYE",
        b"1 BYE x",
        b"1 B<",
    ] {
        assert_eq!(CSeq::parse(value), None);
    }
}

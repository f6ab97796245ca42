use super::*;

#[test]
fn a_run_stops_at_the_first_octet_outside_its_class() {
    assert_eq!(run(b"abcdefgh ij", 0, TOKEN), 8);
    assert_eq!(run(b"abcde ", 2, TOKEN), 5);
    assert_eq!(run(b" x", 0, TOKEN), 0);
    assert_eq!(run(b"abc", 7, TOKEN), 7);
    assert_eq!(run(b"a b\tc<", 0, WORDS), 5);
}

#[test]
fn a_quoted_string_ends_at_the_first_quote_that_is_not_escaped() {
    assert_eq!(skip_quoted(br#""a\"b\\"c"#, 0), Some(8));
    assert_eq!(skip_quoted(br#""a\""#, 0), None);
    assert_eq!(skip_quoted(br#""a\"#, 0), None);
}

#[test]
fn decimals_take_leading_zeros_and_refuse_what_is_above_the_maximum() {
    assert_eq!(decimal(b"0068", 255), Some(68));
    assert_eq!(decimal(b"255", 255), Some(255));
    assert_eq!(decimal(b"256", 255), None);
    assert_eq!(decimal(b"4294967295", u32::MAX), Some(u32::MAX));
    assert_eq!(decimal(b"36893488147419103232", u32::MAX), None);
    assert_eq!(decimal(b"", 255), None);
    assert_eq!(decimal(b"-1", 255), None);
}

#[test]
fn decimals_are_written_without_leading_zeros() {
    let mut out = Vec::new();
    for value in [0, 7, 70, u32::MAX] {
        push_decimal(&mut out, value);
        out.push(b' ');
    }
    assert_eq!(out, b"0 7 70 4294967295 ");
}

#[test]
fn folds_are_white_space_to_trim() {
    assert_eq!(trim(b"\r\n  a b \r\n\t"), b"a b");
    assert_eq!(trim(b" \t "), b"");
}

#[test]
fn a_line_ends_at_its_first_control_octet_up_to_cr() {
    let rest = b"more octets than are looked at at once\r\n";
    for length in 0..80 {
        let line = "x\u{e}\u{1f}\u{7f}é y".repeat(length / 8 + 1);
        let line = &line.as_bytes()[..length];
        assert_eq!(ordinary_line_len(line), None);
        for control in 0..14 {
            let text = [line, &[control], rest].concat();
            assert_eq!(ordinary_line_len(&text), Some(length));
        }
    }
}

#[test]
fn long_runs_end_where_short_ones_do() {
    for octet in 0..=u8::MAX {
        for length in [0, 1, 15, 16, 17, 40] {
            let text = [
                &b"sip:alice@example.com;transport=udp;lr;x"[..length],
                &[octet],
                b"abc",
            ]
            .concat();
            assert_eq!(run_uri(&text, 0), run(&text, 0, URI), "{octet} {length}");
            assert_eq!(
                run_visible(&text, 0),
                run(&text, 0, VISIBLE),
                "{octet} {length}"
            );
        }
    }
}

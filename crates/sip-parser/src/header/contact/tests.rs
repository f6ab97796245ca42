use super::*;
use crate::{HeaderTable, parse_datagram};

fn contacts_of(line: &str) -> Vec<String> {
    let bytes = format!(
        "REGISTER sip:a SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: <sip:a>;tag=1\r\nt: <sip:b>\r\ni: c\r\n\
         CSeq: 1 REGISTER\r\n{line}\r\n\r\n"
    );
    let mut table = HeaderTable::default();
    let message = parse_datagram(bytes.as_bytes(), &mut table).unwrap();
    message
        .contacts()
        .map(|contact| match contact {
            Ok(ContactValue::Star) => "*".to_owned(),
            Ok(ContactValue::Address(address)) => String::from_utf8_lossy(address.uri).into_owned(),
            Err(error) => error.kind.as_str().to_owned(),
        })
        .collect()
}

#[test]
fn a_star_is_a_value_of_its_own() {
    assert_eq!(contacts_of("Contact: *"), ["*"]);
    assert_eq!(contacts_of("m: *x:y"), ["name_addr_syntax"]);
}

#[test]
fn several_contacts_keep_their_order() {
    assert_eq!(
        contacts_of("Contact: <sip:a>;q=0.5, \"b, c\" <sip:b>\r\nm: sip:c;expires=3"),
        ["sip:a", "sip:b", "sip:c"]
    );
}

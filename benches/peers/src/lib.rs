//! The same work for every parser: split the message and take apart the headers that every proxy reads.
//! "L1" is top Via, From, To, CSeq, Contact, Call-ID and Max-Forwards, typed; "split" is the head alone.
//! Each function gives a number that depends on what was read, so that nothing can be left out by the compiler.

pub mod corpus;
pub mod reading;

use std::hint::black_box;

use bytes::Bytes;
use std::net::SocketAddr;

use sip_parser::{ContactValue, Edits, HeaderTable, Message, parse_datagram, write_message};

/// The INVITE of 935 octets that all of them read.
pub const INVITE: &[u8] = include_bytes!("../../messages/invite.sip");

/// Finds every line feed: the floor of a parser that looks for line ends.
pub fn line_feeds(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

/// Ours: the strict parse reads and checks all of L1; the Contact is read on demand.
///
/// # Panics
/// When the message is refused.
pub fn tandem_l1(bytes: &[u8], table: &mut HeaderTable) -> usize {
    let message = parse_datagram(bytes, table).expect("a message");
    let via = message.top_via().expect("a Via");
    let from = message.from().expect("a From");
    let to = message.to().expect("a To");
    let contact = message.contacts().next();
    let Some(Ok(ContactValue::Address(contact))) = contact else {
        panic!("a Contact");
    };
    black_box((&via, &from, &to, &contact));
    let _ = black_box((message.cseq(), message.call_id(), message.max_forwards()));
    via.value.len() + from.value.len() + to.value.len() + contact.value.len()
}

/// httparse cuts header lines and knows nothing of SIP; it takes the INVITE for an HTTP request.
///
/// # Panics
/// When the message is refused.
pub fn httparse_split(bytes: &[u8]) -> usize {
    // The version is the one thing that it can't read, so it is given the header lines alone.
    let lines = 1 + memchr::memchr(b'\n', bytes).expect("a line");
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let status = httparse::parse_headers(&bytes[lines..], &mut headers).expect("headers");
    let httparse::Status::Complete((end, headers)) = status else {
        panic!("all headers");
    };
    black_box(headers);
    end
}

/// parsip: the head, no header typed.
///
/// # Panics
/// When the message is refused.
pub fn parsip_split(bytes: &[u8]) -> usize {
    let mut headers = [parsip::EMPTY_HEADER; 64];
    let mut request = parsip::Request::new(&mut headers);
    let parsed = request.parse(bytes);
    let parsip::IResult::Done(_, end) = parsed else {
        panic!("a request");
    };
    black_box(&request.headers);
    end
}

/// rsipstack: the message.
///
/// # Panics
/// When the message is refused.
pub fn rsipstack_split(bytes: &[u8]) -> rsipstack::sip::Request {
    rsipstack::sip::Request::try_from(bytes).expect("a request")
}

/// rsipstack: L1.
///
/// # Panics
/// When the message is refused.
pub fn rsipstack_l1(bytes: &[u8]) -> usize {
    use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
    let request = rsipstack_split(bytes);
    let via = request.via_header().and_then(|via| via.typed());
    let from = request.from_header().and_then(|from| from.typed());
    let to = request.to_header().and_then(|to| to.typed());
    let cseq = request.cseq_header().and_then(|cseq| cseq.typed());
    let contact = request.contact_header().and_then(|contact| contact.typed());
    let call_id = request.call_id_header().expect("a Call-ID");
    let hops = request.max_forwards_header().expect("a Max-Forwards");
    let typed = black_box((via, from, to, cseq, contact));
    assert!(typed.0.is_ok() && typed.1.is_ok() && typed.2.is_ok());
    assert!(typed.3.is_ok() && typed.4.is_ok());
    black_box((call_id, hops));
    request.body.len()
}

/// rsip: the message.
///
/// # Panics
/// When the message is refused.
pub fn rsip_split(bytes: &[u8]) -> rsip::Request {
    rsip::Request::try_from(bytes).expect("a request")
}

/// rsip: L1.
///
/// # Panics
/// When the message is refused.
pub fn rsip_l1(bytes: &[u8]) -> usize {
    use rsip::prelude::{HeadersExt, ToTypedHeader};
    let request = rsip_split(bytes);
    let via = request.via_header().and_then(|via| via.typed());
    let from = request.from_header().and_then(|from| from.typed());
    let to = request.to_header().and_then(|to| to.typed());
    let cseq = request.cseq_header().and_then(|cseq| cseq.typed());
    let contact = request.contact_header().and_then(|contact| contact.typed());
    let call_id = request.call_id_header().expect("a Call-ID");
    let hops = request.max_forwards_header().expect("a Max-Forwards");
    let typed = black_box((via, from, to, cseq, contact));
    assert!(typed.0.is_ok() && typed.1.is_ok() && typed.2.is_ok());
    assert!(typed.3.is_ok() && typed.4.is_ok());
    black_box((call_id, hops));
    request.body.len()
}

/// sipx-sip: the message, strict.
///
/// # Panics
/// When the message is refused.
pub fn sipx_split(bytes: &Bytes) -> sipx_sip::Message {
    sipx_sip::parse_datagram(bytes.clone(), &sipx_sip::Limits::datagram()).expect("a message")
}

/// sipx-sip: L1.
///
/// # Panics
/// When the message is refused.
pub fn sipx_l1(bytes: &Bytes) -> usize {
    use sipx_sip::headers::{CSeq, CallId, Contact, From, MaxForwards, To, Via};
    let message = sipx_split(bytes);
    let headers = message.headers();
    let typed = black_box((
        headers.typed::<Via>(),
        headers.typed::<From>(),
        headers.typed::<To>(),
        headers.typed::<CSeq>(),
        headers.typed::<Contact>(),
        headers.typed::<CallId>(),
        headers.typed::<MaxForwards>(),
    ));
    assert!(matches!(typed.0, Some(Ok(_))) && matches!(typed.4, Some(Ok(_))));
    message.body().len()
}

const VIA: &[u8] = b"SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK.0.1a2b3c4d5e6f7081.0";
const RECORD_ROUTE: &[u8] =
    b"<sip:198.51.100.10:5060;lr;tdm=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8>";

/// All that forwarding changes of an INVITE, written to `out`.
pub fn forward(message: &Message<'_>, edits: &mut Edits, out: &mut Vec<u8>) {
    let remote = SocketAddr::from(([192, 0, 2, 20], 5062));
    edits.clear();
    edits.set_request_uri(
        message,
        black_box(b"sip:4930123456@203.0.113.9:5060;user=phone"),
    );
    edits.push_via(message, black_box(VIA));
    edits.amend_top_via(message, remote, false);
    let hops = message.max_forwards().ok().flatten().unwrap_or(70);
    edits.set_max_forwards(message, hops - 1);
    edits.push_record_route(message, black_box(RECORD_ROUTE));
    edits.remove_first_route(message);
    out.clear();
    write_message(message, edits, out);
}

//! Messages that are made to be slow to read: what may repeat in a message, repeated until the message is full.
//! The limits of the parser are lifted, so that every walk goes to the end.
//! A step that is quadratic in the size shows as sixteen times the work for four times the octets.

use sip_parser::{HeaderTable, Limits, Message, Uri, parse_datagram, salvage};

/// No limit that would end a walk early.
pub(crate) const UNLIMITED: Limits = Limits {
    size_max: 1 << 20,
    headers_max: 60_000,
    line_max: 1 << 20,
    list_max: 1 << 20,
    params_max: 1 << 20,
};

/// How a line starts, and what is repeated behind that.
const SHAPES: &[(&str, &str, &str)] = &[
    ("short lines", "", "X: y\r\n"),
    ("short usual lines", "", "Allow: y\r\n"),
    ("lines of one list", "", "Route: <sip:a>\r\n"),
    ("lines of Via", "", "v: SIP/2.0/UDP h\r\n"),
    ("folds", "X: ", "\r\n "),
    ("folds with text", "X: ", "\r\n x"),
    ("folds in a list", "Route: <sip:a>", ",\r\n <sip:a>"),
    ("spaces", "X:", " "),
    ("tabs", "Allow: a", "\tb"),
    ("a name without end", "", "x"),
    ("carriage returns", "X: ", "\r"),
    ("values of a list", "Route: ", "<sip:a>,"),
    ("commas", "Route: ", ","),
    ("commas of tokens", "Require: ", ","),
    ("tokens", "Require: ", "a,"),
    ("stars", "m: ", "*,"),
    ("open brackets", "Route: ", "<"),
    ("open quotes", "Route: ", "\""),
    ("quoted quotes", "Route: \"", "\\\""),
    ("nested quotes", "Route: ", "\"<\\\">\" "),
    ("quoted values", "Route: <sip:a>", ";a=\"b,\""),
    ("empty parameters", "Route: <sip:a>", ";"),
    ("parameters", "Route: <sip:a>", ";a"),
    ("parameters of Via", "v: SIP/2.0/UDP h", ";rport"),
    ("parameters of a URI", "m: <sip:a@b", ";a=b"),
    ("words", "Route: ", "a "),
];

/// Every shape, `size` octets long or a little less, under its name.
pub(crate) fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let head = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a>;tag=1\r\n\
                To: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";
    let message = |start: &str, repeated: &str| {
        let times = (size - head.len() - start.len() - 4) / repeated.len();
        format!("{head}{start}{}\r\n\r\n", repeated.repeat(times)).into_bytes()
    };
    SHAPES
        .iter()
        .map(|(name, start, repeated)| (*name, message(start, repeated)))
        .collect()
}

/// Reads all that can be read of a message, by both parsers.
pub(crate) fn read(bytes: &[u8], table: &mut HeaderTable) -> usize {
    let strict = parse_datagram(bytes, table).map_or(0, |message| read_lists(&message));
    strict + salvage(bytes, table).map_or(0, |message| read_lists(&message))
}

fn read_lists(message: &Message<'_>) -> usize {
    let contacts = message.contacts().filter(Result::is_ok).count();
    let routes = message.routes().map_while(Result::ok);
    let uris = routes.filter(|route| Uri::parse(route.uri).is_ok()).count();
    contacts + uris + message.vias().count() + message.require().count() + message.headers().count()
}

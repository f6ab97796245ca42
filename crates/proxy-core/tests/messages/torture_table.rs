//! The 49 messages of RFC 4475, what a proxy is to do with each, and the check of what it forwarded.
//! The facts come from `index.tsv` beside the messages; what is chosen of its alternatives is the table below.
//! Shared by the tests of the core and by the drill over UDP: it knows neither.

use std::{fs, path::PathBuf};

/// What the proxy does with a message, when it routes everything and follows what a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Forwarded to the vendor that the routing plan names: a Class 4 proxy routes, so the host of the Request-URI is
    /// the gateway's and its user part the sender's.
    Vendor,
    /// Forwarded to where its own Route leads.
    Route,
    /// Answered with this status.
    Status(u16),
    /// Nothing is sent anywhere, and the counter of that name moves.
    Dropped(&'static str),
}

/// One message.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
}

const fn row(name: &'static str, outcome: Outcome) -> Row {
    Row { name, outcome }
}

/// Every outcome is one that the index prefers; none is merely tolerated.
pub(crate) const ROWS: [Row; 49] = [
    // The To has a tag, so nothing but its Route may say where it goes.
    row("wsinv", Outcome::Route),
    row("intmeth", Outcome::Vendor),
    row("esc01", Outcome::Vendor),
    row("escnull", Outcome::Vendor),
    row("esc02", Outcome::Vendor),
    row("lwsdisp", Outcome::Vendor),
    row("longreq", Outcome::Vendor),
    row("dblreq", Outcome::Vendor),
    row("semiuri", Outcome::Vendor),
    row("transports", Outcome::Vendor),
    // Its Route has no `lr`: a strict router (RFC 3261 §16.6(6)).
    row("mpart01", Outcome::Route),
    row("unreason", Outcome::Dropped("responses_foreign")),
    row("noreason", Outcome::Dropped("responses_foreign")),
    row("badinv01", Outcome::Status(400)),
    row("clerr", Outcome::Status(400)),
    row("ncl", Outcome::Status(400)),
    row("scalar02", Outcome::Status(400)),
    row("scalarlg", Outcome::Dropped("parse_dropped")),
    row("quotbal", Outcome::Status(400)),
    row("ltgtruri", Outcome::Status(400)),
    row("lwsruri", Outcome::Status(400)),
    row("lwsstart", Outcome::Status(400)),
    row("trws", Outcome::Status(400)),
    row("escruri", Outcome::Status(400)),
    row("baddate", Outcome::Vendor),
    row("regbadct", Outcome::Status(400)),
    row("badaspec", Outcome::Status(400)),
    row("baddn", Outcome::Status(400)),
    row("badvers", Outcome::Status(505)),
    row("mismatch01", Outcome::Status(400)),
    row("mismatch02", Outcome::Status(400)),
    row("bigcode", Outcome::Dropped("parse_dropped")),
    // Matched by the older rules, as the RFC allows.
    row("badbranch", Outcome::Vendor),
    row("insuf", Outcome::Status(400)),
    row("unkscm", Outcome::Status(416)),
    row("novelsc", Outcome::Status(416)),
    row("unksm2", Outcome::Vendor),
    row("bext01", Outcome::Status(420)),
    row("invut", Outcome::Vendor),
    row("regaut01", Outcome::Vendor),
    row("multi01", Outcome::Status(400)),
    row("mcl01", Outcome::Status(400)),
    row("bcast", Outcome::Dropped("responses_foreign")),
    row("zeromf", Outcome::Status(483)),
    row("cparam01", Outcome::Vendor),
    row("cparam02", Outcome::Vendor),
    row("regescrt", Outcome::Vendor),
    row("sdp01", Outcome::Vendor),
    row("inv2543", Outcome::Vendor),
];

/// What the index says of a message.
pub(crate) struct Facts {
    pub(crate) prefer: Vec<String>,
    pub(crate) checks: Vec<String>,
    pub(crate) expectation: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sip-parser/tests/rfc4475")
}

/// The message as it came from the RFC's archive.
pub(crate) fn message(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.dat"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The index of one message.
pub(crate) fn facts(name: &str) -> Facts {
    let text = fs::read_to_string(folder().join("index.tsv")).unwrap_or_default();
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let line = lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .find(|columns| columns[1] == name)
        .unwrap_or_else(|| panic!("{name} is not in the index"));
    let column = |title: &str| {
        let at = titles.iter().position(|known| *known == title);
        line[at.unwrap_or_else(|| panic!("the index has no {title}"))]
    };
    let list = |text: &str, separator| -> Vec<String> {
        text.split(separator)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    };
    Facts {
        prefer: list(column("proxy_prefer"), ','),
        checks: list(column("checks"), ';'),
        expectation: column("rfc_expectation").to_owned(),
    }
}

impl Row {
    /// Whether the index prefers this outcome.
    pub(crate) fn is_preferred(&self, facts: &Facts) -> bool {
        facts
            .prefer
            .iter()
            .any(|prefer| match (self.outcome, prefer.as_str()) {
                (Outcome::Vendor | Outcome::Route, "fwd") | (Outcome::Dropped(_), "drop") => true,
                (Outcome::Status(status), "4xx") => (400..500).contains(&status),
                (Outcome::Status(status), prefer) => prefer == status.to_string(),
                _ => false,
            })
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Header lines and body; the body as long as Content-Length says.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let end = find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 4);
    let (head, body) = message.split_at(end);
    let length = headers(head, "Content-Length", "l")
        .first()
        .and_then(|value| value.parse().ok());
    (
        head,
        body.get(..length.unwrap_or(body.len())).unwrap_or(body),
    )
}

/// The values of a header, folds undone.
pub(crate) fn headers(message: &[u8], name: &str, short: &str) -> Vec<String> {
    let end = find(message, b"\r\n\r\n").unwrap_or(message.len());
    let text = String::from_utf8_lossy(&message[..end]).into_owned();
    let unfolded = text.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(found, _)| {
            let found = found.trim();
            found.eq_ignore_ascii_case(name)
                || !short.is_empty() && found.eq_ignore_ascii_case(short)
        })
        .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The second word of the first line.
pub(crate) fn request_uri(message: &[u8]) -> String {
    let line = message
        .split(|octet| *octet == b'\r')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line).into_owned();
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// What stands before the `@`, or nothing.
fn user_part(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or("", |(_, rest)| rest);
    rest.rsplit_once('@').map_or("", |(user, _)| user)
}

/// Fails unless `forwarded` is `received` as a proxy may change it, by the checks of the index and those that hold for
/// every request.
pub(crate) fn check_forwarded(row: &Row, facts: &Facts, received: &[u8], forwarded: &[u8]) {
    let name = row.name;
    let shown = String::from_utf8_lossy(forwarded);
    let one = |message: &[u8], header: &str, short: &str| {
        let values = headers(message, header, short);
        values.first().cloned().unwrap_or_default()
    };
    for (header, short) in [("Call-ID", "i"), ("From", "f"), ("To", "t"), ("CSeq", "")] {
        assert_eq!(
            one(received, header, short),
            one(forwarded, header, short),
            "{name}:\n{shown}"
        );
    }
    let method = |message: &[u8]| {
        message
            .split(|octet| *octet == b' ')
            .next()
            .map(<[u8]>::to_vec)
    };
    assert_eq!(method(received), method(forwarded), "{name}:\n{shown}");
    let via = one(forwarded, "Via", "v");
    assert!(
        via.contains(";branch=z9hG4bK"),
        "{name}: our Via is on top:\n{shown}"
    );
    let hops = |message: &[u8]| -> Option<u8> { one(message, "Max-Forwards", "").parse().ok() };
    for check in &facts.checks {
        match check.split_once(':').unwrap_or((check, "")) {
            ("mf", _) => {
                let expected = hops(received).map_or(70, |hops| hops - 1);
                assert_eq!(hops(forwarded), Some(expected), "{name}:\n{shown}");
            }
            ("has-mf", _) => assert_eq!(hops(forwarded), Some(70), "{name}:\n{shown}"),
            ("body", _) => assert_eq!(split(received).1, split(forwarded).1, "{name}:\n{shown}"),
            ("callid", _) => assert_eq!(
                one(received, "Call-ID", "i"),
                one(forwarded, "Call-ID", "i")
            ),
            ("ruri" | "ruri-user", _) => {
                let (was, is) = (request_uri(received), request_uri(forwarded));
                assert_eq!(user_part(&was), user_part(&is), "{name}:\n{shown}");
            }
            ("same", header) => {
                let was = headers(received, header, "");
                assert!(
                    !was.is_empty() && was == headers(forwarded, header, ""),
                    "{name}:\n{shown}"
                );
            }
            ("keep", text) => {
                assert!(
                    find(received, text.as_bytes()).is_some(),
                    "{name} holds {text}"
                );
                assert!(
                    find(forwarded, text.as_bytes()).is_some(),
                    "{name}: {text} in\n{shown}"
                );
            }
            ("absent", text) => {
                assert!(
                    find(forwarded, text.as_bytes()).is_none(),
                    "{name}: {text} in\n{shown}"
                );
            }
            _ => panic!("{name}: what does {check} check of a forwarded request?"),
        }
    }
    if row.outcome == Outcome::Route {
        check_route(name, received, forwarded);
    }
}

/// RFC 3261 §16.6(6): the Request-URI of a loose route stays; that of a strict one goes to the end of the Route.
fn check_route(name: &str, received: &[u8], forwarded: &[u8]) {
    let shown = String::from_utf8_lossy(forwarded);
    let route = headers(received, "Route", "").concat();
    let (uri, kept) = match name {
        "mpart01" => (
            "sip:127.0.0.1:5080".to_owned(),
            vec![format!("<{}>", request_uri(received))],
        ),
        _ => (request_uri(received), vec![route]),
    };
    assert_eq!(request_uri(forwarded), uri, "{name}:\n{shown}");
    assert_eq!(headers(forwarded, "Route", ""), kept, "{name}:\n{shown}");
}

/// Fails unless `response` answers `received` with `status`, by the checks of the index and what RFC 3261 §8.2.6.2 asks
/// of every response.
pub(crate) fn check_response(
    name: &str,
    status: u16,
    facts: &Facts,
    received: &[u8],
    response: &[u8],
) {
    let shown = String::from_utf8_lossy(response);
    let line = shown.split("\r\n").next().unwrap_or_default();
    let phrase = line.strip_prefix(&format!("SIP/2.0 {status} "));
    assert!(
        phrase.is_some_and(|phrase| !phrase.is_empty()),
        "{name}:\n{shown}"
    );
    assert_ne!(
        phrase,
        Some("Bad Request"),
        "{name}: the phrase names the fault"
    );
    for (header, short) in [("Call-ID", "i"), ("CSeq", "")] {
        let (was, is) = (
            headers(received, header, short),
            headers(response, header, short),
        );
        assert_eq!(was.first(), is.first(), "{name}:\n{shown}");
    }
    for check in &facts.checks {
        match check.split_once(':') {
            Some(("unsupported", tag)) => {
                let listed = headers(response, "Unsupported", "").join(", ");
                assert!(
                    listed.split(", ").any(|listed| listed == tag),
                    "{name}:\n{shown}"
                );
            }
            // What a forwarded message must or must not hold.
            _ if check.starts_with("fwd-") => {}
            _ => panic!("{name}: what does {check} check of a response?"),
        }
    }
}

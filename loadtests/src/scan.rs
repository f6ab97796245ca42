//! Reads the few header fields that a caller and a callee need, in one pass over the lines.
//! RFC 3261 §7.3 (compact forms, case); written apart from the proxy's parser on purpose.
//! Leaves out folded lines and quoted commas in Record-Route: no peer of the generator writes them.

use std::net::SocketAddr;

/// Via or Record-Route lines kept of one message.
const LINES_MAX: usize = 16;

/// Header values in order of appearance, at most `LINES_MAX`.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    values: [&'a [u8]; LINES_MAX],
    len: usize,
}

impl<'a> Lines<'a> {
    const EMPTY: Self = Self {
        values: [&[]; LINES_MAX],
        len: 0,
    };

    fn push(&mut self, value: &'a [u8]) -> Option<()> {
        *self.values.get_mut(self.len)? = value;
        self.len += 1;
        Some(())
    }

    /// The values, first line first.
    pub fn as_slice(&self) -> &[&'a [u8]] {
        &self.values[..self.len]
    }
}

/// A message as far as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// The first line.
    pub start: &'a [u8],
    /// Via header field values, one per line.
    pub vias: Lines<'a>,
    /// Record-Route header field values, one per line.
    pub record_routes: Lines<'a>,
    /// From header field value.
    pub from: &'a [u8],
    /// To header field value.
    pub to: &'a [u8],
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq number.
    pub cseq: u32,
    /// CSeq method.
    pub cseq_method: &'a [u8],
    /// Contact header field value; empty when absent.
    pub contact: &'a [u8],
    /// Number of Route values; a request that reaches its last hop carries none of the proxy's.
    pub routes: usize,
}

impl<'a> Scan<'a> {
    /// Reads `bytes`; `None` when it is no SIP message with Via, From, To, Call-ID and CSeq.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = bytes
            .split(|&b| b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut scan = Self {
            start: lines.next()?,
            vias: Lines::EMPTY,
            record_routes: Lines::EMPTY,
            from: &[],
            to: &[],
            call_id: &[],
            cseq: 0,
            cseq_method: &[],
            contact: &[],
            routes: 0,
        };
        for line in lines {
            if line.is_empty() {
                break;
            }
            let colon = line.iter().position(|&b| b == b':')?;
            scan.field(line[..colon].trim_ascii(), line[colon + 1..].trim_ascii())?;
        }
        let complete = scan.vias.len > 0
            && !(scan.from.is_empty()
                || scan.to.is_empty()
                || scan.call_id.is_empty()
                || scan.cseq_method.is_empty());
        complete.then_some(scan)
    }

    fn field(&mut self, name: &[u8], value: &'a [u8]) -> Option<()> {
        let is = |long: &str, short: &str| {
            name.eq_ignore_ascii_case(long.as_bytes())
                || (!short.is_empty() && name.eq_ignore_ascii_case(short.as_bytes()))
        };
        if is("via", "v") {
            self.vias.push(value)?;
        } else if is("from", "f") {
            self.from = value;
        } else if is("to", "t") {
            self.to = value;
        } else if is("call-id", "i") {
            self.call_id = value;
        } else if is("cseq", "") {
            let space = value.iter().position(u8::is_ascii_whitespace)?;
            self.cseq = number(&value[..space])?;
            self.cseq_method = value[space..].trim_ascii();
        } else if is("contact", "m") {
            self.contact = value;
        } else if is("record-route", "") {
            self.record_routes.push(value)?;
        } else if is("route", "") {
            self.routes += 1;
        }
        Some(())
    }

    /// The status of a response; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        let rest = self.start.strip_prefix(b"SIP/2.0 ")?;
        u16::try_from(number(rest.get(..3)?)?).ok()
    }

    /// The method of a request's first line; empty for a response.
    pub fn method(&self) -> &'a [u8] {
        if self.start.starts_with(b"SIP/2.0 ") {
            return &[];
        }
        self.start.split(|&b| b == b' ').next().unwrap_or_default()
    }

    /// The `branch` of the topmost Via.
    pub fn branch(&self) -> Option<&'a [u8]> {
        parameter(self.vias.as_slice().first()?, b"branch")
    }

    /// The `tag` of To.
    pub fn to_tag(&self) -> Option<&'a [u8]> {
        parameter(self.to, b"tag")
    }
}

/// The value of header parameter `name`, after the URI where there are angle brackets.
pub fn parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let after = value
        .iter()
        .rposition(|&b| b == b'>')
        .map_or(0, |at| at + 1);
    // Only the first of several values on the line is meant.
    let first = value[after..].split(|&b| b == b',').next()?;
    first.split(|&b| b == b';').skip(1).find_map(|param| {
        let equals = param.iter().position(|&b| b == b'=')?;
        param[..equals]
            .trim_ascii()
            .eq_ignore_ascii_case(name)
            .then(|| param[equals + 1..].trim_ascii())
    })
}

/// The URI inside angle brackets, or the value up to its first parameter.
pub fn bare_uri(value: &[u8]) -> &[u8] {
    match (
        value.iter().position(|&b| b == b'<'),
        value.iter().position(|&b| b == b'>'),
    ) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(|&b| b == b';').next().unwrap_or_default(),
    }
}

/// Where a SIP URI with an IP address points; port 5060 when it names none.
pub fn uri_address(uri: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(uri).ok()?;
    let text = text.strip_prefix("sip:")?;
    let text = text.split(['?', ';']).next()?;
    let host_port = text.rsplit('@').next()?;
    host_port.parse().ok().or_else(|| {
        let host = host_port.trim_start_matches('[').trim_end_matches(']');
        Some(SocketAddr::new(host.parse().ok()?, 5060))
    })
}

/// A decimal number of at most nine digits.
pub fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, b| {
        b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"SIP/2.0 200 OK\r\n\
        v: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK.1.i;rport=5061\r\n\
        Record-Route: <sip:127.0.0.1:5060;lr;c=abc>\r\nRECORD-ROUTE: <sip:10.0.0.1;lr>\r\n\
        From: \"a;tag=no\" <sip:1@x;tag=no>;tag=f1\r\nTo: <sip:2@x>;tag=t1\r\ni: c1\r\nCSeq: 7 INVITE\r\n\
        Contact: <sip:2@127.0.0.1:5070;transport=udp>;q=1\r\nContent-Length: 0\r\n\r\nVia: body";

    #[test]
    fn a_response_is_read_with_compact_names_and_several_record_routes() {
        let scan = Scan::read(OK).expect("readable");
        assert_eq!(scan.status(), Some(200));
        assert_eq!(scan.method(), b"");
        assert_eq!(scan.vias.as_slice().len(), 1, "the body is not read");
        assert_eq!(scan.branch(), Some(&b"z9hG4bK.1.i"[..]));
        assert_eq!(scan.record_routes.as_slice().len(), 2);
        assert_eq!((scan.cseq, scan.cseq_method), (7, &b"INVITE"[..]));
        assert_eq!(scan.to_tag(), Some(&b"t1"[..]));
        assert_eq!(parameter(scan.from, b"tag"), Some(&b"f1"[..]));
        assert_eq!(
            uri_address(bare_uri(scan.contact)),
            Some(SocketAddr::from(([127, 0, 0, 1], 5070)))
        );
    }

    #[test]
    fn a_uri_without_port_means_5060_and_a_name_is_no_address() {
        assert_eq!(
            uri_address(b"sip:10.0.0.1;lr"),
            Some(SocketAddr::from(([10, 0, 0, 1], 5060)))
        );
        assert_eq!(
            uri_address(b"sip:u@[::1]:5062").map(|a| a.port()),
            Some(5062)
        );
        assert_eq!(uri_address(b"sip:example.com"), None);
    }

    #[test]
    fn what_is_no_sip_message_is_refused() {
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"INVITE sip:1@x SIP/2.0\r\nno colon\r\n\r\n",
        ] {
            assert!(Scan::read(bytes).is_none());
        }
    }
}

//! SIP messages as the scripted peers read and write them: lines of text, owned and plain.
//! Shares nothing with the parser under test, so that the peers are an oracle for it (RFC 3261 §7, §20, §25).
//! Leaves out everything the peers never send.

use std::net::SocketAddr;

/// A message: start line, header fields in order, body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipText {
    /// Request line or status line, without its line end.
    pub start: String,
    /// Name and value of every header field, in order.
    pub headers: Vec<(String, String)>,
    /// What follows the empty line.
    pub body: String,
}

impl SipText {
    /// A request without header fields.
    pub fn request(method: &str, uri: &str) -> Self {
        Self {
            start: format!("{method} {uri} SIP/2.0"),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A response to `request` with what RFC 3261 §8.2.6.2 copies; `to_tag` is added when To has none.
    pub fn response(request: &Self, status: u16, to_tag: &str) -> Self {
        let mut response = Self {
            start: format!("SIP/2.0 {status} {}", reason(status)),
            headers: Vec::new(),
            body: String::new(),
        };
        for (name, value) in &request.headers {
            match name.as_str() {
                "Via" | "From" | "Call-ID" | "CSeq" => response.push(name, value),
                // RFC 3261 §12.1.1: the route set of the dialog travels back in the response.
                "Record-Route" => response.push(name, value),
                "To" if status > 100 && tag(value).is_none() => {
                    response.push(name, &format!("{value};tag={to_tag}"));
                }
                "To" => response.push(name, value),
                _ => {}
            }
        }
        response
    }

    /// Reads a datagram; `None` when it is not a SIP message.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        if !start.starts_with("SIP/2.0 ") && !start.ends_with(" SIP/2.0") {
            return None;
        }
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            headers.push((long_name(name.trim()), value.trim().to_owned()));
        }
        Some(Self {
            start,
            headers,
            body: body.to_owned(),
        })
    }

    /// The bytes of the message, with a Content-Length that is right.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start);
        for (name, value) in self
            .headers
            .iter()
            .filter(|(name, _)| name != "Content-Length")
        {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str(&format!(
            "Content-Length: {}\r\n\r\n{}",
            self.body.len(),
            self.body
        ));
        out.into_bytes()
    }

    /// Adds a header field at the end.
    pub fn push(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Adds a header field at the end; for building.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.push(name, value);
        self
    }

    /// Replaces the first field of that name, or adds it.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.headers.iter_mut().find(|(known, _)| known == name) {
            Some(field) => value.clone_into(&mut field.1),
            None => self.push(name, value),
        }
    }

    /// Drops all fields of that name.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }

    /// The first field of that name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of that name, comma lists taken apart.
    pub fn values(&self, name: &str) -> Vec<String> {
        let fields = self.headers.iter().filter(|(known, _)| known == name);
        fields.flat_map(|(_, value)| split_list(value)).collect()
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        !self.start.starts_with("SIP/2.0 ")
    }

    /// Status code of a response, 0 for a request.
    pub fn status(&self) -> u16 {
        let code = self
            .start
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The method: of the request line, or of CSeq in a response.
    pub fn method(&self) -> &str {
        if self.is_request() {
            self.start.split(' ').next().unwrap_or("")
        } else {
            self.first("CSeq")
                .and_then(|cseq| cseq.split_whitespace().nth(1))
                .unwrap_or("")
        }
    }

    /// The request URI, empty for a response.
    pub fn uri(&self) -> &str {
        if self.is_request() {
            self.start.split(' ').nth(1).unwrap_or("")
        } else {
            ""
        }
    }

    /// The number in CSeq.
    pub fn cseq(&self) -> u32 {
        let number = self
            .first("CSeq")
            .and_then(|cseq| cseq.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// The Call-ID, empty when missing.
    pub fn call_id(&self) -> &str {
        self.first("Call-ID").unwrap_or("")
    }

    /// The From tag.
    pub fn from_tag(&self) -> Option<&str> {
        self.first("From").and_then(tag)
    }

    /// The To tag.
    pub fn to_tag(&self) -> Option<&str> {
        self.first("To").and_then(tag)
    }

    /// The first Via value.
    pub fn top_via(&self) -> Option<String> {
        self.values("Via").into_iter().next()
    }

    /// The branch of the first Via value.
    pub fn branch(&self) -> Option<String> {
        self.top_via()
            .and_then(|via| parameter(&via, "branch").map(str::to_owned))
    }
}

/// A parameter of a header value, looked for outside the angle brackets.
pub fn parameter<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    let outside = value.rsplit_once('>').map_or(value, |(_, outside)| outside);
    outside
        .split(';')
        .skip(1)
        .find_map(|part| match part.split_once('=') {
            Some((key, text)) => (key.trim() == name).then_some(text.trim()),
            None => (part.trim() == name).then_some(""),
        })
}

fn tag(value: &str) -> Option<&str> {
    parameter(value, "tag")
}

/// The URI of a name-addr or addr-spec.
pub fn uri_of(value: &str) -> &str {
    match (value.find('<'), value.find('>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// Host and port of a SIP URI as written (`host`, `host:port`).
pub fn host_port(uri: &str) -> &str {
    let rest = uri.strip_prefix("sip:").unwrap_or(uri);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.split([';', '?']).next().unwrap_or(rest)
}

/// The socket address of a SIP URI whose host is a number; the port is 5060 when not given.
pub fn socket_of(uri: &str) -> Option<SocketAddr> {
    let place = host_port(uri);
    place
        .parse()
        .ok()
        .or_else(|| format!("{place}:5060").parse().ok())
}

fn split_list(value: &str) -> Vec<String> {
    let (mut parts, mut current, mut quoted, mut depth) = (Vec::new(), String::new(), false, 0u32);
    for letter in value.chars() {
        match letter {
            '"' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(current.trim().to_owned());
                current.clear();
                continue;
            }
            _ => {}
        }
        current.push(letter);
    }
    parts.push(current.trim().to_owned());
    parts
}

fn long_name(name: &str) -> String {
    let long = match name.to_ascii_lowercase().as_str() {
        "v" | "via" => "Via",
        "f" | "from" => "From",
        "t" | "to" => "To",
        "i" | "call-id" => "Call-ID",
        "m" | "contact" => "Contact",
        "l" | "content-length" => "Content-Length",
        "c" | "content-type" => "Content-Type",
        "cseq" => "CSeq",
        "route" => "Route",
        "record-route" => "Record-Route",
        "max-forwards" => "Max-Forwards",
        _ => name,
    };
    long.to_owned()
}

/// A reason phrase for the codes the peers use.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        302 => "Moved Temporarily",
        401 => "Unauthorized",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Whatever",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_encode_and_parse() {
        let mut request = SipText::request("INVITE", "sip:1@192.0.2.1")
            .with("Via", "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport")
            .with("From", "<sip:a@b>;tag=x")
            .with("To", "<sip:1@192.0.2.1>")
            .with("Call-ID", "c1")
            .with("CSeq", "7 INVITE");
        request.body = "v=0\r\n".to_owned();
        let read = SipText::parse(&request.encode()).unwrap();
        assert_eq!(read.method(), "INVITE");
        assert_eq!(read.cseq(), 7);
        assert_eq!(read.branch().as_deref(), Some("z9hG4bK1"));
        assert_eq!(read.from_tag(), Some("x"));
        assert_eq!(read.to_tag(), None);
        assert_eq!(read.body, "v=0\r\n");
        let response = SipText::response(&read, 180, "y");
        assert_eq!(response.status(), 180);
        assert_eq!(response.to_tag(), Some("y"));
        assert_eq!(response.method(), "INVITE");
    }

    #[test]
    fn comma_lists_are_taken_apart_outside_quotes_and_brackets() {
        let message =
            SipText::request("BYE", "sip:a@b").with("Route", "\"a,b\" <sip:x;m=1,2>;lr, <sip:y>");
        assert_eq!(
            message.values("Route"),
            ["\"a,b\" <sip:x;m=1,2>;lr", "<sip:y>"]
        );
        assert_eq!(uri_of("\"q\" <sip:x;lr>;p=1"), "sip:x;lr");
        assert_eq!(
            socket_of("sip:u@192.0.2.3:5070;lr"),
            "192.0.2.3:5070".parse().ok()
        );
        assert_eq!(socket_of("sip:u@192.0.2.3"), "192.0.2.3:5060".parse().ok());
        assert_eq!(socket_of("sip:u@host.example"), None);
    }
}

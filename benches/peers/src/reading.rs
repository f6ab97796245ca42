//! What a parser made of a message: refused, or accepted with the fields that every proxy reads.
//! Each parser is asked for the same: the message, its start line, and the headers of RFC 3261 §8.1.1, typed.
//! Fields are brought to one spelling where the parsers differ in spelling alone.

use bytes::Bytes;
use sip_parser::{HeaderTable, parse_datagram};

/// Fields of one message, as text; `None` where the message has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub method_or_status: String,
    pub request_uri: Option<String>,
    pub call_id: String,
    pub cseq: String,
    pub via_host: String,
    pub via_branch: Option<String>,
    pub from_tag: Option<String>,
    pub to_tag: Option<String>,
    pub max_forwards: Option<String>,
}

impl Fields {
    /// Every field under its name.
    pub fn all(&self) -> [(&'static str, Option<&str>); 9] {
        [
            ("method or status", Some(&self.method_or_status)),
            ("request URI", self.request_uri.as_deref()),
            ("Call-ID", Some(&self.call_id)),
            ("CSeq", Some(&self.cseq)),
            ("Via host", Some(&self.via_host)),
            ("Via branch", self.via_branch.as_deref()),
            ("From tag", self.from_tag.as_deref()),
            ("To tag", self.to_tag.as_deref()),
            ("Max-Forwards", self.max_forwards.as_deref()),
        ]
    }
}

/// The fields, or the fault in a few words.
pub type Reading = Result<Fields, String>;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A host in lower case, addresses in their shortest form.
fn host(text: &str) -> String {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<std::net::IpAddr>()
        .map_or_else(|_| text.to_ascii_lowercase(), |ip| ip.to_string())
}

/// What Tandem's parser says.
pub fn tandem(bytes: &[u8], table: &mut HeaderTable) -> Reading {
    let message = parse_datagram(bytes, table).map_err(|error| error.kind.as_str().to_owned())?;
    let via = message.top_via().map_err(|error| error.to_string())?;
    let is_request = message.is_request();
    let sent_by = text(via.sent_by);
    let without_port = match sent_by.rfind(']') {
        Some(close) => &sent_by[..=close],
        None => sent_by.split(':').next().unwrap_or_default().trim_end(),
    };
    Ok(Fields {
        method_or_status: if is_request {
            text(message.method().as_bytes())
        } else {
            message.status().to_string()
        },
        request_uri: is_request.then(|| text(message.request_uri())),
        call_id: text(message.call_id()),
        cseq: format!(
            "{} {}",
            message.cseq().number,
            text(message.cseq().method.as_bytes())
        ),
        via_host: host(without_port),
        via_branch: via.branch.map(text),
        from_tag: message.from_tag().map(text),
        to_tag: message.to_tag().map(text),
        max_forwards: message
            .max_forwards()
            .ok()
            .flatten()
            .map(|hops| hops.to_string()),
    })
}

/// What sipx-sip says, its own validation included; a missing Max-Forwards is no fault for a proxy (§16.6(3)).
pub fn sipx(bytes: &[u8]) -> Reading {
    use sipx_sip::headers::{CSeq, CallId, From, MaxForwards, To, Via};
    use sipx_sip::validate::{Finding, validate};
    let limits = sipx_sip::Limits::datagram();
    let message = sipx_sip::parse_datagram(Bytes::copy_from_slice(bytes), &limits)
        .map_err(|error| format!("{error:?}"))?;
    let finding = validate(&message)
        .into_iter()
        .find(|finding| !matches!(finding, Finding::MissingRequiredHeader("Max-Forwards")));
    if let Some(finding) = finding {
        return Err(format!("{finding:?}"));
    }
    let headers = message.headers();
    let fault = |name: &str| format!("no {name}");
    let cseq = headers
        .typed::<CSeq>()
        .and_then(Result::ok)
        .ok_or_else(|| fault("CSeq"))?;
    let via = headers
        .typed::<Via>()
        .and_then(Result::ok)
        .ok_or_else(|| fault("Via"))?;
    let from = headers
        .typed::<From>()
        .and_then(Result::ok)
        .ok_or_else(|| fault("From"))?;
    let to = headers
        .typed::<To>()
        .and_then(Result::ok)
        .ok_or_else(|| fault("To"))?;
    let call_id = headers
        .typed::<CallId>()
        .and_then(Result::ok)
        .ok_or_else(|| fault("Call-ID"))?;
    let hops = headers.typed::<MaxForwards>().and_then(Result::ok);
    let request = message.as_request();
    let status = message.as_response().map(|response| response.status.code());
    Ok(Fields {
        method_or_status: match (request, status) {
            (Some(request), _) => text(request.method.as_bytes()),
            (None, status) => status.unwrap_or_default().to_string(),
        },
        request_uri: request.map(|request| request.uri.to_string()),
        call_id: text(&call_id.0),
        cseq: format!("{} {}", cseq.sequence, text(cseq.method.as_bytes())),
        via_host: host(&via.host.to_string()),
        via_branch: via.branch().map(text),
        from_tag: from.tag().map(text),
        to_tag: to.tag().map(text),
        max_forwards: hops.map(|hops| hops.0.to_string()),
    })
}

/// What rsip says.
pub fn rsip(bytes: &[u8]) -> Reading {
    use rsip::SipMessage;
    use rsip::prelude::{HasHeaders, HeadersExt, ToTypedHeader, UntypedHeader};
    let message = SipMessage::try_from(bytes).map_err(|_| "message".to_owned())?;
    let fault = |name: &'static str| move |_: rsip::Error| name.to_owned();
    let via = message
        .via_header()
        .and_then(|via| via.typed())
        .map_err(fault("Via"))?;
    let from = message
        .from_header()
        .and_then(|from| from.typed())
        .map_err(fault("From"))?;
    let to = message
        .to_header()
        .and_then(|to| to.typed())
        .map_err(fault("To"))?;
    let cseq = message
        .cseq_header()
        .and_then(|cseq| cseq.typed())
        .map_err(fault("CSeq"))?;
    let call_id = message.call_id_header().map_err(fault("Call-ID"))?;
    let has_hops = message
        .headers()
        .iter()
        .any(|header| matches!(header, rsip::Header::MaxForwards(_)));
    let hops = match message.max_forwards_header() {
        Ok(hops) => Some(hops.num().map_err(fault("Max-Forwards"))?),
        Err(_) if has_hops => return Err("Max-Forwards".to_owned()),
        Err(_) => None,
    };
    let (method_or_status, request_uri) = match &message {
        SipMessage::Request(request) => (request.method.to_string(), Some(request.uri.to_string())),
        SipMessage::Response(response) => (response.status_code.code().to_string(), None),
    };
    Ok(Fields {
        method_or_status,
        request_uri,
        call_id: call_id.value().to_owned(),
        cseq: format!("{} {}", cseq.seq, cseq.method),
        via_host: host(&via.uri.host_with_port.host.to_string()),
        via_branch: via.branch().map(|branch| branch.value().to_owned()),
        from_tag: from.tag().map(|tag| tag.value().to_owned()),
        to_tag: to.tag().map(|tag| tag.value().to_owned()),
        max_forwards: hops.map(|hops| hops.to_string()),
    })
}

//! Why a message was refused, sorted so that a response and a counter can be made of it.
//! RFC 3261 §16.3(1) asks for 400 on a malformed request and §21.5.6 for 505 on another version.
//! Faults of meaning (scheme, extensions, hops left) are found by the proxy, not here.

use thiserror::Error;

/// A message that could not be parsed: what is wrong with it, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{} at offset {offset}", kind.as_str())]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Octets from the start of the bytes that were given to the parser.
    pub offset: usize,
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// The same error, its offset counted from `by` octets earlier.
    pub(crate) fn shifted(self, by: usize) -> Self {
        Self {
            offset: self.offset + by,
            ..self
        }
    }

    /// The same error, under the name of the header that it was found in.
    pub(crate) fn syntax_as(self, kind: ParseErrorKind) -> Self {
        match self.kind {
            ParseErrorKind::NameAddrSyntax => Self { kind, ..self },
            _ => self,
        }
    }
}

/// The closed set of faults; [`ParseErrorKind::as_str`] is the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseErrorKind {
    /// No octets besides line ends.
    Empty,
    /// More octets than `Limits::size_max`.
    TooLarge,
    /// The first line is neither a Request-Line nor a Status-Line (§7.1, §7.2).
    StartLine,
    /// The method is not a token (§7.1).
    Method,
    /// The Request-URI is malformed (§19.1.1).
    RequestUri,
    /// The Request-URI carries headers, which §19.1.1 forbids there.
    RequestUriHeaders,
    /// The protocol version is not SIP/2.0 (§21.5.6).
    Version,
    /// The status code is not within 100 to 699 (§7.2).
    StatusCode,
    /// A CR or LF that is not part of a CRLF (§7).
    LineEnding,
    /// The empty line behind the headers is missing (§7).
    HeadersUnterminated,
    /// A header line without a name or a colon (§7.3.1).
    HeaderLine,
    /// A line longer than `Limits::line_max`.
    LineTooLong,
    /// More header lines than `Limits::headers_max`.
    HeadersTooMany,
    /// More values in a list than `Limits::list_max`.
    ListTooLong,
    /// More parameters in a value than `Limits::params_max`.
    ParamsTooMany,
    /// A header that may appear once appears again (§7.3.1).
    HeaderRepeated,
    /// No Via (§8.1.1).
    ViaMissing,
    /// No From (§8.1.1).
    FromMissing,
    /// No To (§8.1.1).
    ToMissing,
    /// No Call-ID (§8.1.1).
    CallIdMissing,
    /// No CSeq (§8.1.1).
    CSeqMissing,
    /// The Via is malformed (§20.42).
    ViaSyntax,
    /// The From is malformed (§20.20).
    FromSyntax,
    /// The To is malformed (§20.39).
    ToSyntax,
    /// A Contact, Route, Record-Route or the like is malformed (§20.10, §20.30, §20.34).
    NameAddrSyntax,
    /// The Call-ID is malformed (§20.8).
    CallIdSyntax,
    /// The CSeq is malformed, or its number above 2³² − 1 (§20.16).
    CSeqSyntax,
    /// The method of the CSeq is not that of the Request-Line (§8.1.1.5).
    CSeqMethodMismatch,
    /// Max-Forwards is not a number from 0 to 255 (§20.22).
    MaxForwards,
    /// Content-Length is not a number (§20.14).
    ContentLength,
    /// The body is shorter than Content-Length (§18.3).
    BodyTooShort,
}

impl ParseErrorKind {
    /// Every kind, for counters that are laid out ahead.
    pub const ALL: [Self; 31] = [
        Self::Empty,
        Self::TooLarge,
        Self::StartLine,
        Self::Method,
        Self::RequestUri,
        Self::RequestUriHeaders,
        Self::Version,
        Self::StatusCode,
        Self::LineEnding,
        Self::HeadersUnterminated,
        Self::HeaderLine,
        Self::LineTooLong,
        Self::HeadersTooMany,
        Self::ListTooLong,
        Self::ParamsTooMany,
        Self::HeaderRepeated,
        Self::ViaMissing,
        Self::FromMissing,
        Self::ToMissing,
        Self::CallIdMissing,
        Self::CSeqMissing,
        Self::ViaSyntax,
        Self::FromSyntax,
        Self::ToSyntax,
        Self::NameAddrSyntax,
        Self::CallIdSyntax,
        Self::CSeqSyntax,
        Self::CSeqMethodMismatch,
        Self::MaxForwards,
        Self::ContentLength,
        Self::BodyTooShort,
    ];

    /// A short label in snake case: metric label and log field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::StartLine => "start_line",
            Self::Method => "method",
            Self::RequestUri => "request_uri",
            Self::RequestUriHeaders => "request_uri_headers",
            Self::Version => "version",
            Self::StatusCode => "status_code",
            Self::LineEnding => "line_ending",
            Self::HeadersUnterminated => "headers_unterminated",
            Self::HeaderLine => "header_line",
            Self::LineTooLong => "line_too_long",
            Self::HeadersTooMany => "headers_too_many",
            Self::ListTooLong => "list_too_long",
            Self::ParamsTooMany => "params_too_many",
            Self::HeaderRepeated => "header_repeated",
            Self::ViaMissing => "via_missing",
            Self::FromMissing => "from_missing",
            Self::ToMissing => "to_missing",
            Self::CallIdMissing => "call_id_missing",
            Self::CSeqMissing => "cseq_missing",
            Self::ViaSyntax => "via_syntax",
            Self::FromSyntax => "from_syntax",
            Self::ToSyntax => "to_syntax",
            Self::NameAddrSyntax => "name_addr_syntax",
            Self::CallIdSyntax => "call_id_syntax",
            Self::CSeqSyntax => "cseq_syntax",
            Self::CSeqMethodMismatch => "cseq_method_mismatch",
            Self::MaxForwards => "max_forwards",
            Self::ContentLength => "content_length",
            Self::BodyTooShort => "body_too_short",
        }
    }

    /// The status of the response to a request with this fault: 400, 505 (§21.5.6) or 513 (§21.5.7).
    pub fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::TooLarge | Self::LineTooLong | Self::HeadersTooMany => 513,
            _ => 400,
        }
    }

    /// The reason phrase of that response; RFC 3261 §21.4.1 wants it to name the fault.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "Empty Message",
            Self::TooLarge => "Message Too Large",
            Self::StartLine => "Malformed Request-Line",
            Self::Method => "Malformed Method",
            Self::RequestUri => "Malformed Request-URI",
            Self::RequestUriHeaders => "Headers In Request-URI",
            Self::Version => "Version Not Supported",
            Self::StatusCode => "Invalid Status Code",
            Self::LineEnding => "Line Not Ended By CRLF",
            Self::HeadersUnterminated => "Missing End Of Headers",
            Self::HeaderLine => "Malformed Header Line",
            Self::LineTooLong => "Header Line Too Long",
            Self::HeadersTooMany => "Too Many Header Lines",
            Self::ListTooLong => "Too Many Header Values",
            Self::ParamsTooMany => "Too Many Parameters",
            Self::HeaderRepeated => "Repeated Single-Value Header",
            Self::ViaMissing => "Missing Via",
            Self::FromMissing => "Missing From",
            Self::ToMissing => "Missing To",
            Self::CallIdMissing => "Missing Call-ID",
            Self::CSeqMissing => "Missing CSeq",
            Self::ViaSyntax => "Malformed Via",
            Self::FromSyntax => "Malformed From",
            Self::ToSyntax => "Malformed To",
            Self::NameAddrSyntax => "Malformed Address Header",
            Self::CallIdSyntax => "Malformed Call-ID",
            Self::CSeqSyntax => "Malformed CSeq",
            Self::CSeqMethodMismatch => "CSeq Method Mismatch",
            Self::MaxForwards => "Invalid Max-Forwards",
            Self::ContentLength => "Invalid Content-Length",
            Self::BodyTooShort => "Body Shorter Than Content-Length",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::ParseErrorKind;

    #[test]
    fn every_kind_is_listed_in_order_under_a_label_and_a_phrase_of_its_own() {
        let all = ParseErrorKind::ALL;
        for (index, kind) in all.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
        let labels: HashSet<_> = all.iter().map(|kind| kind.as_str()).collect();
        let phrases: HashSet<_> = all.iter().map(|kind| kind.reason()).collect();
        assert_eq!((labels.len(), phrases.len()), (all.len(), all.len()));
        assert!(labels.iter().all(|label| {
            label
                .bytes()
                .all(|octet| octet.is_ascii_lowercase() || octet == b'_')
        }));
    }
}

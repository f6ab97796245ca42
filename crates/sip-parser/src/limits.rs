//! How large a message may be before it is refused, each limit with an error of its own.
//! RFC 3261 sets no limits; these keep the work that one datagram can cause linear and small.
//! Rates and counts over several messages are the business of admission, not of the parser.

/// The bounds that [`parse_datagram`](crate::parse_datagram) enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in octets, body included; values above `u32::MAX - 1` count as that.
    /// Beyond it: [`ParseErrorKind::TooLarge`](crate::ParseErrorKind::TooLarge).
    pub size_max: usize,
    /// Most header field lines; values above 65,534 count as that.
    /// Beyond it: [`ParseErrorKind::HeadersTooMany`](crate::ParseErrorKind::HeadersTooMany).
    pub headers_max: usize,
    /// Longest start line, or header field with all its folds and its final CRLF, in octets.
    /// Beyond it: [`ParseErrorKind::LineTooLong`](crate::ParseErrorKind::LineTooLong).
    pub line_max: usize,
    /// Most values that the lines of one list header (Via, Route, Contact …) may hold together.
    /// Beyond it: [`ParseErrorKind::ListTooLong`](crate::ParseErrorKind::ListTooLong).
    pub list_max: usize,
    /// Most parameters of one header value.
    /// Beyond it: [`ParseErrorKind::ParamsTooMany`](crate::ParseErrorKind::ParamsTooMany).
    pub params_max: usize,
}

impl Limits {
    /// The limits with those that the index cannot represent brought down to what it can.
    pub(crate) fn clamped(self) -> Self {
        Self {
            size_max: self.size_max.min(u32::MAX as usize - 1),
            headers_max: self.headers_max.min(usize::from(u16::MAX) - 1),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size_max: 65_535,
            headers_max: 256,
            line_max: 16_384,
            list_max: 128,
            params_max: 64,
        }
    }
}

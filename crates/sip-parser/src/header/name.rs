//! Names of header fields: which one a line carries, in full or compact form (RFC 3261 §7.3, §20).
//! A name is found by its length and first letter, then compared once without regard to case.
//! Names that nothing here reads stay as the octets they came in.

/// A header field whose name this parser knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KnownHeader {
    /// Accept (RFC 3261 §20.1).
    Accept,
    /// Accept-Contact, compact `a` (RFC 3841).
    AcceptContact,
    /// Accept-Encoding (RFC 3261 §20.2).
    AcceptEncoding,
    /// Accept-Language (RFC 3261 §20.3).
    AcceptLanguage,
    /// Alert-Info (RFC 3261 §20.4).
    AlertInfo,
    /// Allow (RFC 3261 §20.5).
    Allow,
    /// Allow-Events, compact `u` (RFC 6665).
    AllowEvents,
    /// Authentication-Info (RFC 3261 §20.6).
    AuthenticationInfo,
    /// Authorization (RFC 3261 §20.7).
    Authorization,
    /// Call-ID, compact `i` (RFC 3261 §20.8).
    CallId,
    /// Call-Info (RFC 3261 §20.9).
    CallInfo,
    /// Contact, compact `m` (RFC 3261 §20.10).
    Contact,
    /// Content-Disposition (RFC 3261 §20.11).
    ContentDisposition,
    /// Content-Encoding, compact `e` (RFC 3261 §20.12).
    ContentEncoding,
    /// Content-Language (RFC 3261 §20.13).
    ContentLanguage,
    /// Content-Length, compact `l` (RFC 3261 §20.14).
    ContentLength,
    /// Content-Type, compact `c` (RFC 3261 §20.15).
    ContentType,
    /// CSeq (RFC 3261 §20.16).
    CSeq,
    /// Date (RFC 3261 §20.17).
    Date,
    /// Diversion (RFC 5806).
    Diversion,
    /// Error-Info (RFC 3261 §20.18).
    ErrorInfo,
    /// Event, compact `o` (RFC 6665).
    Event,
    /// Expires (RFC 3261 §20.19).
    Expires,
    /// From, compact `f` (RFC 3261 §20.20).
    From,
    /// Geolocation (RFC 6442).
    Geolocation,
    /// History-Info (RFC 7044).
    HistoryInfo,
    /// Identity, compact `y` (RFC 8224).
    Identity,
    /// Identity-Info, compact `n` (RFC 4474).
    IdentityInfo,
    /// In-Reply-To (RFC 3261 §20.21).
    InReplyTo,
    /// Join (RFC 3911).
    Join,
    /// Max-Breadth (RFC 5393).
    MaxBreadth,
    /// Max-Forwards (RFC 3261 §20.22).
    MaxForwards,
    /// MIME-Version (RFC 3261 §20.24).
    MimeVersion,
    /// Min-Expires (RFC 3261 §20.23).
    MinExpires,
    /// Min-SE (RFC 4028).
    MinSe,
    /// Organization (RFC 3261 §20.25).
    Organization,
    /// P-Access-Network-Info (RFC 7315).
    PAccessNetworkInfo,
    /// P-Asserted-Identity (RFC 3325).
    PAssertedIdentity,
    /// P-Charging-Vector (RFC 7315).
    PChargingVector,
    /// P-Early-Media (RFC 5009).
    PEarlyMedia,
    /// P-Preferred-Identity (RFC 3325).
    PPreferredIdentity,
    /// Path (RFC 3327).
    Path,
    /// Priority (RFC 3261 §20.26).
    Priority,
    /// Privacy (RFC 3323).
    Privacy,
    /// Proxy-Authenticate (RFC 3261 §20.27).
    ProxyAuthenticate,
    /// Proxy-Authorization (RFC 3261 §20.28).
    ProxyAuthorization,
    /// Proxy-Require (RFC 3261 §20.29).
    ProxyRequire,
    /// RAck (RFC 3262).
    RAck,
    /// Reason (RFC 3326).
    Reason,
    /// Record-Route (RFC 3261 §20.30).
    RecordRoute,
    /// Refer-To, compact `r` (RFC 3515).
    ReferTo,
    /// Referred-By, compact `b` (RFC 3892).
    ReferredBy,
    /// Reject-Contact, compact `j` (RFC 3841).
    RejectContact,
    /// Remote-Party-ID (draft-ietf-sip-privacy, still in use).
    RemotePartyId,
    /// Replaces (RFC 3891).
    Replaces,
    /// Reply-To (RFC 3261 §20.31).
    ReplyTo,
    /// Request-Disposition, compact `d` (RFC 3841).
    RequestDisposition,
    /// Require (RFC 3261 §20.32).
    Require,
    /// Retry-After (RFC 3261 §20.33).
    RetryAfter,
    /// Route (RFC 3261 §20.34).
    Route,
    /// RSeq (RFC 3262).
    RSeq,
    /// Server (RFC 3261 §20.35).
    Server,
    /// Service-Route (RFC 3608).
    ServiceRoute,
    /// Session-Expires, compact `x` (RFC 4028).
    SessionExpires,
    /// Subject, compact `s` (RFC 3261 §20.36).
    Subject,
    /// Subscription-State (RFC 6665).
    SubscriptionState,
    /// Supported, compact `k` (RFC 3261 §20.37).
    Supported,
    /// Timestamp (RFC 3261 §20.38).
    Timestamp,
    /// To, compact `t` (RFC 3261 §20.39).
    To,
    /// Unsupported (RFC 3261 §20.40).
    Unsupported,
    /// User-Agent (RFC 3261 §20.41).
    UserAgent,
    /// Via, compact `v` (RFC 3261 §20.42).
    Via,
    /// Warning (RFC 3261 §20.43).
    Warning,
    /// WWW-Authenticate (RFC 3261 §20.44).
    WwwAuthenticate,
}

/// How many headers are known.
pub(crate) const KNOWN_COUNT: usize = 74;

use KnownHeader as H;

/// Names in the order of the enum.
pub(crate) const NAMES: [(H, &str); KNOWN_COUNT] = [
    (H::Accept, "Accept"),
    (H::AcceptContact, "Accept-Contact"),
    (H::AcceptEncoding, "Accept-Encoding"),
    (H::AcceptLanguage, "Accept-Language"),
    (H::AlertInfo, "Alert-Info"),
    (H::Allow, "Allow"),
    (H::AllowEvents, "Allow-Events"),
    (H::AuthenticationInfo, "Authentication-Info"),
    (H::Authorization, "Authorization"),
    (H::CallId, "Call-ID"),
    (H::CallInfo, "Call-Info"),
    (H::Contact, "Contact"),
    (H::ContentDisposition, "Content-Disposition"),
    (H::ContentEncoding, "Content-Encoding"),
    (H::ContentLanguage, "Content-Language"),
    (H::ContentLength, "Content-Length"),
    (H::ContentType, "Content-Type"),
    (H::CSeq, "CSeq"),
    (H::Date, "Date"),
    (H::Diversion, "Diversion"),
    (H::ErrorInfo, "Error-Info"),
    (H::Event, "Event"),
    (H::Expires, "Expires"),
    (H::From, "From"),
    (H::Geolocation, "Geolocation"),
    (H::HistoryInfo, "History-Info"),
    (H::Identity, "Identity"),
    (H::IdentityInfo, "Identity-Info"),
    (H::InReplyTo, "In-Reply-To"),
    (H::Join, "Join"),
    (H::MaxBreadth, "Max-Breadth"),
    (H::MaxForwards, "Max-Forwards"),
    (H::MimeVersion, "MIME-Version"),
    (H::MinExpires, "Min-Expires"),
    (H::MinSe, "Min-SE"),
    (H::Organization, "Organization"),
    (H::PAccessNetworkInfo, "P-Access-Network-Info"),
    (H::PAssertedIdentity, "P-Asserted-Identity"),
    (H::PChargingVector, "P-Charging-Vector"),
    (H::PEarlyMedia, "P-Early-Media"),
    (H::PPreferredIdentity, "P-Preferred-Identity"),
    (H::Path, "Path"),
    (H::Priority, "Priority"),
    (H::Privacy, "Privacy"),
    (H::ProxyAuthenticate, "Proxy-Authenticate"),
    (H::ProxyAuthorization, "Proxy-Authorization"),
    (H::ProxyRequire, "Proxy-Require"),
    (H::RAck, "RAck"),
    (H::Reason, "Reason"),
    (H::RecordRoute, "Record-Route"),
    (H::ReferTo, "Refer-To"),
    (H::ReferredBy, "Referred-By"),
    (H::RejectContact, "Reject-Contact"),
    (H::RemotePartyId, "Remote-Party-ID"),
    (H::Replaces, "Replaces"),
    (H::ReplyTo, "Reply-To"),
    (H::RequestDisposition, "Request-Disposition"),
    (H::Require, "Require"),
    (H::RetryAfter, "Retry-After"),
    (H::Route, "Route"),
    (H::RSeq, "RSeq"),
    (H::Server, "Server"),
    (H::ServiceRoute, "Service-Route"),
    (H::SessionExpires, "Session-Expires"),
    (H::Subject, "Subject"),
    (H::SubscriptionState, "Subscription-State"),
    (H::Supported, "Supported"),
    (H::Timestamp, "Timestamp"),
    (H::To, "To"),
    (H::Unsupported, "Unsupported"),
    (H::UserAgent, "User-Agent"),
    (H::Via, "Via"),
    (H::Warning, "Warning"),
    (H::WwwAuthenticate, "WWW-Authenticate"),
];

impl KnownHeader {
    /// The full name in its usual spelling.
    pub fn name(self) -> &'static str {
        NAMES[self.index()].1
    }

    /// The position in the enum, below [`KNOWN_COUNT`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The header that `name` names, in any case, in full or compact form.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let first = name.first()?.to_ascii_lowercase();
        if name.len() == 1 {
            return Self::from_compact(first);
        }
        let candidates: &[H] = match (name.len(), first) {
            (2, b't') => &[H::To],
            (3, b'v') => &[H::Via],
            (4, b'c') => &[H::CSeq],
            (4, b'd') => &[H::Date],
            (4, b'f') => &[H::From],
            (4, b'j') => &[H::Join],
            (4, b'p') => &[H::Path],
            (4, b'r') => &[H::RAck, H::RSeq],
            (5, b'a') => &[H::Allow],
            (5, b'e') => &[H::Event],
            (5, b'r') => &[H::Route],
            (6, b'a') => &[H::Accept],
            (6, b'm') => &[H::MinSe],
            (6, b'r') => &[H::Reason],
            (6, b's') => &[H::Server],
            (7, b'c') => &[H::CallId, H::Contact],
            (7, b'e') => &[H::Expires],
            (7, b'p') => &[H::Privacy],
            (7, b'r') => &[H::Require],
            (7, b's') => &[H::Subject],
            (7, b'w') => &[H::Warning],
            (8, b'i') => &[H::Identity],
            (8, b'p') => &[H::Priority],
            (8, b'r') => &[H::ReferTo, H::Replaces, H::ReplyTo],
            (9, b'c') => &[H::CallInfo],
            (9, b'd') => &[H::Diversion],
            (9, b's') => &[H::Supported],
            (9, b't') => &[H::Timestamp],
            (10, b'a') => &[H::AlertInfo],
            (10, b'e') => &[H::ErrorInfo],
            (10, b'u') => &[H::UserAgent],
            (11, b'g') => &[H::Geolocation],
            (11, b'i') => &[H::InReplyTo],
            (11, b'm') => &[H::MaxBreadth, H::MinExpires],
            (11, b'r') => &[H::ReferredBy, H::RetryAfter],
            (11, b'u') => &[H::Unsupported],
            (12, b'a') => &[H::AllowEvents],
            (12, b'c') => &[H::ContentType],
            (12, b'h') => &[H::HistoryInfo],
            (12, b'm') => &[H::MaxForwards, H::MimeVersion],
            (12, b'o') => &[H::Organization],
            (12, b'r') => &[H::RecordRoute],
            (13, b'a') => &[H::Authorization],
            (13, b'i') => &[H::IdentityInfo],
            (13, b'p') => &[H::PEarlyMedia, H::ProxyRequire],
            (13, b's') => &[H::ServiceRoute],
            (14, b'a') => &[H::AcceptContact],
            (14, b'c') => &[H::ContentLength],
            (14, b'r') => &[H::RejectContact],
            (15, b'a') => &[H::AcceptEncoding, H::AcceptLanguage],
            (15, b'r') => &[H::RemotePartyId],
            (15, b's') => &[H::SessionExpires],
            (16, b'c') => &[H::ContentEncoding, H::ContentLanguage],
            (16, b'w') => &[H::WwwAuthenticate],
            (17, b'p') => &[H::PChargingVector],
            (18, b'p') => &[H::ProxyAuthenticate],
            (18, b's') => &[H::SubscriptionState],
            (19, b'a') => &[H::AuthenticationInfo],
            (19, b'c') => &[H::ContentDisposition],
            (19, b'p') => &[H::PAssertedIdentity, H::ProxyAuthorization],
            (19, b'r') => &[H::RequestDisposition],
            (20, b'p') => &[H::PPreferredIdentity],
            (21, b'p') => &[H::PAccessNetworkInfo],
            _ => return None,
        };
        candidates.iter().copied().find(|candidate| {
            let known = candidate.name().as_bytes();
            known == name || known.eq_ignore_ascii_case(name)
        })
    }

    /// The header with the compact form `letter`, which is in lower case (RFC 3261 §7.3.3 and extensions).
    //= RFC 3261 §7.3.3: every compact form is its long one
    fn from_compact(letter: u8) -> Option<Self> {
        Some(match letter {
            b'a' => H::AcceptContact,
            b'b' => H::ReferredBy,
            b'c' => H::ContentType,
            b'd' => H::RequestDisposition,
            b'e' => H::ContentEncoding,
            b'f' => H::From,
            b'i' => H::CallId,
            b'j' => H::RejectContact,
            b'k' => H::Supported,
            b'l' => H::ContentLength,
            b'm' => H::Contact,
            b'n' => H::IdentityInfo,
            b'o' => H::Event,
            b'r' => H::ReferTo,
            b's' => H::Subject,
            b't' => H::To,
            b'u' => H::AllowEvents,
            b'v' => H::Via,
            b'x' => H::SessionExpires,
            b'y' => H::Identity,
            _ => return None,
        })
    }

    /// Whether the header may appear once only, and a proxy could be misled by a second one.
    pub(crate) fn is_single(self) -> bool {
        matches!(
            self,
            H::From | H::To | H::CallId | H::CSeq | H::MaxForwards | H::ContentLength
        )
    }

    /// The comma lists that [`Message`](crate::Message) takes apart, and whose length is limited.
    pub(crate) const LISTS: [Self; 7] = [
        H::Via,
        H::Contact,
        H::Route,
        H::RecordRoute,
        H::Require,
        H::ProxyRequire,
        H::Supported,
    ];
}

/// The name of one header field, as received.
#[derive(Clone, Copy, Debug)]
pub struct HeaderName<'b> {
    pub(crate) raw: &'b [u8],
    pub(crate) known: Option<KnownHeader>,
}

impl<'b> HeaderName<'b> {
    /// The name as it stands in the message.
    pub fn as_bytes(&self) -> &'b [u8] {
        self.raw
    }

    /// Which header it is, when it is one this parser knows.
    pub fn known(&self) -> Option<KnownHeader> {
        self.known
    }
}

#[cfg(test)]
mod tests;

//! Why a call, or one attempt of it, ended: a closed set that is also the metric label and the log field.
//! Statuses per RFC 3261 §21. Leaves out: Q.850 values, which are kept as received beside the cause.

use serde::{Deserialize, Serialize};

/// Why a call or an attempt ended as it did. The journal writes the position of a variant: new ones go at the
/// end, and none is ever moved or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The call was answered and ended by a BYE.
    Answered,
    /// The callee was alerted and nobody answered (480 or 408 from downstream).
    NoAnswer,
    /// The callee is busy (486 or 600).
    Busy,
    /// The callee declined (603, or 403 from downstream).
    Rejected,
    /// The caller gave up before an answer (CANCEL, 487).
    Cancelled,
    /// Downstream says that the number does not exist (404, 410, 484, 604).
    NotFound,
    /// No prefix of the routing plan matches the number (404).
    NoRoute,
    /// The customer's rate sheet has no price for the number, so the call is not sold (404).
    NoRate,
    /// A prefix matched but no vendor could be tried: all down, disabled, at their limits or too dear (503).
    NoVendor,
    /// The customer is over its calls per second (503).
    LimitCps,
    /// The customer is over its channels (503).
    LimitChannels,
    /// The vendor is over its own calls per second or channels; the attempt was not made.
    VendorLimit,
    /// The source address belongs to no customer (403); counted per source and minute, no CDR.
    UnknownSource,
    /// The request breaks RFC 3261 §16.3 or its syntax (400).
    BadRequest,
    /// Max-Forwards reached 0 (483).
    TooManyHops,
    /// Proxy-Require names an extension that is not supported (420).
    BadExtension,
    /// The request URI has a scheme other than sip, sips or tel (416).
    UnsupportedScheme,
    /// The method is refused by configuration (405).
    MethodRefused,
    /// The node is draining and takes no new calls (503).
    Draining,
    /// The node is overloaded and shed the call (503).
    Overload,
    /// The queue to the offload pool was full (503).
    QueueFull,
    /// A lookup refused the call with a status of its own.
    LookupRefused,
    /// A lookup failed: the database answered with an error or with something unusable.
    LookupFailed,
    /// A lookup did not answer before its deadline.
    LookupTimeout,
    /// The vendor sent nothing at all within the no-1xx time.
    #[serde(rename = "timeout_no_1xx")]
    TimeoutNo1xx,
    /// The vendor was still ringing at the end of its ring time.
    TimeoutRing,
    /// Timer B: no final response within 64·T1 (RFC 3261 §17.1.1.2).
    TimeoutB,
    /// Timer C: no final response within the proxy's INVITE time-out (RFC 3261 §16.8).
    TimerC,
    /// The next hop can't be reached: ICMP said so, or its connection failed.
    Unreachable,
    /// The vendor asked for credentials (401, 407).
    VendorAuth,
    /// The vendor redirected (3xx).
    VendorRedirect,
    /// The vendor failed with a 5xx.
    #[serde(rename = "vendor_5xx")]
    Vendor5xx,
    /// The vendor refused with a 4xx that has no cause of its own.
    #[serde(rename = "vendor_4xx")]
    Vendor4xx,
    /// The callee's side refused everywhere with a 6xx that has no cause of its own.
    #[serde(rename = "vendor_6xx")]
    Vendor6xx,
    /// The call reached its maximum duration and was ended by the proxy.
    MaxDuration,
    /// The name of the next hop could not be resolved.
    DnsFailed,
    /// One side no longer knew the dialog (481 to an in-dialog request), so the call was closed.
    LostDialog,
    /// A new request carried a Route that names someone else (403).
    PreloadedRoute,
    /// An in-dialog request came from an address that is neither of the call's trunks (403).
    ForbiddenSource,
    /// A request within a dialog that nobody here knows (481).
    UnknownDialog,
    /// A request within a dialog whose CSeq went backwards (500, RFC 3261 §12.2.2).
    CseqOrder,
    /// The process ended while the call was being set up or was up, and could not take it up again.
    Restart,
    /// None of the above; the status says more.
    Other,
    /// The request came back to this node as it had left it (482, RFC 5393 §4.2).
    LoopDetected,
    /// Nobody refreshed the session before it expired (RFC 4028 §8.3); the call is closed without a BYE.
    SessionExpired,
    /// The session interval asked for is below the least that is allowed (422, RFC 4028 §8.1).
    SessionInterval,
    /// The request allowed not even one branch (440, RFC 5393 §5.3.3).
    MaxBreadth,
}

impl Cause {
    /// Every cause, in the order of declaration.
    pub const ALL: &'static [Self] = &[
        Self::Answered,
        Self::NoAnswer,
        Self::Busy,
        Self::Rejected,
        Self::Cancelled,
        Self::NotFound,
        Self::NoRoute,
        Self::NoRate,
        Self::NoVendor,
        Self::LimitCps,
        Self::LimitChannels,
        Self::VendorLimit,
        Self::UnknownSource,
        Self::BadRequest,
        Self::TooManyHops,
        Self::BadExtension,
        Self::UnsupportedScheme,
        Self::MethodRefused,
        Self::Draining,
        Self::Overload,
        Self::QueueFull,
        Self::LookupRefused,
        Self::LookupFailed,
        Self::LookupTimeout,
        Self::TimeoutNo1xx,
        Self::TimeoutRing,
        Self::TimeoutB,
        Self::TimerC,
        Self::Unreachable,
        Self::VendorAuth,
        Self::VendorRedirect,
        Self::Vendor5xx,
        Self::Vendor4xx,
        Self::Vendor6xx,
        Self::MaxDuration,
        Self::DnsFailed,
        Self::LostDialog,
        Self::PreloadedRoute,
        Self::ForbiddenSource,
        Self::UnknownDialog,
        Self::CseqOrder,
        Self::Restart,
        Self::Other,
        Self::LoopDetected,
        Self::SessionExpired,
        Self::SessionInterval,
        Self::MaxBreadth,
    ];

    /// The name in CDRs, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::NotFound => "not_found",
            Self::NoRoute => "no_route",
            Self::NoRate => "no_rate",
            Self::NoVendor => "no_vendor",
            Self::LimitCps => "limit_cps",
            Self::LimitChannels => "limit_channels",
            Self::VendorLimit => "vendor_limit",
            Self::UnknownSource => "unknown_source",
            Self::BadRequest => "bad_request",
            Self::TooManyHops => "too_many_hops",
            Self::BadExtension => "bad_extension",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::MethodRefused => "method_refused",
            Self::Draining => "draining",
            Self::Overload => "overload",
            Self::QueueFull => "queue_full",
            Self::LookupRefused => "lookup_refused",
            Self::LookupFailed => "lookup_failed",
            Self::LookupTimeout => "lookup_timeout",
            Self::TimeoutNo1xx => "timeout_no_1xx",
            Self::TimeoutRing => "timeout_ring",
            Self::TimeoutB => "timeout_b",
            Self::TimerC => "timer_c",
            Self::Unreachable => "unreachable",
            Self::VendorAuth => "vendor_auth",
            Self::VendorRedirect => "vendor_redirect",
            Self::Vendor5xx => "vendor_5xx",
            Self::Vendor4xx => "vendor_4xx",
            Self::Vendor6xx => "vendor_6xx",
            Self::MaxDuration => "max_duration",
            Self::DnsFailed => "dns_failed",
            Self::LostDialog => "lost_dialog",
            Self::PreloadedRoute => "preloaded_route",
            Self::ForbiddenSource => "forbidden_source",
            Self::UnknownDialog => "unknown_dialog",
            Self::CseqOrder => "cseq_order",
            Self::Restart => "restart",
            Self::Other => "other",
            Self::LoopDetected => "loop_detected",
            Self::SessionExpired => "session_expired",
            Self::SessionInterval => "session_interval",
            Self::MaxBreadth => "max_breadth",
        }
    }

    /// The cause of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|cause| cause.as_str() == name)
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_listed_once_in_the_order_of_the_journal() {
        for (position, cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(*cause as usize, position, "{cause}");
        }
        let count = Cause::ALL.len();
        assert_eq!(Cause::ALL[count - 1] as usize + 1, count);
    }

    /// What a journal of any released version holds: a line is added at the end, and no line ever changes.
    #[test]
    fn the_position_of_a_cause_in_the_journal_never_changes() {
        let positions = [
            (0, "answered"),
            (1, "no_answer"),
            (2, "busy"),
            (3, "rejected"),
            (4, "cancelled"),
            (5, "not_found"),
            (6, "no_route"),
            (7, "no_rate"),
            (8, "no_vendor"),
            (9, "limit_cps"),
            (10, "limit_channels"),
            (11, "vendor_limit"),
            (12, "unknown_source"),
            (13, "bad_request"),
            (14, "too_many_hops"),
            (15, "bad_extension"),
            (16, "unsupported_scheme"),
            (17, "method_refused"),
            (18, "draining"),
            (19, "overload"),
            (20, "queue_full"),
            (21, "lookup_refused"),
            (22, "lookup_failed"),
            (23, "lookup_timeout"),
            (24, "timeout_no_1xx"),
            (25, "timeout_ring"),
            (26, "timeout_b"),
            (27, "timer_c"),
            (28, "unreachable"),
            (29, "vendor_auth"),
            (30, "vendor_redirect"),
            (31, "vendor_5xx"),
            (32, "vendor_4xx"),
            (33, "vendor_6xx"),
            (34, "max_duration"),
            (35, "dns_failed"),
            (36, "lost_dialog"),
            (37, "preloaded_route"),
            (38, "forbidden_source"),
            (39, "unknown_dialog"),
            (40, "cseq_order"),
            (41, "restart"),
            (42, "other"),
            (43, "loop_detected"),
            (44, "session_expired"),
            (45, "session_interval"),
            (46, "max_breadth"),
        ];
        for (position, name) in positions {
            let cause = Cause::from_name(name).unwrap();
            assert_eq!(postcard::to_allocvec(&cause).unwrap(), [position], "{name}");
        }
        assert_eq!(positions.len(), Cause::ALL.len());
    }

    #[test]
    fn positions_that_journals_hold_do_not_move() {
        for (cause, position) in [
            (Cause::Answered, 0),
            (Cause::Cancelled, 4),
            (Cause::UnknownSource, 12),
            (Cause::Draining, 18),
            (Cause::LookupTimeout, 23),
            (Cause::TimeoutB, 26),
            (Cause::Vendor6xx, 33),
            (Cause::MaxDuration, 34),
            (Cause::LostDialog, 36),
            (Cause::CseqOrder, 40),
            (Cause::Restart, 41),
            (Cause::Other, 42),
            (Cause::LoopDetected, 43),
            (Cause::SessionExpired, 44),
            (Cause::SessionInterval, 45),
            (Cause::MaxBreadth, 46),
        ] {
            assert_eq!(cause as usize, position, "{cause}");
            let bytes = postcard::to_allocvec(&cause).unwrap();
            assert_eq!(bytes, [u8::try_from(position).unwrap()], "{cause}");
        }
    }

    #[test]
    fn json_and_label_use_the_same_name_and_names_are_unique() {
        for cause in Cause::ALL {
            assert_eq!(
                serde_json::to_string(cause).unwrap(),
                format!("\"{}\"", cause.as_str())
            );
            assert_eq!(Cause::from_name(cause.as_str()), Some(*cause));
        }
        assert_eq!(Cause::from_name("nonsense"), None);
    }
}

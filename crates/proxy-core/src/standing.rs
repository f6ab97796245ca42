//! Who speaks for a request within a dialog: a call of ours, its cookie alone, or nobody.
//!
//! The cookie of the topmost Route, or Call-ID and tags, name the call; the source must be the trunk of the side that
//! the tags say it is. RFC 3261 §12.2 knows only the tags.

use crate::{
    calls::{Call, is_leg_source},
    cookie::{self, Cookie, Side},
    core::ProxyCore,
    output::Now,
};
use sip_parser::{Message, Method, Uri};
use transaction_layer::Flow;
use uuid::Uuid;

/// Who speaks for a request within a dialog.
pub(crate) enum Standing {
    /// A call of ours: its id, the dialog, the side that sends, and whether it may.
    Known(Uuid, u8, Side, bool),
    /// A valid cookie, without the call.
    Cookie(Cookie, Side),
    Unknown,
}

/// Whether a request would begin a session anew (RFC 4028 §3).
pub(crate) fn is_refresh(request: &Message<'_>) -> bool {
    matches!(request.method(), Method::Invite | Method::Update)
}

impl ProxyCore {
    /// Finds who speaks for a request: the cookie in the topmost Route, or Call-ID and tags.
    ///
    /// The cookie comes first, since a spiral makes two calls with one Call-ID and one pair of tags. Without it, the
    /// call of the two that the source may speak in is meant.
    pub(crate) fn standing(&self, now: Now, request: &Message<'_>, flow: &Flow) -> Standing {
        let (from_tag, to_tag) = (
            request.from_tag().unwrap_or_default(),
            request.to_tag().unwrap_or_default(),
        );
        let cookie = self.cookie_of(now, request);
        if let Some((cookie, _)) = &cookie
            && let Some(call) = self.calls.at(cookie.cdr_id)
        {
            return match call.dialog_of(from_tag, to_tag) {
                Some((dialog, side)) => {
                    let may = self.may_speak(call, dialog, side, flow)
                        // A spiral's second pass comes from ourselves.
                        || self.own.is_address(flow.remote.ip());
                    Standing::Known(cookie.cdr_id, dialog, side, may)
                }
                // The call is here but the tags are not of any of its dialogs.
                None => Standing::Unknown,
            };
        }
        let mut known = Standing::Unknown;
        for (id, dialog, side) in self.calls.find(request.call_id(), from_tag, to_tag) {
            let may = self
                .calls
                .at(id)
                .is_some_and(|call| self.may_speak(call, dialog, side, flow));
            known = Standing::Known(id, dialog, side, may);
            if may {
                break;
            }
        }
        match (known, cookie) {
            (known @ Standing::Known(_, _, _, true), _) => known,
            // Of this boot and node, but not in the table: the call is over, and its cookie with it. A session that has
            // expired was ended by nobody: its BYE passes, and what would renew it does not.
            (_, Some((cookie, _)))
                if cookie.boot == self.config.boot
                    && cookie.node == self.own.node
                    && (is_refresh(request) || !self.calls.is_lapsed(cookie.cdr_id)) =>
            {
                // Even when the other pass of a spiral is still up, which has the same tags.
                Standing::Unknown
            }
            (known @ Standing::Known(..), _) => known,
            (_, Some((cookie, side))) => Standing::Cookie(cookie, side),
            _ => Standing::Unknown,
        }
    }

    pub(crate) fn cookie_of(&self, now: Now, request: &Message<'_>) -> Option<(Cookie, Side)> {
        let route = request.routes().next()?.ok()?;
        let found = self.cookie_in(route.uri, request)?;
        (i64::from(found.0.expires_s) * 1_000_000 > now.wall_us).then_some(found)
    }

    /// The valid cookie of a URI in `message`, expired or not.
    pub(crate) fn cookie_in(&self, uri: &[u8], message: &Message<'_>) -> Option<(Cookie, Side)> {
        let Ok(Uri::Sip(uri)) = Uri::parse(uri) else {
            return None;
        };
        let text = uri.params.get(cookie::PARAM)?;
        self.keys.open(
            text,
            message.call_id(),
            message.from_tag(),
            message.to_tag(),
        )
    }

    /// Whether the source is the trunk of the side that the tags say it is.
    pub(crate) fn may_speak(&self, call: &Call, dialog: u8, side: Side, flow: &Flow) -> bool {
        let ip = flow.remote.ip();
        let trunk = match side {
            Side::Caller => Some(call.customer_trunk),
            Side::Callee => call
                .dialogs
                .get(usize::from(dialog))
                .and_then(|dialog| call.attempts.get(usize::from(dialog.attempt)))
                .map(|attempt| attempt.vendor_trunk),
        };
        call.leg(dialog, side)
            .is_some_and(|leg| is_leg_source(leg, ip))
            || trunk.is_some_and(|trunk| self.trunk_owns(trunk, ip))
    }
}

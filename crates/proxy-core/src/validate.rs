//! Request validation, RFC 3261 §16.3, and the sorting of new requests.
//!
//! Syntax was checked by the parser. Left out: §16.3(4) loop detection and §16.3(6) proxy authorisation.

use crate::{
    core::ProxyCore,
    output::{Now, Output},
    reply::Reject,
};
use accounting::Cause;
use sip_parser::{Message, Method, Uri};
use transaction_layer::Flow;

impl ProxyCore {
    /// A request that no transaction knows.
    pub(crate) fn on_new_request(
        &mut self,
        now: Now,
        request: &Message<'_>,
        flow: &Flow,
        out: &mut Output,
    ) {
        if let Err(reject) = self.validate(request) {
            return self.refuse(now, request, flow, &reject, None, out);
        }
        if request.to_tag().is_some() || is_dialog_only(&request.method()) {
            self.on_dialog_request(now, request, flow, out);
        } else {
            self.on_initial_request(now, request, flow, out);
        }
    }

    fn validate(&self, request: &Message<'_>) -> Result<(), Reject> {
        //= RFC 3261 §16.3(2): a scheme we cannot route is 416. `sips` needs TLS on every hop, which no listener here has
        match Uri::parse(request.request_uri()) {
            Ok(Uri::Sip(sip)) if !sip.secure => {}
            Ok(Uri::Tel(_)) => {}
            Ok(_) => return Err(Reject::new(416, Cause::UnsupportedScheme)),
            Err(_) => {
                let mut reject = Reject::new(400, Cause::BadRequest);
                reject.reason = Some("Malformed Request-URI");
                return Err(reject);
            }
        }
        //= RFC 3261 §16.3(3): no hops left is 483
        //= RFC 3261 §11: an OPTIONS that has used up its hops here is answered as if it were for us
        if matches!(request.max_forwards(), Ok(Some(0))) && !self.is_for_us(request) {
            return Err(Reject::new(483, Cause::TooManyHops));
        }
        //= RFC 3261 §8.1.1.5: a CSeq is below 2^31, so that a request of our own can always come after it
        if request.cseq().number >= 1 << 31 {
            let mut reject = Reject::new(400, Cause::BadRequest);
            reject.reason = Some("CSeq Out Of Range");
            return Err(reject);
        }
        //= RFC 3261 §16.3(5): we have no extension that a proxy would have to know: any in Proxy-Require is 420
        let mut unsupported = Vec::new();
        for token in request.proxy_require() {
            if !unsupported.is_empty() {
                unsupported.extend_from_slice(b", ");
            }
            unsupported.extend_from_slice(token);
        }
        if !unsupported.is_empty() {
            let mut reject = Reject::new(420, Cause::BadExtension);
            reject.header = Some((b"Unsupported", unsupported));
            return Err(reject);
        }
        Ok(())
    }

    /// An OPTIONS whose request URI is this proxy and nobody behind it.
    pub(crate) fn is_for_us(&self, request: &Message<'_>) -> bool {
        request.method() == Method::Options
            && request.to_tag().is_none()
            && matches!(Uri::parse(request.request_uri()), Ok(Uri::Sip(sip)) if sip.user.is_none() && self.own.is(&sip.host, sip.port))
    }
}

/// Methods that mean nothing outside a dialog.
fn is_dialog_only(method: &Method<'_>) -> bool {
    matches!(
        method,
        Method::Bye | Method::Prack | Method::Update | Method::Info
    )
}

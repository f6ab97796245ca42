//! Request validation, RFC 3261 §16.3, and the sorting of new requests.
//!
//! Syntax was checked by the parser, but for what only some requests need. Loops, §16.3(4), are in `loops.rs`.

use crate::{
    core::ProxyCore,
    loops::Origin,
    output::{Now, Output},
    reply::Reject,
};
use accounting::Cause;
use sip_parser::{HeaderTable, Message, Method, Uri, parse_datagram};
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
        let Some(loose) = self.without_strict_route(request) else {
            return self.on_loose_request(now, request, flow, out);
        };
        let mut table = HeaderTable::default();
        if let Ok(loose) = parse_datagram(&loose, &mut table) {
            self.as_received = Some(request.bytes().to_vec());
            self.on_loose_request(now, &loose, flow, out);
            self.as_received = None;
        }
    }

    /// What is judged is the request as it will be forwarded: its line may have come from the Route of a strict router.
    fn on_loose_request(&mut self, now: Now, request: &Message<'_>, flow: &Flow, out: &mut Output) {
        if let Err(reject) = self.validate(request) {
            return self.refuse(now, request, flow, &reject, None, out);
        }
        if request.to_tag().is_some() || is_dialog_only(&request.method()) {
            if self.has_looped(request, &Origin::Source(flow.remote)) {
                let reject = Reject::new(482, Cause::LoopDetected);
                return self.refuse(now, request, flow, &reject, None, out);
            }
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
            Err(_) => return Err(bad_request("Malformed Request-URI")),
        }
        //= RFC 3261 §16.3(3): no hops left is 483
        //= RFC 3261 §11: an OPTIONS for the proxy itself is answered although it has no hops left
        if matches!(request.max_forwards(), Ok(Some(0))) && !self.is_for_us(request) {
            return Err(Reject::new(483, Cause::TooManyHops));
        }
        crate::breadth::incoming(request)?;
        //= RFC 3261 §8.1.1.5: a CSeq is below 2^31, so that a request of our own can always come after it
        if request.cseq().number >= 1 << 31 {
            return Err(bad_request("CSeq Out Of Range"));
        }
        //= RFC 3261 §16.3(1): what the proxy acts on must be well formed, here Route and Contact; a BYE goes the stored way
        //=   whatever they say, since its call must end
        if request.method() != Method::Bye {
            if request.routes().any(|route| route.is_err()) {
                return Err(bad_request("Malformed Route"));
            }
            if request.contacts().any(|contact| contact.is_err()) {
                return Err(bad_request("Malformed Contact"));
            }
        }
        //= refuses RFC 3261 §16.3(6): no credentials are asked for; because a customer is known by its address
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

/// A 400 whose phrase names the fault.
fn bad_request(reason: &'static str) -> Reject {
    let mut reject = Reject::new(400, Cause::BadRequest);
    reject.reason = Some(reason);
    reject
}

/// Methods that mean nothing outside a dialog.
fn is_dialog_only(method: &Method<'_>) -> bool {
    matches!(
        method,
        Method::Bye | Method::Prack | Method::Update | Method::Info
    )
}

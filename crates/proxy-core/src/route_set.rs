//! Loose and strict routing: RFC 3261 §16.4 for what comes in, §16.6(6) for what goes out, §12.2.1.1 for our own.
//!
//! What a strict router upstream has rewritten is put back into the form that a loose one would have sent, once and
//! before anything looks at it; so nothing else here knows of strict routers. Left out: deciding where a route leads.

use crate::{cookie, core::ProxyCore, forward::push_params_without, reply::Own};
use memchr::memchr;
use sip_parser::{Edits, HeaderTable, Host, Message, NameAddr, Uri, parse_datagram, write_message};
use smallvec::SmallVec;

/// Route values as they stand in a message.
pub(crate) type Routes<'m> = SmallVec<[&'m [u8]; 8]>;

/// The URI and the routes that a request leaves with, when the next hop is a strict router.
pub(crate) struct StrictRoute<'m> {
    pub(crate) uri: &'m [u8],
    pub(crate) routes: SmallVec<[&'m [u8]; 8]>,
    /// The last route: the Request-URI, in brackets.
    last: Vec<u8>,
}

impl StrictRoute<'_> {
    /// All routes, the last one included.
    pub(crate) fn all(&self) -> Routes<'_> {
        let routes = self.routes.iter().copied();
        routes.chain([self.last.as_slice()]).collect()
    }
}

//= RFC 3261 §16.6(6): when the first route has no lr parameter, the Request-URI goes to the end of the Route and the
//=   first route takes its place
//= RFC 3261 §12.2.1.1: parameters and headers that a Request-URI may not have are stripped from it
/// How a request for `uri` leaves when the first of `routes` is a strict router; `None` when it is loose.
pub(crate) fn strict_route<'m>(uri: &[u8], routes: &[&'m [u8]]) -> Option<StrictRoute<'m>> {
    let (first, rest) = routes.split_first()?;
    let first = NameAddr::parse(first).ok()?.uri;
    let Ok(Uri::Sip(parsed)) = Uri::parse(first) else {
        return None;
    };
    if parsed.params.contains(b"lr") {
        return None;
    }
    // `method` and headers are for URIs that make a request, not for the one it carries (§19.1.1).
    let end = memchr(b'?', first).unwrap_or(first.len());
    Some(StrictRoute {
        uri: &first[..end],
        routes: rest.iter().copied().collect(),
        last: [b"<", uri, b">"].concat(),
    })
}

/// Sets the Request-URI and all routes of a forwarded request.
pub(crate) fn edit_route_set(
    message: &Message<'_>,
    uri: &[u8],
    routes: &[&[u8]],
    edits: &mut Edits,
) {
    match strict_route(uri, routes) {
        Some(strict) => {
            edits.set_request_uri(message, strict.uri);
            edits.set_routes(message, &strict.all());
        }
        None => {
            edits.set_request_uri(message, uri);
            edits.set_routes(message, routes);
        }
    }
}

impl ProxyCore {
    //= RFC 3261 §16.4: the Route values that name us, at the top, are done
    /// Sends a request on by its own Route: ours are taken out, and a strict router comes to its right.
    pub(crate) fn edit_own_routes(&self, message: &Message<'_>, edits: &mut Edits) {
        let routes: Routes<'_> = message
            .routes()
            .flatten()
            .map(|route| route.value)
            .collect();
        let ours = message
            .routes()
            .take_while(|route| route.as_ref().is_ok_and(|route| self.own.is_uri(route.uri)))
            .count();
        let left = routes.get(ours..).unwrap_or_default();
        if let Some(strict) = strict_route(message.request_uri(), left) {
            edits.set_request_uri(message, strict.uri);
            edits.set_routes(message, &strict.all());
        } else if ours > 0 {
            edits.set_routes(message, left);
        }
    }

    /// The request in the form that it would have had without strict routers and `maddr`; `None`, without a look at
    /// more than a few octets, when it has it already.
    pub(crate) fn without_strict_route(&self, request: &Message<'_>) -> Option<Vec<u8>> {
        let uri = request.request_uri();
        let rest = uri.get(memchr(b';', uri)? + 1..)?;
        if !names_any_of(rest, &[cookie::PARAM, b"maddr"]) {
            return None;
        }
        let Ok(Uri::Sip(parsed)) = Uri::parse(uri) else {
            return None;
        };
        let mut edits = Edits::new();
        // A URI of ours has a cookie that verifies; anybody can write the parameter.
        let is_ours = || {
            parsed.params.contains(cookie::PARAM)
                && self.own.is(&parsed.host, parsed.port)
                && self.cookie_in(uri, request).is_some()
        };
        if is_ours() {
            self.undo_strict_route(request, &mut edits)?;
        } else if parsed.params.contains(b"maddr") {
            edits.set_request_uri(request, &without_our_maddr(&self.own, uri)?);
        } else {
            return None;
        }
        let mut bytes = Vec::with_capacity(request.bytes().len() + 2);
        write_message(request, &edits, &mut bytes);
        let mut table = HeaderTable::default();
        parse_datagram(&bytes, &mut table).is_ok().then_some(bytes)
    }

    //= RFC 3261 §16.4: a Request-URI that we had placed into a Record-Route came through a strict router: the last
    //=   Route value takes its place and leaves the Route
    /// Our own value becomes the first route, which is where a loose router would have left it.
    fn undo_strict_route(&self, request: &Message<'_>, edits: &mut Edits) -> Option<()> {
        let routes: Vec<NameAddr<'_>> = request.routes().collect::<Result<_, _>>().ok()?;
        let (last, before) = routes.split_last()?;
        let ours = [b"<", request.request_uri(), b">"].concat();
        let routes: Routes<'_> = std::iter::once(ours.as_slice())
            .chain(before.iter().map(|route| route.value))
            .collect();
        edits.set_request_uri(request, last.uri);
        edits.set_routes(request, &routes);
        Some(())
    }
}

/// Whether anything between semicolons begins with one of these names; a parse finds out whether it is a parameter.
fn names_any_of(text: &[u8], names: &[&[u8]]) -> bool {
    text.split(|octet| *octet == b';').any(|part| {
        names.iter().any(|name| {
            part.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        })
    })
}

//= RFC 3261 §16.4: a maddr of the Request-URI that names us is stripped, with the port and the transport
/// `None` when it names somebody else.
fn without_our_maddr(own: &Own, uri: &[u8]) -> Option<Vec<u8>> {
    let Ok(Uri::Sip(parsed)) = Uri::parse(uri) else {
        return None;
    };
    let maddr = parsed.params.get(b"maddr").and_then(Host::parse)?;
    if !own.is(&maddr, parsed.port) {
        return None;
    }
    let head = uri.strip_suffix(parsed.params.as_bytes())?;
    let end = match parsed.port {
        Some(_) => head.iter().rposition(|octet| *octet == b':')?,
        None => head.len(),
    };
    let mut stripped = head.get(..end)?.to_vec();
    push_params_without(&parsed.params, &[b"maddr", b"transport"], &mut stripped);
    Some(stripped)
}

#[cfg(test)]
mod tests {
    use super::*;

    //= proves RFC 3261 §12.2.1.1
    //= proves RFC 3261 §16.6(6)
    #[test]
    fn a_strict_router_takes_the_place_of_the_request_uri() {
        let routes = [
            &b"<sip:strict.example;transport=udp?X=y>;param"[..],
            b"<sip:b;lr>",
        ];
        let Some(strict) = strict_route(b"sip:callee@h", &routes) else {
            panic!("no lr");
        };
        assert_eq!(strict.uri, b"sip:strict.example;transport=udp");
        assert_eq!(
            strict.all().as_slice(),
            [&b"<sip:b;lr>"[..], b"<sip:callee@h>"]
        );
        for loose in [&b"<sip:a;lr>"[..], b"<sip:a;LR=on>", b"<urn:x>", b"<"] {
            assert!(strict_route(b"sip:callee@h", &[loose]).is_none());
        }
        assert!(strict_route(b"sip:callee@h", &[]).is_none());
    }
}

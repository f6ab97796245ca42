//! Redirects: a vendor marked for it names other gateways of its own (RFC 3261 §16.5, §16.7(4)).
//!
//! Only Contacts that lead to the vendor's own gateways are usable; each is tried once, by q and then by their order, and
//! none goes upstream. Left out: the branches they become (`fork`).

use crate::{
    context::{BranchRef, ContextRef, Destination, RedirectContact},
    core::ProxyCore,
};
use routing::{GatewayHost, GatewayIndex, Snapshot, VendorIndex};
use sip_parser::{ContactValue, Host, Message, NameAddr, SipUri, Uri, parse_datagram};
use smallvec::SmallVec;
use std::{mem, net::SocketAddr};

/// Contacts of one redirect that are looked at, at most: more than any vendor has gateways for one number.
const CONTACTS_MAX: usize = 32;
/// The port of a Contact or gateway without one.
const DEFAULT_PORT: u16 = 5060;

impl ProxyCore {
    /// Queues the usable Contacts of a 3xx; they are tried once its branch has failed.
    pub(crate) fn note_contacts(&mut self, name: BranchRef, response: &Message<'_>) {
        let limit = self.config.policy.redirects_max;
        let Some(context) = self.contexts.at(name.context) else {
            return;
        };
        let (Some(branch), Some(hunt)) = (
            context.branches.get(usize::from(name.branch)),
            &context.hunt,
        ) else {
            return;
        };
        let Some(target) = hunt.target(branch.to) else {
            return;
        };
        let vendor = hunt.snapshot.vendor(target.vendor);
        let over = context.cancelled || !context.is_open() || hunt.closed;
        if over || !vendor.redirect || branch.abandoned || branch.given_up.is_some() {
            return;
        }
        let room =
            usize::from(limit.saturating_sub(hunt.followed)).saturating_sub(hunt.queued.len());
        //= RFC 3261 §16.5: the Contacts of a 3xx are further targets, the highest q first
        let mut found: SmallVec<[(u16, RedirectContact); 4]> = response
            .contacts()
            .filter_map(|contact| match contact {
                Ok(ContactValue::Address(address)) => Some(address),
                _ => None,
            })
            .filter_map(|address| {
                let (gateway, uri) = own_gateway(&hunt.snapshot, target.vendor, address.uri)?;
                let contact = RedirectContact {
                    target: branch.to.target,
                    gateway,
                    number: uri
                        .user
                        .map_or_else(|| target.callee_sent.clone(), routing::number::dialled),
                    uri: uri.user.map(|_| address.uri.to_vec()).unwrap_or_default(),
                };
                Some((q_of(&address), contact))
            })
            .take(CONTACTS_MAX)
            .collect();
        found.sort_by_key(|(q, _)| u16::MAX - q);
        let mut added: SmallVec<[u16; 4]> = SmallVec::new();
        for (_, contact) in found {
            if added.len() < room {
                added.extend(self.add_contact(name.context, contact));
            }
        }
        let context = self.contexts.at_mut(name.context);
        if let Some(hunt) = context.and_then(|context| context.hunt.as_mut()) {
            // A redirect within a redirect comes before the rest of the outer one.
            for at in added.into_iter().rev() {
                hunt.queued.push_front(at);
            }
        }
    }

    /// Keeps a Contact whose URI has not been tried and is not going to be (§16.5: each URI at most once).
    fn add_contact(&mut self, name: ContextRef, contact: RedirectContact) -> Option<u16> {
        let hunt = self.contexts.at_mut(name)?.hunt.as_mut()?;
        let at = u16::try_from(hunt.contacts.len()).ok()?;
        let to = Destination {
            target: contact.target,
            contact: Some(at),
        };
        hunt.contacts.push(contact);
        let begun = hunt.next;
        let tried = (0..begun)
            .filter_map(|target| u16::try_from(target).ok())
            .map(|target| Destination {
                target,
                contact: None,
            });
        let named = (0..at).map(|contact| Destination {
            target: to.target,
            contact: Some(contact),
        });
        //= RFC 3261 §16.5: a URI is tried at most once
        if self.is_any_of(name, to, tried.chain(named)) {
            let hunt = self.contexts.at_mut(name)?.hunt.as_mut()?;
            hunt.contacts.pop();
            return None;
        }
        Some(at)
    }

    /// Whether a redirect has already led to the URI of a target.
    pub(crate) fn was_followed(&mut self, name: ContextRef, to: Destination) -> bool {
        let hunt = self
            .contexts
            .at(name)
            .and_then(|context| context.hunt.as_ref());
        let count = hunt.map_or(0, |hunt| hunt.contacts.len());
        if count == 0 {
            return false;
        }
        let named = (0..count)
            .filter_map(|at| u16::try_from(at).ok())
            .map(|at| Destination {
                target: to.target,
                contact: Some(at),
            });
        self.is_any_of(name, to, named)
    }

    /// Whether the request URI of one destination is equivalent to that of another.
    fn is_any_of(
        &mut self,
        name: ContextRef,
        one: Destination,
        mut others: impl Iterator<Item = Destination>,
    ) -> bool {
        let mut table = mem::take(&mut self.inner_table);
        let known = (|| {
            let context = self.contexts.at(name)?;
            let hunt = context.hunt.as_ref()?;
            let request = parse_datagram(&context.request, &mut table).ok()?;
            let uri = hunt.request_uri(request.request_uri(), one)?;
            let uri = Uri::parse(&uri).ok()?;
            Some(others.any(|other| {
                hunt.request_uri(request.request_uri(), other)
                    .is_some_and(|other| {
                        Uri::parse(&other).is_ok_and(|other| other.equivalent(&uri))
                    })
            }))
        })();
        self.inner_table = table;
        known.unwrap_or(false)
    }
}

/// The gateway of `vendor` that a Contact leads to, and the Contact taken apart; `None` for anybody else's address.
fn own_gateway<'u>(
    snapshot: &Snapshot,
    vendor: VendorIndex,
    uri: &'u [u8],
) -> Option<(GatewayIndex, SipUri<'u>)> {
    let Ok(Uri::Sip(sip)) = Uri::parse(uri) else {
        return None;
    };
    // `maddr` would lead elsewhere (§19.1.1), and `sips` needs TLS on every hop.
    if sip.secure || sip.params.contains(b"maddr") {
        return None;
    }
    let port = sip.port.unwrap_or(DEFAULT_PORT);
    let transport = sip.params.get(b"transport");
    let mut gateways = snapshot.gateways_of(vendor);
    let (index, _) = gateways.find(|(_, gateway)| {
        let host = match (&gateway.host, &sip.host) {
            (GatewayHost::Ip(address), Host::V4(ip)) => {
                *address == SocketAddr::new((*ip).into(), port)
            }
            (GatewayHost::Ip(address), Host::V6(ip)) => {
                *address == SocketAddr::new(std::net::IpAddr::V6(*ip).to_canonical(), port)
            }
            (GatewayHost::Name { host, port: own }, Host::Name(name)) => {
                host.as_bytes().eq_ignore_ascii_case(name) && own.unwrap_or(DEFAULT_PORT) == port
            }
            _ => false,
        };
        let own = gateway.transport.as_str().as_bytes();
        host && transport.is_none_or(|transport| transport.eq_ignore_ascii_case(own))
    })?;
    Some((index, sip))
}

/// The q of a Contact in thousandths; 1 where it names none, 0 where it is malformed.
fn q_of(contact: &NameAddr<'_>) -> u16 {
    let Some(text) = contact.params.get(b"q") else {
        return 1000;
    };
    match text {
        [b'1', rest @ ..] if rest.iter().all(|b| matches!(b, b'.' | b'0')) => 1000,
        [b'0'] => 0,
        [b'0', b'.', places @ ..] if places.len() <= 3 && places.iter().all(u8::is_ascii_digit) => {
            let digits = places.iter().chain(b"000").take(3);
            digits.fold(0, |q, digit| q * 10 + u16::from(digit - b'0'))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::q_of;
    use sip_parser::NameAddr;

    #[test]
    fn q_is_read_in_thousandths() {
        for (text, q) in [
            ("<sip:a@b>", 1000),
            ("<sip:a@b>;q=1", 1000),
            ("<sip:a@b>;q=1.000", 1000),
            ("<sip:a@b>;q=0.7", 700),
            ("<sip:a@b>;q=0.25", 250),
            ("<sip:a@b>;q=0.123", 123),
            ("<sip:a@b>;q=0", 0),
            ("<sip:a@b>;q=0.", 0),
            ("<sip:a@b>;q=0.1234", 0),
            ("<sip:a@b>;q=2", 0),
            ("<sip:a@b>;q", 1000),
        ] {
            let contact = NameAddr::parse(text.as_bytes()).unwrap();
            assert_eq!(q_of(&contact), q, "{text}");
        }
    }
}

//! Where a response goes.
//! RFC 3261 §18.2.2 with the step that RFC 3581 §4 puts between its bullets.
//! Leaves out names in `maddr` (they would need DNS), multicast, and the reopening of a dead connection.

use std::net::{IpAddr, SocketAddr};

use sip_parser::Message;

use crate::flow::Flow;

#[cfg(test)]
mod tests;

/// The flow on which responses to `request`, which came on `flow`, are sent.
///
/// Over TCP and TLS that is the connection. Over UDP the address is the source address of the request, which is
/// what `received` says (§18.2.1), or the address in `maddr` where that is a unicast address of the same family;
/// the port is the source port when the Via asks with `rport`, else that of the sent-by, else 5060. A `received`
/// that came with the request is not believed.
#[must_use]
pub fn reply_flow(request: &Message<'_>, flow: &Flow) -> Flow {
    if flow.transport.is_reliable() {
        return *flow;
    }
    let Ok(via) = request.top_via() else {
        return *flow;
    };
    let sent_by_port = via.port.unwrap_or(flow.transport.default_port());
    let maddr = via.maddr.and_then(unicast_address);
    let source = flow.remote;
    let remote = match maddr {
        Some(address) if address.is_ipv4() == source.is_ipv4() => {
            SocketAddr::new(address, sent_by_port)
        }
        // RFC 3581 §4: back to the very port the request came from.
        _ if via.rport.is_some() => source,
        _ => {
            // Set in place, so that the scope of a link-local IPv6 address stays.
            let mut remote = source;
            remote.set_port(sent_by_port);
            remote
        }
    };
    Flow { remote, ..*flow }
}

/// The unicast address that a `maddr` value spells, an IPv6 one with or without brackets.
fn unicast_address(maddr: &[u8]) -> Option<IpAddr> {
    let bare = maddr
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .unwrap_or(maddr);
    let address: IpAddr = std::str::from_utf8(bare).ok()?.parse().ok()?;
    (!address.is_multicast() && !address.is_unspecified()).then_some(address)
}

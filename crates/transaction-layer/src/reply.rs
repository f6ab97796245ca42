//! Where a response goes.
//! RFC 3261 §18.2.2 with the step that RFC 3581 §4 puts between its bullets.
//! Leaves out `maddr`, which would let anybody have us send to a third address, and the reopening of a dead connection.

use sip_parser::Message;

use crate::flow::Flow;

#[cfg(test)]
mod tests;

/// The flow on which responses to `request`, which came on `flow`, are sent.
///
/// Over TCP and TLS that is the connection. Over UDP the address is the source address of the request, which is
/// what `received` says (§18.2.1); the port is the source port when the Via asks with `rport`, else that of the
/// sent-by, else 5060. A `received` or `maddr` that came with the request is not believed: §18.2.2 would send the
/// response to a `maddr`, and so to whatever address a stranger writes there.
#[must_use]
//= RFC 3261 §18.2.2: over a stream on its connection, over UDP to the source address and the port of the Via
//= departs RFC 3261 §18.2.2: a `maddr` in the top Via is not believed, responses go to the source;
//=   because else a stranger has Tandem send to any address
pub fn reply_flow(request: &Message<'_>, flow: &Flow) -> Flow {
    if flow.transport.is_reliable() {
        return *flow;
    }
    let Ok(via) = request.top_via() else {
        return *flow;
    };
    let sent_by_port = via.port.unwrap_or(flow.transport.default_port());
    let mut remote = flow.remote;
    //= RFC 3581 §4: with `rport`, back to the very port the request came from
    if via.rport.is_none() {
        // Set in place, so that the scope of a link-local IPv6 address stays.
        remote.set_port(sent_by_port);
    }
    Flow { remote, ..*flow }
}

//! What a server writes into the top Via of a request: where it came from (RFC 3261 §18.2.1, RFC 3581 §4).
//! The forwarded request takes these as edits, a response of our own takes them in its copy.
//! Where a response is then sent is worked out by the transaction layer.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::edits::push_display;
use crate::message::Message;
use crate::octet;

/// One change of the top Via.
#[derive(Clone, Debug)]
pub(crate) struct Amendment {
    /// What it replaces, in the message.
    pub(crate) range: Range<usize>,
    label: &'static [u8],
    value: AmendmentValue,
}

#[derive(Clone, Copy, Debug)]
enum AmendmentValue {
    Received(IpAddr),
    Rport(u16),
}

impl Amendment {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.label);
        match self.value {
            AmendmentValue::Received(ip) => push_display(out, ip),
            AmendmentValue::Rport(port) => octet::push_decimal(out, u32::from(port)),
        }
    }
}

/// The changes that say that the request came from `remote`, in message order.
///
/// `received` is set when the host of sent-by is not `remote`, when the Via asks for `rport`, or when
/// `force_rport`; then `rport` is set too. Values that the sender filled in itself are overwritten.
//= RFC 3261 §18.2.1: `received` when the sent-by is not where the request came from
//= RFC 3581 §4: an `rport` that asks is filled in, and brings `received` along
pub(crate) fn amendments(
    message: &Message<'_>,
    remote: SocketAddr,
    force_rport: bool,
) -> [Option<Amendment>; 2] {
    let Ok(via) = message.top_via() else {
        return [None, None];
    };
    let Some(end) = message.range_of(via.value).map(|value| value.end) else {
        return [None, None];
    };
    let ip = remote.ip().to_canonical();
    let wants_rport = force_rport || via.rport.is_some();
    let wants_received = wants_rport
        || via.received.is_some()
        || via.host.ip().map(|host| host.to_canonical()) != Some(ip);

    let received = wants_received.then(|| {
        let old = via.received.and_then(|value| message.range_of(value));
        Amendment {
            label: if old.is_some() { b"" } else { b";received=" },
            range: old.unwrap_or(end..end),
            value: AmendmentValue::Received(ip),
        }
    });
    let rport = wants_rport.then(|| {
        // Replaced from its name on, so that `rport`, `rport=` and `rport=1` are one case.
        let old = via.params.find(b"rport").and_then(|param| {
            let start = message.range_of(param.name)?.start;
            let last = param.value.unwrap_or(param.name);
            Some(start..message.range_of(last)?.end)
        });
        Amendment {
            label: if old.is_some() { b"rport=" } else { b";rport=" },
            range: old.unwrap_or(end..end),
            value: AmendmentValue::Rport(remote.port()),
        }
    });
    match (received, rport) {
        (Some(received), Some(rport)) if rport.range.start < received.range.start => {
            [Some(rport), Some(received)]
        }
        both => [both.0, both.1],
    }
}

#[cfg(test)]
mod tests;

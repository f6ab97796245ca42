//! The stateful SIP proxy of RFC 3261 §16, without I/O.

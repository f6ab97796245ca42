//! SIP transactions without I/O (RFC 3261 §17, RFC 6026).

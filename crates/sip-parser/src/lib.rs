//! SIP messages: bytes to borrowed views, and edits back to bytes (RFC 3261 §7, §25).

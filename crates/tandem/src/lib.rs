//! Tandem: a Class 4 SIP proxy.

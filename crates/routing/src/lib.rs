//! Who called whom becomes an ordered list of targets with prices, without I/O.

//! Prices worked by hand.

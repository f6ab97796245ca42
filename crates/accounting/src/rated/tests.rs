//! Keys and values of a rated CDR.

//! Tests of `prefix`.

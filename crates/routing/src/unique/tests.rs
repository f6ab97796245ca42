//! Tests of `unique`.

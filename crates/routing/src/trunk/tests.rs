//! Tests of `trunk`.

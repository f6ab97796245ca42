//! Tests of `number`.

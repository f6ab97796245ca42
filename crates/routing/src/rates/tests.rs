//! Tests of `rates`.

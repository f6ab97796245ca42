//! Tests of `cells`.

//! Bounded async task workers: suspend, run elsewhere, resume.

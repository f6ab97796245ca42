//! Faults of routing data: where, what, and what is allowed.
//!
//! The operator's side of the blame: every fault names file (or table), line (or row) and column.
//! Leaves out faults of the machine (files that can't be read), which belong to the caller.

use std::fmt;

/// The most faults collected before a reader or the compiler gives up.
pub const FAULTS_MAX: usize = 100;

/// One fault in routing data.
///
/// `Display` is `place:line: column: message`; a zero line and an empty column are left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub struct Fault {
    /// The CSV file, or `table NAME` for data that came from the store.
    pub place: String,
    /// Line of the file (the header is line 1) or row of the table (from 1); 0 where no line is meant.
    pub line: u64,
    /// The column, empty when the whole line is meant.
    pub column: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.column.is_empty() {
            write!(f, ": {}", self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Adds a fault unless [`FAULTS_MAX`] are there already.
pub(crate) fn push(faults: &mut Vec<Fault>, fault: Fault) {
    if faults.len() < FAULTS_MAX {
        faults.push(fault);
    }
}

/// `; did you mean "x"?` for the known name nearest to `word`, or nothing when none is near.
pub(crate) fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let lower = word.to_lowercase();
    let length = word.chars().count();
    // A third of the word may differ, but never all of it.
    let allowed = (length / 3).max(1).min(length.saturating_sub(1));
    known
        .map(|name| {
            (
                strsim::damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map_or_else(String::new, |(_, name)| {
            format!("; did you mean \"{name}\"?")
        })
}

/// A value from outside as it is quoted in a fault: at most 60 characters, control characters escaped.
pub(crate) fn quoted(value: &str) -> String {
    let mut text: String = value
        .chars()
        .take(60)
        .flat_map(char::escape_debug)
        .collect();
    if value.chars().count() > 60 {
        text.push('…');
    }
    format!("\"{text}\"")
}

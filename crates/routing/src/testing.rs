//! Test support: tables from CSV texts, snapshots from tables.

use crate::fault::Fault;
use crate::schema::TableKind;
use crate::{SlotRegistry, Snapshot, Tables, compile, read_csv};

/// Reads texts as if they were the files of these kinds.
pub(crate) fn read(files: &[(TableKind, &str)]) -> Result<Tables, Vec<Fault>> {
    let (mut tables, mut faults) = (Tables::default(), Vec::new());
    for (kind, text) in files {
        read_csv(
            *kind,
            kind.file_name(),
            text.as_bytes(),
            &mut tables,
            &mut faults,
            &mut |_| {},
        );
    }
    if faults.is_empty() {
        Ok(tables)
    } else {
        Err(faults)
    }
}

/// Reads and compiles; panics with the faults.
pub(crate) fn snapshot(files: &[(TableKind, &str)]) -> Snapshot {
    match read(files).and_then(|tables| compile(&tables, 1, &mut SlotRegistry::new())) {
        Ok(snapshot) => snapshot,
        Err(faults) => panic!("{}", lines(&faults)),
    }
}

/// The faults of reading and compiling, one a line.
pub(crate) fn faults(files: &[(TableKind, &str)]) -> String {
    let faults = read(files).and_then(|tables| compile(&tables, 1, &mut SlotRegistry::new()));
    faults
        .err()
        .map_or_else(String::new, |faults| lines(&faults))
}

/// Faults as text, one a line.
pub(crate) fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

/// A small generator (SplitMix64), so that every run draws the same.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `n` draws.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

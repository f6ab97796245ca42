//! `cargo xtask ledger`: makes `docs/conformance.md` from the annotations in the code; `--check` says what is wrong.
//! Every citation of an RFC, in annotations, comments and documents, is checked against the lists in `xtask/rfc-sections`.
//! Leaves out whether code and test do what their annotations say: that is for the reader, and for the test.

mod annotation;
mod citation;
mod item;
mod sections;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use annotation::Kind;
use sections::{Clause, Rfcs};
use table::{Entry, Ledger};

/// The generated document.
const DOCUMENT: &str = "docs/conformance.md";
/// Folders whose code and prose is read, besides the prose at the top.
const FOLDERS: &[&str] = &["crates", "loadtests", "fuzz", "docs", "deploy"];

/// Writes the ledger, or with `check` compares it; every fault is a line `file:line: what`.
pub(crate) fn run(check: bool) -> Result<(), String> {
    let rfcs = Rfcs::read(Path::new("xtask/rfc-sections"))?;
    let mut reader = Reader::new(&rfcs);
    for file in files()? {
        let text =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        reader.read(&file.to_string_lossy(), &text);
    }
    let (ledger, mut faults) = reader.close();
    let made = ledger.markdown(&rfcs);
    if check {
        if fs::read_to_string(DOCUMENT).unwrap_or_default() != made {
            faults.push(format!(
                "{DOCUMENT}:1: is not what the code says; make it anew with `cargo xtask ledger`"
            ));
        }
    } else {
        fs::write(DOCUMENT, made).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(faults.join("\n"))
}

/// All Rust and Markdown files but the ledger itself, sorted.
fn files() -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS
        .iter()
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
        .collect();
    folders.push(PathBuf::new());
    while let Some(folder) = folders.pop() {
        let top = folder.as_os_str().is_empty();
        let listed = if top { Path::new(".") } else { &folder };
        let entries =
            fs::read_dir(listed).map_err(|error| format!("{}: {error}", listed.display()))?;
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            if path.is_dir() {
                if !top && !path.ends_with("target") && !path.ends_with("corpus") {
                    folders.push(path);
                }
            } else if path
                .extension()
                .is_some_and(|kind| kind == "rs" || kind == "md")
                && path != Path::new(DOCUMENT)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is said of clauses, and what tests prove, each with its place.
#[derive(Default)]
struct Claims {
    claims: Vec<(Clause, String)>,
    proofs: Vec<(Clause, String)>,
}

impl Claims {
    /// Claims without proofs, and proofs of nothing; `more` are clauses that may have a proof and need none.
    fn faults(&self, word: &str, more: &BTreeSet<Clause>) -> Vec<String> {
        let proved: BTreeSet<_> = self.proofs.iter().map(|(clause, _)| clause).collect();
        let claimed: BTreeSet<_> = self.claims.iter().map(|(clause, _)| clause).collect();
        let unproved = self
            .claims
            .iter()
            .filter(|(clause, _)| !proved.contains(clause));
        let idle = self
            .proofs
            .iter()
            .filter(|(clause, _)| !claimed.contains(clause) && !more.contains(clause));
        unproved
            .map(|(clause, place)| format!("{place}: no test says `//= {word} {clause}`"))
            .chain(idle.map(|(clause, place)| {
                format!("{place}: {word} {clause}, of which no code says anything")
            }))
            .collect()
    }
}

/// Gathers annotations and faults, file by file.
struct Reader<'a> {
    rfcs: &'a Rfcs,
    ledger: Ledger,
    /// Clauses that need a proof, and the proofs themselves, each with its place; those of departures apart, since a test
    /// of what a clause says does not show what is done instead.
    obeyed: Claims,
    departed: Claims,
    refused: BTreeSet<Clause>,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(rfcs: &'a Rfcs) -> Self {
        Self {
            rfcs,
            ledger: Ledger::default(),
            obeyed: Claims::default(),
            departed: Claims::default(),
            refused: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    fn read(&mut self, file: &str, text: &str) {
        let is_code = file.ends_with(".rs");
        let blocks = if is_code {
            citation::blocks_of_code(text)
        } else {
            citation::blocks_of_prose(text)
        };
        let default = citation::default_of(&blocks);
        for block in &blocks {
            self.check_citations(file, citation::citations(block, default));
        }
        if is_code {
            self.read_annotations(file, text);
        }
    }

    fn check_citations(&mut self, file: &str, found: Vec<citation::Found>) {
        for (line, found) in found {
            if let Some(fault) = found.map_or_else(Some, |clause| self.rfcs.fault(&clause)) {
                self.faults.push(format!("{file}:{line}: {fault}"));
            }
        }
    }

    fn read_annotations(&mut self, file: &str, text: &str) {
        let lines: Vec<_> = text.lines().collect();
        let (annotations, faults) = annotation::annotations(text);
        self.faults.extend(
            faults
                .into_iter()
                .map(|(line, fault)| format!("{file}:{line}: {fault}")),
        );
        for annotation in annotations {
            let place = format!("{file}:{}", annotation.line);
            let last = annotation.last_line - 1;
            let test = item::test_below(&lines, last);
            let proves = matches!(annotation.kind, Kind::Proves | Kind::ProvesDeparture);
            if proves && test.is_none() {
                self.faults.push(format!(
                    "{place}: this proof is not above a test that always runs"
                ));
            }
            for clause in annotation.clauses {
                self.faults.extend(
                    self.rfcs
                        .fault(&clause)
                        .map(|fault| format!("{place}: {fault}")),
                );
                // Words behind the clause may cite others.
                let said = citation::Block {
                    line: annotation.line,
                    text: format!("{}; {}", annotation.what, annotation.why),
                };
                self.check_citations(file, citation::citations(&said, clause.rfc));
                self.note(annotation.kind, &clause, file, &place, test.as_deref());
                if let Some(entries) = self.ledger.entries(annotation.kind) {
                    entries.push(Entry {
                        clause,
                        file: file.to_owned(),
                        item: item::item(&lines, last).unwrap_or_default(),
                        what: annotation.what.clone(),
                        why: annotation.why.clone(),
                    });
                }
            }
        }
    }

    fn note(&mut self, kind: Kind, clause: &Clause, file: &str, place: &str, test: Option<&str>) {
        let claims = match kind {
            Kind::Refuses => {
                self.refused.insert(clause.clone());
                return;
            }
            Kind::Implements | Kind::Proves => &mut self.obeyed,
            Kind::Departs | Kind::ProvesDeparture => &mut self.departed,
        };
        let noted = (clause.clone(), place.to_owned());
        let tests = match kind {
            Kind::Proves => &mut self.ledger.proofs,
            Kind::ProvesDeparture => &mut self.ledger.departures,
            _ => return claims.claims.push(noted),
        };
        claims.proofs.push(noted);
        tests
            .entry(clause.clone())
            .or_default()
            .push((file.to_owned(), test.unwrap_or_default().to_owned()));
    }

    /// What needs all files: claims without proofs, and proofs of nothing.
    fn close(mut self) -> (Ledger, Vec<String>) {
        self.faults
            .extend(self.obeyed.faults("proves", &self.refused));
        self.faults
            .extend(self.departed.faults("proves departure", &BTreeSet::new()));
        self.ledger.sort();
        (self.ledger, self.faults)
    }
}

#[cfg(test)]
mod tests;

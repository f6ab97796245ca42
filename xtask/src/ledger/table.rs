//! The conformance ledger as Markdown: what is obeyed, what is departed from, what is refused.
//! Rows in the order of the RFCs' text; no line numbers, so that it changes only with what it says.
//! Leaves out all checks.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::annotation::Kind;
use super::sections::{Clause, Rfcs};

/// One clause and what the code does about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) clause: Clause,
    /// From the top of the workspace.
    pub(crate) file: String,
    /// The function or type, empty outside all.
    pub(crate) item: String,
    pub(crate) what: String,
    pub(crate) why: String,
}

/// A test, by file and name.
pub(crate) type Test = (String, String);

/// All that the code says.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) implemented: Vec<Entry>,
    pub(crate) departed: Vec<Entry>,
    pub(crate) refused: Vec<Entry>,
    /// Tests of what the clauses say.
    pub(crate) proofs: BTreeMap<Clause, Vec<Test>>,
    /// Tests of what is done instead.
    pub(crate) departures: BTreeMap<Clause, Vec<Test>>,
}

const HEAD: &str = "<!-- Made by `cargo xtask ledger` from the annotations in the code. Not to be edited by hand. -->

# Conformance ledger

Where Tandem stands to the RFCs: each clause it implements, each from which it departs on purpose, each it refuses, with the place
in the code and the tests that prove it. [CONTRIBUTING.md](../CONTRIBUTING.md) says how the code is annotated.
";

impl Ledger {
    /// Where an entry of that kind goes; `None` for proofs.
    pub(crate) fn entries(&mut self, kind: Kind) -> Option<&mut Vec<Entry>> {
        match kind {
            Kind::Implements => Some(&mut self.implemented),
            Kind::Departs => Some(&mut self.departed),
            Kind::Refuses => Some(&mut self.refused),
            Kind::Proves | Kind::ProvesDeparture => None,
        }
    }

    /// Puts everything in its order.
    pub(crate) fn sort(&mut self) {
        self.implemented.sort();
        self.departed.sort();
        self.refused.sort();
        for tests in self.proofs.values_mut().chain(self.departures.values_mut()) {
            tests.sort();
            tests.dedup();
        }
    }

    /// The text of `docs/conformance.md`; of a sorted ledger.
    pub(crate) fn markdown(&self, rfcs: &Rfcs) -> String {
        let mut out = HEAD.to_owned();
        out.push_str("\n## Implemented\n");
        let mut rfc = 0;
        for entry in &self.implemented {
            if entry.clause.rfc != rfc {
                rfc = entry.clause.rfc;
                let _ = writeln!(out, "\n### RFC {rfc}: {}\n", rfcs.title(rfc));
                out.push_str(
                    "| clause | section | what | where | proved by |\n|---|---|---|---|---|\n",
                );
            }
            let section = rfcs.section_title(&entry.clause);
            let cells = [
                short(&entry.clause),
                section.to_owned(),
                entry.what.clone(),
                place(entry),
                links(self.proofs.get(&entry.clause)),
            ];
            row(&mut out, &cells);
        }
        out.push_str("\n## Departures, each on purpose\n\n");
        out.push_str("| clause | section | what Tandem does instead | why | where | proved by |\n|---|---|---|---|---|---|\n");
        for entry in &self.departed {
            let section = rfcs.section_title(&entry.clause);
            let [what, why] = [entry.what.clone(), entry.why.clone()];
            let cells = [
                entry.clause.to_string(),
                section.to_owned(),
                what,
                why,
                place(entry),
                links(self.departures.get(&entry.clause)),
            ];
            row(&mut out, &cells);
        }
        out.push_str("\n## Refused\n\n| clause | section | what is not done | why | where |\n|---|---|---|---|---|\n");
        for entry in &self.refused {
            let section = rfcs.section_title(&entry.clause);
            row(
                &mut out,
                &[
                    entry.clause.to_string(),
                    section.to_owned(),
                    entry.what.clone(),
                    entry.why.clone(),
                    place(entry),
                ],
            );
        }
        out
    }
}

fn links(tests: Option<&Vec<Test>>) -> String {
    let tests: Vec<_> = tests
        .into_iter()
        .flatten()
        .map(|(file, test)| format!("[`{test}`](../{file})"))
        .collect();
    tests.join("<br>")
}

/// The clause under a heading that names the RFC.
fn short(clause: &Clause) -> String {
    let text = clause.to_string();
    match text.split_once('§') {
        Some((_, section)) => format!("§{section}"),
        None => "all".to_owned(),
    }
}

/// A link to the file, shown without what all paths share.
fn place(entry: &Entry) -> String {
    let file = entry
        .file
        .strip_prefix("crates/")
        .unwrap_or(&entry.file)
        .replacen("/src/", "/", 1);
    let link = format!("[`{file}`](../{})", entry.file);
    if entry.item.is_empty() {
        link
    } else {
        format!("{link} `{}`", entry.item)
    }
}

fn row(out: &mut String, cells: &[String]) {
    for cell in cells {
        out.push_str("| ");
        out.push_str(&cell.replace('|', "\\|"));
        out.push(' ');
    }
    out.push_str("|\n");
}

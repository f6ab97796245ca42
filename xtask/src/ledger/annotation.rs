//! Annotations: the `//=` lines that say which clause code obeys, departs from or refuses, and which test proves it.
//! `//= RFC 3261 §16.7(5): what`, `//= departs CLAUSE: what; because why`, `//= refuses …`, `//= proves [departure] CLAUSE`.
//! Leaves out whether the clauses exist.

use super::citation;
use super::sections::{Clause, Section};

/// What an annotation says of its clauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Implements,
    Departs,
    Refuses,
    Proves,
    /// Proves what is done instead of what the clause says.
    ProvesDeparture,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Annotation {
    pub(crate) kind: Kind,
    /// At least one.
    pub(crate) clauses: Vec<Clause>,
    /// What is done or not done, in our words; empty for a proof.
    pub(crate) what: String,
    /// Why, for a departure or a refusal.
    pub(crate) why: String,
    /// From 1.
    pub(crate) line: usize,
    /// The last line of it, from 1.
    pub(crate) last_line: usize,
}

/// All annotations of a Rust file; a fault comes with its line.
pub(crate) fn annotations(source: &str) -> (Vec<Annotation>, Vec<(usize, String)>) {
    let mut whole: Vec<(usize, usize, String)> = Vec::new();
    let mut faults = Vec::new();
    for (at, line) in source.lines().enumerate() {
        let at = at + 1;
        let Some(text) = line.trim_start().strip_prefix("//=") else {
            continue;
        };
        if text.starts_with("   ") {
            match whole.last_mut().filter(|(_, last, _)| last + 1 == at) {
                Some((_, last, begun)) => {
                    *last = at;
                    begun.push(' ');
                    begun.push_str(text.trim());
                }
                None => faults.push((at, "continues no annotation".to_owned())),
            }
        } else {
            whole.push((at, at, text.trim().to_owned()));
        }
    }
    let mut annotations = Vec::new();
    for (line, last_line, text) in whole {
        match parse(&text) {
            Ok((kind, clauses, what, why)) => annotations.push(Annotation {
                kind,
                clauses,
                what,
                why,
                line,
                last_line,
            }),
            Err(fault) => faults.push((line, fault)),
        }
    }
    (annotations, faults)
}

type Parts = (Kind, Vec<Clause>, String, String);

fn parse(text: &str) -> Result<Parts, String> {
    let (kind, rest) = match text.split_once(' ') {
        Some(("departs", rest)) => (Kind::Departs, rest),
        Some(("refuses", rest)) => (Kind::Refuses, rest),
        Some(("proves", rest)) => match rest.strip_prefix("departure ") {
            Some(rest) => (Kind::ProvesDeparture, rest),
            None => (Kind::Proves, rest),
        },
        Some((first, _)) if first.starts_with("RFC") => (Kind::Implements, text),
        _ => {
            return Err(
                "not `RFC NNNN §n: what`, `departs …`, `refuses …` or `proves …`".to_owned(),
            );
        }
    };
    let (clauses, rest) = clauses(rest)?;
    if matches!(kind, Kind::Proves | Kind::ProvesDeparture) {
        return match rest.trim() {
            "" => Ok((kind, clauses, String::new(), String::new())),
            more => Err(format!("behind the clause of a proof stands `{more}`")),
        };
    }
    let said = rest
        .strip_prefix(':')
        .map(str::trim)
        .filter(|said| !said.is_empty());
    let said = said.ok_or("the clause is not followed by a colon and what is done")?;
    if kind == Kind::Implements {
        return Ok((kind, clauses, said.to_owned(), String::new()));
    }
    let (what, why) = said
        .split_once("; because ")
        .ok_or("no `; because` with the reason")?;
    Ok((kind, clauses, what.trim().to_owned(), why.trim().to_owned()))
}

/// `RFC 3261 §16.4, §16.6(6), RFC 6026 §7.1`, and what follows.
fn clauses(mut rest: &str) -> Result<(Vec<Clause>, &str), String> {
    let mut clauses = Vec::new();
    let mut rfc = 0;
    loop {
        let named = citation::rfc_number(rest);
        if let Some((number, behind)) = named {
            rfc = number;
            rest = behind;
        } else if rfc == 0 {
            return Err("the clause does not begin with the number of an RFC".to_owned());
        }
        let (section, step) = match rest.trim_start().strip_prefix('§') {
            Some(text) => {
                let (section, step, behind) = citation::section(text)
                    .ok_or("§ is not followed by the number of a section")?;
                rest = behind;
                (section, step)
            }
            None if named.is_some() => (Section::default(), None),
            None => return Err("a comma is not followed by another clause".to_owned()),
        };
        clauses.push(Clause { rfc, section, step });
        match rest.strip_prefix(", ") {
            Some(behind) => rest = behind,
            None => return Ok((clauses, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(source: &str) -> Annotation {
        let (mut found, faults) = annotations(source);
        assert_eq!((found.len(), faults.len()), (1, 0), "{found:?} {faults:?}");
        found.remove(0)
    }

    fn shown(annotation: &Annotation) -> Vec<String> {
        annotation.clauses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_kind_is_read() {
        let one = only("    //= RFC 3261 §16.7(5): a 2xx goes\n    //=   upstream\n");
        assert_eq!(
            (one.kind, one.what.as_str(), one.line, one.last_line),
            (Kind::Implements, "a 2xx goes upstream", 1, 2)
        );
        assert_eq!(shown(&one), ["RFC 3261 §16.7(5)"]);
        let one = only("//= departs RFC 3261 §16.10: waits; because it must");
        assert_eq!(
            (one.kind, one.what.as_str(), one.why.as_str()),
            (Kind::Departs, "waits", "it must")
        );
        assert_eq!(
            only("//= refuses RFC 3261 §16.11: none; because of state").kind,
            Kind::Refuses
        );
        assert_eq!(only("//= proves RFC 3326 §2").kind, Kind::Proves);
        let one = only("//= proves departure RFC 3261 §16.10");
        assert_eq!(one.kind, Kind::ProvesDeparture);
        assert_eq!(shown(&one), ["RFC 3261 §16.10"]);
    }

    #[test]
    fn several_clauses_may_share_an_annotation() {
        assert_eq!(
            shown(&only("//= RFC 3261 §7, §25.1, RFC 6026 §7.1: all of it")),
            ["RFC 3261 §7", "RFC 3261 §25.1", "RFC 6026 §7.1"]
        );
    }

    #[test]
    fn what_is_written_wrongly_is_a_fault_with_its_line() {
        for (bad, said) in [
            ("//= RFC 3261 §16.7(5)", "colon"),
            ("//= RFC 3261 §16.7(5):  ", "colon"),
            ("//= RFC 3261 §16.7 (5): x", "colon"),
            ("//= RFC 3261 §: x", "number of a section"),
            ("//= §16.7: x", "not `RFC"),
            ("//= prove RFC 3261 §16.7", "not `RFC"),
            ("//= departs §16.7: x; because y", "number of an RFC"),
            ("//= departs RFC 3261 §16.7: x", "because"),
            ("//= refuses RFC 3261 §16.7: x, because y", "because"),
            ("//= proves RFC 3261 §16.7: x", "behind the clause"),
            ("//= proves RFC 3261 §16.7, and", "another clause"),
            ("//= proves departures RFC 3261 §16.7", "number of an RFC"),
            ("//=   goes on with nothing", "continues no"),
        ] {
            let (found, faults) = annotations(&format!("\n{bad}\n"));
            assert!(found.is_empty(), "{bad}: {found:?}");
            assert!(
                faults.len() == 1 && faults[0].0 == 2 && faults[0].1.contains(said),
                "{bad}: {faults:?}"
            );
        }
    }
}

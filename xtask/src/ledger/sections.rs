//! Which sections RFCs have, and how many steps the numbered lists in them: the files of `xtask/rfc-sections`.
//! A clause is an RFC, a section of it, and possibly a step of that section.
//! Leaves out the texts of the RFCs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// A place in an RFC; the order is that of the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Clause {
    /// Its number.
    pub(crate) rfc: u32,
    /// `16.7`; empty for the whole RFC.
    pub(crate) section: Section,
    /// `(5)`.
    pub(crate) step: Option<u32>,
}

/// The parts of a section's number; an appendix comes after all numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Section(Vec<u32>);

/// What is added to an appendix's letter, so that it sorts behind numbers.
const APPENDIX: u32 = 1 << 16;

impl Section {
    /// Reads `16.7` or `A.2`; anything else is `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        for (at, part) in text.split('.').enumerate() {
            let letter = part.bytes().next().filter(u8::is_ascii_uppercase);
            let number = match letter {
                Some(letter) if at == 0 && part.len() == 1 => APPENDIX + u32::from(letter),
                _ if part.bytes().all(|b| b.is_ascii_digit()) => part.parse().ok()?,
                _ => return None,
            };
            parts.push(number);
        }
        Some(Self(parts))
    }

    /// Whether this is the RFC as a whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, &part) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match part.checked_sub(APPENDIX).and_then(char::from_u32) {
                Some(letter) => write!(f, "{dot}{letter}")?,
                None => write!(f, "{dot}{part}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RFC {}", self.rfc)?;
        if !self.section.is_whole() {
            write!(f, " §{}", self.section)?;
        }
        match self.step {
            Some(step) => write!(f, "({step})"),
            None => Ok(()),
        }
    }
}

/// One RFC.
#[derive(Debug, Default)]
struct Rfc {
    title: String,
    /// Steps and title of each; empty when the RFC is cited as a whole only.
    sections: BTreeMap<Section, (u32, String)>,
}

/// The RFCs that may be cited.
#[derive(Debug, Default)]
pub(crate) struct Rfcs(BTreeMap<u32, Rfc>);

impl Rfcs {
    /// Reads the folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let mut rfcs = Self::default();
        let entries =
            std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let Some(stem) = name.strip_suffix(".tsv") else {
                continue;
            };
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let added = match stem.parse() {
                Ok(number) => rfcs.add(number, &text),
                Err(_) => rfcs.add_numbers(&text),
            };
            added.map_err(|(line, fault)| format!("{}:{line}: {fault}", path.display()))?;
        }
        Ok(rfcs)
    }

    /// Adds the section list of one RFC; a fault comes with its line.
    pub(crate) fn add(&mut self, number: u32, text: &str) -> Result<(), (usize, &'static str)> {
        let mut lines = text.lines();
        let mut rfc = Rfc {
            title: lines.next().unwrap_or_default().to_owned(),
            ..Rfc::default()
        };
        for (at, line) in lines.enumerate() {
            let at = at + 2;
            let mut fields = line.splitn(3, '\t');
            let (Some(section), Some(steps), Some(title)) =
                (fields.next(), fields.next(), fields.next())
            else {
                return Err((at, "not section, steps and title between tabs"));
            };
            let section = Section::parse(section).ok_or((at, "not a section number"))?;
            let steps = match steps {
                "" => 0,
                steps => steps.parse().map_err(|_| (at, "not a number of steps"))?,
            };
            rfc.sections.insert(section, (steps, title.to_owned()));
        }
        self.0.insert(number, rfc);
        Ok(())
    }

    /// Adds RFCs that are cited as a whole only.
    fn add_numbers(&mut self, text: &str) -> Result<(), (usize, &'static str)> {
        for (at, line) in text.lines().enumerate() {
            let (number, title) = line
                .split_once('\t')
                .ok_or((at + 1, "not number and title between tabs"))?;
            let number = number
                .parse()
                .map_err(|_| (at + 1, "not the number of an RFC"))?;
            let title = title.to_owned();
            self.0.entry(number).or_insert_with(|| Rfc {
                title,
                ..Rfc::default()
            });
        }
        Ok(())
    }

    /// Why a clause does not exist, if it does not.
    pub(crate) fn fault(&self, clause: &Clause) -> Option<String> {
        let Some(rfc) = self.0.get(&clause.rfc) else {
            return Some(format!("RFC {} is not in xtask/rfc-sections", clause.rfc));
        };
        if clause.section.is_whole() {
            return None;
        }
        if rfc.sections.is_empty() {
            return Some(format!(
                "{clause}: of RFC {} no sections are known here; cite it as a whole",
                clause.rfc
            ));
        }
        let Some((steps, title)) = rfc.sections.get(&clause.section) else {
            return Some(format!("RFC {} has no §{}", clause.rfc, clause.section));
        };
        match clause.step {
            Some(step) if *steps == 0 => Some(format!(
                "{clause}: §{} ({title}) has no numbered steps, thus no step {step}",
                clause.section
            )),
            Some(step) if step == 0 || step > *steps => Some(format!(
                "{clause}: the steps of §{} ({title}) go from 1 to {steps}",
                clause.section
            )),
            _ => None,
        }
    }

    /// The title of the RFC.
    pub(crate) fn title(&self, number: u32) -> &str {
        self.0.get(&number).map_or("", |rfc| &rfc.title)
    }

    /// The title of the section.
    pub(crate) fn section_title(&self, clause: &Clause) -> &str {
        let rfc = self.0.get(&clause.rfc);
        rfc.and_then(|rfc| rfc.sections.get(&clause.section))
            .map_or("", |(_, title)| title)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// RFC 3261 with three sections, RFC 4028 with one, RFC 2543 as a whole.
    pub(crate) fn some_rfcs() -> Rfcs {
        let mut rfcs = Rfcs::default();
        rfcs.add(
            3261,
            "SIP\n16.7\t10\tResponse Processing\n16.10\t\tCANCEL Processing\nA\t\tTimers",
        )
        .expect("well formed");
        rfcs.add(4028, "Session Timers\n8.2\t\tProcessing of Responses")
            .expect("well formed");
        rfcs.add_numbers("2543\tOld SIP").expect("well formed");
        rfcs
    }

    fn clause(rfc: u32, section: &str, step: Option<u32>) -> Clause {
        let section = Section::parse(section).unwrap_or_default();
        Clause { rfc, section, step }
    }

    #[test]
    fn sections_sort_as_in_the_text_with_appendices_last() {
        let mut sections: Vec<_> = ["A.1", "16.10", "A", "16.7", "2"]
            .iter()
            .filter_map(|text| Section::parse(text))
            .collect();
        sections.sort();
        let shown: Vec<_> = sections.iter().map(Section::to_string).collect();
        assert_eq!(shown, ["2", "16.7", "16.10", "A", "A.1"]);
    }

    #[test]
    fn what_is_no_section_number_is_not_read() {
        for text in ["", "16.", ".7", "AB", "16.A", "x"] {
            assert_eq!(
                Section::parse(text).filter(|section| !section.is_whole()),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_rfc_section_or_step_is_a_fault_that_says_which() {
        let rfcs = some_rfcs();
        for good in [
            clause(3261, "16.7", Some(10)),
            clause(3261, "A", None),
            clause(2543, "", None),
            clause(4028, "8.2", None),
        ] {
            assert_eq!(rfcs.fault(&good), None, "{good}");
        }
        for (bad, said) in [
            (clause(9999, "", None), "RFC 9999 is not in"),
            (clause(3261, "16.17", None), "RFC 3261 has no §16.17"),
            (clause(3261, "16.7", Some(11)), "go from 1 to 10"),
            (clause(3261, "16.7", Some(0)), "go from 1 to 10"),
            (clause(3261, "16.10", Some(1)), "has no numbered steps"),
            (clause(2543, "4", None), "cite it as a whole"),
        ] {
            let fault = rfcs.fault(&bad).unwrap_or_default();
            assert!(fault.contains(said), "{bad}: {fault}");
        }
    }

    #[test]
    fn a_list_with_a_bad_line_is_refused_with_the_line() {
        assert_eq!(
            Rfcs::default()
                .add(1, "Title\n1\t\tOne\n2 Two")
                .expect_err("no tabs")
                .0,
            3
        );
        assert_eq!(
            Rfcs::default()
                .add(1, "Title\n1\tx\tOne")
                .expect_err("no number")
                .0,
            2
        );
    }

    #[test]
    fn the_lists_in_the_repository_know_the_steps_of_the_proxy_core() {
        let rfcs = Rfcs::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rfc-sections"))
            .expect("readable");
        for (section, steps) in [("16.3", 6), ("16.6", 11), ("16.7", 10), ("17.2.3", 3)] {
            assert_eq!(
                rfcs.fault(&clause(3261, section, Some(steps))),
                None,
                "{section}"
            );
            assert!(
                rfcs.fault(&clause(3261, section, Some(steps + 1)))
                    .is_some(),
                "{section}"
            );
        }
    }
}

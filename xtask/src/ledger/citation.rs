//! Citations in running text: `RFC 3261 §16.7(5)`, `RFC 3261 §8.2.6, §8.2.7`, `§16.6 step 11`.
//! A section without an RFC belongs to the RFC last named in the same comment or paragraph, else to that of the file.
//! Leaves out citations in words ("section 16.7 of").

use super::sections::{Clause, Section};

/// The RFC a section without one belongs to, where nothing else says.
pub(crate) const DEFAULT_RFC: u32 = 3261;

/// A stretch of text in which the RFC last named goes on: a comment, a paragraph, a row of a table, a line of code.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// The number of its first line, from 1.
    pub(crate) line: usize,
    /// Its lines without comment marks.
    pub(crate) text: String,
}

/// What was found, and the line it is on.
pub(crate) type Found = (usize, Result<Clause, String>);

/// The blocks of a Rust file: runs of comment lines, and every other line alone. Lines of annotations are left out.
pub(crate) fn blocks_of_code(source: &str) -> Vec<Block> {
    blocks(source, |line| {
        let line = line.trim_start();
        match line.strip_prefix("//") {
            Some(annotation) if annotation.starts_with('=') => Piece::None,
            Some(comment) => Piece::Joined(comment.trim_start_matches(['/', '!'])),
            None => Piece::Alone(line),
        }
    })
}

/// The blocks of a Markdown file: paragraphs, and every row of a table alone.
pub(crate) fn blocks_of_prose(source: &str) -> Vec<Block> {
    blocks(source, |line| match line.trim_start() {
        "" => Piece::None,
        row if row.starts_with('|') => Piece::Alone(line),
        _ => Piece::Joined(line),
    })
}

enum Piece<'a> {
    /// Goes on with what the line above began.
    Joined(&'a str),
    Alone(&'a str),
    None,
}

fn blocks(source: &str, piece: impl Fn(&str) -> Piece<'_>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (at, line) in source.lines().enumerate() {
        match piece(line) {
            Piece::Joined(text) => {
                match blocks.last_mut().filter(|_| open) {
                    Some(block) => {
                        block.text.push('\n');
                        block.text.push_str(text);
                    }
                    None => blocks.push(Block {
                        line: at + 1,
                        text: text.to_owned(),
                    }),
                }
                open = true;
            }
            Piece::Alone(text) => {
                blocks.push(Block {
                    line: at + 1,
                    text: text.to_owned(),
                });
                open = false;
            }
            Piece::None => open = false,
        }
    }
    blocks.retain(|block| block.text.contains('§') || block.text.contains("RFC"));
    blocks
}

/// The RFC of a file's bare sections: the first that its opening block names.
pub(crate) fn default_of(blocks: &[Block]) -> u32 {
    let header = blocks.first().filter(|block| block.line == 1);
    let found = header
        .map(|header| citations(header, 0))
        .unwrap_or_default();
    let mut named = found
        .into_iter()
        .filter_map(|(_, found)| found.ok())
        .map(|clause| clause.rfc);
    named.find(|&rfc| rfc != 0).unwrap_or(DEFAULT_RFC)
}

/// All citations of a block; `rfc` is that of bare sections before any RFC is named.
pub(crate) fn citations(block: &Block, mut rfc: u32) -> Vec<Found> {
    let mut found = Vec::new();
    let mut rest = block.text.as_str();
    while let Some(at) = next_mark(rest) {
        let line = block.line
            + block.text[..block.text.len() - rest.len() + at]
                .matches('\n')
                .count();
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix('§') {
            match section(behind) {
                Some((section, step, behind)) => {
                    found.push((line, Ok(Clause { rfc, section, step })));
                    rest = behind;
                }
                None => {
                    found.push((
                        line,
                        Err("§ is not followed by the number of a section".to_owned()),
                    ));
                    rest = behind;
                }
            }
        } else if let Some((number, behind)) = rfc_number(rest) {
            rfc = number;
            found.push((
                line,
                Ok(Clause {
                    rfc,
                    section: Section::default(),
                    step: None,
                }),
            ));
            rest = behind;
        } else {
            rest = &rest["RFC".len()..];
        }
    }
    found
}

fn next_mark(text: &str) -> Option<usize> {
    match (text.find('§'), text.find("RFC")) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// `RFC 3261`, `RFC3261`, `RFC` and the number on the next line; with what follows.
pub(crate) fn rfc_number(text: &str) -> Option<(u32, &str)> {
    let behind = text.strip_prefix("RFC")?;
    let digits = behind.trim_start_matches([' ', '\n', '\u{a0}']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let number = digits[..end].parse().ok()?;
    Some((number, &digits[end..]))
}

/// The section behind a `§`, its step, and what follows.
pub(crate) fn section(text: &str) -> Option<(Section, Option<u32>, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
        .unwrap_or(text.len());
    // A full stop that ends the sentence is not the number's.
    let number = text[..end].trim_end_matches('.');
    let section = Section::parse(number).filter(|section| !section.is_whole())?;
    let behind = &text[number.len()..];
    let (step, behind) = step(behind);
    Some((section, step, behind))
}

/// `(5)` or ` step 5`.
fn step(text: &str) -> (Option<u32>, &str) {
    if let Some((number, behind)) = text
        .strip_prefix('(')
        .and_then(|inner| inner.split_once(')'))
        && let Ok(number) = number.parse()
    {
        return (Some(number), behind);
    }
    if let Some(behind) = text.strip_prefix(" step ") {
        let end = behind
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(behind.len());
        if let Ok(number) = behind[..end].parse() {
            return (Some(number), &behind[end..]);
        }
    }
    (None, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cited(text: &str) -> Vec<String> {
        let block = Block {
            line: 1,
            text: text.to_owned(),
        };
        let found = citations(&block, DEFAULT_RFC);
        found
            .into_iter()
            .map(|(_, found)| found.map_or_else(|fault| fault, |clause| clause.to_string()))
            .collect()
    }

    #[test]
    fn a_section_belongs_to_the_rfc_last_named() {
        assert_eq!(
            cited("RFC 3261 §8.2.6, §8.2.7; as RFC 4028 §8.2 asks (§7.1)."),
            [
                "RFC 3261",
                "RFC 3261 §8.2.6",
                "RFC 3261 §8.2.7",
                "RFC 4028",
                "RFC 4028 §8.2",
                "RFC 4028 §7.1"
            ]
        );
        assert_eq!(cited("§16.7(5): why"), ["RFC 3261 §16.7(5)"]);
    }

    #[test]
    fn steps_are_read_in_both_forms_and_other_brackets_are_not_steps() {
        assert_eq!(
            cited("§16.6 step 11, §16.3(4) and §9.1 (CANCEL)"),
            ["RFC 3261 §16.6(11)", "RFC 3261 §16.3(4)", "RFC 3261 §9.1"]
        );
        assert_eq!(cited("§16.6 step by step"), ["RFC 3261 §16.6"]);
    }

    #[test]
    fn a_full_stop_and_a_letter_are_told_from_the_number() {
        assert_eq!(
            cited("as in §A.1. Then §16."),
            ["RFC 3261 §A.1", "RFC 3261 §16"]
        );
    }

    #[test]
    fn a_sign_without_a_number_is_a_fault_and_the_word_rfc_alone_is_not() {
        assert_eq!(
            cited("§ 16 of the RFC, §x")[..],
            [
                "§ is not followed by the number of a section",
                "§ is not followed by the number of a section"
            ]
        );
    }

    #[test]
    fn a_comment_is_one_block_and_code_around_it_ends_it() {
        let source = "/// RFC\n/// 4028 is\n/// about §8.2\nfn f() {} // §16.7\n// §16.10\n//= RFC 1 §1: not here\n";
        let blocks = blocks_of_code(source);
        assert_eq!(
            blocks.iter().map(|block| block.line).collect::<Vec<_>>(),
            [1, 4, 5]
        );
        let found = citations(&blocks[0], DEFAULT_RFC);
        let lines: Vec<_> = found
            .iter()
            .map(|(line, found)| (*line, found.as_ref().map(ToString::to_string)))
            .collect();
        assert_eq!(
            lines,
            [
                (1, Ok("RFC 4028".to_owned())),
                (3, Ok("RFC 4028 §8.2".to_owned()))
            ]
        );
    }

    #[test]
    fn a_row_of_a_table_does_not_give_its_rfc_to_the_next() {
        let blocks = blocks_of_prose("RFC 4028 rules\nhere, §8.2.\n\n| RFC 4028 |\n| §16.7 |\n");
        assert_eq!(
            blocks.iter().map(|block| block.line).collect::<Vec<_>>(),
            [1, 4, 5]
        );
    }

    #[test]
    fn the_rfc_that_a_header_names_first_is_that_of_the_file() {
        assert_eq!(
            default_of(&blocks_of_code("//! RFC 4028 §8, RFC 4028 §9.\n")),
            4028
        );
        assert_eq!(
            default_of(&blocks_of_code("//! §1 of RFC 4028, RFC 6026.\n")),
            4028
        );
        assert_eq!(
            default_of(&blocks_of_code("use x;\n// RFC 4028\n")),
            DEFAULT_RFC
        );
    }
}

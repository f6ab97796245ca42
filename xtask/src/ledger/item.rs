//! Which item of a formatted Rust file a line belongs to, and which test stands below one.
//! Goes by the indentation that rustfmt gives.
//! Leaves out everything that would take a parser: items made by macros are named by the macro's line, if at all.

const KEYWORDS: &[&str] = &[
    "fn", "struct", "enum", "impl", "mod", "trait", "const", "static", "type",
];

/// The item below the line `at` (from 0), when one begins there, else the one around it, as `Type::name`.
pub(crate) fn item(lines: &[&str], at: usize) -> Option<String> {
    let below = below(lines, at);
    let indent = lines.get(at).map_or(0, |line| indentation(line));
    let start = below.and_then(|(line, _)| Some((line, named(lines.get(line)?)?)));
    let (line, (keyword, name)) = start.or_else(|| around(lines, at, indent))?;
    if keyword == "fn" || keyword == "const" {
        let outer = around(lines, line, indentation(lines.get(line)?));
        if let Some((_, ("impl" | "trait", outer))) = outer {
            return Some(format!("{outer}::{name}"));
        }
    }
    Some(name)
}

/// The name of the test function below the line `at` (from 0), if it is one that always runs: not ignored, not of some
/// configurations only.
pub(crate) fn test_below(lines: &[&str], at: usize) -> Option<String> {
    let (line, attributes) = below(lines, at)?;
    let (keyword, name) = named(lines.get(line)?)?;
    (attributes.test && !attributes.conditional && keyword == "fn").then_some(name)
}

/// What the attributes above an item make of it.
#[derive(Default)]
struct Attributes {
    test: bool,
    /// Ignored, or there in some configurations only.
    conditional: bool,
}

/// The first line below that is neither comment nor attribute, and the attributes that stood before it.
fn below(lines: &[&str], at: usize) -> Option<(usize, Attributes)> {
    let mut attributes = Attributes::default();
    let mut in_attribute = false;
    for (line, text) in lines.iter().enumerate().skip(at + 1) {
        let text = text.trim();
        if in_attribute {
            in_attribute = !text.ends_with(']');
        } else if let Some(attribute) = text.strip_prefix("#[") {
            let path = attribute.split(['(', ']', ' ']).next().unwrap_or_default();
            attributes.test |= path == "test" || path.ends_with("::test");
            attributes.conditional |= ["ignore", "cfg", "cfg_attr"].contains(&path);
            in_attribute = !text.ends_with(']');
        } else if !text.starts_with("//") {
            return Some((line, attributes));
        }
    }
    None
}

/// The nearest item above that the line lies in: indented less, and not over before it.
fn around(lines: &[&str], at: usize, indent: usize) -> Option<(usize, (&'static str, String))> {
    let mut limit = indent;
    for line in (0..at).rev() {
        let text = lines.get(line)?;
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with("//") || indentation(text) >= limit {
            continue;
        }
        if !trimmed.ends_with(';')
            && let Some(named) = named(text)
        {
            return Some((line, named));
        }
        // The end of a signature that began above, with the same indentation.
        limit = indentation(text) + usize::from(trimmed.starts_with([')', '{', '}']));
    }
    None
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Keyword and name of the item that begins on the line.
fn named(line: &str) -> Option<(&'static str, String)> {
    let mut words = line.trim_start();
    loop {
        let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
        let first = word.split(['(', '<']).next().unwrap_or_default();
        match first {
            "impl" => return Some(("impl", implemented(words.strip_prefix("impl")?))),
            "pub" | "async" | "unsafe" | "extern" | "default" => words = rest,
            "const" if rest.starts_with("fn ") => words = rest,
            _ => {
                let keyword = KEYWORDS.iter().find(|keyword| **keyword == word)?;
                return Some((keyword, identifier(rest)));
            }
        }
    }
}

/// The type of `impl<T> Trait for Type<T> {`.
fn implemented(text: &str) -> String {
    let text = text.trim_end_matches('{');
    let text = match text.strip_prefix('<') {
        Some(generics) => generics.split_once("> ").map_or(generics, |(_, rest)| rest),
        None => text,
    };
    let text = text.rsplit_once(" for ").map_or(text, |(_, of)| of).trim();
    let path = text.split(['<', ' ']).next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or_default().to_owned()
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The item that belongs to the line that holds `//=`.
    fn of(source: &str) -> Option<String> {
        let lines: Vec<_> = source.lines().collect();
        let at = lines.iter().position(|line| line.contains("//="))?;
        item(&lines, at)
    }

    #[test]
    fn the_function_around_a_line_is_found_past_blocks_and_long_signatures() {
        assert_eq!(
            of(
                "impl Core {\n    fn a(&self) {\n        x();\n    }\n\n    pub(crate) fn b(\n        &self,\n    ) -> bool {\n        \
                if y {\n            z();\n        }\n        match y {\n            //=\n            _ => 1,\n"
            ),
            Some("Core::b".to_owned())
        );
    }

    #[test]
    fn the_item_right_below_is_taken_before_the_one_around() {
        assert_eq!(
            of(
                "impl<T> Machine for Client<T> {\n    //=\n    /// Doc.\n    #[inline]\n    pub const fn on(self) {"
            ),
            Some("Client::on".to_owned())
        );
        assert_eq!(
            of("fn a() {\n    b();\n}\n\n//=\npub(crate) struct Timers {"),
            Some("Timers".to_owned())
        );
        assert_eq!(
            of("//=\nconst LIMIT: usize = 70;"),
            Some("LIMIT".to_owned())
        );
    }

    #[test]
    fn a_field_and_a_local_constant_belong_to_what_holds_them() {
        assert_eq!(
            of("pub struct Timers {\n    /// T1.\n    //=\n    pub t1: u64,\n}"),
            Some("Timers".to_owned())
        );
        assert_eq!(
            of("fn f() {\n    const A: u8 = 1;\n    if A == 1 {\n        //=\n        g();"),
            Some("f".to_owned())
        );
    }

    #[test]
    fn a_line_outside_everything_belongs_to_nothing() {
        assert_eq!(of("fn a() {\n}\n\n//=\nuse std::fmt;"), None);
    }

    #[test]
    fn only_a_function_with_a_test_attribute_is_a_test() {
        let test = |source: &str| test_below(&source.lines().collect::<Vec<_>>(), 0);
        assert_eq!(
            test(
                "//=\n/// Doc.\n#[test]\n#[should_panic(\n    expected = \"x\"\n)]\nfn it_holds() {"
            ),
            Some("it_holds".to_owned())
        );
        assert_eq!(
            test("//=\n#[tokio::test]\nasync fn it_holds() {"),
            Some("it_holds".to_owned())
        );
        assert_eq!(test("//=\nfn it_holds() {"), None);
        assert_eq!(test("//=\n#[test]\nstruct X;"), None);
        assert_eq!(test("//=\n#[cfg(test)]\nfn helper() {"), None);
        for attribute in [
            "#[ignore]",
            "#[ignore = \"slow\"]",
            "#[cfg(unix)]",
            "#[cfg_attr(unix, ignore)]",
        ] {
            for source in [
                format!("//=\n#[test]\n{attribute}\nfn it_holds() {{"),
                format!("//=\n{attribute}\n#[test]\nfn it_holds() {{"),
            ] {
                assert_eq!(test(&source), None, "{source}");
            }
        }
    }
}

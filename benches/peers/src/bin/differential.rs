//! Gives the same messages to our parser, sipx-sip and rsip, and sorts where they disagree into classes.
//! `differential [--count N] [--seed N] [--show CLASS]`: the table of classes with one example each, or examples of one class.
//! Which side is right is said in docs/parser-differences.md.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use peers::corpus::{mutation, samples};
use peers::reading::{Reading, rsip, sipx, tandem};
use sip_parser::HeaderTable;

struct Options {
    count: u64,
    seed: u64,
    show: Option<String>,
}

/// What a parser makes of a message.
type Read = fn(&[u8]) -> Reading;

/// A disagreement: who, what, and an example.
#[derive(Default)]
struct Class {
    kept: u64,
    mutated: u64,
    example: String,
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("differential [--count N] [--seed N] [--show CLASS]");
        return ExitCode::FAILURE;
    };
    let samples = match samples() {
        Ok(samples) => samples,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    // A peer that panics is a class of its own; its message would only fill the screen.
    std::panic::set_hook(Box::new(|_| {}));
    let mut classes = BTreeMap::new();
    let mut agreed = [0u64; 2];
    for sample in &samples {
        compare(
            &sample.name,
            &sample.bytes,
            true,
            &options,
            &mut classes,
            &mut agreed,
        );
    }
    for number in 0..options.count {
        let (name, bytes) = mutation(&samples, options.seed, number);
        compare(&name, &bytes, false, &options, &mut classes, &mut agreed);
    }
    if options.show.is_none() {
        print_table(&samples.len().to_string(), &options, &classes, agreed);
    }
    ExitCode::SUCCESS
}

fn options() -> Option<Options> {
    let mut options = Options {
        count: 100_000,
        seed: 1,
        show: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--count" => options.count = value.parse().ok()?,
            "--seed" => options.seed = value.parse().ok()?,
            "--show" => options.show = Some(value),
            _ => return None,
        }
    }
    Some(options)
}

/// Reads one message with all three, and notes each disagreement.
fn compare(
    name: &str,
    bytes: &[u8],
    is_kept: bool,
    options: &Options,
    classes: &mut BTreeMap<String, Class>,
    agreed: &mut [u64; 2],
) {
    let mut table = HeaderTable::default();
    let ours = tandem(bytes, &mut table);
    let peers: [(&str, Read); 2] = [("sipx-sip", sipx), ("rsip", rsip)];
    for (index, (peer, read)) in peers.into_iter().enumerate() {
        let theirs = catch_unwind(AssertUnwindSafe(|| read(bytes)));
        let found = match &theirs {
            Ok(theirs) => disagreements(&ours, theirs),
            Err(_) => vec![("panics".to_owned(), String::new())],
        };
        if found.is_empty() {
            agreed[index] += 1;
        }
        for (class, detail) in found {
            let key = format!("{peer}: {class}");
            if options.show.as_ref() == Some(&key) {
                println!(
                    "---- {name} {detail}\n{}",
                    String::from_utf8_lossy(bytes)
                        .escape_debug()
                        .to_string()
                        .replace("\\r\\n", "\n")
                );
            }
            let class = classes.entry(key).or_default();
            if is_kept {
                class.kept += 1;
            } else {
                class.mutated += 1;
            }
            if class.example.is_empty() {
                class.example = format!("{name} {detail}");
            }
        }
    }
}

/// The classes of disagreement between two readings, each with what is particular to this message.
fn disagreements(ours: &Reading, theirs: &Reading) -> Vec<(String, String)> {
    match (ours, theirs) {
        (Err(_), Err(_)) => Vec::new(),
        (Err(ours), Ok(_)) => vec![(format!("accepts what we refuse as {ours}"), String::new())],
        (Ok(_), Err(theirs)) => {
            vec![(format!("refuses as {theirs} what we accept"), String::new())]
        }
        (Ok(ours), Ok(theirs)) => ours
            .all()
            .into_iter()
            .zip(theirs.all())
            .filter(|(ours, theirs)| ours.1 != theirs.1)
            .map(|((field, ours), (_, theirs))| {
                (
                    format!("reads another {field}"),
                    format!("ours {ours:?}, theirs {theirs:?}"),
                )
            })
            .collect(),
    }
}

fn print_table(kept: &str, options: &Options, classes: &BTreeMap<String, Class>, agreed: [u64; 2]) {
    println!(
        "{kept} messages and {} mutations of them (seed {})",
        options.count, options.seed
    );
    println!(
        "agreed with sipx-sip on {}, with rsip on {}\n",
        agreed[0], agreed[1]
    );
    println!("{:>6} {:>7}  class", "kept", "mutated");
    for (name, class) in classes {
        println!(
            "{:>6} {:>7}  {name}\n{:16}  e.g. {}",
            class.kept,
            class.mutated,
            "",
            class.example.escape_debug()
        );
    }
}

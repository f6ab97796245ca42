//! The checks over whole files, by good and bad examples.

use super::*;

fn read(files: &[(&str, &str)]) -> (Ledger, Vec<String>) {
    let rfcs = sections::tests::some_rfcs();
    let mut reader = Reader::new(&rfcs);
    for (file, text) in files {
        reader.read(file, text);
    }
    reader.close()
}

const OBEYS: &str =
    "fn respond() {\n    //= RFC 3261 §16.7(5): a 2xx goes | upstream\n    f();\n}\n";
const PROOF: &str = "//= proves RFC 3261 §16.7(5)\n#[test]\nfn a_2xx_goes_upstream() {\n}\n";

#[test]
fn a_clause_with_its_proof_makes_a_row_with_both_places() {
    let (ledger, faults) = read(&[("crates/p/src/a.rs", OBEYS), ("crates/p/tests/b.rs", PROOF)]);
    assert_eq!(faults, Vec::<String>::new());
    let text = ledger.markdown(&sections::tests::some_rfcs());
    assert!(text.contains("### RFC 3261: SIP\n"), "{text}");
    assert!(
        text.contains(
            "| §16.7(5) | Response Processing | a 2xx goes \\| upstream | [`p/a.rs`](../crates/p/src/a.rs) `respond` \
             | [`a_2xx_goes_upstream`](../crates/p/tests/b.rs) |\n"
        ),
        "{text}"
    );
}

#[test]
fn departures_and_refusals_have_tables_of_their_own() {
    let code = "//= departs RFC 3261 §16.10: waits; because it must\nfn f() {}\n\
                //= refuses RFC 3261 §A: none; because of state\nfn g() {}\n";
    let proof = "//= proves departure RFC 3261 §16.10\n#[test]\nfn t() {}\n";
    let (ledger, faults) = read(&[("crates/a.rs", code), ("crates/b.rs", proof)]);
    assert_eq!(faults, Vec::<String>::new());
    let text = ledger.markdown(&sections::tests::some_rfcs());
    let of = |heading: &str| text.split(heading).nth(1).unwrap_or_default().to_owned();
    assert!(
        of("## Departures").contains("| RFC 3261 §16.10 | CANCEL Processing | waits | it must |"),
        "{text}"
    );
    assert!(
        of("## Refused").contains("| RFC 3261 §A | Timers | none | of state |"),
        "{text}"
    );
}

#[test]
fn a_departure_and_the_clause_itself_are_proved_each_by_its_own_tests() {
    let obeys = "fn f() {\n    //= RFC 3261 §16.10: goes\n    g();\n}\n";
    let departs =
        "fn h() {\n    //= departs RFC 3261 §16.10: waits; because it must\n    g();\n}\n";
    let proof = "//= proves RFC 3261 §16.10\n#[test]\nfn it_goes() {\n}\n";
    let other = "//= proves departure RFC 3261 §16.10\n#[test]\nfn it_waits() {\n}\n";
    let (code, test) = ("crates/a.rs", "crates/b.rs");
    let (ledger, faults) = read(&[
        (code, obeys),
        ("crates/c.rs", departs),
        (test, proof),
        ("crates/d.rs", other),
    ]);
    assert_eq!(faults, Vec::<String>::new());
    let text = ledger.markdown(&sections::tests::some_rfcs());
    let row = |what: &str| {
        text.lines()
            .find(|line| line.contains(what))
            .unwrap_or_default()
    };
    assert!(
        row("| goes |").contains("it_goes") && !row("| goes |").contains("it_waits"),
        "{text}"
    );
    assert!(
        row("| waits |").contains("it_waits") && !row("| waits |").contains("it_goes"),
        "{text}"
    );
    for (files, said) in [
        (
            [(code, departs), (test, proof)],
            "crates/a.rs:2: no test says `//= proves departure RFC 3261 §16.10`",
        ),
        (
            [(code, departs), (test, proof)],
            "crates/b.rs:1: proves RFC 3261 §16.10, of which no code",
        ),
        (
            [(code, obeys), (test, other)],
            "crates/a.rs:2: no test says `//= proves RFC 3261 §16.10`",
        ),
        (
            [(code, obeys), (test, other)],
            "crates/b.rs:1: proves departure RFC 3261 §16.10, of which no code",
        ),
    ] {
        let (_, faults) = read(&files);
        assert!(
            faults.iter().any(|fault| fault.starts_with(said)),
            "{said} is not in {faults:?}"
        );
    }
}

#[test]
fn the_order_in_which_files_are_read_does_not_show() {
    let files = [
        ("crates/p/src/a.rs", OBEYS),
        ("crates/p/src/c.rs", OBEYS),
        ("crates/p/tests/b.rs", PROOF),
    ];
    let mut backwards = files;
    backwards.reverse();
    let rfcs = sections::tests::some_rfcs();
    assert_eq!(
        read(&files).0.markdown(&rfcs),
        read(&backwards).0.markdown(&rfcs)
    );
}

#[test]
fn each_fault_is_told_with_its_file_and_line() {
    for (file, text, said) in [
        (
            "crates/a.rs",
            OBEYS,
            "crates/a.rs:2: no test says `//= proves RFC 3261 §16.7(5)`",
        ),
        (
            "crates/a.rs",
            PROOF,
            "crates/a.rs:1: proves RFC 3261 §16.7(5), of which no code",
        ),
        (
            "crates/a.rs",
            "//= proves RFC 3261 §16.7(5)\nfn f() {}\n",
            "crates/a.rs:1: this proof is not above a test",
        ),
        (
            "crates/a.rs",
            "//= proves RFC 3261 §16.7(5)\n#[test]\n#[ignore]\nfn f() {}\n",
            "crates/a.rs:1: this proof is not above a test that always runs",
        ),
        (
            "crates/a.rs",
            "\n// As §16.17 asks.\n",
            "crates/a.rs:2: RFC 3261 has no §16.17",
        ),
        (
            "crates/a.rs",
            "let a = 1; // RFC 3261 §16.7(12)\n",
            "crates/a.rs:1: RFC 3261 §16.7(12): the steps",
        ),
        (
            "crates/a.rs",
            "//! RFC 4028 §8.2.\n\n// Not §16.7 here.\n",
            "crates/a.rs:3: RFC 4028 has no §16.7",
        ),
        (
            "docs/a.md",
            "One line.\nRFC 3261 §16.7, §16.9\n",
            "docs/a.md:2: RFC 3261 has no §16.9",
        ),
        (
            "docs/a.md",
            "| RFC 9999 |\n",
            "docs/a.md:1: RFC 9999 is not in",
        ),
        (
            "crates/a.rs",
            "//= RFC 3261 §99: x\nfn f() {}\n",
            "crates/a.rs:1: RFC 3261 has no §99",
        ),
        (
            "crates/a.rs",
            "//= refuses RFC 3261 §A: none; because §99 says\nfn f() {}\n",
            "crates/a.rs:1: RFC 3261 has no §99",
        ),
        (
            "crates/a.rs",
            "//= RFC 3261 16.7: x\n",
            "crates/a.rs:1: the clause is not followed",
        ),
    ] {
        let (_, faults) = read(&[(file, text)]);
        assert!(
            faults.iter().any(|fault| fault.starts_with(said)),
            "{said} is not in {faults:?}"
        );
    }
}

#[test]
fn a_refusal_needs_no_proof_and_may_have_one() {
    let refuses = "//= refuses RFC 3261 §A: none; because of state\nfn g() {}\n";
    let proof = "//= proves RFC 3261 §A\n#[test]\nfn t() {}\n";
    assert_eq!(read(&[("crates/a.rs", refuses)]).1, Vec::<String>::new());
    assert_eq!(
        read(&[("crates/a.rs", refuses), ("crates/b.rs", proof)]).1,
        Vec::<String>::new()
    );
}

#[test]
fn every_citation_exists_every_clause_is_proved_and_the_document_is_what_the_code_says() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::set_current_dir(top).expect("the top of the workspace");
    if let Err(faults) = run(true) {
        panic!("\n{faults}");
    }
}

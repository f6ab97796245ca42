//! A process killed with SIGKILL loses nothing that it had told anyone after `write_out`.
//! The test starts itself as the victim, reads what it tells, kills it at a random moment, and recovers its journal.

#[path = "../src/test_records.rs"]
mod test_records;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use storage::{Journal, JournalOptions, recover};

const DIRECTORY: &str = "STORAGE_KILL_TEST_DIRECTORY";

/// Answers call after call and ends each one but every third; tells each number only after it is written out.
#[test]
#[ignore = "the victim of the other test, which starts it"]
fn victim() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let mut options = JournalOptions::new(PathBuf::from(directory), "n1".into(), 1, 0);
    options.segment_bytes = 20_000;
    let mut journal = Journal::create(options).unwrap();
    for call in 0u128.. {
        journal.append(&test_records::answered(call)).unwrap();
        if !call.is_multiple_of(3) {
            journal.append(&test_records::ended(call)).unwrap();
        }
        journal.write_out().unwrap();
        println!("told {call}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_it_had_told() {
    for round in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let told = |line: &str| {
            line.split_once("told ")
                .and_then(|(_, call)| call.parse::<u128>().ok())
        };
        let enough = fastrand::u128(20..2_000);
        let mut last = lines
            .by_ref()
            .find_map(|line| told(&line.unwrap()).filter(|call| *call >= enough))
            .unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        // What it told between our decision and its death counts as well.
        for line in lines {
            last = told(&line.unwrap()).unwrap_or(last);
        }
        let recovery = recover(directory.path()).unwrap();
        assert_eq!(recovery.damaged, [], "round {round}");
        let open: Vec<_> = recovery
            .calls
            .iter()
            .map(|call| call.cdr.cdr_id.as_u128())
            .collect();
        let expected: Vec<_> = (0..=last).filter(|call| call.is_multiple_of(3)).collect();
        // At most the one call it was writing may be there beside those it had told.
        let extra: Vec<_> = open.iter().filter(|call| **call > last).collect();
        assert!(extra.len() <= 1, "round {round}: {extra:?}");
        assert_eq!(
            open[..open.len() - extra.len()],
            expected[..],
            "round {round}"
        );
    }
}

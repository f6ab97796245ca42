//! What an operator gets wrong: one clear line on standard error, exit code 1, nothing half done.

use std::fs;
use std::net::UdpSocket;
use std::process::Output;
use std::time::Duration;

use loadtests::proxy_process::ProxyProcess;

use crate::support::proxy::Setup;
use crate::support::shared_machine;

/// Runs the proxy, which must end by itself with exit code 1, and returns what it wrote.
fn run_fails(setup: &Setup) -> String {
    setup.write_config();
    let log = setup.path().join("fault.log");
    // What an earlier run of the same drill wrote is not of this one.
    let _ = fs::remove_file(&log);
    let mut process = ProxyProcess::spawn(setup.command(&["run"]), &log).expect("the binary runs");
    let text = || fs::read_to_string(&log).unwrap_or_default();
    match process.wait(Duration::from_secs(20)) {
        Ok(status) => assert_eq!(status.code(), Some(1), "{}", text()),
        Err(error) => panic!("{error}: {}", text()),
    }
    text()
}

/// The proxy refuses to run with exactly one line, which holds every one of `words`.
fn one_line(setup: &mut Setup, words: &[&str]) {
    setup.set("log.level", "\"off\"");
    let text = run_fails(setup);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert_eq!(lines.len(), 1, "one line, not: {text}");
    for word in words {
        assert!(
            lines[0].contains(word),
            "`{word}` is missing in: {}",
            lines[0]
        );
    }
    assert!(!lines[0].contains("panicked"), "{text}");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    setup
}

#[test]
fn a_port_held_by_another_tandem_is_refused() {
    let _machine = shared_machine();
    let first = setup();
    let proxy = first.start();
    let mut second = setup();
    second.sip = first.sip;
    second.load();
    one_line(&mut second, &[&first.sip.to_string(), "in use"]);
    assert_eq!(proxy.get("/readyz").status, 200, "the first goes on");
    proxy.stop();
}

#[test]
fn a_port_held_by_any_other_program_is_refused() {
    let _machine = shared_machine();
    let mut setup = setup();
    setup.load();
    let _occupant = UdpSocket::bind(setup.sip).expect("free");
    let sip = setup.sip.to_string();
    one_line(&mut setup, &[&sip, "in use"]);
}

#[test]
fn an_admin_port_in_use_is_refused() {
    let _machine = shared_machine();
    let mut setup = setup();
    setup.load();
    let _occupant = std::net::TcpListener::bind(setup.admin).expect("free");
    let admin = setup.admin.to_string();
    one_line(&mut setup, &[&admin]);
}

#[test]
fn directories_held_by_another_tandem_are_refused() {
    let _machine = shared_machine();
    let first = setup();
    let proxy = first.start();
    let mut second = setup();
    let journal = first.path().join("journal").display().to_string();
    second.load();
    second.set("journal.directory", &format!("\"{journal}\""));
    one_line(&mut second, &[&journal]);
    proxy.stop();
}

#[test]
fn a_store_that_cannot_be_opened_is_refused_by_its_path() {
    let _machine = shared_machine();
    let mut setup = setup();
    // A directory of this name can't be made: there is a file.
    fs::write(setup.path().join("file"), "").expect("written");
    let path = setup.path().join("file/tandem.db").display().to_string();
    setup.set("store.url", &format!("\"sqlite://{path}\""));
    one_line(&mut setup, &["file"]);
}

#[test]
fn a_store_that_is_no_database_is_refused() {
    let _machine = shared_machine();
    let mut setup = setup();
    fs::write(
        setup.path().join("tandem.db"),
        "this is no database, but it is long enough to look at",
    )
    .expect("written");
    one_line(&mut setup, &["database"]);
}

#[test]
fn a_store_of_an_unknown_kind_is_refused_with_what_is_allowed() {
    let _machine = shared_machine();
    let mut setup = setup();
    setup.set("store.url", "\"oracle://scott:tiger@db/tandem\"");
    setup.set("log.level", "\"off\"");
    let text = run_fails(&setup);
    assert!(text.contains("sqlite://"), "{text}");
    assert!(!text.contains("tiger"), "no password in an error: {text}");
}

#[test]
fn a_journal_directory_that_cannot_be_written_is_refused() {
    let _machine = shared_machine();
    let mut setup = setup();
    setup.load();
    fs::write(setup.path().join("file"), "").expect("written");
    let directory = setup.path().join("file/journal").display().to_string();
    setup.set("journal.directory", &format!("\"{directory}\""));
    one_line(&mut setup, &[&directory]);
    // Root may write anywhere but here.
    setup.set("journal.directory", "\"/proc/tandem-journal\"");
    one_line(&mut setup, &["/proc/tandem-journal"]);
}

#[test]
fn every_fault_of_a_configuration_is_named_with_file_line_and_key() {
    let _machine = shared_machine();
    let setup = setup();
    let path = setup.path().join("tandem.toml");
    let text = format!(
        "[runtime]\nwrokers = 2\n\n[[listen]]\ntransport = \"carrier-pigeon\"\naddress = \"{}\"\n\n[journal]\nflush_ms = \"soon\"\n",
        setup.sip
    );
    fs::write(&path, text).expect("written");
    for command in ["check", "run"] {
        let output = setup.tandem(&[command]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let error = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        for (line, words) in [
            (2, ["wrokers", "workers"]),
            (5, ["carrier-pigeon", "udp"]),
            (9, ["flush_ms", "number"]),
        ] {
            let place = format!("tandem.toml:{line}");
            let found = error.lines().find(|text| text.contains(&place));
            let found =
                found.unwrap_or_else(|| panic!("{command}: nothing about {place} in:\n{error}"));
            assert!(
                words.iter().all(|word| found.contains(word)),
                "{command}: {found}"
            );
        }
    }
}

#[test]
fn a_configuration_file_that_is_not_there_is_named() {
    let _machine = shared_machine();
    let setup = setup();
    let output = setup.tandem(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("tandem.toml"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn every_fault_of_the_tables_is_named_with_file_line_and_column_and_nothing_is_loaded() {
    let _machine = shared_machine();
    let mut setup = setup();
    setup.load();
    let before = export(&setup);
    setup.table(
        "routes.csv",
        "plan,prefix,vendor\nworld,49,nobody\nworld,4x,good\n",
    );
    setup.table(
        "rates.csv",
        "sheet,prefix,rate\nretail,49,-1\nretail,50,cheap\n",
    );
    setup.table(
        "customers.csv",
        "name,rate_sheet,routing_plan,colour\nacme,retail,world,red\n",
    );
    let tables = setup.write_tables().display().to_string();
    let output = setup.tandem(&["load", &tables]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    for place in [
        "routes.csv:3: prefix",
        "rates.csv:2: rate",
        "rates.csv:3: rate",
        "customers.csv:1: \"colour\": is not a column",
    ] {
        assert!(error.contains(place), "nothing about {place} in:\n{error}");
    }
    assert_eq!(export(&setup), before, "all or nothing");

    // A reference to what does not exist is found once the cells are sound.
    setup.table("routes.csv", "plan,prefix,vendor\nworld,49,nobody\n");
    setup.table("rates.csv", "sheet,prefix,rate\nretail,49,1\n");
    setup.table(
        "customers.csv",
        "name,rate_sheet,routing_plan\nacme,retail,world\n",
    );
    setup.write_tables();
    let output = setup.tandem(&["load", &tables]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(
        error.contains("routes.csv:2: vendor") && error.contains("nobody"),
        "{error}"
    );
    assert_eq!(export(&setup), before, "all or nothing");
}

#[test]
fn what_was_exported_can_be_loaded_again_and_is_the_same() {
    let _machine = shared_machine();
    let setup = setup();
    setup.load();
    let first = export(&setup);
    assert_eq!(first.len(), 7, "seven tables: {first:?}");
    let exported = setup.path().join("exported").display().to_string();
    let output = setup.tandem(&["load", &exported, "--replace"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(export(&setup), first);
}

/// All tables of the store as CSV.
fn export(setup: &Setup) -> Vec<(String, String)> {
    let directory = setup.path().join("exported");
    let output = setup.tandem(&["export", &directory.display().to_string()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut files: Vec<_> = fs::read_dir(&directory)
        .expect("listed")
        .map(|entry| entry.expect("listed").path())
        .map(|path| {
            let name = path
                .file_name()
                .expect("named")
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(&path).expect("read"))
        })
        .collect();
    files.sort();
    files
}

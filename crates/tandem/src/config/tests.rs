use super::*;

fn faults_of(text: &str) -> Vec<String> {
    lines(parse(Some(("t.toml", text)), &[]))
}

fn faults_of_environment(variables: &[(&str, &str)]) -> Vec<String> {
    let environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    lines(parse(None, &environment))
}

fn lines(result: Result<Config, ConfigError>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn no_file_and_no_environment_give_the_documented_defaults() {
    let config = parse(None, &[]).unwrap();
    assert_eq!(config.file, None);
    assert_eq!(config.listen.len(), 1);
    assert_eq!(config.listen[0].address.to_string(), "127.0.0.1:5060");
    assert_eq!(config.listen[0].advertise, "127.0.0.1:5060");
    assert_eq!(config.store.url(), "sqlite://tandem-data/tandem.db");
    assert_eq!(config.store.directory(), Path::new("tandem-data"));
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:8060");
    assert_eq!(config.runtime.workers, 0);
    assert!(!config.runtime.node.is_empty());
    assert_eq!(
        format!("{:?}", config.policy),
        format!("{:?}", proxy_core::Policy::default())
    );
}

#[test]
fn every_default_of_the_schema_is_accepted_and_changes_nothing() {
    let mut text = String::new();
    let mut section = "";
    for spec in SCHEMA.iter().filter(|spec| !spec.default.is_empty()) {
        if spec.section != section {
            section = spec.section;
            text += &if section == "listen" {
                "[[listen]]\n".to_owned()
            } else {
                format!("[{section}]\n")
            };
        }
        text += &format!("{} = {}\n", spec.name, spec.default);
    }
    let written = parse(Some(("t.toml", &text)), &[]).unwrap();
    let built_in = Config {
        file: Some("t.toml".to_owned()),
        ..parse(None, &[]).unwrap()
    };
    assert_eq!(format!("{written:?}"), format!("{built_in:?}"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = "[runtime]\nworkers = 3\nnode = \"a\"\n[[listen]]\naddress = \"127.0.0.1:5070\"\n[[listen]]\naddress = \"127.0.0.1:5071\"\n";
    let environment = [
        ("TANDEM__RUNTIME__WORKERS", "2"),
        ("TANDEM__LISTEN__1__ADVERTISE", "203.0.113.7:5060"),
        ("TANDEM__PROXY__REFUSE_METHODS", "REGISTER, INFO"),
        ("TANDEM__FAILOVER__AFTER_RINGING", "true"),
        ("TANDEM__STORE__URL", "sqlite:///var/lib/tandem/t.db"),
        ("HOME", "/root"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = parse(Some(("t.toml", text)), &environment).unwrap();
    assert_eq!(
        (config.runtime.workers, config.runtime.node.as_str()),
        (2, "a")
    );
    assert_eq!(config.listen[1].address.port(), 5071);
    assert_eq!(config.listen[1].advertise, "203.0.113.7:5060");
    assert_eq!(
        config.policy.refuse_methods,
        [b"REGISTER".to_vec(), b"INFO".to_vec()]
    );
    assert!(config.policy.hunt_after_ringing);
    assert_eq!(config.store.path(), Path::new("/var/lib/tandem/t.db"));
}

#[test]
fn a_listener_can_come_from_the_environment_alone() {
    let environment = [(
        "TANDEM__LISTEN__0__ADDRESS".to_owned(),
        "127.0.0.1:5099".to_owned(),
    )];
    let config = parse(None, &environment).unwrap();
    assert_eq!(config.listen.len(), 1);
    assert_eq!(config.listen[0].address.port(), 5099);
}

#[test]
fn faults_of_a_file_name_line_key_and_what_is_allowed() {
    let table: &[(&str, &str)] = &[
        (
            "[runtime]\nwrokers = 2\n",
            "t.toml:2: runtime.wrokers: unknown key; did you mean \"workers\"?; allowed: node, workers, offload_threads, drain_timeout_s",
        ),
        (
            "[jurnal]\n",
            "t.toml:1: jurnal: unknown section; did you mean \"journal\"?; allowed: runtime, listen, store, journal, admin, proxy, session_timer, failover, limits, lookup, offload, log",
        ),
        (
            "\n[runtime]\nworkers = \"two\"\n",
            "t.toml:3: runtime.workers: is a string; allowed: a whole number from 0 to 250",
        ),
        (
            "[runtime]\nworkers = 251\n",
            "t.toml:2: runtime.workers: 251 is out of range; allowed: a whole number from 0 to 250",
        ),
        (
            "[session_timer]\nmin_se_s = 1800\nsession_expires_s = 900\n",
            "t.toml:3: session_timer.session_expires_s: 900 is below min_se_s; allowed: 0, or a whole number from 1800 to 86400",
        ),
        (
            "[session_timer]\nmin_se_s = 60\n",
            "t.toml:2: session_timer.min_se_s: 60 is out of range; allowed: a whole number from 90 to 86400",
        ),
        (
            "[failover]\ntimer_c_s = 180\n",
            "t.toml:2: failover.timer_c_s: 180 is out of range; allowed: a whole number from 181 to 3600",
        ),
        (
            "[failover]\nafter_ringing = 1\n",
            "t.toml:2: failover.after_ringing: is an integer; allowed: true or false",
        ),
        (
            "[failover]\nnext = [\"5xx\", \"200\"]\n",
            "t.toml:2: failover.next: \"200\" is no final status of a failure; allowed: 300 to 599, \"3xx\", \"4xx\", \"5xx\" (what a 6xx does is `on_6xx` in vendors.csv)",
        ),
        (
            "[failover]\nnext = [\"5xx\", \"6xx\"]\n",
            "t.toml:2: failover.next: \"6xx\" is no final status of a failure; allowed: 300 to 599, \"3xx\", \"4xx\", \"5xx\" (what a 6xx does is `on_6xx` in vendors.csv)",
        ),
        (
            "[failover]\nredirects_max = 21\n",
            "t.toml:2: failover.redirects_max: 21 is out of range; allowed: a whole number from 0 to 20",
        ),
        (
            "[failover]\nnext = [503]\n",
            "t.toml:2: failover.next: is an array; allowed: a list of statuses from 300 to 599 and classes \"3xx\", \"4xx\", \"5xx\"",
        ),
        (
            "[log]\nformat = \"jsn\"\n",
            "t.toml:2: log.format: \"jsn\" is not allowed; did you mean \"json\"?; allowed: \"text\", \"json\"",
        ),
        (
            "[log]\nlevel = \"loud\"\n",
            "t.toml:2: log.level: \"loud\" is no level; allowed: error, warn, info, debug, trace or off, or directives such as \"warn,tandem=debug\"",
        ),
        (
            "[[listen]]\ntransport = \"tcp\"\n",
            "t.toml:2: listen[0].transport: the transport \"tcp\" is not part of this version; allowed: \"udp\"",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:5060\"\n",
            "t.toml:2: listen[0].address: 0.0.0.0:5060 is a wildcard and no peer can answer it; set `advertise` to the address that peers reach",
        ),
        (
            "[[listen]]\naddress = \"localhost\"\n",
            "t.toml:2: listen[0].address: \"localhost\" is no address; allowed: IP:PORT, an IPv6 address in brackets",
        ),
        (
            "[[listen]]\nadvertise = \"a:b:c\"\n",
            "t.toml:2: listen[0].advertise: \"a:b:c\" can't be advertised; allowed: HOST or HOST:PORT, an IPv6 address in brackets",
        ),
        (
            "[[listen]]\n[[listen]]\n",
            "t.toml:2: listen[1].address: 127.0.0.1:5060 is written twice; allowed: each address once",
        ),
        (
            "[listen]\naddress = \"127.0.0.1:5060\"\n",
            "t.toml:1: listen: is one table; each listener is written as [[listen]]",
        ),
        (
            "listen = []\n",
            "t.toml:1: listen: 0 listeners; allowed: 1 to 64",
        ),
        (
            "runtime = 3\n",
            "t.toml:1: runtime: is no table; write it as [runtime] with its keys below",
        ),
        (
            "[store]\nurl = \"postgres://tandem:hunter2@db/tandem\"\n",
            "t.toml:2: store.url: postgres:// is not part of this version; allowed: sqlite://PATH",
        ),
        (
            "[store]\nurl = \"hunter2\"\n",
            "t.toml:2: store.url: is no URL of a store; allowed: sqlite://PATH",
        ),
        (
            "[store]\nurl = \"sqlite://a.db?mode=rwc\"\n",
            "t.toml:2: store.url: has parameters; allowed: sqlite://PATH without any",
        ),
        (
            "[store]\nurl = \"sqlite://\"\n",
            "t.toml:2: store.url: names no file; allowed: sqlite://PATH",
        ),
        (
            "[proxy]\nrefuse_methods = [\"BYE\"]\n",
            "t.toml:2: proxy.refuse_methods: \"BYE\" can't be refused; allowed: SIP methods other than INVITE, ACK, CANCEL, BYE",
        ),
        (
            "[runtime]\nnode = \"a b\"\n",
            "t.toml:2: runtime.node: \"a b\" is no node name; allowed: at most 64 letters, digits, `.`, `_`, `-`",
        ),
        (
            "[journal]\ndirectory = \"\"\n",
            "t.toml:2: journal.directory: is empty; allowed: a path; a relative one starts at the working directory",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(faults_of(text), [*expected], "{text}");
    }
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_file() {
    let found = faults_of("[log]\nlevl = \"info\"\n[runtime]\nworkers = -1\n[admin]\nport = 1\n");
    let places: Vec<_> = found
        .iter()
        .map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        places,
        [
            "t.toml:2 log.levl",
            "t.toml:4 runtime.workers",
            "t.toml:6 admin.port"
        ]
    );
}

#[test]
fn text_that_is_no_toml_is_one_fault_with_its_line() {
    let found = faults_of("[runtime]\nworkers = = 2\n");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("t.toml:2: not valid TOML: "),
        "{}",
        found[0]
    );
}

#[test]
fn faults_of_the_environment_name_the_variable() {
    let table: &[(&str, &str, &str)] = &[
        (
            "TANDEM__RUNTIME__WORKERS",
            "many",
            "TANDEM__RUNTIME__WORKERS: runtime.workers: \"many\" is no number; allowed: a whole number from 0 to 250",
        ),
        (
            "TANDEM__STORE__URI",
            "x",
            "TANDEM__STORE__URI: store.uri: unknown key; did you mean \"url\"?; allowed: url",
        ),
        (
            "TANDEM__STROE__URL",
            "x",
            "TANDEM__STROE__URL: stroe: unknown section; did you mean \"store\"?; allowed: runtime, listen, store, journal, admin, proxy, session_timer, failover, limits, lookup, offload, log",
        ),
        (
            "TANDEM__STORE__URL",
            "mysql://u:hunter2@db/x",
            "TANDEM__STORE__URL: store.url: mysql:// is not part of this version; allowed: sqlite://PATH",
        ),
        (
            "TANDEM__STORE",
            "x",
            "TANDEM__STORE: unknown variable; a key is written as TANDEM__SECTION__KEY",
        ),
        (
            "TANDEM__LISTEN__ADDRESS",
            "127.0.0.1:5060",
            "TANDEM__LISTEN__ADDRESS: listen: a listener is written as TANDEM__LISTEN__0__ADDRESS",
        ),
        (
            "TANDEM__LISTEN__0__ADDRESS",
            "0.0.0.0:5060",
            "TANDEM__LISTEN__0__ADDRESS: listen[0].address: 0.0.0.0:5060 is a wildcard and no peer can answer it; set `advertise` to the address that peers reach",
        ),
        (
            "TANDEM__FAILOVER__AFTER_RINGING",
            "yes",
            "TANDEM__FAILOVER__AFTER_RINGING: failover.after_ringing: \"yes\" is not allowed; allowed: true or false",
        ),
    ];
    for (name, value, expected) in table {
        assert_eq!(
            faults_of_environment(&[(name, value)]),
            [*expected],
            "{name}"
        );
    }
}

#[test]
fn no_fault_and_no_debug_output_repeats_the_password_of_a_store_url() {
    for url in [
        "postgres://u:hunter2@db/x",
        "hunter2",
        "sqlite://hunter2/x.db",
    ] {
        let text = format!("[store]\nurl = \"{url}\"\n");
        match parse(Some(("t.toml", &text)), &[]) {
            Ok(config) => assert!(!format!("{config:?}").contains("hunter2")),
            Err(error) => assert!(!error.to_string().contains("hunter2"), "{error}"),
        }
    }
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let error = read(Some(Path::new("/nonexistent/t.toml"))).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/t.toml: can't be read: "),
        "{error}"
    );
}

#[test]
fn the_reference_documents_every_key_with_default_and_allowed_values() {
    let reference = include_str!("../../../../docs/configuration.md");
    for spec in SCHEMA {
        let default = if spec.default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", spec.default)
        };
        let row = format!(
            "| `{}` | {} | {default} | {} | {} |",
            spec.name,
            spec.unit,
            spec.kind.allowed(),
            spec.about
        )
        .replace("|  |", "| |");
        assert!(
            reference.contains(&row),
            "docs/configuration.md lacks the row\n{row}"
        );
    }
}

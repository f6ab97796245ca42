//! What the workspace may depend on: the sans-IO crates reach no runtime, socket or clock, and no crate points
//! against the direction of the design. Read from `cargo tree` and `cargo metadata`, so that a new dependency cannot slip in.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot be set up fails by saying what was missing"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand};

/// Crates that are given `now` and bytes, and return bytes, jobs and records.
const SANS_IO: &[&str] = &[
    "sip-parser",
    "transaction-layer",
    "accounting",
    "routing",
    "proxy-core",
];

/// Crates that open sockets, run tasks, or bind to the operating system.
const FORBIDDEN: &[&str] = &[
    "async-global-executor",
    "async-io",
    "async-std",
    "axum",
    "crossbeam-channel",
    "futures-executor",
    "getrandom",
    "hyper",
    "io-uring",
    "libc",
    "mio",
    "monoio",
    "nix",
    "polling",
    "quinn-udp",
    "rustix",
    "smol",
    "socket2",
    "sqlx",
    "tokio",
    "windows-sys",
];

/// What each crate may use of this workspace at run time; nothing else.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("sip-parser", &[]),
    ("accounting", &[]),
    ("offload", &[]),
    ("transaction-layer", &["sip-parser"]),
    ("routing", &["accounting"]),
    (
        "proxy-core",
        &["accounting", "routing", "sip-parser", "transaction-layer"],
    ),
    ("storage", &["accounting", "offload", "routing"]),
    (
        "sim",
        &[
            "accounting",
            "proxy-core",
            "routing",
            "sip-parser",
            "transaction-layer",
        ],
    ),
    (
        "tandem",
        &[
            "accounting",
            "offload",
            "proxy-core",
            "routing",
            "sip-parser",
            "storage",
            "transaction-layer",
        ],
    ),
    (
        "instructions",
        &["sip-parser", "transaction-layer", "routing", "proxy-core"],
    ),
    ("loadtests", &[]),
    ("xtask", &[]),
];

/// Ways to a clock, a socket or a thread that `clippy.toml` of a sans-IO crate must refuse.
const REFUSED: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::net::UdpSocket",
    "std::thread::spawn",
];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    // Only this machine's dependencies: those of other systems may not even be downloaded.
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    MetadataCommand::new()
        .manifest_path(manifest)
        .features(CargoOpt::AllFeatures)
        .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), host])
        .exec()
        .expect("cargo metadata")
}

/// Every package that `name` links when it is built for itself, with the features that it asks for: in the
/// metadata of the workspace it would seem to link what other members turn on in the crates they share.
fn linked(name: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--locked",
            "--package",
            name,
            "--edges",
            "normal,no-proc-macro",
        ])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_sans_io_crates_reach_no_runtime_socket_or_operating_system() {
    for name in SANS_IO {
        let linked = linked(name);
        assert!(linked.contains(*name), "the crate itself is listed");
        for forbidden in FORBIDDEN {
            assert!(
                !linked.contains(*forbidden),
                "{name} links {forbidden}; see cargo tree -p {name} -i {forbidden}"
            );
        }
    }
    // The search itself finds what is there.
    assert!(linked("tandem").contains("tokio"));
}

#[test]
fn no_crate_points_against_the_direction_of_the_design() {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let known: BTreeSet<&str> = DIRECTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, known, "a new crate needs a place in the design");
    for package in metadata.workspace_packages() {
        let allowed = DIRECTIONS
            .iter()
            .find(|(name, _)| *name == package.name.as_str())
            .expect("known")
            .1;
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
        {
            let name = dependency.name.as_str();
            assert!(
                !members.contains(name) || allowed.contains(&name),
                "{} must not use {name}",
                package.name
            );
        }
    }
}

#[test]
fn the_sans_io_crates_have_lints_against_clocks_sockets_and_threads() {
    for name in SANS_IO {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(name)
            .join("clippy.toml");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for refused in REFUSED {
            let entry = format!("path = \"{refused}\"");
            assert!(
                text.contains(&entry),
                "{} does not refuse {refused}",
                path.display()
            );
        }
    }
}

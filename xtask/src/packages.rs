//! Debian packages that the tests and the counting of instructions need: installed when missing and permitted, else named.
//! Only `sip-tester` (the program `sipp`) and `valgrind`.
//! Leaves out other distributions: there the message says which program is missing.

use std::path::Path;
use std::process::Command;

/// A program and the Debian package that brings it.
struct Needed {
    program: &'static str,
    package: &'static str,
}

const SIPP: Needed = Needed {
    program: "sipp",
    package: "sip-tester",
};

const VALGRIND: Needed = Needed {
    program: "valgrind",
    package: "valgrind",
};

/// Makes sure that every program that the end-to-end tests need can be run.
pub(crate) fn ensure() -> Result<(), String> {
    ensure_one(&SIPP)
}

/// Makes sure that instructions can be counted.
pub(crate) fn ensure_valgrind() -> Result<(), String> {
    ensure_one(&VALGRIND)
}

fn ensure_one(needed: &Needed) -> Result<(), String> {
    if on_path(needed.program) {
        return Ok(());
    }
    install(needed)?;
    if on_path(needed.program) {
        Ok(())
    } else {
        Err(format!(
            "{} was installed, but {} is still not on the PATH",
            needed.package, needed.program
        ))
    }
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    })
}

fn install(needed: &Needed) -> Result<(), String> {
    let by_hand = format!(
        "the tests need `{}`; install it as root with: apt-get install {}",
        needed.program, needed.package
    );
    if !on_path("apt-get") {
        return Err(format!(
            "{by_hand} (there is no apt-get here; any package with sipp 3.6 or valgrind 3.19 or later will do)"
        ));
    }
    if !is_root() {
        return Err(by_hand);
    }
    eprintln!("installing {}", needed.package);
    // A fresh image has no package lists yet: then they are fetched first.
    if apt_get(&["install", "-y", "--no-install-recommends", needed.package]) {
        return Ok(());
    }
    if apt_get(&["update"])
        && apt_get(&["install", "-y", "--no-install-recommends", needed.package])
    {
        return Ok(());
    }
    Err(format!("apt-get failed; {by_hand}"))
}

fn apt_get(arguments: &[&str]) -> bool {
    let status = Command::new("apt-get")
        .arg("-qq")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status();
    status.is_ok_and(|status| status.success())
}

/// The owner of our own entry in /proc is who we run as.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path_or_not() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
    }
}

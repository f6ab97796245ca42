//! How a node ends: at the limit of its drain, by two wishes that are one, and with a disk that refuses the journal.
//!
//! The system's limit on the size of files stands for the full disk: a process that ignores SIGXFSZ is told EFBIG.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use loadtests::http;

use crate::support::call::Call;
use crate::support::peer::Peer;
use crate::support::proxy::Setup;
use crate::support::{eventually, shared_machine};

fn stage() -> (Setup, Peer, Peer) {
    let mut setup = Setup::new();
    setup.vendor("good", setup.at(5070), "0.10");
    let (vendor, caller) = (Peer::bind(setup.at(5070)), Peer::bind(setup.at(5061)));
    (setup, vendor, caller)
}

#[test]
fn at_the_limit_of_a_drain_a_call_that_rings_is_refused_and_recorded() {
    let _machine = shared_machine();
    let (mut setup, vendor, caller) = stage();
    setup.set("runtime.drain_timeout_s", "1");
    let mut proxy = setup.start();
    let call = Call::new(&caller, setup.sip, "4930000001");
    call.send_invite();
    let invite = vendor.expect("INVITE");
    vendor.answer(&invite, "180 Ringing", "v1");
    caller.expect("180 INVITE");
    let drained = setup.tandem(&["drain"]);
    assert!(drained.status.success());
    // What a supervisor does next is not a second wish.
    proxy.process.terminate().expect("signalled");
    vendor.expect("CANCEL");
    let refused = caller.expect("503 INVITE");
    call.acknowledge_refusal(&refused);
    // The vendor never says how it ended.
    proxy.expect_clean_end(Duration::from_secs(30));
    drop(proxy);
    let proxy = setup.start_again();
    let cdrs = setup.expect_cdrs(1);
    assert_eq!(
        (cdrs[0].number("status"), cdrs[0].text("cause")),
        (503, "restart")
    );
    proxy.stop();
}

/// A proxy that ignores SIGXFSZ; its standard error is a pipe, for a file would be refused too.
struct Limited(Child);

impl Limited {
    fn start(setup: &Setup) -> Self {
        setup.load();
        let tandem = setup.command(&["run"]);
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(tandem.get_program())
            .args(tandem.get_args())
            .current_dir(setup.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        Self(child)
    }

    /// What files may grow to, for prlimit.
    fn limit_files(&self, bytes: &str) {
        let done = Command::new("prlimit")
            .args(["--pid", &self.0.id().to_string()])
            .arg(format!("--fsize={bytes}:unlimited"))
            .status()
            .expect("prlimit (util-linux) runs");
        assert!(done.success());
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_disk_that_refuses_the_journal_stops_new_calls_until_it_takes_it_and_is_told_at_the_end() {
    let _machine = shared_machine();
    let (mut setup, vendor, caller) = stage();
    setup.set("log.level", "\"off\"");
    // A lane refuses for its own journal: with one, every call meets it.
    setup.set("runtime.workers", "1");
    let mut proxy = Limited::start(&setup);
    let ready =
        || http::request(setup.admin, "GET", "/readyz", None).map_or(0, |answer| answer.status);
    eventually("it is ready", || (ready() == 200).then_some(()));
    let (call, _) = Call::up(&caller, setup.sip, "4930000001", &vendor);

    proxy.limit_files("1");
    call.hang_up(2, &vendor);
    eventually("it is not ready", || (ready() == 503).then_some(()));
    let refused = Call::new(&caller, setup.sip, "4930000002");
    refused.send_invite();
    let answer = caller.expect("503 INVITE");
    refused.acknowledge_refusal(&answer);
    let status = http::request(setup.admin, "GET", "/v1/status", None).expect("answered");
    assert!(status.body.contains("refusing"), "{}", status.body);

    // Nobody calls meanwhile.
    proxy.limit_files("unlimited");
    eventually("it is ready again", || (ready() == 200).then_some(()));
    let (call, _) = Call::up(&caller, setup.sip, "4930000003", &vendor);

    proxy.limit_files("1");
    call.hang_up(2, &vendor);
    eventually("it is not ready", || (ready() == 503).then_some(()));
    let pid = proxy.0.id().to_string();
    let signalled = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(signalled.expect("kill runs").success());
    let mut said = String::new();
    let stderr = proxy.0.stderr.as_mut().expect("piped");
    stderr.read_to_string(&mut said).expect("read");
    assert_eq!(proxy.0.wait().expect("ended").code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("records could not be written and are lost"),
        "{said}"
    );
}

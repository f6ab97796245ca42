//! The operator's side of a running proxy: status, reload, drain, signals, tokens.

use std::time::Duration;

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
fn status_calls_and_route_show_what_is_there() {
    let _machine = shared_machine();
    let (setup, vendor, caller) = stage();
    let proxy = setup.start();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(proxy.get(path).status, 200, "{path}");
    }
    let status = proxy.get_json("/v1/status");
    assert_eq!(
        (status["node"].as_str(), status["state"].as_str()),
        (Some("drill"), Some("serving"))
    );
    assert_eq!(status["workers"].as_array().map(Vec::len), Some(2));
    assert_eq!(status["listen"][0]["address"], setup.sip.to_string());
    assert!(
        !status.to_string().contains("tandem.db"),
        "the store's URL is no one's business: {status}"
    );

    let (call, _) = Call::up(&caller, setup.sip, "4930123456", &vendor);
    let calls = proxy.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["call_id"], call.call_id.as_str());
    assert_eq!(
        (calls[0]["customer"].as_str(), calls[0]["vendor"].as_str()),
        (Some("acme"), Some("good"))
    );
    for command in ["status", "calls", "ps"] {
        let output = setup.tandem(&[command]);
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!output.stdout.is_empty(), "{command} prints something");
    }
    let metrics = proxy.get("/metrics");
    assert!(
        metrics.status == 200 && metrics.body.contains("# TYPE "),
        "{}",
        metrics.body
    );
    call.hang_up(2, &vendor);

    let routed = setup.tandem(&["route", "4930123456", "--customer", "acme", "--json"]);
    assert!(
        routed.status.success(),
        "{}",
        String::from_utf8_lossy(&routed.stderr)
    );
    assert!(String::from_utf8_lossy(&routed.stdout).contains("good"));
    assert_eq!(
        setup
            .tandem(&["route", "3312345", "--customer", "acme"])
            .status
            .code(),
        Some(1)
    );
    let token = std::fs::read_to_string(setup.path().join("admin.token")).expect("the token");
    assert!(
        !setup.log().contains(token.trim()),
        "secrets stay out of the log"
    );
    proxy.stop();
}

#[test]
fn a_post_needs_the_token() {
    let _machine = shared_machine();
    let (setup, _vendor, _caller) = stage();
    let proxy = setup.start();
    for path in ["/v1/reload", "/v1/drain"] {
        for token in [None, Some("wrong")] {
            let answer =
                loadtests::http::request(setup.admin, "POST", path, token).expect("answered");
            assert_eq!(answer.status, 401, "{path} with {token:?}");
            let body: serde_json::Value =
                serde_json::from_str(&answer.body).expect("RFC 9457 is JSON");
            assert_eq!(body["status"], 401);
        }
    }
    assert_eq!(proxy.get("/readyz").status, 200, "nothing was drained");
    let answer = proxy.post("/v1/reload");
    assert_eq!(answer.status, 200, "with the token: {}", answer.body);
    proxy.stop();
}

/// Loads a second, cheaper vendor and has the proxy take it up by `reload`; the next call must go there.
fn reload_changes_the_route(reload: impl FnOnce(&Setup, &crate::support::proxy::Proxy<'_>)) {
    let _machine = shared_machine();
    let (setup, vendor, caller) = stage();
    let proxy = setup.start();
    let (call, _) = Call::up(&caller, setup.sip, "4930000001", &vendor);
    let version = proxy.get_json("/v1/status")["routing"]["version"]
        .as_u64()
        .expect("a version");

    let tables = setup.path().join("tables");
    let cheaper = setup.at(5071);
    for (file, line) in [
        ("vendors.csv", "cheaper,sheet-cheaper\n".to_owned()),
        ("vendor_gateways.csv", format!("cheaper,{cheaper}\n")),
        ("routes.csv", "world,49,cheaper\n".to_owned()),
        ("rates.csv", "sheet-cheaper,49,0.01,0\n".to_owned()),
    ] {
        let path = tables.join(file);
        let text = std::fs::read_to_string(&path).expect("read") + &line;
        std::fs::write(&path, text).expect("written");
    }
    let loaded = setup.tandem(&["load", &tables.display().to_string()]);
    assert!(
        loaded.status.success(),
        "{}",
        String::from_utf8_lossy(&loaded.stderr)
    );
    reload(&setup, &proxy);
    eventually("the new version", || {
        (proxy.get_json("/v1/status")["routing"]["version"]
            .as_u64()
            .expect("a version")
            > version)
            .then_some(())
    });

    let other = Peer::bind(cheaper);
    let (second, _) = Call::up(&caller, setup.sip, "4930000002", &other);
    second.hang_up(2, &other);
    // The call that was up before the reload still ends as it should.
    call.hang_up(2, &vendor);
    let cdrs = setup.expect_cdrs(2);
    let vendors: Vec<_> = cdrs
        .iter()
        .map(|cdr| (cdr.text("callee"), cdr.text("vendor")))
        .collect();
    assert!(
        vendors.contains(&("4930000001", "good")) && vendors.contains(&("4930000002", "cheaper")),
        "{vendors:?}"
    );
    proxy.stop();
}

#[test]
fn reload_takes_up_what_was_loaded() {
    reload_changes_the_route(|setup, _| {
        let output = setup.tandem(&["reload"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

#[test]
fn sighup_takes_up_what_was_loaded() {
    reload_changes_the_route(|_, proxy| proxy.process.hang_up().expect("signalled"));
}

/// Asks for a drain while a call is being set up and another is up.
fn drain_lets_live_transactions_finish(
    ask: impl FnOnce(&Setup, &crate::support::proxy::Proxy<'_>),
) {
    let _machine = shared_machine();
    let (setup, vendor, caller) = stage();
    let mut proxy = setup.start();
    let (up, _) = Call::up(&caller, setup.sip, "4930000001", &vendor);
    let mut ringing = Call::new(&caller, setup.sip, "4930000002");
    ringing.send_invite();
    let invite = vendor.expect("INVITE");
    vendor.answer(&invite, "180 Ringing", "v2");
    caller.expect("180 INVITE");

    ask(&setup, &proxy);
    eventually("not ready", || {
        (proxy.get("/readyz").status == 503).then_some(())
    });
    assert_eq!(proxy.get("/healthz").status, 200, "alive all the same");
    let late = Call::new(&caller, setup.sip, "4930000003");
    late.send_invite();
    let refusal = caller.expect_final("INVITE");
    assert_eq!(refusal.status(), 503, "no new calls");
    late.acknowledge_refusal(&refusal);
    assert!(
        proxy.process.is_running().expect("asked"),
        "a transaction is still live"
    );

    vendor.answer(&invite, "200 OK", "v2");
    ringing.learn(&caller.expect("200 INVITE"));
    ringing.send(&ringing.request("ACK", 1));
    vendor.expect("ACK");
    proxy.expect_clean_end(Duration::from_secs(60));
    drop(proxy);

    // Both calls outlive the process: the next one ends them and rates them.
    let proxy = setup.start_again();
    ringing.hang_up(2, &vendor);
    up.hang_up(2, &vendor);
    // The call refused meanwhile was never admitted: it is counted, and has no CDR.
    let cdrs = setup.expect_cdrs(2);
    let mut seen: Vec<_> = cdrs
        .iter()
        .map(|cdr| (cdr.text("callee"), cdr.number("status"), cdr.text("cause")))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("4930000001", 200, "answered"),
            ("4930000002", 200, "answered")
        ]
    );
    proxy.stop();
}

#[test]
fn sigterm_drains() {
    drain_lets_live_transactions_finish(|_, proxy| proxy.process.terminate().expect("signalled"));
}

#[test]
fn the_drain_command_drains() {
    drain_lets_live_transactions_finish(|setup, _| {
        let output = setup.tandem(&["drain"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

#[test]
fn a_proxy_that_is_not_there_is_said_so() {
    let _machine = shared_machine();
    let setup = Setup::new();
    setup.write_config();
    for command in ["status", "reload", "drain", "calls", "ps"] {
        let output = setup.tandem(&[command]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.contains(&setup.admin.to_string()),
            "{command} names the address it tried: {error}"
        );
    }
}

//! The torture messages of RFC 4475 through the core, each with the outcome that the RFC asks of a proxy.

use crate::bench::*;
use crate::torture_table::{Outcome, ROWS, Row, check_forwarded, check_response, facts, message};
use proxy_core::{JobAnswer, JobKind, PreloadedRoute, Stat, UnknownDialog};
use std::{collections::HashSet, net::SocketAddr};

/// Where `services.example.com` leads.
const SERVICES: &str = "192.0.2.99:5060";

fn trusting() -> Bench {
    let mut config = config();
    config.policy.refuse_methods.clear();
    config.policy.preloaded_route = PreloadedRoute::Follow;
    config.policy.unknown_dialog = UnknownDialog::Forward;
    Bench::with(config, &ONE_VENDOR)
}

/// Sends one message; a name that has to be resolved is.
fn sent_for(bench: &mut Bench, bytes: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut sent = bench.send_bytes(CALLER, bytes);
    while let Some(job) = bench.jobs.pop() {
        let JobKind::Resolve { host, .. } = &job.kind else {
            panic!("{job:?}");
        };
        assert_eq!(host, "services.example.com");
        let answer = JobAnswer::Resolved {
            addresses: vec![SERVICES.parse().unwrap()],
            ttl_s: 60,
        };
        sent.extend(bench.end_job_bytes(&job, answer));
    }
    sent
}

fn outcome_of(row: &Row) {
    let (facts, bytes) = (facts(row.name), message(row.name));
    assert!(
        row.is_preferred(&facts),
        "{}: {}",
        row.name,
        facts.expectation
    );
    let mut bench = trusting();
    let sent = sent_for(&mut bench, &bytes);
    let what = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..12.min(bytes.len())]).into_owned();
    let sent: Vec<_> = sent
        .into_iter()
        .filter(|(_, bytes)| !bytes.starts_with(b"SIP/2.0 100 "))
        .collect();
    let summary: Vec<_> = sent.iter().map(|(to, bytes)| (to, what(bytes))).collect();
    let target = match row.outcome {
        Outcome::Dropped(counter) => {
            assert!(sent.is_empty(), "{}: {summary:?}", row.name);
            let stat = Stat::ALL.iter().find(|stat| stat.as_str() == counter);
            assert_eq!(bench.stat(*stat.unwrap()), 1, "{}", row.name);
            return;
        }
        Outcome::Status(status) => {
            assert_eq!(sent.len(), 1, "{}: {summary:?}", row.name);
            let (to, response) = &sent[0];
            assert_eq!(to.ip(), CALLER.parse::<SocketAddr>().unwrap().ip());
            return check_response(row.name, status, &facts, &bytes, response);
        }
        Outcome::Vendor => VENDOR,
        Outcome::Route if row.name == "mpart01" => "127.0.0.1:5080",
        Outcome::Route => SERVICES,
    };
    assert_eq!(sent.len(), 1, "{}: {summary:?}", row.name);
    assert_eq!(sent[0].0.to_string(), target, "{}", row.name);
    check_forwarded(row, &facts, &bytes, &sent[0].1);
}

#[test]
fn every_torture_message_gets_the_outcome_that_the_rfc_prefers() {
    let names: HashSet<_> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), 49);
    let mut failed = Vec::new();
    for row in &ROWS {
        // Each on its own, so that one run shows every fault.
        if let Err(fault) = std::panic::catch_unwind(|| outcome_of(row)) {
            let text = fault.downcast_ref::<String>().cloned();
            failed.push(format!("{}: {}", row.name, text.unwrap_or_default()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

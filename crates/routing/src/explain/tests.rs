//! Tests of explanations, and of the worked example in the operator's documentation.

use super::*;
use crate::schema::TableKind;
use crate::testing::snapshot;

const PAGE: &str = include_str!("../../../../docs/operating/routing.md");

/// The fenced block that follows `mark`.
fn block<'a>(mark: &str, fence: &str) -> &'a str {
    let after = &PAGE[PAGE.find(mark).unwrap() + mark.len()..];
    let start = after.find(fence).unwrap() + fence.len();
    &after[start..start + after[start..].find("```").unwrap()]
}

fn explain(snapshot: &Snapshot, user: &[u8], at: &str) -> Explanation {
    let source = "192.0.2.17:5060".parse().unwrap();
    let found = snapshot
        .customer_for(crate::Transport::Udp, source, user)
        .unwrap();
    let query = RouteQuery {
        customer: found.customer,
        tech_prefix_len: found.tech_prefix_len,
        callee: user,
        caller: b"+12025550100",
        number_override: None,
        wall_us: instant::parse(at).unwrap(),
        call_hash: 0,
    };
    let mut explanation = Explanation::default();
    snapshot.route(&query, &mut TargetSet::new(), Some(&mut explanation));
    explanation
}

fn worked_example() -> Snapshot {
    let files: Vec<(TableKind, &str)> = TableKind::ALL
        .into_iter()
        .map(|kind| {
            (
                kind,
                block(&format!("\n`{}`\n", kind.file_name()), "```csv\n"),
            )
        })
        .collect();
    snapshot(&files)
}

#[test]
fn the_worked_example_of_the_documentation_prints_what_it_says() {
    let snapshot = worked_example();
    let eve = explain(&snapshot, b"77%23442079460000", "2026-12-31T12:00:00Z");
    assert_eq!(eve.to_string(), block("On New Year's Eve", "```text\n"));
    let morning = explain(&snapshot, b"77%23442079460000", "2027-01-01");
    assert_eq!(
        morning.to_string(),
        block("From midnight UTC on", "```text\n")
    );
}

#[test]
fn the_documentation_lists_every_column_as_the_reader_takes_it() {
    let mut expected = String::new();
    for kind in TableKind::ALL {
        expected += &format!(
            "\n`{}`:\n\n| column | allowed |\n|---|---|\n",
            kind.file_name()
        );
        for column in kind.columns() {
            let star = if column.required { "" } else { "*" };
            expected += &format!("| `{}`{star} | {} |\n", column.name, column.allowed);
        }
    }
    assert!(
        PAGE.ends_with(&expected),
        "docs/operating/routing.md should end with:\n{expected}"
    );
}

#[test]
fn an_explanation_in_json_has_the_same_facts() {
    let snapshot = worked_example();
    let json =
        serde_json::to_value(explain(&snapshot, b"77%23442079460000", "2026-12-31")).unwrap();
    assert_eq!(json["outcome"], "routed");
    assert_eq!(json["customer"], "acme");
    assert_eq!(json["caller"], "+12025550100");
    assert_eq!(json["callee_routed"], "442079460000");
    assert_eq!(json["customer_rate"]["sheet"], "retail");
    assert_eq!(json["customer_rate"]["rate"], "0.0100");
    assert_eq!(json["candidates"][0]["rate"]["prefix"], "4420");
    assert_eq!(json["candidates"][2]["dropped"], "margin");
    assert_eq!(json["targets"][0]["callee_sent"], "00442079460000");
    assert_eq!(json["targets"][2]["order"], 3);
}

#[test]
fn a_number_that_is_not_routed_is_explained_too() {
    let snapshot = worked_example();
    let text = explain(&snapshot, b"77%2333123", "2026-12-31").to_string();
    assert!(
        text.contains("not routed: the customer's sheet has no rate in force for the number"),
        "{text}"
    );
    assert!(
        text.contains("+ alpha: route -"),
        "the candidate is shown all the same: {text}"
    );
}

#[test]
fn every_reason_to_drop_a_vendor_is_named() {
    let snapshot = snapshot(&[
        (TableKind::Customers, "name,routing_plan\nacme,p\n"),
        (
            TableKind::CustomerAddresses,
            "customer,address\nacme,192.0.2.0/24\n",
        ),
        (
            TableKind::Vendors,
            "name,rate_sheet,enabled\na,,\nb,,false\nc,,\nd,old,\ne,other,\nf,,\ng,,\n",
        ),
        (
            TableKind::VendorGateways,
            "vendor,address\na,198.51.100.1\nd,198.51.100.4\ne,198.51.100.5\nf,198.51.100.6\ng,198.51.100.7\n",
        ),
        (TableKind::RoutingPlans, "name,mode,max_attempts\np,lcr,1\n"),
        (
            TableKind::Routes,
            "plan,prefix,vendor,priority,enabled\np,,a,1,\np,,b,1,\np,,c,1,\np,,d,1,\np,,e,1,\np,4,f,0,\np,,f,0,\np,,g,0,false\n",
        ),
        (
            TableKind::Rates,
            "sheet,prefix,rate,effective_to\nold,,1,2026-01-01\nother,5,1,\n",
        ),
    ]);
    let explanation = explain(&snapshot, b"44", "2026-06-01");
    let mut dropped: Vec<_> = explanation
        .candidates
        .iter()
        .map(|candidate| {
            (
                candidate.vendor.as_str(),
                candidate.route_prefix.len(),
                candidate.dropped,
            )
        })
        .collect();
    dropped.sort_by_key(|(vendor, len, _)| (*vendor, std::cmp::Reverse(*len)));
    assert_eq!(
        dropped,
        [
            ("a", 0, Some(DropReason::MaxAttempts)),
            ("b", 0, Some(DropReason::VendorDisabled)),
            ("c", 0, Some(DropReason::NoGateway)),
            ("d", 0, Some(DropReason::RateNotInForce)),
            ("e", 0, Some(DropReason::NoRate)),
            ("f", 1, None),
            ("f", 0, Some(DropReason::LongerPrefix)),
            ("g", 0, Some(DropReason::RouteDisabled)),
        ]
    );
    assert_eq!(
        explanation.candidates[0].vendor, "f",
        "those tried come first"
    );
}

#[test]
fn targets_that_are_tried_at_once_are_shown_as_a_group() {
    let snapshot = snapshot(&[
        (TableKind::Customers, "name,routing_plan\nacme,p\n"),
        (
            TableKind::CustomerAddresses,
            "customer,address\nacme,192.0.2.0/24\n",
        ),
        (TableKind::Vendors, "name\na\nb\nc\n"),
        (
            TableKind::VendorGateways,
            "vendor,address\na,192.0.2.1\nb,192.0.2.2\nc,192.0.2.3\n",
        ),
        (
            TableKind::RoutingPlans,
            "name,mode,forking\np,static,parallel\n",
        ),
        (
            TableKind::Routes,
            "plan,prefix,vendor,priority\np,,a,1\np,,b,1\np,,c,2\n",
        ),
    ]);
    let explanation = explain(&snapshot, b"4420", "2026-12-31");
    let text = explanation.to_string();
    assert!(
        text.contains("\nplan      p (static, parallel, at most 5 attempts)\n")
            && text.ends_with(
                "  1. b at 192.0.2.2:5060 (udp), number 4420\n  \
                 2. a at 192.0.2.1:5060 (udp), number 4420, at the same time as 1\n  \
                 3. c at 192.0.2.3:5060 (udp), number 4420\n"
            ),
        "{text}"
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["forking"], "parallel");
    let groups: Vec<_> = (0..3).map(|at| &json["targets"][at]["group"]).collect();
    assert_eq!(groups, [1, 1, 2]);
}

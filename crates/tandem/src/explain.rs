//! One question about a route, answered from a snapshot: `tandem route` and `GET /v1/route` are both this.
//! The decision is the one calls get; the answer says which prefix, which candidates, which prices and why not.
//! Leaves out live state: limits reached and gateways down.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use accounting::rfc3339;
use routing::{Explanation, RouteOutcome, RouteQuery, Snapshot, TargetSet, Transport};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The number dialled, as the customer sends it.
    pub number: String,
    /// The customer's name.
    pub customer: String,
    /// The caller's number; may be empty.
    pub from: String,
    /// When the call is placed, RFC 3339; `None`: now.
    pub at: Option<String>,
    /// `IP` or `IP:PORT` the call comes from: decides the tech prefix. `None`: the number has none.
    pub source: Option<String>,
}

/// A question that can't be answered: what is wrong and what is allowed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// No such customer.
    #[error("there is no customer \"{name}\"{hint}")]
    UnknownCustomer {
        /// The name asked for.
        name: String,
        /// `; did you mean "x"?` or nothing.
        hint: String,
    },
    /// The time is no time.
    #[error("\"{0}\" is no time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z")]
    Time(String),
    /// The source is no address.
    #[error("\"{0}\" is no address; allowed: IP or IP:PORT")]
    Source(String),
    /// The source belongs to someone else.
    #[error("calls from {source_address} to this number are not the customer's{owner}")]
    OtherSource {
        /// The address asked for.
        source_address: SocketAddr,
        /// `, but of "x"` or nothing.
        owner: String,
    },
}

/// Answers a question. The explanation's outcome says whether the call would be routed.
///
/// # Errors
/// [`QuestionError`]: the question names something that does not exist.
pub fn explain(
    snapshot: &Snapshot,
    question: &Question,
) -> Result<(RouteOutcome, Explanation), QuestionError> {
    let customer = snapshot
        .customer_by_name(&question.customer)
        .ok_or_else(|| unknown_customer(snapshot, question))?;
    let wall_us = match &question.at {
        Some(text) => rfc3339::parse_us(text).ok_or_else(|| QuestionError::Time(text.clone()))?,
        None => now_us(),
    };
    let tech_prefix_len = match &question.source {
        None => 0,
        Some(text) => {
            let source = source(text).ok_or_else(|| QuestionError::Source(text.clone()))?;
            match snapshot.customer_for(Transport::Udp, source, question.number.as_bytes()) {
                Some(found) if found.customer == customer => found.tech_prefix_len,
                other => {
                    let owner = other.map_or_else(String::new, |found| {
                        format!(", but of \"{}\"", snapshot.customer(found.customer).name)
                    });
                    return Err(QuestionError::OtherSource {
                        source_address: source,
                        owner,
                    });
                }
            }
        }
    };
    let query = RouteQuery {
        customer,
        tech_prefix_len,
        callee: question.number.as_bytes(),
        caller: question.from.as_bytes(),
        number_override: None,
        wall_us,
        call_hash: 0,
    };
    let mut explanation = Explanation::default();
    let outcome = snapshot.route(&query, &mut TargetSet::new(), Some(&mut explanation));
    Ok((outcome, explanation))
}

fn unknown_customer(snapshot: &Snapshot, question: &Question) -> QuestionError {
    let nearest = snapshot
        .customers()
        .map(|(_, customer)| {
            (
                strsim::jaro_winkler(&question.customer, &customer.name),
                customer.name.as_str(),
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    let hint = nearest.map_or_else(String::new, |(_, name)| {
        format!("; did you mean \"{name}\"?")
    });
    QuestionError::UnknownCustomer {
        name: question.customer.clone(),
        hint,
    }
}

fn source(text: &str) -> Option<SocketAddr> {
    text.parse()
        .ok()
        .or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 5060)))
}

/// The wall clock, UTC µs since 1970.
fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use routing::{SlotRegistry, TableKind, Tables};

    fn snapshot() -> Snapshot {
        let files = [
            (
                TableKind::Customers,
                "name,routing_plan\nacme,main\nother,main\n",
            ),
            (
                TableKind::CustomerAddresses,
                "customer,address,tech_prefix\nacme,192.0.2.1,77\nother,192.0.2.2,\n",
            ),
            (TableKind::Vendors, "name\nalpha\n"),
            (
                TableKind::VendorGateways,
                "vendor,address\nalpha,198.51.100.1\n",
            ),
            (TableKind::RoutingPlans, "name,mode\nmain,lcr\n"),
            (TableKind::Routes, "plan,prefix,vendor\nmain,49,alpha\n"),
        ];
        let (mut tables, mut faults) = (Tables::default(), Vec::new());
        for (kind, text) in files {
            routing::read_csv(
                kind,
                kind.file_name(),
                text.as_bytes(),
                &mut tables,
                &mut faults,
                &mut |_| {},
            );
        }
        assert_eq!(faults, []);
        routing::compile(&tables, 1, &mut SlotRegistry::new()).unwrap()
    }

    fn question(number: &str, source: Option<&str>) -> Question {
        Question {
            number: number.to_owned(),
            customer: "acme".to_owned(),
            source: source.map(str::to_owned),
            ..Question::default()
        }
    }

    #[test]
    fn a_routed_number_names_its_vendor_and_an_unrouted_one_none() {
        let snapshot = snapshot();
        let (outcome, explanation) = explain(&snapshot, &question("4930", None)).unwrap();
        assert_eq!(
            (outcome, explanation.targets[0].vendor.as_str()),
            (RouteOutcome::Routed, "alpha")
        );
        let (outcome, explanation) = explain(&snapshot, &question("1", None)).unwrap();
        assert_eq!(
            (outcome, explanation.targets.len()),
            (RouteOutcome::NoPrefix, 0)
        );
    }

    #[test]
    fn the_source_decides_the_tech_prefix() {
        let snapshot = snapshot();
        let (outcome, explanation) =
            explain(&snapshot, &question("774930", Some("192.0.2.1"))).unwrap();
        assert_eq!(
            (outcome, explanation.callee_routed.as_str()),
            (RouteOutcome::Routed, "4930")
        );
        let error = explain(&snapshot, &question("4930", Some("192.0.2.2:5060"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "calls from 192.0.2.2:5060 to this number are not the customer's, but of \"other\""
        );
    }

    #[test]
    fn what_does_not_exist_is_named_with_what_is_allowed() {
        let snapshot = snapshot();
        let unknown = Question {
            customer: "acm".to_owned(),
            ..question("49", None)
        };
        assert_eq!(
            explain(&snapshot, &unknown).unwrap_err().to_string(),
            "there is no customer \"acm\"; did you mean \"acme\"?"
        );
        let late = Question {
            at: Some("tomorrow".to_owned()),
            ..question("49", None)
        };
        assert_eq!(
            explain(&snapshot, &late).unwrap_err(),
            QuestionError::Time("tomorrow".to_owned())
        );
        let nowhere = question("49", Some("here"));
        assert_eq!(
            explain(&snapshot, &nowhere).unwrap_err(),
            QuestionError::Source("here".to_owned())
        );
    }
}

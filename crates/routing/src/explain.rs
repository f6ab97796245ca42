//! Why a call goes where it goes: every step of a decision, for people and for JSON.
//!
//! Filled by [`Snapshot::route`](crate::Snapshot::route) itself, so it can't differ from what calls get.
//! Leaves out live state (limits reached, gateways down), which is not part of the decision.

use std::fmt;

use accounting::RateTerms;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::instant;
use crate::number::dialled;
use crate::prefix::Prefix;
use crate::select::{RouteOutcome, RouteQuery, TargetSet};
use crate::snapshot::{Plan, PlanRoute, Snapshot, VendorIndex};
use crate::tables::{Forking, PlanMode};

/// Why a vendor is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The route is disabled.
    RouteDisabled,
    /// A longer prefix decides: the same vendor's in an `lcr` plan, anyone's in a `static` plan.
    LongerPrefix,
    /// The vendor is disabled.
    VendorDisabled,
    /// The vendor has no gateway.
    NoGateway,
    /// The vendor's sheet has no prefix of the number.
    NoRate,
    /// The vendor's sheet has prefixes of the number, but no rate in force at the time.
    RateNotInForce,
    /// The margin is below the plan's `margin_min`.
    Margin,
    /// The plan has a `margin_min`, but one of the two rates is unknown.
    MarginUnknown,
    /// Enough targets come before it: the plan's `max_attempts`.
    MaxAttempts,
}

impl DropReason {
    /// The reason as a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RouteDisabled => "the route is disabled",
            Self::LongerPrefix => "a route with a longer prefix decides",
            Self::VendorDisabled => "the vendor is disabled",
            Self::NoGateway => "the vendor has no gateway",
            Self::NoRate => "the vendor's sheet has no rate for the number",
            Self::RateNotInForce => "the vendor's rate for the number is not in force",
            Self::Margin => "the margin is below margin_min",
            Self::MarginUnknown => "the margin is unknown and the plan has a margin_min",
            Self::MaxAttempts => "max_attempts is reached before it",
        }
    }
}

/// A rate as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedRate {
    /// The sheet.
    pub sheet: String,
    /// The prefix that matched.
    pub prefix: Prefix,
    /// Prices and intervals.
    #[serde(flatten)]
    pub terms: RateTerms,
}

/// A vendor that was considered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedCandidate {
    /// Name of the vendor.
    pub vendor: String,
    /// Prefix of the route.
    pub route_prefix: Prefix,
    /// Priority of the route.
    pub priority: u16,
    /// Weight of the route.
    pub weight: u16,
    /// What the vendor bills, as far as that was looked up.
    pub rate: Option<ExplainedRate>,
    /// The vendor's currency.
    pub currency: String,
    /// Customer's rate minus vendor's rate, per minute.
    pub margin: Option<Decimal>,
    /// Why it is not tried; `None`: it is.
    pub dropped: Option<DropReason>,
    #[serde(skip)]
    vendor_index: u32,
}

/// A target, in the order of trying.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedTarget {
    /// 1 for the first.
    pub order: usize,
    /// 1 for the first group; targets of one group are tried at the same time.
    pub group: usize,
    /// Name of the vendor.
    pub vendor: String,
    /// Its gateway.
    pub gateway: String,
    /// Transport to it.
    pub transport: &'static str,
    /// The number it is sent.
    pub callee_sent: String,
}

/// A decision, step by step. `Display` is the text of `tandem route`, `Serialize` its JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// How it ended.
    pub outcome: Option<RouteOutcome>,
    /// Version of the snapshot.
    pub route_version: u64,
    /// Name of the customer.
    pub customer: String,
    /// Whether the customer's calls are taken at all.
    pub customer_enabled: bool,
    /// The number as dialled, without parameters and escapes.
    pub callee: String,
    /// The caller's number, likewise.
    pub caller: String,
    /// Length of the tech prefix that was taken off.
    pub tech_prefix_len: usize,
    /// A lookup's answer.
    pub number_override: Option<String>,
    /// The number that was routed.
    pub callee_routed: String,
    /// The time the decision is made for, RFC 3339.
    pub at: String,
    /// Name of the plan.
    pub plan: String,
    /// Mode of the plan.
    pub mode: Option<PlanMode>,
    /// Whether the plan tries targets of equal rank at the same time.
    pub forking: Option<Forking>,
    /// Most targets of a call.
    pub max_attempts: usize,
    /// The plan's least margin.
    pub margin_min: Option<Decimal>,
    /// What the customer pays.
    pub customer_rate: Option<ExplainedRate>,
    /// The customer's currency.
    pub currency: String,
    /// Everyone who was considered: first those tried, in order, then those dropped.
    pub candidates: Vec<ExplainedCandidate>,
    /// What is tried, in order.
    pub targets: Vec<ExplainedTarget>,
}

impl Explanation {
    pub(crate) fn begin(&mut self, snapshot: &Snapshot, query: &RouteQuery<'_>) {
        let customer = snapshot.customer(query.customer);
        *self = Self {
            route_version: snapshot.version,
            customer: customer.name.clone(),
            customer_enabled: customer.enabled,
            currency: customer.currency.clone(),
            callee: dialled(query.callee).as_str().to_owned(),
            caller: dialled(query.caller).as_str().to_owned(),
            tech_prefix_len: query.tech_prefix_len,
            number_override: query.number_override.map(str::to_owned),
            at: instant::format(query.wall_us),
            ..Self::default()
        };
    }

    pub(crate) fn plan(&mut self, plan: &Plan) {
        self.plan.clone_from(&plan.name);
        self.mode = Some(plan.mode);
        self.forking = Some(plan.forking);
        self.max_attempts = plan.max_attempts;
        self.margin_min = plan.margin_min;
    }

    pub(crate) fn candidate(
        &mut self,
        snapshot: &Snapshot,
        route_prefix: Prefix,
        route: &PlanRoute,
        dropped: Option<DropReason>,
    ) {
        let vendor = snapshot.vendor(VendorIndex(route.vendor));
        self.candidates.push(ExplainedCandidate {
            vendor: vendor.name.clone(),
            route_prefix,
            priority: route.priority,
            weight: route.weight,
            rate: None,
            currency: vendor.currency.clone(),
            margin: None,
            dropped,
            vendor_index: route.vendor,
        });
    }

    pub(crate) fn priced(
        &mut self,
        vendor: u32,
        terms: Option<&RateTerms>,
        prefix: Option<Prefix>,
        asked: Option<Decimal>,
        dropped: Option<DropReason>,
    ) {
        let candidate = self
            .candidates
            .iter_mut()
            .find(|known| known.vendor_index == vendor && known.dropped.is_none());
        let Some(candidate) = candidate else { return };
        candidate.dropped = dropped;
        if let (Some(terms), Some(prefix)) = (terms, prefix) {
            candidate.margin = asked.map(|asked| asked - terms.rate);
            candidate.rate = Some(ExplainedRate {
                sheet: String::new(),
                prefix,
                terms: terms.clone(),
            });
        }
    }

    pub(crate) fn end(&mut self, snapshot: &Snapshot, out: &TargetSet, outcome: RouteOutcome) {
        self.outcome = Some(outcome);
        self.callee_routed = out.callee_routed.as_str().to_owned();
        self.targets = (1..)
            .zip(&out.targets)
            .map(|(order, target)| {
                let gateway = snapshot.gateway(target.gateway);
                ExplainedTarget {
                    order,
                    group: usize::from(target.group) + 1,
                    vendor: snapshot.vendor(target.vendor).name.clone(),
                    gateway: gateway.host.to_string(),
                    transport: gateway.transport.as_str(),
                    callee_sent: target.callee_sent.as_str().to_owned(),
                }
            })
            .collect();
        self.name_sheets(snapshot, out);
        let tried = |vendor: u32| {
            out.targets
                .iter()
                .position(|target| target.vendor.0 == vendor)
        };
        if outcome == RouteOutcome::Routed {
            for candidate in &mut self.candidates {
                if candidate.dropped.is_none() && tried(candidate.vendor_index).is_none() {
                    candidate.dropped = Some(DropReason::MaxAttempts);
                }
            }
        }
        self.candidates
            .sort_by_key(|candidate| match candidate.dropped {
                None => (false, tried(candidate.vendor_index)),
                Some(_) => (true, None),
            });
    }

    /// Rates are found by index; their sheets get their names here, off the common path.
    fn name_sheets(&mut self, snapshot: &Snapshot, out: &TargetSet) {
        let name = |sheet: Option<u32>| {
            sheet
                .and_then(|sheet| snapshot.sheets.get(sheet as usize))
                .map_or("", |sheet| sheet.name.as_str())
        };
        if let (Some(terms), Some(prefix)) = (&out.customer_terms, out.customer_prefix) {
            let customer = snapshot
                .customer_by_name(&self.customer)
                .map(|index| snapshot.customer(index));
            let sheet = name(customer.and_then(|customer| customer.sheet)).to_owned();
            self.customer_rate = Some(ExplainedRate {
                sheet,
                prefix,
                terms: terms.clone(),
            });
        }
        for candidate in &mut self.candidates {
            let vendor = snapshot.vendor(VendorIndex(candidate.vendor_index));
            if let Some(rate) = &mut candidate.rate {
                name(vendor.sheet).clone_into(&mut rate.sheet);
            }
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enabled = if self.customer_enabled {
            ""
        } else {
            " (disabled: every call is refused)"
        };
        writeln!(f, "customer  {}{enabled}", self.customer)?;
        write!(f, "number    {}", self.callee)?;
        if let Some(number) = &self.number_override {
            write!(f, ", {number} by lookup")?;
        }
        writeln!(f, ", routed as {}", or_dash(&self.callee_routed))?;
        writeln!(
            f,
            "at        {}, routing data version {}",
            self.at, self.route_version
        )?;
        if let Some(mode) = self.mode {
            let forking = match self.forking {
                Some(Forking::Parallel) => ", parallel",
                _ => "",
            };
            write!(
                f,
                "plan      {} ({}{forking}, at most {} attempts",
                self.plan,
                mode.as_str(),
                self.max_attempts
            )?;
            match self.margin_min {
                Some(margin_min) => writeln!(f, ", margin at least {margin_min})")?,
                None => writeln!(f, ")")?,
            }
        }
        match &self.customer_rate {
            Some(rate) => writeln!(f, "pays      {}", RateText(rate, &self.currency))?,
            None => writeln!(f, "pays      unknown")?,
        }
        writeln!(f, "result    {}", self.result())?;
        for candidate in &self.candidates {
            write_candidate(f, candidate)?;
        }
        let mut first: Option<&ExplainedTarget> = None;
        for target in &self.targets {
            let ExplainedTarget {
                order,
                group,
                vendor,
                gateway,
                transport,
                callee_sent,
            } = target;
            write!(
                f,
                "  {order}. {vendor} at {gateway} ({transport}), number {}",
                or_dash(callee_sent)
            )?;
            match first.filter(|first| first.group == *group) {
                Some(first) => writeln!(f, ", at the same time as {}", first.order)?,
                None => {
                    first = Some(target);
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}

impl Explanation {
    fn result(&self) -> &'static str {
        match self.outcome {
            Some(RouteOutcome::Routed) => "routed",
            Some(RouteOutcome::NoPrefix) => {
                "not routed: no enabled route of the plan matches the number"
            }
            Some(RouteOutcome::NoCustomerRate) => {
                "not routed: the customer's sheet has no rate in force for the number"
            }
            Some(RouteOutcome::NoVendor) => "not routed: every vendor was dropped",
            Some(RouteOutcome::PlanMissing) => "not routed: the customer has no plan",
            None => "not decided",
        }
    }
}

fn write_candidate(f: &mut fmt::Formatter<'_>, candidate: &ExplainedCandidate) -> fmt::Result {
    let sign = if candidate.dropped.is_none() {
        '+'
    } else {
        '-'
    };
    write!(
        f,
        "  {sign} {}: route {}",
        candidate.vendor,
        or_dash(&candidate.route_prefix.to_string())
    )?;
    write!(
        f,
        ", priority {}, weight {}",
        candidate.priority, candidate.weight
    )?;
    if let Some(rate) = &candidate.rate {
        write!(f, ", bills {}", RateText(rate, &candidate.currency))?;
    }
    if let Some(margin) = candidate.margin {
        write!(f, ", margin {margin}")?;
    }
    match candidate.dropped {
        Some(reason) => writeln!(f, ": dropped, {}", reason.as_str()),
        None => writeln!(f),
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

struct RateText<'a>(&'a ExplainedRate, &'a str);

impl fmt::Display for RateText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(rate, currency) = self;
        let terms = &rate.terms;
        write!(f, "{} {currency}/min", terms.rate)?;
        if terms.next_rate != terms.rate {
            write!(f, " then {}", terms.next_rate)?;
        }
        if !terms.connect_fee.is_zero() {
            write!(f, " plus {} a call", terms.connect_fee)?;
        }
        write!(
            f,
            ", {}/{} s",
            terms.initial_interval_s, terms.next_interval_s
        )?;
        write!(
            f,
            " (sheet {}, prefix {})",
            rate.sheet,
            or_dash(&rate.prefix.to_string())
        )
    }
}

#[cfg(test)]
mod tests;

//! The decision: from customer and number to ordered targets with prices (RFC 3261 §16.5).
//!
//! Implements the `lcr` and `static` modes; the same code fills the explanation. Leaves out live state: whether a
//! trunk has room or a gateway is up is asked target by target when the call gets there.
//!
//! The steps, in this order:
//!
//! 1. *Number.* The user part, cut at the first `;`, escapes resolved. If the customer has a tech prefix, `strip` or
//!    `prepend`, a leading `+` goes, then the tech prefix, then `strip` characters, then `prepend` is put in front. A
//!    lookup's answer replaces the result. That is the routed number; it is compared without `+`, and if it then holds
//!    anything but digits only the empty prefix matches.
//! 2. *Routes.* `lcr`: every vendor with an enabled route whose prefix matches, each with its longest. `static`: the
//!    enabled routes of the longest prefix that has any. None: [`RouteOutcome::NoPrefix`].
//! 3. *Customer's rate.* Longest prefix with a rate in force in the customer's sheet. None: [`RouteOutcome::NoCustomerRate`]. A
//!    customer without a sheet is not rated.
//! 4. *Vendors dropped:* disabled; without gateway; with a sheet that has no rate in force for the number; with a margin
//!    (customer's rate minus vendor's rate) below the plan's `margin_min`. None left: [`RouteOutcome::NoVendor`].
//! 5. *Order.* `lcr`: rate per minute, lowest first, unknown prices last; then as `static`. `static`: priority, lowest first;
//!    among equals a shuffle by weight that depends on the call alone; then name.
//! 6. *Targets.* Each vendor becomes its gateways: priority, lowest first, equals shuffled by weight; until the plan's
//!    `max_attempts` targets are there. The vendor's `strip` and `prepend` make the number it is sent.
//! 7. *Groups.* In a `parallel` plan, vendors that only the draw by weight tells apart are one group, and so are the first
//!    gateways of each; their second ones are the next group. Else every target is a group of its own. Weight 0 keeps a
//!    vendor behind the group.

use std::cmp::Ordering;

use accounting::RateTerms;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::explain::{DropReason, Explanation};
use crate::number::{NumberText, dialled};
use crate::prefix::Prefix;
use crate::snapshot::{
    Customer, CustomerIndex, GatewayIndex, Plan, PlanRoute, Snapshot, Vendor, VendorIndex,
};
use crate::tables::{Forking, PlanMode};

/// What is to be routed.
#[derive(Clone, Copy, Debug)]
pub struct RouteQuery<'a> {
    /// The customer, of this snapshot.
    pub customer: CustomerIndex,
    /// From [`crate::CustomerMatch`].
    pub tech_prefix_len: usize,
    /// Raw user part of the request URI.
    pub callee: &'a [u8],
    /// Raw user part of the caller's URI; shown in explanations.
    pub caller: &'a [u8],
    /// A lookup's answer: replaces the number after the customer's rules.
    pub number_override: Option<&'a str>,
    /// UTC µs: which rates are in force.
    pub wall_us: i64,
    /// Any hash of the call: decides shuffles by weight, so that the same call is always routed the same way.
    pub call_hash: u64,
}

/// How a decision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteOutcome {
    /// There is at least one target.
    Routed,
    /// No enabled route of the plan has a prefix of the number: 404.
    NoPrefix,
    /// The customer's sheet has no rate in force for the number.
    NoCustomerRate,
    /// There are routes, but every vendor was dropped: 503.
    NoVendor,
    /// The customer is not of this snapshot.
    PlanMissing,
}

impl RouteOutcome {
    /// The outcome as a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::NoPrefix => "no_prefix",
            Self::NoCustomerRate => "no_customer_rate",
            Self::NoVendor => "no_vendor",
            Self::PlanMissing => "plan_missing",
        }
    }
}

/// One attempt that may be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The vendor, of the snapshot that routed.
    pub vendor: VendorIndex,
    /// Its gateway.
    pub gateway: GatewayIndex,
    /// The number this vendor is sent, not escaped (see [`crate::number::escape_user`]).
    pub callee_sent: NumberText,
    /// What the vendor bills; `None` where it has no rate sheet.
    pub terms: Option<RateTerms>,
    /// The prefix of that rate.
    pub prefix: Option<Prefix>,
    /// Targets of one group, which stand side by side, are tried at the same time; 0 for the first group.
    pub group: u16,
}

/// The ordered targets of one call. Reused from call to call: it keeps its memory.
#[derive(Debug, Default)]
pub struct TargetSet {
    /// The number after the customer's rules or the lookup.
    pub callee_routed: NumberText,
    /// What the customer pays; `None` where it has no rate sheet.
    pub customer_terms: Option<RateTerms>,
    /// The prefix of that rate.
    pub customer_prefix: Option<Prefix>,
    /// What to try, in this order.
    pub targets: Vec<Target>,
    candidates: Vec<Candidate>,
    gateways: Vec<RankedGateway>,
}

impl TargetSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the set and keeps its memory.
    pub fn clear(&mut self) {
        self.callee_routed.clear();
        self.customer_terms = None;
        self.customer_prefix = None;
        self.targets.clear();
        self.candidates.clear();
        self.gateways.clear();
    }
}

/// A vendor under consideration.
#[derive(Clone, Debug)]
struct Candidate {
    vendor: u32,
    priority: u16,
    score: f64,
    terms: Option<u32>,
    rate: Option<Decimal>,
    rate_prefix: Option<Prefix>,
}

/// A gateway under consideration.
#[derive(Clone, Copy, Debug)]
struct RankedGateway {
    /// Which gateway of its vendor it is, in the order of trying; decides the group.
    round: u32,
    /// Index of the vendor's candidate.
    candidate: u32,
    priority: u16,
    score: f64,
    gateway: u32,
}

impl Snapshot {
    /// Decides where a call goes; see the module documentation for the steps.
    ///
    /// `out` is emptied first; it holds targets only when the outcome is [`RouteOutcome::Routed`]. With `explain` every
    /// step is written down as well; nothing else changes.
    pub fn route(
        &self,
        query: &RouteQuery<'_>,
        out: &mut TargetSet,
        mut explain: Option<&mut Explanation>,
    ) -> RouteOutcome {
        out.clear();
        if let Some(explanation) = explain.as_deref_mut() {
            explanation.begin(self, query);
        }
        let outcome = self.decide(query, out, explain.as_deref_mut());
        if let Some(explanation) = explain {
            explanation.end(self, out, outcome);
        }
        outcome
    }

    fn decide(
        &self,
        query: &RouteQuery<'_>,
        out: &mut TargetSet,
        mut explain: Option<&mut Explanation>,
    ) -> RouteOutcome {
        let customer = self.customer(query.customer);
        match query.number_override {
            Some(number) => out.callee_routed.push_str(number),
            None => customer.rule.apply(
                &dialled(query.callee),
                query.tech_prefix_len,
                &mut out.callee_routed,
            ),
        }
        let number = out.callee_routed.key();
        let Some(plan) = customer.plan.and_then(|plan| self.plans.get(plan as usize)) else {
            return RouteOutcome::PlanMissing;
        };
        if let Some(explanation) = explain.as_deref_mut() {
            explanation.plan(plan);
        }
        self.collect(
            plan,
            number,
            query.call_hash,
            &mut out.candidates,
            explain.as_deref_mut(),
        );
        if out.candidates.is_empty() {
            return RouteOutcome::NoPrefix;
        }
        if !self.rate_customer(customer, number, query.wall_us, out) {
            return RouteOutcome::NoCustomerRate;
        }
        let asked = out.customer_terms.as_ref().map(|terms| terms.rate);
        out.candidates.retain_mut(|candidate| {
            let vendor = self.vendor(VendorIndex(candidate.vendor));
            let dropped = self.price(plan, vendor, number, query.wall_us, asked, candidate);
            if let Some(explanation) = explain.as_deref_mut() {
                let terms = candidate
                    .terms
                    .and_then(|terms| self.terms.get(terms as usize));
                explanation.priced(
                    candidate.vendor,
                    terms,
                    candidate.rate_prefix,
                    asked,
                    dropped,
                );
            }
            dropped.is_none()
        });
        if out.candidates.is_empty() {
            return RouteOutcome::NoVendor;
        }
        out.candidates
            .sort_unstable_by(|one, other| self.compare(plan.mode, one, other));
        self.expand(plan, query.call_hash, out);
        RouteOutcome::Routed
    }

    /// Step 2: the vendors that may be used.
    fn collect(
        &self,
        plan: &Plan,
        number: Prefix,
        call_hash: u64,
        candidates: &mut Vec<Candidate>,
        mut explain: Option<&mut Explanation>,
    ) {
        for (prefix, group) in plan.table.matches(number) {
            // A static plan ends at the first prefix that gave candidates; reading on is for the explanation alone.
            let closed = plan.mode == PlanMode::Static && !candidates.is_empty();
            if closed && explain.is_none() {
                return;
            }
            for route in plan.group(group) {
                let longer = closed || candidates.iter().any(|known| known.vendor == route.vendor);
                let dropped = match (route.enabled, longer) {
                    (false, _) => Some(DropReason::RouteDisabled),
                    (true, true) => Some(DropReason::LongerPrefix),
                    (true, false) => None,
                };
                if let Some(explanation) = explain.as_deref_mut() {
                    explanation.candidate(self, prefix, route, dropped);
                }
                if dropped.is_none() {
                    candidates.push(self.candidate(route, call_hash));
                }
            }
        }
    }

    fn candidate(&self, route: &PlanRoute, call_hash: u64) -> Candidate {
        let vendor = self.vendor(VendorIndex(route.vendor));
        Candidate {
            vendor: route.vendor,
            priority: route.priority,
            score: weighted_score(call_hash, vendor.trunk.0, route.weight),
            terms: None,
            rate: None,
            rate_prefix: None,
        }
    }

    /// Step 3: what the customer pays. False when its sheet does not know the number.
    fn rate_customer(
        &self,
        customer: &Customer,
        number: Prefix,
        wall_us: i64,
        out: &mut TargetSet,
    ) -> bool {
        let Some(sheet) = customer
            .sheet
            .and_then(|sheet| self.sheets.get(sheet as usize))
        else {
            return true;
        };
        let Some(found) = sheet.find(number, wall_us) else {
            return false;
        };
        out.customer_terms = self.terms.get(found.terms as usize).cloned();
        out.customer_prefix = Some(found.prefix);
        true
    }

    /// Step 4: what a vendor bills, and whether it stays.
    fn price(
        &self,
        plan: &Plan,
        vendor: &Vendor,
        number: Prefix,
        wall_us: i64,
        asked: Option<Decimal>,
        candidate: &mut Candidate,
    ) -> Option<DropReason> {
        if !vendor.enabled {
            return Some(DropReason::VendorDisabled);
        }
        if vendor.gateways.0 == vendor.gateways.1 {
            return Some(DropReason::NoGateway);
        }
        if let Some(sheet) = vendor
            .sheet
            .and_then(|sheet| self.sheets.get(sheet as usize))
        {
            let Some(found) = sheet.find(number, wall_us) else {
                let ever = sheet.ever_matches(number);
                return Some(if ever {
                    DropReason::RateNotInForce
                } else {
                    DropReason::NoRate
                });
            };
            candidate.terms = Some(found.terms);
            candidate.rate = self.terms.get(found.terms as usize).map(|terms| terms.rate);
            candidate.rate_prefix = Some(found.prefix);
        }
        let margin_min = plan.margin_min?;
        match (asked, candidate.rate) {
            (Some(asked), Some(billed)) if asked - billed >= margin_min => None,
            (Some(_), Some(_)) => Some(DropReason::Margin),
            _ => Some(DropReason::MarginUnknown),
        }
    }

    /// Step 5: which of two vendors is tried first.
    fn compare(&self, mode: PlanMode, one: &Candidate, other: &Candidate) -> Ordering {
        let name = |candidate: &Candidate| self.vendor(VendorIndex(candidate.vendor)).name.as_str();
        compare_rank(mode, one, other)
            .then(one.score.total_cmp(&other.score))
            .then_with(|| name(one).cmp(name(other)))
    }

    /// Steps 6 and 7: vendors into gateways, gateways into groups.
    fn expand(&self, plan: &Plan, call_hash: u64, out: &mut TargetSet) {
        let TargetSet {
            callee_routed,
            targets,
            candidates,
            gateways,
            ..
        } = out;
        let equal = |one: &Candidate, other: &Candidate| {
            plan.forking == Forking::Parallel
                && compare_rank(plan.mode, one, other).is_eq()
                && one.score.is_finite() == other.score.is_finite()
        };
        let mut group = 0;
        for rank in candidates.chunk_by(equal) {
            self.rank_gateways(rank, call_hash, gateways);
            for round in gateways.chunk_by(|one, other| one.round == other.round) {
                for ranked in round {
                    if targets.len() >= plan.max_attempts {
                        return;
                    }
                    let Some(candidate) = rank.get(ranked.candidate as usize) else {
                        continue;
                    };
                    let vendor = self.vendor(VendorIndex(candidate.vendor));
                    let mut callee_sent = NumberText::new();
                    vendor.rule.apply(callee_routed, 0, &mut callee_sent);
                    targets.push(Target {
                        vendor: VendorIndex(candidate.vendor),
                        gateway: GatewayIndex(ranked.gateway),
                        callee_sent,
                        terms: candidate
                            .terms
                            .and_then(|terms| self.terms.get(terms as usize).cloned()),
                        prefix: candidate.rate_prefix,
                        group,
                    });
                }
                group += 1;
            }
        }
    }

    /// The gateways of some vendors: all first ones in the vendors' order, all second ones, and so on.
    fn rank_gateways(
        &self,
        vendors: &[Candidate],
        call_hash: u64,
        gateways: &mut Vec<RankedGateway>,
    ) {
        gateways.clear();
        for (place, candidate) in (0..).zip(vendors) {
            let vendor = self.vendor(VendorIndex(candidate.vendor));
            let start = gateways.len();
            for (ordinal, (index, gateway)) in
                (1..).zip(self.gateways_of(VendorIndex(candidate.vendor)))
            {
                let item = vendor.trunk.0 ^ (ordinal << 48);
                gateways.push(RankedGateway {
                    round: 0,
                    candidate: place,
                    priority: gateway.priority,
                    score: weighted_score(call_hash, item, gateway.weight),
                    gateway: index.0,
                });
            }
            let own = gateways.get_mut(start..).unwrap_or_default();
            own.sort_by(|one, other| {
                one.priority
                    .cmp(&other.priority)
                    .then(one.score.total_cmp(&other.score))
            });
            for (round, ranked) in (0..).zip(own) {
                ranked.round = round;
            }
        }
        gateways.sort_by_key(|ranked| ranked.round);
    }
}

/// The order of two vendors before the draw by weight: price in an `lcr` plan, then priority.
fn compare_rank(mode: PlanMode, one: &Candidate, other: &Candidate) -> Ordering {
    let by_price = match mode {
        PlanMode::Lcr => (one.rate.is_none(), one.rate).cmp(&(other.rate.is_none(), other.rate)),
        PlanMode::Static => Ordering::Equal,
    };
    by_price.then(one.priority.cmp(&other.priority))
}

impl Plan {
    /// The routes of one prefix.
    fn group(&self, group: u32) -> &[PlanRoute] {
        let range = self
            .groups
            .get(group as usize)
            .map(|(start, end)| *start as usize..*end as usize);
        range
            .and_then(|range| self.routes.get(range))
            .unwrap_or_default()
    }
}

/// A draw that decides the order among equals: lowest first. Sorting by it picks each item first with the share
/// weight ÷ sum of weights, then the next among the rest likewise (Efraimidis and Spirakis, 2006).
///
/// The same call and item always draw the same; weight 0 draws infinity and so comes after all others.
pub(crate) fn weighted_score(call_hash: u64, item: u64, weight: u16) -> f64 {
    if weight == 0 {
        return f64::INFINITY;
    }
    // The finalizer of SplitMix64 over both.
    let mut mixed = call_hash ^ item.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // 53 bits make a number above 0 and up to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let drawn = ((mixed >> 11) + 1) as f64 / (1u64 << 53) as f64;
    -drawn.ln() / f64::from(weight)
}

#[cfg(test)]
mod tests;

//! What a run of the generator measured, as JSON and as text.
//! Order faults are told apart from losses: a lost datagram is not a swapped one.
//! Leaves out judgement: whether a figure is good is for the caller to say.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::percentile::Percentiles;
use crate::usage::Usage;

/// Datagrams sent again because no answer came in time (RFC 3261 §17, §13.3.1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resent {
    /// INVITE, by the caller.
    pub invite: u64,
    /// BYE, by the caller.
    pub bye: u64,
    /// CANCEL, by the caller.
    pub cancel: u64,
    /// Final responses to INVITE, by the callee.
    pub final_response: u64,
}

impl Resent {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.invite + self.bye + self.cancel + self.final_response
    }
}

/// Two messages of one dialog that arrived in the wrong order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Order {
    /// A 18x came to the caller after the 2xx of the same dialog.
    pub ringing_after_answer: u64,
    /// An ACK came to the callee after the BYE of the same dialog.
    pub ack_after_bye: u64,
}

impl Order {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.ringing_after_answer + self.ack_after_bye
    }
}

/// Messages that never came, seen by what came without them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// A 2xx at the caller without a 18x before, though the callee sends one.
    pub answered_without_ringing: u64,
    /// A BYE at the callee in a dialog whose ACK never came.
    pub bye_without_ack: u64,
}

/// What the callees saw, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CalleeCounts {
    /// INVITEs that started a leg.
    pub invites: u64,
    /// Legs answered with 200.
    pub answered: u64,
    /// Legs refused with a final status of the plan.
    pub refused: u64,
    /// Legs cancelled before an answer.
    pub cancelled: u64,
    /// Legs ended by a BYE.
    pub byes: u64,
    /// BYEs refused because no leg matched them.
    pub unknown_dialog: u64,
    /// Requests that still carried a Route (the proxy must have removed its own).
    pub route_left: u64,
}

/// The outcome of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Calls started.
    pub offered: u64,
    /// Calls that ran to the end of their script: answered and hung up with 200, or cancelled with 487.
    pub completed: u64,
    /// All others.
    pub failed: u64,
    /// Calls by final status at the caller; 0 is "none came".
    pub statuses: BTreeMap<u16, u64>,
    /// Datagrams sent again.
    pub resent: Resent,
    /// Datagrams received again: final responses at the caller, requests at the callee.
    pub received_again: u64,
    /// From the intended time of the INVITE to the first 18x or 2xx.
    pub pdd: Percentiles,
    /// From the intended to the actual time of the INVITE: the generator's own lateness.
    pub lateness: Percentiles,
    /// Swapped messages.
    pub order: Order,
    /// Messages that never came.
    pub missing: Missing,
    /// The callees' side.
    pub callee: CalleeCounts,
    /// Datagrams that could not be read or belonged to no call.
    pub stray: u64,
    /// Datagrams that the kernel refused to send.
    pub send_errors: u64,
    /// From the first INVITE to the end of the last call, in seconds.
    pub elapsed_s: f64,
    /// Calls started per second.
    pub rate_achieved: f64,
    /// What the target process used meanwhile, when its process id was given.
    pub target: Option<Usage>,
    /// What the generator itself used.
    pub generator: Option<Usage>,
}

impl Report {
    /// CPU time of the target per call started, in microseconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of one run stay far below 2^52"
    )]
    pub fn target_cpu_us_per_call(&self) -> Option<f64> {
        let usage = self.target.as_ref()?;
        (self.offered > 0).then(|| usage.cpu_ms as f64 * 1_000.0 / self.offered as f64)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "offered {}  completed {}  failed {}",
            self.offered, self.completed, self.failed
        )?;
        write!(f, "final statuses:")?;
        for (status, count) in &self.statuses {
            write!(f, "  {status}: {count}")?;
        }
        writeln!(f)?;
        let r = &self.resent;
        writeln!(
            f,
            "sent again: INVITE {}  BYE {}  CANCEL {}  final response {};  received again {}",
            r.invite, r.bye, r.cancel, r.final_response, self.received_again
        )?;
        write_percentiles(f, "post-dial delay", &self.pdd)?;
        write_percentiles(f, "generator late by", &self.lateness)?;
        writeln!(
            f,
            "order faults: 18x after 2xx {}  ACK after BYE {};  missing: 18x {}  ACK {}",
            self.order.ringing_after_answer,
            self.order.ack_after_bye,
            self.missing.answered_without_ringing,
            self.missing.bye_without_ack
        )?;
        let c = &self.callee;
        writeln!(
            f,
            "callees: INVITE {}  answered {}  refused {}  cancelled {}  BYE {}  unknown dialog {}  Route left {}",
            c.invites, c.answered, c.refused, c.cancelled, c.byes, c.unknown_dialog, c.route_left
        )?;
        writeln!(f, "stray {}  send errors {}", self.stray, self.send_errors)?;
        writeln!(
            f,
            "elapsed {:.3} s  rate {:.1} calls/s",
            self.elapsed_s, self.rate_achieved
        )?;
        if let Some(usage) = &self.target {
            writeln!(f, "target: {usage}")?;
            if let Some(us) = self.target_cpu_us_per_call() {
                writeln!(f, "target CPU per call: {us:.1} µs")?;
            }
        }
        if let Some(usage) = &self.generator {
            writeln!(f, "generator: {usage}")?;
        }
        Ok(())
    }
}

fn write_percentiles(f: &mut fmt::Formatter<'_>, name: &str, p: &Percentiles) -> fmt::Result {
    writeln!(
        f,
        "{name} (µs, {} samples): p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
        p.count, p.p50_us, p.p90_us, p.p99_us, p.p999_us, p.max_us
    )
}

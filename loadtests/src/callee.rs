//! The callee: answers, refuses, keeps silent or rings for ever, and checks the order of what comes in.
//! RFC 3261 §9.2, §13.3.1.4 (2xx sent again until the ACK), §17.2 (final responses sent again), §15.1.2.
//! Leaves out re-INVITE and responses by Via: they go to where the request came from, as `rport` asks (RFC 3581).

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::batch::Outbound;
use crate::caller::{LATE_ACK, session_description, write_reply, write_reply_head};
use crate::report::{CalleeCounts, Report};
use crate::scan::{Scan, number, parameter};
use crate::schedule::{NEVER, Resend, ResendStep, Schedule, Slot, T2_US};

/// What a callee does with an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 180, then 200.
    Answer,
    /// A final response of this status, 300 to 699.
    Refuse(u16),
    /// Nothing at all.
    Silent,
    /// 180, then nothing until the CANCEL.
    Ring,
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "answer" => Ok(Self::Answer),
            "silent" => Ok(Self::Silent),
            "ring" => Ok(Self::Ring),
            _ => match text.parse() {
                Ok(status @ 300..700) => Ok(Self::Refuse(status)),
                _ => Err(format!(
                    "`{text}`: a behaviour is answer, silent, ring or a status of 300 to 699"
                )),
            },
        }
    }
}

/// What one callee is to do.
#[derive(Clone, Copy, Debug)]
pub struct CalleePlan {
    /// Where it listens; port 0: any free one.
    pub address: SocketAddr,
    /// What it does.
    pub behaviour: Behaviour,
    /// From the 180 to the 200, in microseconds.
    pub answer_after_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ringing,
    /// 2xx sent, no ACK yet.
    Answered,
    /// Non-2xx sent, no ACK yet.
    Refused,
    Confirmed,
    Ended,
}

struct Leg {
    state: State,
    acked: bool,
    source: SocketAddr,
    act_at_us: u64,
    resend: Resend,
    /// Sent when the INVITE comes again or the ACK does not come.
    response: Box<[u8]>,
    /// The 200 and the 487 of a leg that rings, one of which will follow; both copy the INVITE's Via fields.
    answer: Box<[u8]>,
    cancelled: Box<[u8]>,
}

/// One callee's side of a run.
pub struct Callee {
    plan: CalleePlan,
    local: SocketAddr,
    /// First part of every To-tag of this callee.
    tag_prefix: String,
    sdp: String,
    legs: Vec<Leg>,
    by_branch: HashMap<Box<[u8]>, u32>,
    schedule: Schedule,
    counts: CalleeCounts,
    resent: u64,
    received_again: u64,
    ack_after_bye: u64,
    stray: u64,
}

impl Callee {
    /// Callee number `ordinal` of run `run`, listening at `local`.
    pub fn new(plan: CalleePlan, local: SocketAddr, run: u32, ordinal: usize) -> Self {
        Self {
            plan,
            local,
            tag_prefix: format!("{run:08x}t{ordinal}."),
            sdp: session_description(local),
            legs: Vec::new(),
            by_branch: HashMap::new(),
            schedule: Schedule::default(),
            counts: CalleeCounts::default(),
            resent: 0,
            received_again: 0,
            ack_after_bye: 0,
            stray: 0,
        }
    }

    /// When the callee wants to run next.
    pub fn next_us(&self) -> Option<u64> {
        self.schedule.next_us()
    }

    /// What it counted so far.
    pub fn counts(&self) -> CalleeCounts {
        self.counts
    }

    /// Does what timers ask for.
    pub fn on_timers(&mut self, now_us: u64, out: &mut Outbound) {
        while let Some((at_us, index, slot)) = self.schedule.due(now_us) {
            let leg = &mut self.legs[index as usize];
            match slot {
                Slot::Act if leg.act_at_us == at_us && leg.state == State::Ringing => {
                    self.answer(now_us, index, out)
                }
                Slot::Resend if leg.resend.at_us == at_us => {
                    if leg.resend.step(now_us, T2_US) == ResendStep::Again {
                        self.resent += 1;
                        out.push(leg.source, &leg.response);
                        self.schedule.set(leg.resend.at_us, index, Slot::Resend);
                    }
                }
                // Replaced since it was set.
                Slot::Act | Slot::Resend => {}
            }
        }
    }

    /// Handles a datagram that came to the callee's socket.
    pub fn on_datagram(&mut self, now_us: u64, bytes: &[u8], from: SocketAddr, out: &mut Outbound) {
        let Some(scan) = Scan::read(bytes).filter(|scan| scan.status().is_none()) else {
            self.stray += 1;
            return;
        };
        if scan.routes > 0 {
            self.counts.route_left += 1;
        }
        match scan.method() {
            b"INVITE" => self.on_invite(now_us, &scan, from, out),
            b"ACK" => self.on_ack(&scan),
            b"BYE" => self.on_bye(&scan, from, out),
            b"CANCEL" => self.on_cancel(now_us, &scan, from, out),
            b"OPTIONS" => out.push_with(from, |text| write_reply(text, &scan, b"200 OK", None)),
            _ => out.push_with(from, |text| {
                write_reply(text, &scan, b"501 Not Implemented", None)
            }),
        }
    }

    fn on_invite(&mut self, now_us: u64, scan: &Scan<'_>, from: SocketAddr, out: &mut Outbound) {
        let Some(branch) = scan.branch() else {
            self.stray += 1;
            return;
        };
        if let Some(&index) = self.by_branch.get(branch) {
            self.received_again += 1;
            let leg = &self.legs[index as usize];
            if !leg.response.is_empty() && leg.state != State::Confirmed {
                out.push(leg.source, &leg.response);
            }
            return;
        }
        let index = u32::try_from(self.legs.len()).unwrap_or(u32::MAX);
        self.by_branch.insert(branch.into(), index);
        self.counts.invites += 1;
        let tag = format!("{}{index}", self.tag_prefix);
        let (mut response, mut answer, mut cancelled) = (Vec::new(), Vec::new(), Vec::new());
        match self.plan.behaviour {
            Behaviour::Silent => {}
            Behaviour::Refuse(status) => {
                let line = format!("{status} Refused By Plan");
                write_reply(&mut response, scan, line.as_bytes(), Some(&tag));
            }
            Behaviour::Answer | Behaviour::Ring => {
                self.write_dialog_reply(&mut response, scan, b"180 Ringing", &tag, "");
                write_reply(&mut cancelled, scan, b"487 Request Terminated", Some(&tag));
                if self.plan.behaviour == Behaviour::Answer {
                    self.write_dialog_reply(&mut answer, scan, b"200 OK", &tag, &self.sdp);
                }
            }
        }
        let mut leg = Leg {
            state: State::Ringing,
            acked: false,
            source: from,
            act_at_us: NEVER,
            resend: Resend::OFF,
            response: response.into(),
            answer: answer.into(),
            cancelled: cancelled.into(),
        };
        if !leg.response.is_empty() {
            out.push(from, &leg.response);
        }
        match self.plan.behaviour {
            Behaviour::Answer => leg.act_at_us = now_us + self.plan.answer_after_us,
            Behaviour::Refuse(_) => {
                self.counts.refused += 1;
                leg.state = State::Refused;
                leg.resend = Resend::start(now_us);
            }
            Behaviour::Silent | Behaviour::Ring => {}
        }
        self.schedule.set(leg.resend.at_us, index, Slot::Resend);
        let at_once = leg.act_at_us == now_us;
        if !at_once {
            self.schedule.set(leg.act_at_us, index, Slot::Act);
        }
        self.legs.push(leg);
        if at_once {
            self.answer(now_us, index, out);
        }
    }

    fn answer(&mut self, now_us: u64, index: u32, out: &mut Outbound) {
        let leg = &mut self.legs[index as usize];
        leg.response = std::mem::take(&mut leg.answer);
        leg.cancelled = Box::default();
        leg.state = State::Answered;
        leg.resend = Resend::start(now_us);
        self.counts.answered += 1;
        out.push(leg.source, &leg.response);
        self.schedule.set(leg.resend.at_us, index, Slot::Resend);
    }

    fn on_ack(&mut self, scan: &Scan<'_>) {
        let Some(index) = self.leg_of(scan) else {
            self.stray += 1;
            return;
        };
        let leg = &mut self.legs[index as usize];
        match leg.state {
            State::Answered => leg.state = State::Confirmed,
            State::Refused => leg.state = State::Ended,
            // The one before the BYE was lost, and this one was sent after it.
            State::Ended if is_late_ack(scan) => return,
            // The first ACK of an answered leg comes only now, after its BYE: swapped on the way.
            State::Ended if !leg.acked => self.ack_after_bye += 1,
            State::Ringing | State::Confirmed | State::Ended => {}
        }
        leg.acked = true;
        leg.resend = Resend::OFF;
        leg.response = Box::default();
    }

    fn on_bye(&mut self, scan: &Scan<'_>, from: SocketAddr, out: &mut Outbound) {
        let leg = self
            .leg_of(scan)
            .map(|index| &mut self.legs[index as usize]);
        let Some(leg) = leg
            .filter(|leg| matches!(leg.state, State::Answered | State::Confirmed | State::Ended))
        else {
            self.counts.unknown_dialog += 1;
            out.push_with(from, |text| {
                write_reply(text, scan, b"481 Call/Transaction Does Not Exist", None)
            });
            return;
        };
        if leg.state == State::Ended {
            self.received_again += 1;
        } else {
            self.counts.byes += 1;
        }
        leg.state = State::Ended;
        leg.resend = Resend::OFF;
        leg.response = Box::default();
        out.push_with(from, |text| write_reply(text, scan, b"200 OK", None));
    }

    fn on_cancel(&mut self, now_us: u64, scan: &Scan<'_>, from: SocketAddr, out: &mut Outbound) {
        if self.plan.behaviour == Behaviour::Silent {
            return;
        }
        let index = scan
            .branch()
            .and_then(|branch| self.by_branch.get(branch))
            .copied();
        let Some(index) = index else {
            out.push_with(from, |text| {
                write_reply(text, scan, b"481 Call/Transaction Does Not Exist", None)
            });
            return;
        };
        out.push_with(from, |text| write_reply(text, scan, b"200 OK", None));
        let leg = &mut self.legs[index as usize];
        if leg.state != State::Ringing {
            return;
        }
        // §9.2: the INVITE gets 487.
        leg.response = std::mem::take(&mut leg.cancelled);
        leg.answer = Box::default();
        out.push(leg.source, &leg.response);
        leg.state = State::Refused;
        leg.resend = Resend::start(now_us);
        self.counts.cancelled += 1;
        self.schedule.set(leg.resend.at_us, index, Slot::Resend);
    }

    fn leg_of(&self, scan: &Scan<'_>) -> Option<u32> {
        let index = number(scan.to_tag()?.strip_prefix(self.tag_prefix.as_bytes())?)?;
        ((index as usize) < self.legs.len()).then_some(index)
    }

    fn write_dialog_reply(
        &self,
        text: &mut Vec<u8>,
        scan: &Scan<'_>,
        status: &[u8],
        tag: &str,
        body: &str,
    ) {
        write_reply_head(text, scan, status, Some(tag));
        // §12.1.1: Record-Route is copied in order.
        for value in scan.record_routes.as_slice() {
            text.extend_from_slice(b"Record-Route: ");
            text.extend_from_slice(value);
            text.extend_from_slice(b"\r\n");
        }
        let _ = write!(text, "Contact: <sip:callee@{}>\r\n", self.local);
        if !body.is_empty() {
            text.extend_from_slice(b"Content-Type: application/sdp\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    }

    /// Adds the callee's part to the report.
    pub fn report(&self, report: &mut Report) {
        let sum = &mut report.callee;
        sum.invites += self.counts.invites;
        sum.answered += self.counts.answered;
        sum.refused += self.counts.refused;
        sum.cancelled += self.counts.cancelled;
        sum.byes += self.counts.byes;
        sum.unknown_dialog += self.counts.unknown_dialog;
        sum.route_left += self.counts.route_left;
        report.resent.final_response += self.resent;
        report.received_again += self.received_again;
        report.order.ack_after_bye += self.ack_after_bye;
        let never_acked = self
            .legs
            .iter()
            .filter(|leg| leg.state == State::Ended && !leg.acked)
            .count();
        report.missing.bye_without_ack += never_acked as u64;
        report.stray += self.stray;
    }
}

/// Whether the caller, whose Via is the last, sent this ACK after the BYE.
fn is_late_ack(scan: &Scan<'_>) -> bool {
    scan.vias
        .as_slice()
        .last()
        .and_then(|via| parameter(via, b"branch"))
        .is_some_and(|branch| branch.ends_with(&[b'.', LATE_ACK]))
}

#[cfg(test)]
mod tests;

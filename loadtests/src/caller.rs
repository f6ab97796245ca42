//! The caller: places calls at a constant rate whatever becomes of the earlier ones (open loop), and ends them.
//! RFC 3261 §9.1 (CANCEL), §12.2.1.1 (route set, remote target), §13.2.2.4 (ACK of every 2xx), §17.1 (retransmission, give-up).
//! Leaves out re-INVITE and authentication; a request of the far side gets 200 (BYE, OPTIONS) or 501.

use std::io::Write;
use std::net::SocketAddr;

use serde::Serialize;

use crate::batch::Outbound;
use crate::percentile::Samples;
use crate::report::{Missing, Order, Report, Resent};
use crate::scan::{Scan, bare_uri, number, parameter, uri_address};
use crate::schedule::{NEVER, Resend, ResendStep, Schedule, Slot, T2_US};

/// Calls started in one turn at most, so that answers are read in between even when the caller runs late.
const STARTS_PER_TURN_MAX: u32 = 64;

/// The last letter in the branch of an ACK that was sent after the BYE of its call.
pub const LATE_ACK: u8 = b'l';

/// What the caller is to do.
#[derive(Clone, Debug)]
pub struct CallerPlan {
    /// Where new calls go.
    pub target: SocketAddr,
    /// First digits of every number called; seven digits that count the calls follow.
    pub number_prefix: String,
    /// The calling number.
    pub from_number: String,
    /// Calls per second.
    pub rate: f64,
    /// How many calls in all; the call log and all tables are bounded by it.
    pub calls: u32,
    /// From the answer to the BYE, in microseconds; [`NEVER`]: calls stay up until told to hang up.
    pub hold_us: u64,
    /// From the INVITE to the CANCEL, in microseconds, when calls are to be cancelled.
    pub cancel_after_us: Option<u64>,
    /// From the INVITE to the CANCEL of a call that nobody answers, in microseconds.
    pub setup_max_us: u64,
    /// In-dialog requests go to the target too, for a forwarder that does not record-route.
    pub pin_target: bool,
}

/// What the caller saw of one call; times are microseconds of UTC since 1970.
#[derive(Clone, Debug, Serialize)]
pub struct CallSeen {
    /// Call-ID.
    pub call_id: String,
    /// The number called.
    pub callee: String,
    /// Final status of the INVITE; 0 when none came.
    pub status: u16,
    /// When the first INVITE left.
    pub sent_at_us: i64,
    /// When the first 18x came.
    pub ring_at_us: Option<i64>,
    /// When the first final response came.
    pub final_at_us: Option<i64>,
    /// When the 2xx came.
    pub answered_at_us: Option<i64>,
    /// When the first BYE left.
    pub bye_sent_at_us: Option<i64>,
    /// When the 2xx of the BYE came.
    pub bye_ok_at_us: Option<i64>,
    /// Final status of the BYE; 0 when none came.
    pub bye_status: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Up,
    HangingUp,
    Done,
}

/// What in-dialog requests are built from (§12.1.2).
struct Dialog {
    to: Box<[u8]>,
    /// Request-URI of in-dialog requests.
    request_uri: Box<[u8]>,
    /// Route lines, ready to be copied; empty without a route set.
    routes: Box<[u8]>,
    next_hop: SocketAddr,
}

struct Call {
    state: State,
    cancel_wanted: bool,
    cancel_sent: bool,
    status: u16,
    bye_status: Option<u16>,
    intended_us: u64,
    sent_us: u64,
    ring_us: u64,
    final_us: u64,
    answered_us: u64,
    bye_sent_us: u64,
    bye_ok_us: u64,
    act_at_us: u64,
    resend: Resend,
    dialog: Option<Box<Dialog>>,
}

/// The caller's side of a run.
pub struct Caller {
    plan: CallerPlan,
    local: SocketAddr,
    run: u32,
    sdp: String,
    calls: Vec<Call>,
    schedule: Schedule,
    finished: u32,
    up: u32,
    answered: u32,
    resent: Resent,
    received_again: u64,
    order: Order,
    answered_without_ringing: u64,
    stray: u64,
    pdd: Samples,
    lateness: Samples,
}

impl Caller {
    /// A caller at `local`; `run` tells its identifiers from those of other runs.
    pub fn new(plan: CallerPlan, local: SocketAddr, run: u32) -> Self {
        let calls = Vec::with_capacity(plan.calls as usize);
        Self {
            plan,
            local,
            run,
            sdp: session_description(local),
            calls,
            schedule: Schedule::default(),
            finished: 0,
            up: 0,
            answered: 0,
            resent: Resent::default(),
            received_again: 0,
            order: Order::default(),
            answered_without_ringing: 0,
            stray: 0,
            pdd: Samples::default(),
            lateness: Samples::default(),
        }
    }

    /// Calls started so far.
    pub fn started(&self) -> u32 {
        u32::try_from(self.calls.len()).unwrap_or(u32::MAX)
    }

    /// Calls that are up now.
    pub fn up(&self) -> u32 {
        self.up
    }

    /// Calls answered so far.
    pub fn answered(&self) -> u32 {
        self.answered
    }

    /// Calls that are over.
    pub fn finished(&self) -> u32 {
        self.finished
    }

    /// All calls were started and each is up or over.
    pub fn is_settled(&self) -> bool {
        self.started() == self.plan.calls && self.finished + self.up == self.plan.calls
    }

    /// All calls were started and are over.
    pub fn is_done(&self) -> bool {
        self.finished == self.plan.calls
    }

    /// When the caller wants to run next.
    pub fn next_us(&self) -> Option<u64> {
        let start = (self.started() < self.plan.calls).then(|| self.intended_us(self.started()));
        [start, self.schedule.next_us()].into_iter().flatten().min()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a run is far shorter than 2^63 µs"
    )]
    fn intended_us(&self, index: u32) -> u64 {
        (f64::from(index) * 1e6 / self.plan.rate) as u64
    }

    /// Starts the calls that are due.
    pub fn start_due(&mut self, now_us: u64, out: &mut Outbound) {
        for _ in 0..STARTS_PER_TURN_MAX {
            let index = self.started();
            if index >= self.plan.calls || self.intended_us(index) > now_us {
                return;
            }
            let intended_us = self.intended_us(index);
            self.lateness.add(now_us - intended_us);
            let act_at_us = now_us
                + self
                    .plan
                    .cancel_after_us
                    .unwrap_or(NEVER)
                    .min(self.plan.setup_max_us);
            let resend = Resend::start(now_us);
            self.calls.push(Call {
                state: State::Calling,
                cancel_wanted: false,
                cancel_sent: false,
                status: 0,
                bye_status: None,
                intended_us,
                sent_us: now_us,
                ring_us: NEVER,
                final_us: NEVER,
                answered_us: NEVER,
                bye_sent_us: NEVER,
                bye_ok_us: NEVER,
                act_at_us,
                resend,
                dialog: None,
            });
            self.schedule.set(resend.at_us, index, Slot::Resend);
            self.schedule.set(act_at_us, index, Slot::Act);
            self.send_invite(index, out);
        }
    }

    /// Does what timers ask for.
    pub fn on_timers(&mut self, now_us: u64, out: &mut Outbound) {
        while let Some((at_us, index, slot)) = self.schedule.due(now_us) {
            let call = &self.calls[index as usize];
            match slot {
                Slot::Resend if call.resend.at_us == at_us => self.on_resend(now_us, index, out),
                Slot::Act if call.act_at_us == at_us => self.on_act(now_us, index, out),
                // Replaced since it was set.
                Slot::Resend | Slot::Act => {}
            }
        }
    }

    fn on_resend(&mut self, now_us: u64, index: u32, out: &mut Outbound) {
        let call = &mut self.calls[index as usize];
        // RFC 3261 §17.1.1.2: Timer A doubles without a ceiling; §17.1.2.2: Timer E stops at T2.
        let interval_max_us = if call.state == State::Calling {
            NEVER
        } else {
            T2_US
        };
        if call.resend.step(now_us, interval_max_us) == ResendStep::GiveUp {
            self.finish(index);
            return;
        }
        self.schedule.set(call.resend.at_us, index, Slot::Resend);
        match call.state {
            State::Calling => {
                self.resent.invite += 1;
                self.send_invite(index, out);
            }
            State::Proceeding => {
                self.resent.cancel += 1;
                self.send_cancel(index, out);
            }
            State::HangingUp => {
                self.resent.bye += 1;
                self.send_bye(index, out);
            }
            State::Up | State::Done => {}
        }
    }

    fn on_act(&mut self, now_us: u64, index: u32, out: &mut Outbound) {
        let call = &mut self.calls[index as usize];
        call.act_at_us = NEVER;
        match call.state {
            // §9.1: no CANCEL before a provisional response; Timer B ends the call if none comes.
            State::Calling => call.cancel_wanted = true,
            State::Proceeding => self.cancel(now_us, index, out),
            State::Up => self.hang_up(now_us, index, out),
            State::HangingUp | State::Done => {}
        }
    }

    fn cancel(&mut self, now_us: u64, index: u32, out: &mut Outbound) {
        let call = &mut self.calls[index as usize];
        call.cancel_sent = true;
        call.resend = Resend::start(now_us);
        self.schedule.set(call.resend.at_us, index, Slot::Resend);
        self.send_cancel(index, out);
    }

    fn hang_up(&mut self, now_us: u64, index: u32, out: &mut Outbound) {
        let call = &mut self.calls[index as usize];
        call.state = State::HangingUp;
        call.bye_sent_us = now_us;
        call.resend = Resend::start(now_us);
        self.up -= 1;
        self.schedule.set(call.resend.at_us, index, Slot::Resend);
        self.send_bye(index, out);
    }

    /// Hangs up every call that is up, one after the other at the plan's rate.
    pub fn hang_up_all(&mut self, now_us: u64) {
        let mut waiting = 0;
        for index in 0..self.started() {
            if self.calls[index as usize].state == State::Up {
                let at_us = now_us + self.intended_us(waiting);
                waiting += 1;
                self.calls[index as usize].act_at_us = at_us;
                self.schedule.set(at_us, index, Slot::Act);
            }
        }
    }

    fn finish(&mut self, index: u32) {
        let call = &mut self.calls[index as usize];
        if call.state == State::Done {
            return;
        }
        if call.state == State::Up {
            self.up -= 1;
        }
        call.state = State::Done;
        call.resend = Resend::OFF;
        call.act_at_us = NEVER;
        call.dialog = None;
        self.finished += 1;
    }

    /// Handles a datagram that came to the caller's socket.
    pub fn on_datagram(&mut self, now_us: u64, bytes: &[u8], from: SocketAddr, out: &mut Outbound) {
        let Some(scan) = Scan::read(bytes) else {
            self.stray += 1;
            return;
        };
        match scan.status() {
            Some(status) => self.on_response(now_us, status, &scan, out),
            None => self.on_request(&scan, from, out),
        }
    }

    fn on_request(&mut self, scan: &Scan<'_>, from: SocketAddr, out: &mut Outbound) {
        let ours = self.index_of_call_id(scan.call_id);
        let status: &[u8] = match (scan.method(), ours) {
            (b"ACK", _) => return,
            (b"BYE", Some(_)) | (b"OPTIONS", _) => b"200 OK",
            (b"BYE", None) => b"481 Call/Transaction Does Not Exist",
            _ => b"501 Not Implemented",
        };
        out.push_with(from, |text| write_reply(text, scan, status, None));
        if let (b"BYE", Some(index)) = (scan.method(), ours) {
            self.finish(index);
        }
    }

    fn on_response(&mut self, now_us: u64, status: u16, scan: &Scan<'_>, out: &mut Outbound) {
        let index = scan
            .branch()
            .and_then(|branch| self.index_of_branch(branch));
        let index = index.filter(|&index| self.index_of_call_id(scan.call_id) == Some(index));
        match (index, scan.cseq_method) {
            (Some(index), b"INVITE") => self.on_invite_response(now_us, status, index, scan, out),
            (Some(index), b"BYE") => self.on_bye_response(now_us, status, index),
            (Some(index), b"CANCEL") => self.on_cancel_response(now_us, status, index),
            _ => self.stray += 1,
        }
    }

    fn on_invite_response(
        &mut self,
        now_us: u64,
        status: u16,
        index: u32,
        scan: &Scan<'_>,
        out: &mut Outbound,
    ) {
        match status {
            ..200 => self.on_provisional(now_us, status, index, scan, out),
            200..300 => self.on_answer(now_us, status, index, scan, out),
            300.. => self.on_refusal(now_us, status, index, scan, out),
        }
    }

    fn on_provisional(
        &mut self,
        now_us: u64,
        status: u16,
        index: u32,
        scan: &Scan<'_>,
        out: &mut Outbound,
    ) {
        let call = &mut self.calls[index as usize];
        if let Some(dialog) = &call.dialog {
            let same = parameter(&dialog.to, b"tag") == scan.to_tag();
            if status > 100 && same {
                self.order.ringing_after_answer += 1;
            }
            return;
        }
        if !matches!(call.state, State::Calling | State::Proceeding) {
            return;
        }
        if call.state == State::Calling {
            call.state = State::Proceeding;
            call.resend = Resend::OFF;
        }
        if (180..200).contains(&status) && call.ring_us == NEVER {
            call.ring_us = now_us;
            self.pdd.add(now_us - call.intended_us);
        }
        if call.cancel_wanted {
            call.cancel_wanted = false;
            self.cancel(now_us, index, out);
        }
    }

    fn on_answer(
        &mut self,
        now_us: u64,
        status: u16,
        index: u32,
        scan: &Scan<'_>,
        out: &mut Outbound,
    ) {
        let Some(dialog) = self.dialog_of(scan) else {
            self.stray += 1;
            return;
        };
        let call = &mut self.calls[index as usize];
        match call.state {
            State::Calling | State::Proceeding => {
                call.state = State::Up;
                call.status = status;
                call.final_us = now_us;
                call.answered_us = now_us;
                call.resend = Resend::OFF;
                self.up += 1;
                self.answered += 1;
                if call.ring_us == NEVER {
                    self.answered_without_ringing += 1;
                    self.pdd.add(now_us - call.intended_us);
                }
                // A call that was answered while being cancelled is hung up at once (§15).
                let hold_us = if call.cancel_sent || call.cancel_wanted {
                    0
                } else {
                    self.plan.hold_us
                };
                call.act_at_us = now_us.saturating_add(hold_us);
                self.schedule.set(call.act_at_us, index, Slot::Act);
                self.send_ack(index, &dialog, out);
                self.calls[index as usize].dialog = Some(Box::new(dialog));
            }
            State::Up | State::HangingUp | State::Done => {
                self.received_again += 1;
                self.send_ack(index, &dialog, out);
                // §13.2.2.4: another callee's answer is acknowledged and ended.
                let current = call_tag(self.calls[index as usize].dialog.as_deref());
                if current.is_some() && current != scan.to_tag() {
                    self.send_in_dialog(index, "BYE", 2, 'x', &dialog, out);
                }
            }
        }
    }

    fn on_refusal(
        &mut self,
        now_us: u64,
        status: u16,
        index: u32,
        scan: &Scan<'_>,
        out: &mut Outbound,
    ) {
        // §17.1.1.3: acknowledged hop by hop, with the INVITE's own branch, each time it comes.
        let (run, local, from) = (self.run, self.local, self.plan.from_number.as_str());
        let number = number_of(&self.plan, index);
        let target = self.plan.target;
        out.push_with(target, |text| {
            let _ = write!(
                text,
                "ACK sip:{number}@{target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK.{run:08x}.{index}.i;rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{from}@{local}>;tag={run:08x}f{index}\r\nTo: "
            );
            text.extend_from_slice(scan.to);
            let _ = write!(
                text,
                "\r\nCall-ID: {run:08x}-{index}@{}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
                local.ip()
            );
        });
        let call = &mut self.calls[index as usize];
        if matches!(call.state, State::Calling | State::Proceeding) {
            call.status = status;
            call.final_us = now_us;
            self.finish(index);
        } else {
            self.received_again += 1;
        }
    }

    fn on_bye_response(&mut self, now_us: u64, status: u16, index: u32) {
        let call = &mut self.calls[index as usize];
        if status < 200 || call.state != State::HangingUp {
            return;
        }
        call.bye_status = Some(status);
        if status < 300 {
            call.bye_ok_us = now_us;
        }
        self.finish(index);
    }

    fn on_cancel_response(&mut self, now_us: u64, status: u16, index: u32) {
        let call = &mut self.calls[index as usize];
        if status < 200 || call.state != State::Proceeding || !call.cancel_sent {
            return;
        }
        if status == 481 {
            // The far side was started anew and knows no such INVITE: no final response will follow.
            self.finish(index);
        } else {
            // §9.1: the INVITE's own final response is waited for, 64·T1 at most.
            call.resend = Resend::wait_only(now_us);
            self.schedule.set(call.resend.at_us, index, Slot::Resend);
        }
    }

    /// The dialog that a 2xx establishes, seen from the caller (§12.1.2); `None` when it can't be followed.
    fn dialog_of(&self, scan: &Scan<'_>) -> Option<Dialog> {
        let target = bare_uri(scan.contact);
        let mut route_set: Vec<&[u8]> = scan
            .record_routes
            .as_slice()
            .iter()
            .flat_map(|line| values(line))
            .collect();
        // §12.1.2: the caller's route set is Record-Route reversed.
        route_set.reverse();
        let mut request_uri = target;
        let mut next_hop = uri_address(target)?;
        if let Some(&first) = route_set.first() {
            next_hop = uri_address(bare_uri(first))?;
            if !has_lr(bare_uri(first)) {
                // §12.2.1.1: a strict router takes the request URI's place.
                request_uri = bare_uri(first);
                route_set.remove(0);
            }
        }
        let mut routes = Vec::new();
        for route in &route_set {
            routes.extend_from_slice(b"Route: ");
            routes.extend_from_slice(route);
            routes.extend_from_slice(b"\r\n");
        }
        if request_uri != target {
            routes.extend_from_slice(b"Route: <");
            routes.extend_from_slice(target);
            routes.extend_from_slice(b">\r\n");
        }
        if self.plan.pin_target {
            next_hop = self.plan.target;
        }
        Some(Dialog {
            to: scan.to.into(),
            request_uri: request_uri.into(),
            routes: routes.into(),
            next_hop,
        })
    }

    fn send_invite(&self, index: u32, out: &mut Outbound) {
        let number = number_of(&self.plan, index);
        let (run, local, target, from) = (
            self.run,
            self.local,
            self.plan.target,
            self.plan.from_number.as_str(),
        );
        out.push_with(target, |text| {
            let _ = write!(
                text,
                "INVITE sip:{number}@{target} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {local};branch=z9hG4bK.{run:08x}.{index}.i;rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{from}@{local}>;tag={run:08x}f{index}\r\nTo: <sip:{number}@{target}>\r\n\
                 Call-ID: {run:08x}-{index}@{}\r\nCSeq: 1 INVITE\r\nContact: <sip:{from}@{local}>\r\n\
                 Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nSupported: timer\r\nUser-Agent: loadgen\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{}",
                local.ip(),
                self.sdp.len(),
                self.sdp
            );
        });
    }

    fn send_cancel(&self, index: u32, out: &mut Outbound) {
        let number = number_of(&self.plan, index);
        let (run, local, target, from) = (
            self.run,
            self.local,
            self.plan.target,
            self.plan.from_number.as_str(),
        );
        out.push_with(target, |text| {
            let _ = write!(
                text,
                "CANCEL sip:{number}@{target} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {local};branch=z9hG4bK.{run:08x}.{index}.i;rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{from}@{local}>;tag={run:08x}f{index}\r\nTo: <sip:{number}@{target}>\r\n\
                 Call-ID: {run:08x}-{index}@{}\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n",
                local.ip()
            );
        });
    }

    /// One that leaves after the BYE says so in its branch: behind the BYE is then its right place.
    fn send_ack(&self, index: u32, dialog: &Dialog, out: &mut Outbound) {
        let kind = match self.calls[index as usize].state {
            State::HangingUp | State::Done => char::from(LATE_ACK),
            State::Calling | State::Proceeding | State::Up => 'a',
        };
        self.send_in_dialog(index, "ACK", 1, kind, dialog, out);
    }

    fn send_bye(&self, index: u32, out: &mut Outbound) {
        if let Some(dialog) = &self.calls[index as usize].dialog {
            self.send_in_dialog(index, "BYE", 2, 'b', dialog, out);
        }
    }

    fn send_in_dialog(
        &self,
        index: u32,
        method: &str,
        cseq: u32,
        kind: char,
        dialog: &Dialog,
        out: &mut Outbound,
    ) {
        let (run, local, from) = (self.run, self.local, self.plan.from_number.as_str());
        out.push_with(dialog.next_hop, |text| {
            let _ = write!(text, "{method} ");
            text.extend_from_slice(&dialog.request_uri);
            let _ = write!(
                text,
                " SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK.{run:08x}.{index}.{kind};rport\r\n"
            );
            text.extend_from_slice(&dialog.routes);
            let _ = write!(text, "Max-Forwards: 70\r\nFrom: <sip:{from}@{local}>;tag={run:08x}f{index}\r\nTo: ");
            text.extend_from_slice(&dialog.to);
            let _ = write!(
                text,
                "\r\nCall-ID: {run:08x}-{index}@{}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
                local.ip()
            );
        });
    }

    fn index_of_branch(&self, branch: &[u8]) -> Option<u32> {
        let mut parts = branch.strip_prefix(b"z9hG4bK.")?.split(|&b| b == b'.');
        self.index_if_ours(parts.next()?, parts.next()?)
    }

    fn index_of_call_id(&self, call_id: &[u8]) -> Option<u32> {
        let local_part = call_id.split(|&b| b == b'@').next()?;
        let dash = local_part.iter().position(|&b| b == b'-')?;
        self.index_if_ours(&local_part[..dash], &local_part[dash + 1..])
    }

    fn index_if_ours(&self, run: &[u8], index: &[u8]) -> Option<u32> {
        let run = u32::from_str_radix(std::str::from_utf8(run).ok()?, 16).ok()?;
        let index = number(index)?;
        (run == self.run && index < self.started()).then_some(index)
    }

    /// Writes the caller's part of the report.
    pub fn report(&mut self, report: &mut Report) {
        report.offered = self.calls.len() as u64;
        for call in &self.calls {
            *report.statuses.entry(call.status).or_default() += 1;
            let ended_as_planned = if self.plan.cancel_after_us.is_some() {
                call.status == 487
            } else {
                call.bye_ok_us != NEVER
            };
            if ended_as_planned && call.state == State::Done {
                report.completed += 1;
            }
        }
        report.failed = report.offered - report.completed;
        report.resent.invite = self.resent.invite;
        report.resent.bye = self.resent.bye;
        report.resent.cancel = self.resent.cancel;
        report.received_again += self.received_again;
        report.order.ringing_after_answer += self.order.ringing_after_answer;
        report.missing = Missing {
            answered_without_ringing: self.answered_without_ringing,
            ..report.missing
        };
        report.stray += self.stray;
        report.pdd = self.pdd.summary();
        report.lateness = self.lateness.summary();
    }

    /// What was seen of each call; `wall_us` is the UTC time of the run's zero.
    pub fn calls_seen(&self, wall_us: i64) -> Vec<CallSeen> {
        let at = |us: u64| i64::try_from(us).ok().map(|us| wall_us + us);
        (0..self.started())
            .map(|index| {
                let call = &self.calls[index as usize];
                CallSeen {
                    call_id: format!("{:08x}-{index}@{}", self.run, self.local.ip()),
                    callee: number_of(&self.plan, index),
                    status: call.status,
                    sent_at_us: at(call.sent_us).unwrap_or(wall_us),
                    ring_at_us: at(call.ring_us),
                    final_at_us: at(call.final_us),
                    answered_at_us: at(call.answered_us),
                    bye_sent_at_us: at(call.bye_sent_us),
                    bye_ok_at_us: at(call.bye_ok_us),
                    bye_status: call.bye_status.or((call.bye_sent_us != NEVER).then_some(0)),
                }
            })
            .collect()
    }
}

fn call_tag(dialog: Option<&Dialog>) -> Option<&[u8]> {
    parameter(&dialog?.to, b"tag")
}

fn number_of(plan: &CallerPlan, index: u32) -> String {
    format!("{}{:07}", plan.number_prefix, index % 10_000_000)
}

/// The values of a comma list of name-addrs; commas inside angle brackets belong to a URI.
fn values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut inside = false;
    line.split(move |&b| {
        match b {
            b'<' => inside = true,
            b'>' => inside = false,
            _ => {}
        }
        b == b',' && !inside
    })
    .map(<[u8]>::trim_ascii)
}

fn has_lr(uri: &[u8]) -> bool {
    uri.split(|&b| b == b';').skip(1).any(|param| {
        let name = param.split(|&b| b == b'=').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"lr")
    })
}

/// An offer or answer for one audio stream at `local`; no media is ever sent.
pub(crate) fn session_description(local: SocketAddr) -> String {
    let ip = local.ip();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=loadgen 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
    )
}

/// A response to `scan` without body; `to_tag` is added when given.
pub(crate) fn write_reply(
    text: &mut Vec<u8>,
    scan: &Scan<'_>,
    status: &[u8],
    to_tag: Option<&str>,
) {
    write_reply_head(text, scan, status, to_tag);
    text.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// Status line and the fields copied from the request (§8.2.6.2).
pub(crate) fn write_reply_head(
    text: &mut Vec<u8>,
    scan: &Scan<'_>,
    status: &[u8],
    to_tag: Option<&str>,
) {
    let mut line = |name: &[u8], value: &[u8]| {
        text.extend_from_slice(name);
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
    };
    line(b"SIP/2.0 ", status);
    for via in scan.vias.as_slice() {
        line(b"Via: ", via);
    }
    line(b"From: ", scan.from);
    match to_tag {
        Some(tag) => line(b"To: ", &[scan.to, b";tag=", tag.as_bytes()].concat()),
        None => line(b"To: ", scan.to),
    }
    line(b"Call-ID: ", scan.call_id);
    let _ = write!(text, "CSeq: {} ", scan.cseq);
    text.extend_from_slice(scan.cseq_method);
    text.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;

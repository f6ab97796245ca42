//! A run decided by bytes, for fuzzing: who calls, what is forged from what was seen, what the operator and the clock do.
//! Peers here are hostile: they repeat, mix and mutate what crossed the boundary, so only `faults_whoever_sent` must not occur.
//! Leaves out the end of the process, whose runs are drawn by `random_run`.

use std::net::SocketAddr;

use crate::clock::{MS, SECOND};
use crate::invariants::faults_whoever_sent;
use crate::leg::FOREIGN;
use crate::network::Datagram;
use crate::peer_caller::{CallPlan, CancelPlan};
use crate::peer_vendor::{OnCancel, Outcome, VendorScript};
use crate::world::{Handoff, PROXY, VendorPlan, World, WorldConfig};

/// Events of one program at most.
const EVENTS_MAX: usize = 48;
/// The longest time after the last event until everything has ended, µs: three vendors' Timer C and the longest call.
const LATEST_US: u64 = 2_000 * SECOND;
/// How old an INVITE may be to be sent again as it was, µs; later it would begin another transaction.
const REPEAT_MAX_US: u64 = 5 * SECOND;

const METHODS: [&str; 12] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "PRACK",
    "UPDATE",
    "INFO",
    "REGISTER",
    "MESSAGE",
    "SUBSCRIBE",
    "NEW",
];
const URIS: [&str; 8] = [
    "sip:4930123456@192.0.2.1",
    "sip:15551234@192.0.2.1:5060;lr",
    "sip:192.0.2.1",
    "sip:callee@203.0.113.10:5060",
    "sip:x@nowhere.example",
    "tel:+4930123",
    "sips:4930123@192.0.2.1",
    "urn:service:sos",
];
const LINES: [&str; 24] = [
    "Max-Forwards: 0",
    "Max-Forwards: 1",
    "Max-Forwards: 255",
    "Max-Breadth: 1",
    "Require: 100rel",
    "Proxy-Require: nothing-i-know",
    "Supported: timer, 100rel",
    "Session-Expires: 90;refresher=uac",
    "Session-Expires: 1",
    "Min-SE: 120",
    "Route: <sip:192.0.2.1;lr>",
    "Route: <sip:192.0.2.1>",
    "Route: <sip:198.18.0.99:5060;lr>",
    "Record-Route: <sip:198.18.0.99>",
    "Contact: *",
    "Contact: <sip:x@pbx0.example>",
    "Reason: SIP;cause=200;text=\"elsewhere\"",
    "Content-Length: 3",
    "Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKf",
    "To: <sip:1@192.0.2.1>;tag=forged",
    "RSeq: 1",
    "RAck: 1 1 INVITE",
    "CSeq: 1 INVITE",
    "Retry-After: 5",
];
const STATUSES: [u16; 16] = [
    100, 180, 183, 199, 200, 202, 300, 302, 401, 408, 481, 486, 487, 503, 600, 699,
];

/// Decisions out of bytes; when they have run out, every decision is the first.
struct Choices<'b>(&'b [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, count: usize) -> usize {
        let number = if count > 256 {
            usize::from(self.byte()) << 8 | usize::from(self.byte())
        } else {
            usize::from(self.byte())
        };
        number % count.max(1)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A time up to `step_us` · 255.
    fn span_us(&mut self, step_us: u64) -> u64 {
        u64::from(self.byte()) * step_us
    }
}

/// Runs the program and gives what was found wrong.
///
/// # Errors
/// Everything that was found wrong.
pub fn run_program(bytes: &[u8], trace: bool) -> Result<(), Vec<String>> {
    let mut choices = Choices(bytes);
    let mut world = draw(&mut choices, trace);
    let mut forged = 0;
    for _ in 0..EVENTS_MAX {
        if choices.0.is_empty() {
            break;
        }
        event(&mut choices, &mut world, &mut forged);
    }
    let latest_us = world.now_us + LATEST_US;
    while world.now_us < latest_us && world.faults.is_empty() && !is_quiet(&world) {
        world.run_until(world.now_us + 10 * SECOND);
    }
    let faults = faults_whoever_sent(&world);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

fn is_quiet(world: &World) -> bool {
    world.live_transactions() + world.live_contexts() + world.live_calls() == 0
        && world.network.next_us().is_none()
}

fn draw(choices: &mut Choices<'_>, trace: bool) -> World {
    let mut config = WorldConfig {
        seed: u64::from(choices.byte()),
        lanes: 1 + choices.byte() % 3,
        icmp: choices.one_in(2),
        keep_traffic: true,
        trace,
        ..WorldConfig::default()
    };
    config.policy.max_call_us = 120 * SECOND;
    config.policy.refuse_methods = Vec::new();
    let flags = choices.byte();
    let flag = |at: u8| flags >> at & 1 == 1;
    if flag(0) {
        config.customer.lookup = Some("SELECT {number}".to_owned());
        config.jobs.delay_max_us = 400 * MS;
        config.jobs.error_permille = 100;
        config.jobs.timeout_permille = 100;
    }
    if flag(1) {
        config.policy.durability = proxy_core::Durability::Strict;
    }
    if flag(2) {
        config.customer.channel_limit = Some(2);
    }
    if flag(3) {
        config.policy.preloaded_route = proxy_core::PreloadedRoute::Follow;
        config.policy.unknown_dialog = proxy_core::UnknownDialog::Forward;
    }
    if flag(4) {
        config.handoff = Some(Handoff {
            delay_min_us: 0,
            delay_max_us: 30 * MS,
            keeps_order: true,
        });
    }
    if flag(5) {
        config.policy.hunt_after_ringing = true;
    }
    if flag(6) {
        config.link.loss_permille = 200;
        config.link.duplicate_permille = 100;
        config.link.reorder_permille = 100;
        config.link.delay_max_us = 600 * MS;
    }
    config.jobs.names.insert(
        "pbx0.example".to_owned(),
        vec![([198, 51, 100, 10], 5060).into()],
    );
    let rates = ["0.06", "0.12", "0.24"];
    let vendors = (0..=choices.below(3)).map(|place| {
        let mut plan = VendorPlan::new(rates[place], vec![script(choices)]);
        plan.channel_limit = choices.one_in(4).then_some(1);
        plan
    });
    let vendors = vendors.collect();
    let mut world = World::new(config, 2, vendors);
    world.tap.garbled = true;
    world
}

fn script(choices: &mut Choices<'_>) -> VendorScript {
    VendorScript {
        trying_us: (!choices.one_in(4)).then_some(20 * MS),
        rings: (0..choices.below(3))
            .map(|at| (at as u64 * SECOND, 180, choices.one_in(2)))
            .collect(),
        outcome: match choices.below(4) {
            0 | 1 => Outcome::Answer(choices.span_us(40 * MS)),
            2 => Outcome::Refuse(choices.span_us(40 * MS), choices.pick(&STATUSES[6..])),
            _ => Outcome::Never,
        },
        on_cancel: match choices.below(4) {
            0 => OnCancel::AnswerAnyway(100 * MS),
            1 => OnCancel::Ignore,
            _ => OnCancel::Obey,
        },
        fork_us: choices.one_in(4).then_some(200 * MS),
        ..VendorScript::default()
    }
}

fn event(choices: &mut Choices<'_>, world: &mut World, forged: &mut u32) {
    match choices.below(10) {
        0 | 1 => {
            let host = choices.below(world.callers.len());
            let plan = CallPlan {
                starts_us: world.now_us,
                number: choices
                    .pick(&["4930123456", "+4930123", "15551234", "0"])
                    .to_owned(),
                cancel: match choices.below(4) {
                    0 => CancelPlan::After(choices.span_us(10 * MS)),
                    1 => CancelPlan::Rudely(choices.span_us(MS)),
                    _ => CancelPlan::Never,
                },
                reliable: choices.one_in(2),
                takes_one_answer: false,
                drop_route: choices.one_in(4),
                ..CallPlan::default()
            };
            world.callers[host].plan(plan);
            world.run_until(world.now_us + choices.span_us(10 * MS));
        }
        2 => world.run_until(world.now_us + choices.span_us(20 * MS)),
        3 => world.run_until(world.now_us + choices.span_us(400 * MS)),
        4 => {
            let remote = any_host(choices, world);
            world.say_unreachable(remote);
        }
        5 => match choices.below(3) {
            0 => world.set_draining(choices.one_in(2)),
            1 => {
                let rates: Vec<_> = (0..world.vendors.len())
                    .map(|_| Some(choices.pick(&["0.06", "0.18", "0.30"])))
                    .collect();
                world.reload(&rates);
            }
            _ => {
                let at = choices.below(world.vendors.len());
                world.vendors[at].up = choices.one_in(2);
            }
        },
        _ => {
            *forged += 1;
            if let Some(datagram) = forge(choices, world, *forged) {
                world.network.send(world.now_us, datagram);
                world.run_until(world.now_us + choices.span_us(5 * MS));
            }
        }
    }
}

fn any_host(choices: &mut Choices<'_>, world: &World) -> SocketAddr {
    let callers = world.callers.iter().map(|host| host.agent.address);
    let vendors = world.vendors.iter().map(|host| host.agent.address);
    let foreign = FOREIGN.parse().ok();
    let hosts: Vec<SocketAddr> = callers.chain(vendors).chain(foreign).collect();
    choices.pick(&hosts)
}

/// A datagram made from one that was seen, or from nothing.
fn forge(choices: &mut Choices<'_>, world: &World, number: u32) -> Option<Datagram> {
    let to = PROXY.parse().ok()?;
    let seen = world.traffic();
    let from = any_host(choices, world);
    if seen.is_empty() || choices.one_in(8) {
        return Some(Datagram {
            from,
            to,
            bytes: template(choices, from, number),
        });
    }
    let (at_us, base) = &seen[choices.below(seen.len())];
    let text = String::from_utf8_lossy(&base.bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let unmarked = |line: &&str| !line.starts_with("X-Sim");
    let mut lines: Vec<String> = head
        .split("\r\n")
        .filter(unmarked)
        .map(str::to_owned)
        .collect();
    let edits = choices.below(6);
    for _ in 0..edits {
        let other = &seen[choices.below(seen.len())].1;
        edit(choices, &mut lines, &String::from_utf8_lossy(&other.bytes));
    }
    let mutations = choices.below(4) / 2;
    // What a 400 answers is told by its CSeq.
    let invites = lines.iter().any(|line| {
        line.starts_with("INVITE") || line.starts_with("CSeq") && line.contains("INVITE")
    });
    if invites && (edits + mutations > 0 || world.now_us > at_us + REPEAT_MAX_US) {
        rename_branch(&mut lines, number);
    }
    let mut bytes = format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes();
    for _ in 0..mutations {
        let at = choices.below(bytes.len().max(1));
        match choices.below(3) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), choices.byte()),
            _ if at < bytes.len() => bytes[at] = choices.byte(),
            _ => {}
        }
    }
    let from = if choices.one_in(2) { from } else { base.from };
    Some(Datagram { from, to, bytes })
}

fn edit(choices: &mut Choices<'_>, lines: &mut Vec<String>, other: &str) {
    let at = choices
        .below(lines.len().max(1))
        .min(lines.len().saturating_sub(1));
    let Some(line) = lines.get(at).cloned() else {
        return;
    };
    let name = |line: &str| line.split(':').next().unwrap_or("").to_owned();
    match choices.below(10) {
        0 => {
            let method = choices.pick(&METHODS);
            if let Some((_, rest)) = lines[0]
                .clone()
                .split_once(' ')
                .filter(|_| !lines[0].starts_with("SIP/"))
            {
                lines[0] = format!("{method} {rest}");
            }
            replace_cseq(lines, |number, _| (number, method.to_owned()));
        }
        1 | 2 => {
            if let Some(same) = other
                .split("\r\n")
                .skip(1)
                .find(|known| name(known) == name(&line))
            {
                lines[at] = same.to_owned();
            }
        }
        3 if at > 0 => drop(lines.remove(at)),
        4 if at > 0 => lines.insert(at, line),
        5 => lines.insert(at.max(1), choices.pick(&LINES).to_owned()),
        6 if lines[0].starts_with("SIP/") => {
            lines[0] = format!("SIP/2.0 {} Forged", choices.pick(&STATUSES))
        }
        6 | 7 => {
            let method = lines[0].split(' ').next().unwrap_or("").to_owned();
            if !method.starts_with("SIP/") {
                lines[0] = format!("{method} {} SIP/2.0", choices.pick(&URIS));
            }
        }
        8 => {
            let by = u32::from(choices.byte() % 5);
            replace_cseq(lines, |number, method| {
                ((number + by).saturating_sub(2), method)
            });
        }
        _ => {
            // The way back of a dialog, as the other message was given it.
            let recorded = other
                .split("\r\n")
                .find_map(|known| known.strip_prefix("Record-Route:"));
            if let Some(route) = recorded {
                lines.insert(1, format!("Route:{route}"));
            }
        }
    }
}

fn replace_cseq(lines: &mut [String], change: impl Fn(u32, String) -> (u32, String)) {
    let Some(line) = lines.iter_mut().find(|line| line.starts_with("CSeq:")) else {
        return;
    };
    let mut words = line.split_whitespace().skip(1);
    let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let (number, method) = change(number, words.next().unwrap_or("").to_owned());
    *line = format!("CSeq: {number} {method}");
}

/// A new transaction is named anew.
fn rename_branch(lines: &mut [String], number: u32) {
    if let Some(line) = lines.iter_mut().find(|line| line.starts_with("Via:"))
        && let Some(at) = line.find("branch=")
    {
        let end = line[at..]
            .find([';', ','])
            .map_or(line.len(), |len| at + len);
        line.replace_range(at..end, &format!("branch=z9hG4bKf{number}"));
    }
}

fn template(choices: &mut Choices<'_>, from: SocketAddr, number: u32) -> Vec<u8> {
    let (method, uri) = (choices.pick(&METHODS), choices.pick(&URIS));
    let tag = if choices.one_in(2) { ";tag=t" } else { "" };
    let mut text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKt{number};rport\r\nFrom: <sip:x@{from}>;tag=f\r\n\
         To: <sip:1@192.0.2.1>{tag}\r\nCall-ID: forged-{}\r\nCSeq: {} {method}\r\nContact: <sip:x@{from}>\r\n",
        number % 4,
        choices.below(4),
    );
    for _ in 0..choices.below(4) {
        text.push_str(choices.pick(&LINES));
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

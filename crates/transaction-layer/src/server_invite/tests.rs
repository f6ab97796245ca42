//! The INVITE server machine, cell by cell: RFC 6026 §8.5 to §8.7 (figure 7).

use super::*;
use crate::step::{check_table, default_durations};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    Retransmission,
    Ack,
    Respond(u16),
    Timer(Timer),
    Abandon,
}
use Event::{Abandon, Ack, Respond, Retransmission};
use ServerInvite::{Accepted, Completed, Confirmed, Proceeding, Terminated};

const FRESH: ServerInvite = Completed {
    interval_us: 500_000,
};
const CAPPED: ServerInvite = Completed {
    interval_us: 4_000_000,
};

const STATES: [ServerInvite; 6] = [Proceeding, FRESH, CAPPED, Confirmed, Accepted, Terminated];

const EVENTS: [Event; 15] = [
    Retransmission,
    Ack,
    Respond(100),
    Respond(199),
    Respond(200),
    Respond(299),
    Respond(300),
    Respond(699),
    Event::Timer(Timer::G),
    Event::Timer(Timer::H),
    Event::Timer(Timer::I),
    Event::Timer(Timer::L),
    Event::Timer(Timer::J),
    Event::Timer(Timer::B),
    Abandon,
];

fn check(is_reliable: bool, timer_g: &str, timer_i: &str) {
    let failure = format!("send new, hold new, {timer_g}, H 32000ms");
    let failure = failure.as_str();
    let success = "send new, drop, L 32000ms";
    let confirmed = format!("drop, tell Confirmed, stop again, {timer_i}");
    let confirmed = confirmed.as_str();
    let mut cells = vec![
        (Proceeding, Retransmission, Proceeding, "send stored"),
        (Proceeding, Ack, Proceeding, "tell Deliver"),
        (Proceeding, Respond(100), Proceeding, "send new, hold new"),
        (Proceeding, Respond(199), Proceeding, "send new, hold new"),
        (Proceeding, Respond(200), Accepted, success),
        (Proceeding, Respond(299), Accepted, success),
        (Proceeding, Respond(300), FRESH, failure),
        (Proceeding, Respond(699), FRESH, failure),
        (
            Proceeding,
            Abandon,
            Terminated,
            "drop, stop again, stop end",
        ),
        (
            Confirmed,
            Event::Timer(Timer::I),
            Terminated,
            "drop, tell Terminated, stop again, stop end",
        ),
        (Accepted, Ack, Accepted, "tell Deliver"),
        (Accepted, Respond(200), Accepted, "send new"),
        (Accepted, Respond(299), Accepted, "send new"),
        (
            Accepted,
            Event::Timer(Timer::L),
            Terminated,
            "drop, tell Terminated, stop again, stop end",
        ),
    ];
    for state in [FRESH, CAPPED] {
        cells.extend([
            (state, Retransmission, state, "send stored"),
            (state, Ack, Confirmed, confirmed),
            (
                state,
                Event::Timer(Timer::H),
                Terminated,
                "drop, tell AckTimeout, stop again, stop end",
            ),
        ]);
    }
    let timer_g = Event::Timer(Timer::G);
    let later = Completed {
        interval_us: 1_000_000,
    };
    cells.extend([
        (FRESH, timer_g, later, "send stored, G 1000ms"),
        (CAPPED, timer_g, CAPPED, "send stored, G 4000ms"),
    ]);
    let durations = default_durations(is_reliable);
    check_table(&STATES, &EVENTS, &cells, |state, event| match event {
        Retransmission => state.on_retransmission(),
        Ack => state.on_ack(durations),
        Respond(status) => state.on_respond(status, durations),
        Event::Timer(timer) => state.on_timer(timer, durations),
        Abandon => state.on_abandon(),
    });
}

//= proves RFC 3261 §17.2.1
//= proves RFC 6026 §8.7
#[test]
fn every_cell_over_udp_is_that_of_figure_7() {
    check(false, "G 500ms", "I 5000ms");
}

//= proves RFC 3261 §17.2.1
//= proves RFC 6026 §8.7
#[test]
fn every_cell_over_tcp_is_that_of_figure_7() {
    check(true, "stop again", "I 0ms");
}

fn name(state: ServerInvite) -> String {
    match state {
        Completed { interval_us } => format!("Completed, G {} ms", interval_us / 1000),
        other => format!("{other:?}"),
    }
}

fn source(state: ServerInvite, event: &str) -> &'static str {
    match (state, event) {
        (Proceeding, "INVITE again") => "fig. 7: the last response, if there is one",
        (Proceeding, "ACK") => "not in fig. 7: a stray, which the TU counts",
        (Proceeding, "TU: 1xx") => "fig. 7",
        (Proceeding, "TU: 2xx") => "fig. 7; RFC 6026 §8.5, §8.7: Timer L",
        (Proceeding, "TU: 3xx" | "TU: 4xx" | "TU: 5xx" | "TU: 6xx") => {
            "fig. 7; RFC 3261 §17.2.1: Timers G and H"
        }
        (Completed { .. }, "INVITE again") => "fig. 7",
        (Completed { .. }, "ACK") => "fig. 7; RFC 3261 §17.2.1: Timer I",
        (Completed { .. }, "Timer G") => "fig. 7; RFC 3261 §17.2.1: min(2·G, T2)",
        (Completed { .. }, "Timer H") => "fig. 7; RFC 3261 §17.2.1: the TU is told",
        (Confirmed, "ACK" | "INVITE again") => "RFC 3261 §17.2.1: absorbed",
        (Confirmed, "Timer I") | (Accepted, "Timer L") => "fig. 7",
        (Accepted, "INVITE again") => "fig. 7; RFC 6026 §8.7: absorbed",
        (Accepted, "ACK") => "fig. 7; RFC 6026 §8.7",
        (Accepted, "TU: 2xx") => "fig. 7; RFC 6026 §8.7",
        (Completed { .. } | Confirmed | Accepted, event)
            if event.starts_with("TU: ") && event != "TU: abandon" =>
        {
            "RFC 3261 §17.2.1: discarded after a final response"
        }
        (Proceeding, "TU: abandon") => "ours: nothing will be answered",
        _ => "",
    }
}

//= proves RFC 3261 §17.2.1
//= proves RFC 6026 §8.5
//= proves RFC 6026 §8.7
#[test]
fn the_table_of_every_state_and_event_is_the_reviewed_one() {
    use crate::snapshot::Machine;
    Machine {
        file: "server_invite",
        about: "# INVITE server transaction\n\nRFC 3261 §17.2.1 with figure 7 as RFC 6026 §8.6 draws it. T1 500 ms, T2 \
                4 s, T4 5 s. `=`: the state stays; `–`: nothing happens.\nA transport error changes no state (figure 7), and no \
                error of a datagram sent reaches the machine. CANCEL is a transaction of its own.",
        start: |_| (Proceeding, Step::NONE),
        states: &STATES,
        name,
        events: &[
            ("INVITE again", &[Retransmission]),
            ("ACK", &[Ack]),
            ("TU: 1xx", &[Respond(100), Respond(101), Respond(180), Respond(199)]),
            ("TU: 2xx", &[Respond(200), Respond(202), Respond(299)]),
            ("TU: 3xx", &[Respond(300), Respond(302), Respond(399)]),
            ("TU: 4xx", &[Respond(400), Respond(486), Respond(499)]),
            ("TU: 5xx", &[Respond(500), Respond(503), Respond(599)]),
            ("TU: 6xx", &[Respond(600), Respond(603), Respond(699)]),
            ("Timer G", &[Event::Timer(Timer::G)]),
            ("Timer H", &[Event::Timer(Timer::H)]),
            ("Timer I", &[Event::Timer(Timer::I)]),
            ("Timer L", &[Event::Timer(Timer::L)]),
            (
                "any other timer",
                &[
                    Event::Timer(Timer::A),
                    Event::Timer(Timer::B),
                    Event::Timer(Timer::D),
                    Event::Timer(Timer::E),
                    Event::Timer(Timer::F),
                    Event::Timer(Timer::J),
                    Event::Timer(Timer::K),
                    Event::Timer(Timer::M),
                ],
            ),
            ("TU: abandon", &[Abandon]),
        ],
        apply: |state, event, durations| match event {
            Retransmission => state.on_retransmission(),
            Ack => state.on_ack(durations),
            Respond(status) => state.on_respond(status, durations),
            Event::Timer(timer) => state.on_timer(timer, durations),
            Abandon => state.on_abandon(),
        },
        source,
    }
    .check();
}

//! The INVITE client machine, cell by cell: RFC 3261 §17.1.1.2 with figure 5 of RFC 6026 §8.4.

use super::*;
use crate::step::{check_table, default_durations, describe};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    Response(u16),
    Timer(Timer),
    Unreachable,
    Hush,
    Abandon,
}
use ClientInvite::{Accepted, Calling, Completed, Proceeding, Terminated};
use Event::{Abandon, Hush, Response, Unreachable};

const FRESH: ClientInvite = Calling {
    interval_us: 500_000,
};
const REPEATED: ClientInvite = Calling {
    interval_us: 1_000_000,
};
const THRICE: ClientInvite = Calling {
    interval_us: 2_000_000,
};

const STATES: [ClientInvite; 6] = [FRESH, REPEATED, Proceeding, Completed, Accepted, Terminated];

const EVENTS: [Event; 15] = [
    Response(100),
    Response(199),
    Response(200),
    Response(299),
    Response(300),
    Response(699),
    Event::Timer(Timer::A),
    Event::Timer(Timer::B),
    Event::Timer(Timer::D),
    Event::Timer(Timer::M),
    Event::Timer(Timer::F),
    Event::Timer(Timer::K),
    Unreachable,
    Hush,
    Abandon,
];

fn check(is_reliable: bool, timer_d: &str) {
    let provisional = "tell Deliver, stop again, stop end";
    let success = "drop, tell Deliver, stop again, M 32000ms";
    let failure = format!("send new, hold new, tell Deliver, stop again, {timer_d}");
    let failure = failure.as_str();
    let mut cells = Vec::new();
    for state in [FRESH, REPEATED, Proceeding] {
        cells.extend([
            (state, Response(100), Proceeding, provisional),
            (state, Response(199), Proceeding, provisional),
            (state, Response(200), Accepted, success),
            (state, Response(299), Accepted, success),
            (state, Response(300), Completed, failure),
            (state, Response(699), Completed, failure),
            (state, Abandon, Terminated, "drop, stop again, stop end"),
        ]);
    }
    for state in [FRESH, REPEATED] {
        cells.extend([
            (state, Hush, state, "stop again"),
            (
                state,
                Event::Timer(Timer::B),
                Terminated,
                "drop, tell Timeout, stop again, stop end",
            ),
            (
                state,
                Unreachable,
                Terminated,
                "drop, tell Unreachable, stop again, stop end",
            ),
        ]);
    }
    let timer_a = Event::Timer(Timer::A);
    cells.extend([
        (FRESH, timer_a, REPEATED, "send stored, A 1000ms"),
        (REPEATED, timer_a, THRICE, "send stored, A 2000ms"),
        (Completed, Response(300), Completed, "send stored"),
        (Completed, Response(699), Completed, "send stored"),
        (
            Completed,
            Event::Timer(Timer::D),
            Terminated,
            "drop, tell Terminated, stop again, stop end",
        ),
        (Accepted, Response(200), Accepted, "tell Deliver"),
        (Accepted, Response(299), Accepted, "tell Deliver"),
        (
            Accepted,
            Event::Timer(Timer::M),
            Terminated,
            "drop, tell Terminated, stop again, stop end",
        ),
    ]);
    let durations = default_durations(is_reliable);
    check_table(&STATES, &EVENTS, &cells, |state, event| match event {
        Response(status) => state.on_response(status, durations),
        Event::Timer(timer) => state.on_timer(timer),
        Unreachable => state.on_unreachable(),
        Hush => state.on_hush(),
        Abandon => state.on_abandon(),
    });
}

//= proves RFC 3261 §17.1.1.2
//= proves RFC 6026 §7.2
#[test]
fn every_cell_over_udp_is_that_of_figure_5() {
    check(false, "D 32000ms");
}

//= proves RFC 3261 §17.1.1.2
#[test]
fn every_cell_over_tcp_is_that_of_figure_5() {
    check(true, "D 0ms");
}

#[test]
fn starting_sends_the_invite_and_arms_timers_a_and_b() {
    let (state, step) = ClientInvite::start(default_durations(false));
    assert_eq!(state, FRESH);
    assert_eq!(describe(step), "send new, hold new, A 500ms, B 32000ms");
    let (_, step) = ClientInvite::start(default_durations(true));
    assert_eq!(describe(step), "send new, hold new, stop again, B 32000ms");
}

fn name(state: ClientInvite) -> String {
    match state {
        Calling { interval_us } => format!("Calling, A {} ms", interval_us / 1000),
        other => format!("{other:?}"),
    }
}

fn source(state: ClientInvite, event: &str) -> &'static str {
    match (state, event) {
        (Calling { .. }, "Timer A") => "fig. 5; RFC 3261 §17.1.1.2: doubles without a cap",
        (Calling { .. }, "Timer B") => "fig. 5",
        (Calling { .. }, "transport error") => "fig. 5",
        (Calling { .. } | Proceeding, "1xx") => "fig. 5",
        (Calling { .. } | Proceeding, "2xx") => "fig. 5; RFC 6026 §8.4: Timer M",
        (Calling { .. } | Proceeding, "3xx" | "4xx" | "5xx" | "6xx") => {
            "fig. 5: ACK sent; RFC 3261 §17.1.1.2: Timer D"
        }
        (Completed, "3xx" | "4xx" | "5xx" | "6xx") => "fig. 5: ACK again, not to TU",
        (Completed, "Timer D") | (Accepted, "Timer M") => "fig. 5",
        (Accepted, "2xx") => "fig. 5; RFC 6026 §7.2",
        (Proceeding, "transport error") => "not in fig. 5",
        (Completed, "transport error") => {
            "fig. 5 ends it; it lives on to ACK repeated finals, the TU has had its response"
        }
        (Calling { .. }, "TU: hush") => {
            "ours: the TU has gone on to another branch and still listens"
        }
        (Calling { .. } | Proceeding, "TU: abandon") => {
            "ours: RFC 3261 §16.8 Timer C, or §9.1 64·T1 after a CANCEL"
        }
        (Completed | Accepted, "1xx") => "not in fig. 5: absorbed",
        (Completed, "2xx") | (Accepted, "3xx" | "4xx" | "5xx" | "6xx") => {
            "not in fig. 5: absorbed, one final each"
        }
        _ => "",
    }
}

//= proves RFC 3261 §17.1.1.2
//= proves RFC 6026 §8.4
#[test]
fn the_table_of_every_state_and_event_is_the_reviewed_one() {
    use crate::snapshot::Machine;
    Machine {
        file: "client_invite",
        about: "# INVITE client transaction\n\nRFC 3261 §17.1.1 with figure 5 as RFC 6026 §8.4 draws it. T1 500 ms, \
                Timer D 32 s. `=`: the state stays; `–`: nothing happens.\nThe TU cancels by a transaction of its own, so \
                CANCEL is no event here.",
        start: ClientInvite::start,
        states: &STATES,
        name,
        events: &[
            ("1xx", &[Response(100), Response(101), Response(180), Response(199)]),
            ("2xx", &[Response(200), Response(202), Response(299)]),
            ("3xx", &[Response(300), Response(302), Response(399)]),
            ("4xx", &[Response(400), Response(486), Response(499)]),
            ("5xx", &[Response(500), Response(503), Response(599)]),
            ("6xx", &[Response(600), Response(603), Response(699)]),
            ("Timer A", &[Event::Timer(Timer::A)]),
            ("Timer B", &[Event::Timer(Timer::B)]),
            ("Timer D", &[Event::Timer(Timer::D)]),
            ("Timer M", &[Event::Timer(Timer::M)]),
            (
                "any other timer",
                &[
                    Event::Timer(Timer::E),
                    Event::Timer(Timer::F),
                    Event::Timer(Timer::G),
                    Event::Timer(Timer::H),
                    Event::Timer(Timer::I),
                    Event::Timer(Timer::J),
                    Event::Timer(Timer::K),
                    Event::Timer(Timer::L),
                ],
            ),
            ("transport error", &[Unreachable]),
            ("TU: hush", &[Hush]),
            ("TU: abandon", &[Abandon]),
        ],
        apply: |state, event, durations| match event {
            Response(status) => state.on_response(status, durations),
            Event::Timer(timer) => state.on_timer(timer),
            Unreachable => state.on_unreachable(),
            Hush => state.on_hush(),
            Abandon => state.on_abandon(),
        },
        source,
    }
    .check();
}

//! The non-INVITE client machine, cell by cell: RFC 3261 §17.1.2.2 (figure 6).

use super::*;
use crate::step::{check_table, default_durations, describe};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    Response(u16),
    Timer(Timer),
    Unreachable,
    Abandon,
}
use ClientNonInvite::{Completed, Proceeding, Terminated, Trying};
use Event::{Abandon, Response, Unreachable};

const FRESH: ClientNonInvite = Trying {
    interval_us: 500_000,
};
const REPEATED: ClientNonInvite = Trying {
    interval_us: 1_000_000,
};
const CAPPED: ClientNonInvite = Trying {
    interval_us: 4_000_000,
};

const STATES: [ClientNonInvite; 6] = [FRESH, REPEATED, CAPPED, Proceeding, Completed, Terminated];

const EVENTS: [Event; 11] = [
    Response(100),
    Response(199),
    Response(200),
    Response(300),
    Response(699),
    Event::Timer(Timer::E),
    Event::Timer(Timer::F),
    Event::Timer(Timer::K),
    Event::Timer(Timer::A),
    Unreachable,
    Abandon,
];

fn check(is_reliable: bool, timer_k: &str) {
    let last = format!("drop, tell Deliver, stop again, {timer_k}");
    let last = last.as_str();
    let mut cells = Vec::new();
    for state in [FRESH, REPEATED, CAPPED, Proceeding] {
        cells.extend([
            (state, Response(100), Proceeding, "tell Deliver"),
            (state, Response(199), Proceeding, "tell Deliver"),
            (state, Response(200), Completed, last),
            (state, Response(300), Completed, last),
            (state, Response(699), Completed, last),
            (
                state,
                Event::Timer(Timer::F),
                Terminated,
                "drop, tell Timeout, stop again, stop end",
            ),
            (state, Abandon, Terminated, "drop, stop again, stop end"),
        ]);
    }
    for state in [FRESH, REPEATED, CAPPED] {
        cells.push((
            state,
            Unreachable,
            Terminated,
            "drop, tell Unreachable, stop again, stop end",
        ));
    }
    let timer_e = Event::Timer(Timer::E);
    let later = Trying {
        interval_us: 2_000_000,
    };
    cells.extend([
        (FRESH, timer_e, REPEATED, "send stored, E 1000ms"),
        (REPEATED, timer_e, later, "send stored, E 2000ms"),
        (CAPPED, timer_e, CAPPED, "send stored, E 4000ms"),
        (Proceeding, timer_e, Proceeding, "send stored, E 4000ms"),
        (
            Completed,
            Event::Timer(Timer::K),
            Terminated,
            "drop, tell Terminated, stop again, stop end",
        ),
    ]);
    let durations = default_durations(is_reliable);
    check_table(&STATES, &EVENTS, &cells, |state, event| match event {
        Response(status) => state.on_response(status, durations),
        Event::Timer(timer) => state.on_timer(timer, durations),
        Unreachable => state.on_unreachable(),
        Abandon => state.on_abandon(),
    });
}

//= proves RFC 3261 §17.1.2.2
#[test]
fn every_cell_over_udp_is_that_of_figure_6() {
    check(false, "K 5000ms");
}

//= proves RFC 3261 §17.1.2.2
#[test]
fn every_cell_over_tcp_is_that_of_figure_6() {
    check(true, "K 0ms");
}

#[test]
fn starting_sends_the_request_and_arms_timers_e_and_f() {
    let (state, step) = ClientNonInvite::start(default_durations(false));
    assert_eq!(state, FRESH);
    assert_eq!(describe(step), "send new, hold new, E 500ms, F 32000ms");
    let (_, step) = ClientNonInvite::start(default_durations(true));
    assert_eq!(
        describe(step),
        "send new, drop, stop again, F 32000ms",
        "nothing is ever repeated over a stream"
    );
}

fn name(state: ClientNonInvite) -> String {
    match state {
        Trying { interval_us } => format!("Trying, E {} ms", interval_us / 1000),
        other => format!("{other:?}"),
    }
}

fn source(state: ClientNonInvite, event: &str) -> &'static str {
    match (state, event) {
        (Trying { .. }, "Timer E") => "fig. 6; §17.1.2.2: min(2·E, T2)",
        (Proceeding, "Timer E") => "fig. 6; §17.1.2.2: T2",
        (Trying { .. } | Proceeding, "Timer F" | "1xx") => "fig. 6",
        (Trying { .. } | Proceeding, "2xx" | "3xx" | "4xx" | "5xx" | "6xx") => {
            "fig. 6; §17.1.2.2: Timer K"
        }
        (Trying { .. }, "transport error") => "fig. 6",
        (Proceeding, "transport error") => {
            "fig. 6 ends it; ICMP may be late or forged, so Timer F ends what was heard of"
        }
        (Completed, "Timer K") => "fig. 6",
        (Completed, "1xx" | "2xx" | "3xx" | "4xx" | "5xx" | "6xx") => "§17.1.2.2: absorbed",
        (Trying { .. } | Proceeding, "TU: abandon") => "ours: the TU waits no longer",
        _ => "",
    }
}

//= proves RFC 3261 §17.1.2.2
#[test]
fn the_table_of_every_state_and_event_is_the_reviewed_one() {
    use crate::snapshot::Machine;
    Machine {
        file: "client_non_invite",
        about: "# Non-INVITE client transaction\n\nRFC 3261 §17.1.2, figure 6. T1 500 ms, T2 4 s, T4 5 s. `=`: the state \
                stays; `–`: nothing happens.",
        start: ClientNonInvite::start,
        states: &STATES,
        name,
        events: &[
            ("1xx", &[Response(100), Response(101), Response(180), Response(199)]),
            ("2xx", &[Response(200), Response(202), Response(299)]),
            ("3xx", &[Response(300), Response(302), Response(399)]),
            ("4xx", &[Response(400), Response(481), Response(499)]),
            ("5xx", &[Response(500), Response(503), Response(599)]),
            ("6xx", &[Response(600), Response(603), Response(699)]),
            ("Timer E", &[Event::Timer(Timer::E)]),
            ("Timer F", &[Event::Timer(Timer::F)]),
            ("Timer K", &[Event::Timer(Timer::K)]),
            (
                "any other timer",
                &[
                    Event::Timer(Timer::A),
                    Event::Timer(Timer::B),
                    Event::Timer(Timer::D),
                    Event::Timer(Timer::G),
                    Event::Timer(Timer::H),
                    Event::Timer(Timer::I),
                    Event::Timer(Timer::J),
                    Event::Timer(Timer::L),
                    Event::Timer(Timer::M),
                ],
            ),
            ("transport error", &[Unreachable]),
            ("TU: abandon", &[Abandon]),
        ],
        apply: |state, event, durations| match event {
            Response(status) => state.on_response(status, durations),
            Event::Timer(timer) => state.on_timer(timer, durations),
            Unreachable => state.on_unreachable(),
            Abandon => state.on_abandon(),
        },
        source,
    }
    .check();
}

//! The INVITE client machine, cell by cell: RFC 6026 §8.4 (figure 5).

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

#[test]
fn every_cell_over_udp_is_that_of_figure_5() {
    check(false, "D 32000ms");
}

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

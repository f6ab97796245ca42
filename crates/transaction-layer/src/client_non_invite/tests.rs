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

#[test]
fn every_cell_over_udp_is_that_of_figure_6() {
    check(false, "K 5000ms");
}

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

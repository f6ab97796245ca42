//! The non-INVITE server machine, cell by cell: RFC 3261 §17.2.2 (figure 8) and RFC 6026 §8.8.

use super::*;
use crate::step::{check_table, default_durations};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    Retransmission,
    Respond(u16),
    Timer(Timer),
    Abandon,
}
use Event::{Abandon, Respond, Retransmission};
use ServerNonInvite::{Completed, Proceeding, Terminated, Trying};

const STATES: [ServerNonInvite; 4] = [Trying, Proceeding, Completed, Terminated];

const EVENTS: [Event; 9] = [
    Retransmission,
    Respond(100),
    Respond(199),
    Respond(200),
    Respond(300),
    Respond(699),
    Event::Timer(Timer::J),
    Event::Timer(Timer::I),
    Abandon,
];

fn check(is_reliable: bool, last: &str) {
    let mut cells = Vec::new();
    for state in [Trying, Proceeding] {
        cells.extend([
            (state, Respond(100), Proceeding, "send new, hold new"),
            (state, Respond(199), Proceeding, "send new, hold new"),
            (state, Respond(200), Completed, last),
            (state, Respond(300), Completed, last),
            (state, Respond(699), Completed, last),
            (state, Abandon, Terminated, "drop, stop again, stop end"),
        ]);
    }
    cells.extend([
        (Proceeding, Retransmission, Proceeding, "send stored"),
        (Completed, Retransmission, Completed, "send stored"),
        (
            Completed,
            Event::Timer(Timer::J),
            Terminated,
            "drop, tell Terminated, stop again, stop end",
        ),
    ]);
    let durations = default_durations(is_reliable);
    check_table(&STATES, &EVENTS, &cells, |state, event| match event {
        Retransmission => state.on_retransmission(),
        Respond(status) => state.on_respond(status, durations),
        Event::Timer(timer) => state.on_timer(timer),
        Abandon => state.on_abandon(),
    });
}

#[test]
fn every_cell_over_udp_is_that_of_figure_8() {
    check(false, "send new, hold new, J 32000ms");
}

#[test]
fn every_cell_over_tcp_is_that_of_figure_8() {
    check(true, "send new, drop, J 0ms");
}

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

//= proves RFC 3261 §17.2.2
#[test]
fn every_cell_over_udp_is_that_of_figure_8() {
    check(false, "send new, hold new, J 32000ms");
}

//= proves RFC 3261 §17.2.2
#[test]
fn every_cell_over_tcp_is_that_of_figure_8() {
    check(true, "send new, drop, J 0ms");
}

fn source(state: ServerNonInvite, event: &str) -> &'static str {
    match (state, event) {
        (Trying, "request again") => "§17.2.2: discarded",
        (Proceeding | Completed, "request again") => "fig. 8",
        (Trying | Proceeding, "TU: 1xx") => "fig. 8",
        (Trying | Proceeding, "TU: 2xx" | "TU: 3xx" | "TU: 4xx" | "TU: 5xx" | "TU: 6xx") => {
            "fig. 8; §17.2.2: Timer J"
        }
        (Completed, "Timer J") => "fig. 8",
        (Trying | Proceeding, "TU: abandon") => "ours: RFC 4320 has no 408 for it",
        (Completed, event) if event.starts_with("TU: ") && event != "TU: abandon" => {
            "§17.2.2: discarded"
        }
        _ => "",
    }
}

//= proves RFC 3261 §17.2.2
#[test]
fn the_table_of_every_state_and_event_is_the_reviewed_one() {
    use crate::snapshot::Machine;
    Machine {
        file: "server_non_invite",
        about: "# Non-INVITE server transaction\n\nRFC 3261 §17.2.2, figure 8. T1 500 ms. `=`: the state stays; `–`: nothing \
                happens.\nA transport error changes no state (RFC 6026 §8.8), and no error of a datagram sent reaches the machine.",
        start: |_| (Trying, Step::NONE),
        states: &STATES,
        name: |state| format!("{state:?}"),
        events: &[
            ("request again", &[Retransmission]),
            ("TU: 1xx", &[Respond(100), Respond(101), Respond(180), Respond(199)]),
            ("TU: 2xx", &[Respond(200), Respond(202), Respond(299)]),
            ("TU: 3xx", &[Respond(300), Respond(302), Respond(399)]),
            ("TU: 4xx", &[Respond(400), Respond(481), Respond(499)]),
            ("TU: 5xx", &[Respond(500), Respond(503), Respond(599)]),
            ("TU: 6xx", &[Respond(600), Respond(603), Respond(699)]),
            ("Timer J", &[Event::Timer(Timer::J)]),
            (
                "any other timer",
                &[
                    Event::Timer(Timer::A),
                    Event::Timer(Timer::B),
                    Event::Timer(Timer::D),
                    Event::Timer(Timer::E),
                    Event::Timer(Timer::F),
                    Event::Timer(Timer::G),
                    Event::Timer(Timer::H),
                    Event::Timer(Timer::I),
                    Event::Timer(Timer::K),
                    Event::Timer(Timer::L),
                    Event::Timer(Timer::M),
                ],
            ),
            ("TU: abandon", &[Abandon]),
        ],
        apply: |state, event, durations| match event {
            Retransmission => state.on_retransmission(),
            Respond(status) => state.on_respond(status, durations),
            Event::Timer(timer) => state.on_timer(timer),
            Abandon => state.on_abandon(),
        },
        source,
    }
    .check();
}

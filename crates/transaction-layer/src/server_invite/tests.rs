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

#[test]
fn every_cell_over_udp_is_that_of_figure_7() {
    check(false, "G 500ms", "I 5000ms");
}

#[test]
fn every_cell_over_tcp_is_that_of_figure_7() {
    check(true, "stop again", "I 0ms");
}

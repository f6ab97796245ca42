//! The state × event tables of the four machines as files to be read: `tables/*.md`, made by driving the machines.
//! RFC 3261 figures 5 to 8 as RFC 6026 §8 has them; every row names the text it was compared with.
//! Leaves out the layer around the machines. `TABLES=write cargo test -p transaction-layer` writes the files anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::step::{Bytes, Change, Durations, Step, Tell, default_durations};

/// A machine with all that can happen to it.
pub(crate) struct Machine<M: 'static, E: 'static> {
    /// The name of its file, without ending.
    pub(crate) file: &'static str,
    /// What stands above the table.
    pub(crate) about: &'static str,
    /// What `start` does, over an unreliable and a reliable transport.
    pub(crate) start: fn(Durations) -> (M, Step),
    /// Its states.
    pub(crate) states: &'static [M],
    /// A state in words.
    pub(crate) name: fn(M) -> String,
    /// What can happen, in groups whose members must not differ in what they do.
    pub(crate) events: &'static [(&'static str, &'static [E])],
    /// Drives the machine.
    pub(crate) apply: fn(M, E, Durations) -> (M, Step),
    /// The text that asks for what happens: of the state, of the event's group.
    pub(crate) source: fn(M, &'static str) -> &'static str,
}

impl<M: Copy + PartialEq + std::fmt::Debug, E: Copy + std::fmt::Debug> Machine<M, E> {
    fn render(&self) -> String {
        let mut text = format!(
            "{}\n\n| state | event | next state | over UDP | over TCP or TLS | as |\n|---|---|---|---|---|---|\n",
            self.about
        );
        let [udp, tcp] =
            [false, true].map(|is_reliable| (self.start)(default_durations(is_reliable)));
        assert_eq!(udp.0, tcp.0);
        self.row(
            &mut text,
            "–",
            "start",
            udp.0,
            [udp.1, tcp.1],
            "the arrow into the first state",
        );
        for state in self.states {
            for (group, events) in self.events {
                let outcomes =
                    [false, true].map(|is_reliable| self.group(*state, group, events, is_reliable));
                let [(next, udp), (next_tcp, tcp)] = outcomes;
                assert_eq!(next, next_tcp, "the transport changes timers, not states");
                let source = (self.source)(*state, group);
                let idle = [udp, tcp] == [Step::NONE; 2] && next == *state;
                assert!(
                    idle || !source.is_empty(),
                    "{state:?} × {group} does something nobody asks for"
                );
                self.row(
                    &mut text,
                    &(self.name)(*state),
                    group,
                    next,
                    [udp, tcp],
                    source,
                );
            }
        }
        text
    }

    /// What all events of a group do.
    fn group(&self, state: M, group: &str, events: &[E], is_reliable: bool) -> (M, Step) {
        let mut outcomes = events
            .iter()
            .map(|event| (self.apply)(state, *event, default_durations(is_reliable)));
        let first = outcomes.next().expect("a group has events");
        assert!(
            outcomes.all(|other| other == first),
            "{state:?} × {group}: {events:?} differ"
        );
        first
    }

    fn row(
        &self,
        text: &mut String,
        state: &str,
        event: &str,
        next: M,
        steps: [Step; 2],
        source: &str,
    ) {
        let [udp, tcp] = steps.map(actions);
        let next = (self.name)(next);
        let (next, source) = (
            if next == state { "=" } else { &next },
            if source.is_empty() { "–" } else { source },
        );
        let tcp = if tcp == udp {
            "the same".to_owned()
        } else {
            tcp
        };
        let (udp, tcp) = if udp.is_empty() {
            ("–".to_owned(), "–".to_owned())
        } else {
            (udp, tcp)
        };
        let written = writeln!(
            text,
            "| {state} | {event} | {next} | {udp} | {tcp} | {source} |"
        );
        assert!(written.is_ok());
    }

    /// Compares the table with its file, or writes the file.
    pub(crate) fn check(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tables/{}.md", self.file));
        let made = self.render();
        if std::env::var_os("TABLES").is_some_and(|what| what == "write") {
            std::fs::write(&path, &made).expect("the table is written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        for (at, (made, kept)) in made.lines().zip(kept.lines()).enumerate() {
            assert_eq!(made, kept, "{}:{}", path.display(), at + 1);
        }
        assert_eq!(
            made,
            kept,
            "{}: see the module doc of snapshot.rs",
            path.display()
        );
    }
}

/// The actions of a step for a reader.
fn actions(step: Step) -> String {
    let mut words: Vec<String> = Vec::new();
    match step.send {
        Bytes::Nothing => {}
        Bytes::Stored => words.push("send what is held".to_owned()),
        Bytes::New => words.push("send".to_owned()),
    }
    match step.hold {
        Bytes::Stored => {}
        Bytes::Nothing => words.push("hold nothing".to_owned()),
        Bytes::New => words.push("hold what was sent".to_owned()),
    }
    match step.tell {
        Tell::Nothing => {}
        Tell::Deliver => words.push("to TU".to_owned()),
        tell => words.push(format!("tell TU: {tell:?}")),
    }
    for (name, change) in [
        ("repeating", step.again),
        ("the timer that ends it", step.end),
    ] {
        match change {
            Change::Keep => {}
            Change::Stop => words.push(format!("stop {name}")),
            Change::Start(timer, in_us) => words.push(format!("start {timer:?}, {}", span(in_us))),
        }
    }
    words.join("; ")
}

fn span(us: u64) -> String {
    match us {
        0 => "0".to_owned(),
        us if us % 1_000_000 == 0 => format!("{} s", us / 1_000_000),
        us => format!("{} ms", us / 1_000),
    }
}

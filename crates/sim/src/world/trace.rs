//! One line for every datagram, job and record of a traced run.
//! For people; nothing reads it.
//! Leaves out message bodies.

use crate::network::Datagram;

#[expect(clippy::print_stderr, reason = "the trace of a run is for people")]
pub(super) fn trace_line(now_us: u64, text: &str) {
    eprintln!("{:>12.6} {text}", now_us as f64 / 1e6);
}

pub(super) fn trace(now_us: u64, what: &str, datagram: &Datagram) {
    let text = String::from_utf8_lossy(&datagram.bytes);
    let start = text.lines().next().unwrap_or("");
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.unwrap_or("").to_owned()
    };
    trace_line(
        now_us,
        &format!(
            "{} → {} {what}: {start} | {} | {} | {}",
            datagram.from,
            datagram.to,
            field("CSeq"),
            field("Call-ID"),
            field("X-Sim")
        ),
    );
}

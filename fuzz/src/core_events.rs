//! A program of events against the whole core: calls, forgeries out of what was seen, time, reloads, unreachable hosts.
//! The oracle is the simulation's: what it checks after every step, and what must hold at the end whoever sent what.
//! Leaves out the reading of the bytes, which is `sim::program`: `sim --program FILE --trace` shows what a finding does.

/// Runs one program.
pub fn check(bytes: &[u8]) {
    if let Err(faults) = sim::program::run_program(bytes, false) {
        panic!("{}", faults.join("\n"));
    }
}

//! Runs a caller and any number of callees in one thread: wait, read, act, send, again.
//! The rate is kept whatever the answers do (open loop); every run is bounded in calls and in time.
//! Leaves out pacing finer than the kernel's timers: lateness is measured and reported.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;

use crate::batch::{BatchSocket, listen};
use crate::callee::{Callee, CalleePlan};
use crate::caller::{CallSeen, Caller, CallerPlan};
use crate::report::Report;
use crate::usage::Reading;

/// Longest wait of one turn, so that a stop is noticed.
const WAIT_MAX: Duration = Duration::from_millis(20);
/// Receives of one socket in one turn at most.
const RECEIVES_PER_TURN_MAX: usize = 8;
/// After the last call the callees listen for this long: a late ACK is still seen.
const LINGER: Duration = Duration::from_millis(200);

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The caller and the address it sends all its calls from (port 0: any free one).
    pub caller: Option<(SocketAddr, CallerPlan)>,
    /// The callees.
    pub callees: Vec<CalleePlan>,
    /// The process whose CPU time and memory are measured.
    pub target_pid: Option<u32>,
    /// The core the generator's thread is bound to.
    pub core: Option<usize>,
    /// The run ends after this time, whatever is still open.
    pub time_max: Duration,
}

/// How a run is steered from outside and seen while it goes on.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    hang_up: AtomicBool,
    started: AtomicU32,
    answered: AtomicU32,
    up: AtomicU32,
    settled: AtomicBool,
}

impl Control {
    /// Ends the run now.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Hangs up all calls that are up, at the plan's rate.
    pub fn hang_up(&self) {
        self.hang_up.store(true, Ordering::Relaxed);
    }

    /// Calls started so far.
    pub fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// Calls answered so far.
    pub fn answered(&self) -> u32 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Calls up now.
    pub fn up(&self) -> u32 {
        self.up.load(Ordering::Relaxed)
    }

    /// Whether every call of the plan was started and is up or over.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }
}

/// What a run leaves.
#[derive(Debug)]
pub struct Outcome {
    /// The figures.
    pub report: Report,
    /// Every call as the caller saw it, in the order of starting.
    pub calls: Vec<CallSeen>,
}

/// Sockets bound, ready to run.
pub struct Generator {
    plan: Plan,
    caller: Option<UdpSocket>,
    callees: Vec<UdpSocket>,
    control: Arc<Control>,
}

/// A run under way, in the thread it runs in.
struct Run {
    caller: Option<(BatchSocket, Caller)>,
    callees: Vec<(BatchSocket, Callee)>,
    control: Arc<Control>,
    start: Instant,
}

impl Generator {
    /// Binds all sockets of `plan`, so that their addresses are known before the run.
    ///
    /// # Errors
    /// When an address is in use or not local, or the rate is no positive number.
    pub fn bind(plan: Plan) -> io::Result<Self> {
        if plan
            .caller
            .as_ref()
            .is_some_and(|(_, caller)| !(caller.rate.is_finite() && caller.rate > 0.0))
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the rate must be above 0",
            ));
        }
        let caller = plan
            .caller
            .as_ref()
            .map(|(address, _)| listen(*address))
            .transpose()?;
        let callees = plan
            .callees
            .iter()
            .map(|callee| listen(callee.address))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            plan,
            caller,
            callees,
            control: Arc::default(),
        })
    }

    /// Where the caller sends from.
    pub fn caller_address(&self) -> Option<SocketAddr> {
        self.caller
            .as_ref()
            .and_then(|socket| socket.local_addr().ok())
    }

    /// Where the callees listen, in the order of the plan.
    pub fn callee_addresses(&self) -> Vec<SocketAddr> {
        self.callees
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// Sends the calls to `target` instead of where the plan says.
    pub fn set_target(&mut self, target: SocketAddr) {
        if let Some((_, caller)) = &mut self.plan.caller {
            caller.target = target;
        }
    }

    /// The handle that steers the run.
    pub fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Measures process `pid` during the run.
    pub fn measure(&mut self, pid: u32) {
        self.plan.target_pid = Some(pid);
    }

    /// Runs in a thread of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn spawn(self) -> io::Result<JoinHandle<io::Result<Outcome>>> {
        std::thread::Builder::new()
            .name("loadgen".to_owned())
            .spawn(move || self.run())
    }

    /// Runs until all calls are over, the time is up, or it is stopped.
    ///
    /// # Errors
    /// When a socket fails or the measured process does not exist.
    pub fn run(self) -> io::Result<Outcome> {
        let plan = self.plan.clone();
        if let Some(core) = plan.core {
            pin_to_core(core)?;
        }
        let target_before = plan.target_pid.map(Reading::take).transpose()?;
        let own_before = Reading::take(std::process::id())?;
        let wall_us = wall_clock_us();
        let mut run = self.start()?;
        let mut over_at = None;
        while run.start.elapsed() < plan.time_max && !run.control.stop.load(Ordering::Relaxed) {
            run.wait()?;
            run.turn()?;
            if run
                .caller
                .as_ref()
                .is_some_and(|(_, caller)| caller.is_done())
            {
                let over_at = *over_at.get_or_insert_with(Instant::now);
                if over_at.elapsed() >= LINGER {
                    break;
                }
            }
        }
        let end = over_at.unwrap_or_else(Instant::now);
        let mut outcome = run.outcome(wall_us);
        let report = &mut outcome.report;
        report.elapsed_s = (end - run.start).as_secs_f64();
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of one run stay far below 2^52"
        )]
        let offered = report.offered as f64;
        report.rate_achieved = offered / report.elapsed_s.max(1e-6);
        report.generator = Some(Reading::take(std::process::id())?.since(&own_before));
        if let (Some(pid), Some(before)) = (plan.target_pid, target_before) {
            // A target that was ended during the run leaves nothing to read.
            report.target = Reading::take(pid).ok().map(|now| now.since(&before));
        }
        Ok(outcome)
    }

    fn start(self) -> io::Result<Run> {
        let run = fastrand::u32(..);
        let mut callees = Vec::with_capacity(self.callees.len());
        for (ordinal, (socket, plan)) in self.callees.into_iter().zip(self.plan.callees).enumerate()
        {
            let socket = BatchSocket::new(socket)?;
            let callee = Callee::new(plan, socket.local(), run, ordinal);
            callees.push((socket, callee));
        }
        let mut caller = None;
        if let (Some(socket), Some((_, plan))) = (self.caller, self.plan.caller) {
            let socket = BatchSocket::new(socket)?;
            let side = Caller::new(plan, socket.local(), run);
            caller = Some((socket, side));
        }
        Ok(Run {
            caller,
            callees,
            control: self.control,
            start: Instant::now(),
        })
    }
}

impl Run {
    /// Sleeps until a datagram comes or something is due.
    fn wait(&self) -> io::Result<()> {
        let next_us = self
            .caller
            .iter()
            .filter_map(|(_, caller)| caller.next_us())
            .chain(
                self.callees
                    .iter()
                    .filter_map(|(_, callee)| callee.next_us()),
            )
            .min();
        let wait = next_us.map_or(WAIT_MAX, |next_us| {
            Duration::from_micros(next_us)
                .saturating_sub(self.start.elapsed())
                .min(WAIT_MAX)
        });
        let sockets = self
            .caller
            .iter()
            .map(|(socket, _)| socket)
            .chain(self.callees.iter().map(|(socket, _)| socket));
        let mut ready: Vec<PollFd<'_>> = sockets
            .map(|socket| PollFd::new(socket.socket().as_fd(), PollFlags::POLLIN))
            .collect();
        match ppoll(&mut ready, Some(TimeSpec::from_duration(wait)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reads what is there, does what is due, sends.
    fn turn(&mut self) -> io::Result<()> {
        let start = self.start;
        let clock = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        for (socket, callee) in &mut self.callees {
            for _ in 0..RECEIVES_PER_TURN_MAX {
                let count = socket.receive()?;
                let now_us = clock();
                for i in 0..count {
                    let (bytes, from) = socket.inbound.datagram(i);
                    callee.on_datagram(now_us, bytes, from, &mut socket.outbound);
                }
                if count == 0 {
                    break;
                }
                socket.flush();
            }
            callee.on_timers(clock(), &mut socket.outbound);
            socket.flush();
        }
        if let Some((socket, caller)) = &mut self.caller {
            for _ in 0..RECEIVES_PER_TURN_MAX {
                let count = socket.receive()?;
                let now_us = clock();
                for i in 0..count {
                    let (bytes, from) = socket.inbound.datagram(i);
                    caller.on_datagram(now_us, bytes, from, &mut socket.outbound);
                }
                if count == 0 {
                    break;
                }
                socket.flush();
            }
            if self.control.hang_up.swap(false, Ordering::Relaxed) {
                caller.hang_up_all(clock());
            }
            caller.on_timers(clock(), &mut socket.outbound);
            caller.start_due(clock(), &mut socket.outbound);
            socket.flush();
            self.control
                .started
                .store(caller.started(), Ordering::Relaxed);
            self.control
                .answered
                .store(caller.answered(), Ordering::Relaxed);
            self.control.up.store(caller.up(), Ordering::Relaxed);
            self.control
                .settled
                .store(caller.is_settled(), Ordering::Relaxed);
        }
        Ok(())
    }

    fn outcome(&mut self, wall_us: i64) -> Outcome {
        let mut report = Report::default();
        let mut calls = Vec::new();
        if let Some((socket, caller)) = &mut self.caller {
            caller.report(&mut report);
            calls = caller.calls_seen(wall_us);
            report.send_errors += socket.outbound.failed();
        }
        for (socket, callee) in &self.callees {
            callee.report(&mut report);
            report.send_errors += socket.outbound.failed();
        }
        Outcome { report, calls }
    }
}

/// Binds the calling thread, and threads and processes it starts later, to one core.
///
/// # Errors
/// When there is no such core or it is not allowed.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn wall_clock_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

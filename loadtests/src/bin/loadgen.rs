//! `loadgen`: open-loop SIP caller and callee in one program.
//! Text goes to standard error, JSON (with `--json`) to standard output, one line per call to `--expect-log`.

use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use loadtests::callee::{Behaviour, CalleePlan};
use loadtests::caller::CallerPlan;
use loadtests::generator::{Control, Generator, Outcome, Plan};
use loadtests::schedule::NEVER;
use nix::sys::signal::{SigSet, Signal};

/// Places calls at a constant rate through a proxy and answers them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The proxy: `IP:port`. Without it only the callees run.
    #[arg(long)]
    target: Option<SocketAddr>,
    /// The one address all calls come from.
    #[arg(long, default_value = "127.0.0.1:0")]
    from: SocketAddr,
    /// A callee, `IP:port=BEHAVIOUR`; behaviours: answer, silent, ring, or a status of 300 to 699. May be repeated.
    #[arg(long = "callee", value_parser = parse_callee)]
    callees: Vec<(SocketAddr, Behaviour)>,
    /// Calls per second.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Calls in all; default: rate times duration.
    #[arg(long)]
    calls: Option<u32>,
    /// Seconds over which calls are started, when `--calls` is not given; without a target, how long the callees run.
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Milliseconds from the answer to the BYE.
    #[arg(long, default_value_t = 0)]
    hold_ms: u64,
    /// Milliseconds from the 180 to the 200.
    #[arg(long, default_value_t = 0)]
    answer_after_ms: u64,
    /// Milliseconds from the INVITE to the CANCEL; without it no call is cancelled before `--setup-max-s`.
    #[arg(long)]
    cancel_after_ms: Option<u64>,
    /// Seconds after which an unanswered call is cancelled.
    #[arg(long, default_value_t = 200)]
    setup_max_s: u64,
    /// First digits of every number called; seven more count the calls.
    #[arg(long, default_value = "4930")]
    number_prefix: String,
    /// The calling number.
    #[arg(long, default_value = "12025550100")]
    from_number: String,
    /// In-dialog requests go to the target whatever the route set says (for the forwarder).
    #[arg(long)]
    pin_target: bool,
    /// Calls stay up until SIGUSR1 or a line on standard input; then all are hung up at the same rate.
    #[arg(long)]
    hangup_later: bool,
    /// Measure this process: CPU time by thread, memory.
    #[arg(long)]
    pid: Option<u32>,
    /// Bind the generator to this core.
    #[arg(long)]
    core: Option<usize>,
    /// The run ends after this many seconds whatever is still open; default: the time to start all calls, plus 300.
    #[arg(long)]
    time_max_s: Option<f64>,
    /// Write what the caller saw of each call, one JSON object a line.
    #[arg(long)]
    expect_log: Option<PathBuf>,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    json: bool,
}

fn parse_callee(text: &str) -> Result<(SocketAddr, Behaviour), String> {
    let (address, behaviour) = text.split_once('=').ok_or("write IP:port=BEHAVIOUR")?;
    Ok((
        address
            .parse()
            .map_err(|_| format!("`{address}` is not IP:port"))?,
        behaviour.parse()?,
    ))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.target.is_none() && arguments.callees.is_empty() {
        bail!("nothing to do: give --target, --callee or both");
    }
    let generator =
        Generator::bind(plan(&arguments)).context("binding the generator's addresses")?;
    let control = generator.control();
    if arguments.hangup_later {
        watch_for_hang_up(&control)?;
    }
    let outcome = generator.run()?;
    write_outcome(&arguments, &outcome)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts given by hand; `as` saturates"
)]
fn plan(arguments: &Arguments) -> Plan {
    let calls = arguments
        .calls
        .unwrap_or((arguments.rate * arguments.duration).round() as u32);
    let time_s = arguments
        .time_max_s
        .unwrap_or(if arguments.target.is_some() {
            f64::from(calls) / arguments.rate.max(1e-3) + 300.0
        } else {
            arguments.duration
        });
    let caller = arguments.target.map(|target| {
        let plan = CallerPlan {
            target,
            number_prefix: arguments.number_prefix.clone(),
            from_number: arguments.from_number.clone(),
            rate: arguments.rate,
            calls,
            hold_us: if arguments.hangup_later {
                NEVER
            } else {
                arguments.hold_ms * 1_000
            },
            cancel_after_us: arguments.cancel_after_ms.map(|ms| ms * 1_000),
            setup_max_us: arguments.setup_max_s * 1_000_000,
            pin_target: arguments.pin_target,
        };
        (arguments.from, plan)
    });
    Plan {
        caller,
        callees: arguments
            .callees
            .iter()
            .map(|&(address, behaviour)| CalleePlan {
                address,
                behaviour,
                answer_after_us: arguments.answer_after_ms * 1_000,
            })
            .collect(),
        target_pid: arguments.pid,
        core: arguments.core,
        time_max: Duration::try_from_secs_f64(time_s).unwrap_or(Duration::MAX),
    }
}

/// SIGUSR1 or a line on standard input hangs up; the signal is blocked here so that no other thread takes it.
fn watch_for_hang_up(control: &Arc<Control>) -> anyhow::Result<()> {
    let signals: SigSet = [Signal::SIGUSR1].into_iter().collect();
    signals.thread_block()?;
    let on_signal = Arc::clone(control);
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            on_signal.hang_up();
        }
    });
    let on_line = Arc::clone(control);
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            on_line.hang_up();
        }
    });
    let settled = Arc::clone(control);
    std::thread::spawn(move || {
        while !settled.is_settled() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = writeln!(std::io::stderr(), "settled: {} calls up", settled.up());
    });
    Ok(())
}

fn write_outcome(arguments: &Arguments, outcome: &Outcome) -> anyhow::Result<()> {
    if let Some(path) = &arguments.expect_log {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        let mut file = BufWriter::new(file);
        for call in &outcome.calls {
            serde_json::to_writer(&mut file, call)?;
            file.write_all(b"\n")?;
        }
        file.flush()?;
    }
    write!(std::io::stderr(), "{}", outcome.report)?;
    if arguments.json {
        writeln!(
            std::io::stdout(),
            "{}",
            serde_json::to_string_pretty(&outcome.report)?
        )?;
    }
    Ok(())
}

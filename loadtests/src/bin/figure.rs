//! `figure`: CPU time per call of the forwarder and of Tandem, in one run, interleaved.
//! The system under test has core 0 for itself, the generator core 1; only what was measured is printed.
//! Leaves out judgement: the spread of the rounds stands beside each median.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use loadtests::callee::{Behaviour, CalleePlan};
use loadtests::caller::CallerPlan;
use loadtests::generator::{Generator, Plan, pin_to_core};
use loadtests::proxy_process::ProxyProcess;
use loadtests::report::Report;

/// Measures CPU time per call: forwarder, then Tandem with one worker, round after round.
#[derive(Parser)]
struct Arguments {
    /// The Tandem binary; default: beside this program.
    #[arg(long)]
    tandem: Option<PathBuf>,
    /// The forwarder binary; default: beside this program.
    #[arg(long)]
    forwarder: Option<PathBuf>,
    /// Calls per second.
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// Seconds of calls in each round.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Milliseconds from answer to BYE.
    #[arg(long, default_value_t = 1_000)]
    hold_ms: u64,
    /// Rounds; the median is over these.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Core of the system under test.
    #[arg(long, default_value_t = 0)]
    core_target: usize,
    /// Core of the generator.
    #[arg(long, default_value_t = 1)]
    core_generator: usize,
}

/// One round of one system.
struct Measured {
    worker_us: f64,
    process_us: f64,
    report: Report,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let beside = std::env::current_exe()?
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let forwarder = arguments
        .forwarder
        .clone()
        .unwrap_or_else(|| beside.join("forwarder"));
    let tandem = arguments
        .tandem
        .clone()
        .unwrap_or_else(|| beside.join("tandem"));
    for program in [&forwarder, &tandem] {
        ensure!(
            program.exists(),
            "{} does not exist; build it first",
            program.display()
        );
    }
    let mut out = std::io::stdout();
    describe_machine(&mut out, &arguments)?;
    let (mut floor, mut proxy) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        let measured = measure_forwarder(&arguments, &forwarder).context("forwarder")?;
        print_round(&mut out, round, "forwarder", &measured)?;
        floor.push(measured);
        let measured = measure_tandem(&arguments, &tandem).context("tandem")?;
        print_round(&mut out, round, "tandem", &measured)?;
        proxy.push(measured);
    }
    print_summary(&mut out, &floor, &proxy)
}

fn describe_machine(out: &mut impl Write, arguments: &Arguments) -> anyhow::Result<()> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    writeln!(
        out,
        "processor: {}",
        model.trim_start_matches([' ', '\t', ':'])
    )?;
    writeln!(
        out,
        "threads: {}  kernel: {}",
        cpu.lines()
            .filter(|line| line.starts_with("processor"))
            .count(),
        kernel.trim()
    )?;
    writeln!(
        out,
        "{} calls/s for {} s, hold {} ms; target on core {}, generator on core {}\n",
        arguments.rate,
        arguments.seconds,
        arguments.hold_ms,
        arguments.core_target,
        arguments.core_generator
    )?;
    writeln!(
        out,
        "round  system     worker µs/call  process µs/call  completed  failed  sent again  PDD p50/p99 µs"
    )?;
    Ok(())
}

fn print_round(
    out: &mut impl Write,
    round: u32,
    system: &str,
    measured: &Measured,
) -> anyhow::Result<()> {
    let report = &measured.report;
    writeln!(
        out,
        "{round:>5}  {system:<9}  {:>14.1}  {:>15.1}  {:>9}  {:>6}  {:>10}  {}/{}",
        measured.worker_us,
        measured.process_us,
        report.completed,
        report.failed,
        report.resent.total(),
        report.pdd.p50_us,
        report.pdd.p99_us
    )?;
    Ok(out.flush()?)
}

fn print_summary(
    out: &mut impl Write,
    floor: &[Measured],
    proxy: &[Measured],
) -> anyhow::Result<()> {
    writeln!(
        out,
        "\nCPU µs per call, median (lowest–highest of {} rounds)",
        floor.len()
    )?;
    let worker = |m: &Measured| m.worker_us;
    let process = |m: &Measured| m.process_us;
    writeln!(
        out,
        "  forwarder, its one thread   {}",
        spread(floor, worker)
    )?;
    writeln!(
        out,
        "  tandem, worker thread       {}",
        spread(proxy, worker)
    )?;
    writeln!(
        out,
        "  tandem, whole process       {}",
        spread(proxy, process)
    )?;
    writeln!(
        out,
        "ratio of medians to the forwarder: worker {:.2}, process {:.2}",
        median(proxy, worker) / median(floor, worker),
        median(proxy, process) / median(floor, worker)
    )?;
    if let Some(usage) = proxy
        .last()
        .and_then(|measured| measured.report.target.as_ref())
    {
        writeln!(out, "tandem's threads in the last round: {usage}")?;
    }
    Ok(())
}

fn sorted(rounds: &[Measured], figure: impl Fn(&Measured) -> f64) -> Vec<f64> {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures
}

fn median(rounds: &[Measured], figure: impl Fn(&Measured) -> f64) -> f64 {
    let figures = sorted(rounds, figure);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn spread(rounds: &[Measured], figure: impl Fn(&Measured) -> f64 + Copy) -> String {
    let figures = sorted(rounds, figure);
    let (low, high) = (
        figures.first().copied().unwrap_or(f64::NAN),
        figures.last().copied().unwrap_or(f64::NAN),
    );
    format!("{:.1} ({low:.1}–{high:.1})", median(rounds, figure))
}

fn measure_forwarder(arguments: &Arguments, program: &Path) -> anyhow::Result<Measured> {
    let mut generator = bind_generator(arguments, true)?;
    let callee = callee_address(&generator)?;
    let listen = free_udp()?;
    let directory = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.args([
        "--listen",
        &listen.to_string(),
        "--callee",
        &callee.to_string(),
    ]);
    command.args(["--core", &arguments.core_target.to_string()]);
    let mut child = ProxyProcess::spawn(command, &directory.path().join("forwarder.log"))?;
    // Bound as soon as it runs; it has no readiness to ask for.
    std::thread::sleep(Duration::from_millis(300));
    ensure!(child.is_running()?, "the forwarder ended at once");
    generator.set_target(listen);
    run(generator, &child, |name| name == "forwarder")
}

fn measure_tandem(arguments: &Arguments, program: &Path) -> anyhow::Result<Measured> {
    let mut generator = bind_generator(arguments, false)?;
    let callee = callee_address(&generator)?;
    let (listen, admin) = (free_udp()?, free_tcp()?);
    let directory = tempfile::tempdir()?;
    let config = write_setup(directory.path(), listen, admin, callee)?;
    let log = directory.path().join("tandem.log");
    let load = Command::new(program)
        .arg("load")
        .arg(directory.path().join("tables"))
        .arg("--config")
        .arg(&config)
        .output()?;
    if !load.status.success() {
        bail!(
            "loading the routing data failed: {}",
            String::from_utf8_lossy(&load.stderr)
        );
    }
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(&config);
    // The child inherits the core of the thread that starts it.
    pin_to_core(arguments.core_target)?;
    let child = ProxyProcess::spawn(command, &log);
    pin_to_core(arguments.core_generator)?;
    let mut child = child?;
    if let Err(error) = child.wait_ready(admin, Duration::from_secs(20)) {
        bail!(
            "{error}; its log:\n{}",
            fs::read_to_string(&log).unwrap_or_default()
        );
    }
    generator.set_target(listen);
    run(generator, &child, |name| name.starts_with("tandem-lane"))
}

fn run(
    mut generator: Generator,
    child: &ProxyProcess,
    is_worker: impl Fn(&str) -> bool,
) -> anyhow::Result<Measured> {
    generator.measure(child.pid());
    let report = generator.run()?.report;
    let usage = report
        .target
        .as_ref()
        .context("the target ended during the run")?;
    let worker_ms: u64 = usage
        .threads
        .iter()
        .filter(|(name, _)| is_worker(name))
        .map(|(_, time)| time.total_ms())
        .sum();
    ensure!(worker_ms > 0, "no worker thread found among: {usage}");
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of one run stay far below 2^52"
    )]
    let per_call = |ms: u64| ms as f64 * 1_000.0 / report.offered as f64;
    Ok(Measured {
        worker_us: per_call(worker_ms),
        process_us: per_call(usage.cpu_ms),
        report,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts given by hand; `as` saturates"
)]
fn bind_generator(arguments: &Arguments, pin_target: bool) -> anyhow::Result<Generator> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let caller = CallerPlan {
        target: any,
        number_prefix: "4930".to_owned(),
        from_number: "12025550100".to_owned(),
        rate: arguments.rate,
        calls: (arguments.rate * arguments.seconds).round() as u32,
        hold_us: arguments.hold_ms * 1_000,
        cancel_after_us: None,
        setup_max_us: 60_000_000,
        pin_target,
    };
    Ok(Generator::bind(Plan {
        caller: Some((any, caller)),
        callees: vec![CalleePlan {
            address: any,
            behaviour: Behaviour::Answer,
            answer_after_us: 0,
        }],
        target_pid: None,
        core: Some(arguments.core_generator),
        time_max: Duration::from_secs_f64(arguments.seconds + 120.0),
    })?)
}

fn callee_address(generator: &Generator) -> anyhow::Result<SocketAddr> {
    generator
        .callee_addresses()
        .first()
        .copied()
        .context("no callee")
}

fn free_udp() -> std::io::Result<SocketAddr> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

fn free_tcp() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// One customer, one vendor, one price on each side; one worker.
fn write_setup(
    directory: &Path,
    listen: SocketAddr,
    admin: SocketAddr,
    callee: SocketAddr,
) -> std::io::Result<PathBuf> {
    let tables = directory.join("tables");
    fs::create_dir(&tables)?;
    let gateways = format!("vendor,address\nvendor,{callee}\n");
    for (file, text) in [
        (
            "customers.csv",
            "name,rate_sheet,routing_plan\ncustomer,retail,plan\n",
        ),
        (
            "customer_addresses.csv",
            "customer,address\ncustomer,127.0.0.1\n",
        ),
        ("vendors.csv", "name,rate_sheet\nvendor,wholesale\n"),
        ("vendor_gateways.csv", gateways.as_str()),
        ("routing_plans.csv", "name,mode\nplan,lcr\n"),
        ("routes.csv", "plan,prefix,vendor\nplan,,vendor\n"),
        (
            "rates.csv",
            "sheet,prefix,rate\nretail,4930,0.02\nwholesale,4930,0.01\n",
        ),
    ] {
        fs::write(tables.join(file), text)?;
    }
    let data = directory.display();
    let config = directory.join("tandem.toml");
    let text = format!(
        "[runtime]\nworkers = 1\n[[listen]]\ntransport = \"udp\"\naddress = \"{listen}\"\n\
         [store]\nurl = \"sqlite://{data}/tandem.db\"\n[journal]\ndirectory = \"{data}/journal\"\n\
         [admin]\naddress = \"{admin}\"\ntoken_file = \"{data}/admin.token\"\n\
         [proxy]\ncookie_key_file = \"{data}/cookie.key\"\n[log]\nlevel = \"warn\"\n"
    );
    fs::write(&config, text)?;
    Ok(config)
}

//! `tandem demo`: a real proxy in this process, two vendors, a caller, and the rated CDRs of the calls placed.
//! The node, the loading of the plan and the records are those of `tandem run`, `load` and `cdr`, on a temporary store.
//! Leaves out media, and everything outside this machine: loopback sockets on free ports.

mod caller;
mod plan;
mod vendor;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use accounting::RatedCdr;
use anyhow::{Context as _, ensure};
use rust_decimal::Decimal;
use storage::{CdrFilter, Store};

use self::caller::{DemoCall, Plan};
use self::vendor::{DemoVendor, Manner};
use crate::config::{self, Config};
use crate::node::Node;
use crate::routing_files::{self, LoadOptions};
use crate::{cdr_table, logging, output};

/// How long the records of finished calls may take to reach the store.
const RECORDS_PATIENCE: Duration = Duration::from_secs(10);

/// The calls, placed at the same time.
const CALLS: [DemoCall; 5] = [
    DemoCall {
        callee: "442079460001",
        story: "the cheapest vendor refuses, the next one answers",
        plan: Plan::Talk(Duration::from_millis(1_500)),
    },
    DemoCall {
        callee: "4930901820",
        story: "answered by the only vendor for 49",
        plan: Plan::Talk(Duration::from_millis(2_200)),
    },
    DemoCall {
        callee: "442079460002",
        story: "busy",
        plan: Plan::Talk(Duration::ZERO),
    },
    DemoCall {
        callee: "15550100",
        story: "no route for 1",
        plan: Plan::Talk(Duration::ZERO),
    },
    DemoCall {
        callee: "442079460003",
        story: "rings until the caller gives up",
        plan: Plan::Cancel(Duration::from_millis(700)),
    },
];

/// Runs the demonstration.
///
/// # Errors
/// No loopback socket, no temporary directory, or a call without an outcome.
pub fn run() -> anyhow::Result<bool> {
    let directory = Scratch::new()?;
    let done = play(directory.path());
    drop(directory);
    done
}

fn play(directory: &Path) -> anyhow::Result<bool> {
    let cheap = DemoVendor::start(Manner::Refuses)?;
    let good = DemoVendor::start(Manner::Answers)?;
    let config = Arc::new(demo_config(directory)?);
    let log = logging::start(&config.log);
    load_plan(&config, directory, &cheap, &good)?;
    let node = Node::start(Arc::clone(&config), log.drops())?;
    let proxy = *node
        .addresses()
        .first()
        .context("the proxy has no listener")?;
    output::line(format!(
        "Tandem on {proxy}, admin on http://{}; customer \"{}\", vendors \"{}\" ({}) and \"{}\" ({})\n",
        node.admin_address(),
        plan::CUSTOMER,
        plan::CHEAP_VENDOR,
        cheap.address(),
        plan::GOOD_VENDOR,
        good.address()
    ));
    for call in CALLS {
        output::line(format!("  calling {:<13} {}", call.callee, call.story));
    }
    let statuses = place_calls(proxy)?;
    let cdrs = records(&config)?;
    node.drain()?;
    print(&cdrs);
    ensure!(
        cdrs.len() == CALLS.len(),
        "{} calls were placed (final statuses {statuses:?}), but {} records came",
        CALLS.len(),
        cdrs.len()
    );
    Ok(true)
}

fn demo_config(directory: &Path) -> anyhow::Result<Config> {
    let at = |name: &str| directory.join(name).display().to_string();
    let text = format!(
        "[runtime]\nnode = \"demo\"\ndrain_timeout_s = 2\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\n\
         [store]\nurl = {:?}\n\
         [journal]\ndirectory = {:?}\n\
         [admin]\naddress = \"127.0.0.1:0\"\ntoken_file = {:?}\n\
         [proxy]\ncookie_key_file = {:?}\n\
         [log]\nlevel = \"warn\"\n",
        format!("sqlite://{}", at("demo.db")),
        at("journal"),
        at("admin.token"),
        at("cookie.key"),
    );
    Ok(config::parse(Some(("demo.toml", &text)), &[])?)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime can be started")
}

fn load_plan(
    config: &Config,
    directory: &Path,
    cheap: &DemoVendor,
    good: &DemoVendor,
) -> anyhow::Result<()> {
    let plan = directory.join("plan");
    plan::write(&plan, cheap.address(), good.address())?;
    runtime()?.block_on(async {
        let store = Store::open(config.store.url()).await?;
        routing_files::load(
            &store,
            &plan,
            LoadOptions::default(),
            &mut |_| {},
            &mut |_| {},
        )
        .await?;
        anyhow::Ok(())
    })
}

fn place_calls(proxy: std::net::SocketAddr) -> anyhow::Result<Vec<u16>> {
    let threads: Vec<_> = CALLS
        .iter()
        .map(|call| std::thread::spawn(move || call.place(proxy)))
        .collect();
    let mut statuses = Vec::new();
    for thread in threads {
        let status = thread
            .join()
            .map_err(|_| anyhow::anyhow!("a caller panicked"))??;
        statuses.push(status);
    }
    Ok(statuses)
}

/// Waits until the records of all calls are in the store, oldest first.
fn records(config: &Config) -> anyhow::Result<Vec<RatedCdr>> {
    let deadline = Instant::now() + RECORDS_PATIENCE;
    let filter = CdrFilter {
        limit: 100,
        ..CdrFilter::default()
    };
    runtime()?.block_on(async {
        let store = Store::open(config.store.url()).await?;
        loop {
            let mut cdrs = store.cdrs(&filter).await?;
            if cdrs.len() >= CALLS.len() || Instant::now() > deadline {
                // In the order of the list of calls, whatever thread was first.
                cdrs.sort_by_key(|cdr| CALLS.iter().position(|call| call.callee == cdr.callee));
                return anyhow::Ok(cdrs);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

fn print(cdrs: &[RatedCdr]) {
    let header = [
        "callee",
        "route",
        "attempts",
        "cause",
        "duration",
        "customer pays",
        "vendor bills",
    ];
    let rows = cdrs.iter().map(|cdr| {
        let price = |price: Option<Decimal>, billed_s: u32| match price {
            Some(price) if billed_s > 0 => format!("{} EUR for {billed_s} s", price.normalize()),
            _ => "–".to_owned(),
        };
        vec![
            cdr.callee.clone(),
            cdr_table::route(&cdr.attempts),
            cdr.attempts.len().to_string(),
            cdr.cause.as_str().to_owned(),
            cdr_table::duration(cdr.duration_ms),
            price(cdr.customer_price, cdr.customer_billed_s),
            price(cdr.vendor_price, cdr.vendor_billed_s),
        ]
    });
    output::line("");
    output::table(&header, rows.collect(), &[2, 4, 5, 6]);
    let total =
        |price: fn(&RatedCdr) -> Option<Decimal>| cdrs.iter().filter_map(price).sum::<Decimal>();
    let (revenue, cost) = (
        total(|cdr| cdr.customer_price),
        total(|cdr| cdr.vendor_price),
    );
    let answered = cdrs.iter().filter(|cdr| cdr.answer_at.is_some()).count();
    let failovers = cdrs
        .iter()
        .map(|cdr| cdr.attempts.len().saturating_sub(1))
        .sum::<usize>();
    output::line(format!(
        "\n{} calls, {answered} answered, {failovers} failovers; revenue {} EUR, cost {} EUR, margin {} EUR",
        cdrs.len(),
        revenue.normalize(),
        cost.normalize(),
        (revenue - cost).normalize()
    ));
    output::line(
        "The records above came from the store, where `tandem cdr --format json` shows all their keys.",
    );
}

/// A directory that is removed at the end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!(
            "tandem-demo-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        ));
        std::fs::create_dir(&path).with_context(|| format!("{} can't be made", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in a temporary directory does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

//! What a record costs in each candidate for the journal: CPU to write and sync it, time to recover it.
//! Segment files against SQLite (write-ahead log, through sqlx), same records, same groups, one sync per group.
//! `cargo run --release -p storage --example journal_cost [RECORDS] [GROUP]`

#[path = "../src/test_records.rs"]
mod test_records;

use std::path::Path;
use std::time::{Duration, Instant};

use accounting::Record;
use sqlx::Row as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use storage::{Journal, JournalOptions, JournalSync, recover};

type Failure = Box<dyn std::error::Error>;

/// CPU time of all living threads of this process, in ns.
fn cpu_ns() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let on_cpu = |path: &Path| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(|task| on_cpu(&task.path())).sum()
}

/// Half answered, half ended; a tenth of the calls never end.
fn record(number: u64) -> Record {
    let id = u128::from(number / 2);
    if number.is_multiple_of(2) || (number / 2).is_multiple_of(10) {
        test_records::answered(id)
    } else {
        test_records::ended(id)
    }
}

#[expect(clippy::print_stdout, reason = "a measurement for people")]
fn report(what: &str, records: u64, cpu: u64, wall: Duration) {
    let each = |ns: u128| ns / u128::from(records);
    println!(
        "{what:<38} {:>8} ns CPU/record {:>8} ns wall/record",
        each(u128::from(cpu)),
        each(wall.as_nanos())
    );
}

#[expect(clippy::print_stdout, reason = "a measurement for people")]
fn size(directory: &Path, records: u64) -> Result<(), Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        bytes += entry?.metadata()?.len();
    }
    println!(
        "{:<38} {:>8} bytes/record",
        "segments, size",
        bytes / records
    );
    Ok(())
}

async fn segments(directory: &Path, records: &[Record], group: usize) -> Result<(), Failure> {
    let sync = JournalSync::start(Duration::from_millis(1))?;
    let mut journal = Journal::create(JournalOptions::new(
        directory.to_owned(),
        "bench".into(),
        1,
        0,
    ))?;
    sync.add(journal.progress());
    let progress = journal.progress();
    let (mut worker_ns, cpu, wall) = (0, cpu_ns(), Instant::now());
    for group in records.chunks(group) {
        let before = Instant::now();
        for record in group {
            journal.append(record)?;
        }
        journal.write_out()?;
        worker_ns += before.elapsed().as_nanos();
        progress.wait_synced(journal.appended_seq()).await?;
    }
    report(
        "segments, written and synced",
        records.len() as u64,
        cpu_ns() - cpu,
        wall.elapsed(),
    );
    report(
        "segments, of it on the worker",
        records.len() as u64,
        u64::try_from(worker_ns)?,
        Duration::from_nanos(u64::try_from(worker_ns)?),
    );
    drop(sync);
    size(directory, records.len() as u64)?;
    let (cpu, wall) = (cpu_ns(), Instant::now());
    let recovery = recover(directory)?;
    report(
        "segments, recovery",
        records.len() as u64,
        cpu_ns() - cpu,
        wall.elapsed(),
    );
    if recovery.records != records.len() as u64 {
        return Err("records are missing".into());
    }
    Ok(())
}

async fn sqlite(
    path: &Path,
    synchronous: SqliteSynchronous,
    records: &[Record],
    group: usize,
) -> Result<(), Failure> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous);
    let pool: SqlitePool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await?;
    sqlx::query("CREATE TABLE journal (seq INTEGER PRIMARY KEY, record BLOB NOT NULL)")
        .execute(&pool)
        .await?;
    let (cpu, wall) = (cpu_ns(), Instant::now());
    for group in records.chunks(group) {
        let mut transaction = pool.begin().await?;
        for record in group {
            let mut bytes = Vec::with_capacity(1024);
            record.encode(&mut bytes);
            sqlx::query("INSERT INTO journal (record) VALUES (?)")
                .bind(bytes)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
    }
    let what = format!("SQLite WAL, synchronous {synchronous:?}");
    report(&what, records.len() as u64, cpu_ns() - cpu, wall.elapsed());
    let (cpu, wall) = (cpu_ns(), Instant::now());
    let mut sound = 0;
    for row in sqlx::query("SELECT record FROM journal ORDER BY seq")
        .fetch_all(&pool)
        .await?
    {
        sound += usize::from(Record::decode(row.try_get::<&[u8], _>(0)?).is_ok());
    }
    report(
        &format!("{what}, recovery"),
        records.len() as u64,
        cpu_ns() - cpu,
        wall.elapsed(),
    );
    if sound != records.len() {
        return Err("records are missing".into());
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let group: usize = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let records: Vec<_> = (0..count).map(record).collect();
    let directory = tempfile::tempdir_in(".")?;
    segments(directory.path(), &records, group).await?;
    sqlite(
        &directory.path().join("full.db"),
        SqliteSynchronous::Full,
        &records,
        group,
    )
    .await?;
    Ok(())
}

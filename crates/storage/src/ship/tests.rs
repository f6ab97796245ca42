//! Shipping: exactly once under failures, deletion without forgetting, restarts.

use std::path::Path;
use std::time::Instant;

use accounting::{Cause, Record, RefusedAggregate, Updated};
use uuid::Uuid;

use super::*;
use crate::journal::{Journal, JournalOptions, SegmentKey, list_segments, recover};
use crate::test_records::{SETUP_US, answered, ended, leg};
use crate::{CdrFilter, DirectoryLock};

/// A node on a directory, with a store beside its journal.
struct Node {
    directory: tempfile::TempDir,
    store: Arc<Store>,
}

impl Node {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("journal")).unwrap();
        let store = Store::open(&format!("sqlite://{}/t.db", directory.path().display()))
            .await
            .unwrap();
        Self {
            directory,
            store: Arc::new(store),
        }
    }

    fn journal_directory(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    fn lane(&self, boot: u32, lane: u8, segment_bytes: u64) -> Journal {
        let options = JournalOptions::new(self.journal_directory(), "n1".into(), boot, lane);
        Journal::create(JournalOptions {
            segment_bytes,
            ..options
        })
        .unwrap()
    }

    fn shipper(&self, boot: u32) -> Shipper {
        let options = ShipperOptions::new(self.journal_directory(), "n1".into(), boot);
        Shipper::new(
            ShipperOptions {
                poll: Duration::from_millis(1),
                ..options
            },
            Arc::clone(&self.store),
        )
        .unwrap()
    }

    /// Ships until the journal is empty, as a drain does.
    async fn ship(&self, boot: u32) -> ShipStatus {
        let shipper = self.shipper(boot);
        let progress = shipper.progress();
        assert!(shipper.run(watch::Sender::new(true).subscribe()).await);
        progress.status()
    }

    async fn stored(&self) -> Vec<u128> {
        let filter = CdrFilter {
            limit: 100_000,
            ..CdrFilter::default()
        };
        let mut ids: Vec<_> = self
            .store
            .cdrs(&filter)
            .await
            .unwrap()
            .iter()
            .map(|cdr| cdr.cdr_id.as_u128())
            .collect();
        ids.sort_unstable();
        ids
    }

    async fn refused(&self) -> i64 {
        sqlx::query_scalar("SELECT COALESCE(SUM(count), 0) FROM refused")
            .fetch_one(&self.store.writer)
            .await
            .unwrap()
    }

    fn open(&self) -> Vec<u128> {
        open_in(&self.journal_directory())
    }

    fn segments(&self) -> Vec<SegmentKey> {
        list_segments(&self.journal_directory())
            .unwrap()
            .into_iter()
            .map(|(key, _)| key)
            .collect()
    }
}

fn open_in(directory: &Path) -> Vec<u128> {
    recover(directory)
        .unwrap()
        .calls
        .iter()
        .map(|call| call.cdr.cdr_id.as_u128())
        .collect()
}

fn refused(count: u64) -> Record {
    Record::Refused(RefusedAggregate {
        node: "n1".into(),
        minute_us: SETUP_US,
        source: "192.0.2.99".into(),
        cause: Cause::UnknownSource,
        customer: None,
        count,
    })
}

fn updated(id: u128, cseq: u32) -> Record {
    Record::Updated(Updated {
        cdr_id: Uuid::from_u128(id),
        attempt: 0,
        caller: None,
        callee: Some(leg("to", cseq)),
        session_end: accounting::SessionEnd::Never,
    })
}

fn write(journal: &mut Journal, records: impl IntoIterator<Item = Record>) {
    for record in records {
        journal.append(&record).unwrap();
        journal.write_out().unwrap();
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_calls_reach_the_store_while_lanes_write_and_the_backlog_returns_to_zero() {
    let node = Node::new().await;
    let mut lanes = [node.lane(1, 0, 20_000), node.lane(1, 1, 20_000)];
    let shipper = node.shipper(1);
    let progress = shipper.progress();
    let stop = watch::Sender::new(false);
    let running = tokio::spawn(shipper.run(stop.subscribe()));
    for id in 0..600 {
        write(
            &mut lanes[usize::from(id % 2 == 0)],
            [answered(id), ended(id)],
        );
        if id % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    until("everything is shipped", async || {
        progress.status().backlog_bytes == 0 && progress.status().shipped == 600
    })
    .await;
    let status = progress.status();
    assert_eq!(
        (
            status.backlog_records,
            status.oldest_us,
            status.open_calls,
            status.errors
        ),
        (0, 0, 0, 0)
    );
    assert!(status.batches < 600, "{status:?}");
    stop.send_replace(true);
    assert!(running.await.unwrap());
    assert_eq!(node.stored().await, (0..600).collect::<Vec<_>>());
    // Both lanes' current segments and the shipper's own are left.
    assert_eq!(node.segments().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_for_a_while_gets_everything_exactly_once_and_the_alarm_ends() {
    let node = Node::new().await;
    let mut lane = node.lane(1, 0, 10_000);
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON cdr WHEN NEW.call_id = 'call-20@caller' BEGIN SELECT RAISE(ABORT, 'out of order'); END";
    sqlx::query(refuse)
        .execute(&node.store.writer)
        .await
        .unwrap();
    let mut shipper = node.shipper(1);
    shipper.options.retry_max = Duration::from_millis(60);
    let progress = shipper.progress();
    let stop = watch::Sender::new(false);
    let running = tokio::spawn(shipper.run(stop.subscribe()));
    for id in 0..50 {
        write(&mut lane, [ended(id), refused(1)]);
    }
    until("two failures", async || progress.status().errors >= 2).await;
    let status = progress.status();
    assert!(
        status.failing && status.backlog_bytes > 0 && status.oldest_us > 0,
        "{status:?}"
    );
    assert!(
        status
            .last_error
            .as_ref()
            .is_some_and(|error| error.contains("out of order")),
        "{status:?}"
    );
    sqlx::query("DROP TRIGGER refuse")
        .execute(&node.store.writer)
        .await
        .unwrap();
    until("recovered", async || {
        progress.status().backlog_bytes == 0 && !progress.status().failing
    })
    .await;
    stop.send_replace(true);
    assert!(running.await.unwrap());
    assert_eq!(
        (node.stored().await, node.refused().await),
        ((0..50).collect(), 50)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_leaves_all_records_in_the_journal_for_the_next_start() {
    let node = Node::new().await;
    let mut lane = node.lane(1, 0, 2_000);
    write(&mut lane, (0..30).map(ended));
    let before = node.segments();
    let url = format!("sqlite://{}/closed.db", node.directory.path().display());
    let closed = Arc::new(Store::open(&url).await.unwrap());
    closed.close().await;
    let options = ShipperOptions::new(node.journal_directory(), "n1".into(), 1);
    let shipper = Shipper::new(options, closed).unwrap();
    assert!(!shipper.run(watch::Sender::new(true).subscribe()).await);
    assert_eq!(node.segments().len(), before.len() + 1);
    drop(lane);
    recover(&node.journal_directory()).unwrap();
    node.ship(2).await;
    assert_eq!(node.stored().await, (0..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_after_the_commit_and_a_restart_in_the_middle_store_nothing_twice() {
    let node = Node::new().await;
    let mut lane = node.lane(1, 0, 1 << 20);
    write(&mut lane, (0..20).flat_map(|id| [ended(id), refused(1)]));
    // The batch is stored, but the shipper dies before it knows.
    let mut shipper = node.shipper(1);
    shipper.options.batch_records_max = 11;
    assert!(shipper.segments.discover().unwrap());
    for id in shipper.segments.without_cursor() {
        shipper.segments.set_cursor(id, 0);
    }
    shipper.segments.read(11).unwrap();
    node.store
        .insert_batch(shipper.segments.batch())
        .await
        .unwrap();
    assert_eq!((node.stored().await.len(), node.refused().await), (6, 5));
    // The same shipper tries again, as after a lost answer.
    node.store
        .insert_batch(shipper.segments.batch())
        .await
        .unwrap();
    assert_eq!((node.stored().await.len(), node.refused().await), (6, 5));
    drop(shipper);
    // A new process goes on in the middle.
    recover(&node.journal_directory()).unwrap();
    let status = node.ship(2).await;
    assert_eq!(status.shipped, 29);
    assert_eq!(
        (node.stored().await, node.refused().await),
        ((0..20).collect(), 20)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_up_outlive_the_deletion_of_their_segments_with_their_updates() {
    let node = Node::new().await;
    let mut lane = node.lane(1, 0, 5_000);
    write(
        &mut lane,
        [
            answered(1_000),
            updated(1_000, 7),
            answered(1_001),
            answered(1_002),
        ],
    );
    write(&mut lane, (0..100).map(ended));
    write(&mut lane, [updated(1_001, 9), ended(1_002)]);
    write(&mut lane, (100..200).map(ended));
    let status = node.ship(1).await;
    assert_eq!((status.open_calls, status.segments), (2, 2));
    assert_eq!(node.segments().len(), 2);
    let recovery = recover(&node.journal_directory()).unwrap();
    let calls: Vec<_> = recovery
        .calls
        .iter()
        .map(|call| (call.cdr.cdr_id.as_u128(), call.callee.cseq))
        .collect();
    assert_eq!(calls, [(1_000, 7), (1_001, 9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carried_call_that_ends_never_comes_back_however_often_the_node_restarts() {
    let node = Node::new().await;
    write(
        &mut node.lane(1, 0, 1 << 20),
        [answered(1), answered(2), answered(3)],
    );
    node.ship(1).await;
    let mut alive = vec![1, 2, 3];
    for boot in 2..=7 {
        assert_eq!(node.open(), alive, "before boot {boot}");
        let mut lane = node.lane(boot, u8::try_from(boot % 3).unwrap(), 3_000);
        // Let the shipper copy the calls to this boot's own segment first, so that ends come after their copies.
        node.ship(boot).await;
        if boot == 3 || boot == 5 {
            write(&mut lane, [ended(alive.remove(0))]);
        }
        write(
            &mut lane,
            (0..20).map(|n| ended(u128::from(boot) * 1_000 + n)),
        );
        drop(lane);
    }
    node.ship(8).await;
    assert_eq!(node.open(), [3]);
    assert_eq!(node.stored().await.len(), 2 + 6 * 20);
    assert_eq!(node.segments().len(), 1, "{:?}", node.segments());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_carried_and_ended_in_the_same_run_is_settled_before_its_segment_goes() {
    let node = Node::new().await;
    let mut lane = node.lane(1, 0, 2_000);
    let shipper = node.shipper(1);
    let progress = shipper.progress();
    let stop = watch::Sender::new(false);
    let running = tokio::spawn(shipper.run(stop.subscribe()));
    write(&mut lane, [answered(1), answered(2)]);
    write(&mut lane, (10..30).map(ended));
    until("segments deleted", async || {
        progress.status().segments <= 2 && progress.status().shipped == 20
    })
    .await;
    write(&mut lane, [ended(1)]);
    write(&mut lane, (30..50).map(ended));
    until("segments deleted again", async || {
        progress.status().segments <= 2 && progress.status().shipped == 41
    })
    .await;
    stop.send_replace(true);
    assert!(running.await.unwrap());
    assert_eq!(node.open(), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shippers_own_segment_is_renewed_when_it_is_mostly_dead() {
    let node = Node::new().await;
    let mut lane = node.lane(1, 0, 2_000);
    let mut shipper = node.shipper(1);
    shipper.segments = Segments::new(&ShipperOptions {
        segment_bytes: 3_000,
        boot: 2,
        ..shipper.options.clone()
    })
    .unwrap();
    for id in 0..60 {
        write(&mut lane, [answered(id), answered(1_000 + id)]);
        write(&mut lane, (0..4).map(|n| ended(10_000 + id * 10 + n)));
        write(&mut lane, [ended(id), ended(1_000 + id)]);
        if id == 30 {
            write(&mut lane, [answered(5_000)]);
        }
        shipper.pass().await.unwrap();
    }
    drop(lane);
    let length: u64 = list_segments(&node.journal_directory())
        .unwrap()
        .iter()
        .filter(|(key, _)| key.lane == crate::journal::CARRY_LANE)
        .map(|(_, path)| std::fs::metadata(path).unwrap().len())
        .sum();
    assert!(length < 12_000, "{length}");
    assert_eq!(node.open(), [5_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_loses_the_torn_record_alone_on_the_way_to_the_store() {
    let node = Node::new().await;
    let mut lane = node.lane(1, 0, 1 << 20);
    write(&mut lane, (0..10).map(ended));
    drop(lane);
    let (_, path) = list_segments(&node.journal_directory()).unwrap().remove(0);
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    assert_eq!(recover(&node.journal_directory()).unwrap().torn.len(), 1);
    node.ship(2).await;
    assert_eq!(node.stored().await, (0..9).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_ship_into_one_store_without_disturbing_each_other() {
    let node = Node::new().await;
    let second = node.directory.path().join("second");
    let _lock = DirectoryLock::acquire(&second).unwrap();
    write(&mut node.lane(1, 0, 1 << 20), [ended(1), refused(3)]);
    let mut lane = Journal::create(JournalOptions::new(second.clone(), "n2".into(), 1, 0)).unwrap();
    write(&mut lane, [ended(2), refused(4)]);
    node.ship(1).await;
    let shipper = Shipper::new(
        ShipperOptions::new(second, "n2".into(), 1),
        Arc::clone(&node.store),
    )
    .unwrap();
    assert!(shipper.run(watch::Sender::new(true).subscribe()).await);
    assert_eq!((node.stored().await, node.refused().await), (vec![1, 2], 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_opens_one_file_at_a_time_and_counts_all_of_them() {
    let node = Node::new().await;
    // One record in each of 300 segments.
    let mut lane = node.lane(1, 0, 1);
    write(&mut lane, (0..300).map(ended));
    drop(lane);
    let on_disk: u64 = list_segments(&node.journal_directory())
        .unwrap()
        .iter()
        .map(|(_, path)| std::fs::metadata(path).unwrap().len())
        .sum();
    let mut shipper = node.shipper(2);
    assert!(shipper.segments.discover().unwrap());
    assert_eq!(shipper.segments.open_files(), 0);
    let backlog = shipper.segments.backlog();
    assert!(backlog.segments >= 300, "{backlog:?}");
    // The headers are no backlog.
    assert!(backlog.bytes > on_disk / 2 && backlog.bytes < on_disk);
    for id in shipper.segments.without_cursor() {
        shipper.segments.set_cursor(id, 0);
    }
    shipper.segments.read(100).unwrap();
    assert_eq!(shipper.segments.batch().len(), 100);
    assert!(shipper.segments.open_files() <= 1);
    drop(shipper);
    let status = node.ship(3).await;
    assert_eq!(
        (status.shipped, status.backlog_bytes, status.backlog_records),
        (300, 0, 0)
    );
    assert_eq!(node.stored().await, (0..300).collect::<Vec<_>>());
    assert_eq!(node.segments().len(), 1);
}

/// Adds a frame with a record of a version that this build does not know.
fn add_unknown_record(path: &Path, seq: u64) {
    let mut bytes = std::fs::read(path).unwrap();
    assert!(crate::journal::frame::append(&mut bytes, seq, |out| out
        .extend_from_slice(&[200, 1, 2, 3])));
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_of_a_newer_version_is_never_deleted_and_holds_nothing_up() {
    let node = Node::new().await;
    drop(node.lane(1, 0, 1 << 20));
    let (newer, path) = list_segments(&node.journal_directory()).unwrap().remove(0);
    add_unknown_record(&path, 1);
    add_unknown_record(&path, 2);
    let bytes = std::fs::read(&path).unwrap();
    // What this version writes afterwards, in the same boot and in the next.
    write(&mut node.lane(1, 1, 2_000), (0..30).map(ended));
    write(&mut node.lane(2, 0, 2_000), (30..60).map(ended));
    for boot in 3..=4 {
        recover(&node.journal_directory()).unwrap();
        let status = node.ship(boot).await;
        assert_eq!(
            (status.undecodable, status.damaged, status.backlog_bytes),
            (1, 0, 0)
        );
        // The newer one and the shipper's own.
        assert_eq!(node.segments().len(), 2, "{:?}", node.segments());
        assert!(node.segments().contains(&newer));
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    assert_eq!(node.stored().await, (0..60).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_with_known_and_unknown_records_is_kept_and_its_ended_calls_stay_ended() {
    let node = Node::new().await;
    write(&mut node.lane(1, 0, 1 << 20), [answered(1), ended(2)]);
    let (mixed, path) = list_segments(&node.journal_directory()).unwrap().remove(0);
    add_unknown_record(&path, 3);
    write(&mut node.lane(2, 0, 1 << 20), [ended(1)]);
    let status = node.ship(3).await;
    assert_eq!((status.undecodable, status.shipped), (1, 2));
    assert!(node.segments().contains(&mixed));
    assert_eq!(node.stored().await, [1, 2]);
    // The end of call 1 is kept as long as its answer is.
    assert_eq!(node.open(), Vec::<u128>::new());
}

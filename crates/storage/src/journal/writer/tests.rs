//! The writing end: what a `write` takes out, rotation, and a disk that refuses.

use std::fs::OpenOptions;
use std::time::Duration;

use super::*;
use crate::journal::{JournalSync, SegmentReader, Step, SyncFailed, list_segments};
use crate::test_records::{answered, ended};

fn journal(directory: &std::path::Path) -> Journal {
    Journal::create(JournalOptions::new(directory.to_owned(), "n1".into(), 1, 0)).unwrap()
}

/// Every (sequence number, record) of all segments, in order.
fn read_all(directory: &std::path::Path) -> Vec<(u64, Record)> {
    let mut records = Vec::new();
    for (_, path) in list_segments(directory).unwrap() {
        let (_, mut reader) = SegmentReader::open(&path).unwrap().unwrap();
        while let Step::Frame { seq, record, .. } = reader.next().unwrap() {
            records.push((seq, record.unwrap()));
        }
    }
    records
}

#[test]
fn records_are_in_the_file_after_write_out_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = journal(directory.path());
    assert_eq!(journal.append(&answered(1)), Ok(1));
    assert_eq!(journal.append(&ended(1)), Ok(2));
    assert_eq!(
        (journal.appended_seq(), journal.progress().written_seq()),
        (2, 0)
    );
    assert_eq!(read_all(directory.path()), []);
    journal.write_out().unwrap();
    assert_eq!(journal.progress().written_seq(), 2);
    assert_eq!(
        read_all(directory.path()),
        [(1, answered(1)), (2, ended(1))]
    );
    // Nothing appended, nothing written.
    let len = journal.file_len();
    journal.write_out().unwrap();
    assert_eq!(journal.file_len(), len);
}

#[test]
fn a_full_segment_is_followed_by_the_next_without_a_gap_in_the_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = JournalOptions::new(directory.path().to_owned(), "n1".into(), 1, 0);
    options.segment_bytes = 2_000;
    let mut journal = Journal::create(options).unwrap();
    for id in 1..=50 {
        journal.append(&ended(id)).unwrap();
        journal.write_out().unwrap();
    }
    let segments = list_segments(directory.path()).unwrap();
    assert!(segments.len() > 5, "{segments:?}");
    for (key, path) in &segments[1..] {
        let (header, mut reader) = SegmentReader::open(path).unwrap().unwrap();
        let Step::Frame { seq, .. } = reader.next().unwrap() else {
            panic!("{key:?} holds no record")
        };
        assert_eq!(header.seq_before + 1, seq);
    }
    assert_eq!(
        read_all(directory.path())
            .into_iter()
            .map(|(seq, _)| seq)
            .collect::<Vec<_>>(),
        (1..=50).collect::<Vec<_>>()
    );
}

#[test]
fn a_lane_and_boot_that_exist_already_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = journal(directory.path());
    let again = Journal::create(JournalOptions::new(
        directory.path().to_owned(),
        "n1".into(),
        1,
        0,
    ));
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_refusing_disk_is_counted_and_the_records_follow_when_it_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = journal(directory.path());
    journal.options.buffer_bytes_max = 2_000;
    let good = Arc::clone(&journal.file);
    // Every write to /dev/full fails with ENOSPC.
    journal.file = Arc::new(OpenOptions::new().write(true).open("/dev/full").unwrap());
    journal.append(&ended(1)).unwrap();
    assert_eq!(
        journal.write_out().unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    let progress = journal.progress();
    assert!(progress.is_failing());
    let mut accepted = 1;
    while journal.append(&ended(u128::from(accepted) + 1)).is_ok() {
        accepted += 1;
        assert!(journal.write_out().is_err());
    }
    assert!((2..20).contains(&accepted), "{accepted}");
    assert_eq!(
        (
            progress.lost(),
            progress.write_errors(),
            progress.written_seq()
        ),
        (1, accepted, 0)
    );

    journal.file = good;
    journal.write_out().unwrap();
    assert!(!progress.is_failing());
    // The lost record took no number: what follows has no gap.
    assert_eq!(journal.append(&ended(99)), Ok(accepted + 1));
    journal.write_out().unwrap();
    let numbers: Vec<_> = read_all(directory.path())
        .into_iter()
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(numbers, (1..=accepted + 1).collect::<Vec<_>>());
}

#[test]
fn a_write_cut_in_the_middle_of_a_record_is_finished_in_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = journal(directory.path());
    journal.options.segment_bytes = 1;
    for id in 1..=3 {
        journal.append(&ended(id)).unwrap();
    }
    // What a disk does that fills up half way.
    let half = journal.buffer.len() / 2;
    (&*journal.file).write_all(&journal.buffer[..half]).unwrap();
    journal.written = half;
    journal.failed(io::ErrorKind::StorageFull.into());
    journal.write_out().unwrap();
    assert_eq!(list_segments(directory.path()).unwrap().len(), 1);
    assert_eq!(read_all(directory.path()).len(), 3);
    journal.append(&ended(4)).unwrap();
    journal.write_out().unwrap();
    assert_eq!(list_segments(directory.path()).unwrap().len(), 2);
    assert_eq!(read_all(directory.path()).len(), 4);
}

#[tokio::test]
async fn whoever_waits_for_a_commit_is_woken_after_the_sync_and_not_before_the_write() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = journal(directory.path());
    let sync = JournalSync::start(Duration::from_millis(1)).unwrap();
    sync.add(journal.progress());
    let seq = journal.append(&ended(1)).unwrap();
    let early = tokio::time::timeout(Duration::from_millis(30), sync.wait_synced(0, seq)).await;
    assert!(early.is_err(), "woken before the record was written");
    journal.write_out().unwrap();
    sync.wait_synced(0, seq).await.unwrap();
    assert_eq!(journal.progress().synced_seq(), 1);
    assert_eq!(sync.wait_synced(9, 1).await, Err(SyncFailed));
}

#[tokio::test]
async fn stopping_the_sync_thread_syncs_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = journal(directory.path());
    let sync = JournalSync::start(Duration::from_secs(3600)).unwrap();
    sync.add(journal.progress());
    journal.append(&ended(1)).unwrap();
    journal.write_out().unwrap();
    drop(sync);
    assert_eq!(journal.progress().synced_seq(), 1);
}

#[tokio::test]
async fn a_failed_sync_is_told_to_its_waiters_even_after_a_later_success() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = journal(directory.path());
    let progress = journal.progress();
    journal.append(&ended(1)).unwrap();
    journal.write_out().unwrap();
    progress.sync().unwrap();
    // A pipe can't be synced.
    let (_reader, writer) = io::pipe().unwrap();
    let broken = Arc::new(File::from(std::os::fd::OwnedFd::from(writer)));
    progress.add_file(Arc::clone(&broken));
    journal.append(&ended(2)).unwrap();
    journal.write_out().unwrap();
    assert!(progress.sync().is_err());
    assert_eq!(progress.sync_errors(), 1);
    assert_eq!(progress.wait_synced(1).await, Ok(()));
    assert_eq!(progress.wait_synced(2).await, Err(SyncFailed));

    journal.rotate().unwrap();
    journal.append(&ended(3)).unwrap();
    journal.write_out().unwrap();
    // The broken file is the current one no longer; one more sync of it fails, then it is forgotten.
    let _ = progress.sync();
    assert_eq!(progress.wait_synced(2).await, Err(SyncFailed));
    journal.append(&ended(4)).unwrap();
    journal.write_out().unwrap();
    progress.sync().unwrap();
    assert_eq!(progress.wait_synced(4).await, Ok(()));
    assert_eq!(progress.wait_synced(2).await, Err(SyncFailed));
}

/// Swaps the only file of a lane for one that can't be synced.
fn break_file(progress: &LaneProgress) -> Arc<File> {
    let (_reader, writer) = io::pipe().unwrap();
    let broken = Arc::new(File::from(std::os::fd::OwnedFd::from(writer)));
    progress.add_file(Arc::clone(&broken));
    broken
}

#[tokio::test]
async fn a_second_failure_apart_from_the_first_does_not_make_the_first_good() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = journal(directory.path());
    let progress = journal.progress();
    let write = |journal: &mut Journal| {
        let seq = journal.append(&ended(1)).unwrap();
        journal.write_out().unwrap();
        seq
    };
    let mut failed = Vec::new();
    let mut good = Vec::new();
    for _ in 0..3 {
        break_file(&progress);
        failed.push(write(&mut journal));
        assert!(progress.sync().is_err());
        // The broken file is given up with the rotation.
        journal.rotate().unwrap();
        failed.push(write(&mut journal));
        assert!(progress.sync().is_err());
        good.push(write(&mut journal));
        progress.sync().unwrap();
    }
    for seq in failed {
        assert_eq!(progress.wait_synced(seq).await, Err(SyncFailed), "{seq}");
    }
    for seq in good {
        assert_eq!(progress.wait_synced(seq).await, Ok(()), "{seq}");
    }
}

#[test]
fn a_directory_that_could_not_be_synced_is_synced_with_the_next_records() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    std::fs::create_dir(&path).unwrap();
    let mut journal = journal(&path);
    let progress = journal.progress();
    journal.append(&ended(1)).unwrap();
    journal.write_out().unwrap();
    let away = directory.path().join("away");
    std::fs::rename(&path, &away).unwrap();
    assert!(progress.sync().is_err());
    journal.append(&ended(2)).unwrap();
    journal.write_out().unwrap();
    // Still away: were the directory not tried again, this would pass for synced.
    assert!(progress.sync().is_err());
    std::fs::rename(&away, &path).unwrap();
    journal.append(&ended(3)).unwrap();
    journal.write_out().unwrap();
    progress.sync().unwrap();
}

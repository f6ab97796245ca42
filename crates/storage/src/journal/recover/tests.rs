//! Recovery: open calls, torn tails at every byte, damage in the middle.

use accounting::{Cause, Updated};
use uuid::Uuid;

use super::*;
use crate::journal::{CARRY_LANE, Journal, JournalOptions};
use crate::test_records::{answered, answered_call, cdr, ended, leg};

/// Writes records into a lane and returns the path of its first segment.
fn write(directory: &Path, boot: u32, lane: u8, records: &[Record]) -> PathBuf {
    let mut journal = Journal::create(JournalOptions::new(
        directory.to_owned(),
        "n1".into(),
        boot,
        lane,
    ))
    .unwrap();
    for record in records {
        journal.append(record).unwrap();
    }
    journal.write_out().unwrap();
    directory.join(
        SegmentKey {
            boot,
            lane,
            number: 1,
        }
        .file_name(),
    )
}

fn open_ids(recovery: &Recovery) -> Vec<u128> {
    recovery
        .calls
        .iter()
        .map(|call| call.cdr.cdr_id.as_u128())
        .collect()
}

#[test]
fn calls_without_an_end_are_open_with_their_updates_whatever_lane_and_boot_wrote_them() {
    let directory = tempfile::tempdir().unwrap();
    let updated = |id, callee| {
        Record::Updated(Updated {
            cdr_id: Uuid::from_u128(id),
            attempt: 0,
            caller: None,
            callee: Some(callee),
            session_end: accounting::SessionEnd::Agreed(7),
        })
    };
    write(
        directory.path(),
        1,
        0,
        &[answered(1), answered(2), updated(1, leg("to", 5))],
    );
    write(
        directory.path(),
        1,
        1,
        &[answered(3), ended(3), answered(4)],
    );
    // After a restart call 2 lives in another lane and ends there; call 4 is updated twice.
    write(
        directory.path(),
        2,
        0,
        &[updated(4, leg("to", 7)), updated(4, leg("to", 8))],
    );
    write(
        directory.path(),
        2,
        1,
        &[ended(2), updated(9, leg("to", 1))],
    );
    let recovery = recover(directory.path()).unwrap();
    assert_eq!(open_ids(&recovery), [1, 4]);
    assert_eq!(
        (recovery.calls[0].callee.cseq, recovery.calls[1].callee.cseq),
        (5, 8)
    );
    assert_eq!(recovery.calls[0].caller, answered_call(1).caller);
    assert_eq!(
        recovery.calls[0].session_end,
        accounting::SessionEnd::Agreed(7)
    );
    assert_eq!(
        (recovery.segments, recovery.records, recovery.torn.len()),
        (4, 10, 0)
    );
}

#[test]
fn one_dialog_that_ended_is_gone_and_the_other_keeps_what_it_cost() {
    let directory = tempfile::tempdir().unwrap();
    let first = answered_call(1);
    let mut second = answered_call(1);
    second.attempt = 1;
    second.cdr.attempts.push(second.cdr.attempts[0].clone());
    let ended = Record::AttemptEnded {
        cdr_id: first.cdr.cdr_id,
        attempt: 0,
        ended_us: 77,
        duration_us: 5,
        cause: Cause::Cancelled,
    };
    write(
        directory.path(),
        1,
        0,
        &[
            Record::Answered(Box::new(first)),
            Record::Answered(Box::new(second)),
            ended,
        ],
    );
    let recovery = recover(directory.path()).unwrap();
    let [call] = recovery.calls.as_slice() else {
        panic!("{:?}", recovery.calls)
    };
    assert_eq!((call.attempt, call.cdr.attempts.len()), (1, 2));
    assert_eq!(
        (
            call.cdr.attempts[0].ended_us,
            call.cdr.attempts[0].duration_us
        ),
        (Some(77), 5)
    );
}

#[test]
fn a_call_whose_last_dialog_ended_stays_until_its_cdr_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let over = |call: u128| Record::AttemptEnded {
        cdr_id: answered_call(call).cdr.cdr_id,
        attempt: 0,
        ended_us: 77,
        duration_us: 5,
        cause: Cause::Answered,
    };
    write(
        directory.path(),
        1,
        0,
        &[answered(1), over(1), answered(2), over(2), ended(2)],
    );
    let recovery = recover(directory.path()).unwrap();
    assert_eq!(open_ids(&recovery), [1]);
    let attempt = &recovery.calls[0].cdr.attempts[0];
    assert_eq!((attempt.ended_us, attempt.duration_us), (Some(77), 5));
}

#[test]
fn a_carried_call_is_open_until_it_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        1,
        CARRY_LANE,
        &[
            answered(1),
            answered(2),
            Record::Settled {
                cdr_id: Uuid::from_u128(1),
            },
        ],
    );
    assert_eq!(open_ids(&recover(directory.path()).unwrap()), [2]);
}

#[test]
fn a_file_cut_at_any_byte_of_its_last_record_loses_that_record_alone() {
    let whole = tempfile::tempdir().unwrap();
    let path = write(whole.path(), 1, 0, &[answered(1), answered(2), answered(3)]);
    let bytes = std::fs::read(&path).unwrap();
    let last = Layout::of(&bytes).payloads.last().unwrap().start - frame::HEAD_LEN;
    for cut in last..=bytes.len() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(path.file_name().unwrap());
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let recovery = recover(directory.path()).unwrap();
        let expected: &[u128] = if cut == bytes.len() {
            &[1, 2, 3]
        } else {
            &[1, 2]
        };
        assert_eq!(open_ids(&recovery), expected, "cut at {cut}");
        assert_eq!(recovery.damaged, []);
        if cut > last && cut < bytes.len() {
            let (offset, bytes) = (last as u64, (cut - last) as u64);
            assert_eq!(
                recovery.torn,
                [TornTail {
                    file: path.clone(),
                    offset,
                    bytes
                }]
            );
        } else {
            assert_eq!(recovery.torn, []);
        }
        // The tail is gone: a second recovery has nothing to report.
        let again = recover(directory.path()).unwrap();
        assert_eq!((open_ids(&again), again.torn), (expected.to_vec(), vec![]));
    }
}

#[test]
fn a_file_cut_within_its_header_is_removed() {
    let whole = tempfile::tempdir().unwrap();
    let path = write(whole.path(), 1, 0, &[]);
    let bytes = std::fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(path.file_name().unwrap());
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let recovery = recover(directory.path()).unwrap();
        assert_eq!(
            recovery.torn,
            [TornTail {
                file: path.clone(),
                offset: 0,
                bytes: cut as u64
            }]
        );
        assert!(!path.exists());
    }
}

#[test]
fn zeros_or_garbage_behind_the_last_record_are_a_torn_tail() {
    for tail in [
        vec![0; 5_000],
        vec![0xFF; 5_000],
        b"TANDEMJ1 garbage of all kinds".to_vec(),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path(), 1, 0, &[answered(1)]);
        let mut bytes = std::fs::read(&path).unwrap();
        let sound = bytes.len() as u64;
        bytes.extend_from_slice(&tail);
        std::fs::write(&path, &bytes).unwrap();
        let recovery = recover(directory.path()).unwrap();
        assert_eq!(open_ids(&recovery), [1]);
        assert_eq!(
            recovery.torn,
            [TornTail {
                file: path.clone(),
                offset: sound,
                bytes: tail.len() as u64
            }]
        );
        assert_eq!(std::fs::metadata(&path).unwrap().len(), sound);
    }
}

#[test]
fn a_byte_damaged_anywhere_loses_one_record_and_the_file_is_set_aside() {
    let whole = tempfile::tempdir().unwrap();
    let path = write(whole.path(), 1, 0, &[answered(1), answered(2), answered(3)]);
    let bytes = std::fs::read(&path).unwrap();
    let layout = Layout::of(&bytes);
    let (start, end) = (
        layout.payloads[1].start - frame::HEAD_LEN,
        layout.payloads[1].end,
    );
    for at in start..end {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(path.file_name().unwrap());
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        std::fs::write(&path, &damaged).unwrap();
        let recovery = recover(directory.path()).unwrap();
        assert_eq!(open_ids(&recovery), [1, 3], "damaged at {at}");
        let [damage] = recovery.damaged.as_slice() else {
            panic!("{:?}", recovery.damaged)
        };
        assert_eq!(
            (damage.offset, damage.bytes),
            (start as u64, (end - start) as u64)
        );
        assert_eq!((damage.records_lost, &damage.error), (1, &None));
        assert_eq!(
            std::fs::read(damage.set_aside.as_ref().unwrap()).unwrap(),
            damaged
        );
        // The rest was rewritten: nothing is left to report.
        let again = recover(directory.path()).unwrap();
        assert_eq!(
            (open_ids(&again), again.damaged, again.torn),
            (vec![1, 3], vec![], vec![])
        );
    }
}

#[test]
fn records_behind_a_damaged_header_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), 1, 0, &[answered(1), answered(2)]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let recovery = recover(directory.path()).unwrap();
    assert_eq!(open_ids(&recovery), [1, 2]);
    assert_eq!(recovery.damaged.len(), 1);
    let again = recover(directory.path()).unwrap();
    assert_eq!((open_ids(&again), again.damaged.len()), (vec![1, 2], 0));
}

#[test]
fn a_record_of_a_newer_version_is_counted_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), 1, 0, &[answered(1)]);
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(frame::append(&mut bytes, 2, |out| out.extend_from_slice(&[200, 1, 2, 3])));
    std::fs::write(&path, &bytes).unwrap();
    let recovery = recover(directory.path()).unwrap();
    assert_eq!(
        (recovery.records, recovery.undecodable, open_ids(&recovery)),
        (1, 1, vec![1])
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn other_files_and_directories_with_the_name_of_a_segment_do_not_stop_recovery() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        1,
        0,
        &[answered(1), Record::Ended(Box::new(cdr(2, 0)))],
    );
    std::fs::write(directory.path().join("notes.txt"), "x").unwrap();
    std::fs::create_dir(
        directory.path().join(
            SegmentKey {
                boot: 1,
                lane: 5,
                number: 1,
            }
            .file_name(),
        ),
    )
    .unwrap();
    let recovery = recover(directory.path()).unwrap();
    assert_eq!(open_ids(&recovery), [1]);
    assert!(recovery.damaged[0].error.is_some());
    assert!(recover(&directory.path().join("missing")).is_err());
}

#[test]
fn a_file_without_anything_sound_is_set_aside_and_never_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), 1, 0, &[answered(1)]);
    let whole = std::fs::read(&path).unwrap();
    // Both header and record damaged; zeros, as a power cut leaves them; garbage of the length of a header.
    let mut broken = whole.clone();
    broken[3] ^= 1;
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let found = [broken, vec![0; 4_096], vec![7; 60]];
    for (number, bytes) in found.iter().enumerate() {
        std::fs::write(&path, bytes).unwrap();
        let recovery = recover(directory.path()).unwrap();
        let [damage] = recovery.damaged.as_slice() else {
            panic!("{:?}", recovery.damaged)
        };
        assert_eq!(
            (damage.offset, damage.bytes, &damage.error),
            (0, bytes.len() as u64, &None),
            "{number}"
        );
        assert_eq!(
            &std::fs::read(damage.set_aside.as_ref().unwrap()).unwrap(),
            bytes
        );
        assert!(!path.exists() && recovery.torn.is_empty());
    }
    // None of them replaced another.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
fn what_the_journal_creates_is_for_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/journal");
    let _lock = crate::DirectoryLock::acquire(&directory).unwrap();
    crate::next_boot(&directory).unwrap();
    let path = write(&directory, 1, 0, &[answered(1), answered(2)]);
    let mut bytes = std::fs::read(&path).unwrap();
    let first = Layout::of(&bytes).payloads[0].start;
    bytes[first] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(recover(&directory).unwrap().damaged.len(), 1);
    for directory in [&directory, &parent.path().join("a")] {
        assert_eq!(private::mode(directory), 0o700);
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let file = entry.unwrap().path();
        assert_eq!(private::mode(&file), 0o600, "{}", file.display());
        names.push(file);
    }
    // Lock, boot, segment, and its copy.
    assert_eq!(names.len(), 4, "{names:?}");
}

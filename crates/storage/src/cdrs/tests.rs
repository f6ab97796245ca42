//! Batches exactly once, queries newest first.

use super::*;
use crate::test_records::{SETUP_US, cdr};

async fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}/t.db", directory.path().display()))
        .await
        .unwrap();
    (directory, store)
}

fn rated(id: u128, setup_offset_us: i64) -> RatedCdr {
    let mut cdr = cdr(id, 60_000_000);
    cdr.setup_us += setup_offset_us;
    cdr.rated()
}

fn refused(count: u64) -> ShipRecord {
    ShipRecord::Refused(RefusedAggregate {
        node: "n1".into(),
        minute_us: SETUP_US,
        source: "192.0.2.99".into(),
        cause: Cause::UnknownSource,
        customer: None,
        count,
    })
}

fn part(segment: u128, records: Vec<(u64, ShipRecord)>) -> ShipPart {
    ShipPart {
        segment: Uuid::from_u128(segment),
        node: "n1".into(),
        boot: 1,
        lane: 0,
        number: 1,
        end_seq: records.last().map_or(0, |(seq, _)| *seq),
        records,
    }
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(&store.writer)
        .await
        .unwrap()
}

fn all() -> CdrFilter {
    CdrFilter {
        limit: 1_000,
        ..CdrFilter::default()
    }
}

#[tokio::test]
async fn a_cdr_is_read_back_as_it_was_stored_with_everything_and_with_nothing() {
    let (_directory, store) = store().await;
    let full = rated(1, 1);
    let mut bare = rated(2, 0);
    (
        bare.vendor,
        bare.next_hop,
        bare.to_tag,
        bare.status,
        bare.ended_by,
    ) = (None, None, None, None, None);
    (
        bare.ring_at,
        bare.answer_at,
        bare.end_at,
        bare.pdd_ms,
        bare.q850_cause,
    ) = (None, None, None, None, None);
    (
        bare.vendor_rate,
        bare.vendor_price,
        bare.customer_rate,
        bare.customer_price,
    ) = (None, None, None, None);
    bare.attempts.clear();
    let records = vec![
        (1, ShipRecord::Ended(Box::new(full.clone()))),
        (2, ShipRecord::Ended(Box::new(bare.clone()))),
    ];
    store
        .insert_batch(&ShipBatch {
            parts: vec![part(1, records)],
        })
        .await
        .unwrap();
    assert_eq!(store.cdrs(&all()).await.unwrap(), [full, bare]);
}

#[tokio::test]
async fn a_batch_delivered_twice_changes_nothing_and_one_that_overlaps_adds_only_what_is_new() {
    let (_directory, store) = store().await;
    let alone = ShipRecord::EndedAlone {
        cdr_id: Uuid::from_u128(7),
        node: "n2".into(),
        at_us: SETUP_US,
        ended_by: EndedBy::Callee,
        status: 0,
    };
    let mut records: Vec<_> = (1..=120)
        .map(|seq| (seq, ShipRecord::Ended(Box::new(rated(u128::from(seq), 0)))))
        .collect();
    records.extend([(121, refused(5)), (122, alone)]);
    let mut batch = ShipBatch {
        parts: vec![part(1, records)],
    };
    for _ in 0..3 {
        store.insert_batch(&batch).await.unwrap();
        assert_eq!(store.cdrs(&all()).await.unwrap().len(), 120);
        assert_eq!(count(&store, "SELECT SUM(count) FROM refused").await, 5);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM ended_alone").await, 1);
    }
    assert_eq!(store.cursor(Uuid::from_u128(1)).await.unwrap(), Some(122));
    batch.parts[0].records.push((123, refused(2)));
    batch.parts[0].end_seq = 123;
    store.insert_batch(&batch).await.unwrap();
    assert_eq!(count(&store, "SELECT SUM(count) FROM refused").await, 7);
    // The same call from another segment (carried by a repair) is still one record.
    store
        .insert_batch(&ShipBatch {
            parts: vec![part(2, vec![(1, ShipRecord::Ended(Box::new(rated(1, 0))))])],
        })
        .await
        .unwrap();
    assert_eq!(store.cdrs(&all()).await.unwrap().len(), 120);
}

#[tokio::test]
async fn a_batch_that_fails_half_way_leaves_nothing_and_does_not_move_its_cursor() {
    let (_directory, store) = store().await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON cdr WHEN NEW.call_id = 'call-60@caller' BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::query(refuse).execute(&store.writer).await.unwrap();
    let mut records: Vec<_> = (1..=60)
        .map(|seq| (seq, ShipRecord::Ended(Box::new(rated(u128::from(seq), 0)))))
        .collect();
    records.insert(0, (0, refused(1)));
    let batch = ShipBatch {
        parts: vec![part(1, records)],
    };
    assert!(store.insert_batch(&batch).await.is_err());
    assert_eq!(store.cdrs(&all()).await.unwrap(), []);
    assert_eq!(store.cursor(Uuid::from_u128(1)).await.unwrap(), None);
    sqlx::query("DROP TRIGGER refuse")
        .execute(&store.writer)
        .await
        .unwrap();
    store.insert_batch(&batch).await.unwrap();
    assert_eq!(store.cdrs(&all()).await.unwrap().len(), 60);
    store.forget_segments(&[Uuid::from_u128(1)]).await.unwrap();
    assert_eq!(store.cursor(Uuid::from_u128(1)).await.unwrap(), None);
}

#[tokio::test]
async fn filters_select_and_the_newest_call_comes_first() {
    let (_directory, store) = store().await;
    let records = (1..=5)
        .map(|id| {
            (
                id,
                ShipRecord::Ended(Box::new(rated(u128::from(id), i64::try_from(id).unwrap()))),
            )
        })
        .collect();
    store
        .insert_batch(&ShipBatch {
            parts: vec![part(1, records)],
        })
        .await
        .unwrap();
    let ids = async |filter: CdrFilter| {
        store
            .cdrs(&filter)
            .await
            .unwrap()
            .iter()
            .map(|cdr| cdr.cdr_id.as_u128())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(all()).await, [5, 4, 3, 2, 1]);
    assert_eq!(ids(CdrFilter { limit: 2, ..all() }).await, [5, 4]);
    assert_eq!(ids(CdrFilter { limit: 0, ..all() }).await, [] as [u128; 0]);
    assert_eq!(
        ids(CdrFilter {
            call_id: Some("call-3@caller".into()),
            ..all()
        })
        .await,
        [3]
    );
    assert_eq!(
        ids(CdrFilter {
            call_id: Some("' OR 1=1 --".into()),
            ..all()
        })
        .await,
        [] as [u128; 0]
    );
    let window = CdrFilter {
        since_us: Some(SETUP_US + 2),
        until_us: Some(SETUP_US + 4),
        ..all()
    };
    assert_eq!(ids(window).await, [3, 2]);
}

#[tokio::test]
async fn a_row_that_was_changed_into_nonsense_is_named() {
    let (_directory, store) = store().await;
    store
        .insert_batch(&ShipBatch {
            parts: vec![part(1, vec![(1, ShipRecord::Ended(Box::new(rated(1, 0))))])],
        })
        .await
        .unwrap();
    sqlx::query("UPDATE cdr SET customer_price = 'free'")
        .execute(&store.writer)
        .await
        .unwrap();
    let message = store.cdrs(&all()).await.unwrap_err().to_string();
    assert!(
        message.contains("customer_price") && message.contains("free"),
        "{message}"
    );
}

#[test]
fn the_columns_are_the_keys_of_the_json() {
    let json = serde_json::to_string(&rated(1, 0)).unwrap();
    let mut from = 0;
    for column in RatedCdr::KEYS {
        let key = format!("\"{column}\":");
        from += json[from..]
            .find(&key)
            .unwrap_or_else(|| panic!("{column} is missing or out of order"));
    }
    assert_eq!(
        serde_json::to_value(rated(1, 0))
            .unwrap()
            .as_object()
            .unwrap()
            .len(),
        RatedCdr::KEYS.len()
    );
}

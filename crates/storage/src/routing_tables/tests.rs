//! CSV → store → CSV, stable ids, all or nothing.

use super::*;

const FILES: [(TableKind, &str); 7] = [
    (
        TableKind::Customers,
        "name,rate_sheet,routing_plan,currency,cps_limit,channel_limit,strip,prepend,enabled,lookup,lookup_query\n\
         acme,retail,lcr,USD,100,,0,,true,,\n\
         beta,,fixed,EUR,,30,2,0049,false,sql,\"SELECT 1, 2 WHERE {number} = '1'\"\n",
    ),
    (
        TableKind::CustomerAddresses,
        "customer,address,transport,tech_prefix\nacme,198.51.100.0/24,udp,\nacme,198.51.100.1:5070,,99#\nbeta,2001:db8::/32,,\n",
    ),
    (
        TableKind::Vendors,
        "name,rate_sheet,redirect,on_6xx\nv1,buy1,true,stop\nv2,,,\n",
    ),
    (
        TableKind::VendorGateways,
        "vendor,address,transport,priority,weight\nv1,192.0.2.10:5060,udp,1,10\nv2,sip.example.net,tcp,2,\n",
    ),
    (
        TableKind::RoutingPlans,
        "name,mode,forking,margin_min\nlcr,lcr,,\nfixed,static,parallel,\n",
    ),
    (
        TableKind::Routes,
        "plan,prefix,vendor,priority,weight,enabled\nlcr,,v1,,,\nlcr,49,v2,,,\nfixed,,v2,1,50,false\n",
    ),
    (
        TableKind::Rates,
        "sheet,prefix,rate,connect_fee,initial_interval_s,next_interval_s,effective_from,effective_to\n\
         retail,,0.0600,0.01,30,6,,\nretail,49,0.02,,,,2026-01-01,2026-12-31T12:00:00Z\nretail,49,0.03,,,,2027-01-01,\nbuy1,,0.0125,,,,,\n",
    ),
];

fn tables(files: &[(TableKind, &str)]) -> Tables {
    let (mut tables, mut faults) = (Tables::default(), Vec::new());
    for (kind, text) in files {
        routing::read_csv(
            *kind,
            kind.file_name(),
            text.as_bytes(),
            &mut tables,
            &mut faults,
            &mut |_| {},
        );
    }
    assert_eq!(faults, []);
    tables
}

fn exported(tables: &Tables) -> Vec<String> {
    let export = |kind| {
        let mut text = Vec::new();
        routing::write_csv(kind, tables, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    TableKind::ALL.map(export).to_vec()
}

async fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}/t.db", directory.path().display()))
        .await
        .unwrap();
    (directory, store)
}

async fn ids(store: &Store) -> Vec<(String, i64)> {
    let (tables, _) = store.load_tables().await.unwrap();
    let customers = tables
        .customers
        .iter()
        .map(|row| (row.name.clone(), row.id));
    customers
        .chain(tables.vendors.iter().map(|row| (row.name.clone(), row.id)))
        .collect()
}

#[tokio::test]
async fn what_is_loaded_is_exported_byte_for_byte_and_again_after_a_second_load() {
    let (_directory, store) = store().await;
    let tables = tables(&FILES);
    let from_files = exported(&tables);
    let mut told = Vec::new();
    assert_eq!(
        store
            .replace_tables(&tables, false, &mut |rows| told.push(rows))
            .await
            .unwrap(),
        1
    );
    assert_eq!(told.last(), Some(&18));
    let (loaded, version) = store.load_tables().await.unwrap();
    assert_eq!((exported(&loaded), version), (from_files.clone(), 1));
    assert_eq!(
        routing::compile(&loaded, version, &mut routing::SlotRegistry::new()).err(),
        None
    );
    // What was exported loads to the same again.
    assert_eq!(
        store
            .replace_tables(&loaded, true, &mut |_| {})
            .await
            .unwrap(),
        2
    );
    assert_eq!(exported(&store.load_tables().await.unwrap().0), from_files);
}

#[tokio::test]
async fn ids_outlive_reloads_and_are_never_given_to_another() {
    let (_directory, store) = store().await;
    store
        .replace_tables(&tables(&FILES), false, &mut |_| {})
        .await
        .unwrap();
    let before = ids(&store).await;
    assert!(before.iter().all(|(_, id)| *id > 0));
    store
        .replace_tables(&tables(&FILES), true, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(ids(&store).await, before);
    // beta goes, gamma comes: it may not inherit the counters of beta.
    let changed = [(
        TableKind::Customers,
        "name,routing_plan\nacme,lcr\ngamma,lcr\n",
    )];
    store
        .replace_tables(&tables(&changed), true, &mut |_| {})
        .await
        .unwrap();
    let after = ids(&store).await;
    assert_eq!(after[0], before[0]);
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(before.iter().all(|(_, id)| *id != after[1].1), "{after:?}");
}

#[tokio::test]
async fn loading_without_replace_keeps_what_the_files_do_not_name() {
    let (_directory, store) = store().await;
    store
        .replace_tables(&tables(&FILES), false, &mut |_| {})
        .await
        .unwrap();
    let more = [(
        TableKind::Rates,
        "sheet,prefix,rate\nretail,,0.07\nretail,43,0.05\n",
    )];
    let (mut merged, _) = store.load_tables().await.unwrap();
    merged.merge(&tables(&more));
    store
        .replace_tables(&tables(&more), false, &mut |_| {})
        .await
        .unwrap();
    let (loaded, version) = store.load_tables().await.unwrap();
    assert_eq!((exported(&loaded), version), (exported(&merged), 2));
    assert_eq!(loaded.rates.len(), 5);
}

#[tokio::test]
async fn a_row_made_wrong_with_sql_is_named_by_table_row_and_column() {
    let (_directory, store) = store().await;
    store
        .replace_tables(&tables(&FILES), false, &mut |_| {})
        .await
        .unwrap();
    sqlx::query("UPDATE vendors SET cps_limit = 'many' WHERE name = 'v2'")
        .execute(&store.writer)
        .await
        .unwrap();
    let message = store.load_tables().await.unwrap_err().to_string();
    assert!(message.contains("table vendors:2: cps_limit"), "{message}");
}

#[tokio::test]
async fn more_rows_than_one_statement_takes_are_loaded_and_a_locked_store_is_left_as_it_was() {
    let (_directory, store) = store().await;
    let mut text = String::from("sheet,prefix,rate\n");
    for prefix in 1_000..1_950 {
        let _ = writeln!(text, "big,{prefix},0.01");
    }
    store
        .replace_tables(&tables(&[(TableKind::Rates, &text)]), false, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(store.load_tables().await.unwrap().0.rates.len(), 950);

    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON rates WHEN NEW.prefix = '7' BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::query(refuse).execute(&store.writer).await.unwrap();
    let more = tables(&[(
        TableKind::Rates,
        "sheet,prefix,rate\nbig,6,0.01\nbig,7,0.01\n",
    )]);
    assert!(
        store
            .replace_tables(&more, true, &mut |_| {})
            .await
            .is_err()
    );
    let (loaded, version) = store.load_tables().await.unwrap();
    assert_eq!((loaded.rates.len(), version), (950, 1));
}

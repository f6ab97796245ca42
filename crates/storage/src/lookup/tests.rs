//! Lookups: bound values, answers, deadlines, and queries that are not acceptable.

use std::time::Duration;

use super::*;

async fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}/t.db", directory.path().display()))
        .await
        .unwrap();
    for sql in [
        "CREATE TABLE ported (number TEXT PRIMARY KEY, routing_number INTEGER)",
        "INSERT INTO ported VALUES ('4930123', 4988777), ('4930124', NULL)",
        "CREATE TABLE blocked (caller TEXT, customer TEXT)",
        "INSERT INTO blocked VALUES ('666', 'acme')",
    ] {
        sqlx::query(sql).execute(&store.writer).await.unwrap();
    }
    (directory, store)
}

async fn ask(
    store: &Store,
    query: &str,
    number: &str,
    caller: &str,
) -> Result<LookupAnswer, LookupError> {
    store
        .lookup(
            query,
            number,
            caller,
            "acme",
            Instant::now() + Duration::from_secs(20),
        )
        .await
}

fn rewritten(number: &str) -> LookupAnswer {
    LookupAnswer {
        number: Some(number.into()),
        refuse: None,
    }
}

#[tokio::test]
async fn a_row_rewrites_the_number_and_no_row_or_null_leaves_it() {
    let (_directory, store) = store().await;
    let query = "SELECT routing_number AS number FROM ported WHERE number = {number};";
    assert_eq!(
        ask(&store, query, "4930123", "1").await.unwrap(),
        rewritten("4988777")
    );
    assert_eq!(
        ask(&store, query, "4930124", "1").await.unwrap(),
        LookupAnswer::default()
    );
    assert_eq!(
        ask(&store, query, "4930125", "1").await.unwrap(),
        LookupAnswer::default()
    );
}

#[tokio::test]
async fn a_row_refuses_the_call_and_every_placeholder_is_bound() {
    let (_directory, store) = store().await;
    let query = "SELECT 603 AS refuse, {number} || '' AS number FROM blocked WHERE caller = {caller} AND customer = {customer}";
    let answer = ask(&store, query, "49", "666").await.unwrap();
    assert_eq!(
        answer,
        LookupAnswer {
            number: Some("49".into()),
            refuse: Some(603)
        }
    );
    assert_eq!(
        ask(&store, query, "49", "667").await.unwrap(),
        LookupAnswer::default()
    );
}

#[tokio::test]
async fn what_a_caller_sends_is_never_sql() {
    let (_directory, store) = store().await;
    let query = "SELECT routing_number AS number FROM ported WHERE number = {number}";
    for number in ["' OR '1'='1", "4930123'; DROP TABLE ported; --", "{caller}"] {
        assert_eq!(
            ask(&store, query, number, "x").await.unwrap(),
            LookupAnswer::default()
        );
    }
    assert_eq!(
        ask(&store, query, "4930123", "x").await.unwrap(),
        rewritten("4988777")
    );
}

#[tokio::test]
async fn a_lookup_can_not_write() {
    let (_directory, store) = store().await;
    assert!(matches!(
        ask(&store, "DELETE FROM ported", "1", "1").await,
        Err(LookupError::Query(_))
    ));
    let query = "SELECT routing_number AS number FROM ported WHERE number = {number}";
    assert_eq!(
        ask(&store, query, "4930123", "x").await.unwrap(),
        rewritten("4988777")
    );
}

#[tokio::test]
async fn a_query_that_the_store_would_refuse_is_told_apart_from_a_store_that_fails() {
    let (_directory, store) = store().await;
    for (query, said) in [
        ("SELECT number FROM no_such_table", "no such table"),
        ("SELECT nummer FROM ported", "no such column"),
        ("SELEKT 1", "syntax error"),
        (
            "DELETE FROM ported WHERE number = {number}",
            "only database",
        ),
    ] {
        let error = ask(&store, query, "1", "1").await.unwrap_err();
        assert!(matches!(error, LookupError::Query(_)), "{error:?}");
        // What is already wrong in the text of the statement is also found without running it.
        let message = format!("{error} {}", store.try_lookup(query).await.unwrap_err());
        assert!(message.contains(said), "{query}: {message}");
    }
    for query in [
        "SELECT routing_number AS number FROM ported WHERE number = {number} AND {caller} <> {customer};",
        "WITH p AS MATERIALIZED (SELECT DISTINCT number FROM ported ORDER BY 1) SELECT number FROM p",
        "SELECT 1 AS number",
    ] {
        store.try_lookup(query).await.unwrap();
    }
    let written = store
        .try_lookup("UPDATE ported SET number = {number}")
        .await;
    assert!(
        matches!(&written, Err(LookupError::Query(why)) if why.contains("would write")),
        "{written:?}"
    );
    store.close().await;
    let gone = ask(&store, "SELECT 1 AS number", "1", "1").await;
    assert!(matches!(gone, Err(LookupError::Store(_))), "{gone:?}");
}

#[tokio::test]
async fn a_query_without_end_is_interrupted_at_its_deadline_and_its_connection_serves_again() {
    let (_directory, store) = store().await;
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) AS number FROM n";
    for _ in 0..6 {
        let started = Instant::now();
        let answer = store
            .lookup(endless, "1", "1", "1", started + Duration::from_millis(50))
            .await;
        assert!(matches!(answer, Err(LookupError::Timeout)), "{answer:?}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(
        ask(&store, "SELECT 1 AS number", "1", "1").await.unwrap(),
        rewritten("1")
    );
}

#[tokio::test]
async fn an_answer_that_is_no_number_or_status_is_an_error_that_says_what_is_allowed() {
    let (_directory, store) = store().await;
    for (query, allowed) in [
        ("SELECT 'a@b' AS number", "1 to 64"),
        ("SELECT '' AS number", "1 to 64"),
        ("SELECT 1.5 AS number", "text or integer"),
        ("SELECT 200 AS refuse", "400 to 699"),
        ("SELECT 'no' AS refuse", "400 to 699"),
    ] {
        let message = ask(&store, query, "1", "1").await.unwrap_err().to_string();
        assert!(message.contains(allowed), "{query}: {message}");
    }
}

#[test]
fn queries_that_are_not_acceptable_are_refused_before_they_run() {
    for (query, said) in [
        ("SELECT '{number}' AS number", "without quotes"),
        ("SELECT 1 -- {number}", "without quotes"),
        ("SELECT {nummer}", "allowed: {number}"),
        ("SELECT 1; DELETE FROM cdr", "one SELECT"),
        ("SELECT ?", "allowed: {number}"),
        ("SELECT :x", "allowed: {number}"),
        ("  ; ", "empty"),
        ("", "empty"),
    ] {
        let message = check_lookup(query).unwrap_err().to_string();
        assert!(message.contains(said), "{query}: {message}");
    }
    assert_eq!(
        bound("SELECT 'it''s;?' , {number},{caller} /* ? */;").unwrap(),
        "SELECT 'it''s;?' , ?1,?2 /* ? */"
    );
}

proptest::proptest! {
    #[test]
    fn no_query_text_makes_the_check_panic(query in "[a-z '\"`\\[\\]{}/*;?é-]{0,40}") {
        let _ = check_lookup(&query);
    }
}

//! The lookup of a call in the store: a query from the routing data that may rewrite the number or refuse the call.
//! `{number}`, `{caller}` and `{customer}` become bound values, so nothing that a caller sends is ever part of the SQL.
//! Runs read-only and ends at its deadline. Leaves out: queues, breakers and what a failure means for the call.

use std::time::Instant;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Column as _, Row, TypeInfo as _, ValueRef as _};

use crate::{Store, StoreError};

/// Opcodes of SQLite's machine between two looks at the deadline: some 10 µs.
const DEADLINE_OPS: i32 = 1_000;

/// Longest number a lookup may answer.
const NUMBER_LEN_MAX: usize = 64;

/// What a lookup says about a call. Both empty: go on as if it had not been asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookupAnswer {
    /// Route and send this number instead.
    pub number: Option<String>,
    /// Refuse the call with this status, 400 to 699.
    pub refuse: Option<u16>,
}

/// Why a lookup gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The query itself is not acceptable, to us or to the store; says what is wrong or what is allowed.
    #[error("lookup query: {0}")]
    Query(String),
    /// It did not finish in time.
    #[error("the lookup did not finish before its deadline")]
    Timeout,
    /// It answered something that is neither a number nor a status.
    #[error("the lookup answered {0}")]
    Answer(String),
    /// The database refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const PLACEHOLDERS: [&str; 3] = ["{number}", "{caller}", "{customer}"];

impl Store {
    /// Runs a lookup. The first row counts: column `number` (text or integer) rewrites the number, column `refuse` (a
    /// status) refuses the call; NULL, no row, or neither column leaves the call as it is.
    ///
    /// # Errors
    /// [`LookupError`]; a query that is still running at `deadline` is interrupted.
    pub async fn lookup(
        &self,
        query: &str,
        number: &str,
        caller: &str,
        customer: &str,
        deadline: Instant,
    ) -> Result<LookupAnswer, LookupError> {
        let sql = bound(query)?;
        let run = async {
            let mut connection = self.lookups.acquire().await.map_err(StoreError::Database)?;
            connection
                .lock_handle()
                .await
                .map_err(StoreError::Database)?
                .set_progress_handler(DEADLINE_OPS, move || Instant::now() < deadline);
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(number)
                .bind(caller)
                .bind(customer)
                .fetch_optional(&mut *connection)
                .await;
            row.map_err(blame)
        };
        // The time spent waiting for a connection counts, too.
        match tokio::time::timeout_at(deadline.into(), run).await {
            Err(_) => Err(LookupError::Timeout),
            Ok(Err(_)) if Instant::now() >= deadline => Err(LookupError::Timeout),
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) => Ok(LookupAnswer::default()),
            Ok(Ok(Some(row))) => answer(&row),
        }
    }
}

impl Store {
    /// Has the store compile a lookup query without running it.
    ///
    /// # Errors
    /// [`LookupError::Query`] for what [`check_lookup`] refuses, for a table or column that is not there, and for a
    /// query that would write; [`LookupError::Store`] when the store can't be asked.
    pub async fn try_lookup(&self, query: &str) -> Result<(), LookupError> {
        let program = format!("EXPLAIN {}", bound(query)?);
        let steps = sqlx::query(AssertSqlSafe(program))
            .bind("")
            .bind("")
            .bind("")
            .fetch_all(&self.readers)
            .await
            .map_err(blame)?;
        let writes = |step: &SqliteRow| -> Result<bool, sqlx::Error> {
            // The second operand of this one says whether the statement will write.
            Ok(step.try_get::<String, _>("opcode")? == "Transaction"
                && step.try_get::<i64, _>("p2")? != 0)
        };
        for step in &steps {
            if writes(step).map_err(StoreError::Database)? {
                return Err(LookupError::Query(
                    "it would write; allowed: one SELECT".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// Result codes of SQLite that are the query's fault, not the store's: an error in the statement (no such table), a
/// write where only reading is allowed, a value too big, of the wrong type, not permitted, out of range.
const QUERY_CODES: [&str; 6] = ["1", "8", "18", "20", "23", "25"];

/// Whether the query or the store is to blame.
fn blame(error: sqlx::Error) -> LookupError {
    match &error {
        sqlx::Error::Database(refused)
            if refused
                .code()
                .is_some_and(|code| QUERY_CODES.contains(&&*code)) =>
        {
            LookupError::Query(format!("the store refuses it: {}", refused.message()))
        }
        _ => LookupError::Store(StoreError::Database(error)),
    }
}

/// Checks a lookup query without running it.
///
/// # Errors
/// [`LookupError::Query`], with what is allowed.
pub fn check_lookup(query: &str) -> Result<(), LookupError> {
    bound(query).map(|_| ())
}

/// The query with each placeholder as the parameter `?1`, `?2` or `?3`.
fn bound(query: &str) -> Result<String, LookupError> {
    let refuse = |message: &str| Err(LookupError::Query(message.to_owned()));
    let mut sql = String::with_capacity(query.len());
    let mut rest = query.trim_end().trim_end_matches(';');
    while let Some(first) = rest.chars().next() {
        let quoted = match first {
            '\'' | '"' | '`' => 1 + rest[1..].find(first).map_or(rest.len() - 1, |end| end + 1),
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => 0,
        };
        if quoted > 0 {
            if PLACEHOLDERS
                .iter()
                .any(|name| rest[..quoted].contains(name))
            {
                return refuse(
                    "a placeholder stands in quotes or a comment; write {number} without quotes",
                );
            }
            sql.push_str(&rest[..quoted]);
            rest = &rest[quoted..];
            continue;
        }
        match first {
            '{' => {
                let Some(position) = PLACEHOLDERS.iter().position(|name| rest.starts_with(name))
                else {
                    return refuse("unknown placeholder; allowed: {number}, {caller}, {customer}");
                };
                sql.push_str(["?1", "?2", "?3"][position]);
                rest = &rest[PLACEHOLDERS[position].len()..];
                continue;
            }
            ';' => return refuse("more than one statement; allowed: one SELECT"),
            '?' | '$' | '@' | ':' | '#' => {
                return refuse("parameters of its own; allowed: {number}, {caller}, {customer}");
            }
            _ => sql.push(first),
        }
        rest = &rest[first.len_utf8()..];
    }
    if sql.trim().is_empty() {
        refuse("it is empty; allowed: one SELECT")
    } else {
        Ok(sql)
    }
}

/// A column as text, whether the database holds it as text or as a number; `None` when absent or NULL.
fn text(row: &SqliteRow, name: &str) -> Result<Option<String>, LookupError> {
    let Some(column) = row
        .columns()
        .iter()
        .find(|column| column.name().eq_ignore_ascii_case(name))
    else {
        return Ok(None);
    };
    let value = row
        .try_get_raw(column.ordinal())
        .map_err(StoreError::Database)?;
    if value.is_null() {
        return Ok(None);
    }
    match value.type_info().name() {
        "INTEGER" => Ok(Some(
            row.try_get::<i64, _>(column.ordinal())
                .map_err(StoreError::Database)?
                .to_string(),
        )),
        "TEXT" => Ok(Some(
            row.try_get(column.ordinal())
                .map_err(StoreError::Database)?,
        )),
        other => Err(LookupError::Answer(format!(
            "a {other} as {name}; allowed: text or integer"
        ))),
    }
}

fn answer(row: &SqliteRow) -> Result<LookupAnswer, LookupError> {
    let refuse = match text(row, "refuse")? {
        None => None,
        Some(status) => match status.parse() {
            Ok(status @ 400..=699) => Some(status),
            _ => {
                return Err(LookupError::Answer(format!(
                    "refuse {status:?}; allowed: a status from 400 to 699"
                )));
            }
        },
    };
    let number = text(row, "number")?;
    if let Some(number) = &number {
        // It becomes the user part of a request URI: nothing that would need escaping or end it early.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+*.-_".contains(&byte);
        if number.is_empty() || number.len() > NUMBER_LEN_MAX || !number.bytes().all(plain) {
            let message =
                format!("number {number:?}; allowed: 1 to 64 of digits, letters, + * . - _");
            return Err(LookupError::Answer(message));
        }
    }
    Ok(LookupAnswer { number, refuse })
}

#[cfg(test)]
mod tests;

//! Routing data in and out of the store: the rows of `routing::Tables`, one table each.
//! Loading goes through the same cell checks as CSV, so a row edited by hand with SQL is named when it is wrong.
//! Leaves out: references between tables, which `routing::compile` checks.

use std::fmt::Write as _;

use routing::cells::{Place, cells_of, push_cells};
use routing::{TableKind, Tables};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::{Store, StoreError};

/// Rows of one INSERT; times at most 12 columns well within SQLite's limit of 32,766 bound values.
const INSERT_ROWS: usize = 200;

/// What tells rows of a table apart; a row with the same key is replaced.
const fn key_of(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Customers | TableKind::Vendors | TableKind::RoutingPlans => "name",
        TableKind::CustomerAddresses => "address, transport, tech_prefix",
        TableKind::VendorGateways => "vendor, address, transport",
        TableKind::Routes => "plan, prefix, vendor",
        TableKind::Rates => "sheet, prefix, effective_from",
    }
}

/// Whether rows carry a key of the store that must outlive a reload.
const fn has_id(kind: TableKind) -> bool {
    matches!(kind, TableKind::Customers | TableKind::Vendors)
}

impl Store {
    /// All routing data and its version, as of one moment.
    ///
    /// # Errors
    /// [`StoreError::Faults`] when rows hold what their columns do not allow, else [`StoreError::Database`].
    pub async fn load_tables(&self) -> Result<(Tables, u64), StoreError> {
        let mut transaction = self.readers.begin().await?;
        let version: i64 = sqlx::query_scalar("SELECT version FROM routing_version")
            .fetch_one(&mut *transaction)
            .await?;
        let mut tables = Tables::default();
        let mut faults = Vec::new();
        for kind in TableKind::ALL {
            load_table(&mut transaction, kind, &mut tables, &mut faults).await?;
        }
        if faults.is_empty() {
            Ok((tables, u64::try_from(version).unwrap_or_default()))
        } else {
            Err(StoreError::Faults { faults })
        }
    }

    /// Puts routing data into the store in one transaction, all or nothing. Rows with the same key are replaced, and
    /// customers and vendors keep their `id`; with `replace`, rows that `tables` does not name are removed. `progress`
    /// is told after each few rows how many are in. Returns the new version.
    ///
    /// # Errors
    /// [`StoreError::Database`]; the store is then as it was.
    pub async fn replace_tables(
        &self,
        tables: &Tables,
        replace: bool,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<u64, StoreError> {
        let mut transaction = self.writer.begin().await?;
        let mut done = 0;
        for kind in TableKind::ALL {
            if replace && !has_id(kind) {
                let delete = format!("DELETE FROM {}", kind.table_name());
                sqlx::query(AssertSqlSafe(delete))
                    .execute(&mut *transaction)
                    .await?;
            }
            insert_table(&mut transaction, kind, tables, &mut done, progress).await?;
            if replace && has_id(kind) {
                remove_unnamed(&mut transaction, kind, tables).await?;
            }
        }
        let version: i64 = sqlx::query_scalar(
            "UPDATE routing_version SET version = version + 1 RETURNING version",
        )
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(u64::try_from(version).unwrap_or_default())
    }
}

/// One row of text cells in the order of the CSV columns, by key.
fn select(kind: TableKind) -> String {
    let mut sql = format!("SELECT {} AS id", if has_id(kind) { "id" } else { "0" });
    for column in kind.columns() {
        let _ = match column.name {
            name @ ("enabled" | "redirect") => write!(
                sql,
                ", CASE {name} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE CAST({name} AS TEXT) END"
            ),
            name => write!(sql, ", COALESCE(CAST({name} AS TEXT), '')"),
        };
    }
    let _ = write!(sql, " FROM {} ORDER BY {}", kind.table_name(), key_of(kind));
    sql
}

async fn load_table(
    connection: &mut SqliteConnection,
    kind: TableKind,
    tables: &mut Tables,
    faults: &mut Vec<routing::Fault>,
) -> Result<(), StoreError> {
    let name = format!("table {}", kind.table_name());
    let mut rows = sqlx::query(AssertSqlSafe(select(kind))).fetch(connection);
    let mut line = 0;
    while let Some(row) = std::future::poll_fn(|context| rows.as_mut().poll_next(context)).await {
        let row = row?;
        line += 1;
        let id: i64 = row.try_get(0)?;
        let mut cells = Vec::with_capacity(kind.columns().len());
        for column in 0..kind.columns().len() {
            cells.push(row.try_get::<&str, _>(column + 1)?);
        }
        push_cells(
            tables,
            kind,
            Place { name: &name, line },
            id,
            &cells,
            faults,
        );
        if faults.len() >= routing::FAULTS_MAX {
            break;
        }
    }
    Ok(())
}

/// `INSERT … VALUES (?,…),… ON CONFLICT (key) DO UPDATE …` for that many rows.
fn upsert(kind: TableKind, rows: usize) -> String {
    let columns: Vec<_> = kind.columns().iter().map(|column| column.name).collect();
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let key: Vec<_> = key_of(kind).split(", ").collect();
    let update: Vec<_> = columns
        .iter()
        .filter(|name| !key.contains(name))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let change = if update.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", update.join(", "))
    };
    format!(
        "INSERT INTO {} ({}) VALUES {} ON CONFLICT ({}) DO {change}",
        kind.table_name(),
        columns.join(", "),
        vec![row.as_str(); rows].join(", "),
        key_of(kind),
    )
}

async fn insert_table(
    connection: &mut SqliteConnection,
    kind: TableKind,
    tables: &Tables,
    done: &mut u64,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(), StoreError> {
    let total = tables.len(kind);
    let key: Vec<_> = key_of(kind).split(", ").collect();
    let mut cells = Vec::new();
    for first in (0..total).step_by(INSERT_ROWS) {
        let last = (first + INSERT_ROWS).min(total);
        let mut query = sqlx::query(AssertSqlSafe(upsert(kind, last - first)));
        for row in first..last {
            cells_of(tables, kind, row, &mut cells);
            for (cell, column) in cells.drain(..).zip(kind.columns()) {
                query = match column.name {
                    "enabled" | "redirect" => query.bind(cell == "true"),
                    name if cell.is_empty() && !key.contains(&name) && !column.required => {
                        query.bind(None::<String>)
                    }
                    _ => query.bind(cell),
                };
            }
        }
        // Only whole chunks are worth a place among the prepared statements.
        query
            .persistent(last - first == INSERT_ROWS)
            .execute(&mut *connection)
            .await?;
        *done += (last - first) as u64;
        progress(*done);
    }
    Ok(())
}

/// Removes customers or vendors that the tables do not name.
async fn remove_unnamed(
    connection: &mut SqliteConnection,
    kind: TableKind,
    tables: &Tables,
) -> Result<(), StoreError> {
    let names: Vec<&str> = match kind {
        TableKind::Customers => tables
            .customers
            .iter()
            .map(|row| row.name.as_str())
            .collect(),
        _ => tables.vendors.iter().map(|row| row.name.as_str()).collect(),
    };
    let names = serde_json::to_string(&names).map_err(|error| StoreError::Row {
        table: kind.table_name(),
        message: error.to_string(),
    })?;
    let delete = format!(
        "DELETE FROM {} WHERE name NOT IN (SELECT value FROM json_each(?))",
        kind.table_name()
    );
    sqlx::query(AssertSqlSafe(delete))
        .bind(names)
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;

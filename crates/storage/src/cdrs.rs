//! CDRs and their company in the store: batches in, exactly once, and queries out.
//! A batch and the cursors that say how far each segment has been shipped are one transaction, so a batch delivered
//! twice changes nothing. Leaves out: reading the journal and retrying ([`crate::ship`]).

use std::sync::LazyLock;

use accounting::{Cause, EndedBy, RatedAttempt, RatedCdr, RefusedAggregate, rfc3339};
use rust_decimal::Decimal;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::{Store, StoreError};

/// One record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShipRecord {
    /// A call that is over, rated.
    Ended(Box<RatedCdr>),
    /// Calls refused without a CDR of their own; added to what is stored for the same key.
    Refused(RefusedAggregate),
    /// An end seen by a node that did not know the call.
    EndedAlone {
        /// The call.
        cdr_id: Uuid,
        /// Name of the node.
        node: String,
        /// When, UTC µs since 1970.
        at_us: i64,
        /// Which side sent the BYE.
        ended_by: EndedBy,
        /// What the far side answered; 0 when nothing.
        status: u16,
    },
}

/// Records of one journal segment, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShipPart {
    /// Id in the header of the segment.
    pub segment: Uuid,
    /// Name of the node that wrote it.
    pub node: String,
    /// Generation, lane and number of the segment, for people who look into the table.
    pub boot: u32,
    /// Lane of the segment.
    pub lane: u8,
    /// Number of the segment in its lane.
    pub number: u32,
    /// Sequence number of the last record read, shipped or not.
    pub end_seq: u64,
    /// The records to store, with their sequence numbers.
    pub records: Vec<(u64, ShipRecord)>,
}

/// What is stored in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShipBatch {
    /// By segment.
    pub parts: Vec<ShipPart>,
}

impl ShipBatch {
    /// Number of records to store.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.records.len()).sum()
    }

    /// Whether there is no record to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which CDRs to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CdrFilter {
    /// Most records; 0 is none.
    pub limit: u32,
    /// Exactly this Call-ID.
    pub call_id: Option<String>,
    /// Set up at or after this time, UTC µs since 1970.
    pub since_us: Option<i64>,
    /// Set up before this time, UTC µs since 1970.
    pub until_us: Option<i64>,
}

/// CDRs of one INSERT: 41 columns each, far below SQLite's 32,766 bound values.
const INSERT_ROWS: usize = 50;

static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert(INSERT_ROWS));
static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insert(1));
static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {} FROM cdr WHERE (?1 IS NULL OR call_id = ?1) AND setup_at >= ?2 AND setup_at < ?3 \
         ORDER BY setup_at DESC, cdr_id DESC LIMIT ?4",
        RatedCdr::KEYS.join(", ")
    )
});
static SELECT_CALL: LazyLock<String> =
    LazyLock::new(|| SELECT.replace("(?1 IS NULL OR call_id = ?1)", "call_id = ?1"));

fn insert(rows: usize) -> String {
    let row = format!("({})", ["?"; RatedCdr::KEYS.len()].join(","));
    format!(
        "INSERT INTO cdr ({}) VALUES {} ON CONFLICT (cdr_id) DO NOTHING",
        RatedCdr::KEYS.join(", "),
        vec![row.as_str(); rows].join(",")
    )
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

impl Store {
    /// Stores a batch in one transaction with its cursors. Records at or before a stored cursor are left out, and a CDR
    /// whose `cdr_id` is there already stays as it is, so delivering a batch again is harmless.
    ///
    /// # Errors
    /// [`StoreError::Database`]; either nothing of the batch is stored or (when the answer to the commit was lost) all.
    pub async fn insert_batch(&self, batch: &ShipBatch) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut ended: Vec<&RatedCdr> = Vec::new();
        for part in &batch.parts {
            let cursor = cursor(&mut transaction, part.segment).await?.unwrap_or(0);
            for (_, record) in part.records.iter().filter(|(seq, _)| *seq > cursor) {
                match record {
                    ShipRecord::Ended(cdr) => ended.push(cdr),
                    ShipRecord::Refused(refused) => {
                        insert_refused(&mut transaction, refused).await?
                    }
                    ShipRecord::EndedAlone {
                        cdr_id,
                        node,
                        at_us,
                        ended_by,
                        status,
                    } => {
                        sqlx::query(
                            "INSERT INTO ended_alone (cdr_id, node, at, ended_by, status) VALUES (?, ?, ?, ?, ?) \
                             ON CONFLICT DO NOTHING",
                        )
                        .bind(cdr_id.to_string())
                        .bind(node.as_str())
                        .bind(rfc3339::format_us(*at_us))
                        .bind(ended_by.as_str())
                        .bind((*status != 0).then_some(*status))
                        .execute(&mut *transaction)
                        .await?;
                    }
                }
            }
            if part.end_seq > cursor {
                store_cursor(&mut transaction, part).await?;
            }
        }
        let (many, rest) = ended.as_chunks::<INSERT_ROWS>();
        for chunk in many {
            let mut query = sqlx::query(INSERT_MANY.as_str());
            for cdr in chunk {
                query = bind(query, cdr)?;
            }
            query.execute(&mut *transaction).await?;
        }
        for cdr in rest {
            bind(sqlx::query(INSERT_ONE.as_str()), cdr)?
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// How far a segment has been shipped: the sequence number of its last record in the store.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn cursor(&self, segment: Uuid) -> Result<Option<u64>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        cursor(&mut connection, segment).await
    }

    /// Drops the cursors of segments that are deleted.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn forget_segments(&self, segments: &[Uuid]) -> Result<(), StoreError> {
        for segment in segments {
            sqlx::query("DELETE FROM ship_cursor WHERE segment = ?")
                .bind(segment.to_string())
                .execute(&self.writer)
                .await?;
        }
        Ok(())
    }

    /// CDRs, newest first.
    ///
    /// # Errors
    /// [`StoreError::Row`] when a row was changed into something that is not a CDR, else [`StoreError::Database`].
    pub async fn cdrs(&self, filter: &CdrFilter) -> Result<Vec<RatedCdr>, StoreError> {
        let sql = if filter.call_id.is_some() {
            SELECT_CALL.as_str()
        } else {
            SELECT.as_str()
        };
        let rows = sqlx::query(sql)
            .bind(filter.call_id.clone())
            .bind(filter.since_us.map_or_else(String::new, rfc3339::format_us))
            // Every time starts with a digit, and all digits sort before the colon.
            .bind(
                filter
                    .until_us
                    .map_or_else(|| ":".to_owned(), rfc3339::format_us),
            )
            .bind(i64::from(filter.limit))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(cdr_of).collect()
    }
}

async fn cursor(
    connection: &mut SqliteConnection,
    segment: Uuid,
) -> Result<Option<u64>, StoreError> {
    let seq: Option<i64> = sqlx::query_scalar("SELECT seq FROM ship_cursor WHERE segment = ?")
        .bind(segment.to_string())
        .fetch_optional(connection)
        .await?;
    Ok(seq.and_then(|seq| u64::try_from(seq).ok()))
}

async fn store_cursor(
    connection: &mut SqliteConnection,
    part: &ShipPart,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO ship_cursor (segment, node, boot, lane, number, seq) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (segment) DO UPDATE SET seq = excluded.seq",
    )
    .bind(part.segment.to_string())
    .bind(part.node.as_str())
    .bind(part.boot)
    .bind(part.lane)
    .bind(part.number)
    .bind(whole(part.end_seq))
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_refused(
    connection: &mut SqliteConnection,
    refused: &RefusedAggregate,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refused (node, minute_at, source, cause, customer, count) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )
    .bind(refused.node.as_str())
    .bind(rfc3339::format_us(refused.minute_us))
    .bind(refused.source.as_str())
    .bind(refused.cause.as_str())
    .bind(refused.customer.as_deref().unwrap_or_default())
    .bind(whole(refused.count))
    .execute(connection)
    .await?;
    Ok(())
}

/// SQLite's integers are signed; no count or duration gets near the limit.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn price(value: Option<Decimal>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// Binds the values of one row in the order of [`RatedCdr::KEYS`].
fn bind(query: Query, cdr: &RatedCdr) -> Result<Query, StoreError> {
    let attempts = serde_json::to_string(&cdr.attempts).map_err(|error| row_error(&error))?;
    Ok(query
        .bind(cdr.cdr_id.to_string())
        .bind(cdr.node.clone())
        .bind(cdr.call_id.clone())
        .bind(cdr.from_tag.clone())
        .bind(cdr.to_tag.clone())
        .bind(cdr.customer.clone())
        .bind(cdr.vendor.clone())
        .bind(cdr.source.clone())
        .bind(cdr.next_hop.clone())
        .bind(cdr.caller.clone())
        .bind(cdr.callee.clone())
        .bind(cdr.callee_routed.clone())
        .bind(cdr.callee_sent.clone())
        .bind(rfc3339::format_us(cdr.setup_at))
        .bind(cdr.ring_at.map(rfc3339::format_us))
        .bind(cdr.answer_at.map(rfc3339::format_us))
        .bind(cdr.end_at.map(rfc3339::format_us))
        .bind(cdr.pdd_ms.map(whole))
        .bind(whole(cdr.duration_ms))
        .bind(cdr.status)
        .bind(cdr.cause.as_str())
        .bind(cdr.ended_by.map(EndedBy::as_str))
        .bind(attempts)
        .bind(price(cdr.customer_rate))
        .bind(cdr.customer_billed_s)
        .bind(price(cdr.customer_price))
        .bind(cdr.customer_currency.clone())
        .bind(price(cdr.vendor_rate))
        .bind(cdr.vendor_billed_s)
        .bind(price(cdr.vendor_price))
        .bind(cdr.vendor_currency.clone())
        .bind(cdr.q850_cause)
        .bind(cdr.reason.clone())
        .bind(cdr.pai.clone())
        .bind(cdr.lrn.clone())
        .bind(cdr.transport_in.clone())
        .bind(cdr.transport_out.clone())
        .bind(cdr.listener.clone())
        .bind(cdr.customer_prefix.clone())
        .bind(cdr.vendor_prefix.clone())
        .bind(whole(cdr.route_version)))
}

fn row_error(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Row {
        table: "cdr",
        message: error.to_string(),
    }
}

/// Reads a column and makes a value of its text.
fn parsed<T>(
    row: &SqliteRow,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let Some(text) = row.try_get::<Option<String>, _>(column)? else {
        return Ok(None);
    };
    match parse(&text) {
        Some(value) => Ok(Some(value)),
        None => Err(row_error(&format!(
            "{column} holds \"{text}\", which is not a value of it"
        ))),
    }
}

/// The same for a column that is never empty.
fn needed<T>(
    row: &SqliteRow,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    parsed(row, column, parse)?.ok_or_else(|| row_error(&format!("{column} is empty")))
}

fn cdr_of(row: &SqliteRow) -> Result<RatedCdr, StoreError> {
    let decimal = |column| parsed(row, column, |text| text.parse().ok());
    let at = |column| parsed(row, column, rfc3339::parse_us);
    let attempts = |text: &str| serde_json::from_str::<Vec<RatedAttempt>>(text).ok();
    Ok(RatedCdr {
        cdr_id: needed(row, "cdr_id", |text| text.parse().ok())?,
        node: row.try_get("node")?,
        call_id: row.try_get("call_id")?,
        from_tag: row.try_get("from_tag")?,
        to_tag: row.try_get("to_tag")?,
        customer: row.try_get("customer")?,
        vendor: row.try_get("vendor")?,
        source: row.try_get("source")?,
        next_hop: row.try_get("next_hop")?,
        caller: row.try_get("caller")?,
        callee: row.try_get("callee")?,
        callee_routed: row.try_get("callee_routed")?,
        callee_sent: row.try_get("callee_sent")?,
        setup_at: needed(row, "setup_at", rfc3339::parse_us)?,
        ring_at: at("ring_at")?,
        answer_at: at("answer_at")?,
        end_at: at("end_at")?,
        pdd_ms: row
            .try_get::<Option<i64>, _>("pdd_ms")?
            .map(i64::unsigned_abs),
        duration_ms: row.try_get::<i64, _>("duration_ms")?.unsigned_abs(),
        status: row.try_get("status")?,
        cause: needed(row, "cause", Cause::from_name)?,
        ended_by: parsed(row, "ended_by", EndedBy::from_name)?,
        attempts: needed(row, "attempts", attempts)?,
        customer_rate: decimal("customer_rate")?,
        customer_billed_s: row.try_get("customer_billed_s")?,
        customer_price: decimal("customer_price")?,
        customer_currency: row.try_get("customer_currency")?,
        vendor_rate: decimal("vendor_rate")?,
        vendor_billed_s: row.try_get("vendor_billed_s")?,
        vendor_price: decimal("vendor_price")?,
        vendor_currency: row.try_get("vendor_currency")?,
        q850_cause: row.try_get("q850_cause")?,
        reason: row.try_get("reason")?,
        pai: row.try_get("pai")?,
        lrn: row.try_get("lrn")?,
        transport_in: row.try_get("transport_in")?,
        transport_out: row.try_get("transport_out")?,
        listener: row.try_get("listener")?,
        customer_prefix: row.try_get("customer_prefix")?,
        vendor_prefix: row.try_get("vendor_prefix")?,
        route_version: row.try_get::<i64, _>("route_version")?.unsigned_abs(),
    })
}

#[cfg(test)]
mod tests;

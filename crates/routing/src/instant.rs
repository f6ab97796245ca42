//! Instants in routing data: UTC microseconds since 1970 and their text.
//!
//! RFC 3339 as CSV and the store write it; a bare date is midnight UTC.
//! Leaves out reading any clock: the time of a decision is given to it.

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, UtcOffset, macros::format_description};

/// Reads `2026-12-01` (midnight UTC) or an RFC 3339 instant such as `2026-12-01T00:00:00Z`.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse(text: &str) -> Result<i64, String> {
    let date = Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map(|date| date.midnight().assume_utc());
    let instant = date.or_else(|_| OffsetDateTime::parse(text, &Rfc3339)).ok();
    instant
        .filter(|instant| (1970..=2200).contains(&instant.year()))
        .and_then(|instant| i64::try_from(instant.unix_timestamp_nanos() / 1_000).ok())
        .ok_or_else(|| {
            format!(
                "{} is not an instant; allowed: a date (2026-12-01, midnight UTC) or RFC 3339 \
                 (2026-12-01T08:00:00+01:00) from 1970 to 2200",
                crate::fault::quoted(text)
            )
        })
}

/// RFC 3339 in UTC, with as many fraction digits as needed.
#[must_use]
pub fn format(wall_us: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(wall_us) * 1_000)
        .ok()
        .and_then(|instant| instant.to_offset(UtcOffset::UTC).format(&Rfc3339).ok())
        .unwrap_or_else(|| wall_us.to_string())
}

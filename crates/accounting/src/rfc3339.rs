//! UTC times in microseconds as RFC 3339 text with six digits and `Z`, the form of every time a CDR shows.
//! Reads any offset and any number of digits. Leaves out: local time zones.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// First and last µs that four digits of a year can say.
const RANGE_US: std::ops::RangeInclusive<i64> = -62_167_219_200_000_000..=253_402_300_799_999_999;

/// `2026-11-22T10:40:00.000001Z`. A time outside the years 0000 to 9999 is shown as the nearest that is inside.
#[must_use]
pub fn format_us(us: i64) -> String {
    let us = us.clamp(*RANGE_US.start(), *RANGE_US.end());
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    at.format(form).unwrap_or_default()
}

/// UTC µs since 1970 of an RFC 3339 time; digits beyond the microsecond are cut. `None` if it is not one.
#[must_use]
pub fn parse_us(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).ok()
}

pub(crate) fn serialize<S: Serializer>(us: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_us(*us))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_us(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
}

/// The same for a time that may be absent (`null`).
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Serializer, format_us, parse_us};
    use serde::de::Error as _;

    #[expect(clippy::ref_option, reason = "the signature that serde's `with` calls")]
    pub(crate) fn serialize<S: Serializer>(
        us: &Option<i64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match us {
            Some(us) => serializer.serialize_some(&format_us(*us)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<i64>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| parse_us(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time")))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_six_digits_and_read_back() {
        assert_eq!(format_us(0), "1970-01-01T00:00:00.000000Z");
        // 2026-11-22 10:40:00 UTC is day 20 779: 20 779·86 400 + 38 400 = 1 795 344 000 s.
        assert_eq!(
            format_us(1_795_344_000_000_001),
            "2026-11-22T10:40:00.000001Z"
        );
        assert_eq!(format_us(-1), "1969-12-31T23:59:59.999999Z");
        for us in [
            0,
            -1,
            1_795_344_000_000_001,
            *RANGE_US.start(),
            *RANGE_US.end(),
        ] {
            assert_eq!(parse_us(&format_us(us)), Some(us));
        }
    }

    #[test]
    fn a_time_beyond_four_digit_years_is_clamped_not_lost() {
        assert_eq!(format_us(i64::MAX), "9999-12-31T23:59:59.999999Z");
        assert_eq!(format_us(i64::MIN), "0000-01-01T00:00:00.000000Z");
    }

    #[test]
    fn offsets_and_other_digit_counts_are_read() {
        assert_eq!(parse_us("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_us("1970-01-01T00:00:00.5Z"), Some(500_000));
        assert_eq!(parse_us("1970-01-01 00:00"), None);
    }
}

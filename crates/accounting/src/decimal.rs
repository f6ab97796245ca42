//! How a decimal is written by serde: text for people (JSON), mantissa and scale for the journal.
//! Both keep every digit and the scale. Leaves out: arithmetic.

use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(value)
    } else {
        // Postcard writes both as variable-length integers: three bytes for 0.0125, and no text to format on a worker.
        (value.mantissa(), value.scale()).serialize(serializer)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    if deserializer.is_human_readable() {
        <Decimal as Deserialize>::deserialize(deserializer)
    } else {
        let (mantissa, scale) = <(i128, u32)>::deserialize(deserializer)?;
        Decimal::try_from_i128_with_scale(mantissa, scale).map_err(D::Error::custom)
    }
}

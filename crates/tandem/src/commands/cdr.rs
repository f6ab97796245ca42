//! `tandem cdr`: call records from the store, newest first, as a table, JSON lines or CSV.
//! JSON and CSV have all keys; CSV writes the attempts as JSON in one column.
//! Leaves out calls that are still up (`tandem calls`) and records the journal has not shipped yet.

use accounting::{RatedCdr, rfc3339};
use anyhow::{Context as _, bail};
use serde_json::Value;
use storage::CdrFilter;

use super::store::with_store;
use crate::cli::{CdrArgs, CdrFormat};
use crate::config::Config;
use crate::{cdr_table, output};

pub(super) fn run(config: &Config, args: &CdrArgs) -> anyhow::Result<bool> {
    let filter = CdrFilter {
        limit: args.limit,
        call_id: args.call_id.clone(),
        since_us: time("--since", args.since.as_deref())?,
        until_us: time("--until", args.until.as_deref())?,
    };
    if !config.store.path().exists() {
        bail!("there is no store yet: no call was ever recorded here");
    }
    let cdrs = with_store(config, async |store| Ok(store.cdrs(&filter).await?))?;
    match args.format {
        CdrFormat::Table => {
            output::table(
                &cdr_table::HEADER,
                cdrs.iter().map(cdr_table::row).collect(),
                &cdr_table::RIGHT,
            );
        }
        CdrFormat::Json => {
            for cdr in &cdrs {
                output::line(serde_json::to_string(cdr)?);
            }
        }
        CdrFormat::Csv => {
            for line in csv(&cdrs)? {
                output::line(line);
            }
        }
    }
    Ok(true)
}

fn time(option: &str, text: Option<&str>) -> anyhow::Result<Option<i64>> {
    let parse = |text| {
        rfc3339::parse_us(text).with_context(|| {
            format!(
                "{option} \"{text}\" is no time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z"
            )
        })
    };
    text.map(parse).transpose()
}

/// Header and rows; the keys are those of the JSON, in its order.
fn csv(cdrs: &[RatedCdr]) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::with_capacity(cdrs.len() + 1);
    for cdr in cdrs {
        let Value::Object(keys) = serde_json::to_value(cdr)? else {
            bail!("a CDR is no JSON object")
        };
        if lines.is_empty() {
            lines.push(
                keys.keys()
                    .map(|key| cell(key))
                    .collect::<Vec<_>>()
                    .join(","),
            );
        }
        let row = keys.values().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => cell(text),
            other => cell(&other.to_string()),
        });
        lines.push(row.collect::<Vec<_>>().join(","));
    }
    Ok(lines)
}

/// RFC 4180: quoted when it holds a comma, a quote or a line end.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_cell_is_quoted_only_when_it_must_be() {
        assert_eq!(cell("a b"), "a b");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(cell("a\nb"), "\"a\nb\"");
    }

    #[test]
    fn a_time_that_is_none_is_named_with_its_option() {
        let message = time("--since", Some("yesterday")).unwrap_err().to_string();
        assert_eq!(
            message,
            "--since \"yesterday\" is no time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z"
        );
        assert_eq!(
            time("--since", Some("1970-01-01T00:00:01Z")).unwrap(),
            Some(1_000_000)
        );
        assert_eq!(time("--since", None).unwrap(), None);
    }
}

//! `tandem cdr`: call records from the store, newest first, as a table, JSON lines or CSV.
//! JSON and CSV have all keys; CSV writes the attempts as JSON in one column.
//! Leaves out calls that are still up (`tandem calls`) and records the journal has not shipped yet.

use accounting::{RatedCdr, rfc3339};
use anyhow::Context as _;
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
    let cdrs = if config.store.path().exists() {
        with_store(config, async |store| Ok(store.cdrs(&filter).await?))?
    } else {
        // It is made at the first start or load, not by a question.
        output::fault("there is no store yet: no call was ever recorded here");
        Vec::new()
    };
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

/// Header and rows; the header stands there without rows too, so that a reader always has it.
fn csv(cdrs: &[RatedCdr]) -> anyhow::Result<Vec<String>> {
    let mut lines = vec![RatedCdr::KEYS.join(",")];
    for cdr in cdrs {
        let keys = serde_json::to_value(cdr)?;
        let row = RatedCdr::KEYS.map(|column| match &keys[column] {
            Value::Null => String::new(),
            Value::String(text) => cell(text),
            other => cell(&other.to_string()),
        });
        lines.push(row.join(","));
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

    const SAMPLE: &str = r#"{"cdr_id":"01a2030d-5cc8-7c39-8b4a-aca79238074e","node":"n","call_id":"10@x","from_tag":"a",
        "to_tag":null,"customer":"acme","vendor":"alpha","source":"127.0.0.1:5080","next_hop":"127.0.0.1:5070",
        "caller":"sipp","callee":"4930","callee_routed":"4930","callee_sent":"4930",
        "setup_at":"2026-01-31T12:00:00.000000Z","ring_at":null,"answer_at":"2026-01-31T12:00:01.000000Z",
        "end_at":"2026-01-31T12:00:03.000000Z","pdd_ms":0,"duration_ms":2000,"status":200,"cause":"answered",
        "ended_by":"caller","attempts":[{"vendor":"alpha","next_hop":"127.0.0.1:5070",
        "started_at":"2026-01-31T12:00:00.000000Z","ring_at":null,"answer_at":null,"ended_at":null,"status":200,
        "cause":"answered","rate":"0.0120","billed_s":2,"price":"0.0004"}],"customer_rate":"0.0240",
        "customer_billed_s":2,"customer_price":"0.0008","customer_currency":"EUR","vendor_rate":"0.0120",
        "vendor_billed_s":2,"vendor_price":"0.0004","vendor_currency":"EUR","q850_cause":null,"reason":"a, b",
        "pai":null,"lrn":null,"transport_in":"udp","transport_out":"udp","listener":"127.0.0.1:5060",
        "customer_prefix":"49","vendor_prefix":"49","route_version":1}"#;

    #[test]
    fn a_csv_cell_is_quoted_only_when_it_must_be() {
        assert_eq!(cell("a b"), "a b");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(cell("a\nb"), "\"a\nb\"");
    }

    #[test]
    fn csv_has_a_column_for_every_key_of_the_json() {
        let cdr: RatedCdr = serde_json::from_str(SAMPLE).unwrap();
        let Value::Object(keys) = serde_json::to_value(&cdr).unwrap() else {
            panic!("no object")
        };
        let mut columns = RatedCdr::KEYS.map(str::to_owned).to_vec();
        columns.sort();
        assert_eq!(columns, keys.keys().cloned().collect::<Vec<_>>());
        let lines = csv(&[cdr]).unwrap();
        assert!(
            lines[1].starts_with("01a2030d-5cc8-7c39-8b4a-aca79238074e,n,10@x,a,,acme,alpha,"),
            "{}",
            lines[1]
        );
        assert!(
            lines[1].contains(r#","[{""answer_at"":null,"#)
                && lines[1].contains(r#",,"a, b",,,udp,udp,"#),
            "{}",
            lines[1]
        );
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

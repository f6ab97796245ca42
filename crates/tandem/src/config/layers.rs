//! File and environment, checked key by key against the schema and layered: what the environment says wins.
//! The `config` crate does the layering; the TOML parser gives the line of every key, which `config` would lose.
//! Leaves out what a value means (`resolve.rs`).

use config::{ConfigBuilder, FileFormat, builder::DefaultState};
use toml::de::{DeTable, DeValue};

use super::fault::{ConfigError, ConfigFault, Origin, Origins, nearest};
use super::raw::RawConfig;
use super::schema::{self, KeySpec, Kind};

/// What every variable of ours begins with.
const PREFIX: &str = "TANDEM__";
/// Listeners a configuration may have.
const LISTENERS_MAX: usize = 64;

/// The merged values and where each of them was written.
#[derive(Debug)]
pub(crate) struct Layered {
    pub(crate) raw: RawConfig,
    pub(crate) origins: Origins,
    pub(crate) file: Option<String>,
}

/// Reads, checks and merges both sources.
pub(crate) fn layer(
    file: Option<(&str, &str)>,
    environment: &[(String, String)],
) -> Result<Layered, ConfigError> {
    let mut origins = Origins::default();
    let mut faults = Vec::new();
    let mut builder = config::Config::builder();
    if let Some((name, text)) = file {
        check_file(name, text, &mut origins, &mut faults);
        builder = builder.add_source(config::File::from_str(text, FileFormat::Toml));
    }
    let mut variables: Vec<_> = environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    variables.sort();
    for (variable, text) in variables {
        match check_variable(variable, text) {
            Ok((key, value)) => {
                builder = override_with(builder, &key, value, variable, &mut faults);
                origins.record(&key, Origin::Environment(variable.clone()));
            }
            Err(fault) => faults.push(*fault),
        }
    }
    if !faults.is_empty() {
        return Err(ConfigError { faults });
    }
    let raw = builder
        .build()
        .and_then(config::Config::try_deserialize::<RawConfig>)
        .map_err(|error| {
            let origin = file.map_or(Origin::Default, |(name, _)| Origin::File {
                name: name.to_owned(),
                line: 1,
            });
            ConfigError {
                faults: vec![ConfigFault {
                    origin,
                    key: String::new(),
                    message: error.to_string(),
                }],
            }
        })?;
    Ok(Layered {
        raw,
        origins,
        file: file.map(|(name, _)| name.to_owned()),
    })
}

fn override_with(
    builder: ConfigBuilder<DefaultState>,
    key: &str,
    value: config::Value,
    variable: &str,
    faults: &mut Vec<ConfigFault>,
) -> ConfigBuilder<DefaultState> {
    match builder.clone().set_override(key, value) {
        Ok(builder) => builder,
        Err(error) => {
            let origin = Origin::Environment(variable.to_owned());
            faults.push(ConfigFault {
                origin,
                key: key.to_owned(),
                message: error.to_string(),
            });
            builder
        }
    }
}

// ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────

struct FileCheck<'a> {
    name: &'a str,
    line_starts: Vec<usize>,
    origins: &'a mut Origins,
    faults: &'a mut Vec<ConfigFault>,
}

impl FileCheck<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let line = self
            .line_starts
            .partition_point(|start| *start <= offset)
            .max(1);
        Origin::File {
            name: self.name.to_owned(),
            line,
        }
    }

    fn fault(&mut self, offset: usize, key: &str, message: String) {
        let origin = self.origin(offset);
        self.faults.push(ConfigFault {
            origin,
            key: key.to_owned(),
            message,
        });
    }

    fn section(&mut self, section: &str, path: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let (offset, name) = (name.span().start, name.get_ref().as_ref());
            let key = format!("{path}.{name}");
            let Some(spec) = schema::find(section, name) else {
                self.fault(
                    offset,
                    &key,
                    unknown("key", name, &schema::keys_of(section)),
                );
                continue;
            };
            let origin = self.origin(offset);
            self.origins.record(&key, origin);
            if let Err(message) = check_value(spec, value.get_ref()) {
                self.fault(value.span().start, &key, message);
            }
        }
    }

    fn listeners(&mut self, offset: usize, value: &DeValue<'_>) {
        let Some(entries) = value.as_array() else {
            self.fault(
                offset,
                "listen",
                "is one table; each listener is written as [[listen]]".to_owned(),
            );
            return;
        };
        if entries.is_empty() || entries.len() > LISTENERS_MAX {
            self.fault(
                offset,
                "listen",
                format!("{} listeners; allowed: 1 to {LISTENERS_MAX}", entries.len()),
            );
        }
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("listen[{index}]");
            let origin = self.origin(entry.span().start);
            self.origins.record(&path, origin);
            match entry.get_ref().as_table() {
                Some(table) => self.section("listen", &path, table),
                None => self.fault(
                    entry.span().start,
                    &path,
                    "is no table; write it as [[listen]]".to_owned(),
                ),
            }
        }
    }
}

fn check_file(name: &str, text: &str, origins: &mut Origins, faults: &mut Vec<ConfigFault>) {
    let line_starts = std::iter::once(0).chain(memchr_lines(text)).collect();
    let mut check = FileCheck {
        name,
        line_starts,
        origins,
        faults,
    };
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            let message = format!("not valid TOML: {}", error.message().replace('\n', ", "));
            return check.fault(offset, "", message);
        }
    };
    for (name, value) in document.get_ref() {
        let (offset, name) = (name.span().start, name.get_ref().as_ref());
        if !schema::sections().contains(&name) {
            check.fault(offset, name, unknown("section", name, &schema::sections()));
            continue;
        }
        if name == "listen" {
            check.listeners(offset, value.get_ref());
        } else if let Some(table) = value.get_ref().as_table() {
            let origin = check.origin(offset);
            check.origins.record(name, origin);
            check.section(name, name, table);
        } else {
            check.fault(
                offset,
                name,
                format!("is no table; write it as [{name}] with its keys below"),
            );
        }
    }
    check.faults.sort_by_key(|fault| match &fault.origin {
        Origin::File { line, .. } => *line,
        Origin::Environment(_) | Origin::Default => 0,
    });
}

fn memchr_lines(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.bytes()
        .enumerate()
        .filter(|(_, byte)| *byte == b'\n')
        .map(|(offset, _)| offset + 1)
}

fn check_value(spec: &KeySpec, value: &DeValue<'_>) -> Result<(), String> {
    let wrong = || {
        let article = match value.type_str() {
            "array" | "integer" => "an",
            _ => "a",
        };
        Err(format!(
            "is {article} {}; allowed: {}",
            value.type_str(),
            spec.kind.allowed()
        ))
    };
    match (&spec.kind, value) {
        (Kind::Integer { min, max }, DeValue::Integer(number)) => {
            let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
            check_integer(parsed.ok(), *min, *max, number.as_str())
        }
        (Kind::Choice(words), DeValue::String(text)) => check_choice(words, text),
        (Kind::List(_), DeValue::Array(items)) => {
            if items.iter().all(|item| item.get_ref().is_str()) {
                Ok(())
            } else {
                wrong()
            }
        }
        (Kind::Bool, DeValue::Boolean(_))
        | (Kind::Text(_) | Kind::Secret(_), DeValue::String(_)) => Ok(()),
        _ => wrong(),
    }
}

// ── the environment ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Turns `TANDEM__STORE__URL` and its text into the key `store.url` and a typed value.
fn check_variable(variable: &str, text: &str) -> Result<(String, config::Value), Box<ConfigFault>> {
    let fault = |key: &str, message: String| {
        Box::new(ConfigFault {
            origin: Origin::Environment(variable.to_owned()),
            key: key.to_owned(),
            message,
        })
    };
    let parts: Vec<String> = variable[PREFIX.len()..]
        .split("__")
        .map(str::to_ascii_lowercase)
        .collect();
    let (section, key, name) = match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", index, name] => match index.parse::<usize>() {
            Ok(index) if index < LISTENERS_MAX => {
                ("listen", format!("listen[{index}].{name}"), name.to_owned())
            }
            _ => {
                let message = format!("the number of a listener is 0 to {}", LISTENERS_MAX - 1);
                return Err(fault("listen", message));
            }
        },
        ["listen", ..] => {
            return Err(fault(
                "listen",
                "a listener is written as TANDEM__LISTEN__0__ADDRESS".to_owned(),
            ));
        }
        [section, name] => (section, format!("{section}.{name}"), name.to_owned()),
        _ => {
            let message = "unknown variable; a key is written as TANDEM__SECTION__KEY".to_owned();
            return Err(fault("", message));
        }
    };
    if !schema::sections().contains(&section) {
        return Err(fault(
            section,
            unknown("section", section, &schema::sections()),
        ));
    }
    let Some(spec) = schema::find(section, &name) else {
        return Err(fault(
            &key,
            unknown("key", &name, &schema::keys_of(section)),
        ));
    };
    match typed(spec, text) {
        Ok(value) => Ok((key, config::Value::new(Some(&variable.to_owned()), value))),
        Err(message) => Err(fault(&key, message)),
    }
}

fn typed(spec: &KeySpec, text: &str) -> Result<config::ValueKind, String> {
    match &spec.kind {
        Kind::Integer { min, max } => {
            let number = text.trim().parse::<i64>().ok();
            check_integer(number, *min, *max, text)?;
            Ok(config::ValueKind::I64(number.unwrap_or_default()))
        }
        Kind::Bool => match text.trim() {
            "true" => Ok(config::ValueKind::Boolean(true)),
            "false" => Ok(config::ValueKind::Boolean(false)),
            other => Err(format!(
                "\"{other}\" is not allowed; allowed: true or false"
            )),
        },
        Kind::Choice(words) => {
            check_choice(words, text)?;
            Ok(config::ValueKind::String(text.to_owned()))
        }
        Kind::Text(_) | Kind::Secret(_) => Ok(config::ValueKind::String(text.to_owned())),
        Kind::List(_) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Ok(config::ValueKind::Array(
                items.map(config::Value::from).collect(),
            ))
        }
    }
}

// ── both ────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn check_integer(number: Option<i64>, min: i64, max: i64, text: &str) -> Result<(), String> {
    match number {
        Some(number) if (min..=max).contains(&number) => Ok(()),
        Some(_) => Err(format!(
            "{text} is out of range; allowed: a whole number from {min} to {max}"
        )),
        None => Err(format!(
            "\"{text}\" is no number; allowed: a whole number from {min} to {max}"
        )),
    }
}

fn check_choice(words: &'static [&'static str], text: &str) -> Result<(), String> {
    if words.contains(&text) {
        return Ok(());
    }
    if words == ["udp"] {
        return Err(format!(
            "the transport \"{text}\" is not part of this version; allowed: \"udp\""
        ));
    }
    Err(format!(
        "\"{text}\" is not allowed{}; allowed: {}",
        hint(text, words),
        Kind::Choice(words).allowed()
    ))
}

fn unknown(what: &str, written: &str, known: &[&'static str]) -> String {
    format!(
        "unknown {what}{}; allowed: {}",
        hint(written, known),
        known.join(", ")
    )
}

fn hint(written: &str, known: &[&'static str]) -> String {
    nearest(written, known).map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

//! What is wrong with a configuration, and where: a file and a line, or a variable of the environment.
//! One line per fault, `place: key: what, and what is allowed`.
//! Values of secret keys are never part of a message; the callers see to that.

use std::collections::HashMap;
use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of the configuration file, counted from 1.
    File {
        /// The name of the file, as given.
        name: String,
        /// The line, from 1; 0: the file as a whole.
        line: usize,
    },
    /// A variable of the environment, by name.
    Environment(String),
    /// Not written anywhere: the built-in default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => {
                if *line == 0 {
                    out.write_str(name)
                } else {
                    write!(out, "{name}:{line}")
                }
            }
            Self::Environment(variable) => out.write_str(variable),
            Self::Default => out.write_str("default"),
        }
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Where the faulty value was written.
    pub origin: Origin,
    /// The key, dotted (`store.url`, `listen[0].address`); empty for a fault of the whole file.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(out, "{}: {}", self.origin, self.message)
        } else {
            write!(out, "{}: {}: {}", self.origin, self.key, self.message)
        }
    }
}

/// All faults of a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub faults: Vec<ConfigFault>,
}

impl ConfigError {
    /// The file named on the command line cannot be read.
    #[must_use]
    pub(crate) fn unreadable(name: &str, error: &std::io::Error) -> Self {
        let origin = Origin::File {
            name: name.to_owned(),
            line: 0,
        };
        Self {
            faults: vec![ConfigFault {
                origin,
                key: String::new(),
                message: format!("can't be read: {error}"),
            }],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            write!(out, "{fault}")?;
        }
        Ok(())
    }
}

/// Where each key that was written came from.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    written: HashMap<String, Origin>,
}

impl Origins {
    pub(crate) fn record(&mut self, key: &str, origin: Origin) {
        self.written.insert(key.to_owned(), origin);
    }

    /// The place of `key`, or of the nearest thing around it that was written.
    pub(crate) fn place(&self, key: &str) -> Origin {
        let mut around = key;
        loop {
            if let Some(origin) = self.written.get(around) {
                return origin.clone();
            }
            match around.rfind(['.', '[']) {
                Some(cut) => around = &around[..cut],
                None => return Origin::Default,
            }
        }
    }
}

/// The one of `known` that is close enough to `written` to be what was meant.
pub(crate) fn nearest(written: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(written, name), *name))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

//! The Prometheus text format (version 0.0.4), written by hand from plain numbers: no registry, no atomics of its own.
//! Names are `tandem_` + words + unit, counters end in `_total`; labels are closed sets or names from the routing data.
//! Leaves out which numbers there are, which is `admin/metrics.rs`.

use std::fmt::Write as _;

/// What `Content-Type` says.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// A page of metrics that grows.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family: `name` without the prefix `tandem_`, `help` one sentence.
    pub fn family(&mut self, name: &str, kind: MetricKind, help: &str) -> Family<'_> {
        let word = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        debug_assert_eq!(
            name.ends_with("_total"),
            kind == MetricKind::Counter,
            "counters end in _total: {name}"
        );
        // Writing to a String can't fail.
        let _ = write!(
            self.text,
            "# HELP tandem_{name} {help}\n# TYPE tandem_{name} {word}\n"
        );
        Family {
            name: format!("tandem_{name}"),
            text: &mut self.text,
        }
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: MetricKind, help: &str, value: impl Into<f64>) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }
}

/// The samples of one family.
#[derive(Debug)]
pub struct Family<'a> {
    name: String,
    text: &'a mut String,
}

impl Family<'_> {
    /// Adds one sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<f64>) {
        self.text.push_str(&self.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for letter in text.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {}", value.into());
    }
}

/// A count as a sample: exact up to 2^53.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus samples are floats; counts stay exact up to 2^53"
)]
pub fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_help_type_and_its_samples() {
        let mut page = Exposition::default();
        let mut family = page.family("refused_total", MetricKind::Counter, "Requests refused.");
        family.sample(&[("cause", "no_route"), ("lane", "0")], count(3));
        family.sample(&[("cause", "busy"), ("lane", "0")], count(0));
        page.single("draining", MetricKind::Gauge, "1 while draining.", 1.0);
        assert_eq!(
            page.finish(),
            "# HELP tandem_refused_total Requests refused.\n\
             # TYPE tandem_refused_total counter\n\
             tandem_refused_total{cause=\"no_route\",lane=\"0\"} 3\n\
             tandem_refused_total{cause=\"busy\",lane=\"0\"} 0\n\
             # HELP tandem_draining 1 while draining.\n\
             # TYPE tandem_draining gauge\n\
             tandem_draining 1\n"
        );
    }

    #[test]
    fn label_values_are_escaped() {
        let mut page = Exposition::default();
        page.family("channels", MetricKind::Gauge, "x")
            .sample(&[("name", "a\"b\\c\nd")], 1.5);
        assert!(
            page.finish()
                .ends_with("tandem_channels{name=\"a\\\"b\\\\c\\nd\"} 1.5\n")
        );
    }

    #[test]
    fn large_counts_are_written_out_and_never_as_an_exponent() {
        let mut page = Exposition::default();
        page.single(
            "datagrams_total",
            MetricKind::Counter,
            "x",
            count(9_007_199_254_740_991),
        );
        assert!(page.finish().ends_with(" 9007199254740991\n"));
    }
}

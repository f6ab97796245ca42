//! Texts of one row into a typed row and back, for CSV files and for the store alike.
//!
//! Every cell is checked for itself; all faults of a row are told, and a faulty row is not added.
//! Leaves out what needs other rows (`compile`, `unique`) and the CSV syntax (`csv`).

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use accounting::RateTerms;
use rust_decimal::Decimal;

use crate::address::AddressPattern;
use crate::fault::{self, Fault, hint, quoted};
use crate::instant;
use crate::prefix::Prefix;
use crate::schema::{Column, TableKind};
use crate::snapshot::GatewayHost;
use crate::tables::{
    CustomerAddressRow, CustomerRow, Forking, GatewayRow, On6xx, PlanMode, PlanRow, RateRow,
    RouteRow, Tables, VendorRow,
};
use crate::transport::Transport;

/// Where the texts of a row were found.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// File, or `table NAME`.
    pub name: &'a str,
    /// Line of the file or row of the table, from 1.
    pub line: u64,
}

/// Reads one row given as texts in the order of [`TableKind::columns`] and adds it to `tables`.
///
/// `id` is the key of the store (customers and vendors; 0 for rows of a file). Missing texts count as empty. Returns
/// whether the row was added; if not, `faults` says why.
pub fn push_cells(
    tables: &mut Tables,
    kind: TableKind,
    place: Place<'_>,
    id: i64,
    cells: &[&str],
    faults: &mut Vec<Fault>,
) -> bool {
    let last_sheet = tables.rates.last().map(|rate| Arc::clone(&rate.sheet));
    let mut row = RowReader {
        columns: kind.columns(),
        cells,
        place,
        faults,
    };
    let added = match kind {
        TableKind::Customers => row.customer(id).map(|row| tables.customers.push(row)),
        TableKind::CustomerAddresses => row
            .customer_address()
            .map(|row| tables.customer_addresses.push(row)),
        TableKind::Vendors => row.vendor(id).map(|row| tables.vendors.push(row)),
        TableKind::VendorGateways => row.gateway().map(|row| tables.vendor_gateways.push(row)),
        TableKind::RoutingPlans => row.plan().map(|row| tables.routing_plans.push(row)),
        TableKind::Routes => row.route().map(|row| tables.routes.push(row)),
        TableKind::Rates => row.rate(last_sheet).map(|row| tables.rates.push(row)),
    };
    if added.is_some() {
        tables.note_origin(kind, place.name, place.line);
    }
    added.is_some()
}

/// Writes row `row` of a table as texts in the order of [`TableKind::columns`]; `out` is emptied first.
///
/// Defaults are written out, so that a file says all that holds. Nothing is written for a row that does not exist.
pub fn cells_of(tables: &Tables, kind: TableKind, row: usize, out: &mut Vec<String>) {
    out.clear();
    let written = match kind {
        TableKind::Customers => tables
            .customers
            .get(row)
            .map(|row| write_customer(row, out)),
        TableKind::CustomerAddresses => tables.customer_addresses.get(row).map(|row| {
            out.extend([
                row.customer.clone(),
                row.address.to_string(),
                text(row.transport),
                or_empty(&row.tech_prefix),
            ]);
        }),
        TableKind::Vendors => tables.vendors.get(row).map(|row| write_vendor(row, out)),
        TableKind::VendorGateways => tables.vendor_gateways.get(row).map(|row| {
            out.extend([
                row.vendor.clone(),
                row.address.clone(),
                row.transport.to_string(),
                row.priority.to_string(),
                row.weight.to_string(),
                row.probe_interval_s.to_string(),
            ]);
        }),
        TableKind::RoutingPlans => tables.routing_plans.get(row).map(|row| {
            out.extend([
                row.name.clone(),
                row.mode.as_str().to_owned(),
                row.forking.as_str().to_owned(),
                row.max_attempts.to_string(),
                text(row.margin_min),
                or_empty(&row.lookup),
                or_empty(&row.lookup_query),
            ]);
        }),
        TableKind::Routes => tables.routes.get(row).map(|row| {
            out.extend([
                row.plan.clone(),
                row.prefix.to_string(),
                row.vendor.clone(),
                row.priority.to_string(),
                row.weight.to_string(),
                row.schedule.clone(),
                row.enabled.to_string(),
            ]);
        }),
        TableKind::Rates => tables.rates.get(row).map(|row| write_rate(row, out)),
    };
    debug_assert!(written.is_none() || out.len() == kind.columns().len());
}

fn write_customer(row: &CustomerRow, out: &mut Vec<String>) {
    out.extend([
        row.name.clone(),
        or_empty(&row.rate_sheet),
        row.routing_plan.clone(),
        row.currency.clone(),
        text(row.cps_limit),
        text(row.channel_limit),
        row.strip.to_string(),
        row.prepend.clone(),
        row.enabled.to_string(),
        or_empty(&row.lookup),
        or_empty(&row.lookup_query),
    ]);
}

fn write_vendor(row: &VendorRow, out: &mut Vec<String>) {
    out.extend([
        row.name.clone(),
        or_empty(&row.rate_sheet),
        row.currency.clone(),
        text(row.cps_limit),
        text(row.channel_limit),
        row.strip.to_string(),
        row.prepend.clone(),
        row.enabled.to_string(),
        row.redirect.to_string(),
        row.on_6xx.as_str().to_owned(),
    ]);
}

fn write_rate(row: &RateRow, out: &mut Vec<String>) {
    out.extend([
        row.sheet.to_string(),
        row.prefix.to_string(),
        row.terms.rate.to_string(),
        row.terms.connect_fee.to_string(),
        row.terms.initial_interval_s.to_string(),
        row.terms.next_rate.to_string(),
        row.terms.next_interval_s.to_string(),
        text(row.effective_from.map(instant::format)),
        text(row.effective_to.map(instant::format)),
    ]);
}

fn text(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn or_empty(value: &Option<String>) -> String {
    value.clone().unwrap_or_default()
}

/// The largest price per minute and connect fee.
const PRICE_MAX: i64 = 1_000_000;
/// The most decimal places of a price.
const PRICE_PLACES_MAX: usize = 10;
const LIMIT: RangeInclusive<u32> = 0..=1_000_000;
const WORD: RangeInclusive<u32> = 0..=65_535;
const DAY_S: RangeInclusive<u32> = 1..=86_400;

/// Takes typed values out of the texts of one row. `None` means that a fault was told.
struct RowReader<'a, 'f> {
    columns: &'static [Column],
    cells: &'a [&'a str],
    place: Place<'a>,
    faults: &'f mut Vec<Fault>,
}

impl<'a> RowReader<'a, '_> {
    fn customer(&mut self, id: i64) -> Option<CustomerRow> {
        let (name, rate_sheet, routing_plan) = (
            self.name("name"),
            self.optional_name("rate_sheet"),
            self.name("routing_plan"),
        );
        let (currency, cps_limit, channel_limit) = (
            self.currency(),
            self.limit("cps_limit"),
            self.limit("channel_limit"),
        );
        let (strip, prepend, enabled, lookup) = (
            self.strip(),
            self.prepend(),
            self.flag("enabled", true),
            self.lookup(),
        );
        let (lookup, lookup_query) = lookup?;
        Some(CustomerRow {
            id,
            name: name?,
            rate_sheet: rate_sheet?,
            routing_plan: routing_plan?,
            currency: currency?,
            cps_limit: cps_limit?,
            channel_limit: channel_limit?,
            strip: strip?,
            prepend: prepend?,
            enabled: enabled?,
            lookup,
            lookup_query,
        })
    }

    fn customer_address(&mut self) -> Option<CustomerAddressRow> {
        let (customer, address) = (
            self.name("customer"),
            self.required_value::<AddressPattern>("address"),
        );
        let (transport, tech_prefix) = (self.optional_value("transport"), self.tech_prefix());
        Some(CustomerAddressRow {
            customer: customer?,
            address: address?,
            transport: transport?,
            tech_prefix: tech_prefix?,
        })
    }

    fn vendor(&mut self, id: i64) -> Option<VendorRow> {
        let (name, rate_sheet, currency) = (
            self.name("name"),
            self.optional_name("rate_sheet"),
            self.currency(),
        );
        let (cps_limit, channel_limit) = (self.limit("cps_limit"), self.limit("channel_limit"));
        let (strip, prepend, enabled) = (self.strip(), self.prepend(), self.flag("enabled", true));
        let redirect = self.flag("redirect", false);
        let on_6xx = self.word_of("on_6xx", "policy", &On6xx::ALL, On6xx::as_str);
        Some(VendorRow {
            id,
            name: name?,
            rate_sheet: rate_sheet?,
            currency: currency?,
            cps_limit: cps_limit?,
            channel_limit: channel_limit?,
            strip: strip?,
            prepend: prepend?,
            enabled: enabled?,
            redirect: redirect?,
            on_6xx: on_6xx?.unwrap_or(On6xx::Next),
        })
    }

    fn gateway(&mut self) -> Option<GatewayRow> {
        let (vendor, transport) = (
            self.name("vendor"),
            self.optional_value::<Transport>("transport"),
        );
        let address = self
            .required_value::<GatewayHost>("address")
            .map(|_| self.cell("address").to_owned());
        let (priority, weight) = (self.word("priority"), self.word("weight"));
        let probe_interval_s = self.number("probe_interval_s", 0..=86_400);
        Some(GatewayRow {
            vendor: vendor?,
            address: address?,
            transport: transport?.unwrap_or(Transport::Udp),
            priority: priority?,
            weight: weight?,
            probe_interval_s: probe_interval_s?.unwrap_or(0),
        })
    }

    fn plan(&mut self) -> Option<PlanRow> {
        let (name, mode, max_attempts) = (
            self.name("name"),
            self.mode(),
            self.number("max_attempts", 1..=20),
        );
        let forking = self.word_of("forking", "way of forking", &Forking::ALL, Forking::as_str);
        let (margin_min, lookup) = (self.decimal("margin_min", true), self.lookup());
        let (lookup, lookup_query) = lookup?;
        Some(PlanRow {
            name: name?,
            mode: mode?,
            forking: forking?.unwrap_or(Forking::Serial),
            max_attempts: max_attempts?.map_or(5, |attempts| u8::try_from(attempts).unwrap_or(20)),
            margin_min: margin_min?,
            lookup,
            lookup_query,
        })
    }

    fn route(&mut self) -> Option<RouteRow> {
        let (plan, prefix, vendor) = (self.name("plan"), self.prefix(), self.name("vendor"));
        let (priority, weight) = (self.word("priority"), self.word("weight"));
        let (schedule, enabled) = (self.schedule(), self.flag("enabled", true));
        Some(RouteRow {
            plan: plan?,
            prefix: prefix?,
            vendor: vendor?,
            priority: priority?,
            weight: weight?,
            schedule: schedule?,
            enabled: enabled?,
        })
    }

    fn rate(&mut self, last_sheet: Option<Arc<str>>) -> Option<RateRow> {
        let sheet = match last_sheet {
            // Sheets come in long runs: one text for all rows of a run.
            Some(sheet) if *sheet == *self.cell("sheet") => Some(sheet),
            _ => self.name("sheet").map(Arc::from),
        };
        let prefix = self.prefix();
        let rate = match self.decimal("rate", false) {
            Some(None) => self.fault("rate", "is empty".to_owned()),
            rate => rate.flatten(),
        };
        let (connect_fee, next_rate) = (
            self.decimal("connect_fee", false),
            self.decimal("next_rate", false),
        );
        let initial_interval_s = self.number("initial_interval_s", 0..=86_400);
        let next_interval_s = self.number("next_interval_s", DAY_S);
        let (from, to) = (self.instant("effective_from"), self.instant("effective_to"));
        let (effective_from, effective_to) = (from?, to?);
        if let (Some(from), Some(to)) = (effective_from, effective_to)
            && from >= to
        {
            return self.fault(
                "effective_to",
                "is not later than effective_from".to_owned(),
            );
        }
        let rate = rate?;
        Some(RateRow {
            sheet: sheet?,
            prefix: prefix?,
            terms: RateTerms {
                rate,
                connect_fee: connect_fee?.unwrap_or(Decimal::ZERO),
                initial_interval_s: initial_interval_s?.unwrap_or(1),
                next_rate: next_rate?.unwrap_or(rate),
                next_interval_s: next_interval_s?.unwrap_or(1),
            },
            effective_from,
            effective_to,
        })
    }

    /// The text of a column, without blanks around it.
    fn cell(&self, column: &str) -> &'a str {
        let index = self.columns.iter().position(|known| known.name == column);
        debug_assert!(index.is_some(), "{column} is not a column");
        index
            .and_then(|index| self.cells.get(index))
            .map_or("", |cell| cell.trim())
    }

    fn fault<T>(&mut self, column: &str, what: String) -> Option<T> {
        let allowed = self
            .columns
            .iter()
            .find(|known| known.name == column)
            .map_or("", |known| known.allowed);
        // Messages of the readers of addresses, instants and the like say what is allowed themselves.
        let message = if what.contains("allowed: ") || what.contains("; write ") {
            what
        } else {
            format!("{what}; allowed: {allowed}")
        };
        let (place, line) = (self.place.name.to_owned(), self.place.line);
        fault::push(
            self.faults,
            Fault {
                place,
                line,
                column: column.to_owned(),
                message,
            },
        );
        None
    }

    fn name(&mut self, column: &str) -> Option<String> {
        match self.optional_name(column)? {
            Some(name) => Some(name),
            None => self.fault(column, "is empty".to_owned()),
        }
    }

    fn optional_name(&mut self, column: &str) -> Option<Option<String>> {
        match self.cell(column) {
            "" => Some(None),
            name if name.chars().count() > 64 || name.chars().any(char::is_control) => self.fault(
                column,
                format!("{} is not a name; allowed: {NAME_ALLOWED}", quoted(name)),
            ),
            name => Some(Some(name.to_owned())),
        }
    }

    fn required_value<T: FromStr<Err = String>>(&mut self, column: &str) -> Option<T> {
        match self.optional_value(column)? {
            Some(value) => Some(value),
            None => self.fault(column, "is empty".to_owned()),
        }
    }

    fn optional_value<T: FromStr<Err = String>>(&mut self, column: &str) -> Option<Option<T>> {
        match self.cell(column) {
            "" => Some(None),
            value => match value.parse() {
                Ok(value) => Some(Some(value)),
                Err(what) => self.fault(column, what),
            },
        }
    }

    fn prefix(&mut self) -> Option<Prefix> {
        self.optional_value("prefix")
            .map(|prefix| prefix.unwrap_or(Prefix::EMPTY))
    }

    fn number(&mut self, column: &str, range: RangeInclusive<u32>) -> Option<Option<u32>> {
        let cell = self.cell(column);
        if cell.is_empty() {
            return Some(None);
        }
        let digits = cell.bytes().all(|byte| byte.is_ascii_digit());
        match cell.parse() {
            Ok(value) if digits && range.contains(&value) => Some(Some(value)),
            _ => self.fault(column, format!("{} is not in range", quoted(cell))),
        }
    }

    fn limit(&mut self, column: &str) -> Option<Option<u32>> {
        self.number(column, LIMIT)
    }

    /// Priority or weight.
    fn word(&mut self, column: &str) -> Option<u16> {
        self.number(column, WORD)
            .map(|value| value.map_or(1, |value| u16::try_from(value).unwrap_or(u16::MAX)))
    }

    fn strip(&mut self) -> Option<u8> {
        self.number("strip", 0..=32)
            .map(|value| value.map_or(0, |value| u8::try_from(value).unwrap_or(32)))
    }

    fn flag(&mut self, column: &str, default: bool) -> Option<bool> {
        match self.cell(column) {
            "" => Some(default),
            cell if cell.eq_ignore_ascii_case("true") => Some(true),
            cell if cell.eq_ignore_ascii_case("false") => Some(false),
            cell => self.fault(column, format!("{} is neither", quoted(cell))),
        }
    }

    fn decimal(&mut self, column: &str, signed: bool) -> Option<Option<Decimal>> {
        let cell = self.cell(column);
        if cell.is_empty() {
            return Some(None);
        }
        // The grammar is checked here: the reader of decimals takes more (underscores, a sign).
        let digits = if signed {
            cell.strip_prefix('-').unwrap_or(cell)
        } else {
            cell
        };
        let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(places) || places.len() > PRICE_PLACES_MAX {
            return self.fault(column, format!("{} is not such a number", quoted(cell)));
        }
        match Decimal::from_str(cell) {
            Ok(value) if value.abs() <= Decimal::from(PRICE_MAX) => Some(Some(value)),
            _ => self.fault(column, format!("{} is too large", quoted(cell))),
        }
    }

    fn instant(&mut self, column: &str) -> Option<Option<i64>> {
        match self.cell(column) {
            "" => Some(None),
            cell => match instant::parse(cell) {
                Ok(instant) => Some(Some(instant)),
                Err(what) => self.fault(column, what),
            },
        }
    }

    fn currency(&mut self) -> Option<String> {
        match self.cell("currency") {
            "" => Some("USD".to_owned()),
            code if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Some(code.to_owned())
            }
            code => self.fault("currency", format!("{} is not a currency", quoted(code))),
        }
    }

    fn prepend(&mut self) -> Option<String> {
        let cell = self.cell("prepend");
        if is_dialable(cell.strip_prefix('+').unwrap_or(cell)) && cell.len() <= 32 {
            return Some(cell.to_owned());
        }
        self.fault(
            "prepend",
            format!("{} can't be put in front of a number", quoted(cell)),
        )
    }

    fn tech_prefix(&mut self) -> Option<Option<String>> {
        match self.cell("tech_prefix") {
            "" => Some(None),
            cell if is_dialable(cell) && cell.len() <= 32 => Some(Some(cell.to_owned())),
            cell => self.fault(
                "tech_prefix",
                format!("{} is not a tech prefix", quoted(cell)),
            ),
        }
    }

    fn mode(&mut self) -> Option<PlanMode> {
        match self.word_of("mode", "mode", &PlanMode::ALL, PlanMode::as_str)? {
            Some(mode) => Some(mode),
            None => self.fault(
                "mode",
                "\"\" is not a mode; allowed: lcr, static".to_owned(),
            ),
        }
    }

    /// One of a few words; `None` inside for an empty cell.
    fn word_of<T: Copy>(
        &mut self,
        column: &str,
        noun: &str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Option<Option<T>> {
        let cell = self.cell(column);
        if cell.is_empty() {
            return Some(None);
        }
        if let Some(word) = all.iter().find(|word| name(**word) == cell) {
            return Some(Some(*word));
        }
        let words: Vec<&str> = all.iter().map(|word| name(*word)).collect();
        let hint = hint(cell, words.iter().copied());
        self.fault(
            column,
            format!(
                "{} is not a {noun}; allowed: {}{hint}",
                quoted(cell),
                words.join(", ")
            ),
        )
    }

    fn schedule(&mut self) -> Option<String> {
        match self.cell("schedule") {
            "" => Some(String::new()),
            "always" => Some("always".to_owned()),
            cell => self.fault("schedule", format!("{} is not a schedule", quoted(cell))),
        }
    }

    /// Both columns of a lookup, or neither.
    fn lookup(&mut self) -> Option<(Option<String>, Option<String>)> {
        let (lookup, query) = (self.cell("lookup"), self.cell("lookup_query"));
        match (lookup, query) {
            ("", "") => Some((None, None)),
            ("sql", "") => self.fault("lookup_query", "is empty, but lookup is sql".to_owned()),
            ("sql", query) if query.chars().count() <= 4096 => {
                Some((Some(lookup.to_owned()), Some(query.to_owned())))
            }
            ("sql", _) => self.fault("lookup_query", "is longer than 4096 characters".to_owned()),
            ("", _) => self.fault("lookup", "is empty, but there is a lookup_query".to_owned()),
            _ => self.fault("lookup", format!("{} is not a lookup", quoted(lookup))),
        }
    }
}

const NAME_ALLOWED: &str = "1 to 64 characters, no control characters";

/// What a number rule may hold: digits, letters, `*` and `#`.
fn is_dialable(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'*' || byte == b'#')
}

#[cfg(test)]
mod tests;

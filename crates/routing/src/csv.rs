//! Routing data as CSV files: in with every fault told, out in a byte-stable order.
//!
//! RFC 4180, header line first, columns in any order. A file is taken whole or not at all.
//! Leaves out opening files and faults that need two files (`compile`).

use std::io::{self, Read, Write};

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};

use crate::cells::{Place, cells_of, push_cells};
use crate::fault::{self, FAULTS_MAX, Fault, hint, quoted};
use crate::schema::TableKind;
use crate::tables::Tables;

/// Rows between two calls of `progress`.
const PROGRESS_ROWS: u64 = 8_192;

/// Reads one CSV file into `tables`.
///
/// All faults are collected (up to [`FAULTS_MAX`] in `faults`, whatever was there before included); if this file has any,
/// nothing of it is added. `progress` is told the bytes read so far, now and then and at the end. Returns whether the
/// file was taken.
pub fn read_csv(
    kind: TableKind,
    file_name: &str,
    reader: impl Read,
    tables: &mut Tables,
    faults: &mut Vec<Fault>,
    progress: &mut dyn FnMut(u64),
) -> bool {
    let mut own = Vec::new();
    let mut read = Tables::default();
    read_rows(kind, file_name, reader, &mut read, &mut own, progress);
    crate::unique::check(&read, kind, &mut own);
    let taken = own.is_empty();
    for fault in own {
        fault::push(faults, fault);
    }
    if taken {
        tables.append(kind, read);
    }
    taken
}

fn read_rows(
    kind: TableKind,
    file_name: &str,
    reader: impl Read,
    read: &mut Tables,
    faults: &mut Vec<Fault>,
    progress: &mut dyn FnMut(u64),
) {
    let at = |line: u64, column: &str, message: String| Fault {
        place: file_name.to_owned(),
        line,
        column: column.to_owned(),
        message,
    };
    let mut rows = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(Seen::new(reader));
    let mut record = ByteRecord::new();
    let order = match rows.read_byte_record(&mut record) {
        Ok(true) => match read_header(
            kind,
            &record,
            |column, message| at(1, column, message),
            faults,
        ) {
            Some(order) => order,
            None => return,
        },
        Ok(false) => {
            let message = format!(
                "the file is empty; allowed: a header line that names {}",
                column_list(kind)
            );
            return fault::push(faults, at(1, "", message));
        }
        Err(error) => return fault::push(faults, at(1, "", error.to_string())),
    };
    let width = kind.columns().len();
    let mut since = 0;
    loop {
        match rows.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                return fault::push(faults, at(line, "", error.to_string()));
            }
        }
        // The position is that of the blank lines before the record, if there are any.
        let (byte, line) = record
            .position()
            .map_or((0, 0), |position| (position.byte(), position.line()));
        let line = line + rows.get_mut().line_ends_at(byte);
        if record.len() != order.len() {
            let message = format!(
                "{} cells; allowed: {}, as the header line has",
                record.len(),
                order.len()
            );
            fault::push(faults, at(line, "", message));
        } else {
            let mut cells = [""; CELLS_MAX];
            let mut valid = true;
            for (cell, column) in record.iter().zip(&order) {
                match str::from_utf8(cell) {
                    Ok(cell) => cells[*column] = cell,
                    Err(_) => {
                        let name = kind.columns()[*column].name;
                        fault::push(
                            faults,
                            at(line, name, "is not UTF-8; allowed: UTF-8 text".to_owned()),
                        );
                        valid = false;
                    }
                }
            }
            if valid {
                push_cells(
                    read,
                    kind,
                    Place {
                        name: file_name,
                        line,
                    },
                    0,
                    &cells[..width],
                    faults,
                );
            }
        }
        if faults.len() >= FAULTS_MAX {
            break;
        }
        since += 1;
        if since == PROGRESS_ROWS {
            since = 0;
            progress(rows.position().byte());
        }
    }
    progress(rows.position().byte());
}

/// A reader that keeps what was read lately, so that blank lines can be counted.
struct Seen<R> {
    inner: R,
    bytes: Vec<u8>,
    /// Offset in the file of the first byte kept.
    start: u64,
}

impl<R: Read> Seen<R> {
    const fn new(inner: R) -> Self {
        Self {
            inner,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// Number of line ends from this offset of the file up to the next byte that is none. Offsets must not go back.
    fn line_ends_at(&mut self, offset: u64) -> u64 {
        let skipped = usize::try_from(offset.saturating_sub(self.start))
            .unwrap_or(usize::MAX)
            .min(self.bytes.len());
        let ends = self.bytes[skipped..]
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let count = ends.filter(|byte| **byte == b'\n').count() as u64;
        if skipped > KEPT_BYTES {
            self.bytes.drain(..skipped);
            self.start += skipped as u64;
        }
        count
    }
}

impl<R: Read> Read for Seen<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

/// Bytes that were parsed may pile up to this before they are let go.
const KEPT_BYTES: usize = 65_536;

/// The most columns of any table.
const CELLS_MAX: usize = 16;
const _: () = {
    let mut kind = 0;
    while kind < TableKind::ALL.len() {
        assert!(TableKind::ALL[kind].columns().len() <= CELLS_MAX);
        kind += 1;
    }
};

/// For each cell of a line the column it belongs to, or `None` when the header has a fault.
fn read_header(
    kind: TableKind,
    header: &ByteRecord,
    at: impl Fn(&str, String) -> Fault,
    faults: &mut Vec<Fault>,
) -> Option<Vec<usize>> {
    let columns = kind.columns();
    let before = faults.len();
    let mut order: Vec<usize> = Vec::with_capacity(columns.len());
    for name in header {
        let name = String::from_utf8_lossy(name.trim_ascii());
        match columns.iter().position(|column| column.name == name) {
            Some(column) if order.contains(&column) => {
                fault::push(
                    faults,
                    at(
                        &name,
                        "stands twice in the header line; allowed: once".to_owned(),
                    ),
                );
            }
            Some(column) => order.push(column),
            None => {
                let hint = hint(&name, columns.iter().map(|column| column.name));
                let message = format!("is not a column; allowed: {}{hint}", column_list(kind));
                fault::push(faults, at(&quoted(&name), message));
            }
        }
    }
    let known = order.clone();
    for (index, column) in columns.iter().enumerate() {
        if column.required && !known.contains(&index) {
            fault::push(
                faults,
                at(
                    column.name,
                    "is missing in the header line; it is required".to_owned(),
                ),
            );
        }
    }
    (faults.len() == before).then_some(order)
}

/// The columns of a table, those that may be left out with a star.
fn column_list(kind: TableKind) -> String {
    let names: Vec<String> = kind
        .columns()
        .iter()
        .map(|column| {
            if column.required {
                column.name.to_owned()
            } else {
                format!("{}*", column.name)
            }
        })
        .collect();
    format!("{} (* may be left out)", names.join(", "))
}

/// Writes one table as CSV: all columns, defaults written out, lines ended by `\n`, rows sorted by their keys.
///
/// The same tables give the same bytes, whatever order their rows are in.
///
/// # Errors
/// Whatever the writer reports.
pub fn write_csv(kind: TableKind, tables: &Tables, writer: impl Write) -> io::Result<()> {
    let mut out = WriterBuilder::new().from_writer(writer);
    out.write_record(kind.columns().iter().map(|column| column.name))?;
    let mut cells = Vec::new();
    for row in crate::unique::export_order(tables, kind) {
        cells_of(tables, kind, row, &mut cells);
        out.write_record(&cells)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests;

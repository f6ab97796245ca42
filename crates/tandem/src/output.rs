//! What commands print: text to stdout, faults to stderr, tables for people.
//! The only place of the binary that writes to the terminal; a reader that goes away (`| head`) ends the command quietly.
//! Leaves out logs, which are `logging.rs`.

use std::io::{self, Write as _};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Prints one line, or a text of several, to stdout.
pub fn line(text: impl std::fmt::Display) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}").is_err() {
        // The reader has gone: there is nobody left to tell.
        std::process::exit(0);
    }
}

/// Prints one line, or a text of several, to stderr.
pub fn fault(text: impl std::fmt::Display) {
    // Nothing can be done about a stderr that is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a table to stdout: `right` are the columns of numbers, counted from 0.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, right: &[usize]) {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    table.add_rows(rows);
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    line(table.trim_fmt());
}

//! Listings: the same fields by the same names as a table or as one JSON object a line, page by page.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;
use serde_json::Value;

use super::output::harmless;
use super::{CliError, Printer};

/// Spaces between two columns.
const GAP: u16 = 2;

/// A listing with its columns: the fields shown in a table. JSON shows every field.
pub(super) struct Listing<'a> {
    printer: &'a Printer,
    columns: &'a [&'a str],
    json: bool,
    widths: Vec<u16>,
    pages: usize,
    rows: u64,
}

impl<'a> Listing<'a> {
    pub(super) fn new(printer: &'a Printer, columns: &'a [&'a str], json: bool) -> Self {
        Self { printer, columns, json, widths: Vec::new(), pages: 0, rows: 0 }
    }

    /// Prints one page; the first carries the head.
    pub(super) fn page<T: Serialize>(&mut self, rows: &[T]) -> Result<(), CliError> {
        self.rows += rows.len() as u64;
        if self.json {
            return rows.iter().try_for_each(|row| self.printer.json_line(row));
        }
        let values = rows.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        if values.is_empty() {
            return Ok(());
        }
        let mut table = plain_table();
        if self.pages == 0 {
            table.set_header(self.columns.iter().map(|column| column.replace('_', " ")));
        }
        for value in &values {
            table.add_row(self.columns.iter().map(|column| cell(&value[*column])));
        }
        for (at, name) in self.columns.iter().enumerate() {
            let is_number = values.iter().all(|value| value[*name].is_number());
            if let (true, Some(column)) = (is_number, table.column_mut(at)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if self.pages == 0 {
            self.widths = table.column_max_content_widths();
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        // Later pages keep the columns where the first one put them.
        for (column, width) in table.column_iter_mut().zip(&self.widths) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + GAP)));
        }
        self.pages += 1;
        self.printer.data(&table.trim_fmt())
    }

    /// Says where there was nothing to list.
    pub(super) fn finish(self, nothing: &str) {
        if self.rows == 0 && !self.json {
            self.printer.say(nothing);
        }
    }

    /// Prints a listing that fits one page.
    pub(super) fn print<T: Serialize>(
        printer: &'a Printer,
        columns: &'a [&'a str],
        json: bool,
        rows: &[T],
        nothing: &str,
    ) -> Result<(), CliError> {
        let mut listing = Self::new(printer, columns, json);
        listing.page(rows)?;
        listing.finish(nothing);
        Ok(())
    }
}

/// A table without lines, its rows never broken: what a terminal shows is what `grep` finds.
fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Named values under each other, as in one thing's story.
pub(super) fn facts(rows: &[(&str, String)]) -> String {
    let widest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:widest$}  {}", harmless(value));
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Bool(true) => "yes".into(),
        Value::String(text) => harmless(text),
        // Ungrouped: a recipient's number is typed again in the next command.
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(_) => harmless(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_share_one_head_and_their_columns() {
        let (printer, kept) = Printer::recording();
        let mut listing = Listing::new(&printer, &["number", "class"], false);
        listing.page(&[json!({ "number": 1_000, "class": "told", "more": 1 })]).unwrap();
        listing.page(&[json!({ "number": 7, "class": "held\u{1b}" })]).unwrap();
        listing.page::<Value>(&[]).unwrap();
        listing.finish("nobody");
        let text = kept.data.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[1].find("told"), lines[2].find("held"), "{text}");
        assert!(lines[1].contains("1000") && lines[2].contains('\u{FFFD}'), "{text}");
        assert_eq!(kept.talk.text(), "");
    }

    #[test]
    fn json_is_one_object_a_line_and_nothing_else() {
        let (printer, kept) = Printer::recording();
        let rows = [json!({ "number": 1, "more": true }), json!({ "number": 2 })];
        Listing::print(&printer, &["number"], true, &rows, "nobody").unwrap();
        Listing::print::<Value>(&printer, &["number"], true, &[], "nobody").unwrap();
        assert_eq!(kept.data.text(), "{\"more\":true,\"number\":1}\n{\"number\":2}\n");
        assert_eq!(kept.talk.text(), "");
    }
}

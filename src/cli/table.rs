//! Tables on standard output: columns of text and numbers, nothing drawn but a line of dashes.
//!
//! - Enters: cells; bytes and capacity of drives.
//! - Leaves: lines of at most [`WIDTH`] columns, without spaces at their ends.
//! - Always holds: (1) only ASCII is drawn (names keep their own letters); (2) the output is the
//!   same whether a terminal reads it or not; (3) drives of one case stand together, in the order
//!   in which the cases first came.

use super::sizes::shown_bytes;
use super::text::{columns, shortened};
use crate::format::shown::shown_text;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, TableStyle};

/// The width that every table keeps.
const WIDTH: usize = 80;
/// What is drawn between two columns.
const GAP: u16 = 2;

/// A column's heading and side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// text
    Left(&'static str),
    /// numbers
    Right(&'static str),
}

/// A plain table of at most 80 columns; what is too long goes on in the next line of its cell.
pub struct Table {
    inner: comfy_table::Table,
    columns: Vec<Column>,
}

impl Table {
    /// A table with a heading and no rows.
    pub fn new(columns: &[Column]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner
            .load_style(TableStyle::new().header_separator(LineStyle::none().fill('-')))
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH as u16)
            .set_truncation_indicator("..")
            .set_header(columns.iter().map(|column| match column {
                Column::Left(name) | Column::Right(name) => *name,
            }));
        Self { inner, columns: columns.to_vec() }
    }

    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.inner.add_row(cells.into_iter().map(|cell| shown_text(cell.as_ref()).into_owned()));
    }

    /// The lines, each with its end.
    pub fn shown(mut self) -> String {
        let last = self.columns.len().saturating_sub(1);
        for (index, column) in self.columns.iter().enumerate() {
            let Some(inner) = self.inner.column_mut(index) else { continue };
            inner.set_padding((0, if index == last { 0 } else { GAP }));
            if matches!(column, Column::Right(_)) {
                inner.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = self.inner.trim_fmt();
        text.push('\n');
        text
    }
}

/// One drive's line in [`bytes_table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveRow {
    /// what it is carried in
    pub case: String,
    /// its name for people, mostly a path
    pub drive: String,
    /// its number in the set
    pub slot: usize,
    /// what lies on it, or will
    pub bytes: u64,
    /// what it can hold
    pub capacity: u64,
}

/// The bytes on every drive, a subtotal for each case of several drives, and the total.
pub fn bytes_table(rows: &[DriveRow]) -> String {
    const CASE_COLUMNS: usize = 16;
    // Slot, bytes, capacity, full, and five gaps.
    const OTHER_COLUMNS: usize = 4 + 7 + 8 + 5 + 5 * GAP as usize;

    let mut table = Table::new(&[
        Column::Left("case"),
        Column::Right("slot"),
        Column::Left("drive"),
        Column::Right("bytes"),
        Column::Right("capacity"),
        Column::Right("full"),
    ]);
    let shown_case = |case: &str| shortened(&shown_text(case), CASE_COLUMNS);
    let cases = cases(rows);
    let case_columns = cases.iter().map(|case| columns(&shown_case(case))).max();
    let drive_columns = WIDTH - OTHER_COLUMNS - case_columns.unwrap_or(0).max("total".len());

    for case in &cases {
        let drives: Vec<&DriveRow> = rows.iter().filter(|row| row.case == *case).collect();
        for row in &drives {
            let drive = shortened(&shown_text(&row.drive), drive_columns);
            let slot = row.slot.to_string();
            add_line(&mut table, [shown_case(case), slot, drive], row.bytes, row.capacity);
        }
        if cases.len() > 1 && drives.len() > 1 {
            add_sum(&mut table, shown_case(case), &drives);
        }
    }
    add_sum(&mut table, "total".into(), &rows.iter().collect::<Vec<_>>());
    table.shown()
}

/// The cases in the order in which they first come.
fn cases(rows: &[DriveRow]) -> Vec<&str> {
    let mut cases: Vec<&str> = Vec::new();
    for row in rows {
        if !cases.contains(&row.case.as_str()) {
            cases.push(&row.case);
        }
    }
    cases
}

fn add_sum(table: &mut Table, name: String, drives: &[&DriveRow]) {
    let count = match drives.len() {
        1 => "= 1 drive".into(),
        n => format!("= {n} drives"),
    };
    let bytes = drives.iter().fold(0u64, |sum, row| sum.saturating_add(row.bytes));
    let capacity = drives.iter().fold(0u64, |sum, row| sum.saturating_add(row.capacity));
    add_line(table, [name, String::new(), count], bytes, capacity);
}

fn add_line(table: &mut Table, [case, slot, drive]: [String; 3], bytes: u64, capacity: u64) {
    let full = match capacity {
        0 => String::new(),
        _ => format!("{} %", u128::from(bytes) * 100 / u128::from(capacity)),
    };
    table.row([case, slot, drive, shown_bytes(bytes), shown_bytes(capacity), full]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: &str, slot: usize, drive: &str, bytes: u64, capacity: u64) -> DriveRow {
        DriveRow { case: case.into(), drive: drive.into(), slot, bytes, capacity }
    }

    #[test]
    fn a_case_of_several_drives_has_a_subtotal() {
        let rows = [
            row("north", 0, "/media/anna/usb-a", 1_480_000_000_000, 2_000_000_000_000),
            row("south", 1, "/media/anna/usb-b", 812, 1_920_000_000_000),
            row("north", 2, "/media/anna/usb-c", 1_000_000_000_000, 1_000_000_000_000),
        ];
        assert_eq!(bytes_table(&rows), TWO_CASES);
    }

    const TWO_CASES: &str = "\
case   slot  drive                bytes  capacity   full
--------------------------------------------------------
north     0  /media/anna/usb-a  1.48 TB      2 TB   74 %
north     2  /media/anna/usb-c     1 TB      1 TB  100 %
north        = 2 drives         2.48 TB      3 TB   82 %
south     1  /media/anna/usb-b    812 B   1.92 TB    0 %
total        = 3 drives         2.48 TB   4.92 TB   50 %
";

    #[test]
    fn one_case_needs_no_subtotal() {
        let table = bytes_table(&[row("a", 0, "/media/usb", 5, 0)]);
        assert_eq!(table.lines().count(), 4, "{table}");
        assert!(table.ends_with("total        = 1 drive     5 B       0 B\n"), "{table}");
    }

    #[test]
    fn nothing_at_all_is_a_total_of_nothing() {
        assert_eq!(bytes_table(&[]).lines().count(), 3);
    }

    #[test]
    fn long_names_stay_on_one_line_of_80_columns() {
        let long = "/media/somebody/a very long volume name that a shop printed/folder/usb-0001";
        let case = "the grey suitcase with the broken wheel";
        let drives = [
            row(case, 0, long, u64::MAX, u64::MAX),
            row("日本のスーツケース二号機", 100, long, 999_499_999_999, 999_499_999_999),
            row("b\x1b[2J", 1000, "日本語のとても長いドライブ名日本語のとても長いドライブ名", 1, 2),
        ];
        let table = bytes_table(&drives);
        assert_eq!(table.lines().count(), 2 + drives.len() + 1, "{table}");
        for line in table.lines() {
            assert!(columns(line) <= WIDTH, "{line}");
        }
        assert!(!table.contains('\x1b'));
    }
}

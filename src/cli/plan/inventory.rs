//! An inventory of drives, as CSV: columns `case`, `drive` and `size`, in any order.
//!
//! Always holds: (1) what is wrong is told with its line and column; (2) what spreadsheets write is
//! read: a comma, a semicolon or a tab between the columns, sizes in groups of three digits, and with
//! a decimal comma where it can be nothing else.

use super::super::refusal::Refusal;
use super::super::sizes::parse_size;
use crate::commands::plan::ListedDrive;
use csv::{ReaderBuilder, StringRecord, Trim};
use std::path::Path;

/// The columns; the second may be called by what it holds.
const COLUMNS: [&[&str]; 3] = [&["case"], &["drive", "mount", "serial"], &["size"]];

/// The drives of a file.
pub fn read(path: &Path) -> Result<Vec<ListedDrive>, Refusal> {
    let bytes =
        std::fs::read(path).map_err(|e| refusal(format!("read {}: {e}", path.display())))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let text = format!("{} is not text in UTF-8", path.display());
        Refusal::usage(text, "save it as CSV (UTF-8), with the columns case, drive and size")
    })?;
    let failed = |e: csv::Error| refusal(format!("{}: {e}", path.display()));
    let mut options = ReaderBuilder::new();
    options.trim(Trim::All).comment(Some(b'#')).flexible(true).delimiter(delimiter(&text));
    let mut reader = options.from_reader(text.as_bytes());
    let header = reader.headers().map_err(failed)?.clone();
    let places = COLUMNS.map(|names| -> Vec<usize> {
        let is_it = |head: &str| names.iter().any(|name| head.eq_ignore_ascii_case(name));
        header.iter().enumerate().filter(|(_, head)| is_it(head)).map(|(at, _)| at).collect()
    });
    if let Some(missing) = places.iter().zip(COLUMNS).find(|(places, _)| places.is_empty()) {
        let text = format!("{}, line 1: there is no column {}", path.display(), missing.1[0]);
        return Err(refusal(text));
    }
    let mut drives = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let place = format!("{}, line {}", path.display(), line_of(&record, &text));
        drives.push(drive(&record, &places, place)?);
    }
    if drives.is_empty() {
        return Err(refusal(format!("{} lists no drive", path.display())));
    }
    Ok(drives)
}

/// What stands between the columns: what the header has most of.
fn delimiter(text: &str) -> u8 {
    let is_header = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let header = text.lines().find(is_header).unwrap_or_default();
    let count = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    b"\t;,".iter().copied().max_by_key(count).unwrap_or(b',')
}

/// A size as spreadsheets write it, as [`parse_size`] takes it: `2,000,398,934,016` and `1,8 TB`. With
/// a unit, one group of three digits may be a fraction, and is left as it is.
fn plain_size(text: &str) -> String {
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = number.trim();
    let separators = [',', '.', ' ', '\u{a0}', '\u{202f}', '\'', '_'];
    let groups: Vec<&str> = number.split(separators).collect();
    let is_grouped = groups.len() > if unit.is_empty() { 1 } else { 2 }
        && groups[1..].iter().all(|group| group.len() == 3);
    if is_grouped {
        return groups.concat() + unit;
    }
    match number.split_once(',') {
        Some((whole, part)) if part.len() < 3 => format!("{whole}.{part}{unit}"),
        _ => text.into(),
    }
}

/// The line of a record: its place is told from behind the record before, with what is skipped there.
fn line_of(record: &StringRecord, text: &str) -> u64 {
    let Some(place) = record.position() else { return 0 };
    let rest = text.get(place.byte() as usize..).unwrap_or_default();
    let skipped = rest.lines().take_while(|line| line.is_empty() || line.starts_with('#'));
    place.line() + skipped.count() as u64
}

fn drive(
    record: &StringRecord,
    places: &[Vec<usize>],
    place: String,
) -> Result<ListedDrive, Refusal> {
    // Of a mount point and a serial number in columns of their own, the first that is there.
    let cell = |column: usize| {
        let mut cells = places[column].iter().filter_map(|at| record.get(*at));
        cells.find(|cell| !cell.is_empty()).unwrap_or_default()
    };
    let wrong = |column: usize, why: String| {
        Err(refusal(format!("{place}, column {}: {why}", COLUMNS[column][0])))
    };
    let (case, drive, size) = (cell(0), cell(1), cell(2));
    if case.is_empty() {
        return wrong(0, "there is no case".into());
    }
    let bytes = match size {
        "" if drive.is_empty() => return wrong(2, "there is neither a drive nor a size".into()),
        "" => None,
        size => match parse_size(&plain_size(size)) {
            Ok(bytes) => Some(bytes),
            Err(_) => return wrong(2, format!("{size:?} is not a size, write for example 2TB")),
        },
    };
    Ok(ListedDrive { case: case.into(), drive: drive.into(), bytes, place })
}

fn refusal(text: String) -> Refusal {
    let hint = "write the header case,drive,size and a line per drive: a,/media/usb1,2TB (the size may be \
                empty if the drive is mounted there)";
    Refusal::usage(text, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("2,000,398,934,016", Some(2_000_398_934_016))]
    #[case("2.000.398.934.016", Some(2_000_398_934_016))]
    #[case("2 000 398 934 016 B", Some(2_000_398_934_016))]
    #[case("2\u{a0}000", Some(2000))]
    #[case("1,8 TB", Some(1_800_000_000_000))]
    #[case("1.8TiB", Some(1_979_120_929_996))]
    #[case("2 TB", Some(2_000_000_000_000))]
    #[case("1,234 TB", None)]
    #[case("1,2,3", None)]
    #[case("TB", None)]
    fn sizes_are_read_as_spreadsheets_write_them(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(parse_size(&plain_size(text)).ok(), bytes);
    }
}

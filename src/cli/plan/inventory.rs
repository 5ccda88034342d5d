//! An inventory of drives, as CSV: columns `case`, `drive` and `size`, in any order.
//!
//! Always holds: what is wrong is told with its line and column.

use super::super::refusal::Refusal;
use super::super::sizes::parse_size;
use crate::commands::plan::ListedDrive;
use csv::{ReaderBuilder, StringRecord, Trim};
use std::path::Path;

/// The columns; the second may be called by what it holds.
const COLUMNS: [&[&str]; 3] = [&["case"], &["drive", "mount", "serial"], &["size"]];

/// The drives of a file.
pub fn read(path: &Path) -> Result<Vec<ListedDrive>, Refusal> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| refusal(format!("read {}: {e}", path.display())))?;
    let failed = |e: csv::Error| refusal(format!("{}: {e}", path.display()));
    let mut options = ReaderBuilder::new();
    options.trim(Trim::All).comment(Some(b'#')).flexible(true);
    let mut reader = options.from_reader(text.as_bytes());
    let header = reader.headers().map_err(failed)?.clone();
    let places = COLUMNS.map(|names| {
        header.iter().position(|head| names.iter().any(|name| head.eq_ignore_ascii_case(name)))
    });
    if let Some(missing) = places.iter().zip(COLUMNS).find(|(place, _)| place.is_none()) {
        let text = format!("{}, line 1: there is no column {}", path.display(), missing.1[0]);
        return Err(refusal(text));
    }
    let mut drives = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let place = format!("{}, line {}", path.display(), line_of(&record, &text));
        drives.push(drive(&record, &places.map(Option::unwrap_or_default), place)?);
    }
    if drives.is_empty() {
        return Err(refusal(format!("{} lists no drive", path.display())));
    }
    Ok(drives)
}

/// The line of a record: its place is told from behind the record before, with what is skipped there.
fn line_of(record: &StringRecord, text: &str) -> u64 {
    let Some(place) = record.position() else { return 0 };
    let rest = text.get(place.byte() as usize..).unwrap_or_default();
    let skipped = rest.lines().take_while(|line| line.is_empty() || line.starts_with('#'));
    place.line() + skipped.count() as u64
}

fn drive(record: &StringRecord, places: &[usize], place: String) -> Result<ListedDrive, Refusal> {
    let cell = |column: usize| record.get(places[column]).unwrap_or_default();
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
        size => match parse_size(size) {
            Ok(bytes) => Some(bytes),
            Err(why) => return wrong(2, why),
        },
    };
    Ok(ListedDrive { case: case.into(), drive: drive.into(), bytes, place })
}

fn refusal(text: String) -> Refusal {
    let hint = "write the header case,drive,size and a line per drive: a,/media/usb1,2TB (the size may be \
                empty if the drive is mounted there)";
    Refusal::usage(text, hint)
}

//! Does a drive still answer?

use crate::drives::Drive;
use crate::format::metadata_file::{Written, fixed_paths};

/// What is reported of a drive that is gone.
pub const GONE: &str = "it no longer answers";

/// Does a drive still answer? What was read well before must be readable now; before anything was,
/// one of the files that every drive has must be, or none be there.
pub fn answers(drive: &dyn Drive, folder: &str, read_before: Option<&str>) -> bool {
    let mut failed = false;
    let mut read = |path: &str| match drive.probe(path) {
        Ok(()) => true,
        Err(error) => {
            failed |= !error.is_missing();
            false
        }
    };
    let witness = match read_before {
        Some(path) => read(path),
        None => fixed_paths(&[Written::First, Written::AtClose])
            .any(|name| read(&format!("{folder}/{name}"))),
    };
    (witness || !failed) && drive.list("").is_ok()
}

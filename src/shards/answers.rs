//! Does a drive still answer?

use crate::drives::Drive;

/// What is reported of a drive that is gone.
pub const GONE: &str = "it no longer answers";

/// Files that are on every drive of a closed set; the first two also before it is closed.
const WITNESSES: [&str; 5] =
    ["label.json", "copy/label.json", "set.txt", "copy/set.txt", "checklist.b3"];

/// Does a drive still answer? What was read well before must be readable now; before anything was,
/// one of those files must be, or none be there.
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
        None => WITNESSES.iter().any(|name| read(&format!("{folder}/{name}"))),
    };
    (witness || !failed) && drive.list("").is_ok()
}

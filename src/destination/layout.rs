//! What lies where in the working folder.

/// The working folder, in DIR, unless the dataset has that name at its top.
pub const WORK: &str = ".holdall";
/// In DIR, the list of names that were mapped.
pub const NAMES: &str = "holdall-names.txt";
/// Names the shipment that is restored to DIR.
pub(super) const CLAIM: &str = "restore.json";
/// The folder of files that are not whole.
pub(super) const PARTS: &str = "parts";
/// The folder of large files that are not whole, which all that restore into DIR share.
pub(super) const SHARED: &str = "files";

/// The path from DIR of something in the working folder, for errors.
pub(super) fn work_path(name: &str) -> Vec<u8> {
    format!("{WORK}/{name}").into_bytes()
}

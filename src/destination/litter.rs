//! What systems leave at the root of a fresh drive: no content, so such a drive is empty.

use cap_std::fs::{Dir, MetadataExt};
use std::io;

use super::at::{as_path, holds_only, open_folder_at};

/// Names at a drive's root that a system put there by itself.
const LITTER: [&str; 15] = [
    "System Volume Information",
    "$RECYCLE.BIN",
    "RECYCLER",
    "Thumbs.db",
    "desktop.ini",
    ".DS_Store",
    ".Spotlight-V100",
    ".TemporaryItems",
    ".DocumentRevisions-V100",
    ".Trashes",
    "._.Trashes",
    ".fseventsd",
    ".apdisk",
    ".VolumeIcon.icns",
    ".metadata_never_index",
];
/// The trash of a desktop on Linux: a number follows.
const TRASH: &[u8] = b".Trash-";
/// The folder that a fresh ext4 comes with.
const LOST_AND_FOUND: &str = "lost+found";

/// Is this the name of litter? What the dataset has of that name takes its place.
pub(super) fn is_name_of_litter(name: &[u8]) -> bool {
    LITTER.iter().any(|litter| litter.as_bytes().eq_ignore_ascii_case(name))
        || name.strip_prefix(TRASH).is_some_and(|uid| uid.iter().all(u8::is_ascii_digit))
}

/// Is what has this name at DIR's root litter?
pub(super) fn is_litter(root: &Dir, name: &[u8]) -> bool {
    is_name_of_litter(name) || name == LOST_AND_FOUND.as_bytes() && is_empty_lost_and_found(root)
}

/// Root's and empty. Whoever may not look into it finds it empty.
fn is_empty_lost_and_found(root: &Dir) -> bool {
    let is_roots = |found: cap_std::fs::Metadata| found.is_dir() && found.uid() == 0;
    let is_empty = match open_folder_at(root, LOST_AND_FOUND.as_bytes()) {
        Ok(folder) => holds_only(&folder, |_| false).is_ok_and(|other| other.is_none()),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    root.symlink_metadata(as_path(LOST_AND_FOUND.as_bytes())).is_ok_and(is_roots) && is_empty
}

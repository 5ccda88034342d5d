//! What two entries of one path differ in besides type and content.

use crate::format::list::{Entry, Kind, Lack, shown_path};

/// In words, what an entry has here and had in the dataset; none if nothing differs. What the packer
/// could not take is not compared.
pub fn difference(entry: &Entry, here: &Entry) -> Option<String> {
    let mut words = Vec::new();
    // A symlink has no mode of its own.
    if entry.kind != Kind::Symlink && entry.mode != here.mode {
        words.push(format!("mode {:04o}, not {:04o}", here.mode, entry.mode));
    }
    if (entry.uid, entry.gid) != (here.uid, here.gid) {
        let (is, was) = ((here.uid, here.gid), (entry.uid, entry.gid));
        words.push(format!("owner {}:{}, not {}:{}", is.0, is.1, was.0, was.1));
    }
    if (entry.mtime, entry.mtime_nanos) != (here.mtime, here.mtime_nanos) {
        words.push("another modification time".into());
    }
    let lacks = |of: &Entry| of.lacks.contains(&Lack::Attributes);
    if !lacks(entry) && !lacks(here) {
        let has = |of: &Entry, one: &(Vec<u8>, Vec<u8>)| of.xattrs.contains(one);
        let other = entry.xattrs.iter().find(|one| !has(here, one));
        let other = other.or_else(|| here.xattrs.iter().find(|one| !has(entry, one)));
        words.extend(other.map(|(name, _)| format!("attribute {}", shown_path(name))));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

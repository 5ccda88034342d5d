//! Making the drives of an unclosed set ready to be gone on with.
//!
//! - Enters: the set as it is found, its records, the runs that this machine began.
//! - Leaves: drives that all carry the same records and catalog parts, and no litter.
//! - Always holds: (1) a file is removed only if its name is one that holdall gives, its run is one
//!   of those given, and no record on any drive names it; (2) what a desktop leaves in our folders
//!   (`.DS_Store`, `._x`, `Thumbs.db`, `desktop.ini`, folders too) is never touched and fails
//!   nothing.

use super::file_copies::digest_of;
use super::found::{FoundDrive, FoundSet};
use super::record_index::RecordIndex;
use crate::drives::{Drive, DriveError, ReadMode, WriteMode};
use crate::format::ids::{RunId, Slot, StripeId, StripeNumber, key_path, part_path, record_path};
use crate::format::layout::{COPY, CUSTODY};
use crate::format::list::Hash;
use crate::format::metadata_file::{MetadataKind, Written, most_bytes};
use crate::format::set::SetText;
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind};
use std::collections::HashSet;
use std::io::ErrorKind;

/// A shard's line in the checklist, at most.
const CHECKLIST_LINE_BYTES: u64 = 128;
/// What file systems round a small file up to.
const UNIT_BYTES: u64 = 4096;

/// Removes what a run that was broken off has left and no record names.
pub fn remove_litter(
    set: &FoundSet,
    record_index: &RecordIndex,
    begun: &[RunId],
    monitor: &dyn Monitor,
) {
    let parts: HashSet<String> =
        record_index.parts().map(|(run, p)| part_path(run, p.number)).collect();
    let idle: Vec<RunId> = begun
        .iter()
        .filter(|id| record_index.runs().iter().all(|r| r.run != **id))
        .copied()
        .collect();
    for found in set.all_drives() {
        remove_keys(set, found, &idle, monitor);
        let removed =
            remove_shards(set, found, &|id| begun.contains(&id.run) && !record_index.has(id))
                .and_then(|shards| Ok(shards + remove_files(set, found, begun, &parts)?));
        match removed {
            Ok(0) => {}
            Ok(count) => monitor.note(&format!(
                "{}: {count} files of the interrupted run were removed",
                found.drive.name()
            )),
            Err(e) => report(found, &e, monitor),
        }
    }
}

/// How many files lie on a drive that look like ours and that neither a record nor set.txt names.
/// Without the packing machine's state nothing proves that no record on an absent drive names them:
/// they are left.
pub fn count_litter(
    set: &FoundSet,
    record_index: &RecordIndex,
    text: &SetText,
    found: &FoundDrive,
) -> u64 {
    let list = |folder: &str| found.drive.list(&format!("{}/{folder}", set.folder));
    let names = |folder: &str| list(folder).unwrap_or_default();
    let is_litter = |name: &String| stripe_of(name).is_some_and(|id| !record_index.has(id));
    let groups = names("shards").into_iter().filter(|name| is_group(name));
    let shards: usize = groups
        .map(|group| {
            names(&format!("shards/{group}")).iter().filter(|name| is_litter(name)).count()
        })
        .sum();
    let parts: HashSet<String> = text.parts.iter().map(|p| part_path(p.run, p.part)).collect();
    let unnamed = |name: &&String| {
        is_temporary(name) || has_ending(name, "cat") && !parts.contains(&format!("catalog/{name}"))
    };
    let rest = [names("records"), names("catalog")].concat();
    (shards + rest.iter().filter(unnamed).count()) as u64
}

fn report(found: &FoundDrive, e: &DriveError, monitor: &dyn Monitor) {
    monitor.problem(Problem::new(ProblemKind::Drive, found.drive.name(), error_chain(e)));
}

fn remove_shards(
    set: &FoundSet,
    found: &FoundDrive,
    is_litter: &dyn Fn(StripeId) -> bool,
) -> Result<u64, DriveError> {
    let mut removed = 0;
    let shards = format!("{}/shards", set.folder);
    for group in found.drive.list(&shards)?.iter().filter(|name| is_group(name)) {
        for name in found.drive.list(&format!("{shards}/{group}"))? {
            if stripe_of(&name).is_some_and(is_litter) {
                found.drive.remove(&format!("{shards}/{group}/{name}"))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Is this how a folder of shards is called?
pub fn is_group(name: &str) -> bool {
    (5..=8).contains(&name.len()) && is_lower_hex(name)
}

/// Is this how a shard is called?
pub fn is_shard(name: &str) -> bool {
    stripe_of(name).is_some()
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The stripe that a shard's name tells.
fn stripe_of(name: &str) -> Option<StripeId> {
    let mut words = name.split('-');
    let (run, number, index) = (words.next()?, words.next()?, words.next()?);
    let lower = |text: &str, len: usize| text.len() == len && is_lower_hex(text);
    if words.next().is_some() || !lower(number, 8) || !lower(index, 2) {
        return None;
    }
    let number = StripeNumber(u32::from_str_radix(number, 16).ok()?);
    Some(StripeId { run: run.parse().ok()?, number })
}

/// Catalog parts that no record names, and what was written there under a temporary name.
fn remove_files(
    set: &FoundSet,
    found: &FoundDrive,
    begun: &[RunId],
    parts: &HashSet<String>,
) -> Result<u64, DriveError> {
    let mut removed = 0;
    let of_run = |name: &str| begun.iter().any(|run| name.starts_with(&run.to_string()));
    for folder in ["records", "catalog"] {
        for name in found.drive.list(&format!("{}/{folder}", set.folder))? {
            let path = format!("{folder}/{name}");
            let unnamed = has_ending(&name, "cat") && !parts.contains(&path);
            if of_run(&name) && (unnamed || is_temporary(&name)) {
                found.drive.remove(&format!("{}/{path}", set.folder))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Removes labels and keys of a set of which nothing counts, so that it can be begun anew.
pub fn remove_beginnings(set: &FoundSet, begun: &[RunId], monitor: &dyn Monitor) {
    reopen(set, monitor);
    for found in set.all_drives() {
        remove_keys(set, found, begun, monitor);
        if let Err(e) = found.drive.remove(&format!("{}/label.json", set.folder)) {
            report(found, &e, monitor);
        }
    }
}

/// Says of a file's name whether it is to be removed.
type IsMeant<'a> = &'a dyn Fn(&str) -> bool;

/// Removes what closing writes, from a set whose closing was broken off: it is closed anew. And
/// what was written beside it under a temporary name.
pub fn reopen(set: &FoundSet, monitor: &dyn Monitor) {
    let second = |below: &str| format!("{}/{COPY}{below}", set.folder);
    let at_close = |kind: MetadataKind| kind.written() == Written::AtClose;
    let own = |name: &str| is_temporary(name) || MetadataKind::at(name).is_some_and(at_close);
    let folders: [(String, IsMeant); 5] = [
        (second(""), &is_given),
        (second("/records"), &is_given),
        (second("/catalog"), &is_given),
        (format!("{}/{CUSTODY}", set.folder), &is_temporary),
        (set.folder.clone(), &own),
    ];
    for found in set.all_drives() {
        let removed =
            folders.iter().try_for_each(|(folder, is_meant)| remove_all(found, folder, is_meant));
        if let Err(e) = removed {
            report(found, &e, monitor);
        }
    }
}

/// Is this the name of a file of ours, or how a crash leaves one?
fn is_given(name: &str) -> bool {
    let whole = name.strip_suffix(".tmp").unwrap_or(name);
    let endings = ["rec", "cat", "age"];
    let word = |ending: &str| !name.starts_with('.') && has_ending(whole, ending);
    ["label.json", "set.txt"].contains(&whole) || endings.into_iter().any(word)
}

/// Is this how a file is called until it is whole?
pub fn is_temporary(name: &str) -> bool {
    has_ending(name, "tmp") && !name.starts_with('.')
}

/// Is there no file of ours in a folder and those below it? What cannot be looked at may be one.
pub(super) fn is_bare(drive: &dyn Drive, folder: &str) -> bool {
    let is_nothing = |name: &String| {
        let path = format!("{folder}/{name}");
        is_foreign(name)
            || match drive.open(&path, ReadMode::Cached) {
                Ok(_) => is_temporary(name),
                Err(e) => e.source.kind() == ErrorKind::IsADirectory && is_bare(drive, &path),
            }
    };
    drive.list(folder).is_ok_and(|names| names.iter().all(is_nothing))
}

/// Does a desktop leave a file or folder of this name?
fn is_foreign(name: &str) -> bool {
    name.starts_with('.') || ["Thumbs.db", "desktop.ini"].contains(&name)
}

fn has_ending(name: &str, ending: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, found)| found == ending)
}

/// Removes the files of these names in a folder. Folders in it are left.
fn remove_all(found: &FoundDrive, folder: &str, is_meant: IsMeant) -> Result<(), DriveError> {
    for name in found.drive.list(folder)?.iter().filter(|name| is_meant(name)) {
        let path = format!("{folder}/{name}");
        if found.drive.open(&path, ReadMode::Cached).is_ok() {
            found.drive.remove(&path)?;
        }
    }
    Ok(())
}

/// Bytes that closing the set takes on a drive for what is there already: lines of the checklist,
/// and second copies in a small set.
pub fn closing_bytes(set: &FoundSet, record_index: &RecordIndex, drives: usize) -> u64 {
    let lines = record_index.records() as u64 * CHECKLIST_LINE_BYTES;
    let records = record_index.files().map(|(h, _)| record_path(h.run, h.number));
    let parts = record_index.parts().map(|(run, part)| part_path(run, part.number));
    let len = |path: String| {
        let copies = set.open_copies(&path);
        copies.first().map_or(0, |file| file.len()).next_multiple_of(UNIT_BYTES)
    };
    let is_copied =
        |path: &String| MetadataKind::at(path).is_some_and(|kind| kind.has_second_copy(drives));
    lines + records.chain(parts).filter(is_copied).map(len).sum::<u64>()
}

/// Removes the keys of runs that have nothing that counts.
fn remove_keys(set: &FoundSet, found: &FoundDrive, runs: &[RunId], monitor: &dyn Monitor) {
    for key in runs.iter().map(|run| key_path(*run)) {
        for name in [key.replace(".age", ".b3"), key] {
            if let Err(e) = found.drive.remove(&format!("{}/{name}", set.folder)) {
                report(found, &e, monitor);
            }
        }
    }
}

/// Gives every drive the records and catalog parts that it lacks. The slots whose drives now carry
/// them all; a drive that says otherwise, or cannot be written to, is not among them.
pub fn level(set: &FoundSet, record_index: &RecordIndex, monitor: &dyn Monitor) -> Vec<Slot> {
    let records = record_index.files().map(|(h, root)| (record_path(h.run, h.number), *root));
    let parts = record_index.parts().map(|(run, part)| (part_path(run, part.number), part.root));
    let wanted: Vec<(String, Hash)> = records.chain(parts).collect();
    let agrees = |found: &&FoundDrive| {
        wanted.iter().all(|(path, root)| match give(set, found, path, root) {
            Ok(()) => true,
            Err(detail) => {
                let detail = format!("{detail}; it is left out from here on");
                monitor.problem(Problem::new(ProblemKind::Drive, found.drive.name(), detail));
                false
            }
        })
    };
    set.drives.iter().filter(agrees).map(|found| found.label.slot).collect()
}

/// Copies a file to a drive that lacks it.
fn give(set: &FoundSet, found: &FoundDrive, path: &str, root: &Hash) -> Result<(), String> {
    let place = format!("{}/{path}", set.folder);
    match digest_of(found.drive.as_ref(), &place, most_bytes(path), ReadMode::Cached) {
        Ok(digest) if digest == *root => return Ok(()),
        Ok(_) => return Err(format!("{path} is not what the other drives have")),
        Err(e) if e.is_missing() => {}
        Err(e) => return Err(error_chain(&e)),
    }
    let sound = set.sound_copy(path, root);
    // A part of which no copy is left is reported by verify; the shards' lists stand in for it.
    let Some(bytes) = sound else { return Ok(()) };
    let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    let given = found
        .drive
        .make_folder(folder)
        .and_then(|()| found.drive.write(&place, &bytes, WriteMode::Commit));
    given.map_err(|e| error_chain(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_holdall_gives_are_shards() {
        let run = RunId(0xab);
        let id = StripeId { run, number: StripeNumber(0x1f) };
        let path = crate::format::ids::shard_path(id, 3);
        assert_eq!(stripe_of(path.rsplit_once('/').unwrap().1), Some(id));
        let good = "00000000000000ab-0000001f-03";
        assert_eq!(stripe_of(good), Some(id));
        for bad in [
            "",
            "a-b-c",
            &good[1..],
            &format!("{good}-00"),
            &good.replace('f', "F"),
            "00000000000000ab-0000001f-0x",
            "00000000000000ab-+000001f-03",
        ] {
            assert_eq!(stripe_of(bad), None, "{bad}");
        }
    }
}

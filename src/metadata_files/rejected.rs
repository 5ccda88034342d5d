//! Copies of set.txt and of wrapped keys that lie on a drive and do not count.
//!
//! - Enters: a set, and which BLAKE3s of a file count, or were reported.
//! - Leaves: of each drive that has another copy of it one problem.
//! - Always holds: what is merely missing is none: verify reports that.

use super::key_files::KeyFiles;
use crate::drives::{ReadMode, on_each};
use crate::format::ids::key_path;
use crate::format::list::Hash;
use crate::format::metadata_file::most_bytes;
use crate::format::set::SetText;
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shipment::FoundSet;
use crate::shipment::file_copies::digest_of;
use crate::shipment::texts::{report_rejected, texts};

/// Reports which drives have copies of a file that do not count.
pub fn report_rejected_copies(
    set: &FoundSet,
    path: &str,
    counts: &(dyn Fn(&Hash) -> bool + Sync),
    monitor: &dyn Monitor,
) {
    let drives: Vec<_> = set.all_drives().collect();
    let reason = |drive: usize, place: String| {
        let drive = drives[drive].drive.as_ref();
        match digest_of(drive, &place, most_bytes(path), ReadMode::Cached) {
            Ok(digest) if counts(&digest) => None,
            Ok(_) => Some((place, "it differs from the one that counts".to_owned())),
            Err(e) if e.is_missing() => None,
            Err(e) => Some((place, error_chain(&e))),
        }
    };
    let looked = on_each(drives.len(), |i| {
        set.paths(path).into_iter().filter_map(|place| reason(i, place)).collect::<Vec<_>>()
    });
    for (found, rejected) in drives.iter().zip(looked) {
        let Some((place, reason)) = rejected.first() else { continue };
        let too = if rejected.len() > 1 { ", and so is its second copy" } else { "" };
        let detail = format!("is rejected{too}: {reason}; holdall repair makes a new one");
        let subject = format!("{}: {place}", found.drive.name());
        monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }
}

/// The same of a set of which no key is at hand; where valid ones differ, that was reported.
pub fn report_rejected_copies_keyless(
    set: &FoundSet,
    text: Option<&SetText>,
    keys: &KeyFiles,
    monitor: &dyn Monitor,
) {
    match text {
        None => report_rejected(set, monitor),
        Some(_) => {
            let texts = texts(set);
            report_rejected_copies(set, "set.txt", &|root| texts.contains_key(root), monitor);
        }
    }
    for (run, file) in keys {
        report_rejected_copies(set, &key_path(*run), &|hash| file.is_spoken_for(hash), monitor);
    }
}

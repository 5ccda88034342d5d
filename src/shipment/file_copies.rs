//! The files of a set on its drives, of which each may have a copy, and a second one.
//!
//! - Enters: a set as it was found, and the path of a file in its folder.
//! - Leaves: the copies as they can be read, and the names that lie there.
//! - Always holds: (1) drives are read at the same time, each of them in order; (2) at most one
//!   copy of a file that may be large is held.

use super::found::{FoundDrive, FoundSet};
use crate::drives::{self, Drive, DriveError, DriveFile, ReadMode};
use crate::format::ids::{RunId, key_path, parse_record_name};
use crate::format::key::MAX_KEY_BYTES;
use crate::format::list::Hash;
use crate::format::metadata_file::most_bytes;
use std::collections::{BTreeMap, BTreeSet};

/// How a copy of a record file ends: its length, and the digest that it carries.
pub(super) type FileEnd = (u64, Hash);

/// A copy of a file of the set.
pub struct FileCopy<'a, T> {
    /// the drive that it is on
    pub found: &'a FoundDrive,
    /// its path there
    pub path: String,
    /// what came of reading it
    pub read: T,
}

/// The BLAKE3 of a file that is not held.
pub fn digest_of(
    drive: &dyn Drive,
    path: &str,
    limit: u64,
    mode: ReadMode,
) -> Result<Hash, DriveError> {
    let mut hasher = blake3::Hasher::new();
    drive.read_parts(path, limit, mode, &mut |part| {
        hasher.update(part);
    })?;
    Ok(*hasher.finalize().as_bytes())
}

fn end_of(drive: &dyn Drive, path: &str) -> Result<FileEnd, DriveError> {
    let (mut file, mut end) = (drive.open(path, ReadMode::Cached)?, Hash::default());
    let len = file.len();
    if let Some(at) = len.checked_sub(end.len() as u64) {
        file.read_at(at, &mut end)?;
    }
    Ok((len, end))
}

impl FoundSet {
    /// The copies of a small file of the set, from each drive and its second copy, as they can be
    /// read; all drives are read at the same time.
    pub fn small_copies(
        &self,
        path: &str,
        limit: u64,
    ) -> Vec<FileCopy<'_, Result<Vec<u8>, DriveError>>> {
        self.on_all_copies(path, |found, place| found.drive.read(&place, limit))
    }

    /// How the copies of files end, each at its places; a drive reads those of all files in turn, and
    /// all drives at the same time. One that lies at one place alone is not looked at.
    pub(super) fn ends(
        &self,
        files: &[(String, &[u16])],
    ) -> Vec<Vec<FileCopy<'_, Result<FileEnd, DriveError>>>> {
        let found: Vec<&FoundDrive> = self.all_drives().collect();
        let of_drive = |drive: usize| {
            let found = found[drive];
            let of_file = |(path, places): &(String, &[u16])| {
                let of_drive = places.iter().filter(|at| usize::from(**at / 2) == drive);
                let copy = |at: &u16| {
                    let path = self.paths(path)[usize::from(at % 2)].clone();
                    let is_alone = places.len() == 1;
                    let end = || end_of(found.drive.as_ref(), &path);
                    let read = if is_alone { Ok(FileEnd::default()) } else { end() };
                    FileCopy { found, path, read }
                };
                of_drive.map(copy).collect::<Vec<_>>()
            };
            files.iter().map(of_file).collect::<Vec<_>>()
        };
        let mut ends: Vec<Vec<_>> = files.iter().map(|_| Vec::new()).collect();
        for of_drive in drives::on_each(found.len(), of_drive) {
            ends.iter_mut().zip(of_drive).for_each(|(ends, copies)| ends.extend(copies));
        }
        ends
    }

    fn on_all_copies<T: Send>(
        &self,
        path: &str,
        read: impl Fn(&FoundDrive, String) -> T + Sync,
    ) -> Vec<FileCopy<'_, T>> {
        let all: Vec<u16> = (0..self.all_drives().count() as u16 * 2).collect();
        self.on_copies(path, &all, read)
    }

    /// The same of these places alone: see [`FoundSet::placed`].
    fn on_copies<T: Send>(
        &self,
        path: &str,
        places: &[u16],
        read: impl Fn(&FoundDrive, String) -> T + Sync,
    ) -> Vec<FileCopy<'_, T>> {
        let found: Vec<&FoundDrive> = self.all_drives().collect();
        let by_drive: Vec<&[u16]> = places.chunk_by(|a, b| a / 2 == b / 2).collect();
        let of_place = |at: &u16| {
            let (found, [own, second]) = (found[usize::from(at / 2)], self.paths(path));
            let path = if at % 2 == 1 { second } else { own };
            let read = read(found, path.clone());
            FileCopy { found, path, read }
        };
        let of_drive = |i: usize| by_drive[i].iter().map(of_place).collect::<Vec<_>>();
        drives::on_each(by_drive.len(), of_drive).into_iter().flatten().collect()
    }

    /// The names in a folder of the set, each with the numbers of the places that list it: drive by
    /// drive, that of the second copy after its own. Where a folder cannot be listed, each may lie.
    pub(super) fn placed(&self, folder: &str) -> BTreeMap<String, Vec<u16>> {
        let mut placed: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        let mut blind = Vec::new();
        let lists = self.on_all_copies(folder, |found, place| found.drive.list(&place));
        for (at, listed) in (0..).zip(lists) {
            match listed.read {
                Ok(names) => names.into_iter().for_each(|n| placed.entry(n).or_default().push(at)),
                Err(e) if e.is_missing() => {}
                Err(_) => blind.push(at),
            }
        }
        for places in placed.values_mut().filter(|_| !blind.is_empty()) {
            places.extend(&blind);
            places.sort_unstable();
        }
        placed
    }

    /// The copies of a file of the set, one after the other, as they can be read.
    pub fn copies<'a>(
        &'a self,
        path: &'a str,
        limit: u64,
    ) -> impl Iterator<Item = FileCopy<'a, Result<Vec<u8>, DriveError>>> + 'a {
        self.all_drives().flat_map(move |found| {
            self.paths(path).into_iter().map(move |path| {
                let read = found.drive.read(&path, limit);
                FileCopy { found, path, read }
            })
        })
    }

    /// The bytes of a copy of this BLAKE3; only one that has it is held.
    pub fn sound_copy(&self, path: &str, root: &Hash) -> Option<Vec<u8>> {
        let limit = most_bytes(path);
        let is_it = |drive: &dyn Drive, place: &str| {
            digest_of(drive, place, limit, ReadMode::Cached).is_ok_and(|digest| digest == *root)
        };
        let places = self.all_drives().flat_map(|found| {
            self.paths(path).into_iter().map(|place| (found.drive.as_ref(), place))
        });
        let read = |(drive, place): (&dyn Drive, String)| {
            let bytes = is_it(drive, &place).then(|| drive.read(&place, limit).ok()).flatten()?;
            (blake3::hash(&bytes).as_bytes() == root).then_some(bytes)
        };
        { places }.find_map(read)
    }

    /// Opens the copies of a file at these places that can be opened.
    pub(super) fn open_at(&self, path: &str, places: &[u16]) -> Vec<Box<dyn DriveFile>> {
        let found: Vec<&FoundDrive> = self.all_drives().collect();
        let open = |at: &u16| {
            let place = &self.paths(path)[usize::from(at % 2)];
            found[usize::from(at / 2)].drive.open(place, ReadMode::Cached).ok()
        };
        places.iter().filter_map(open).collect()
    }

    /// Opens every copy of a file of the set that can be opened.
    pub fn open_copies(&self, path: &str) -> Vec<Box<dyn DriveFile>> {
        self.all_drives()
            .flat_map(|found| self.paths(path).map(|p| found.drive.open(&p, ReadMode::Cached).ok()))
            .flatten()
            .collect()
    }

    /// The names in a folder of the set on any drive, second copies too, each once.
    pub fn names(&self, folder: &str) -> Vec<String> {
        self.placed(folder).into_keys().collect()
    }

    /// The runs whose wrapped keys lie on the drives. A key file makes no run: those count that
    /// set.txt or records name.
    pub fn runs(&self) -> BTreeSet<RunId> {
        let run = |name: String| {
            name.strip_prefix("key-").and_then(|n| n.strip_suffix(".age")).map(str::parse::<RunId>)
        };
        self.names("").into_iter().filter_map(run).filter_map(Result::ok).collect()
    }

    /// The runs of which record files lie on the drives, by their names, and on how many drives.
    pub fn recorded_runs(&self) -> BTreeMap<RunId, usize> {
        let runs_on = |found: &FoundDrive| -> BTreeSet<RunId> {
            let names = self.paths("records").into_iter();
            let names = names.flat_map(|place| found.drive.list(&place).unwrap_or_default());
            names.filter_map(|name| parse_record_name(&name)).map(|(run, _)| run).collect()
        };
        let found: Vec<&FoundDrive> = self.all_drives().collect();
        let mut runs = BTreeMap::new();
        for run in drives::on_each(found.len(), |i| runs_on(found[i])).into_iter().flatten() {
            *runs.entry(run).or_default() += 1;
        }
        runs
    }

    /// The different copies of a run's wrapped key, that of most places first.
    pub fn key_files(&self, run: RunId) -> Vec<Vec<u8>> {
        let mut files: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for bytes in
            self.small_copies(&key_path(run), MAX_KEY_BYTES).into_iter().flat_map(|c| c.read)
        {
            *files.entry(bytes).or_default() += 1;
        }
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by_key(|(_, places)| std::cmp::Reverse(*places));
        files.into_iter().map(|(bytes, _)| bytes).collect()
    }
}

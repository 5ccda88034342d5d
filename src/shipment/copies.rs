//! The copies of record files on the drives, judged.
//!
//! - Enters: runs, numbers, and the places that list the files.
//! - Leaves: of each file the different copies that are sound; the others that were looked at were
//!   reported.
//! - Always holds: (1) of several what their records name is held of one; (2) copies of one length
//!   that carry one digest are taken to be alike: of these one is read, if it is sound, and each
//!   file from another drive than the last; two that are sound and differ carry different digests,
//!   and who reads another copy later holds it against the digest; (3) what is damaged in a copy
//!   that is not read tells who reads them all: verify.

use super::file_copies::{FileCopy, FileEnd};
use super::found::FoundSet;
use super::named::named;
use super::sound_file::{RecordFacts, SoundFile};
use super::texts::has_end;
use crate::drives::{Drive, DriveError, on_each};
use crate::format::FormatError;
use crate::format::ids::{RunId, record_path};
use crate::format::list::Hash;
use crate::format::record::{self, FileHashes, MAX_RECORD_FILE_BYTES, RecordFileHeader};
use crate::format::set::SetText;
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Record files that are read and held at the same time.
const FILES_AT_ONCE: usize = 4;

/// Says whether a record file is authentic; nothing if the key of its run is not at hand.
pub type Authentic<'a> = &'a (dyn Fn(&RecordFileHeader, &FileHashes) -> Option<bool> + Sync);

/// Reads the copies of record files and judges them.
#[derive(Clone, Copy)]
pub(super) struct CopyCheck<'a> {
    pub(super) set: &'a FoundSet,
    pub(super) authentic: Option<Authentic<'a>>,
    pub(super) monitor: &'a dyn Monitor,
}

/// A copy: the drive, and its path there.
type Copy = (Arc<dyn Drive>, String);

/// A record file, and its places.
pub(super) type ListedFile<'a> = (RunId, u32, &'a [u16]);

/// What the copies of a record file are.
#[derive(Default)]
pub(super) struct CheckedCopies {
    /// the different ones that are sound
    pub(super) sound: Vec<SoundFile>,
    /// all that are there are sound, but not made by their run
    pub(super) foreign: bool,
    /// some are
    pub(super) forged: bool,
    /// some that were looked at are not as they were written
    damaged: bool,
    /// what is wrong with those that do not count
    problems: Vec<Problem>,
}

/// A record file that was read.
struct ReadFile {
    header: RecordFileHeader,
    digest: Hash,
    records: Vec<RecordFacts>,
}

/// Why a copy of a record file does not count.
enum Refused {
    /// it is not as it was written
    Damaged(String),
    /// its run did not make it
    Foreign,
    /// it is not there
    Missing,
}

impl From<FormatError> for Refused {
    fn from(error: FormatError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl CopyCheck<'_> {
    /// The copies of a record file. Those that are looked at and not sound are reported.
    pub(super) fn check(&self, run: RunId, number: u32, places: &[u16]) -> CheckedCopies {
        self.check_all(&[(run, number, places)]).pop().unwrap_or_default()
    }

    /// The same of several files, of which a few are read at the same time.
    pub(super) fn check_all(&self, files: &[ListedFile]) -> Vec<CheckedCopies> {
        let path = |(run, number, places)| (record_path(run, number), places);
        let paths: Vec<(String, &[u16])> = files.iter().copied().map(path).collect();
        let copies: Vec<_> =
            self.set.ends(&paths).into_iter().map(|c| Mutex::new(Some(c))).collect();
        let next = AtomicUsize::new(0);
        let in_turn = |_| {
            let mut checked = Vec::new();
            while let Some((at, (run, number, _))) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                files.get(at).map(|file| (at, *file))
            } {
                let copies = copies[at].lock().take().unwrap_or_default();
                checked.push((at, self.check_one(run, number, copies)));
            }
            checked
        };
        let mut checked: Vec<_> =
            on_each(FILES_AT_ONCE.min(files.len()), in_turn).into_iter().flatten().collect();
        checked.sort_by_key(|(at, _)| *at);
        let told = checked.iter_mut().flat_map(|(_, copies)| copies.problems.drain(..));
        told.for_each(|problem| self.monitor.problem(problem));
        checked.into_iter().map(|(_, copies)| copies).collect()
    }

    fn check_one(
        &self,
        run: RunId,
        number: u32,
        copies: Vec<FileCopy<'_, Result<FileEnd, DriveError>>>,
    ) -> CheckedCopies {
        let mut checked = CheckedCopies::default();
        let mut alike: Vec<(FileEnd, Vec<Copy>)> = Vec::new();
        for FileCopy { found, path, read } in copies {
            let copy = (found.drive.clone(), path);
            match read {
                Err(e) if e.is_missing() => {}
                Err(e) => checked.damaged(&copy, &error_chain(&e)),
                Ok(end) => match alike.iter_mut().find(|(of, _)| *of == end) {
                    Some((_, copies)) => copies.push(copy),
                    None => alike.push((end, vec![copy])),
                },
            }
        }
        for (_, copies) in alike {
            self.check_alike(run, number, copies, &mut checked);
        }
        checked.foreign = checked.forged && !checked.damaged;
        checked
    }

    /// Copies that end alike: the first that is sound stands for all but those that were found not
    /// to be.
    fn check_alike(
        &self,
        run: RunId,
        number: u32,
        mut copies: Vec<Copy>,
        checked: &mut CheckedCopies,
    ) {
        let first = number as usize % copies.len();
        let mut bad = BTreeSet::new();
        for at in (first..copies.len()).chain(0..first) {
            match self.read(run, number, &copies[at]) {
                Ok(ReadFile { header, digest, mut records }) => {
                    // One of them counts: what another names is looked up if that is the one.
                    if !checked.sound.is_empty() {
                        records = Vec::new();
                    }
                    let mut numbers = 0..;
                    copies.retain(|_| numbers.next().is_some_and(|at| !bad.contains(&at)));
                    return checked.sound.push(SoundFile { header, digest, copies, records });
                }
                Err(Refused::Damaged(detail)) => {
                    checked.damaged(&copies[at], &detail);
                    bad.insert(at);
                }
                Err(Refused::Missing) => {
                    bad.insert(at);
                }
                Err(Refused::Foreign) => {
                    checked.forged = true;
                    let others = (0..copies.len()).filter(|at| !bad.contains(at));
                    let detail = "is not authentic: its run did not make it";
                    return others.for_each(|at| checked.refuse(&copies[at], detail));
                }
            }
        }
    }

    /// Reports what is wrong with a copy.
    pub(super) fn report(&self, copy: &Copy, detail: &str) {
        self.monitor.problem(problem(copy, detail));
    }

    fn read(&self, run: RunId, number: u32, (drive, path): &Copy) -> Result<ReadFile, Refused> {
        let set = self.set;
        let bytes = drive.read(path, MAX_RECORD_FILE_BYTES);
        let bytes = bytes.map_err(|e| {
            if e.is_missing() { Refused::Missing } else { Refused::Damaged(error_chain(&e)) }
        })?;
        let hashes = FileHashes::of(&bytes);
        let header = record::decode_hashed(&bytes, hashes.as_ref())?;
        if (header.shipment, header.set, header.run, header.number)
            != (set.shipment, set.set, run, number)
        {
            let detail = "belongs elsewhere: its shipment, set, run or number is different";
            return Err(Refused::Damaged(detail.into()));
        }
        let is_authentic = self.authentic.zip(hashes.as_ref()).map(|(is, of)| is(&header, of));
        match is_authentic {
            Some(None) => {
                let detail = "cannot be checked: the key of its run is not at hand";
                return Err(Refused::Damaged(detail.into()));
            }
            Some(Some(false)) => return Err(Refused::Foreign),
            Some(Some(true)) | None => {}
        }
        let mut records = Vec::with_capacity(header.stripes as usize); // which is bounded
        for record in record::outlines(&header, &bytes) {
            records.push(RecordFacts::of(&record?));
        }
        let digest = hashes.map_or_else(Hash::default, |hashes| hashes.whole);
        Ok(ReadFile { header, digest, records })
    }
}

fn problem((drive, path): &Copy, detail: &str) -> Problem {
    Problem::new(ProblemKind::Damage, format!("{}: {path}", drive.name()), detail)
}

impl CheckedCopies {
    fn damaged(&mut self, copy: &Copy, detail: &str) {
        self.damaged = true;
        self.refuse(copy, detail);
    }

    fn refuse(&mut self, copy: &Copy, detail: &str) {
        self.problems.push(problem(copy, detail));
    }
}

/// The record files that are sound and that a set.txt with a MAC does not name: whoever made them,
/// they were not part of the set when it was closed.
pub fn foreign_records(set: &FoundSet, text: &SetText) -> Vec<String> {
    if text.mac.is_none() {
        return Vec::new(); // where a drive was not here, there may be some
    }
    let quiet = Recording::default();
    let check = CopyCheck { set, authentic: None, monitor: &quiet };
    let mut foreign = Vec::new();
    for (run, numbers) in named(set) {
        for (number, places) in numbers.iter().filter(|(n, _)| !text.names_records(run, **n)) {
            if !check.check(run, *number, places).sound.is_empty() {
                foreign.push(record_path(run, *number));
            }
        }
    }
    foreign
}

/// Those of them that stand against a set.txt, for which these drives vouch. Those of them that
/// carry none bear out that it is no part of the set; but if none does, or a carrier vouches for
/// none though it was here when the set was closed, set.txt may be what was turned.
pub fn contested_records(set: &FoundSet, text: &SetText, vouching: &[String]) -> Vec<String> {
    let (mut bearing_out, mut against, mut carriers) = (0, 0, 0);
    for found in set.all_drives() {
        let alone = FoundSet { drives: vec![found.clone()], duplicates: Vec::new(), ..set.clone() };
        let is_carrier = !foreign_records(&alone, text).is_empty();
        let is_vouching = vouching.iter().any(|name| name == found.drive.name());
        carriers += usize::from(is_carrier);
        bearing_out += usize::from(is_vouching && !is_carrier);
        against += usize::from(!is_vouching && is_carrier && has_end(set, found));
    }
    let is_contested = carriers > 0 && (bearing_out == 0 || against > 0);
    if is_contested { foreign_records(set, text) } else { Vec::new() }
}

//! The copies of a record file on the drives, read and judged one by one.
//!
//! - Enters: a run, a number, and the places that list the file.
//! - Leaves: the different copies that are sound; the others were reported.
//! - Always holds: of several what their records name is held of one.

use super::file_copies::{Digested, FileCopy};
use super::found::{FoundDrive, FoundSet};
use super::named::named;
use super::sound_file::{RecordFacts, SoundFile};
use super::texts::has_end;
use crate::drives::Drive;
use crate::format::FormatError;
use crate::format::ids::{RunId, record_path};
use crate::format::record::{self, MAX_RECORD_FILE_BYTES, RecordFileHeader};
use crate::format::set::SetText;
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use std::sync::Arc;

/// Says whether a record file is authentic; nothing if the key of its run is not at hand.
pub type Authentic<'a> = &'a dyn Fn(&RecordFileHeader, &[u8]) -> Option<bool>;

/// Reads the copies of record files and judges them.
#[derive(Clone, Copy)]
pub(super) struct CopyCheck<'a> {
    pub(super) set: &'a FoundSet,
    pub(super) authentic: Option<Authentic<'a>>,
    pub(super) monitor: &'a dyn Monitor,
}

/// What the copies of a record file are.
pub(super) struct CheckedCopies {
    /// the different ones that are sound
    pub(super) sound: Vec<SoundFile>,
    /// all that are there are sound, but not made by their run
    pub(super) foreign: bool,
    /// some are
    pub(super) forged: bool,
}

/// Why a copy of a record file does not count.
enum Refused {
    /// it is not as it was written
    Damaged(String),
    /// its run did not make it
    Foreign,
}

impl From<FormatError> for Refused {
    fn from(error: FormatError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl CopyCheck<'_> {
    /// The copies of a record file. Those that are there and not sound are reported.
    pub(super) fn check(&self, run: RunId, number: u32, places: &[u16]) -> CheckedCopies {
        let path = record_path(run, number);
        let mut found: Vec<SoundFile> = Vec::new();
        let (mut foreign, mut damaged) = (false, false);
        for FileCopy { found: on, path, read } in
            self.set.digested_copies(&path, MAX_RECORD_FILE_BYTES, places)
        {
            let copy = (on.drive.clone(), path.clone());
            let read = match read {
                Err(e) if e.is_missing() => continue,
                Err(e) => {
                    damaged = true;
                    self.report(&copy, &error_chain(&e));
                    continue;
                }
                Ok(read) => read,
            };
            let digest = read.digest;
            if let Some(same) = found.iter_mut().find(|file| file.digest == digest) {
                same.copies.push(copy);
                continue;
            }
            let bytes = bytes_of(on, &path, read);
            match bytes.map_err(Refused::Damaged).and_then(|b| self.decode(run, number, &b)) {
                Ok((header, mut records)) => {
                    // One of them counts: what another names is looked up if that is the one.
                    if !found.is_empty() {
                        records = Vec::new();
                    }
                    found.push(SoundFile { header, digest, copies: vec![copy], records });
                }
                Err(Refused::Damaged(detail)) => {
                    damaged = true;
                    self.report(&copy, &detail);
                }
                Err(Refused::Foreign) => {
                    foreign = true;
                    self.report(&copy, "is not authentic: its run did not make it");
                }
            }
        }
        CheckedCopies { sound: found, foreign: foreign && !damaged, forged: foreign }
    }

    /// Reports what is wrong with a copy.
    pub(super) fn report(&self, (drive, path): &(Arc<dyn Drive>, String), detail: &str) {
        let subject = format!("{}: {path}", drive.name());
        self.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }

    fn decode(
        &self,
        run: RunId,
        number: u32,
        bytes: &[u8],
    ) -> Result<(RecordFileHeader, Vec<RecordFacts>), Refused> {
        let set = self.set;
        let header = record::decode_file(bytes)?;
        if (header.shipment, header.set, header.run, header.number)
            != (set.shipment, set.set, run, number)
        {
            let detail = "belongs elsewhere: its shipment, set, run or number is different";
            return Err(Refused::Damaged(detail.into()));
        }
        match self.authentic.map(|is| is(&header, bytes)) {
            Some(None) => {
                let detail = "cannot be checked: the key of its run is not at hand";
                return Err(Refused::Damaged(detail.into()));
            }
            Some(Some(false)) => return Err(Refused::Foreign),
            Some(Some(true)) | None => {}
        }
        let mut facts = Vec::with_capacity(header.stripes as usize); // which is bounded
        for record in record::records(&header, bytes) {
            facts.push(RecordFacts::of(&record?));
        }
        Ok((header, facts))
    }
}

/// The bytes of a copy, read again if they were not held.
fn bytes_of(drive: &FoundDrive, path: &str, read: Digested) -> Result<Vec<u8>, String> {
    if let Some(bytes) = read.bytes {
        return Ok(bytes);
    }
    let bytes = drive.drive.read(path, MAX_RECORD_FILE_BYTES).map_err(|e| error_chain(&e))?;
    let same = *blake3::hash(&bytes).as_bytes() == read.digest;
    same.then_some(bytes).ok_or_else(|| "reads differently the second time".into())
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

//! Where a walk over the items puts what it decoded: a folder, or nowhere, when it is only to be
//! shown that everything can be had.

use super::spanning::{self, Mark, Spanning};
use crate::destination::{
    Destination, DestinationError, FoundKind, MetadataProblem, OnConflict, PartFile,
};
use crate::format::ids::SetNumber;
use crate::format::list::{Entry, Kind};

type Placed = Result<Vec<MetadataProblem>, DestinationError>;

/// How the states are called that say of a set that not all metadata could be set.
pub const METADATA: &str = "metadata-";

/// How the states are called that say of a set how far it was restored: `cursor-SHIPMENT-SET`.
pub const CURSOR: &str = "cursor-";

/// Takes what was decoded and verified.
#[derive(Clone, Copy)]
pub enum Output<'a> {
    /// writes it
    Folder(&'a Destination),
    /// forgets it
    Nowhere,
}

/// A file in progress.
pub enum Part {
    /// written
    File(PartFile),
    /// forgotten
    Nowhere,
}

impl Output<'_> {
    pub fn begin_file(self) -> Result<Part, DestinationError> {
        Ok(match self {
            Self::Folder(folder) => Part::File(folder.begin_file()?),
            Self::Nowhere => Part::Nowhere,
        })
    }

    /// Begins a larger file, or resumes one that another set has begun.
    pub fn share_file(self, entry: &Entry) -> Result<Part, DestinationError> {
        Ok(match self {
            Self::Folder(folder) => Part::File(folder.share_file(&spanning::shared_name(entry))?),
            Self::Nowhere => Part::Nowhere,
        })
    }

    /// Keeps bytes for a later run, as far as that goes well.
    pub fn keep_piece(self, name: &str, bytes: &[u8]) {
        if let Self::Folder(folder) = self {
            let _ = folder.share_file(name).and_then(|file| file.write_at(0, bytes));
        }
    }

    /// As many bytes as were kept under a name.
    pub fn find_piece(self, name: &str, len: usize) -> Option<Vec<u8>> {
        let Self::Folder(folder) = self else { return None };
        let mut bytes = vec![0; len];
        folder.find_shared(name)?.read_at(0, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Does this set's part of a file that crosses sets stand already?
    pub fn is_marked(self, entry: &Entry, set: SetNumber) -> bool {
        match self {
            Self::Folder(folder) => spanning::is_marked(folder, &spanning::shared_name(entry), set),
            Self::Nowhere => false,
        }
    }

    /// Marks what a set holds of a file that crosses sets, and says what is known of it now.
    pub fn settle(
        self,
        entry: &Entry,
        set: SetNumber,
        mark: &Mark,
    ) -> Result<Spanning, DestinationError> {
        match self {
            Self::Folder(folder) => {
                spanning::settle(folder, &spanning::shared_name(entry), set, mark)
            }
            Self::Nowhere => Ok(Spanning::Waits),
        }
    }

    /// A file that crosses sets is complete.
    pub fn forget_marks(self, entry: &Entry) -> Result<(), DestinationError> {
        match self {
            Self::Folder(folder) => spanning::forget(folder, &spanning::shared_name(entry)),
            Self::Nowhere => Ok(()),
        }
    }

    /// Did the destination refuse a file when all of its parts were there?
    pub fn is_refused(self, entry: &Entry) -> bool {
        matches!(self, Self::Folder(folder) if spanning::is_refused(folder, entry))
    }

    /// Keeps for the end why the destination refused a file of several sets.
    pub fn keep_refusal(self, entry: &Entry, reason: &str) -> Result<(), DestinationError> {
        match self {
            Self::Folder(folder) => spanning::keep_refusal(folder, entry, reason),
            Self::Nowhere => Ok(()),
        }
    }

    /// It takes it now.
    pub fn forget_refusal(self, entry: &Entry) -> Result<(), DestinationError> {
        match self {
            Self::Folder(folder) => spanning::forget_refusal(folder, entry),
            Self::Nowhere => Ok(()),
        }
    }

    /// Are owners set, and what else only root may?
    pub fn sets_owners(self) -> bool {
        match self {
            Self::Folder(folder) => folder.sets_owners(),
            Self::Nowhere => false,
        }
    }

    /// Does this error end the restore, or only one entry?
    pub fn is_ended_by(self, error: &DestinationError) -> bool {
        match self {
            Self::Folder(folder) => folder.is_ended_by(error),
            Self::Nowhere => error.ends_all(),
        }
    }

    /// The error that it is if another entry has this path, but for the case of letters.
    pub fn is_anothers(self, path: &[u8]) -> Option<DestinationError> {
        match self {
            Self::Folder(folder) => folder.is_anothers(path),
            Self::Nowhere => None,
        }
    }

    /// Is something of an entry's kind there under its path?
    pub fn has(self, entry: &Entry) -> bool {
        let Self::Folder(folder) = self else { return false };
        let kind = match entry.kind {
            Kind::Folder => FoundKind::Folder,
            Kind::File | Kind::HardLink => FoundKind::File,
            Kind::Symlink => FoundKind::Symlink,
            _ => FoundKind::Special,
        };
        folder.exists(&entry.path).is_ok_and(|found| found == Some(kind))
    }

    pub fn make_folder(self, path: &[u8]) -> Result<(), DestinationError> {
        match self {
            Self::Folder(folder) => folder.make_folder(path),
            Self::Nowhere => Ok(()),
        }
    }

    /// Makes a symbolic link.
    pub fn make_symlink(self, entry: &Entry, conflict: OnConflict) -> Placed {
        match self {
            Self::Folder(folder) => folder.make_symlink(entry, conflict),
            Self::Nowhere => Ok(Vec::new()),
        }
    }

    /// Makes a pipe, socket or device.
    pub fn make_special(self, entry: &Entry, conflict: OnConflict) -> Placed {
        match self {
            Self::Folder(folder) => folder.make_special(entry, conflict),
            Self::Nowhere => Ok(Vec::new()),
        }
    }

    /// Gives a complete file its name.
    pub fn finish_file(self, part: Part, entry: &Entry, conflict: OnConflict) -> Placed {
        match (self, part) {
            (Self::Folder(folder), Part::File(part)) => folder.finish_file(part, entry, conflict),
            _ => Ok(Vec::new()),
        }
    }

    /// Leaves an incomplete file under another name, which is given back; none if it
    /// holds nothing, or the destination refuses that one too.
    pub fn finish_incomplete(
        self,
        part: Part,
        entry: &Entry,
    ) -> Result<Option<Vec<u8>>, DestinationError> {
        match (self, part) {
            (Self::Folder(_), Part::File(part)) if !part.has_bytes() => {
                part.discard();
                Ok(None)
            }
            (Self::Folder(folder), Part::File(part)) => {
                match folder.finish_incomplete(part, entry) {
                    Err(error) if !folder.is_ended_by(&error) => Ok(None),
                    left => left.map(Some),
                }
            }
            _ => Ok(None),
        }
    }

    /// Makes what was written durable, and notes how far it goes.
    pub fn checkpoint(self, name: &str, state: &[u8]) -> Result<(), DestinationError> {
        match self {
            Self::Folder(folder) => {
                folder.sync()?;
                folder.save_state(name, state)?;
                folder.save_unkept()
            }
            Self::Nowhere => Ok(()),
        }
    }

    /// Notes for the end that metadata of a set could not all be set.
    pub fn note_metadata(self, set: SetNumber) -> Result<(), DestinationError> {
        match self {
            Self::Folder(folder) => folder.save_state(&format!("{METADATA}{set}"), b""),
            Self::Nowhere => Ok(()),
        }
    }

    /// How far the sets before this one were restored, of which any has come furthest.
    pub fn reached_before(self, set: SetNumber) -> Result<Option<Vec<u8>>, DestinationError> {
        let Self::Folder(folder) = self else { return Ok(None) };
        let is_before = |name: &String| {
            let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
            number.is_some_and(|number: u32| number < set.0)
        };
        let mut reached = None;
        for name in folder.state_names(CURSOR)?.into_iter().filter(is_before) {
            reached = reached.max(folder.load_state(&name)?);
        }
        Ok(reached)
    }

    /// What the last checkpoint of an earlier run noted.
    pub fn load_state(self, name: &str) -> Result<Option<Vec<u8>>, DestinationError> {
        match self {
            Self::Folder(folder) => folder.load_state(name),
            Self::Nowhere => Ok(None),
        }
    }
}

impl Part {
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DestinationError> {
        match self {
            Self::File(part) => part.write_at(offset, bytes),
            Self::Nowhere => Ok(()),
        }
    }

    /// Gives it up.
    pub fn discard(self) {
        if let Self::File(part) = self {
            part.discard();
        }
    }

    /// Cuts or lengthens it.
    pub fn set_len(&self, len: u64) -> Result<(), DestinationError> {
        match self {
            Self::File(part) => part.set_len(len),
            Self::Nowhere => Ok(()),
        }
    }

    /// Reads back what was written; false if that is nowhere.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<bool, DestinationError> {
        match self {
            Self::File(part) => part.read_at(offset, bytes).map(|()| true),
            Self::Nowhere => Ok(false),
        }
    }
}

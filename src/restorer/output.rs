//! Where a walk over the items puts what it decoded: a folder, or nowhere, when it is only to be
//! shown that everything can be had.

use crate::destination::{
    Destination, DestinationError, FoundKind, OnConflict, PartFile, PlaceResult,
};
use crate::format::ids::SetNumber;
use crate::format::list::{Entry, Kind};

/// The prefix of the states that say of a set that not all metadata could be set.
pub const METADATA: &str = "metadata-";

/// The prefix of the states that say how far a set was restored: `cursor-SHIPMENT-SET`.
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
pub enum OutputFile {
    /// written
    Part(PartFile),
    /// forgotten
    Nowhere,
}

impl<'a> Output<'a> {
    /// What a call on the folder returns; nowhere, what nothing is.
    pub fn to<T: Default>(
        self,
        call: impl FnOnce(&'a Destination) -> Result<T, DestinationError>,
    ) -> Result<T, DestinationError> {
        match self {
            Self::Folder(folder) => call(folder),
            Self::Nowhere => Ok(T::default()),
        }
    }

    /// Opens a file in the folder.
    fn file(
        self,
        begin: impl FnOnce(&'a Destination) -> Result<PartFile, DestinationError>,
    ) -> Result<OutputFile, DestinationError> {
        Ok(match self {
            Self::Folder(folder) => OutputFile::Part(begin(folder)?),
            Self::Nowhere => OutputFile::Nowhere,
        })
    }

    pub fn begin_file(self, entry: &Entry) -> Result<OutputFile, DestinationError> {
        self.file(|folder| folder.begin_file(entry))
    }

    /// Begins the larger file of this shared name, or resumes one that another set has begun.
    pub fn share_file(self, name: &str) -> Result<OutputFile, DestinationError> {
        self.file(|folder| folder.share_file(name))
    }

    /// Is that set which only root may set?
    pub fn is_root(self) -> bool {
        matches!(self, Self::Folder(folder) if folder.is_root())
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
        let kind = match entry.kind {
            Kind::Folder => FoundKind::Folder,
            Kind::File | Kind::HardLink => FoundKind::File,
            Kind::Symlink => FoundKind::Symlink,
            _ => FoundKind::Special,
        };
        let is_it = |found| {
            // Where symlinks cannot be made, a file stands for one.
            found == Some(kind) || entry.kind == Kind::Symlink && found == Some(FoundKind::File)
        };
        self.to(|folder| folder.exists(&entry.path)).is_ok_and(is_it)
    }

    /// Gives a complete file its name.
    pub fn finish_file(self, file: OutputFile, entry: &Entry, conflict: OnConflict) -> PlaceResult {
        match (self, file) {
            (Self::Folder(folder), OutputFile::Part(part)) => {
                folder.finish_file(part, entry, conflict)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Leaves an incomplete file under another name, which is returned; none if it holds nothing,
    /// or the destination refuses that one too.
    pub fn finish_incomplete(
        self,
        file: OutputFile,
        entry: &Entry,
    ) -> Result<Option<Vec<u8>>, DestinationError> {
        let (Self::Folder(folder), OutputFile::Part(part)) = (self, file) else { return Ok(None) };
        if !part.has_bytes() {
            part.discard();
            return Ok(None);
        }
        match folder.finish_incomplete(part, entry) {
            Err(error) if !folder.is_ended_by(&error) => Ok(None),
            left => left.map(Some),
        }
    }

    /// Makes what was written durable, and notes how far it goes.
    pub fn checkpoint(self, name: &str, state: &[u8]) -> Result<(), DestinationError> {
        self.to(|folder| {
            folder.sync()?;
            folder.save_state(name, state)?;
            folder.save_unkept()
        })
    }

    /// Notes for the end that metadata of a set could not all be set.
    pub fn note_metadata(self, set: SetNumber) -> Result<(), DestinationError> {
        self.to(|folder| folder.save_state(&format!("{METADATA}{set}"), b""))
    }

    /// How far the sets before this one were restored, of which any has come furthest.
    pub fn reached_before(self, set: SetNumber) -> Result<Option<Vec<u8>>, DestinationError> {
        let is_before = |name: &String| {
            let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
            number.is_some_and(|number: u32| number < set.0)
        };
        self.to(|folder| {
            let mut reached = None;
            for name in folder.state_names(CURSOR)?.into_iter().filter(is_before) {
                reached = reached.max(folder.load_state(&name)?);
            }
            Ok(reached)
        })
    }
}

impl OutputFile {
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DestinationError> {
        match self {
            Self::Part(part) => part.write_at(offset, bytes),
            Self::Nowhere => Ok(()),
        }
    }

    /// Gives it up.
    pub fn discard(self) {
        if let Self::Part(part) = self {
            part.discard();
        }
    }

    /// Cuts or lengthens it.
    pub fn set_len(&self, len: u64) -> Result<(), DestinationError> {
        match self {
            Self::Part(part) => part.set_len(len),
            Self::Nowhere => Ok(()),
        }
    }

    /// Was nothing written from `offset` on, for so many bytes? Where that does not show, no.
    pub fn is_hole(&self, offset: u64, len: u64) -> bool {
        match self {
            Self::Part(part) => part.is_hole(offset, len),
            Self::Nowhere => true,
        }
    }

    /// Reads back what was written; false if that is nowhere.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<bool, DestinationError> {
        match self {
            Self::Part(part) => part.read_at(offset, bytes).map(|()| true),
            Self::Nowhere => Ok(false),
        }
    }
}

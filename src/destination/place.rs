//! Entries under their final names.
//!
//! - Enters: entries, and part files that hold their bytes.
//! - Leaves: the entry with its metadata under its final name, and what could not be set of it.
//! - Always holds: (1) everything but folders and hard links is made and finished without a name,
//!   or in the parts folder, and gets its final name in one step; (2) nothing is replaced unless the
//!   caller says so (an entry is restored again after an interruption), and a folder never.

use std::fs::File;
use std::io;

use cap_std::fs::{Dir, MetadataExt};
use rustix::fs::{AtFlags, FileType, Mode, RenameFlags};
use rustix::io::Errno;

use super::at::{as_path, name_file, split};
use super::dir::Destination;
use super::error::{DestinationError, LINK, MAKE_SPECIAL, MAKE_SYMLINK};
use super::litter::is_name_of_litter;
use super::metadata::{
    MetadataProblem, disarm, mtime, put_back, set_on_handle, set_on_new_file, set_on_part,
};
use super::part::{PartFile, PartName};
use super::tally::CountedAs;
use crate::format::list::{Entry, Kind};

/// Bytes that a name may have.
const NAME_BYTES: usize = 255;

/// Of an entry that was placed, what of its metadata could not be set.
pub type PlaceResult = Result<Vec<MetadataProblem>, DestinationError>;

/// What becomes of something that has an entry's final name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// it stays, and giving the name is an error
    Fail,
    /// it is removed, unless it is a folder: an earlier run left it
    Replace,
}

/// What is finished, but for its final name.
enum Unplaced {
    /// it has another in the parts folder
    Named(PartName),
    /// it has none
    Nameless(File),
}

impl Unplaced {
    fn new(file: File, part: Option<PartName>) -> Self {
        match part {
            // FUSE keeps an open file that is removed under another name, so it is closed here.
            Some(part) => Self::Named(part),
            None => Self::Nameless(file),
        }
    }

    /// Gives it its final name; never replaces.
    fn give_name(&self, folder: &Dir, name: &[u8]) -> io::Result<()> {
        match self {
            Self::Named(part) => rename_new((&part.folder, part.name.as_bytes()), (folder, name)),
            Self::Nameless(file) => name_file(file, folder, name),
        }
    }

    /// Does what has the other name stay when this is dropped?
    fn set_staying(&mut self, stays: bool) {
        if let Self::Named(part) = self {
            part.stays = stays;
        }
    }
}

impl Destination {
    /// Makes a folder, and its parents if they are missing, for its owner alone until
    /// [`Self::finish_folder`]. A folder that is there is fine; anything else there is an error.
    pub fn make_folder(&self, path: &[u8]) -> Result<(), DestinationError> {
        self.folders.open_or_make(self.checked(path)?).map(|_| ())
    }

    /// Gives a part file its metadata and its final name; missing parents are made.
    pub fn finish_file(&self, part: PartFile, entry: &Entry, conflict: OnConflict) -> PlaceResult {
        self.finish_file_of(part, entry, conflict, CountedAs::Placed)
    }

    /// The same for a file that is counted in its own way.
    pub(super) fn finish_file_of(
        &self,
        part: PartFile,
        entry: &Entry,
        conflict: OnConflict,
        of: CountedAs,
    ) -> PlaceResult {
        let problems = self.finish_uncounted(part, entry, conflict)?;
        Ok(self.noted(&entry.path, problems, of))
    }

    /// The same; what could not be set is the caller's to count.
    pub(super) fn finish_uncounted(
        &self,
        part: PartFile,
        entry: &Entry,
        conflict: OnConflict,
    ) -> PlaceResult {
        let path = self.path_of(entry, &[Kind::File])?;
        let PartFile { file, part } = part;
        let problems = match part {
            Some(_) => set_on_handle(&file, entry, &self.rights),
            None => set_on_new_file(&file, entry, &self.rights),
        };
        let mut part = Unplaced::new(file, part);
        let placed = self.place(&mut part, path, conflict);
        if matches!(&placed, Err(error) if !error.ends_all()) {
            // It will not be taken another time either, and its bytes are in the way of others.
            part.set_staying(false);
        }
        placed.map(|()| problems)
    }

    /// Gives a part file that will never be whole the name `NAME.incomplete`, or the next that is
    /// free (`NAME.incomplete-2`), and returns its path in DIR. Set-id bits and capabilities are left out.
    pub fn finish_incomplete(
        &self,
        part: PartFile,
        entry: &Entry,
    ) -> Result<Vec<u8>, DestinationError> {
        let path = self.path_of(entry, &[Kind::File])?;
        let PartFile { file, part } = part;
        let mut partial = entry.clone();
        disarm(&mut partial);
        // The file is not what was packed anyway; the caller lists it as that.
        let _ = set_on_handle(&file, &partial, &self.rights);
        let mut part = Unplaced::new(file, part);
        let mut number = 1;
        loop {
            let path = incomplete_path(path, number);
            match self.place(&mut part, &path, OnConflict::Fail) {
                Ok(()) => return self.folders.path_here(&path),
                Err(DestinationError::Exists { .. }) => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes a symlink; where that cannot be, a small file that holds its text. Where it points is
    /// nobody's concern here: it is never followed.
    pub fn make_symlink(&self, entry: &Entry, conflict: OnConflict) -> PlaceResult {
        let path = self.path_of(entry, &[Kind::Symlink])?;
        let made = self.make_part(MAKE_SYMLINK, |parts, name| {
            Ok(rustix::fs::symlinkat(entry.target.as_slice(), parts, name)?)
        });
        match made {
            Ok(((), part)) => self.finish_part(part, path, entry, conflict),
            Err(error) if error.ends_all() => Err(error),
            Err(DestinationError::Io { source, .. }) => self.write_link(entry, conflict, source),
            Err(error) => Err(error),
        }
    }

    /// Makes a pipe, a device or a socket. Devices need permission; without it that is an error.
    pub fn make_special(&self, entry: &Entry, conflict: OnConflict) -> PlaceResult {
        const KINDS: [Kind; 4] = [Kind::Fifo, Kind::CharDevice, Kind::BlockDevice, Kind::Socket];
        let path = self.path_of(entry, &KINDS)?;
        let (file_type, device) = match (entry.kind, entry.device) {
            (Kind::CharDevice, Some(device)) => (FileType::CharacterDevice, device),
            (Kind::BlockDevice, Some(device)) => (FileType::BlockDevice, device),
            (Kind::Fifo, _) => (FileType::Fifo, (0, 0)),
            (Kind::Socket, _) => (FileType::Socket, (0, 0)),
            _ => return Err(DestinationError::WrongKind { path: path.to_vec() }),
        };
        let device = rustix::fs::makedev(device.0, device.1);
        let mode = Mode::RUSR | Mode::WUSR;
        let ((), part) = self.make_part(MAKE_SPECIAL, |parts, name| {
            Ok(rustix::fs::mknodat(parts, name, file_type, mode, device)?)
        })?;
        self.finish_part(part, path, entry, conflict)
    }

    /// Gives what was made in the parts folder, and is no file, its metadata and its final name.
    fn finish_part(
        &self,
        part: PartName,
        path: &[u8],
        entry: &Entry,
        conflict: OnConflict,
    ) -> PlaceResult {
        let problems = set_on_part(&part.folder, &part.name, entry, &self.rights);
        self.place(&mut Unplaced::Named(part), path, conflict)?;
        Ok(self.noted(path, problems, CountedAs::Placed))
    }

    /// Makes one more name of the file at the entry's target, which must be there.
    pub fn make_hard_link(
        &self,
        entry: &Entry,
        conflict: OnConflict,
    ) -> Result<(), DestinationError> {
        let path = self.path_of(entry, &[Kind::HardLink])?;
        let target = self.checked(&entry.target)?;
        let no_target =
            || DestinationError::NoTarget { path: path.to_vec(), target: target.to_vec() };
        let (target_at, target_name) = split(target);
        let target_folder = self.folders.find(target_at)?.ok_or_else(no_target)?;
        let target_name = &*self.folders.name_in(&target_folder, target_at, target_name);
        let target_id = self
            .folders
            .within(&target_folder, || id_at(&target_folder, target_name))
            .map_err(DestinationError::io("look at", target))?
            .ok_or_else(no_target)?;
        let (at, own) = split(path);
        let folder = self.folders.open_or_make(at)?;
        let name = &*self.folders.name_in(&folder, at, own);
        let link = || target_folder.hard_link(as_path(target_name), &folder, as_path(name));
        let mut linked = self.folders.within(&folder, link);
        if conflict == OnConflict::Replace && is_taken(&linked) {
            let there = id_at(&folder, name).map_err(DestinationError::io("look at", path))?;
            if there == Some(target_id) {
                self.note_foreign(path, CountedAs::Anew);
                return self.folders.note_name(at, own, name);
            }
            self.remove_leftover(&folder, name, path)?;
            linked = self.folders.within(&folder, link);
        }
        linked.map_err(placing(LINK, path))?;
        self.note_foreign(path, CountedAs::Anew);
        self.folders.note_name(at, own, name)
    }

    /// Makes a hard link in a folder that is finished, which stays as it is.
    pub fn add_hard_link(
        &self,
        entry: &Entry,
        should_stop: &dyn Fn() -> bool,
    ) -> Result<(), DestinationError> {
        let path = self.path_of(entry, &[Kind::HardLink])?;
        let shown = split(path).0;
        let folder = self.folders.open_or_make(shown)?;
        let before = rustix::fs::fstat(&*folder).map_err(DestinationError::io("look at", shown))?;
        let made = self.link_or_copy(entry, OnConflict::Replace, should_stop);
        put_back(&folder, before.st_mode, &mtime(before.st_mtime, before.st_mtime_nsec));
        made
    }

    /// Gives a folder its own owner, attributes, mode and times; with the empty path, DIR. To be
    /// done when nothing more is put into it, and for the folders in it first; after a resume, for
    /// every folder again.
    pub fn finish_folder(&self, entry: &Entry) -> PlaceResult {
        self.finish_folder_of(entry, CountedAs::Anew)
    }

    /// The same for a folder that another set may name too.
    pub fn finish_shared_folder(&self, entry: &Entry) -> PlaceResult {
        self.finish_folder_of(entry, CountedAs::Shared)
    }

    fn finish_folder_of(&self, entry: &Entry, of: CountedAs) -> PlaceResult {
        if entry.kind != Kind::Folder {
            return Err(DestinationError::WrongKind { path: entry.path.clone() });
        }
        let folder = self.folders.open_anew(self.checked(&entry.path)?)?;
        Ok(self.noted(&entry.path, set_on_handle(&*folder, entry, &self.rights), of))
    }

    /// The entry's path, checked, if it is of one of `kinds` and has a name.
    fn path_of<'a>(&self, entry: &'a Entry, kinds: &[Kind]) -> Result<&'a [u8], DestinationError> {
        if entry.path.is_empty() || !kinds.contains(&entry.kind) {
            return Err(DestinationError::WrongKind { path: entry.path.clone() });
        }
        self.checked(&entry.path)
    }

    /// Moves a part to `path`; missing parents are made.
    fn place(
        &self,
        part: &mut Unplaced,
        path: &[u8],
        conflict: OnConflict,
    ) -> Result<(), DestinationError> {
        let (at, name) = split(path);
        let folder = self.folders.open_or_make(at)?;
        let _alone = self.folders.alone();
        let here = self.folders.name_in(&folder, at, name);
        let give_name = || part.give_name(&folder, &here);
        let mut given = self.folders.within(&folder, give_name);
        let top = path.split(|byte| *byte == b'/').next().unwrap_or_default();
        let replaces = conflict == OnConflict::Replace || is_name_of_litter(top);
        if replaces && is_taken(&given) {
            self.remove_leftover(&folder, &here, path)?;
            given = self.folders.within(&folder, give_name);
        }
        given.map_err(placing("rename to", path))?;
        part.set_staying(true);
        self.folders.note_name(at, name, &here)
    }

    /// Removes what an interrupted run left under a final name; never a folder.
    fn remove_leftover(
        &self,
        folder: &Dir,
        name: &[u8],
        path: &[u8],
    ) -> Result<(), DestinationError> {
        let found = folder.symlink_metadata(as_path(name));
        let is_folder = found.map_err(DestinationError::io("look at", path))?.is_dir();
        // Where case does not count, it may be another entry.
        if is_folder || !self.folders.is_called(folder, split(path).0, name) {
            return Err(DestinationError::Exists { path: path.to_vec() });
        }
        self.folders
            .within(folder, || folder.remove_file(as_path(name)))
            .map_err(DestinationError::io("remove", path))
    }
}

/// Device and inode of `name` in `folder`, a symlink not followed; none if nothing is there.
fn id_at(folder: &Dir, name: &[u8]) -> io::Result<Option<(u64, u64)>> {
    match folder.symlink_metadata(as_path(name)) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_taken(result: &io::Result<()>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::AlreadyExists)
}

/// For `map_err`: the final name could not be given.
fn placing(action: &'static str, path: &[u8]) -> impl FnOnce(io::Error) -> DestinationError {
    move |source| match source.kind() {
        io::ErrorKind::AlreadyExists => DestinationError::Exists { path: path.to_vec() },
        _ => DestinationError::io(action, path)(source),
    }
}

/// `path` with `.incomplete` and, from 2 on, a number; a name that gets too long is cut.
fn incomplete_path(path: &[u8], number: u32) -> Vec<u8> {
    let suffix = match number {
        1 => ".incomplete".to_owned(),
        _ => format!(".incomplete-{number}"),
    };
    let name = split(path).1;
    let mut keep = name.len().min(NAME_BYTES - suffix.len());
    // Not within a character, if the name is UTF-8.
    if let Ok(text) = std::str::from_utf8(name) {
        while !text.is_char_boundary(keep) {
            keep -= 1;
        }
    }
    let mut out = path[..path.len() - name.len() + keep].to_vec();
    out.extend_from_slice(suffix.as_bytes());
    out
}

/// Renames without replacing; three ways, for what the file system can do.
fn rename_new(from: (&Dir, &[u8]), to: (&Dir, &[u8])) -> io::Result<()> {
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_then_remove(from, to),
        done => Ok(done?),
    }
}

/// A link never replaces. For file systems that have links but no such rename.
fn link_then_remove(from: (&Dir, &[u8]), to: (&Dir, &[u8])) -> io::Result<()> {
    match rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
        Ok(()) => from.0.remove_file(as_path(from.1)),
        Err(Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::MLINK) => {
            check_then_rename(from, to)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// For file systems with neither (exFAT by FUSE). Somebody could come in between; but what is
/// replaced then is in DIR and came after the restore began.
fn check_then_rename(from: (&Dir, &[u8]), to: (&Dir, &[u8])) -> io::Result<()> {
    if id_at(to.0, to.1)?.is_some() {
        return Err(Errno::EXIST.into());
    }
    from.0.rename(as_path(from.1), to.0, as_path(to.1))
}

#[cfg(test)]
mod tests;

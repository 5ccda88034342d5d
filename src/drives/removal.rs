//! Removing a folder with all that is in it, however deep it is.
//!
//! - Enters: an open folder, and the name of the one in it that is to go.
//! - Leaves: nothing of it; or what is left when it was stopped or could not go on, its own name with it.
//! - Always holds: (1) the files of a folder go before its folders, and it goes last, so that what was
//!   broken off can be done again; (2) each folder is reached from the one above or below it, so the
//!   time is that of the names, and few folders are open at once; (3) no link is followed, and the way
//!   up leads only where the way down came from; (4) it is asked before each name whether to go on.

use std::io;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, AtFlags, Dir, FileType};
use rustix::io::retry_on_intr;

use super::filesystem;

/// A folder on the way.
struct Ancestor {
    name: String,
    /// device and inode
    place: (u64, u64),
    /// those in it that are still to be removed
    folders: Vec<String>,
}

/// What could not be removed.
pub(super) struct NotRemoved {
    /// its path below the open folder
    pub path: String,
    /// what the system said
    pub source: io::Error,
}

/// A removal that is under way.
pub(super) struct Removal<'r> {
    way: Vec<Ancestor>,
    stop: &'r dyn Fn() -> bool,
    files: &'r mut u64,
}

impl<'r> Removal<'r> {
    /// Stops when it is told to, and counts the files that it removes.
    pub(super) fn new(stop: &'r dyn Fn() -> bool, files: &'r mut u64) -> Self {
        Self { way: Vec::new(), stop, files }
    }

    /// Removes a folder; one that is not there is fine. False if it was stopped.
    pub(super) fn run(mut self, parent: &OwnedFd, name: &str) -> Result<bool, NotRemoved> {
        self.walk(parent, name).map_err(|source| {
            let names: Vec<&str> = self.way.iter().skip(1).map(|level| &level.name[..]).collect();
            NotRemoved { path: names.join("/"), source }
        })
    }

    fn walk(&mut self, parent: &OwnedFd, name: &str) -> io::Result<bool> {
        let (mut here, place) = (parent.try_clone()?, place_of(parent)?);
        self.way.push(Ancestor { name: String::new(), place, folders: vec![name.to_owned()] });
        while let Some(level) = self.way.last_mut() {
            if (self.stop)() {
                return Ok(false);
            }
            if let Some(name) = level.folders.pop() {
                let Some(below) = present(filesystem::step(&here, &name))? else { continue };
                self.way.push(Ancestor { name, place: place_of(&below)?, folders: Vec::new() });
                here = below;
                if !self.remove_files(&here)? {
                    return Ok(false);
                }
            } else if let [.., above, level] = &self.way[..] {
                let up = filesystem::step(&here, "..")?;
                if place_of(&up)? != above.place {
                    return Err(io::Error::other("the folder was moved meanwhile"));
                }
                filesystem::remove_folder(&up, &level.name)?;
                here = up;
                self.way.pop();
            } else {
                break;
            }
        }
        Ok(true)
    }

    /// Removes what is no folder, and notes what is one. False if it was stopped.
    fn remove_files(&mut self, folder: &OwnedFd) -> io::Result<bool> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in Dir::new(filesystem::readable(folder)?)? {
            let entry = entry?;
            // A name that is not UTF-8 is none that holdall gives.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Unknown => is_folder(folder, name)?,
                kind => kind == FileType::Directory,
            };
            if is_folder { &mut folders } else { &mut files }.push(name.to_owned());
        }
        files.sort_unstable();
        for name in files {
            if (self.stop)() {
                return Ok(false);
            }
            *self.files += u64::from(filesystem::remove(folder, &name)?);
        }
        // The first one is taken from the end.
        folders.sort_unstable_by(|one, other| other.cmp(one));
        if let Some(level) = self.way.last_mut() {
            level.folders = folders;
        }
        Ok(true)
    }
}

fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn place_of(folder: impl AsFd) -> io::Result<(u64, u64)> {
    let stat = retry_on_intr(|| fs::fstat(&folder))?;
    Ok((stat.st_dev, stat.st_ino))
}

fn is_folder(folder: impl AsFd, name: &str) -> io::Result<bool> {
    let stat = retry_on_intr(|| fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW));
    let stat = present(stat.map_err(io::Error::from))?;
    Ok(stat.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory))
}

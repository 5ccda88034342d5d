//! A folder is not a drive: a mount point whose drive is not there is an empty folder on a disk of
//! this machine, and what is packed there does not travel.
//!
//! - Enters: a path that was named as a drive, and the dataset's, if there is one.
//! - Leaves: which of this machine's own disks it lies on, or none.
//! - Always holds: nothing is made, and nothing is written.

use crate::drives::detect::{self, FileSystem, MountedDrive, file_system, mount_at};
use crate::drives::hardware::System;
use crate::format::layout::HOLDALL;
use crate::local_state;
use std::fmt;
use std::path::{Path, PathBuf};

/// What tells a disk as this machine's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// the system runs from it
    Root,
    /// the dataset lies on it
    Source,
    /// holdall keeps its state there
    State,
    /// some of the system's own folders lie on it
    System,
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "the system's disk (/)",
            Self::Source => "the disk that holds SOURCE",
            Self::State => "the disk that holds holdall's state",
            Self::System => "a disk that this system uses (/boot, /usr, /var or /home)",
        })
    }
}

/// A path that was named as a drive lies on a disk of this machine.
#[derive(Debug, thiserror::Error)]
#[error("{} is on {own}: no drive is mounted there", path.display())]
pub struct NoDrive {
    pub path: PathBuf,
    /// the disk
    pub own: Own,
}

/// Where systems mount removable drives.
const MOUNT_FOLDERS: [&str; 3] = ["/media", "/mnt", "/run/media"];

/// Where systems mount what they cannot do without.
const SYSTEM_FOLDERS: [&str; 7] = ["/boot", "/boot/efi", "/efi", "/home", "/opt", "/usr", "/var"];

/// Is it below a folder where removable drives are mounted?
pub fn is_where_drives_are_mounted(path: &Path) -> bool {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.into());
    MOUNT_FOLDERS.iter().any(|folder| full.starts_with(folder) && full != Path::new(folder))
}

/// The folder of a drive, with the sets that it carries, in which a path lies, or would lie.
pub fn holdall_around(path: &Path) -> Option<PathBuf> {
    detect::around(path, HOLDALL, "label.json")
}

/// Does a path belong onto a drive, and would end up on the system's disk?
pub fn is_unmounted(path: &Path) -> bool {
    is_where_drives_are_mounted(path) && file_system(path) == file_system(Path::new("/"))
}

/// The disks of this machine.
pub struct OwnDisks {
    file_systems: Vec<(FileSystem, Own)>,
    /// whole disks, which other partitions may share
    disks: Vec<(String, Own)>,
}

impl OwnDisks {
    /// This machine's, and that of the dataset.
    pub fn of(source: Option<&Path>) -> Self {
        let state = local_state::state_path().ok();
        let own = [
            (Some(Path::new("/")), Own::Root),
            (source, Own::Source),
            (state.as_deref(), Own::State),
        ];
        let there = own.into_iter().filter_map(|(path, own)| Some((path?, own)));
        let file_systems = there.clone().filter_map(|(path, own)| Some((file_system(path)?, own)));
        let system = System::here();
        let disks = there.flat_map(|(path, own)| {
            let existing = path.ancestors().find(|above| above.exists());
            let mount = existing.and_then(mount_at);
            let disks = mount.map(|mount| system.disks(&mount)).unwrap_or_default();
            disks.into_iter().map(move |disk| (disk, own))
        });
        let folders = system.disks_at(&SYSTEM_FOLDERS.map(Path::new));
        let disks = disks.chain(folders.into_iter().map(|(disk, _)| (disk, Own::System)));
        Self { file_systems: file_systems.collect(), disks: disks.collect() }
    }

    /// The disk of this machine on which a drive lies, be it as a partition of its own.
    pub fn of_drive(&self, system: &System, mount: &MountedDrive, path: &Path) -> Option<Own> {
        if let Err(no_drive) = self.check(path) {
            return Some(no_drive.own);
        }
        let disks = system.disks(mount);
        self.disks.iter().find(|(disk, _)| disks.contains(disk)).map(|(_, own)| *own)
    }

    /// Fails if a path lies on one of them. One that is not there is refused when it is opened.
    pub fn check(&self, path: &Path) -> Result<(), NoDrive> {
        let here = path.exists().then(|| file_system(path)).flatten();
        match self.file_systems.iter().find(|(disk, _)| Some(disk) == here.as_ref()) {
            Some((_, own)) => Err(NoDrive { path: path.into(), own: *own }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Review R16: the note of `restore --to`.
    #[test]
    fn what_lies_where_drives_are_mounted_is_told_by_its_file_system() {
        let is_root = file_system(Path::new("/mnt")) == file_system(Path::new("/"));
        assert_eq!(is_unmounted(Path::new("/mnt/no drive of this name/new/folder")), is_root);
        assert!(!is_unmounted(Path::new("/no mount folder/new")));
        assert!(!is_unmounted(Path::new("/mnt")));
    }
}

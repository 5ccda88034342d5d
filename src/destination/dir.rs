//! DIR, claimed for a restore.
//!
//! - Enters: DIR, and what is to be restored there.
//! - Leaves: the open folders of the restore, from which everything else is reached.
//! - Always holds: every path is checked before it is walked.

use parking_lot::Mutex;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use cap_std::fs::Dir;

use super::at::{
    as_path, empty_folder, file_id, make_folder_at, open_folder_at, split, takes_nameless,
};
use super::claim::{self, DirState, RestoreOf};
use super::error::DestinationError;
use super::folders::Folders;
use super::layout::{CLAIM, PARTS, SHARED, WORK, work_path};
use super::metadata::{self, Rights, mtime};
use super::name_map::NameMap;
use super::owners::Owners;
use super::tally::UnkeptTally;
use super::work_files::read_file;
use crate::format::list::checked_path;

/// On FUSE a file that is closed and removed lives on for a moment, under a hidden name: how often
/// the working folder is tried again for that, and after how long.
const HIDDEN_TRIES: u32 = 40;
const HIDDEN_WAIT: Duration = Duration::from_millis(50);

/// What has a final name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundKind {
    Folder,
    File,
    /// a symlink, wherever it points
    Symlink,
    /// a pipe, a device or a socket
    Special,
}

/// DIR, while a shipment is restored into it.
pub struct Destination {
    /// absolute
    dir: PathBuf,
    pub(super) folders: Folders,
    /// what the working folder is called
    work_name: String,
    pub(super) work: Dir,
    /// of this process alone
    pub(super) parts: Arc<Dir>,
    /// of all that restore into DIR
    pub(super) shared: Arc<Dir>,
    pub(super) next_part: AtomicU64,
    /// a part may do without a name
    pub(super) has_nameless: bool,
    pub(super) saving: Mutex<()>,
    pub(super) rights: Rights,
    pub(super) unkept: UnkeptTally,
    /// the file system takes `README` and `readme` for one name
    pub(super) ignores_case: bool,
    /// Windows reads the file system, too
    pub(super) is_for_windows: bool,
}

impl Destination {
    /// Opens `dir` for a restore of `shipment`. A missing or empty folder is claimed for it; one
    /// that is claimed for it already is resumed; any other is refused.
    pub fn open(dir: &Path, shipment: &str) -> Result<(Self, DirState), DestinationError> {
        let (selection, owners) = (None, Owners::Numbers);
        let of = RestoreOf {
            shipment,
            selection,
            owners,
            has_work_name: false,
            map_names: false,
            is_for_windows: false,
        };
        Self::open_for(dir, of)
    }

    /// The same for a part of a shipment: only a restore of the same part resumes.
    pub fn open_for(dir: &Path, of: RestoreOf) -> Result<(Self, DirState), DestinationError> {
        let shown = dir.as_os_str().as_bytes();
        let absolute = std::path::absolute(dir).map_err(DestinationError::io("find", shown))?;
        let root = claim::open_dir(dir)?;
        let work_name =
            claim::work_name(&root, of).map_err(DestinationError::io("rename", WORK.as_bytes()))?;
        let (work, opened) = claim::claim(&root, dir, &work_name, of)?;
        let failed = |error| DestinationError::io("open", &work_path(PARTS))(error);
        let open_work = |folder: &Dir, name: &str| {
            make_folder_at(folder, name.as_bytes())?;
            open_folder_at(folder, name.as_bytes())
        };
        // Others may be restoring into DIR as well, from other machines too.
        let own = getrandom::u64().map_err(|error| failed(error.into()))?;
        let parts = open_work(&work, PARTS).map_err(failed)?;
        let parts = open_work(&parts, &format!("{own:016x}")).map_err(failed)?;
        let shared = open_work(&work, SHARED).map_err(failed)?;
        let work_id = file_id(&work).map_err(failed)?;
        let ignores_case = work.symlink_metadata(CLAIM.to_ascii_uppercase()).is_ok();
        metadata::end_inheritance(&parts);
        metadata::end_inheritance(&shared);
        let list = work.try_clone().map_err(failed)?;
        let map = of.map_names.then(|| NameMap::new(&root, Some(list))).transpose();
        let folders = Folders::new(root, work_id, rustix::process::geteuid().is_root())
            .ignoring_case(ignores_case)
            .mapping(map.map_err(failed)?);
        let rights = Rights::of_process(of.owners);
        let destination = Self {
            dir: absolute,
            folders,
            work_name,
            work,
            has_nameless: takes_nameless(&parts),
            parts: Arc::new(parts),
            shared: Arc::new(shared),
            next_part: AtomicU64::new(0),
            saving: Mutex::new(()),
            rights,
            unkept: UnkeptTally::default(),
            ignores_case,
            is_for_windows: of.is_for_windows,
        };
        Ok((destination, opened))
    }

    /// Whether this is root: only root may set owners, and for anybody else it is not tried.
    pub fn is_root(&self) -> bool {
        self.rights.is_root
    }

    /// How many extended attributes in `trusted.` and `security.` were left out so far: only root
    /// may set them, and for anybody else it is not tried.
    pub fn attributes_left_out(&self) -> u64 {
        self.rights.left_out()
    }

    /// What has the final name `path` now; nothing if a parent is missing too, or if it is another
    /// entry, whose name differs in the case of letters only.
    pub fn exists(&self, path: &[u8]) -> Result<Option<FoundKind>, DestinationError> {
        let found = self.look_at(path)?;
        Ok(found.filter(|(_, is_called_so)| *is_called_so).map(|(kind, _)| kind))
    }

    /// The error that it would be to give an entry this final name, if another has it whose name
    /// differs in the case of letters only.
    pub fn is_anothers(&self, path: &[u8]) -> Option<DestinationError> {
        match self.look_at(path) {
            Ok(Some((_, false))) => Some(DestinationError::Exists { path: path.to_vec() }),
            Err(error @ DestinationError::Exists { .. }) => Some(error),
            _ => None,
        }
    }

    /// What there is under a path, and if that is called so letter by letter.
    fn look_at(&self, path: &[u8]) -> Result<Option<(FoundKind, bool)>, DestinationError> {
        let path = self.checked(path)?;
        if path.is_empty() {
            return Ok(Some((FoundKind::Folder, true)));
        }
        let (parent, name) = split(path);
        let Some(folder) = self.folders.find(parent)? else { return Ok(None) };
        let here = self.folders.name_in(&folder, parent, name);
        let look = || folder.symlink_metadata(as_path(&here));
        let found = match self.folders.within(&folder, look) {
            Ok(found) => found.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DestinationError::io("look at", path)(error)),
        };
        let kind = match found {
            _ if found.is_dir() => FoundKind::Folder,
            _ if found.is_file() => FoundKind::File,
            _ if found.is_symlink() => FoundKind::Symlink,
            _ => FoundKind::Special,
        };
        let is_called_so = self.folders.is_called(&folder, parent, &here);
        if is_called_so {
            self.folders.note_name(parent, name, &here)?;
        }
        Ok(Some((kind, is_called_so)))
    }

    /// Puts everything so far on disk; an earlier write that failed unseen is an error here.
    pub fn sync(&self) -> Result<(), DestinationError> {
        rustix::fs::syncfs(&self.work).map_err(DestinationError::io("sync", self.shown_dir()))
    }

    /// Bytes that this user can still write.
    pub fn free_bytes(&self) -> Result<u64, DestinationError> {
        let room = rustix::fs::fstatvfs(self.folders.root())
            .map_err(DestinationError::io("look at", self.shown_dir()))?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }

    /// Bytes that files in progress take already.
    pub fn begun_bytes(&self) -> u64 {
        let blocks = |file: io::Result<cap_std::fs::DirEntry>| {
            Some(cap_std::fs::MetadataExt::blocks(&file.ok()?.metadata().ok()?) * 512)
        };
        self.shared.entries().map_or(0, |files| files.filter_map(blocks).sum())
    }

    /// What of a file takes no less than so many bytes.
    pub fn unit_bytes(&self) -> u64 {
        rustix::fs::fstatvfs(self.folders.root()).map_or(1, |room| room.f_frsize.max(1))
    }

    /// Ends the restore: syncs, lists the names that were mapped, and removes `DIR/.holdall`. DIR keeps the mode and times that
    /// [`Self::finish_folder`] gave it.
    pub fn complete(&self) -> Result<(), DestinationError> {
        self.sync()?;
        let failed = |error| DestinationError::io("remove", WORK.as_bytes())(error);
        let root = self.folders.root();
        let before = rustix::fs::fstat(root).map_err(|errno| failed(errno.into()))?;
        self.list_names()?;
        let mut removed = self.remove_work();
        for _ in 0..HIDDEN_TRIES {
            match &removed {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    std::thread::sleep(HIDDEN_WAIT);
                    removed = self.remove_work();
                }
                _ => break,
            }
        }
        removed.map_err(failed)?;
        metadata::put_back(root, before.st_mode, &mtime(before.st_mtime, before.st_mtime_nsec));
        rustix::fs::fsync(root).map_err(DestinationError::io("sync", self.shown_dir()))
    }

    /// Has another process, which restored other sets into DIR, ended the restore?
    pub fn was_completed(&self) -> bool {
        matches!(read_file(&self.work, CLAIM), Ok(None)) && !self.is_gone()
    }

    /// Does this error end the restore? It does if DIR fails as a whole, or is no longer there.
    pub fn is_ended_by(&self, error: &DestinationError) -> bool {
        error.ends_all() || self.is_gone()
    }

    /// Was DIR removed?
    fn is_gone(&self) -> bool {
        rustix::fs::fstat(self.folders.root()).map_or(true, |found| found.st_nlink == 0)
    }

    /// Removes the working folder. The claim goes last, so that a DIR whose completion is cut short
    /// can be opened again.
    fn remove_work(&self) -> io::Result<()> {
        empty_folder(&self.work, Some(CLAIM))?;
        empty_folder(&self.work, None)?;
        let root = self.folders.root();
        self.folders.within(root, || root.remove_dir(&self.work_name))
    }

    pub(super) fn checked<'a>(&self, path: &'a [u8]) -> Result<&'a [u8], DestinationError> {
        if self.folders.map.is_some() {
            // What is the restore's own is mapped.
            return checked_path(path)
                .map_err(|source| DestinationError::Path { path: path.to_vec(), source });
        }
        checked(path, &self.work_name, self.ignores_case)
    }

    fn shown_dir(&self) -> &[u8] {
        self.dir.as_os_str().as_bytes()
    }
}

/// A path that may be walked: relative, without `..`, and not the restore's own, which has more
/// spellings where case does not count.
pub(super) fn checked<'a>(
    path: &'a [u8],
    work_name: &str,
    ignores_case: bool,
) -> Result<&'a [u8], DestinationError> {
    checked_path(path).map_err(|source| DestinationError::Path { path: path.to_vec(), source })?;
    let top = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    let reserved = work_name.as_bytes();
    if top == reserved || (ignores_case && top.eq_ignore_ascii_case(reserved)) {
        return Err(DestinationError::Reserved { path: path.to_vec() });
    }
    Ok(path)
}

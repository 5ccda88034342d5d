//! Linux's own things, in one place: kinds of file systems, and calls that need care on some.
//!
//! - Enters: open folders, names of one component, bytes.
//! - Leaves: what the kernel did, as [`io::Error`]; interrupted calls are begun again here.
//! - Always holds: (1) no link on a drive is followed, so nothing outside of it is touched; (2) no
//!   call here makes a file system write zeros where data follows; (3) what a driver does not
//!   support is left out or done in another way, and never an error by itself; (4) nothing is opened
//!   but folders and regular files.

use std::io;
use std::path::Path;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{
    self, Advice, AtFlags, FallocateFlags, FileType, FsWord, Mode, OFlags, RenameFlags,
};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

use super::buffer::{ALIGNMENT, Buffer, aligned};
use super::drive::NextPart;

/// Bytes of one direct write.
const PIECE_BYTES: usize = 4 << 20;
/// Files shorter than this are not worth a direct write.
const DIRECT_BYTES: usize = 1 << 20;
/// Bytes of one direct read into a buffer of ours.
const BOUNCE_BYTES: usize = 1 << 20;

/// A kind of file system, as far as holdall must tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystemKind {
    /// a driver in the kernel, on a device
    Kernel,
    /// the kernel's FAT driver: reserving room there writes zeros
    Fat,
    /// a driver in a process: exfat-fuse, ntfs-3g and many others
    Fuse,
    /// there is a cache that nobody here can get past: a file server's, or that of ZFS, which takes
    /// `O_DIRECT` and until release 2.3 reads from memory all the same
    Opaque,
    /// tmpfs and ramfs: there is no medium but memory
    Memory,
}

/// NFS, SMB (three numbers), 9p, Ceph, AFS (two), Coda, ZFS.
const OPAQUE: [u32; 10] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x6b41_4653,
    0x7375_7245,
    0x2fc1_2fc1,
];

impl FileSystemKind {
    /// The kind of the file system that this open file or folder lies on.
    pub(super) fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self::of_magic(retry_on_intr(|| fs::fstatfs(&file))?.f_type))
    }

    fn of_magic(magic: FsWord) -> Self {
        match magic as u32 {
            0x6573_5546 => Self::Fuse,
            0x0102_1994 | 0x8584_58f6 => Self::Memory,
            0x4d44 => Self::Fat,
            number if OPAQUE.contains(&number) => Self::Opaque,
            _ => Self::Kernel,
        }
    }
}

/// Bytes that the file system says are free and still needs for itself: btrfs counts room as free
/// that it will give to its metadata, in pieces of an eighth of a small device and up to 1 GiB,
/// twice.
pub(super) fn own_bytes(file: impl AsFd, total_bytes: u64) -> io::Result<u64> {
    const BTRFS: u32 = 0x9123_683e;
    const MOST: u64 = 5 << 29;
    let magic = retry_on_intr(|| fs::fstatfs(&file))?.f_type as u32;
    Ok(if magic == BTRFS { (total_bytes / 8).min(MOST) } else { 0 })
}

/// Has the driver no such call, or not for this file?
fn unsupported(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// Opens the drive's own folder, which alone may be reached through links.
///
/// Not with `O_PATH`, for `syncfs` refuses that. Its file descriptor is kept for as long as the
/// drive is used: `syncfs` then reports whatever failed to be written since.
pub(super) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(retry_on_intr(|| fs::open(path, flags, Mode::empty()))?)
}

/// Opens a folder inside an open one, as a place for names only.
pub(super) fn step(folder: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(retry_on_intr(|| fs::openat(&folder, name, flags, Mode::empty()))?)
}

/// Opens a folder again, to list or sync it: a place for names gives neither.
pub(super) fn readable(folder: impl AsFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(retry_on_intr(|| fs::openat(&folder, ".", flags, Mode::empty()))?)
}

/// Nothing on a drive is secret without the key, and whoever reads it is often another user.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// Makes a new, empty file for writing, which all may read whatever the umask says.
pub(super) fn create(folder: impl AsFd, name: &str, kind: FileSystemKind) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = retry_on_intr(|| fs::openat(&folder, name, flags, FILE_MODE))?;
    if keeps_modes(kind) {
        retry_on_intr(|| fs::fchmod(&file, FILE_MODE)).ok(); // what the server does not let us do
    }
    Ok(file)
}

/// Elsewhere modes are made up by the driver.
fn keeps_modes(kind: FileSystemKind) -> bool {
    !matches!(kind, FileSystemKind::Fat | FileSystemKind::Fuse)
}

/// Makes a folder, which all may read; `false` if the name is there already.
pub(super) fn create_folder(
    folder: impl AsFd,
    name: &str,
    kind: FileSystemKind,
) -> io::Result<bool> {
    match retry_on_intr(|| fs::mkdirat(&folder, name, FOLDER_MODE)) {
        Ok(()) => {
            if keeps_modes(kind) {
                let made = step(&folder, name).and_then(readable);
                made.map(|made| fs::fchmod(made, FOLDER_MODE).ok()).ok();
            }
            Ok(true)
        }
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens a regular file for reading and says how long it is.
pub(super) fn open_file(folder: impl AsFd, name: &str) -> io::Result<(OwnedFd, u64)> {
    open_regular(folder, name, OFlags::RDONLY)
}

/// Opens a regular file and says how long it is. What is none is never opened: that alone may start
/// a device, a watchdog for one.
fn open_regular(folder: impl AsFd, name: &str, access: OFlags) -> io::Result<(OwnedFd, u64)> {
    // A place for names, as `step` opens it: nothing is asked of a device for that.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = retry_on_intr(|| fs::openat(&folder, name, flags, Mode::empty()))?;
    let stat = retry_on_intr(|| fs::fstat(&place))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Errno::ISDIR.into()),
        FileType::Symlink => return Err(Errno::LOOP.into()),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
    let file = reopen(&place, access).or_else(|errno| match errno {
        // Without /proc by its name once more.
        Errno::NOENT => {
            let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            retry_on_intr(|| fs::openat(&folder, name, flags, Mode::empty()))
        }
        errno => Err(errno),
    })?;
    let len = retry_on_intr(|| fs::fstat(&file))?.st_size as u64;
    Ok((file, len))
}

/// Opens what an open place is, whatever has its name by now.
fn reopen(place: &OwnedFd, access: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
    retry_on_intr(|| fs::open(path.as_str(), flags, Mode::empty()))
}

/// Removes a file; `false` if there is none.
pub(super) fn remove(folder: impl AsFd, name: &str) -> io::Result<bool> {
    match retry_on_intr(|| fs::unlinkat(&folder, name, AtFlags::empty())) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Renames within a folder; fails if the new name is there.
pub(super) fn rename(folder: &OwnedFd, old: &str, new: &str) -> io::Result<()> {
    let folder = folder.as_fd();
    let flags = RenameFlags::NOREPLACE;
    match retry_on_intr(|| fs::renameat_with(folder, old, folder, new, flags)) {
        // Some FUSE drivers have only the plain rename, which replaces.
        Err(error) if unsupported(error) => {
            match retry_on_intr(|| fs::statat(folder, new, AtFlags::SYMLINK_NOFOLLOW)) {
                Err(Errno::NOENT) => Ok(retry_on_intr(|| fs::renameat(folder, old, folder, new))?),
                Ok(_) => Err(Errno::EXIST.into()),
                Err(error) => Err(error.into()),
            }
        }
        result => Ok(result?),
    }
}

/// Renames within a folder; what has the new name is replaced, if it is no folder that holds
/// something.
pub(super) fn rename_over(folder: &OwnedFd, old: &str, new: &str) -> io::Result<()> {
    let folder = folder.as_fd();
    match retry_on_intr(|| fs::renameat(folder, old, folder, new)) {
        Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
            remove_folder(folder, new)?;
            Ok(retry_on_intr(|| fs::renameat(folder, old, folder, new))?)
        }
        result => Ok(result?),
    }
}

/// Removes an empty folder; `false` if there is none.
pub(super) fn remove_folder(folder: impl AsFd, name: &str) -> io::Result<bool> {
    match retry_on_intr(|| fs::unlinkat(&folder, name, AtFlags::REMOVEDIR)) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes over a part of a file that is there, and syncs it.
pub(super) fn rewrite(folder: impl AsFd, name: &str, pieces: &[(u64, &[u8])]) -> io::Result<()> {
    let (file, len) = open_regular(&folder, name, OFlags::WRONLY)?;
    if pieces.iter().any(|(offset, piece)| offset + piece.len() as u64 > len) {
        return Err(Errno::INVAL.into());
    }
    pieces.iter().try_for_each(|(offset, piece)| write_at(&file, *offset, piece))?;
    sync_file(file)
}

fn write_at(file: impl AsFd, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match retry_on_intr(|| pwrite(&file, &bytes[done..], offset + done as u64))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => done += written,
        }
    }
    Ok(())
}

/// Writes what comes part by part into a new file of so many bytes.
pub(super) fn write_parts(
    file: impl AsFd,
    kind: FileSystemKind,
    len: u64,
    next: NextPart,
) -> io::Result<()> {
    reserve(&file, kind, len)?;
    let mut offset = 0;
    while let Some(part) = next()? {
        write_at(&file, offset, &part)?;
        offset += part.len() as u64;
    }
    Ok(())
}

/// Makes a file's bytes durable.
pub(super) fn sync_file(file: impl AsFd) -> io::Result<()> {
    Ok(retry_on_intr(|| fs::fsync(&file))?)
}

/// Makes the names in a folder durable, where the driver can.
pub(super) fn sync_folder(folder: impl AsFd) -> io::Result<()> {
    let folder = readable(folder)?;
    match retry_on_intr(|| fs::fsync(&folder)) {
        Err(error) if unsupported(error) => Ok(()),
        result => Ok(result?),
    }
}

/// Makes everything on a kernel's file system durable.
///
/// The `fsync` after it is for exFAT and FAT, whose `syncfs` writes everything out but does not
/// flush the device's own cache; their `fsync` of any file or folder does.
pub(super) fn sync_all(root: impl AsFd) -> io::Result<()> {
    retry_on_intr(|| fs::syncfs(&root))?;
    sync_folder(root)
}

/// Writes all bytes of a new file.
pub(super) fn write_new(file: impl AsFd, kind: FileSystemKind, bytes: &[u8]) -> io::Result<()> {
    let file = file.as_fd();
    reserve(file, kind, bytes.len() as u64)?;
    let whole = aligned(bytes.as_ptr().addr() as u64) && aligned(bytes.len() as u64);
    let mut direct = whole && bytes.len() >= DIRECT_BYTES && set_direct(file, true)?;
    let mut done = 0;
    while done < bytes.len() {
        let piece = if direct { PIECE_BYTES.min(bytes.len() - done) } else { bytes.len() - done };
        match retry_on_intr(|| pwrite(file, &bytes[done..done + piece], done as u64)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            // Refused, or no longer aligned after a short write.
            Err(error) if direct && unsupported(error) => direct = set_direct(file, false)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Asks for room in one piece, which is a hint but for a drive that is full.
///
/// Never by `posix_fallocate` or `ftruncate`, which write zeros where the driver cannot reserve;
/// the kernel's FAT driver writes them even here, so there it is left out. In memory there is no
/// one piece.
fn reserve(file: impl AsFd, kind: FileSystemKind, len: u64) -> io::Result<()> {
    if len == 0 || matches!(kind, FileSystemKind::Fat | FileSystemKind::Memory) {
        return Ok(());
    }
    match retry_on_intr(|| fs::fallocate(&file, FallocateFlags::empty(), 0, len)) {
        Err(error) if unsupported(error) => Ok(()),
        result => Ok(result?),
    }
}

/// Turns direct I/O on or off for an open file; says if it is on now.
///
/// Set on the open file, not while opening: where `O_DIRECT` is refused, `open` may have made the
/// file all the same, and the second try would find it there.
pub(super) fn set_direct(file: impl AsFd, on: bool) -> io::Result<bool> {
    let mut flags = retry_on_intr(|| fs::fcntl_getfl(&file))?;
    flags.set(OFlags::DIRECT, on);
    match retry_on_intr(|| fs::fcntl_setfl(&file, flags)) {
        Err(error) if on && unsupported(error) => Ok(false),
        result => Ok(result.map(|()| on)?),
    }
}

/// Tells the kernel that a file will be read from start to end.
pub(super) fn expect_sequential(file: impl AsFd) {
    // A hint: nothing depends on it.
    fs::fadvise(&file, 0, None, Advice::Sequential).ok();
}

/// Drops the page cache of one file, so that the next read asks the driver.
///
/// Pages that are not written out stay, so those are written first; drivers that refuse `fsync` on
/// a file that is open for reading, or mounted so, have nothing to write.
pub(super) fn drop_cache(file: impl AsFd) -> io::Result<()> {
    match retry_on_intr(|| fs::fsync(&file)) {
        Err(error) if !unsupported(error) && error != Errno::ROFS && error != Errno::BADF => {
            return Err(error.into());
        }
        _ => {}
    }
    forget_clean(file)
}

/// Drops those pages of a file or device that need no writing.
pub(super) fn forget_clean(file: impl AsFd) -> io::Result<()> {
    Ok(fs::fadvise(&file, 0, None, Advice::DontNeed)?)
}

/// Fills `buf` from `offset`; fewer bytes only at the end of the file.
pub(super) fn read_plain(file: impl AsFd, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match retry_on_intr(|| pread(&file, &mut buf[done..], offset + done as u64))? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}

/// As [`read_plain`], from a file with direct I/O on; `None` if the driver refuses that after all.
///
/// An aligned range goes straight into `buf`, any other through `bounce`, in pieces.
pub(super) fn read_direct(
    file: impl AsFd,
    offset: u64,
    buf: &mut [u8],
    bounce: &mut Buffer,
) -> io::Result<Option<usize>> {
    let place = buf.as_ptr().addr() as u64;
    let read = if aligned(place) && aligned(offset) && aligned(buf.len() as u64) {
        read_aligned(file, offset, buf)
    } else {
        read_bounced(file, offset, buf, bounce)
    };
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if unsupported(error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads at an aligned offset into an aligned buffer of whole units.
///
/// A read that ends inside a unit goes on from that unit's start, as any other offset would be
/// refused; one of less than a unit has met the end of the file.
fn read_aligned(file: impl AsFd, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buf.len() {
        let read = retry_on_intr(|| pread(&file, &mut buf[done..], offset + done as u64))?;
        if read < ALIGNMENT {
            return Ok(done + read);
        }
        done += read - read % ALIGNMENT;
    }
    Ok(done)
}

/// Reads the aligned ranges around the wanted one into `bounce`, and copies.
fn read_bounced(
    file: impl AsFd,
    offset: u64,
    buf: &mut [u8],
    bounce: &mut Buffer,
) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buf.len() {
        let wanted = offset + done as u64;
        let before = (wanted % ALIGNMENT as u64) as usize;
        let around = (before + buf.len() - done).next_multiple_of(ALIGNMENT).min(BOUNCE_BYTES);
        bounce.fit(around);
        let read = read_aligned(&file, wanted - before as u64, &mut bounce[..around])?;
        let end = read.min(before + buf.len() - done);
        let Some(found) = bounce[..end].get(before..) else { break };
        buf[done..done + found.len()].copy_from_slice(found);
        done += found.len();
        if read < around {
            break;
        }
    }
    Ok(done)
}

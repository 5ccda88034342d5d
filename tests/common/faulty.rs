//! An image below a mounted file system whose reads and writes fail, vanish or take their time: a
//! file that this process serves (FUSE), to be put under a loop device.
//!
//! It lies in memory. The file system above, its caches and its driver are the real ones; what they
//! are told is what a dying drive or a lying one tells them.

use super::{is_root, skip};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// Writes of fewer bytes are never lost.
const LARGE_BYTES: u64 = 16 << 10;

/// How the image behaves.
#[derive(Default)]
pub struct Faults {
    /// reads that touch one of these fail with EIO
    pub unreadable: Vec<Range<u64>>,
    /// bytes read from here on until it is dead
    pub reads_left: Option<u64>,
    /// bytes written from here on until it is dead
    pub writes_left: Option<u64>,
    /// everything fails with EIO, as when the plug was pulled
    pub dead: bool,
    /// it ends here: what lies behind cannot be read or written
    pub ends_at: Option<u64>,
    /// large writes succeed and do nothing from so many written bytes on to so many
    pub loses: Range<u64>,
    /// every write succeeds and does nothing
    pub swallows: bool,
    /// bytes written so far
    pub written: u64,
    /// bytes of writes that did nothing
    pub lost_bytes: u64,
    /// how long each failing read takes
    pub failing_takes: Duration,
    /// the next write takes so long
    pub next_write_takes: Duration,
    /// reads that failed
    pub failed_reads: u64,
}

impl Faults {
    fn may_read(&mut self, range: &Range<u64>) -> bool {
        if let Some(left) = &mut self.reads_left {
            let len = range.end - range.start;
            self.dead |= *left < len;
            *left = left.saturating_sub(len);
        }
        let touches = |bad: &Range<u64>| bad.start < range.end && range.start < bad.end;
        let fine = !self.dead
            && self.ends_at.is_none_or(|end| range.end <= end)
            && !self.unreadable.iter().any(touches);
        self.failed_reads += u64::from(!fine);
        fine
    }

    fn may_write(&mut self, range: &Range<u64>) -> bool {
        if let Some(left) = &mut self.writes_left {
            let len = range.end - range.start;
            self.dead |= *left < len;
            *left = left.saturating_sub(len);
        }
        let done = !self.dead && self.ends_at.is_none_or(|end| range.end <= end);
        if done {
            // As a disk gives a sector that is written to another place.
            self.unreadable.retain(|bad| bad.start < range.start || bad.end > range.end);
        }
        done
    }

    /// Is a write done that is said to be? What tables are made of always is.
    fn keeps(&mut self, len: u64) -> bool {
        self.written += len;
        let lost = self.swallows || len >= LARGE_BYTES && self.loses.contains(&self.written);
        self.lost_bytes += if lost { len } else { 0 };
        !lost
    }
}

struct Shared {
    faults: Mutex<Faults>,
    bytes: Mutex<Vec<u8>>,
}

/// The image; unmounted in the end. What is mounted on it must go first.
pub struct FaultyImage {
    shared: Arc<Shared>,
    folder: PathBuf,
    session: Option<BackgroundSession>,
}

pub(super) const IMAGE: INodeNo = INodeNo(2);
pub(super) const TTL: Duration = Duration::from_secs(3600);

impl FaultyImage {
    /// Serves an image of zeros in a folder, which is made; none, and a skip, if that cannot be done
    /// here.
    #[track_caller]
    pub fn new(folder: &Path, mib: u64) -> Option<Self> {
        if !is_root() || !Path::new("/dev/fuse").exists() {
            skip("only root can mount, and /dev/fuse is needed");
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let bytes = Mutex::new(vec![0; (mib << 20) as usize]);
        let shared = Arc::new(Shared { faults: Mutex::default(), bytes });
        match fuser::spawn_mount(Server(shared.clone()), folder, &Config::default()) {
            Ok(session) => Some(Self { shared, folder: folder.into(), session: Some(session) }),
            Err(error) => {
                skip(&format!("no FUSE: {error}"));
                None
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.join("image")
    }

    /// How it behaves, to be changed.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.shared.faults)
    }
}

impl Drop for FaultyImage {
    fn drop(&mut self) {
        // What is still unwritten above may be, so that nothing waits for it for ever.
        *self.faults() = Faults::default();
        // Its thread ends when the loop device has let go of the image, which nothing waits for:
        // another process may be looking at that device just now.
        Command::new("umount").arg("-l").arg(&self.folder).output().ok();
        drop(self.session.take());
    }
}

/// Also after a test has failed while it looked at the faults: its file system must be unmounted.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Attributes of the folder, and of the one file in it.
pub(super) fn attributes(inode: INodeNo, size: u64) -> Option<FileAttr> {
    let kind = match inode {
        INodeNo::ROOT => FileType::Directory,
        IMAGE => FileType::RegularFile,
        _ => return None,
    };
    Some(attributes_of(inode, kind, size))
}

/// Attributes of a file or folder that is root's.
pub(super) fn attributes_of(inode: INodeNo, kind: FileType, size: u64) -> FileAttr {
    FileAttr {
        ino: inode,
        size,
        blocks: size / 512,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o700,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        flags: 0,
        blksize: 4096,
    }
}

struct Server(Arc<Shared>);

impl Server {
    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        attributes(inode, lock(&self.0.bytes).len() as u64)
    }

    fn range(&self, offset: u64, len: usize) -> Range<u64> {
        let size = lock(&self.0.bytes).len() as u64;
        offset.min(size)..(offset + len as u64).min(size)
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attributes(IMAGE) {
            Some(found) if parent == INodeNo::ROOT && name == "image" => {
                reply.entry(&TTL, &found, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(found) => reply.attr(&TTL, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Nothing is kept by the kernel on this side of the loop device.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let range = self.range(offset, size as usize);
        let mut faults = lock(&self.0.faults);
        if faults.may_read(&range) {
            drop(faults);
            let bytes = lock(&self.0.bytes);
            return reply.data(&bytes[range.start as usize..range.end as usize]);
        }
        let takes = faults.failing_takes;
        drop(faults);
        std::thread::sleep(takes);
        reply.error(Errno::EIO);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let range = self.range(offset, data.len());
        let mut faults = lock(&self.0.faults);
        let takes = std::mem::take(&mut faults.next_write_takes);
        let (done, kept) = (faults.may_write(&range), faults.keeps(data.len() as u64));
        drop(faults);
        std::thread::sleep(takes);
        if !done {
            return reply.error(Errno::EIO);
        }
        if kept {
            let at = range.start as usize..range.end as usize;
            let len = at.len();
            lock(&self.0.bytes)[at].copy_from_slice(&data[..len]);
        }
        reply.written(data.len() as u32);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let dead = lock(&self.0.faults).dead;
        if dead { reply.error(Errno::EIO) } else { reply.ok() }
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EOPNOTSUPP);
    }
}

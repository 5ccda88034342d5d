//! A source that takes no room: large files whose bytes are made as they are read, no two chunks the
//! same, served by this process (FUSE).

use super::faulty::attributes_of;
use super::{is_root, skip};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry,
    ReplyOpen, Request,
};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(3600);
/// The inode of the first file.
const FIRST: u64 = 2;

/// The source; unmounted in the end.
pub struct Generated {
    folder: PathBuf,
    session: Option<BackgroundSession>,
}

impl Generated {
    /// Serves so many files of so many bytes in a folder, which is made; none, and a skip, if that
    /// cannot be done here.
    #[track_caller]
    pub fn new(folder: &Path, files: u64, file_bytes: u64) -> Option<Self> {
        if !is_root() || !Path::new("/dev/fuse").exists() {
            skip("only root can mount, and /dev/fuse is needed");
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        match fuser::spawn_mount(Server { files, file_bytes }, folder, &Config::default()) {
            Ok(session) => Some(Self { folder: folder.into(), session: Some(session) }),
            Err(error) => {
                skip(&format!("no FUSE: {error}"));
                None
            }
        }
    }
}

impl Drop for Generated {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.folder).output().ok();
        drop(self.session.take());
    }
}

struct Server {
    files: u64,
    file_bytes: u64,
}

/// The eight bytes at a multiple of eight: `SplitMix64` of their place, which nothing compresses.
fn word(file: u64, offset: u64) -> u64 {
    let mut x = (file << 44 | offset >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

impl Server {
    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let (kind, size) = match inode.0 {
            1 => (FileType::Directory, 0),
            number if number < FIRST + self.files => (FileType::RegularFile, self.file_bytes),
            _ => return None,
        };
        Some(attributes_of(inode, kind, size))
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let number = name.to_str().and_then(|name| name.parse::<u64>().ok());
        match number.and_then(|number| self.attributes(INodeNo(FIRST + number))) {
            Some(found) => reply.entry(&TTL, &found, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(found) => reply.attr(&TTL, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Nothing of it stays in the page cache, which would be counted as ours.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = self.file_bytes.min(offset + u64::from(size));
        let before = (offset % 8) as usize;
        let mut bytes = Vec::with_capacity(size as usize + 16);
        for at in (offset - before as u64..end).step_by(8) {
            bytes.extend_from_slice(&word(inode.0, at).to_le_bytes());
        }
        let len = end.saturating_sub(offset) as usize;
        reply.data(&bytes[before.min(bytes.len())..(before + len).min(bytes.len())]);
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        for number in offset..self.files {
            let name = format!("{number:04}");
            let full = reply.add(INodeNo(FIRST + number), number + 1, FileType::RegularFile, name);
            if full {
                break;
            }
        }
        reply.ok();
    }
}

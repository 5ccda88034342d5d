//! A file of a [`LocalDrive`](super::LocalDrive) that is open for reading.
//!
//! - Enters: ranges to read.
//! - Leaves: bytes, past the page cache where that is asked for and the driver lets us.
//! - Always holds: (1) a direct read that is refused is noted for the drive; (2) what is read again
//!   comes past every cache that can be dropped, page by page where a driver reads through one, so that
//!   a bad sector spoils no more than the page that it is in.

use super::buffer::Buffer;
use super::drive::DriveFile;
use super::error::DriveError;
use super::watch::Calls;
use super::{device, filesystem};
use rustix::fd::OwnedFd;
use rustix::fs as kernel;
use rustix::io::retry_on_intr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is read at once from a place that is bad.
const PAGE_BYTES: usize = 4096;

/// A file that is open for reading.
pub(super) struct LocalFile {
    drive: String,
    path: String,
    file: OwnedFd,
    len: u64,
    direct: bool,
    bounce: Buffer,
    refused: Arc<AtomicBool>,
    calls: Arc<Calls>,
}

impl LocalFile {
    /// Of a file that was opened; nothing is read yet.
    pub(super) fn new(
        drive: String,
        path: String,
        file: OwnedFd,
        len: u64,
        refused: Arc<AtomicBool>,
        calls: Arc<Calls>,
    ) -> Self {
        Self { drive, path, file, len, direct: false, bounce: Buffer::default(), refused, calls }
    }

    /// It will be read from start to end.
    pub(super) fn expect_sequential(&self) {
        filesystem::expect_sequential(&self.file);
    }

    /// Reads past the page cache from here on, if the driver lets us.
    pub(super) fn go_direct(&mut self) -> io::Result<()> {
        // A hint, for drivers that take the flag and then read through the file's cache.
        filesystem::forget_clean(&self.file).ok();
        self.direct = filesystem::set_direct(&self.file, true)?;
        if self.direct { Ok(()) } else { self.go_cached() }
    }

    fn go_cached(&mut self) -> io::Result<()> {
        self.direct = filesystem::set_direct(&self.file, false)?;
        self.refused.store(true, Ordering::Relaxed);
        filesystem::drop_cache(&self.file)
    }

    fn try_read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if self.direct {
            let read = filesystem::read_direct(&self.file, offset, buf, &mut self.bounce)?;
            if let Some(read) = read {
                return Ok(read);
            }
            self.go_cached()?;
        }
        filesystem::read_plain(&self.file, offset, buf)
    }

    fn try_read_again(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        // What cannot be dropped is read as it is.
        filesystem::forget_clean(&self.file).ok();
        let number = retry_on_intr(|| kernel::fstat(&self.file))?.st_dev;
        let Some(device) = device::open(number) else { return self.read_past(offset, buf) };
        device::forget(&device).ok();
        // What the driver reads on from one page to the next fails together with a bad one.
        let mut done = 0;
        for piece in buf.chunks_mut(PAGE_BYTES) {
            filesystem::forget_clean(&device).ok();
            let read = self.read_past(offset + done as u64, piece)?;
            done += read;
            if read < piece.len() {
                break;
            }
        }
        Ok(done)
    }

    /// Reads past the page cache, this once at least, if the driver lets us.
    fn read_past(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if !self.direct && filesystem::set_direct(&self.file, true).unwrap_or(false) {
            let read = filesystem::read_direct(&self.file, offset, buf, &mut self.bounce);
            filesystem::set_direct(&self.file, false)?;
            if let Some(read) = read? {
                return Ok(read);
            }
        }
        self.try_read(offset, buf)
    }
}

impl DriveFile for LocalFile {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        let calls = Arc::clone(&self.calls);
        let _call = calls.begin();
        self.try_read(offset, buf)
            .map_err(|source| DriveError::new(&self.drive, "read", &self.path, source))
    }

    fn read_again(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        let calls = Arc::clone(&self.calls);
        let _call = calls.begin();
        self.try_read_again(offset, buf)
            .map_err(|source| DriveError::new(&self.drive, "read", &self.path, source))
    }

    fn len(&self) -> u64 {
        self.len
    }
}

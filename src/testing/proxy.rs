//! A drive that stands before another one and hears of each call on it.
//!
//! - Enters: calls on a drive, and on the files that are open on it.
//! - Leaves: what the drive below gives, or what the proxy makes of it.
//! - Always holds: a call that [`Drive`] has a default for is made of the others, so nothing passes by.

use crate::drives::{Drive, DriveError, DriveFile, Level, ReadMode, Room, WriteMode};

/// A call on a drive.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    pub kind: CallKind<'c>,
    /// empty for the drive itself
    pub path: &'c str,
}

#[derive(Clone, Copy)]
pub enum CallKind<'c> {
    Room,
    MakeFolder,
    List,
    Write { bytes: &'c [u8], mode: WriteMode },
    Sync,
    Rewrite(&'c [(u64, &'c [u8])]),
    RemoveFolder,
    Remove,
    Open,
}

impl Call<'_> {
    /// The action that a [`DriveError`] names.
    pub fn action(&self) -> &'static str {
        match self.kind {
            CallKind::Room => "measure",
            CallKind::MakeFolder => "make folder",
            CallKind::List => "list",
            CallKind::Write { mode, .. } => mode.action(),
            CallKind::Sync => "sync",
            CallKind::Rewrite(_) => "rewrite",
            CallKind::RemoveFolder => "remove folder",
            CallKind::Remove => "remove",
            CallKind::Open => "open",
        }
    }
}

/// A read from a file that is open.
pub struct FileRead<'r> {
    pub path: &'r str,
    pub mode: ReadMode,
    pub offset: u64,
    pub buf: &'r mut [u8],
    /// a place that could not be read is read once more: [`DriveFile::read_again`]
    pub again: bool,
    /// on the drive below
    pub file: &'r mut dyn DriveFile,
}

impl FileRead<'_> {
    /// Reads from the file below.
    pub fn run(&mut self) -> Result<usize, DriveError> {
        if self.again {
            self.file.read_again(self.offset, self.buf)
        } else {
            self.file.read_at(self.offset, self.buf)
        }
    }
}

/// A drive before another one; its clones are the same drive.
pub trait Proxy: Clone + Send + Sync + 'static {
    fn below(&self) -> &dyn Drive;

    /// Makes a call: `run` makes it on the drive below, once.
    fn call(
        &self,
        call: &Call,
        run: &mut dyn FnMut() -> Result<(), DriveError>,
    ) -> Result<(), DriveError> {
        let _ = call;
        run()
    }

    fn read_file(&self, mut reading: FileRead) -> Result<usize, DriveError> {
        reading.run()
    }
}

/// Makes a call through the proxy, and gives back what the drive below did.
fn through<P: Proxy, R>(
    proxy: &P,
    kind: CallKind,
    path: &str,
    job: impl FnOnce(&dyn Drive) -> Result<R, DriveError>,
) -> Result<R, DriveError> {
    let (mut job, mut given) = (Some(job), None);
    proxy.call(&Call { kind, path }, &mut || {
        let job = job.take().expect("a proxy makes a call once");
        given = Some(job(proxy.below())?);
        Ok(())
    })?;
    Ok(given.expect("a proxy makes a call that it says was made"))
}

impl<P: Proxy> Drive for P {
    fn name(&self) -> &str {
        self.below().name()
    }

    fn room(&self) -> Result<Room, DriveError> {
        through(self, CallKind::Room, "", |below| below.room())
    }

    fn make_folder(&self, path: &str) -> Result<(), DriveError> {
        through(self, CallKind::MakeFolder, path, |below| below.make_folder(path))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, DriveError> {
        through(self, CallKind::List, path, |below| below.list(path))
    }

    fn write(&self, path: &str, bytes: &[u8], mode: WriteMode) -> Result<(), DriveError> {
        through(self, CallKind::Write { bytes, mode }, path, |below| below.write(path, bytes, mode))
    }

    fn sync(&self) -> Result<(), DriveError> {
        through(self, CallKind::Sync, "", |below| below.sync())
    }

    fn rewrite(&self, path: &str, pieces: &[(u64, &[u8])]) -> Result<(), DriveError> {
        through(self, CallKind::Rewrite(pieces), path, |below| below.rewrite(path, pieces))
    }

    fn remove_folder(&self, path: &str) -> Result<(), DriveError> {
        through(self, CallKind::RemoveFolder, path, |below| below.remove_folder(path))
    }

    fn remove(&self, path: &str) -> Result<(), DriveError> {
        through(self, CallKind::Remove, path, |below| below.remove(path))
    }

    fn open(&self, path: &str, mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        let file = through(self, CallKind::Open, path, |below| below.open(path, mode))?;
        Ok(Box::new(ProxyFile { proxy: self.clone(), file, path: path.to_owned(), mode }))
    }

    fn level(&self) -> Level {
        self.below().level()
    }
}

struct ProxyFile<P> {
    proxy: P,
    file: Box<dyn DriveFile>,
    path: String,
    mode: ReadMode,
}

impl<P: Proxy> ProxyFile<P> {
    fn read(&mut self, offset: u64, buf: &mut [u8], again: bool) -> Result<usize, DriveError> {
        let (path, mode, file) = (&*self.path, self.mode, &mut *self.file);
        self.proxy.read_file(FileRead { path, mode, offset, buf, again, file })
    }
}

impl<P: Proxy> DriveFile for ProxyFile<P> {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        self.read(offset, buf, false)
    }

    fn read_again(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        self.read(offset, buf, true)
    }

    fn len(&self) -> u64 {
        self.file.len()
    }
}

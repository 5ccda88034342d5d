//! A drive that counts what is read of it.

use holdall::testing::drives::{Drive, DriveError, DriveFile, Level, ReadMode, Room};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Bytes read, by path; several drives may share it.
pub type Reads = Arc<Mutex<BTreeMap<String, u64>>>;

/// Bytes read of files whose path has this in it.
pub fn read_of(reads: &Reads, part: &str) -> u64 {
    reads.lock().unwrap().iter().filter(|(path, _)| path.contains(part)).map(|(_, n)| n).sum()
}

/// Hears of each file that is opened: the drive's name, and the path.
pub type Opening = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Counts, over a drive.
pub struct Counting {
    inner: Arc<dyn Drive>,
    reads: Reads,
    opening: Opening,
}

impl Counting {
    /// Over these drives, all into one count.
    pub fn over(drives: Vec<Arc<dyn Drive>>) -> (Vec<Arc<dyn Drive>>, Reads) {
        Self::watched(drives, &(Arc::new(|_: &str, _: &str| ()) as _))
    }

    /// The same, and `opening` hears of each file before it is opened.
    pub fn watched(drives: Vec<Arc<dyn Drive>>, opening: &Opening) -> (Vec<Arc<dyn Drive>>, Reads) {
        let reads = Reads::default();
        let count =
            |inner| Arc::new(Self { inner, reads: reads.clone(), opening: opening.clone() }) as _;
        (drives.into_iter().map(count).collect(), reads.clone())
    }
}

impl Drive for Counting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn room(&self) -> Result<Room, DriveError> {
        self.inner.room()
    }

    fn make_folder(&self, path: &str) -> Result<(), DriveError> {
        self.inner.make_folder(path)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, DriveError> {
        self.inner.list(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.inner.write(path, bytes)
    }

    fn sync(&self) -> Result<(), DriveError> {
        self.inner.sync()
    }

    fn commit(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.inner.commit(path, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.inner.replace(path, bytes)
    }

    fn rewrite(&self, path: &str, pieces: &[(u64, &[u8])]) -> Result<(), DriveError> {
        self.inner.rewrite(path, pieces)
    }

    fn remove_folder(&self, path: &str) -> Result<(), DriveError> {
        self.inner.remove_folder(path)
    }

    fn remove(&self, path: &str) -> Result<(), DriveError> {
        self.inner.remove(path)
    }

    fn open(&self, path: &str, mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        (self.opening)(self.name(), path);
        let (inner, path) = (self.inner.open(path, mode)?, path.to_owned());
        Ok(Box::new(CountingFile { inner, path, reads: self.reads.clone() }))
    }

    fn level(&self) -> Level {
        self.inner.level()
    }
}

struct CountingFile {
    inner: Box<dyn DriveFile>,
    path: String,
    reads: Reads,
}

impl DriveFile for CountingFile {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        let len = self.inner.read_at(offset, buf)?;
        *self.reads.lock().unwrap().entry(self.path.clone()).or_default() += len as u64;
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }
}

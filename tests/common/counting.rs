//! A drive that counts what is read of it.

use holdall::testing::drives::{Drive, DriveError};
use holdall::testing::proxy::{Call, CallKind, FileRead, Proxy};
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
#[derive(Clone)]
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

impl Proxy for Counting {
    fn below(&self) -> &dyn Drive {
        &*self.inner
    }

    fn call(
        &self,
        call: &Call,
        run: &mut dyn FnMut() -> Result<(), DriveError>,
    ) -> Result<(), DriveError> {
        if matches!(call.kind, CallKind::Open) {
            (self.opening)(self.inner.name(), call.path);
        }
        run()
    }

    fn read_file(&self, mut reading: FileRead) -> Result<usize, DriveError> {
        let len = reading.run()?;
        *self.reads.lock().unwrap().entry(reading.path.to_owned()).or_default() += len as u64;
        Ok(len)
    }
}

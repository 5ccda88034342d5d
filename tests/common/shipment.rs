//! A dataset, drives that are folders, and an identity; packed, verified and restored by the
//! program itself.

use super::tree::{GEOMETRY, unlock, walk};
use super::{Run, run};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// One journey's folders, removed in the end.
pub struct Shipment {
    root: TempDir,
    /// the dataset
    pub source: PathBuf,
    /// case and folder of each drive, by slot from 1
    pub drives: Vec<(String, PathBuf)>,
    /// the identity's file
    pub key: PathBuf,
    /// its recipient
    pub recipient: String,
    restores: std::cell::Cell<u32>,
}

impl Shipment {
    /// Folders for a journey: a drive for each of `cases`' drives, and a new identity.
    pub fn new(cases: &[usize]) -> Self {
        Self::within(&std::env::temp_dir(), cases)
    }

    /// The same within a folder.
    pub fn within(folder: &Path, cases: &[usize]) -> Self {
        let root = tempfile::Builder::new().prefix("holdall-test-").tempdir_in(folder).unwrap();
        let mut drives = Vec::new();
        for (case, count) in ('a'..).zip(cases) {
            for number in 1..=*count {
                let path = root.path().join("drives").join(format!("{case}-{number}"));
                fs::create_dir_all(&path).unwrap();
                drives.push((case.to_string(), path));
            }
        }
        let key = root.path().join("me.key");
        let mut shipment = Self {
            source: root.path().join("source"),
            drives,
            key,
            recipient: String::new(),
            restores: 0.into(),
            root,
        };
        fs::create_dir(&shipment.source).unwrap();
        let key = shipment.key.clone();
        let made = shipment.run([OsStr::new("keygen"), "-o".as_ref(), key.as_ref()]).expect(0);
        made.stdout.trim().clone_into(&mut shipment.recipient);
        shipment
    }

    /// The folder in which everything lies.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Where the program keeps its state.
    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// Runs the program.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        run(&self.state(), arguments)
    }

    /// The paths of all drives.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.drives.iter().map(|(_, path)| path.clone()).collect()
    }

    /// The arguments of `pack` with the small geometry.
    pub fn pack_arguments(&self, survive: &str, more: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["pack".into(), self.source.clone().into()];
        for (case, path) in &self.drives {
            let mut drive = OsString::from(format!("{case}="));
            drive.push(path);
            arguments.extend(["--drive".into(), drive]);
        }
        let options = ["-r", &self.recipient, "--survive", survive, "--geometry", GEOMETRY];
        arguments.push("--folder-drives".into());
        arguments.extend(options.iter().chain(more).map(OsString::from));
        arguments
    }

    /// Packs with JSON output; checks that nothing stays on the host.
    pub fn pack(&self, survive: &str) -> Run {
        self.pack_with("chacha20", survive)
    }

    /// The same with another cipher.
    pub fn pack_with(&self, cipher: &str, survive: &str) -> Run {
        let more = ["--json", "--checkpoint", "128KiB", "--cipher", cipher];
        let run = self.run(self.pack_arguments(survive, &more));
        // In which case a drive travelled stays known.
        let is_left = |p: &PathBuf| p.metadata().unwrap().is_file() && !p.ends_with("drives.json");
        let left: Vec<_> = walk(&self.state()).into_iter().filter(is_left).collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "the host's state is removed");
        run
    }

    /// Goes on with packing on all drives, JSON output.
    pub fn resume(&self) -> Run {
        let mut arguments: Vec<OsString> =
            ["resume", "--json", "--folder-drives"].map(OsString::from).into();
        for (case, path) in &self.drives {
            arguments.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
        }
        self.run(arguments)
    }

    /// Verifies drives, JSON output.
    pub fn verify(&self, paths: &[PathBuf]) -> Run {
        let words = [OsString::from("verify"), "--json".into()];
        self.run(words.into_iter().chain(paths.iter().map(OsString::from)))
    }

    /// The arguments of a restore.
    pub fn restore_arguments(&self, paths: &[PathBuf], to: &Path, more: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["restore".into(), "--json".into(), "-i".into()];
        arguments.extend([self.key.clone().into(), "--to".into(), to.into()]);
        arguments.extend(more.iter().map(OsString::from));
        arguments.extend(paths.iter().map(OsString::from));
        arguments
    }

    /// Restores to a folder, JSON output.
    pub fn restore(&self, paths: &[PathBuf], to: &Path, more: &[&str]) -> Run {
        self.run(self.restore_arguments(paths, to, more))
    }

    /// A path that nothing has been restored to.
    pub fn new_destination(&self) -> PathBuf {
        let number = self.restores.get();
        self.restores.set(number + 1);
        self.root.path().join(format!("restored-{number}"))
    }

    /// The set's folder on a drive (from 0).
    pub fn set_folder(&self, drive: usize) -> PathBuf {
        let folders = fs::read_dir(self.drives[drive].1.join("holdall")).unwrap();
        let mut sets: Vec<PathBuf> =
            folders.map(|f| f.unwrap().path()).filter(|f| f.is_dir()).collect();
        assert_eq!(sets.len(), 1, "one set on the drive");
        sets.remove(0)
    }

    /// The files on a drive whose path in the set's folder begins so, sorted.
    pub fn files(&self, drive: usize, beginning: &str) -> Vec<PathBuf> {
        let folder = self.set_folder(drive);
        let begins = |path: &PathBuf| {
            let below = path.strip_prefix(&folder).unwrap();
            path.is_file() && below.to_str().unwrap().starts_with(beginning)
        };
        walk(&folder).into_iter().filter(begins).collect()
    }
}

impl Drop for Shipment {
    fn drop(&mut self) {
        if !super::is_root() {
            unlock(self.root.path());
        }
    }
}

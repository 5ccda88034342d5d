//! A packed set as maps of bytes, drive by drive: a test changes a copy and looks what verify and
//! restore make of it.

use super::lab::Lab;
use super::random::Random;
use super::snapshot::Snapshot;
use super::tree::{self, CHUNK};
use holdall::testing::commands::decode::decode_sets;
use holdall::testing::drives::{Drive, WriteMode};
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::format::Suite;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{Problem, Recording};
use holdall::testing::restorer::RestoreOptions;
use holdall::testing::sets::open;
use holdall::testing::verification::{SetOutcome, verify_sets};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// The files of a drive.
pub type Image = BTreeMap<String, Vec<u8>>;

/// A packed set, and what was packed.
pub struct Packed {
    folder: TempDir,
    /// what was packed
    pub source: Snapshot,
    /// whose it is
    pub lab: Lab,
    /// its drives, by slot from 1
    pub images: Vec<Image>,
    /// of the ids and keys
    pub seed: u64,
    restores: AtomicUsize,
}

/// What verify made of drives.
pub struct Verified {
    /// as the program would end
    pub status: i32,
    /// set by set
    pub sets: Vec<SetOutcome>,
    /// what was told
    pub problems: Vec<Problem>,
}

/// A drive with these files.
pub fn drive_of(name: &str, image: &Image) -> Arc<dyn Drive> {
    Arc::new(memory_of(name, image))
}

/// The files of a drive.
pub fn image_of(drive: &FaultyDrive) -> Image {
    let paths = drive.paths().into_iter();
    paths.map(|path| (path.clone(), drive.read(&path, u64::MAX).unwrap())).collect()
}

/// The same as [`drive_of`], to be looked at later.
pub fn memory_of(name: &str, image: &Image) -> FaultyDrive {
    let drive = FaultyDrive::new(name, 1 << 30);
    for (path, bytes) in image {
        drive.make_folder(path.rsplit_once('/').unwrap().0).unwrap();
        drive.write(path, bytes, WriteMode::New).unwrap();
    }
    drive
}

impl Packed {
    /// Packs half a megabyte: a few small files, two that cross stripes, a link.
    pub fn new(cases: &[usize], survive: &str, seed: &str) -> Self {
        let lab_seed = Random::new(seed).below(1 << 30) as u64;
        Self::with_lab_seed(cases, survive, seed, lab_seed)
    }

    /// The same, sealed with this suite.
    pub fn of_suite(suite: Suite, cases: &[usize], survive: &str, seed: &str) -> Self {
        let lab_seed = Random::new(seed).below(1 << 30) as u64;
        let mut lab = Lab::new(cases, 64 << 20, lab_seed);
        lab.suite = suite;
        Self::with_lab(lab, survive, seed, lab_seed)
    }

    /// The same, with a record file for each stripe.
    pub fn of_many_records(cases: &[usize], survive: &str, seed: &str) -> Self {
        let lab_seed = Random::new(seed).below(1 << 30) as u64;
        let mut lab = Lab::new(cases, 64 << 20, lab_seed);
        lab.checkpoint = 1;
        Self::with_lab(lab, survive, seed, lab_seed)
    }

    /// The same, with ids and keys of the packing from their own seed.
    pub fn with_lab_seed(cases: &[usize], survive: &str, seed: &str, lab_seed: u64) -> Self {
        Self::with_lab(Lab::new(cases, 64 << 20, lab_seed), survive, seed, lab_seed)
    }

    fn with_lab(mut lab: Lab, survive: &str, seed: &str, lab_seed: u64) -> Self {
        // In memory, if there is such a folder: many restores are synced.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let source = folder.path().join("source");
        let mut random = Random::new(seed);
        for i in 0..4 {
            let len = 1000 * i;
            tree::write(&source.join(format!("folder/{i}")), &random.bytes(len));
        }
        tree::write(&source.join("noise"), &random.bytes(21 * CHUNK + 77));
        tree::write(&source.join("more"), &random.bytes(8 * CHUNK));
        tree::write(&source.join("text"), &random.text(5 * CHUNK));
        symlink("noise", source.join("link")).unwrap();
        lab.pack(&source, survive);
        let images = lab.drives.iter().map(image_of).collect();
        Self {
            source: Snapshot::of(&source),
            folder,
            lab,
            images,
            seed: lab_seed,
            restores: 0.into(),
        }
    }

    /// The set's folder on every drive.
    pub fn set_folder(&self) -> String {
        let path = self.images[0].keys().find(|path| path.ends_with("/set.txt")).unwrap();
        path.strip_suffix("/copy/set.txt").or(path.strip_suffix("/set.txt")).unwrap().to_owned()
    }

    /// Bytes of all files that were packed.
    pub fn source_bytes(&self) -> u64 {
        let files = super::tree::walk(&self.folder.path().join("source")).into_iter();
        let files = files.filter_map(|p| p.symlink_metadata().ok()).filter(fs::Metadata::is_file);
        files.map(|m| m.len()).sum()
    }

    /// All drives as they were packed.
    pub fn drives(&self) -> Vec<Arc<dyn Drive>> {
        self.lab.drives_but(&[])
    }

    /// Verifies; with a key if it is said.
    pub fn verify(&self, drives: &[Arc<dyn Drive>], with_key: bool) -> Verified {
        let monitor = Recording::default();
        let found = open::find(drives, &monitor);
        let sets = if with_key {
            decode_sets(found, &self.lab.identities(), &[], Memory::default(), &monitor).unwrap()
        } else {
            verify_sets(&found, &monitor)
        };
        let problems = monitor.problems();
        let status = match () {
            () if sets.iter().any(SetOutcome::has_lost) => 1,
            () if !sets.iter().all(SetOutcome::is_whole) || !problems.is_empty() => 3,
            () => 0,
        };
        Verified { status, sets, problems }
    }

    /// Restores, and fails unless every bit is there.
    #[track_caller]
    pub fn must_be_restored(&self, drives: &[Arc<dyn Drive>], what: &str) {
        let number = self.restores.fetch_add(1, Ordering::Relaxed);
        let to = self.folder.path().join(format!("restored-{number}"));
        let monitor = Recording::default();
        let restored = self.lab.restore_from(drives, &to, RestoreOptions::default(), &monitor);
        let told = || format!("{what}: {restored:?} {:#?}", monitor.problems());
        assert!(restored.is_complete(), "{}", told());
        self.source.assert_equal(&Snapshot::of(&to));
        fs::remove_dir_all(&to).unwrap();
    }
}

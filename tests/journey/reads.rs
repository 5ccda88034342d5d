//! What is read of the drives: nothing again and again, however few of them are here.

use crate::common::counting::{Counting, Opening, Reads, read_of};
use crate::common::images::Image;
use crate::common::images::{drive_of, image_of, memory_of};
use crate::common::lab::Lab;
use crate::common::random::Random;
use crate::common::tree;
use holdall::testing::commands::decode::decode_sets;
use holdall::testing::commands::status::status_of;
use holdall::testing::drives::Drive;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::format::ids::Slot;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::Recording;
use holdall::testing::restorer::{RestoreOptions, stage};
use holdall::testing::sets::slots::MissingSlot;
use holdall::testing::sets::{RecordIndex, open};
use holdall::testing::verification::verify_sets;
use rstest::rstest;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A set of `bytes` of noise.
struct Case {
    lab: Lab,
    images: Vec<Image>,
    folder: tempfile::TempDir,
}

impl Case {
    fn new(cases: &[usize], survive: &str, bytes: usize) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let source = folder.path().join("source");
        let mut random = Random::new("reads");
        tree::write(&source.join("noise"), &random.bytes(bytes / 2));
        for i in 0..bytes >> 15 {
            tree::write(&source.join(format!("small/{i:05}")), &random.bytes(1 << 14));
        }
        let mut lab = Lab::new(cases, 64 << 20, 10);
        lab.pack(&source, survive);
        let images = lab.drives.iter().map(image_of).collect();
        Self { lab, images, folder }
    }

    /// The drives in these slots, counted.
    fn drives(&self, slots: impl IntoIterator<Item = usize>) -> (Vec<Arc<dyn Drive>>, Reads) {
        let drive = |slot: usize| drive_of(&format!("drive {slot}"), &self.images[slot - 1]);
        Counting::over(slots.into_iter().map(drive).collect())
    }

    /// Bytes on a drive of files whose path has this in it.
    fn bytes_of(&self, slot: usize, part: &str) -> u64 {
        let files = self.images[slot - 1].iter().filter(|(path, _)| path.contains(part));
        files.map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Restores from these slots, and says what is read and how many bytes wait.
    fn restore(&self, slots: impl IntoIterator<Item = usize>) -> Reads {
        let (drives, reads) = self.drives(slots);
        let to = tempfile::tempdir_in(self.folder.path()).unwrap();
        let told = Recording::default();
        self.lab.restore_from(&drives, &to.path().join("to"), RestoreOptions::default(), &told);
        reads
    }
}

/// Review scale 1: the record file was read for every column of every stripe.
#[rstest]
#[case::across("cases=1,drives=1")]
#[case::along("cases=1,drives=1,blocks=5%")]
fn restoring_from_fewer_drives_than_k_reads_what_they_hold_once(#[case] survive: &str) {
    let case = Case::new(&[4, 4, 4, 4], survive, 4 << 20);
    for count in 1..=16 {
        // Case by case from the last on: they hold data and parity.
        let slots = || (1..=16).rev().take(count);
        let reads = case.restore(slots());
        let shards: u64 = slots().map(|slot| case.bytes_of(slot, "/shards/")).sum();
        assert!(read_of(&reads, "/shards/") <= shards, "{count} drives");
        let records: u64 = slots().map(|slot| case.bytes_of(slot, "/records/")).sum();
        let read = read_of(&reads, "/records/");
        let of_one = case.bytes_of(1, "/records/");
        assert!(read <= records + 8 * of_one, "{count} drives: {read} of {records}, {of_one}");
    }
}

/// Each batch that came back to a stripe read its blocks again, to reconstruct from them or to learn in
/// vain that nothing could be. Here batches end within stripes.
#[rstest]
#[case::no_parity("none")]
#[case::one_may_be_lost("cases=1")]
#[case::along("cases=1,blocks=10%")]
fn no_block_is_read_twice_whatever_drives_are_missing(#[case] survive: &str) {
    let case = Case::new(&[1, 1, 1, 1], survive, 9 << 20);
    let check = |here: &[usize], reads: &Reads| {
        let shards = here.iter().flat_map(|slot| &case.images[slot - 1]);
        for (path, bytes) in shards.filter(|(path, _)| path.contains("/shards/")) {
            let read = reads.lock().unwrap().get(path).copied().unwrap_or(0);
            assert!(read <= bytes.len() as u64, "{path}: {read} of {}, {here:?}", bytes.len());
        }
    };
    for here in [&[2][..], &[1, 3], &[2, 3, 4], &[1, 2, 4], &[1, 2, 3, 4]] {
        check(here, &case.restore(here.iter().copied()));
    }
    let to = case.folder.path().join("one after the other");
    for (at, slot) in [3, 1, 4, 2].into_iter().enumerate() {
        let (drives, reads) = case.drives([slot]);
        let options = RestoreOptions { resumed: at > 0, ..RestoreOptions::default() };
        let restored = case.lab.restore_from(&drives, &to, options, &Recording::default());
        check(&[slot], &reads);
        assert_eq!(restored.is_complete(), at == 3);
    }
}

/// What was kept was read, checked and looked for again for every batch of files, though nothing could
/// be rebuilt yet. Here each batch wants the same stripes once more.
#[test]
fn what_is_kept_is_read_once_a_run_until_it_serves() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let source = folder.path().join("source");
    let mut random = Random::new("kept");
    let same: Vec<Vec<u8>> = (0..128).map(|_| random.bytes(64 << 10)).collect();
    (0..512).for_each(|i| tree::write(&source.join(format!("file-{i:03}")), &same[i % 128]));
    let mut lab = Lab::new(&[2, 2, 2, 2], 64 << 20, 10);
    lab.pack(&source, "cases=1,drives=1");
    let images: Vec<Image> = lab.drives.iter().map(image_of).collect();
    let shard_bytes = |images: &[Image]| -> (u64, usize) {
        let files = images.iter().flatten().filter(|(path, _)| path.contains("/shards/"));
        let sizes: Vec<u64> = files.map(|(_, bytes)| bytes.len() as u64).collect();
        (sizes.iter().sum(), sizes.len())
    };
    let opened = Arc::new(Mutex::new(0));
    let count = opened.clone();
    let opening: Opening = Arc::new(move |_: &str, _: &str| *count.lock().unwrap() += 1);
    let stage: Arc<dyn Drive> = Arc::new(FaultyDrive::new("stage", 64 << 20));
    let (stages, kept) = Counting::watched(vec![stage], &opening);
    let mut restore = |at: usize, to: &str, stage: Option<Arc<dyn Drive>>| {
        lab.stage = stage;
        let (drives, reads) = Counting::over(vec![drive_of("one", &images[at])]);
        let options = RestoreOptions { resumed: at > 0, ..RestoreOptions::default() };
        let told = Recording::default();
        let restored = lab.restore_from(&drives, &folder.path().join(to), options, &told);
        (read_of(&reads, "/shards/"), restored.is_complete())
    };
    for at in 0..5 {
        let (without, _) = restore(at, "without", None);
        kept.lock().unwrap().clear();
        *opened.lock().unwrap() = 0;
        let (of_drive, is_complete) = restore(at, "with", Some(stages[0].clone()));
        assert_eq!(is_complete, at == 4, "k is 5");
        let before = shard_bytes(&images[..at]).0;
        let (own, stripes) = shard_bytes(&images[at..=at]);
        // Once to learn what is good, and once to be kept.
        assert!(of_drive <= without + 2 * own, "drive {at}: {of_drive}, {without} without");
        let read = read_of(&kept, "/shards/");
        // Once to learn what is good; the rest as if its drives were attached once more.
        let more = at as u64 * without;
        assert!(is_complete || read <= before + more, "drive {at}: {read} of {before} kept");
        let opened = *opened.lock().unwrap();
        assert!(is_complete || opened <= 3 * 8 * stripes, "drive {at}: {opened}");
    }
}

/// Review scale 1: where both codes mend: a drive is lost, and on another a block of every stripe
/// is bad.
#[test]
fn mending_and_judging_read_the_records_once() {
    let mut case = Case::new(&[1, 1, 1, 1], "cases=1,blocks=50%", 3 << 20);
    let of_one = case.bytes_of(1, "/records/");
    let mut bad = 0;
    for (path, bytes) in &mut case.images[1] {
        // Of each stripe along at most one member.
        if path.contains("/shards/") && bad < 8 {
            bytes[4096 * (bad % 8)] ^= 1;
            bad += 1;
        }
    }
    let reads = case.restore([1, 2, 3]);
    let opened = 2 * 3 * of_one;
    assert!(read_of(&reads, "/records/") <= opened + 8 * of_one);
    let (drives, reads) = case.drives([1, 2, 3]);
    let told = Recording::default();
    let sets = verify_sets(&open::find(&drives, &told), &told);
    assert!(sets[0].is_restorable() && !sets[0].is_whole());
    let each = 3 * (of_one + 2 * of_one); // walked by each drive's check; both copies compared
    assert!(read_of(&reads, "/records/") <= opened + each + 8 * of_one);
}

/// Where drives wait for each other, as they can only if they are read at the same time.
#[derive(Default)]
struct Meeting {
    /// the part of the path that is waited at, and who came
    came: Mutex<(&'static str, BTreeSet<String>)>,
    changed: Condvar,
}

impl Meeting {
    fn call(&self, part: &'static str) {
        *self.came.lock().unwrap() = (part, BTreeSet::new());
    }

    /// One has come; the others are waited for, unless they came or never do.
    fn come(&self, name: &str, path: &str) {
        let mut came = self.came.lock().unwrap();
        if came.0.is_empty() || !path.contains(came.0) {
            return;
        }
        came.1.insert(name.to_owned());
        self.changed.notify_all();
        let alone = |came: &mut (&str, BTreeSet<String>)| !came.0.is_empty() && came.1.len() < 4;
        // Never waited for where they are read at once, however slow the machine is.
        let watchdog = Duration::from_secs(300);
        let (mut came, waited) = self.changed.wait_timeout_while(came, watchdog, alone).unwrap();
        if waited.timed_out() {
            came.0 = ""; // nobody waits any more
        }
    }

    fn all_came(&self) -> bool {
        self.came.lock().unwrap().1.len() == 4
    }
}

/// Review scale 7: status read the copies one after the other, and then walked three times.
#[test]
fn a_set_is_opened_on_all_drives_at_once_and_its_records_are_read_once() {
    let case = Case::new(&[1, 1, 1, 1], "cases=1", 2 << 20);
    let meeting = Arc::new(Meeting::default());
    let (at, (drives, _)) = (meeting.clone(), case.drives(1..=4));
    let opening: Opening = Arc::new(move |name, path| at.come(name, path));
    let (drives, reads) = Counting::watched(drives, &opening);
    let told = Recording::default();
    meeting.call("label.json");
    let sets = open::find(&drives, &told);
    assert!(meeting.all_came());
    for part in ["set.txt", "/records/"] {
        meeting.call(part);
        reads.lock().unwrap().clear();
        assert!(status_of(&sets, &told).unwrap()[0].verdict.restorable());
        assert!(meeting.all_came(), "{part}");
    }
    // One copy of each to open the set, and one to walk it; of the others how they end. And of each
    // drive one, for whether it is sound.
    let is_record = |path: &&String| path.contains("/records/");
    let copies = case.images.iter().flat_map(|image| image.keys().filter(is_record)).count() as u64;
    let of_one = case.bytes_of(1, "/records/") - case.bytes_of(1, "/copy/records/");
    assert_eq!(read_of(&reads, "/records/"), (2 + 4) * of_one + 32 * copies);
}

/// Review scale 8: one drive's shards were copied after the other's.
#[test]
fn shards_are_kept_of_all_drives_at_once() {
    let case = Case::new(&[1, 1, 1, 1], "cases=1", 2 << 20);
    let meeting = Arc::new(Meeting::default());
    let at = meeting.clone();
    let opening: Opening = Arc::new(move |name, path| at.come(name, path));
    let (drives, _) = Counting::watched(case.drives(1..=4).0, &opening);
    let told = Recording::default();
    let mut set = open::find(&drives, &told).remove(0);
    let kept = FaultyDrive::new("stage", 64 << 20);
    set.stage = Some(Arc::new(kept.clone()));
    let record_index = RecordIndex::open(&set, None, &told);
    let stripes = record_index.stripes().iter().copied().collect();
    meeting.call("/shards/");
    stage::keep(&set, &record_index, &stripes, &told);
    assert!(meeting.all_came());
    let shards = kept.paths().into_iter().filter(|path| path.contains("/shards/")).count();
    assert_eq!(shards, 4 * stripes.len());
}

/// Names can still be listed on a drive that answers nothing else: its shards are not there to be
/// counted on.
#[test]
fn a_drive_of_which_nothing_can_be_read_is_not_here() {
    let case = Case::new(&[1, 1, 1], "cases=1", 1 << 20);
    let dead = memory_of("dead", &case.images[1]);
    let mut drives: Vec<_> = case.images.iter().map(|image| drive_of("sound", image)).collect();
    for path in dead.paths() {
        dead.fail_reads(&path, 0..u64::MAX);
    }
    drives[1] = Arc::new(dead);
    let told = Recording::default();
    let status = status_of(&open::find(&drives, &told), &told).unwrap().remove(0);
    assert_eq!(status.missing, [MissingSlot { slot: Slot(2), case: Some("case-1".into()) }]);
    assert_eq!(status.drives.iter().map(|drive| drive.slot.0).collect::<Vec<_>>(), [1, 3]);
    assert!(status.verdict.restorable());
    assert_eq!(status.verdict.least_spare, Some(0), "no other drive may be lost");
    let gone = told.problems().iter().filter(|p| p.detail == "it no longer answers").count();
    assert_eq!(gone, 1);
}

/// Review shape J: data shards were read for the check, for their lists, and for the files; so they
/// were with a drive missing, and what they were rebuilt from.
#[rstest]
#[case::all(4)]
#[case::one_is_missing(3)]
fn verify_with_a_key_reads_every_shard_once(#[case] here: usize) {
    let case = Case::new(&[1, 1, 1, 1], "cases=1", 3 << 20);
    let (drives, reads) = case.drives(1..=here);
    let told = Recording::default();
    let sets = open::find(&drives, &told);
    let identities = case.lab.identities();
    let verified = decode_sets(sets, &identities, &[], Memory::default(), &told).unwrap();
    assert!(verified[0].is_proven() && verified[0].is_restorable(), "{:?}", told.problems());
    assert_eq!(verified[0].is_whole(), here == 4);
    let shards: u64 = (1..=here).map(|slot| case.bytes_of(slot, "/shards/")).sum();
    assert_eq!(read_of(&reads, "/shards/"), shards);
    let read: u64 = verified[0].drives.iter().map(|d| d.report.bytes).sum();
    let expected: u64 = verified[0].drives.iter().map(|d| d.expected_bytes).sum();
    assert_eq!((read, expected), (shards, shards), "each drive's numbers are of all that it holds");
}

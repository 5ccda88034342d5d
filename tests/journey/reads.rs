//! What is read of the drives: nothing again and again, however few of them are here.

use crate::common::counting::{Counting, Opening, Reads, read_of};
use crate::common::images::Image;
use crate::common::images::{drive_of, image_of, memory_of};
use crate::common::lab::Lab;
use crate::common::random::Random;
use crate::common::tree;
use holdall::drives::Drive;
use holdall::format::ids::Slot;
use holdall::memory::Memory;
use holdall::monitor::Recording;
use holdall::restorer::RestoreOptions;
use holdall::sets::open;
use holdall::verbs::decode::decode_sets;
use holdall::verbs::status::status_of;
use holdall::verbs::verify::verify_sets;
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
        tree::write(&source.join("noise"), &Random::new("reads").bytes(bytes));
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

/// Report scale 1: the record file was read for every column of every stripe.
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

/// Report scale 1, where both codes mend: a drive is lost, and on another a block of every stripe is
/// bad.
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
        let watchdog = Duration::from_secs(20);
        let (mut came, waited) = self.changed.wait_timeout_while(came, watchdog, alone).unwrap();
        if waited.timed_out() {
            came.0 = ""; // nobody waits any more
        }
    }

    fn all_came(&self) -> bool {
        self.came.lock().unwrap().1.len() == 4
    }
}

/// Report scale 7: status read the copies one after the other, and then walked three times.
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
    let records: u64 = (1..=4).map(|slot| case.bytes_of(slot, "/records/")).sum();
    let second = case.bytes_of(1, "/copy/records/");
    let of_one = case.bytes_of(1, "/records/") - second;
    assert_eq!(read_of(&reads, "/records/"), records + of_one);
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
    assert_eq!(status.missing, [(Slot(2), Some("case-1".into()))]);
    assert_eq!(status.drives.iter().map(|(slot, ..)| slot.0).collect::<Vec<_>>(), [1, 3]);
    assert!(status.verdict.restorable());
    assert_eq!(status.verdict.least_spare, Some(0), "no other drive may be lost");
    let gone = told.problems().iter().filter(|p| p.detail == "it no longer answers").count();
    assert_eq!(gone, 1);
}

/// Report shape J: data shards were read for the check, for their lists, and for the files.
#[test]
fn verify_with_a_key_reads_every_shard_once() {
    let case = Case::new(&[1, 1, 1, 1], "cases=1", 3 << 20);
    let (drives, reads) = case.drives(1..=4);
    let told = Recording::default();
    let sets = open::find(&drives, &told);
    let identities = case.lab.identities();
    let verified = decode_sets(&sets, &identities, Memory::default(), &told).unwrap();
    assert!(verified[0].is_whole() && verified[0].is_proven(), "{:?}", told.problems());
    let shards: u64 = (1..=4).map(|slot| case.bytes_of(slot, "/shards/")).sum();
    assert_eq!(read_of(&reads, "/shards/"), shards);
    let read: u64 = verified[0].drives.iter().map(|d| d.report.bytes).sum();
    let expected: u64 = verified[0].drives.iter().map(|d| d.expected_bytes).sum();
    assert_eq!((read, expected), (shards, shards), "each drive's numbers are of all that it holds");
}

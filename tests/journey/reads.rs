//! What is read of the drives: nothing again and again, however few of them are here.

use crate::common::counting::{Counting, Reads, read_of};
use crate::common::images::Image;
use crate::common::images::{drive_of, image_of};
use crate::common::lab::Lab;
use crate::common::random::Random;
use crate::common::tree;
use holdall::drives::Drive;
use holdall::monitor::Recording;
use holdall::restorer::RestoreOptions;
use holdall::sets::open;
use holdall::verbs::verify::verify_sets;
use rstest::rstest;
use std::sync::Arc;

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

//! A block that could not be read, or came back wrong, is read once more, alone and past the caches,
//! before it is called bad or a file lost (Review F2, F12).

use crate::common::lab::{Fault, Flaky, Lab};
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use holdall::testing::drives::Drive;
use holdall::testing::monitor::Recording;
use holdall::testing::restorer::RestoreOptions;
use holdall::testing::sets::open;
use holdall::testing::verification::verify_sets;
use rstest::rstest;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// B of the small geometry.
const BLOCK: u64 = 4096;

fn packed(cases: &[usize], survive: &str) -> (Lab, TempDir) {
    let source = tempfile::tempdir().unwrap();
    tree::plain(source.path(), "again", 30);
    let mut lab = Lab::new(cases, 64 << 20, 12);
    lab.pack(source.path(), survive);
    (lab, source)
}

fn flaky(lab: &Lab, fault: Fault) -> Vec<Arc<dyn Drive>> {
    lab.drives_but(&[]).into_iter().map(|drive| Flaky::over(drive, fault)).collect()
}

/// Restores and fails unless all is there.
#[track_caller]
fn assert_restored(lab: &Lab, drives: &[Arc<dyn Drive>], source: &Path) {
    let (to, told) = (tempfile::tempdir().unwrap(), Recording::default());
    let restored = lab.restore_from(drives, to.path(), RestoreOptions::default(), &told);
    assert!(restored.is_complete(), "{:?}", told.problems());
    Snapshot::of(source).assert_equal(&Snapshot::of(to.path()));
}

/// Review F12.
#[rstest]
fn what_goes_well_the_second_time_costs_nothing(
    #[values(Fault::FirstFails, Fault::FirstFlips)] fault: Fault,
    #[values("none", "blocks=10%")] survive: &str,
) {
    let (lab, source) = packed(&[1], survive);
    assert_restored(&lab, &flaky(&lab, fault), source.path());
    let told = Recording::default();
    let verified = verify_sets(&open::find(&flaky(&lab, fault), &told), &told);
    assert!(verified[0].is_whole(), "{:?}", told.problems());
}

/// Review F2: four drives with one bad block each, each in another column: that is no more than the
/// parity covers, although the caches spoil their neighbours' columns too.
#[test]
fn a_bad_sector_costs_one_block_whatever_it_spoils() {
    let (lab, source) = packed(&[1, 1, 1, 1], "drives=1");
    let shard = |path: &String| path.contains("/shards/");
    let mut bad = 0;
    for (drive, block) in lab.drives.iter().zip([8, 4, 6, 2]) {
        for path in drive.paths().iter().filter(|path| shard(path)) {
            let len = drive.with_file(path, |bytes| bytes.len() as u64).unwrap();
            if (block + 1) * BLOCK <= len {
                drive.fail_reads(path, block * BLOCK..block * BLOCK + 1);
                bad += 1;
            }
        }
    }
    assert!(bad > 20, "{bad} shards are hurt");
    let spoiling = flaky(&lab, Fault::Spoils(3 * BLOCK));
    assert_restored(&lab, &spoiling, source.path());
    let told = Recording::default();
    let verified = verify_sets(&open::find(&spoiling, &told), &told).remove(0);
    assert!(verified.is_restorable(), "{:?}", told.problems());
    let unreadable = verified.drives.iter().map(|drive| drive.report.unreadable_blocks);
    assert_eq!(unreadable.sum::<u64>(), bad, "{:?}", told.problems());
}

/// Review F2: verify comes back at the end to what it could not read, before it says so.
#[test]
fn what_can_be_read_at_the_end_is_sound() {
    let (lab, _source) = packed(&[1, 1], "drives=1");
    let told = Recording::default();
    let verified = verify_sets(&open::find(&flaky(&lab, Fault::FirstShard), &told), &told);
    assert!(verified[0].is_whole() && told.problems().is_empty(), "{:?}", told.problems());
}

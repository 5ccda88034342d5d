//! A fake: a drive that says it is large, and writes over its first bytes when it is full. Nothing
//! tells while it is written to; the read-back does.

use crate::common::lab::Lab;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use holdall::testing::commands::pack::PackOutcome;
use holdall::testing::drives::{Drive, Level, ReadMode};
use holdall::testing::monitor::{Monitor, ProblemKind, Recording};
use holdall::testing::packer::Packed;
use holdall::testing::restorer::RestoreOptions;
use holdall::testing::sets::check::{Depth, DriveCheck, DriveReport};
use holdall::testing::sets::damage::Damage;
use holdall::testing::sets::{RecordIndex, open};

const CAPACITY: u64 = 64 << 20;

/// What `pack` does when it has written everything; see `commands::pack`.
fn read_back(lab: &Lab, packed: Packed, mode: ReadMode, monitor: &dyn Monitor) -> PackOutcome {
    let sets = open::find(&lab.drives_but(&[]), monitor);
    let (folder, record_index) = (&sets[0].folder, &RecordIndex::open(&sets[0], None, monitor));
    let check = |found| {
        let progress = &|_| ();
        DriveCheck { found, folder, record_index, mode, monitor, progress }
            .run(Depth::all(usize::MAX))
    };
    let mut reports: Vec<DriveReport> = sets[0].drives.iter().map(check).collect();
    let mut damage = Damage::default();
    reports.iter().flat_map(|report| &report.bad).for_each(|bad| damage.add(bad));
    let verdict = damage.judge(record_index, monitor);
    // That a cache is no proof is another test's.
    reports.iter_mut().for_each(|report| report.level = Level::Direct);
    let reports = reports.into_iter().map(Some).collect();
    let (shipment, set) = (sets[0].shipment, sets[0].set);
    let verdict = Some(verdict);
    let (left_bytes, left_entries, early) = (0, 0, false);
    PackOutcome {
        shipment,
        packed,
        part_bytes: None,
        new_entries: 1,
        reports,
        verdict,
        set,
        left_bytes,
        left_entries,
        early,
    }
}

#[test]
fn a_fake_is_found_out() {
    let source = tempfile::tempdir().unwrap();
    tree::plain(source.path(), "a fake", 200);
    let mut honest = Lab::new(&[1, 1, 1], CAPACITY, 21);
    honest.pack(source.path(), "cases=1");
    let written = (CAPACITY - honest.drives[1].room().unwrap().free_bytes) as usize;

    let mut lab = Lab::new(&[1, 1, 1], CAPACITY, 21);
    let monitor = Recording::default();
    // What comes last lies over a third of what came first.
    let planned = |lab: &Lab| lab.drives[1].wrap_after(written / 4 * 3);
    let packed = lab.pack_after(source.path(), "cases=1", planned, &monitor).unwrap();
    assert_eq!((packed.failed.len(), monitor.problems().len()), (0, 0), "nothing tells so far");
    let stripes = packed.stripes;

    let cached = read_back(&lab, packed.clone(), ReadMode::Cached, &monitor);
    assert!(cached.is_proven() && monitor.problems().is_empty(), "a cache tells nothing either");
    let outcome = read_back(&lab, packed, ReadMode::Medium, &monitor);
    assert!(!outcome.is_proven());
    let bad = outcome.reports.iter().flatten().map(|r| r.bad.len() as u64).collect::<Vec<_>>();
    assert_eq!((bad[0], bad[2]), (0, 0));
    let problems = monitor.problems();
    assert_eq!(problems.len() as u64, bad[1]);
    let named = |p: &holdall::testing::monitor::Problem| {
        p.kind == ProblemKind::Damage && p.subject.starts_with("drive 2: ")
    };
    assert!(problems.iter().all(named), "{problems:?}");
    let verdict = outcome.verdict.unwrap();
    assert!(verdict.restorable() && verdict.degraded == bad[1], "{verdict:?}");
    assert!((stripes / 5..stripes).contains(&verdict.degraded), "{verdict:?} of {stripes}");

    let to = tempfile::tempdir().unwrap();
    let restored = lab.restore(&[1], to.path(), RestoreOptions::default());
    assert!(restored.restored.is_complete());
    Snapshot::of(source.path()).assert_equal(&Snapshot::of(to.path()));
}

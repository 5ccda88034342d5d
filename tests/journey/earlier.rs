//! What an earlier run of a restore knew is told by the run that completes it, and by later ones.

use crate::common::lab::Lab;
use crate::common::tree;
use holdall::testing::commands::restore::{RestoreJob, RestoreOutcome, restore_sets};
use holdall::testing::drives::Drive;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{Event, Monitor, Problem, ProblemKind, Recording};
use holdall::testing::sets::open;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// A set that was never closed, and of which a file could not be read when it was packed.
fn unclosed() -> Lab {
    let source = tempfile::tempdir().unwrap();
    tree::plain(source.path(), "earlier runs", 60);
    let gone = source.path().join("gone");
    tree::write(&gone, b"some bytes");
    let mut lab = Lab::new(&[1, 1], 64 << 20, 21);
    let vanish = |_: &Lab| fs::remove_file(&gone).unwrap();
    lab.pack_after(source.path(), "none", vanish, &Recording::default()).unwrap();
    for drive in &lab.drives {
        let is_end = |path: &&String| path.ends_with("set.txt") || path.ends_with("checklist.b3");
        drive.paths().iter().filter(is_end).for_each(|path| assert!(drive.remove(path)));
    }
    lab
}

fn run(
    lab: &Lab,
    drives: &[Arc<dyn Drive>],
    to: &Path,
    give_up: bool,
    monitor: &dyn Monitor,
) -> RestoreOutcome {
    let job = RestoreJob {
        no_special: false,
        owners: None,
        map_names: false,
        expect: Vec::new(),
        identities: lab.identities(),
        to: to.to_owned(),
        give_up,
        salvage: false,
        stage: None,
        memory: Memory::default(),
        selection: None,
    };
    restore_sets(&open::find(drives, monitor), &job, monitor).unwrap()
}

/// Restores; all is there then, and all that is to be said of it is said.
#[track_caller]
fn must_say_it(lab: &Lab, drives: &[Arc<dyn Drive>], to: &Path, give_up: bool) {
    let told = Recording::default();
    let outcome = run(lab, drives, to, give_up, &told);
    let unread = told.problems().into_iter().filter(|p| p.kind == ProblemKind::SourceUnreadable);
    assert_eq!(unread.map(|p| p.subject).collect::<Vec<_>>(), ["gone"]);
    let r = &outcome.restored;
    assert_eq!((outcome.is_complete(), r.packed_badly, r.end_unknown), (true, 1, true));
    assert!(give_up != to.join(".holdall").exists() || outcome.in_place);
}

/// Is killed when it tells at its end what was packed badly.
struct DiesTelling;

impl Monitor for DiesTelling {
    fn event(&self, event: Event<'_>) {
        let is_it = |p: &Problem| p.kind == ProblemKind::SourceUnreadable;
        assert!(!matches!(event, Event::Problem(problem) if is_it(problem)), "killed");
    }
}

/// Review F4, F9: after a run that was killed when all was in place, after one with each drive alone,
/// and once more when it is ended with --give-up: what was packed badly, and that nobody knows the end.
#[test]
fn the_run_that_completes_a_restore_says_what_earlier_ones_knew() {
    let lab = unclosed();
    let (folder, drives) = (tempfile::tempdir().unwrap(), lab.drives_but(&[]));
    let to = folder.path().join("killed");
    let killed = AssertUnwindSafe(|| run(&lab, &drives, &to, false, &DiesTelling));
    assert!(catch_unwind(killed).is_err(), "it was to be killed");
    let seen = fs::read_to_string(to.join(".holdall/seen-1")).unwrap();
    assert!(seen.contains("\"ended\":true"), "all was in place: {seen}");
    must_say_it(&lab, &drives, &to, false);
    must_say_it(&lab, &drives, &to, true);
    must_say_it(&lab, &drives, &to, false);
    let to = folder.path().join("one by one");
    assert!(!run(&lab, &drives[..1], &to, false, &Recording::default()).is_complete());
    must_say_it(&lab, &drives[1..], &to, true);
}

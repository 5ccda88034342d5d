//! Every loss of drives inside the rule restores bit for bit; beyond it, exactly the files whose
//! bytes are gone are named, and everything else is there.

use crate::common::lab::Lab;
use crate::common::oracle::Oracle;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use holdall::testing::format::list::shown_path;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::ProblemKind;
use holdall::testing::restorer::RestoreOptions;
use rstest::rstest;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const GIVE_UP: RestoreOptions = RestoreOptions {
    selection: None,
    selected_bytes: 0,
    give_up: true,
    salvage: false,
    no_special: false,
    resumed: false,
    later_sets: false,
    memory: Memory::DEFAULT,
};
const SALVAGE: RestoreOptions = RestoreOptions {
    selection: None,
    selected_bytes: 0,
    give_up: true,
    salvage: true,
    no_special: false,
    resumed: false,
    later_sets: false,
    memory: Memory::DEFAULT,
};
const CAPACITY: u64 = 64 << 20;

/// A packed set, what was packed, and what its records and lists say.
struct Case {
    folder: TempDir,
    lab: Lab,
    source: Snapshot,
    oracle: Oracle,
}

impl Case {
    fn new(cases: &[usize], survive: &str, files: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        tree::plain(&source, &format!("losses {cases:?} {survive}"), files);
        let mut lab = Lab::new(cases, CAPACITY, 1);
        lab.pack(&source, survive);
        let oracle = Oracle::read(&lab.drives_but(&[]), &lab.identities());
        Self { source: Snapshot::of(&source), folder, lab, oracle }
    }

    fn to(&self, lost: &[usize]) -> std::path::PathBuf {
        self.folder.path().join(format!("restored {lost:?}"))
    }

    /// Restores without the drives `lost` (from 0) and holds the result against the oracle; says
    /// how many paths were lost.
    fn check(&self, lost: &[usize]) -> usize {
        let to = self.to(lost);
        let slots: Vec<usize> = lost.iter().map(|drive| drive + 1).collect();
        let gone = self.oracle.lost_with_slots(&slots);
        let run = self.lab.restore(lost, &to, GIVE_UP);
        assert_eq!(run.subjects(ProblemKind::Lost), gone.shown(), "without {lost:?}");
        assert_eq!(run.restored.lost, gone.paths.len() as u64);
        assert_eq!(run.restored.waiting, 0);
        self.source.assert_equal_but(&gone.paths, &Snapshot::of(&to));
        fs::remove_dir_all(&to).unwrap();
        gone.paths.len()
    }
}

/// Does the rule allow this loss? By its words: the lost drives are those of so many cases, and so
/// many more.
fn allows(cases: &[usize], rule: (usize, usize), lost: &[usize]) -> bool {
    let mut per_case = vec![0; cases.len()];
    let case_of = |drive: usize| {
        let mut end = 0;
        cases.iter().position(|count| {
            end += count;
            drive < end
        })
    };
    lost.iter().for_each(|drive| per_case[case_of(*drive).unwrap()] += 1);
    per_case.sort_unstable_by(|a, b| b.cmp(a));
    per_case.into_iter().skip(rule.0).sum::<usize>() <= rule.1
}

#[rstest]
#[case::four_cases(&[1, 1, 1, 1], "cases=1", (1, 0))]
#[case::four_cases_and_a_drive(&[1, 1, 1, 1], "cases=1,drives=1", (1, 1))]
#[case::two_cases(&[2, 2], "cases=1", (1, 0))]
#[case::two_cases_by_drive(&[2, 2], "drives=1", (0, 1))]
#[case::two_cases_and_a_drive(&[2, 2], "cases=1,drives=1", (1, 1))]
#[case::one_case(&[4], "drives=2", (0, 2))]
#[case::nothing(&[4], "none", (0, 0))]
#[case::unequal(&[1, 3], "drives=1", (0, 1))]
fn every_loss_of_four_drives(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[case] rule: (usize, usize),
) {
    let case = Case::new(cases, survive, 40);
    let (mut inside, mut beyond) = (0, 0);
    for bits in 0..15u32 {
        let lost: Vec<usize> = (0..4).filter(|drive| bits >> drive & 1 == 1).collect();
        let gone = case.check(&lost);
        if allows(cases, rule, &lost) {
            assert_eq!(gone, 0, "the rule {survive} allows {lost:?}");
            inside += 1;
        } else if gone > 0 {
            beyond += 1;
        }
    }
    // Of two cases of two, any one drive restores all if a case and a drive may be lost.
    let any_drive = cases == [2, 2] && rule == (1, 1);
    assert!(inside > 0 && (beyond > 0 || any_drive), "{inside} inside, {beyond} beyond");
}

#[test]
fn losses_of_sixteen_drives_in_four_cases() {
    let cases = [4, 4, 4, 4];
    let case = Case::new(&cases, "cases=1,drives=1", 60);
    let mut random = Random::new("losses of sixteen");
    for _ in 0..10 {
        // A whole case and one drive more, in any order of slots.
        let whole = random.below(4);
        let mut lost: Vec<usize> = (whole * 4..whole * 4 + 4).collect();
        let other = (whole * 4 + 4 + random.below(12)) % 16;
        lost.push(other);
        assert!(allows(&cases, (1, 1), &lost));
        assert_eq!(case.check(&lost), 0, "{lost:?}");
    }
    let mut beyond = 0;
    for count in [6, 6, 6, 7, 7, 8, 9, 12] {
        beyond += case.check(&random.choose(count, 16));
    }
    assert!(beyond > 0, "some of these losses are beyond the parity");
}

#[test]
fn one_drive_at_a_time_is_not_enough_but_nothing_is_given_up() {
    let case = Case::new(&[1, 1, 1, 1], "cases=1", 40);
    let to = case.to(&[]);
    let lost = [1, 2];
    let gone = case.oracle.lost_with_slots(&[2, 3]);
    assert!(!gone.paths.is_empty());
    let run = case.lab.restore(&lost, &to, RestoreOptions::default());
    assert_eq!(run.subjects(ProblemKind::Waiting), gone.shown());
    assert_eq!((run.restored.lost, run.restored.waiting), (0, gone.paths.len() as u64));
    let waiting = Snapshot::of(&to).without(b".holdall").without_folder_metadata();
    case.source.clone().without_folder_metadata().assert_equal_but(&gone.paths, &waiting);
    // The drives come: the same restore goes on.
    let options = RestoreOptions { resumed: true, ..RestoreOptions::default() };
    let run = case.lab.restore(&[2], &to, options);
    assert_eq!((run.restored.lost, run.restored.waiting), (0, 0));
    assert!(run.restored.already > 0, "what was in place is not done again");
    case.source.assert_equal(&Snapshot::of(&to));
}

/// Of a file of which nothing is there, nothing is left.
#[test]
fn salvage_leaves_what_there_is_of_a_file() {
    let case = Case::new(&[1, 1, 1, 1], "cases=1", 10);
    let source = case.folder.path().join("source");
    let mut partial = 0;
    for lost in [[0, 1], [2, 3], [0, 3]] {
        let to = case.to(&lost);
        let slots: Vec<usize> = lost.iter().map(|drive| drive + 1).collect();
        let gone = case.oracle.lost_with_slots(&slots);
        let run = case.lab.restore(&lost, &to, SALVAGE);
        assert_eq!(run.subjects(ProblemKind::Lost), gone.shown());
        for (path, ranges) in &gone.ranges {
            let original = fs::read(at(&source, path)).unwrap();
            let shown = shown_path(path);
            let problem = run.problems.iter().find(|p| p.subject == shown).unwrap();
            let incomplete = at(&to, &[path.as_slice(), b".incomplete"].concat());
            assert!(!at(&to, path).exists());
            if original.len() <= tree::CHUNK {
                // It lies in one chunk: all of it is there, or nothing.
                assert!(!incomplete.exists(), "{shown}");
                continue;
            }
            assert_eq!(ranges_of(&problem.detail), *ranges, "{shown}: {}", problem.detail);
            let mut wanted = original;
            for (offset, len) in ranges {
                wanted[*offset as usize..(offset + len) as usize].fill(0);
            }
            let is_some = wanted.iter().any(|byte| *byte != 0);
            assert_eq!(incomplete.exists(), is_some, "{shown}");
            assert_eq!(problem.detail.contains("lies in"), is_some, "{}", problem.detail);
            partial += usize::from(is_some);
            assert!(
                !is_some || fs::read(&incomplete).unwrap() == wanted,
                "{shown} has other bytes"
            );
        }
    }
    assert!(partial >= 3, "{partial} files were left in part");
}

fn at(root: &Path, path: &[u8]) -> std::path::PathBuf {
    root.join(std::ffi::OsStr::from_bytes(path))
}

/// `bytes 0-99, 500-599 are missing; …` as offsets and lengths.
fn ranges_of(detail: &str) -> Vec<(u64, u64)> {
    let words = detail.strip_prefix("bytes ").and_then(|d| d.split(" are missing").next());
    let number = |text: &str| text.parse::<u64>().unwrap();
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap();
        (number(first), number(last) + 1 - number(first))
    };
    words.unwrap_or_else(|| panic!("{detail}")).split(", ").map(range).collect()
}

#[test]
fn the_program_says_what_waits_and_what_is_lost() {
    use crate::common::shipment::Shipment;
    use holdall::testing::keys::recipients::Identities;
    let shipment = Shipment::new(&[1, 1, 1, 1]);
    tree::plain(&shipment.source, "statuses", 30);
    shipment.pack("cases=1").expect(0);
    let identities = Identities::read(std::slice::from_ref(&shipment.key)).unwrap();
    let gone = Oracle::of_folders(&shipment.paths(), &identities).lost_with_slots(&[2, 4]);
    assert!(!gone.paths.is_empty());
    let left = [shipment.paths()[0].clone(), shipment.paths()[2].clone()];
    let to = shipment.new_destination();
    let subjects = |run: &crate::common::Run, kind: &str| {
        let of_kind = run.events_of("problem").into_iter().filter(|p| p["kind"] == kind);
        let mut all: Vec<String> =
            of_kind.map(|p| p["subject"].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    let verified = shipment.verify(&left).expect(4);
    assert_eq!(verified.event("verified")["verdict"]["restorable"], false);
    assert_eq!(verified.event("verified")["verdict"]["would_help"], serde_json::json!([2, 4]));
    let run = shipment.restore(&left, &to, &[]).expect(4);
    assert_eq!(subjects(&run, "waiting"), gone.shown());
    assert_eq!(run.event("restored")["missing"].as_array().unwrap().len(), 2);
    let list = shipment.path().join("missing");
    let more = ["--give-up", "--missing", list.to_str().unwrap()];
    let run = shipment.restore(&left, &to, &more).expect(1);
    let listed = fs::read_to_string(&list).unwrap();
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(listed, gone.shown());
    assert_eq!(subjects(&run, "lost"), gone.shown());
    let source = Snapshot::of(&shipment.source);
    source.assert_equal_but(&gone.paths, &Snapshot::of(&to));
}

/// `--missing` names a file to be written: a slip takes no key, no photo and nothing of a drive, and
/// nothing is restored among a drive's own files.
#[test]
fn what_is_no_list_is_not_replaced_by_one() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "list", 3);
    shipment.pack("none").expect(0);
    let (paths, to) = (shipment.paths(), shipment.new_destination());
    let inner = paths[0].join("holdall/list");
    let files: [(PathBuf, &[u8]); 3] = [
        (shipment.path().join("other.key"), b"# created: today\nAGE-SECRET-KEY-1\n"),
        (shipment.path().join("photo"), b"\xff\xd8\xff"),
        (inner.clone(), b""),
    ];
    for (file, bytes) in &files {
        fs::write(file, bytes).unwrap();
        let run = shipment.restore(&paths, &to, &["--missing", file.to_str().unwrap()]).expect(2);
        assert!(run.stderr.contains("would be replaced"), "{}", run.shown());
        assert!(fs::read(file).unwrap() == *bytes && !to.exists());
    }
    fs::remove_file(&inner).unwrap();
    shipment.restore(&paths, &inner, &[]).expect(2);
    assert!(!inner.exists());
    shipment.restore(&paths, &to, &["--missing", to.join("list").to_str().unwrap()]).expect(2);
    assert!(!to.exists());
    // Where files can be marked, no other text is taken for a list.
    let notes = shipment.path().join("notes");
    fs::write(&notes, "mine\n").unwrap();
    if rustix::fs::setxattr(&notes, "user.x", b"", rustix::fs::XattrFlags::empty()).is_ok() {
        shipment.restore(&paths, &to, &["--missing", notes.to_str().unwrap()]).expect(2);
        assert!(fs::read(&notes).unwrap() == b"mine\n" && !to.exists());
    }
    let list = shipment.path().join("list");
    let more = ["--missing", list.to_str().unwrap()];
    (0..2).for_each(|_| drop(shipment.restore(&paths, &to, &more).expect(0)));
}

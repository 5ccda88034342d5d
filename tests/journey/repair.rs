//! Drives are made whole again where they lie: after every damage of the matrix, after crashes at
//! any point, with drives that fail meanwhile; and copies that contradict each other are never
//! chosen between.

use super::matrix::{Cell, DAMAGED, LOST, Matrix, OTHER};
use crate::common::images::{Image, Packed, image_of, memory_of};
use crate::common::lab::{Crashing, Vanishing};
use crate::common::random::Random;
use holdall::testing::commands::repair::{SetRepair, repair_sets};
use holdall::testing::drives::Drive;
use holdall::testing::faulty::Death;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::format::Suite;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{Monitor, Problem, ProblemKind, Recording};
use holdall::testing::repairer::onto::NewDrive;
use holdall::testing::repairer::quiet::Quiet;
use holdall::testing::sets::open;
use rstest::rstest;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Drives of images, to be repaired.
pub(super) struct Bench {
    pub(super) drives: Vec<FaultyDrive>,
}

impl Bench {
    pub(super) fn new(images: &[Image]) -> Self {
        let drive = |(i, image)| memory_of(&format!("drive {i}"), image);
        Self { drives: images.iter().enumerate().map(drive).collect() }
    }

    pub(super) fn shared(&self) -> Vec<Arc<dyn Drive>> {
        self.drives.iter().map(|d| Arc::new(d.clone()) as Arc<dyn Drive>).collect()
    }

    pub(super) fn images(&self) -> Vec<Image> {
        self.drives.iter().map(image_of).collect()
    }
}

/// Repairs the only set on these drives.
pub(super) fn repair(
    drives: &[Arc<dyn Drive>],
    new: &[NewDrive],
    expect: Option<[u8; 32]>,
    monitor: &dyn Monitor,
) -> SetRepair {
    let found = open::find(drives, &Quiet(monitor));
    let mut sets = repair_sets(found, new, None, expect, Memory::default(), monitor).unwrap();
    assert_eq!(sets.len(), 1);
    sets.remove(0)
}

/// The set's root.
pub(super) fn root(packed: &Packed) -> [u8; 32] {
    let text = &packed.images[0][&format!("{}/set.txt", packed.set_folder())];
    *blake3::hash(text).as_bytes()
}

#[track_caller]
fn assert_same(left: &[Image], right: &[Image], what: &str) {
    for (i, (left, right)) in left.iter().zip(right).enumerate() {
        let names = |image: &Image| image.keys().cloned().collect::<BTreeSet<String>>();
        let differ: Vec<_> = names(left).symmetric_difference(&names(right)).cloned().collect();
        assert_eq!(differ, Vec::<String>::new(), "{what}: drive {i} has other files");
        let other = left.iter().find(|(path, bytes)| right[*path] != **bytes);
        assert_eq!(other.map(|(path, _)| path), None, "{what}: drive {i} has other bytes");
    }
}

/// Fails unless all is as it was packed.
#[track_caller]
pub(super) fn assert_healed(packed: &Packed, bench: &Bench, images: &[Image], what: &str) {
    assert_same(&bench.images(), images, what);
    let verified = packed.verify(&bench.shared(), false);
    let missing = i32::from(images.len() < packed.images.len());
    assert_eq!((verified.status, verified.problems), (3 * missing, vec![]), "{what}");
}

fn check(matrix: &Matrix, cell: &Cell) {
    for lost in [None, Some(LOST)] {
        if lost.is_some() && cell.other.is_some() && cell.what.contains("shard") {
            continue;
        }
        let what = format!("{}, {lost:?} lost", cell.what);
        let mut damaged = matrix.mine.images.clone();
        damaged[DAMAGED] = cell.damaged.clone();
        if let Some(other) = &cell.other {
            damaged[OTHER] = other.clone();
        }
        let mut sound = matrix.mine.images.clone();
        if let Some(lost) = lost {
            damaged.remove(lost);
            sound.remove(lost);
        }
        let bench = Bench::new(&damaged);
        if let Some(folder) = &cell.folder {
            bench.drives[DAMAGED].make_folder(folder).unwrap();
        }
        let monitor = Recording::default();
        let mut done = repair(&bench.shared(), &[], None, &monitor);
        if done.conflict.is_some() {
            assert!(cell.what.contains("set.txt"), "{what}: {:?}", done.conflict);
            assert_same(&bench.images(), &damaged, &what);
            done = repair(&bench.shared(), &[], Some(root(&matrix.mine)), &monitor);
        }
        assert!(done.is_whole(), "{what}: {:#?} {:#?}", done.repaired, monitor.problems());
        assert_eq!(monitor.problems(), [], "{what}");
        assert_healed(&matrix.mine, &bench, &sound, &what);
    }
}

#[test]
fn every_damage_of_the_matrix_is_mended() {
    let matrix = Matrix::new(Suite::Aes256);
    let cells = matrix.cells();
    let (next, threads) = (AtomicUsize::new(0), std::thread::available_parallelism().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(&matrix, cell);
                }
            });
        }
    });
}

/// Paths of a kind on a drive.
pub(super) fn paths(image: &Image, word: &str) -> Vec<String> {
    image.keys().filter(|path| path.contains(word)).cloned().collect()
}

/// Much at once: blocks, whole shards, lengths, metadata files on one drive, other blocks on the others.
pub(super) fn wreck(packed: &Packed, seed: &str) -> Vec<Image> {
    let mut images = packed.images.clone();
    let mut random = Random::new(seed);
    let folder = packed.set_folder();
    let shards = paths(&images[1], "/shards/");
    for (number, path) in shards.iter().enumerate() {
        let bytes = images[1].get_mut(path).unwrap();
        match number % 5 {
            0 => bytes[random.below(4096)] ^= 1,
            1 => bytes.truncate(bytes.len() - 5000),
            2 => bytes.extend([7; 300]),
            3 => drop(images[1].remove(path)),
            _ => {}
        }
    }
    for path in ["label.json", "copy/label.json", "checklist.b3"] {
        images[1].remove(&format!("{folder}/{path}")).unwrap();
    }
    for word in ["/records/", "/catalog/", "/key-"] {
        let path = random.pick(&paths(&images[1], word)).clone();
        images[1].remove(&path);
    }
    images[1].remove("holdall/README.txt");
    images
}

#[test]
fn much_damage_at_once_is_mended() {
    for (cases, survive) in [(&[1, 1, 1][..], "cases=1"), (&[2], "drives=1")] {
        let packed = Packed::new(cases, survive, "wreck");
        let bench = Bench::new(&wreck(&packed, "wreck"));
        let monitor = Recording::default();
        let done = repair(&bench.shared(), &[], None, &monitor);
        assert!(done.is_whole(), "{:#?} {:#?}", done.repaired, monitor.problems());
        let drive = &done.repaired.drives[1];
        assert!(drive.blocks > 0 && drive.shards > 0 && drive.files > 3, "{drive:?}");
        let others = done.repaired.drives.iter().filter(|d| d.slot.0 != 2);
        assert_eq!(others.map(|d| d.blocks + d.shards + d.files).sum::<u64>(), 0);
        assert_healed(&packed, &bench, &packed.images, survive);
    }
}

/// Only bad blocks are written, each where it lies.
#[test]
fn sound_drives_and_blocks_are_not_written() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "sparing");
    let mut images = packed.images.clone();
    let path = paths(&images[0], "/shards/").remove(1);
    images[0].get_mut(&path).unwrap()[3 * 4096 + 9] ^= 1;
    let bench = Bench::new(&images);
    // Room for one block's bytes, and for no file; nothing at all on the others.
    bench.drives[0].die_after(4096, Death::RefusesWrites);
    for drive in &bench.drives[1..] {
        drive.die_after(0, Death::RefusesWrites);
    }
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], None, &monitor);
    assert!(done.is_whole(), "{:#?}", monitor.problems());
    assert_eq!(done.repaired.drives[0].blocks, 1);
    assert_same(&bench.images(), &packed.images, "sparing");
}

/// A drive gives a bad sector another place when it is written; where that does not help, the whole
/// file goes elsewhere.
#[test]
fn bad_sectors_are_written_anew() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "sectors");
    let bench = Bench::new(&packed.images);
    let shards = paths(&packed.images[2], "/shards/");
    bench.drives[2].fail_reads(&shards[0], 5000..5100);
    bench.drives[2].fail_reads(&shards[1], 4000..4200);
    let set_txt = format!("{}/set.txt", packed.set_folder());
    bench.drives[2].fail_reads(&set_txt, 0..10);
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], None, &monitor);
    assert!(done.is_whole(), "{:#?} {:#?}", done.repaired, monitor.problems());
    let drive = &done.repaired.drives[2];
    assert_eq!((drive.blocks, drive.shards, drive.files), (3, 1, 1));
    assert_healed(&packed, &bench, &packed.images, "sectors");
}

#[test]
fn beyond_the_rule_the_rest_is_mended_and_the_stripe_is_named() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "beyond");
    let mut images = packed.images.clone();
    // Block 2 of two shards of the first stripe, with parity for one; elsewhere, one shard.
    let first = |image: &Image| paths(image, "-00000000-").remove(0);
    for image in &mut images[..2] {
        let path = first(image);
        image.get_mut(&path).unwrap()[2 * 4096 + 1] ^= 1;
    }
    let later = paths(&images[0], "-00000001-").remove(0);
    images[0].remove(&later).unwrap();
    let bench = Bench::new(&images);
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], None, &monitor);
    assert!(!done.is_whole() && done.is_beyond());
    assert_eq!((done.repaired.beyond.len(), done.repaired.waiting.len()), (1, 0));
    let lost = |p: &Problem| p.kind == ProblemKind::Lost && p.subject.contains("-00000000");
    assert!(monitor.problems().iter().any(lost), "{:?}", monitor.problems());
    assert_eq!(image_of(&bench.drives[0])[&later], packed.images[0][&later]);
    // With the third drive away, it waits for that: no drive that is here is touched in vain.
    let fewer: Vec<_> = bench.shared()[..2].to_vec();
    let done = repair(&fewer, &[], None, &Recording::default());
    assert!(!done.is_whole() && done.is_beyond(), "even with the third, block 2 is lost");
    images[1] = packed.images[1].clone();
    let bench = Bench::new(&images[..2]);
    let done = repair(&bench.shared(), &[], None, &Recording::default());
    assert!(!done.is_whole() && !done.is_beyond(), "{:?}", done.repaired);
    assert_eq!(done.repaired.waiting.len(), 2);
    // And when it comes, all is well.
    let mut all = bench.shared();
    all.extend(Bench::new(&packed.images[2..]).shared());
    assert!(repair(&all, &[], None, &Recording::default()).is_whole());
    assert_same(&bench.images(), &packed.images[..2], "waited");
}

/// A record file whose digest is right is a conflict, not damage.
#[rstest]
#[case::record("/records/")]
#[case::set_txt("/set.txt")]
fn copies_that_contradict_each_other_wait_for_a_root(#[case] word: &str) {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "conflict");
    let mut images = packed.images.clone();
    let path = paths(&images[0], word).remove(0);
    // On most drives: votes do not count.
    for image in &mut images[..2] {
        for path in paths(image, word).iter().filter(|p| p.ends_with(&path[path.len() - 8..])) {
            let bytes = image.get_mut(path).unwrap();
            if word == "/records/" {
                let end = bytes.len() - 32;
                bytes[end - 100] ^= 1;
                let digest = *blake3::hash(&bytes[..end]).as_bytes();
                bytes[end..].copy_from_slice(&digest);
            } else {
                let text = String::from_utf8(bytes.clone()).unwrap();
                *bytes = text.replace("\nlast yes\n", "\nlast no\n").into_bytes();
            }
        }
    }
    let shard = paths(&images[2], "/shards/").remove(0);
    images[2].get_mut(&shard).unwrap()[77] ^= 1;
    let bench = Bench::new(&images);
    let done = repair(&bench.shared(), &[], None, &Recording::default());
    assert!(done.conflict.is_some() && !done.is_whole());
    assert_same(&bench.images(), &images, "nothing is written");
    let found = open::find(&bench.shared(), &Recording::default());
    let wrong =
        repair_sets(found, &[], None, Some([7; 32]), Memory::default(), &Recording::default());
    assert!(wrong.is_err());
    assert_same(&bench.images(), &images, "nothing is written");
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], Some(root(&packed)), &monitor);
    assert!(done.is_whole(), "{:#?} {:#?}", done.repaired, monitor.problems());
    assert_healed(&packed, &bench, &packed.images, "decided");
}

/// Review F10: what a drive's own second copy and checklist convict is rot, and is mended.
#[rstest]
#[case::of_many(&[1, 1, 1], "cases=1")]
#[case::alone(&[1], "none")]
fn rot_in_one_copy_is_damage_and_no_conflict(#[case] cases: &[usize], #[case] survive: &str) {
    let packed = Packed::new(cases, survive, "rot");
    let folder = packed.set_folder();
    for (name, words) in [
        ("set.txt", "closed "),
        ("copy/set.txt", "closed "),
        ("label.json", "\"created\":"),
        ("copy/label.json", "\"created\":"),
        ("key-", "-> X25519 "),
        ("copy/key-", "-> X25519 "),
    ] {
        let mut images = packed.images.clone();
        let path = paths(&images[0], &format!("{folder}/{name}")).remove(0);
        let bytes = images[0].get_mut(&path).unwrap();
        let text = String::from_utf8_lossy(bytes).into_owned();
        let at = text.find(words).unwrap() + words.len();
        let at = at + text[at..].find(|c: char| c.is_ascii_digit()).unwrap();
        bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
        let bench = Bench::new(&images);
        assert_eq!(packed.verify(&bench.shared(), false).status, 3, "{name}");
        let monitor = Recording::default();
        let done = repair(&bench.shared(), &[], None, &monitor);
        assert!(done.is_whole(), "{name}: {:?} {:#?}", done.conflict, monitor.problems());
        assert_healed(&packed, &bench, &packed.images, name);
    }
}

/// Review F14: a drive that does not take what is written to it loses nothing that the others have.
#[test]
fn a_target_that_refuses_is_no_loss() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "refuses");
    for word in ["/records/", "/shards/", "label.json"] {
        let mut images = packed.images.clone();
        let path = paths(&images[0], word).remove(0);
        images[0].remove(&path).unwrap();
        let bench = Bench::new(&images);
        bench.drives[0].die_after(0, Death::RefusesWrites);
        let done = repair(&bench.shared(), &[], None, &Recording::default());
        assert!(!done.is_whole() && !done.is_beyond(), "{word}: {:#?}", done.repaired);
    }
}

/// A drive that lacks what was written after it failed agrees with the others.
#[test]
fn fewer_records_are_no_conflict() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "prefix");
    let mut images = packed.images.clone();
    let records = paths(&images[0], "/records/");
    images[0].remove(records.last().unwrap()).unwrap();
    images[0].retain(|path, _| !path.ends_with("set.txt"));
    let bench = Bench::new(&images);
    assert!(repair(&bench.shared(), &[], None, &Recording::default()).is_whole());
    assert_healed(&packed, &bench, &packed.images, "prefix");
}

/// A crash after any call, with what was being written torn; then the repair goes on.
#[test]
fn a_crash_at_any_point_is_gone_on_from() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "crash");
    let wrecked = wreck(&packed, "crash");
    let crashing = |bench: &Bench, calls: i64| {
        let left = Arc::new(std::sync::atomic::AtomicI64::new(calls));
        let over = |drive| Crashing::over(drive, left.clone());
        let drives: Vec<Arc<dyn Drive>> = bench.shared().into_iter().map(over).collect();
        (drives, left)
    };
    let whole = Bench::new(&wrecked);
    let (drives, left) = crashing(&whole, 1 << 40);
    assert!(repair(&drives, &[], None, &Recording::default()).is_whole());
    let calls = (1 << 40) - left.load(Ordering::SeqCst);
    assert!(calls > 500, "{calls} calls");
    for point in 0..200 {
        let bench = Bench::new(&wrecked);
        let (drives, _) = crashing(&bench, point * calls / 200);
        let found = open::find(&drives, &Recording::default());
        let told = Recording::default();
        let done = repair_sets(found, &[], None, None, Memory::default(), &told).unwrap();
        let whole = done.len() == 1 && done.iter().all(SetRepair::is_whole);
        if whole && told.problems().is_empty() {
            // It crashed in the last look around.
            assert_same(&bench.images(), &packed.images, "it said so");
        }
        let monitor = Recording::default();
        let done = repair(&bench.shared(), &[], None, &monitor);
        assert!(done.is_whole(), "{point}: {:#?} {:#?}", done.repaired, monitor.problems());
        assert_healed(&packed, &bench, &packed.images, &format!("crash {point}"));
    }
}

#[test]
fn a_drive_that_vanishes_meanwhile_is_gone_on_with() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "vanishing");
    let wrecked = wreck(&packed, "vanishing");
    let all: u64 = packed.images.iter().flat_map(|i| i.values()).map(|b| b.len() as u64).sum();
    for victim in 0..3 {
        for part in 0..8 {
            let bench = Bench::new(&wrecked);
            let victim_drive = memory_of(&format!("drive {victim}"), &wrecked[victim]);
            let mut drives = bench.shared();
            drives[victim] = Arc::new(victim_drive.clone());
            let monitor = Vanishing::after((all * part / 6).cast_signed() + 1, &victim_drive);
            let done = repair(&drives, &[], None, &monitor);
            if monitor.has_vanished() {
                let told = monitor.told.problems();
                assert!(!done.is_whole() && !done.is_beyond(), "{victim} {part}: {told:#?}");
            }
            // It comes back as it was.
            let monitor = Recording::default();
            let done = repair(&bench.shared(), &[], None, &monitor);
            assert!(done.is_whole(), "{victim} {part}: {:#?}", monitor.problems());
            assert_healed(&packed, &bench, &packed.images, "came back");
        }
    }
}

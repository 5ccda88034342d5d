//! What a drive says that does not count: a later run goes on with what others say, and it is told.

use super::authentic::{
    Turn, paths, put_text, record_files, restore_images, restore_into, text_of, turn, unclose,
    without_work,
};
use super::repair::{Bench, repair, root};
use crate::common::counting::{Counting, Opening};
use crate::common::images::{Image, Packed};
use crate::common::shipment::Shipment;
use crate::common::tree;
use holdall::testing::commands::restore::RestoreJobError;
use holdall::testing::monitor::{Problem, Recording};
use holdall::testing::repairer::origin::OriginError;
use holdall::testing::sets::{RecordIndex, open};
use rstest::rstest;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a drive hides where its set ends.
#[derive(Clone, Copy, Debug)]
enum Hides {
    Turned(Turn),
    /// it has no set.txt, and the last record file is gone
    Unclosed,
}

fn hide(packed: &Packed, image: &mut Image, how: Hides) {
    match how {
        Hides::Turned(how) => turn(packed, image, how),
        Hides::Unclosed => {
            turn(packed, image, Turn::Removed);
            unclose(packed, image);
        }
    }
}

/// Review A10: whatever a drive alone says of the end of its set, the honest drive goes on in the same
/// folder, and all is there as from that one alone.
#[rstest]
#[case(Hides::Turned(Turn::CutShort))]
#[case(Hides::Turned(Turn::Removed))]
#[case(Hides::Turned(Turn::Unsealed))]
#[case(Hides::Turned(Turn::Last))]
#[case(Hides::Unclosed)]
fn a_restore_goes_on_after_a_drive_that_hid_the_end(#[case] how: Hides) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "A10");
    let mut images = packed.images.clone();
    hide(&packed, &mut images[0], how);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    let told = Recording::default();
    let drives = Bench::new(&images).shared();
    let first = restore_into(&packed, &drives[..1], &to, &[], &told).unwrap();
    assert!(first.restored.end_unknown && first.awaited.is_empty(), "{how:?}");
    assert!(to.join(".holdall").exists(), "{how:?}: nobody vouched for the end");
    let second = restore_into(&packed, &drives[1..], &to, &[], &told).unwrap();
    assert!(second.is_complete() && !second.restored.end_unknown, "{how:?}");
    packed.source.clone().without_folder_metadata().assert_equal(&without_work(&to));
    assert!(!to.join(".holdall").exists(), "{how:?}: it is ended");
}

/// Runs a command of these words on all drives.
fn run(shipment: &Shipment, words: &[&str]) -> crate::common::Run {
    let words = words.iter().map(OsString::from);
    shipment.run(words.chain(shipment.paths().into_iter().map(PathBuf::into)))
}

/// Review A5: a copy of set.txt or of a key that is rejected is told, once for each drive, by whatever
/// reads it, and they end with 3 though all is there; what is merely missing is none.
#[test]
fn rejected_copies_are_told_and_cost_nothing() {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "rejected", 20);
    shipment.pack("drives=1").expect(0);
    let key = shipment.key.to_str().unwrap().to_owned();
    let to = shipment.new_destination();
    fs::remove_file(shipment.set_folder(0).join("copy/set.txt")).unwrap();
    let key_file = shipment.files(0, "key-").remove(0);
    fs::remove_file(&key_file).unwrap();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    run(&shipment, &["ls", "--json", "-i", &key]).expect(0);
    run(&shipment, &["status", "--json"]).expect(0);
    let text = fs::read_to_string(shipment.set_folder(1).join("set.txt")).unwrap();
    fs::write(shipment.set_folder(1).join("copy/set.txt"), text.replace("last", "list")).unwrap();
    for place in ["", "copy"] {
        let place = shipment.set_folder(2).join(place).join(key_file.file_name().unwrap());
        fs::write(place, b"rubbish").unwrap();
    }
    let to = shipment.new_destination();
    let restored = shipment.restore(&shipment.paths(), &to, &[]).expect(3);
    assert_eq!(restored.event("restored")["complete"], true);
    let listed = run(&shipment, &["ls", "--json", "-i", &key]).expect(3);
    let status = run(&shipment, &["status", "--json"]).expect(3);
    for run in [restored, listed, status] {
        let problems = run.problems();
        let tells = |drive: usize, name: &str| {
            let begins = shipment.drives[drive].1.display().to_string();
            let is_it = |(subject, detail): &&(String, String)| {
                subject.starts_with(&begins) && subject.contains(name) && detail.contains("repair")
            };
            problems.iter().filter(is_it).count()
        };
        let told = (problems.len(), tells(1, "/copy/set.txt"), tells(2, "/key-"));
        assert_eq!(told, (2, 1, 1), "{}", run.shown());
    }
    run(&shipment, &["repair", "--json"]).expect(0);
    run(&shipment, &["status", "--json"]).expect(0);
}

/// Where all labels that are here name a suite that no record has, the records decide.
#[rstest]
fn of_labels_that_are_all_wrong_the_records_decide(
    #[values(2, 77)] suite: u8,
    #[values(false, true)] closed: bool,
) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "all labels");
    let mut images = packed.images.clone();
    let path = format!("{}/label.json", packed.set_folder());
    for image in &mut images {
        let label = String::from_utf8(image[&path].clone()).unwrap();
        let turned = label.replace("\"suite\": 1", &format!("\"suite\": {suite}"));
        assert_ne!(label, turned);
        let turned = turned.into_bytes();
        image.insert(path.replace("label", "copy/label"), turned.clone());
        image.insert(path.clone(), turned.clone());
        if closed {
            let mut text = text_of(&packed, image);
            let hash = *blake3::hash(&turned).as_bytes();
            text.slots.iter_mut().for_each(|line| line.label = Some(hash));
            put_text(&packed, image, &text);
        } else {
            unclose(&packed, image);
        }
    }
    let restored = restore_images(&packed, &images, &[]);
    restored.must_have_all(&packed);
    assert!(!restored.done().restored.from_lists, "the catalog was read");
    let told = |p: &&Problem| p.detail.contains("the records on what the set is");
    let told = restored.problems.iter().filter(told).count();
    assert_eq!(told, if closed { 0 } else { 2 }, "{:#?}", restored.problems);
}

/// Records that set.txt does not name stand against it only where each drive that vouches for it has them.
#[test]
fn foreign_records_on_all_drives_need_the_root() {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "on all");
    let mut images = packed.images.clone();
    for image in &mut images {
        turn(&packed, image, Turn::CutShort);
        assert!(!record_files(&packed, image).is_empty());
    }
    let bench = Bench::new(&images);
    let done = repair(&bench.shared(), &[], None, &Recording::default());
    assert!(matches!(done.conflict, Some(OriginError::Conflict { .. })), "{:?}", done.conflict);
    assert!(bench.images() == images);
}

/// Review A11: names of records that one drive of an unclosed set alone has cost one look each, wherever
/// they sort, and beyond a bound none: that is told once, and the set is what the others say.
#[test]
fn many_names_of_one_drive_cost_little_and_are_bounded() {
    const NAMES: usize = 20_000;
    let packed = Packed::of_many_records(&[1, 1, 1], "drives=1", "A11");
    let mut images = packed.images.clone();
    images.iter_mut().for_each(|image| unclose(&packed, image));
    let stripes = record_files(&packed, &images[0]).iter().map(|(_, r)| r.len()).sum::<usize>();
    for number in 0..NAMES {
        let name = format!("{}/records/00000000000000aa-{number:08x}.rec", packed.set_folder());
        images[1].insert(name, Vec::new());
    }
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    let opening: Opening = Arc::new(move |_: &str, path: &str| {
        count.fetch_add(usize::from(path.contains("/00000000000000aa-")), Ordering::Relaxed);
    });
    let (drives, _) = Counting::watched(Bench::new(&images).shared(), &opening);
    let set = open::find(&drives, &Recording::default()).remove(0);
    assert!(opened.swap(0, Ordering::Relaxed) <= NAMES, "each is looked at where it lies");
    let told = Recording::default();
    let index = RecordIndex::open(&set, None, &told);
    let looked = opened.load(Ordering::Relaxed);
    assert!((1000..NAMES).contains(&looked), "{looked}");
    assert_eq!((index.records(), index.gaps), (stripes, false));
    let left = |p: &&Problem| p.detail.contains("are left out");
    let left: Vec<_> = told.problems().iter().filter(left).cloned().collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].detail.contains("drive 1"), "{left:?}");
}

/// A drive that lacks the records that others have is told of in one line.
#[test]
fn a_drive_without_records_is_told_of_once() {
    let packed = Packed::of_many_records(&[1, 1, 1], "drives=1", "lacks");
    let mut images = packed.images.clone();
    images[1].retain(|path, _| !path.contains("/records/"));
    let set = open::find(&Bench::new(&images).shared(), &Recording::default()).remove(0);
    let told = Recording::default();
    let index = RecordIndex::open(&set, None, &told);
    assert!(!index.gaps);
    let details: Vec<String> = told.problems().into_iter().map(|p| p.detail).collect();
    assert!(details.len() == 1 && details[0].contains("record files that other"), "{details:?}");
}

/// A whole set that somebody else packed, under the same names and to the same recipient, is restored
/// first, in part: the honest drives do not go on with it, and what is to be done is told.
#[test]
fn a_restore_goes_on_with_no_other_set_of_the_same_number() {
    let packed = Packed::with_lab_seed(&[1, 1], "drives=1", "ours", 5);
    let mut theirs = Packed::with_lab_seed(&[1, 1], "drives=1", "theirs", 5);
    for path in paths(&theirs, &theirs.images[0], "shards/").iter().take(2) {
        theirs.images[0].remove(path);
    }
    let folder = tempfile::tempdir().unwrap();
    let (to, told) = (folder.path().join("to"), Recording::default());
    let first = Bench::new(&theirs.images[..1]).shared();
    assert!(!restore_into(&theirs, &first, &to, &[], &told).unwrap().is_complete());
    let before = without_work(&to);
    let honest = Bench::new(&packed.images).shared();
    let refused = restore_into(&packed, &honest, &to, &[], &told);
    let Err(RestoreJobError::OtherSet { set: 1, before: root_before, now, .. }) = refused else {
        panic!("{:?}", refused.map(|done| done.restored))
    };
    let hex = |packed| blake3::Hash::from_bytes(root(packed)).to_hex().to_string();
    assert_eq!((root_before, now), (hex(&theirs), hex(&packed)));
    before.assert_equal(&without_work(&to));
    let again = restore_into(&theirs, &Bench::new(&theirs.images[1..]).shared(), &to, &[], &told);
    assert!(again.unwrap().is_complete(), "theirs goes on");
}

//! What anybody can lay on a drive without a key costs little, takes nobody's place and is told: key
//! files, labels, copies.

use super::authentic::{put_text, restore, restore_images, text_of, unclose};
use super::closing::{killed, resume};
use super::repair::Bench;
use crate::common::counting::{Counting, read_of};
use crate::common::images::{Image, Packed};
use holdall::testing::commands::ls::ls_sets;
use holdall::testing::commands::restore::RestoreJobError;
use holdall::testing::format::ids::{RunId, SetNumber, key_path, record_path};
use holdall::testing::format::label::Label;
use holdall::testing::format::set::RunLine;
use holdall::testing::monitor::Recording;
use holdall::testing::opening::open::OpenError;
use holdall::testing::sets::open::find;
use rstest::rstest;
use std::fs;

/// Key files of as many runs that nobody packed, each as long as one may be, with their records' names.
fn add_key_files(packed: &Packed, image: &mut Image, count: u64) {
    let folder = packed.set_folder();
    for number in 0..count {
        let (run, header) = (RunId(0xbad0_0000 + number), b"age-encryption.org/v1\n-> a\n");
        let mut file = [&header[..], &number.to_le_bytes()].concat();
        file.resize(65_536, b'a');
        image.insert(format!("{folder}/{}", key_path(run)), file);
        image.insert(format!("{folder}/{}", record_path(run, 0)), b"none".to_vec());
    }
}

/// Review S10: 200 forged key files that a forged set.txt on one of two drives names are
/// not looked at; where nobody vouches for a run, no more of them are tried than it takes.
#[rstest]
fn forged_key_files_cost_little(#[values(true, false)] is_closed: bool) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "forged keys");
    let mut images = packed.images.clone();
    if is_closed {
        let mut text = text_of(&packed, &images[0]);
        let line = text.runs[0].clone();
        let lines =
            (0..200).map(|number| RunLine { run: RunId(0xbad0_0000 + number), ..line.clone() });
        text.runs.extend(lines);
        put_text(&packed, &mut images[0], &text);
    } else {
        images.iter_mut().for_each(|image| unclose(&packed, image));
    }
    add_key_files(&packed, &mut images[0], 200);
    let (drives, reads) = Counting::over(Bench::new(&images).shared());
    let restored = restore(&packed, &drives, &[]);
    restored.must_have_all(&packed);
    let read = read_of(&reads, "key-00000000bad0");
    assert!(if is_closed { read == 0 } else { read < 4 << 20 }, "{read} bytes");
    assert_eq!(restored.tells("were not tried"), !is_closed, "{:#?}", restored.problems);
}

/// A set whose root is the expected one, but which the run whose key is here did not
/// close, is refused in plain words, with the drive and what to do.
#[test]
fn a_root_that_the_key_did_not_close_is_refused() {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "not by this key");
    let mut images = packed.images.clone();
    let mut text = text_of(&packed, &images[0]);
    text.last = false;
    images.iter_mut().for_each(|image| put_text(&packed, image, &text));
    let refused = restore_images(&packed, &images, &[text.root()]);
    let Err(RestoreJobError::Open(error @ OpenError::NotByThisKey { .. })) = &refused.result else {
        panic!("{:#?}", refused.problems)
    };
    let said = error.to_string();
    assert!(said.contains("not closed with the key") && said.contains("drive 1"), "{said}");
    assert!(refused.tree.is_none(), "something was restored");
}

/// The same where no key file of the run that closed the set is here: the root decides.
#[test]
fn a_root_that_no_key_file_bears_out_counts() {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "no key of the closer");
    let mut images = packed.images.clone();
    let mut text = text_of(&packed, &images[0]);
    let (first, last) = (text.runs[0].clone(), RunId(0xc105e));
    text.runs.push(RunLine { run: last, files: 0, stripes: 0, ..first });
    text.parts.last_mut().unwrap().run = last;
    images.iter_mut().for_each(|image| put_text(&packed, image, &text));
    let restored = restore_images(&packed, &images, &[text.root()]);
    restored.must_have_all(&packed);
    assert!(restored.tells("cannot be checked"), "{:#?}", restored.problems);
}

/// Of two drives of a set that is not closed, one label says something else of the set: what the records
/// bear out counts, whichever drive is looked at first, and both are named.
#[rstest]
fn a_turned_label_of_two_decides_nothing(
    #[values("suite", "chunk_bytes", "block_bytes", "drives")] member: &str,
    #[values(0, 1)] tampered: usize,
) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "one label of two");
    let mut images = packed.images.clone();
    images.iter_mut().for_each(|image| unclose(&packed, image));
    let path = format!("{}/label.json", packed.set_folder());
    let mut label: serde_json::Value = serde_json::from_slice(&images[tampered][&path]).unwrap();
    let before = label[member].as_u64().unwrap();
    label[member] = match member {
        "suite" => 3 - before,
        "chunk_bytes" => 1024,
        "block_bytes" => before * 2,
        _ => 900,
    }
    .into();
    images[tampered].insert(path, serde_json::to_vec(&label).unwrap());
    let restored = restore_images(&packed, &images, &[]);
    restored.must_have_all(&packed);
    let names = ["drive 0", "drive 1"];
    let told = restored.problems.iter().find(|p| p.detail.contains("does not agree with"));
    let told = told.unwrap_or_else(|| panic!("{:#?}", restored.problems));
    assert!(told.subject.starts_with(names[tampered]), "{told:?}");
    assert!(told.detail.contains(names[1 - tampered]), "{told:?}");
}

/// A stick with a copy of a drive's label, named before it, does not take its slot when a set is gone on
/// with: it is told, and nothing is written to it.
#[test]
fn a_copied_label_takes_no_slot() {
    let shipment = killed(&[1, 1]);
    let stick = shipment.path().join("stick");
    let name = shipment.set_folder(0).file_name().unwrap().to_owned();
    let folder = stick.join("holdall").join(name);
    fs::create_dir_all(&folder).unwrap();
    let label = shipment.set_folder(0).join("label.json");
    fs::copy(&label, folder.join("label.json")).unwrap();
    let mut drives = shipment.drives.clone();
    drives.insert(0, (drives[0].0.clone(), stick.clone()));
    let run = resume(&shipment, &drives).expect(0);
    let told = |note: &serde_json::Value| {
        let text = note["text"].as_str().unwrap();
        text.contains(stick.to_str().unwrap()) && text.contains("left aside")
    };
    assert!(run.events_of("note").iter().any(told), "{}", run.shown());
    let left = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["label.json"]);
    shipment.verify(&shipment.paths()).expect(0);
}

/// What cannot be opened of a shipment takes nothing from its other sets: a label that somebody laid
/// beside them, records with it, or a set whose key files are gone.
#[rstest]
fn a_set_that_cannot_be_opened_takes_nothing_from_the_others(
    #[values(&["/label.json"], &["/label.json", "/records/", "/shards/"], &["/label.json", "/records/", "/key-"])]
    copied: &[&str],
) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "beside the others");
    let folder = packed.set_folder();
    let other = folder.strip_suffix("-001").unwrap().to_owned() + "-002";
    let stick: Image = packed.images[0]
        .iter()
        .filter_map(|(path, bytes)| {
            let name = path.strip_prefix(&folder)?;
            copied.iter().any(|beginning| name.starts_with(beginning)).then(|| {
                let bytes = match name {
                    "/label.json" => {
                        let mut label = Label::decode(bytes).unwrap();
                        label.set = SetNumber(2);
                        label.encode()
                    }
                    _ => bytes.clone(),
                };
                (format!("{other}{name}"), bytes)
            })
        })
        .collect();
    let images = [packed.images.clone(), vec![stick]].concat();
    let restored = restore_images(&packed, &images, &[]);
    restored.must_have_all(&packed);
    assert!(restored.tells("it is left out"), "{:#?}", restored.problems);
    let verified = packed.verify(&Bench::new(&images).shared(), true);
    assert_eq!(verified.sets.len(), 2);
    assert!(verified.sets[0].is_whole() && verified.status != 0, "{}", verified.status);
    let found = find(&Bench::new(&images).shared(), &Recording::default());
    let identities = packed.lab.identities();
    let listed = ls_sets(found, &identities, None, &Recording::default(), &mut |_, _| ()).unwrap();
    assert_eq!((listed.entries > 0, listed.complete), (true, false), "{}", listed.entries);
}

//! What verify makes of drives that were relabelled, copied or mixed up, and what it decodes with
//! a key.

use crate::common::images::{Image, Packed, Verified, drive_of, memory_of};
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use holdall::testing::drives::Drive;
use holdall::testing::format::ids::Slot;
use holdall::testing::monitor::Recording;
use holdall::testing::sets::{RecordIndex, open};
use holdall::testing::verification::verify_set;
use rstest::rstest;
use std::fs;
use std::sync::Arc;

/// Both labels of a drive.
fn labels(packed: &Packed) -> [String; 2] {
    let folder = packed.set_folder();
    [format!("{folder}/label.json"), format!("{folder}/copy/label.json")]
}

fn drives_of(images: &[Image]) -> Vec<Arc<dyn Drive>> {
    images.iter().enumerate().map(|(i, image)| drive_of(&format!("drive {i}"), image)).collect()
}

fn says(verified: &Verified, words: &str) -> bool {
    verified.problems.iter().any(|p| p.to_string().contains(words))
}

/// Shards of a drive, sorted.
fn shards(image: &Image) -> Vec<String> {
    image.keys().filter(|path| path.contains("/shards/")).cloned().collect()
}

#[test]
fn a_drive_without_labels_is_used() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "no labels");
    let mut images = packed.images.clone();
    labels(&packed).iter().for_each(|path| assert!(images[1].remove(path).is_some()));
    // With both others; and with one less, when every shard of it is needed.
    for lost in [None, Some(2), Some(0)] {
        let mut drives = drives_of(&images);
        if let Some(lost) = lost {
            drives.remove(lost);
        }
        let verified = packed.verify(&drives, true);
        assert_eq!(verified.status, 3, "{:?}", verified.problems);
        assert!(says(&verified, "this is slot 2"), "{:?}", verified.problems);
        assert!(verified.sets[0].drives.iter().any(|d| d.slot == Slot(2) && d.case == "case-1"));
        packed.must_be_restored(&drives, "no labels");
    }
}

#[rstest]
#[case(&[1], "none")]
#[case(&[1, 1], "cases=1")]
fn the_only_drive_of_a_set_needs_no_label(#[case] cases: &[usize], #[case] survive: &str) {
    let packed = Packed::new(cases, survive, "alone");
    let mut image = packed.images[0].clone();
    labels(&packed).iter().for_each(|path| assert!(image.remove(path).is_some()));
    let drives = [drive_of("alone", &image)];
    let verified = packed.verify(&drives, true);
    assert_eq!(verified.status, 3, "{:?}", verified.problems);
    let set = &verified.sets[0];
    assert_eq!((set.drive_count as usize, set.missing.len()), (cases.len(), cases.len() - 1));
    let decoded = set.decoded.as_ref().unwrap();
    assert_eq!((decoded.is_complete(), decoded.catalog_agrees), (true, Some(true)));
    packed.must_be_restored(&drives, "alone");
    // Nor a set.txt; then the records say what there is to know of the set.
    image.retain(|path, _| !path.ends_with("/set.txt"));
    let drives = [drive_of("alone", &image)];
    assert_eq!(packed.verify(&drives, true).status, 3);
    packed.must_be_restored(&drives, "alone, without set.txt");
}

#[test]
fn exchanged_labels_are_told_and_do_no_harm() {
    let packed = Packed::new(&[1, 1, 1], "none", "exchanged");
    let mut images = packed.images.clone();
    for path in labels(&packed) {
        let (first, second) = (images[0][&path].clone(), images[1][&path].clone());
        images[0].insert(path.clone(), second);
        images[1].insert(path, first);
    }
    let verified = packed.verify(&drives_of(&images), true);
    assert_eq!(verified.status, 3, "{:?}", verified.problems);
    assert!(says(&verified, "it says slot 2, but slot 1's shards are here"));
    packed.must_be_restored(&drives_of(&images), "exchanged labels");
}

#[test]
fn two_drives_of_one_slot_are_two_sources() {
    let packed = Packed::new(&[1, 1], "none", "duplicates");
    let mut images = packed.images.clone();
    images.push(images[1].clone());
    let verified = packed.verify(&drives_of(&images), true);
    assert_eq!((verified.status, verified.problems.len()), (0, 0), "{:?}", verified.problems);
    assert_eq!(verified.sets[0].drives.iter().filter(|d| d.double).count(), 2);
    // Each lacks something else: a shard, and single blocks of one.
    let names = shards(&images[1]);
    assert!(names.len() > 3);
    images[1].remove(&names[0]);
    images[2].remove(&names[1]);
    for (image, at) in [(1, 5000), (2, 50_000)] {
        images[image].get_mut(&names[2]).unwrap()[at] ^= 1;
    }
    let verified = packed.verify(&drives_of(&images), true);
    assert_eq!(verified.status, 3, "{:?}", verified.problems);
    assert_eq!((verified.problems.len(), verified.sets[0].verdict.degraded), (4, 0));
    packed.must_be_restored(&drives_of(&images), "duplicates");
    // The same block of both: there is no third.
    images[2].get_mut(&names[2]).unwrap()[5000] ^= 1;
    assert_eq!(packed.verify(&drives_of(&images), true).status, 1);
}

/// Harms the first drive in a way that has this name.
fn harm(images: &mut Vec<Image>, how: &str) {
    let names = shards(&images[0]);
    let first = |index: &str| names.iter().find(|path| path.ends_with(index)).unwrap().clone();
    let (data, parity) = (first("-00"), first("-03"));
    let double = images[0].clone();
    let mut change = |path: &str, how: fn(&mut Vec<u8>)| how(images[0].get_mut(path).unwrap());
    match how {
        "a data block" => change(&data, |bytes| bytes[5000] ^= 1),
        "a parity block" => change(&parity, |bytes| bytes[5000] ^= 1),
        "short" => change(&data, |bytes| bytes.truncate(5000)),
        "long" => change(&data, |bytes| bytes.push(0)),
        "a shard" => drop(images[0].remove(&data)),
        "a metadata file" => images[0].retain(|path, _| !path.ends_with("/checklist.b3")),
        "a drive" => drop(images.remove(0)),
        "a block of a double" => {
            change(&data, |bytes| bytes[5000] ^= 1);
            images.push(double);
        }
        _ => {}
    }
}

/// Review shape J: what was decoded is not read again, and every drive is judged as if it were.
#[test]
fn with_a_key_each_drive_is_found_as_without_one() {
    let packed = Packed::new(&[1, 1, 1, 1], "drives=1", "found alike");
    let damage = ["a data block", "a parity block", "short", "long", "a shard", "a metadata file"];
    for how in ["nothing", "a drive", "a block of a double"].into_iter().chain(damage) {
        let mut images = packed.images.clone();
        harm(&mut images, how);
        let [with, without] =
            [true, false].map(|keyed| packed.verify(&drives_of(&images), keyed).sets.remove(0));
        assert_eq!(with.verdict, without.verdict, "{how}");
        for (a, b) in with.drives.iter().zip(&without.drives) {
            assert_eq!(format!("{:?}", a.report), format!("{:?}", b.report), "{how}");
            assert_eq!(
                (a.report.bad_metadata_files, a.expected_bytes),
                (b.report.bad_metadata_files, b.expected_bytes),
                "{how}"
            );
        }
        let is_harmed = with.drives.iter().any(|drive| !drive.is_whole());
        assert_eq!(is_harmed, !["nothing", "a drive"].contains(&how), "{how}");
    }
}

#[test]
fn a_drive_copied_in_part_is_told_in_a_line() {
    let packed = Packed::new(&[1, 1], "drives=1", "in part");
    let mut images = packed.images.clone();
    let names = shards(&images[0]);
    let kept = names.len() - 9;
    names[kept..].iter().for_each(|path| assert!(images[0].remove(path).is_some()));
    let verified = packed.verify(&drives_of(&images), false);
    assert_eq!(verified.status, 3);
    let words = format!("9 of {} shards are not there, from {}", names.len(), names[kept]);
    assert!(says(&verified, &words), "{:?}", verified.problems);
    assert!(says(&verified, "is incomplete"), "{:?}", verified.problems);
    assert!(!says(&verified, "is missing"), "{:?}", verified.problems);
    packed.must_be_restored(&drives_of(&images), "in part");
}

#[test]
fn shards_too_long_serve() {
    let packed = Packed::new(&[1, 1], "none", "too long");
    let mut images = packed.images.clone();
    for image in &mut images {
        for path in shards(image) {
            image.get_mut(&path).unwrap().extend([7; 100]);
        }
    }
    let verified = packed.verify(&drives_of(&images), true);
    assert_eq!(verified.status, 3, "{:?}", verified.problems);
    assert!(says(&verified, "100 bytes too many"));
    let report = &verified.sets[0].drives[0].report;
    assert_eq!((report.long_shards, report.missing_shards), (report.shards, 0));
    packed.must_be_restored(&drives_of(&images), "too long");
}

#[test]
fn with_a_key_all_is_decoded() {
    let packed = Packed::new(&[1, 1, 1, 1], "cases=1", "decoded");
    let bytes = packed.source_bytes();
    for lost in [None, Some(1)] {
        let mut drives = packed.drives();
        if let Some(lost) = lost {
            drives.remove(lost);
        }
        let verified = packed.verify(&drives, true);
        assert_eq!((verified.status, verified.problems.len()), (3 * i32::from(lost.is_some()), 0));
        let decoded = verified.sets[0].decoded.as_ref().unwrap();
        assert!(decoded.is_complete() && decoded.blocks > 100);
        assert_eq!(decoded.catalog_agrees, Some(true));
        assert_eq!((decoded.restored.files, decoded.restored.file_bytes), (7, bytes));
    }
    // Beyond the rule it says what could not be checked.
    let verified = packed.verify(&packed.drives()[..2], true);
    assert_eq!(verified.status, 1);
    let decoded = verified.sets[0].decoded.as_ref().unwrap();
    assert!(decoded.restored.waiting > 0 && decoded.restored.files < 7);
    assert_eq!((decoded.restored.lost, decoded.catalog_agrees), (0, None));
}

/// The fixed randomness of the tests gives two packings the same ids and keys: so the catalog of
/// one opens in the other.
#[test]
fn a_catalog_that_says_other_than_the_shards_is_told() {
    let packed = Packed::new(&[1, 1], "drives=1", "one catalog");
    let other = Packed::with_lab_seed(&[1, 1], "drives=1", "another catalog", packed.seed);
    let verified = packed.verify(&packed.drives(), true);
    assert_eq!(verified.sets[0].decoded.as_ref().unwrap().catalog_agrees, Some(true));
    let mut images = packed.images.clone();
    for (image, theirs) in images.iter_mut().zip(&other.images) {
        for (path, bytes) in theirs.iter().filter(|(path, _)| path.contains("/catalog/")) {
            assert!(image.insert(path.clone(), bytes.clone()).is_some(), "{path}");
        }
    }
    let verified = packed.verify(&drives_of(&images), true);
    assert_eq!(verified.status, 3, "{:?}", verified.problems);
    assert!(says(&verified, "it does not say what the lists in the shards say"));
    let decoded = verified.sets[0].decoded.as_ref().unwrap();
    assert_eq!((decoded.catalog_agrees, decoded.is_complete()), (Some(false), true));
}

#[test]
fn the_program_decodes_with_a_key_and_knows_a_drive_of_nothing() {
    let shipment = Shipment::new(&[1, 1]);
    tree::rich(&shipment.source, "verify with a key");
    shipment.pack("cases=1").expect(0);
    let key = shipment.key.to_str().unwrap();
    let mut words = vec!["verify", "--json", "-i", key];
    let paths = shipment.paths();
    words.extend(paths.iter().map(|p| p.to_str().unwrap()));
    let decoded = shipment.run(&words).expect(0).event("decoded");
    assert_eq!((&decoded["complete"], &decoded["catalog_agrees"]), (&true.into(), &true.into()));
    assert!(decoded["files"].as_u64().unwrap() > 50, "{decoded}");
    let text = shipment.run(words.iter().filter(|w| **w != "--json")).expect(0);
    assert!(text.stdout.contains("every one matches its root"), "{}", text.shown());
    assert!(shipment.verify(&paths).expect(0).events_of("decoded").is_empty());
    // A folder that is no drive, and another's identity.
    let nothing = shipment.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    words.push(nothing.to_str().unwrap());
    let run = shipment.run(&words).expect(3);
    assert!(run.problems().iter().any(|(_, detail)| detail.contains("carries no set")));
    let other = Shipment::new(&[1]);
    words[3] = other.key.to_str().unwrap();
    shipment.run(&words).expect(1);
}

/// C stands in labels only: without any, the roots of files with holes come from what is restored.
#[test]
fn the_program_restores_from_a_drive_without_labels() {
    let shipment = Shipment::new(&[1]);
    tree::rich(&shipment.source, "no labels at all");
    shipment.pack("none").expect(0);
    for path in ["label.json", "copy/label.json"] {
        fs::remove_file(shipment.set_folder(0).join(path)).unwrap();
    }
    let key = shipment.key.to_str().unwrap();
    let drive = shipment.paths()[0].to_str().unwrap().to_owned();
    let status = shipment.run(["status", "--json", &drive]).expect(3).event("status");
    assert_eq!(
        (&status["drives"][0]["slot"], &status["drives"][0]["case"]),
        (&1.into(), &"a".into())
    );
    let decoded = shipment.run(["verify", "--json", "-i", key, &drive]).expect(3).event("decoded");
    assert_eq!(decoded["complete"], true);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(3);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

/// Review F5: what cannot be read a second time is lost, and counted.
#[rstest]
#[case::of_all_stripes(".rec")]
#[case::of_some("-00000000.rec")]
fn records_that_do_not_read_again_are_no_proof(#[case] word: &str) {
    let packed = Packed::new(&[1, 1], "drives=1", "read again");
    let drives: Vec<_> = packed.images.iter().map(|image| memory_of("drive", image)).collect();
    let shared: Vec<Arc<dyn Drive>> =
        drives.iter().map(|d| Arc::new(d.clone()) as Arc<dyn Drive>).collect();
    let found = open::find(&shared, &Recording::default());
    let record_index = RecordIndex::open(&found[0], None, &Recording::default());
    let stripes = record_index.stripes().len();
    let records = || packed.images[0].keys().filter(|path| path.ends_with(word));
    drives.iter().for_each(|d| records().for_each(|path| d.fail_reads(path, 0..1 << 40)));
    let verdict = verify_set(&found[0], &record_index, &Recording::default()).verdict;
    assert!(!verdict.restorable(), "{verdict:?}");
    assert_eq!(verdict.stripes, stripes as u64);
    let lost = verdict.beyond.len();
    assert!(if word == ".rec" { lost == stripes } else { (1..stripes).contains(&lost) }, "{lost}");
}

/// Review F5: stripes whose records are gone are counted, as set.txt knows of them; and a set whose
/// key is gone cannot be opened by anybody.
#[test]
fn what_the_records_or_the_keys_lack_is_counted() {
    let packed = Packed::new(&[1, 1], "drives=1", "counted");
    let all = packed.verify(&packed.drives(), false).sets.remove(0).verdict.stripes;
    let without = |word: &str| {
        let mut images = packed.images.clone();
        images.iter_mut().for_each(|image| image.retain(|path, _| !path.contains(word)));
        let drives: Vec<_> = images.iter().map(|image| drive_of("drive", image)).collect();
        packed.verify(&drives, false)
    };
    let records = without("-00000000.rec");
    let verdict = &records.sets[0].verdict;
    assert_eq!((records.status, verdict.stripes + verdict.unknown), (1, all));
    assert!(verdict.unknown > 0 && verdict.lost_of() == (verdict.unknown, all), "{verdict:?}");
    let keys = without("key-");
    let verdict = &keys.sets[0].verdict;
    assert_eq!((keys.status, verdict.keyless.len(), verdict.lost_of()), (1, 1, (all, all)));
}

/// Review A20: the next command is printed, and works when typed.
#[test]
fn a_damaged_drive_is_followed_by_what_mends_it() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "next step", 5);
    shipment.pack("drives=1").expect(0);
    let whole = shipment.run(words("verify", &shipment)).expect(0);
    assert!(!whole.stdout.contains("holdall repair"), "{}", whole.shown());
    let verified = shipment.verify(&shipment.paths()).event("verified");
    assert_eq!((&verified["proven"], &verified["repair"]), (&true.into(), &().into()));
    fs::remove_file(&shipment.files(0, "shards/")[0]).unwrap();
    let text = shipment.run(words("verify", &shipment)).expect(3).stdout;
    let command = text.lines().find_map(|line| line.strip_prefix("To repair it: ")).unwrap();
    let verified = shipment.verify(&shipment.paths()).event("verified");
    assert_eq!((&verified["proven"], &verified["repair"]), (&false.into(), &command.into()));
    shipment.run(command.split(' ').skip(1)).expect(0);
    shipment.verify(&shipment.paths()).expect(0);
}

fn words(verb: &str, shipment: &Shipment) -> Vec<std::ffi::OsString> {
    let paths = shipment.paths().into_iter().map(Into::into);
    std::iter::once(verb.into()).chain(paths).collect()
}

/// Review shape A: what was not read back is not proven.
#[test]
fn nothing_read_back_is_nothing_proven() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "unproven", 3);
    let run = shipment.run(shipment.pack_arguments("none", &["--json", "--no-read-back"]));
    let packed = run.expect(0).event("packed");
    assert_eq!((&packed["proven"], &packed["restorable"]), (&false.into(), &().into()));
}

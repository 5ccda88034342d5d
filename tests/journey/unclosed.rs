//! Sets that were never closed, and whose drives disagree: what one drive alone says is spread to no
//! other, and nothing is closed over it, unless the key, or the state of the machine that packs, bears it
//! out. (Issue 11, point 2.)

use super::authentic::{forged_file, packed, paths, record_files, restore_images, unclose};
use super::closing::killed;
use super::repair::{Bench, repair};
use crate::common::Run;
use crate::common::images::{Image, Packed};
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use age::x25519::Identity;
use holdall::testing::commands::pack::{CloseError, ClosedSet, Closing, close};
use holdall::testing::entropy::System;
use holdall::testing::format::ids::{RunId, StripeNumber, key_path, record_path};
use holdall::testing::format::record::{self, RecordFileHeader, StripeRecord};
use holdall::testing::keys::RunKey;
use holdall::testing::keys::recipients::Recipients;
use holdall::testing::monitor::Recording;
use holdall::testing::sets::open;
use holdall::testing::verification::DriveOutcome;
use rstest::rstest;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The drives of a set that was not closed.
fn unclosed(packed: &Packed) -> Vec<Image> {
    let mut images = packed.images.clone();
    images.iter_mut().for_each(|image| unclose(packed, image));
    images
}

/// The next record file of a run, as somebody without the key makes it: of a stripe that is not there.
fn next_file(last: &[u8]) -> (RecordFileHeader, Vec<u8>) {
    let header = record::decode_file(last).unwrap();
    let mut record: StripeRecord = record::records(&header, last).next().unwrap().unwrap();
    record.id.number = StripeNumber(record.id.number.0 + 1000);
    record.hashes.fill([9; 32]);
    let header = RecordFileHeader {
        number: header.number + 1,
        stripes: 1,
        part: header.part,
        previous: *blake3::hash(last).as_bytes(),
        ..header
    };
    (header, forged_file(&header, &[record]))
}

/// Puts it on a drive.
fn forge_next(packed: &Packed, image: &mut Image) -> String {
    let last = paths(packed, image, "records/").pop().unwrap();
    let (header, file) = next_file(&image[&last]);
    let path = format!("{}/{}", packed.set_folder(), record_path(header.run, header.number));
    image.insert(path.clone(), file);
    path
}

fn close_images(packed: &Packed, bench: &Bench, with_key: bool) -> Result<ClosedSet, CloseError> {
    let set = open::find(&bench.shared(), &Recording::default()).remove(0);
    let identities = with_key.then(|| packed.lab.identities());
    match close(&set, true, identities.as_ref(), &System, &Recording::default())? {
        Closing::Done(closed) => Ok(*closed),
        Closing::Pack(_) => panic!("this machine knows nothing of it"),
    }
}

/// The labels of the first drives, altered alike.
fn alter_labels(packed: &Packed, images: &mut [Image], (member, value): (&str, Value)) {
    let path = format!("{}/label.json", packed.set_folder());
    for image in images {
        let mut label: Value = serde_json::from_slice(&image[&path]).unwrap();
        label[member] = value.clone();
        image.insert(path.clone(), serde_json::to_vec_pretty(&label).unwrap());
    }
}

/// Of labels that differ the records decide, whatever most of them say; and a set that is
/// closed over them names on every drive the label that it carries, unless the records belie it.
#[rstest]
#[case::suite(3, ("suite", 7.into()), true)]
#[case::block(3, ("block_bytes", (4 << 20).into()), true)]
#[case::drives(3, ("drives", 65535.into()), true)]
#[case::chunk(3, ("chunk_bytes", 1024.into()), false)]
#[case::one_name(1, ("name", "another".into()), false)]
#[case::most_names(3, ("name", "another".into()), false)]
fn altered_labels_harm_no_honest_drive(
    #[case] count: usize,
    #[case] altered: (&str, Value),
    #[case] belied: bool,
) {
    let packed = Packed::of_many_records(&[1, 1, 1, 1], "drives=3", "altered labels");
    let mut images = unclosed(&packed);
    alter_labels(&packed, &mut images[..count], altered);
    let restored = restore_images(&packed, &images, &[]);
    restored.must_have_all(&packed);
    assert!(restored.tells("does not agree with drive "), "{:#?}", restored.problems);
    let bench = Bench::new(&images);
    let (set, told) =
        (open::find(&bench.shared(), &Recording::default()).remove(0), Recording::default());
    let closed = close(&set, true, None, &System, &told).unwrap();
    let Closing::Done(closed) = closed else { panic!("this machine knows nothing of it") };
    assert!(closed.proof.is_proven() && closed.proof.is_whole());
    let words = if belied { "label.json is replaced" } else { "does not agree with" };
    let told: Vec<String> = told.notes().into_iter().filter(|n| n.contains(words)).collect();
    assert!(told.len() == if belied { 3 } else { count.min(4 - count) }, "{told:?}");
    assert!(told.iter().all(|note| note.starts_with("drive ")), "{told:?}");
    let after = bench.images();
    let path = format!("{}/label.json", packed.set_folder());
    for (i, (image, was)) in after.iter().zip(&images).enumerate() {
        assert_eq!(image[&path] != was[&path], belied && i < count, "drive {i}");
        assert_eq!(image[&path], image[&path.replace("label", "copy/label")], "drive {i}");
    }
    restore_images(&packed, &after, &[]).must_have_all(&packed);
    restore_images(&packed, &after[3..], &[]).must_have_all(&packed);
    repair(&bench.shared(), &[], None, &Recording::default());
    assert!(bench.images() == after, "something was written");
}

/// One attacker with one drive: a next record file, which names the one before it rightly.
#[test]
fn what_one_drive_alone_says_is_spread_to_no_other() {
    let packed = packed("alone");
    let mut images = unclosed(&packed);
    let forged = forge_next(&packed, &mut images[0]);
    let bench = Bench::new(&images);
    let verified = packed.verify(&bench.shared(), false);
    let whole: Vec<_> = verified.sets[0].drives.iter().map(DriveOutcome::is_whole).collect();
    assert_eq!((verified.status, whole), (3, vec![true; 3]), "{:#?}", verified.problems);
    assert!(verified.sets[0].needs_key);
    let [problem] = &verified.problems[..] else { panic!("{:#?}", verified.problems) };
    assert_eq!(problem.subject, format!("drive 0: {forged}"));
    let done = repair(&bench.shared(), &[], None, &Recording::default());
    assert_eq!((done.alone.as_slice(), done.is_whole()), (&["drive 0".to_owned()][..], false));
    assert!(bench.images() == images, "something was written");
    // Without the key it is not closed over that; with it, by what the run made.
    let refused = close_images(&packed, &bench, false).err().unwrap();
    let CloseError::Alone { without, alone, .. } = &refused else { panic!("{refused}") };
    assert_eq!(&**without, "holdall close 'drive 1' 'drive 2' --yes");
    assert_eq!(&**alone, "holdall close 'drive 0' --yes");
    assert!(bench.images() == images, "something was written");
    let others = Bench::new(&images[1..]);
    close_images(&packed, &others, false).unwrap();
    restore_images(&packed, &others.images(), &[]).must_be_complete(&packed, "without it");
    let closed = close_images(&packed, &bench, true).unwrap();
    assert!(closed.proof.is_proven() && closed.proof.is_whole(), "{}", closed.stripes);
    let after = bench.images();
    assert!(after[1..].iter().all(|image| !image.contains_key(&forged)));
    let restored = restore_images(&packed, &after, &[]);
    restored.must_be_complete(&packed, "closed with the key");
    assert!(!restored.done().gaps && restored.done().restored.end_unknown);
}

/// What a crash leaves on one drive is borne out by the shards and parts that all drives had before it.
#[rstest]
#[case::shards_and_part(&[])]
#[case::shards(&["/catalog/"])]
#[case::part(&["/shards/"])]
fn what_a_crash_left_on_one_drive_is_given_to_the_others(#[case] without: &[&str]) {
    let packed = packed("crash");
    let whole = unclosed(&packed);
    let mut images = whole.clone();
    let last = paths(&packed, &images[0], "records/").pop().unwrap();
    let header = record::decode_file(&images[0][&last]).unwrap();
    let of_last: Vec<String> = record_files(&packed, &images[0])
        .pop()
        .unwrap()
        .1
        .iter()
        .map(|record| format!("-{}-", record.id.number))
        .collect();
    let part = format!("catalog/{}", header.part.map_or(0, |part| part.number));
    for image in &mut images[1..] {
        image.remove(&last).unwrap();
        for folder in without {
            let is_its = |path: &String| match *folder {
                "/shards/" => of_last.iter().any(|number| path.contains(number)),
                _ => path.contains(&part) || path.ends_with(&format!("-{:08x}.cat", header.number)),
            };
            image.retain(|path, _| !(path.contains(folder) && is_its(path)));
        }
    }
    let bench = Bench::new(&images);
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], None, &monitor);
    if without.contains(&"/shards/") {
        assert!(done.alone.is_empty());
    } else {
        assert!(done.is_whole(), "{:?} {:#?}", done.alone, monitor.problems());
        assert!(bench.images() == whole);
    }
}

/// Of two drives one failed early, and the other went on: only the key tells that what it has is the
/// packer's; then repair gives it to the other.
#[test]
fn what_the_last_drive_went_on_with_is_kept_by_the_key() {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "went on");
    let mut images = unclosed(&packed);
    let records = paths(&packed, &images[1], "records/");
    let first = record_files(&packed, &images[1]).remove(0);
    let kept: Vec<String> = first.1.iter().map(|r| format!("-{}-", r.id.number)).collect();
    images[1].retain(|path, _| {
        let is_kept = path.contains("/shards/") && kept.iter().any(|number| path.contains(number));
        let is_late = path.contains("/shards/") || path.contains("/catalog/");
        !(records[1..].contains(path) || is_late && !is_kept)
    });
    let bench = Bench::new(&images);
    let done = repair(&bench.shared(), &[], None, &Recording::default());
    assert_eq!(done.alone, ["drive 0"]);
    close_images(&packed, &bench, true).unwrap();
    assert!(repair(&bench.shared(), &[], None, &Recording::default()).is_whole());
    let second = &bench.images()[1..];
    restore_images(&packed, second, &[]).must_be_complete(&packed, "the other drive alone");
}

/// Junk behind the last record file, or a run of a key that is not ours, on one drive: with the key,
/// nothing is missing for that.
#[rstest]
#[case::junk(false)]
#[case::a_run(true)]
fn what_one_drive_alone_has_is_no_gap_for_who_has_the_key(#[case] run: bool) {
    let packed = packed("no gap");
    let mut images = unclosed(&packed);
    let (folder, last) =
        (packed.set_folder(), paths(&packed, &images[0], "records/").pop().unwrap());
    let (header, file) = next_file(&images[0][&last]);
    if run {
        let (header, records) = record_files(&packed, &images[0]).remove(0);
        let key = RunKey::new([5; 32], header.shipment, header.set, RunId(7));
        let header = RecordFileHeader { run: RunId(7), commitment: key.commitment(), ..header };
        let mut records: Vec<StripeRecord> = records;
        records.iter_mut().for_each(|record| record.id.run = RunId(7));
        let to = Recipients::read(&[Identity::generate().to_public().to_string()], &[]).unwrap();
        let path = record_path(RunId(7), 0);
        images[0].insert(format!("{folder}/{path}"), forged_file(&header, &records));
        images[0].insert(format!("{folder}/{}", key_path(RunId(7))), to.wrap(&key).unwrap());
    } else {
        let path = record_path(header.run, header.number);
        images[0].insert(format!("{folder}/{path}"), file[..file.len() - 1].to_vec());
    }
    let restored = restore_images(&packed, &images, &[]);
    restored.must_be_complete(&packed, "one drive alone");
    assert!(!restored.done().gaps);
    let bench = Bench::new(&images);
    repair(&bench.shared(), &[], None, &Recording::default());
    assert!(bench.images()[1..] == images[1..], "something was written");
}

/// How an attacker without the key changes the records of one drive.
#[derive(Clone, Copy)]
enum Forged {
    /// one more record file
    Next,
    /// another of one that is there
    Other,
}

/// Forges on one drive of a shipment whose packing was killed.
fn forge(shipment: &Shipment, drive: usize, how: Forged) {
    let files: Vec<PathBuf> = shipment
        .files(drive, "records/")
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rec"))
        .collect();
    match how {
        Forged::Next => {
            let (header, file) = next_file(&fs::read(files.last().unwrap()).unwrap());
            let path = record_path(header.run, header.number);
            fs::write(shipment.set_folder(drive).join(path), file).unwrap();
        }
        Forged::Other => {
            let bytes = fs::read(&files[1]).unwrap();
            let header = record::decode_file(&bytes).unwrap();
            let mut records: Vec<StripeRecord> =
                record::records(&header, &bytes).map(Result::unwrap).collect();
            records[0].hashes.fill([9; 32]);
            fs::write(&files[1], forged_file(&header, &records)).unwrap();
        }
    }
}

/// The words of a command that is printed in a text.
fn printed(text: &str, begins: &str) -> Vec<OsString> {
    let at = text.rfind(begins).unwrap_or_else(|| panic!("{begins} is not in {text}"));
    let end = text[at..].find([',', ';', '\n']).map_or(text.len(), |end| at + end);
    shlex::split(&text[at..end]).unwrap().into_iter().skip(1).map(OsString::from).collect()
}

fn with_paths(shipment: &Shipment, words: &[&str]) -> Run {
    let paths = shipment.paths().into_iter().map(OsString::from);
    shipment.run(words.iter().map(OsString::from).chain(paths))
}

/// The machine that packs knows what it wrote: the drive that says otherwise is named, no drive is to be
/// erased, and what is printed goes on, with drives that are folders too (attack A8).
#[rstest]
fn going_on_names_the_drive_that_differs(
    #[values(Forged::Next, Forged::Other)] how: Forged,
    #[values(false, true)] closes: bool,
) {
    let shipment = killed(&[1, 1, 1]);
    forge(&shipment, 1, how);
    let (paths, before) = (shipment.paths(), Snapshot::of(&shipment.path().join("drives")));
    let run = if closes {
        with_paths(&shipment, &["close", "--json"]).expect(1)
    } else {
        shipment.resume().expect(1)
    };
    let error = run.event("error");
    let told = format!("{} carries records of it", paths[1].display());
    assert!(error["text"].as_str().unwrap().contains(&told), "{error}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains(&format!("leave {} out", paths[1].display())), "{hint}");
    assert!(!hint.contains("erase"), "{hint}");
    before.assert_equal(&Snapshot::of(&shipment.path().join("drives")));
    let begins = if closes { "holdall close" } else { "holdall resume" };
    let done = shipment.run(printed(hint, begins));
    assert!([0, 3].contains(&done.status), "{}", done.shown());
    let honest = [paths[0].clone(), paths[2].clone()];
    assert!(shipment.set_folder(0).join("set.txt").is_file());
    if !closes {
        let to = shipment.new_destination();
        shipment.restore(&honest, &to, &[]).expect(3);
        Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
    }
}

/// Nor does the machine that packs vouch for labels that say what it did not write.
#[test]
fn altered_labels_are_not_closed_over_by_who_packed() {
    let shipment = killed(&[1, 1, 1]);
    for drive in 0..2 {
        let path = shipment.set_folder(drive).join("label.json");
        let mut label: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        label["suite"] = 7.into();
        fs::write(&path, serde_json::to_vec_pretty(&label).unwrap()).unwrap();
    }
    let honest = fs::read(shipment.set_folder(2).join("label.json")).unwrap();
    with_paths(&shipment, &["close", "--json"]).expect(3);
    assert_eq!(fs::read(shipment.set_folder(2).join("label.json")).unwrap(), honest);
    let paths = shipment.paths();
    with_paths(&shipment, &["repair"]).expect(0);
    let verified = shipment.verify(&paths);
    assert!(verified.event("verified")["whole"] == true, "{}", verified.shown());
}

/// Without the state: what verify and repair say to type is what helps.
#[rstest]
fn the_step_that_verify_prints_works(#[values(Forged::Next, Forged::Other)] how: Forged) {
    let shipment = killed(&[1, 1, 1]);
    fs::remove_dir_all(shipment.state()).unwrap();
    forge(&shipment, 1, how);
    let verified = with_paths(&shipment, &["verify"]);
    assert!(!verified.stdout.contains("holdall repair"), "{}", verified.shown());
    let repaired = with_paths(&shipment, &["repair"]);
    let key = shipment.key.to_str().unwrap();
    let with_key = with_paths(&shipment, &["verify", "-i", key]);
    assert!(!with_key.stdout.contains("holdall repair"), "{}", with_key.shown());
    for run in [&verified, &repaired, &with_key] {
        assert!(run.stdout.contains("-i IDENTITY"), "{}", run.shown());
    }
    let key = shipment.key.clone().into_os_string();
    let typed = |word: OsString| if word == "IDENTITY" { key.clone() } else { word };
    let words = printed(&verified.stdout, "holdall close");
    shipment.run(words.into_iter().map(typed)).expect(0);
    let verified = shipment.verify(&shipment.paths());
    assert!(verified.event("verified")["whole"] == true, "{}", verified.shown());
    with_paths(&shipment, &["repair"]).expect(0);
}

/// Key files of two runs that lie in each other's place on all drives are not made to look sound.
#[test]
fn key_files_of_two_runs_in_each_others_place_are_told() {
    let shipment = killed(&[1, 1]);
    shipment.resume().expect(0);
    let swap = |folder: &Path| {
        let mut keys: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        keys.retain(|path| path.extension().is_some_and(|ending| ending == "age"));
        assert_eq!(keys.len(), 2, "{keys:?}");
        let spare = folder.join("spare");
        fs::rename(&keys[0], &spare).unwrap();
        fs::rename(&keys[1], &keys[0]).unwrap();
        fs::rename(&spare, &keys[1]).unwrap();
    };
    for drive in 0..2 {
        swap(&shipment.set_folder(drive));
        swap(&shipment.set_folder(drive).join("copy"));
    }
    let before = Snapshot::of(&shipment.path().join("drives"));
    let told = |run: &Run| {
        let subject =
            |p: &serde_json::Value| p["subject"].as_str().unwrap().strip_suffix(".b3").is_some();
        assert_eq!(
            run.events_of("problem").iter().filter(|p| subject(p)).count(),
            4,
            "{}",
            run.shown()
        );
    };
    told(&shipment.verify(&shipment.paths()).expect(3));
    told(&with_paths(&shipment, &["repair", "--json"]).expect(3));
    before.assert_equal(&Snapshot::of(&shipment.path().join("drives")));
}

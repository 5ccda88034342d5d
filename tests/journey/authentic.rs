//! Attacks on drives, by somebody who has no key: what one drive says harms no other, and who has the
//! key notices whatever was left out, added or turned. (The names S1 to S5 are those of the security
//! review.)

use super::repair::{Bench, repair, root};
use crate::common::images::{Image, Packed, image_of, memory_of};
use crate::common::random::Random;
use crate::common::snapshot::Snapshot;
use holdall::testing::commands::ls::ls_sets;
use holdall::testing::commands::repair::repair_sets;
use holdall::testing::commands::restore::{
    RestoreJob, RestoreJobError, RestoreOutcome, restore_sets,
};
use holdall::testing::drives::Drive;
use holdall::testing::format::ids::{RunId, key_path, record_path};
use holdall::testing::format::record::{self, RecordFileHeader, StripeRecord};
use holdall::testing::format::set::SetText;
use holdall::testing::keys::RunKey;
use holdall::testing::keys::recipients::Recipients;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{Monitor, Problem, Recording};
use holdall::testing::opening::open::OpenError;
use holdall::testing::repairer::origin::OriginError;
use holdall::testing::sets::open;
use holdall::testing::stages::hash::block_hashes;
use holdall::testing::verification::DriveOutcome;
use rstest::rstest;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) fn packed(seed: &str) -> Packed {
    Packed::of_many_records(&[1, 1, 1], "drives=1", seed)
}

/// The paths in the set's folder that begin so.
pub(super) fn paths(packed: &Packed, image: &Image, beginning: &str) -> Vec<String> {
    let beginning = format!("{}/{beginning}", packed.set_folder());
    image.keys().filter(|path| path.starts_with(&beginning)).cloned().collect()
}

pub(super) fn text_of(packed: &Packed, image: &Image) -> SetText {
    SetText::decode(&image[&format!("{}/set.txt", packed.set_folder())]).unwrap()
}

/// Puts a set.txt on a drive, its second copy too, and makes the checklist agree.
pub(super) fn put_text(packed: &Packed, image: &mut Image, text: &SetText) {
    let folder = packed.set_folder();
    for path in ["set.txt", "copy/set.txt"] {
        image.insert(format!("{folder}/{path}"), text.encode());
    }
    let Some(checklist) = image.get_mut(&format!("{folder}/checklist.b3")) else { return };
    let lines = String::from_utf8_lossy(checklist).into_owned();
    let line = format!("{}  set.txt", blake3::hash(&text.encode()));
    let lines = lines.lines().map(|l| if l.ends_with("  set.txt") { line.as_str() } else { l });
    let mut lines: Vec<&str> = lines.collect();
    lines.push("");
    *checklist = lines.join("\n").into_bytes();
}

/// The set was never closed.
pub(super) fn unclose(packed: &Packed, image: &mut Image) {
    let folder = packed.set_folder();
    image.retain(|path, _| {
        let name = path.strip_prefix(&folder).unwrap_or_default();
        !(name.starts_with("/copy/") || name == "/set.txt" || name == "/checklist.b3")
    });
}

/// The record files of an image, decoded.
pub(super) fn record_files(
    packed: &Packed,
    image: &Image,
) -> Vec<(RecordFileHeader, Vec<StripeRecord>)> {
    let decode = |path: String| {
        let bytes = &image[&path];
        let header = record::decode_file(bytes).unwrap();
        (header, record::records(&header, bytes).map(Result::unwrap).collect())
    };
    paths(packed, image, "records/").into_iter().map(decode).collect()
}

pub(super) fn forged_file(header: &RecordFileHeader, records: &[StripeRecord]) -> Vec<u8> {
    let records: Vec<Vec<u8>> = records.iter().map(StripeRecord::encode).collect();
    record::encode_file(header, &records, |_| [0; 32])
}

/// S1: one more record file, which says of all stripes what this drive's shards, which were changed, say.
pub(super) fn forge_records(packed: &Packed, image: &mut Image, slot: u16) {
    let folder = packed.set_folder();
    let files = record_files(packed, image);
    let mut records: Vec<StripeRecord> = files.iter().flat_map(|(_, r)| r.clone()).collect();
    for record in &mut records {
        let n = record.blocks.count();
        for (index, shard) in record.shards.iter().enumerate() {
            let hashes = if shard.slot.0 == slot {
                let path = holdall::testing::format::ids::shard_path(record.id, index as u8);
                let bytes = image.get_mut(&format!("{folder}/{path}")).unwrap();
                bytes.iter_mut().for_each(|byte| *byte ^= 1);
                block_hashes(bytes, record.blocks.bytes())
            } else {
                vec![[7; 32]; n]
            };
            record.hashes[index * n..(index + 1) * n].copy_from_slice(&hashes);
        }
    }
    let last = paths(packed, image, "records/").pop().unwrap();
    let header = RecordFileHeader {
        number: files.len() as u32,
        stripes: records.len() as u32,
        part: None,
        previous: *blake3::hash(&image[&last]).as_bytes(),
        ..files[0].0
    };
    let path = record_path(header.run, header.number);
    image.insert(format!("{folder}/{path}"), forged_file(&header, &records));
}

/// What a restore made of it.
pub(super) struct Outcome {
    _folder: TempDir,
    pub result: Result<RestoreOutcome, RestoreJobError>,
    pub problems: Vec<Problem>,
    pub tree: Option<Snapshot>,
}

impl Outcome {
    pub fn done(&self) -> &RestoreOutcome {
        self.result.as_ref().unwrap_or_else(|e| panic!("{}", open::error_chain(e)))
    }

    /// Every file is there and was said to be.
    #[track_caller]
    pub fn must_be_complete(&self, packed: &Packed, what: &str) {
        assert!(
            self.done().is_complete(),
            "{what}: {:?} {:#?}",
            self.done().restored,
            self.problems
        );
        self.must_have_all(packed);
    }

    /// Every file is there.
    #[track_caller]
    pub fn must_have_all(&self, packed: &Packed) {
        let source = packed.source.clone().without_folder_metadata();
        source.assert_equal(self.tree.as_ref().unwrap());
    }

    pub fn tells(&self, words: &str) -> bool {
        self.problems.iter().any(|p| p.detail.contains(words) || p.subject.contains(words))
    }
}

pub(super) fn restore(packed: &Packed, drives: &[Arc<dyn Drive>], expect: &[[u8; 32]]) -> Outcome {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let to = folder.path().join("to");
    let monitor = Recording::default();
    let result = restore_into(packed, drives, &to, expect, &monitor);
    let tree = to.exists().then(|| without_work(&to));
    Outcome { _folder: folder, result, problems: monitor.problems(), tree }
}

pub(super) fn restore_into(
    packed: &Packed,
    drives: &[Arc<dyn Drive>],
    to: &Path,
    expect: &[[u8; 32]],
    monitor: &dyn Monitor,
) -> Result<RestoreOutcome, RestoreJobError> {
    let job = RestoreJob {
        no_special: false,
        owners: None,
        map_names: false,
        identities: packed.lab.identities(),
        to: to.into(),
        give_up: false,
        salvage: false,
        stage: None,
        memory: Memory::default(),
        expect: expect.to_vec(),
        selection: None,
    };
    restore_sets(&open::find(drives, monitor), &job, monitor)
}

pub(super) fn without_work(to: &Path) -> Snapshot {
    Snapshot::of(to).without(b".holdall").without_folder_metadata()
}

pub(super) fn restore_images(packed: &Packed, images: &[Image], expect: &[[u8; 32]]) -> Outcome {
    restore(packed, &Bench::new(images).shared(), expect)
}

/// What repair made of these drives, and what they then hold.
fn repaired(images: &[Image], expect: Option<[u8; 32]>) -> (Option<OriginError>, Vec<Image>) {
    let bench = Bench::new(images);
    let done = repair(&bench.shared(), &[], expect, &Recording::default());
    (done.conflict, bench.images())
}

/// Security S1: one drive's forged records harm no other, and the drive that lied is healed: the set.txt of
/// another, which is the same, says that they are no part of the set. So no root is needed.
#[rstest]
fn one_drives_forged_records_harm_no_other(#[values(2, 3)] drives: usize) {
    let packed = Packed::of_many_records(&[1; 3][..drives], "drives=1", "S1");
    let mut images = packed.images.clone();
    forge_records(&packed, &mut images[0], 1);
    let (conflict, after) = repaired(&images, None);
    assert!(conflict.is_none(), "{conflict:?}");
    assert!(after[1..] == packed.images[1..], "an honest drive was changed");
    let verified = packed.verify(&Bench::new(&images).shared(), false);
    let honest: Vec<_> = verified.sets[0].drives.iter().map(DriveOutcome::is_whole).collect();
    assert_eq!((verified.status, &honest[..]), (3, &[false, true, true][..drives]));
    assert!(!verified.sets[0].needs_root);
    let restored = restore_images(&packed, &images, &[]);
    restored.must_be_complete(&packed, "forged records");
    let (conflict, after) = repaired(&images, Some(root(&packed)));
    assert!(conflict.is_none());
    assert!(after[1..] == packed.images[1..], "an honest drive was changed");
    let shards = |image: &Image| -> Vec<Vec<u8>> {
        paths(&packed, image, "shards/").iter().map(|path| image[path].clone()).collect()
    };
    assert_eq!(shards(&after[0]), shards(&packed.images[0]));
}

/// A drive that was not here when the set went on without it and was closed may carry records of
/// what was packed anew: they are left aside, and it is repaired. Where its end is but damaged, they
/// stand against the others'.
#[rstest]
fn a_drive_that_was_left_out_stands_against_nobody(#[values(false, true)] has_end: bool) {
    let packed = packed("left out");
    let mut images = packed.images.clone();
    forge_records(&packed, &mut images[1], 2);
    unclose(&packed, &mut images[1]);
    if has_end {
        images[1].insert(format!("{}/set.txt", packed.set_folder()), b"rotten".to_vec());
    }
    let (conflict, after) = repaired(&images, None);
    assert_eq!(conflict.is_some(), has_end);
    assert_eq!(after == images, has_end);
    let others = |images: &[Image]| [images[0].clone(), images[2].clone()];
    assert!(others(&after) == others(&packed.images), "an honest drive was changed");
    let verified = packed.verify(&Bench::new(&images).shared(), false);
    assert_eq!(verified.sets[0].needs_root, has_end);
    if !has_end {
        assert_eq!(text_of(&packed, &after[1]).root(), root(&packed));
        let again = packed.verify(&Bench::new(&after).shared(), false);
        assert!(again.sets[0].drives.iter().all(DriveOutcome::is_whole));
    }
}

/// The same of a set that was not closed, and of a stick that was none of its drives.
#[rstest]
#[case::on_a_drive(false)]
#[case::on_a_stick(true)]
fn forged_records_harm_no_drive_of_a_set_that_is_not_closed(#[case] on_a_stick: bool) {
    let packed = packed("S1 unclosed");
    let mut images = packed.images.clone();
    images.iter_mut().for_each(|image| unclose(&packed, image));
    if on_a_stick {
        let mut stick = images[0].clone();
        forge_records(&packed, &mut stick, 1);
        images.push(stick);
    } else {
        forge_records(&packed, &mut images[0], 1);
    }
    let (conflict, after) = repaired(&images, None);
    assert!(matches!(conflict, Some(OriginError::Conflict { .. })), "{conflict:?}");
    assert!(after == images, "something was written");
    // With the key, it is known that no run made the file.
    let restored = restore_images(&packed, &images, &[]);
    restored.must_be_complete(&packed, "not closed");
    assert!(restored.done().restored.end_unknown && !restored.done().gaps);
}

/// How set.txt is turned on drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// the last record files are left out
    CutShort,
    /// they are removed as well
    Removed,
    /// index and MAC are left out
    Unsealed,
    /// it is not the last set, or no longer
    Last,
    /// another set comes before it
    Before,
    /// another time
    Closed,
}

pub(super) fn turn(packed: &Packed, image: &mut Image, how: Turn) {
    let mut text = text_of(packed, image);
    match how {
        Turn::CutShort | Turn::Removed => {
            let run = &mut text.runs[0];
            let files = record_files(packed, image);
            let last = &files[run.files as usize - 1];
            run.files -= 1;
            run.stripes -= last.1.len() as u32;
            run.last = last.0.previous;
            if how == Turn::Removed {
                let path = paths(packed, image, "records/").pop().unwrap();
                image.remove(&path);
            }
        }
        Turn::Unsealed => {
            text.parts.pop();
            text.mac = None;
        }
        Turn::Last => text.last = !text.last,
        Turn::Before => text.before = Some([3; 32]),
        Turn::Closed => text.closed = "2099-01-01T00:00:00Z".into(),
    }
    put_text(packed, image, &text);
}

/// S3: whatever was left out or turned on all drives, who has the key is never told that all is there.
#[rstest]
#[case(Turn::CutShort)]
#[case(Turn::Removed)]
#[case(Turn::Unsealed)]
#[case(Turn::Last)]
#[case(Turn::Before)]
#[case(Turn::Closed)]
fn a_set_txt_that_was_turned_on_all_drives_is_noticed(#[case] how: Turn) {
    let packed = packed("S3");
    let mut images = packed.images.clone();
    images.iter_mut().for_each(|image| turn(&packed, image, how));
    let restored = restore_images(&packed, &images, &[]);
    let done = restored.done();
    assert!(done.restored.end_unknown, "{how:?}: {:?}", done.restored);
    assert!(done.roots.is_empty() == (how != Turn::Unsealed), "{how:?}: {:?}", done.roots);
    assert!(how == Turn::Unsealed || restored.tells("is not authentic"), "{how:?}");
    for with_key in [false, true] {
        let verified = packed.verify(&Bench::new(&images).shared(), with_key);
        let says_so = how != Turn::Unsealed || verified.sets[0].end_unknown;
        assert!(says_so && (verified.status != 0 || !with_key), "{how:?}: {}", verified.status);
    }
    // All that is there is restored all the same.
    if how != Turn::Removed {
        restored.must_have_all(&packed);
    }
    // With the root, nothing else is opened.
    let refused = restore_images(&packed, &images, &[root(&packed)]);
    let error = RestoreJobError::Open(OpenError::NoSuchRoot { set: String::new() });
    let same = |e: &RestoreJobError| std::mem::discriminant(e) == std::mem::discriminant(&error);
    assert!(refused.result.as_ref().is_err_and(same) && refused.tree.is_none());
}

/// S3 c: turned on one of two drives, the other's counts, in whatever order they are looked at.
#[rstest]
fn a_set_txt_that_was_turned_on_one_drive_is_left_aside(
    #[values(Turn::CutShort, Turn::Unsealed, Turn::Last, Turn::Closed)] how: Turn,
    #[values(0, 1)] tampered: usize,
) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "S3 c");
    let mut images = packed.images.clone();
    turn(&packed, &mut images[tampered], how);
    let restored = restore_images(&packed, &images, &[]);
    restored.must_be_complete(&packed, "one of two");
    assert!(!restored.done().restored.end_unknown);
    assert!(restored.tells("is not authentic, and left aside"), "{:#?}", restored.problems);
    restore_images(&packed, &images, &[root(&packed)]).must_be_complete(&packed, "with the root");
    // Without a key it is a conflict, and both sides are named.
    let verified = packed.verify(&Bench::new(&images).shared(), false);
    let sides = |p: &Problem| p.detail.contains("drive 0") && p.detail.contains("drive 1");
    assert!(verified.problems.iter().any(sides), "{:#?}", verified.problems);
}

/// S4: a run that set.txt does not name, with a key and a record of its own, is not of the set: in
/// restore, verify and repair; so is junk that has a record file's name.
#[test]
fn a_run_that_set_txt_does_not_name_is_foreign() {
    let packed = packed("S4");
    let mut images = packed.images.clone();
    let (folder, text) = (packed.set_folder(), text_of(&packed, &images[0]));
    let key = RunKey::new([5; 32], text.shipment, text.set, RunId(77));
    let (header, records) = record_files(&packed, &images[0]).remove(0);
    let header = RecordFileHeader {
        run: RunId(77),
        number: 0,
        commitment: key.commitment(),
        previous: text.runs.last().unwrap().last,
        ..header
    };
    let mut record = records[0].clone();
    record.id.run = RunId(77);
    let file = record::encode_file(&header, &[record.encode()], |body| key.record_mac(body));
    let recipient = packed.lab.recipient();
    let wrapped = Recipients::read(&[recipient], &[]).unwrap().wrap(&key).unwrap();
    images[0].insert(format!("{folder}/{}", record_path(RunId(77), 0)), file);
    images[0].insert(format!("{folder}/{}", key_path(RunId(77))), wrapped);
    images[0].insert(format!("{folder}/records/aaaaaaaaaaaaaaaa-00000000.rec"), b"junk\n".into());
    let bench = Bench::new(&images);
    for with_key in [false, true] {
        let verified = packed.verify(&bench.shared(), with_key);
        assert_eq!((verified.status, verified.problems), (0, vec![]), "with a key: {with_key}");
    }
    let restored = restore_images(&packed, &images, &[]);
    restored.must_be_complete(&packed, "a foreign run");
    assert_eq!(restored.problems, []);
    // Where that is all there is of the drives, too.
    restore_images(&packed, &images[..2], &[]).must_be_complete(&packed, "two drives");
    let (conflict, after) = repaired(&images, None);
    assert!(conflict.is_none() && after == images, "one of three drives stops nothing");
    let (conflict, after) = repaired(&images, Some(root(&packed)));
    assert!(conflict.is_none() && after[1..] == packed.images[1..], "nothing was copied");
}

/// Security S3: where all record files were made anew on all drives, what was packed is gone, and that
/// is said: nobody is told that nothing was packed.
#[rstest]
fn records_that_nobody_made_are_no_empty_set(#[values(false, true)] is_closed: bool) {
    let packed = packed("S3 all");
    let mut images = packed.images.clone();
    for image in &mut images {
        let mut previous = [0; 32];
        let names = paths(&packed, image, "records/");
        for (name, (header, records)) in names.iter().zip(record_files(&packed, image)) {
            let file = forged_file(&RecordFileHeader { previous, part: None, ..header }, &records);
            previous = *blake3::hash(&file).as_bytes();
            image.insert(name.clone(), file);
        }
        let mut text = text_of(&packed, image);
        (text.parts, text.mac, text.runs[0].last) = (Vec::new(), None, previous);
        put_text(&packed, image, &text);
        if !is_closed {
            unclose(&packed, image);
        }
    }
    let restored = restore_images(&packed, &images, &[]);
    assert!(restored.done().gaps, "{:?}", restored.done().restored);
    assert!(restored.tells("none was made with this key"), "{:#?}", restored.problems);
    assert_eq!(packed.verify(&Bench::new(&images).shared(), true).status, 1);
    let found = open::find(&Bench::new(&images).shared(), &Recording::default());
    let identities = packed.lab.identities();
    let listed = ls_sets(found, &identities, None, &Recording::default(), &mut |_, _| ()).unwrap();
    assert!(!listed.complete);
}

/// S5: a record file under another's number, and one under its own number that is another's.
#[rstest]
fn a_record_file_under_another_number_is_left_aside(#[values(false, true)] renumbered: bool) {
    let packed = packed("S5");
    for tampered in 0..3 {
        let mut images = packed.images.clone();
        let names = paths(&packed, &images[tampered], "records/");
        let mut bytes = images[tampered][&names[names.len() - 1]].clone();
        if renumbered {
            let (header, records) = record_files(&packed, &images[tampered]).pop().unwrap();
            let header = RecordFileHeader { number: 0, ..header };
            bytes = forged_file(&header, &records);
        }
        images[tampered].insert(names[0].clone(), bytes);
        let restored = restore_images(&packed, &images, &[]);
        restored.must_be_complete(&packed, "another number");
        let of_honest = |p: &Problem| !p.subject.contains(&format!("drive {tampered}"));
        assert!(!restored.problems.iter().any(of_honest), "{:#?}", restored.problems);
    }
}

/// S5, a8: where a set that somebody else packed, under the same names, is on as many drives, nothing is
/// restored until a root decides.
#[test]
fn two_sets_of_one_name_wait_for_a_root() {
    let packed = Packed::with_lab_seed(&[1, 1], "drives=1", "ours", 5);
    let mut theirs = Packed::with_lab_seed(&[1, 1], "drives=1", "theirs", 5);
    theirs.images.truncate(2);
    let folder = packed.set_folder();
    assert_eq!(folder, theirs.set_folder());
    // Theirs is sealed under the same run key here, so it has every right MAC.
    let key = paths(&packed, &packed.images[0], "key-").remove(0);
    theirs.images[1].insert(key.clone(), packed.images[0][&key].clone());
    let copy = key.replace("/key-", "/copy/key-");
    theirs.images[1].insert(copy, packed.images[0][&key].clone());
    let images = [packed.images[0].clone(), theirs.images[1].clone()];
    let refused = restore_images(&packed, &images, &[]);
    let Err(RestoreJobError::Open(OpenError::Conflict { sides, .. })) = &refused.result else {
        panic!("{:#?}", refused.problems)
    };
    assert!(sides.contains("drive 0") && sides.contains("drive 1"), "{sides}");
    restore_images(&packed, &images, &[root(&packed)]).must_be_complete(&packed, "with the root");
}

/// Puts a record file under another number, perhaps without its part.
fn rewrite_records(packed: &Packed, image: &mut Image, random: &mut Random) -> String {
    let records = paths(packed, image, "records/");
    if let Some(path) = (!records.is_empty()).then(|| random.pick(&records).clone())
        && let Ok(header) = record::decode_file(&image[&path])
    {
        let number = random.below(6) as u32;
        let all: Result<Vec<_>, _> = record::records(&header, &image[&path]).collect();
        let part = header.part.filter(|_| random.below(2) == 0);
        let header = RecordFileHeader { number, part, ..header };
        let at = format!("{}/{}", packed.set_folder(), record_path(header.run, number));
        image.insert(at, forged_file(&header, &all.unwrap_or_default()));
    }
    "a record file rewritten".into()
}

/// One thing that somebody without a key can do to a drive.
fn tamper(packed: &Packed, other: &Packed, image: &mut Image, random: &mut Random) -> String {
    let names: Vec<String> = image.keys().cloned().collect();
    let name = random.pick(&names).clone();
    let metadata_files: Vec<String> =
        names.iter().filter(|n| !n.contains("/shards/")).cloned().collect();
    let metadata_file = random.pick(&metadata_files).clone();
    match random.below(12) {
        0 => {
            image.remove(&metadata_file);
            format!("{metadata_file} removed")
        }
        1 => {
            let bytes = image.get_mut(&metadata_file).unwrap();
            bytes.truncate(random.below(bytes.len().max(1)));
            format!("{metadata_file} cut")
        }
        2 | 3 => {
            let name = if random.below(2) == 0 { name } else { metadata_file };
            let bytes = image.get_mut(&name).unwrap();
            if !bytes.is_empty() {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            format!("{name} flipped")
        }
        4 => {
            let bytes = image[random.pick(&metadata_files)].clone();
            image.insert(metadata_file.clone(), bytes);
            format!("{metadata_file} is another file")
        }
        5 => {
            let theirs = random.pick(&other.images);
            if let Some(bytes) = theirs.get(&metadata_file) {
                image.insert(metadata_file.clone(), bytes.clone());
            }
            format!("{metadata_file} of another packing")
        }
        6 => {
            let how = *random.pick(&[
                Turn::CutShort,
                Turn::Removed,
                Turn::Unsealed,
                Turn::Last,
                Turn::Before,
                Turn::Closed,
            ]);
            let has = |path: &str| image.contains_key(&format!("{}/{path}", packed.set_folder()));
            let intact = has("set.txt") && has("checklist.b3");
            if intact
                && SetText::decode(&image[&format!("{}/set.txt", packed.set_folder())]).is_ok()
            {
                let sound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let mut turned = image.clone();
                    turn(packed, &mut turned, how);
                    turned
                }));
                if let Ok(turned) = sound {
                    *image = turned;
                }
            }
            format!("set.txt {how:?}")
        }
        7 => {
            let slot = random.below(3);
            let mut forged = packed.images[slot].clone();
            forge_records(packed, &mut forged, slot as u16 + 1);
            image.extend(forged.into_iter().filter(|(path, _)| !path.contains("/copy/")));
            "records forged".into()
        }
        8 => rewrite_records(packed, image, random),
        9 => {
            let run = RunId(random.below(3) as u64);
            let junk = random.bytes(50);
            image.insert(format!("{}/{}", packed.set_folder(), record_path(run, 0)), junk.clone());
            image.insert(format!("{}/{}", packed.set_folder(), key_path(run)), junk);
            "junk records and keys".into()
        }
        10 => {
            let label = format!("{}/label.json", packed.set_folder());
            if let Some(bytes) = image.get_mut(&label) {
                let text = String::from_utf8_lossy(bytes).replace("\"slot\": ", "\"slot\": 1");
                *bytes = text.into_bytes();
            }
            "another slot".into()
        }
        _ => {
            image.retain(|path, _| !path.contains("/catalog/"));
            "no catalog".into()
        }
    }
}

/// Attaching one more drive never yields less than without it, whatever was done to that drive without
/// a key, in any order of drives.
#[test]
fn one_tampered_drive_takes_nothing_from_the_others() {
    let many = std::env::var_os("HOLDALL_LONG").is_some();
    let (count, threads) = (if many { 10_000 } else { 1_000 }, 2);
    let packed = packed("tampered");
    let other = Packed::with_lab_seed(&[1, 1, 1], "drives=1", "other", packed.seed);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (packed, other) = (&packed, &other);
            scope.spawn(move || {
                for number in (thread..count).step_by(threads) {
                    one_tampering(packed, other, number);
                }
            });
        }
    });
}

fn one_tampering(packed: &Packed, other: &Packed, number: usize) {
    let mut random = Random::new(&format!("tampering {number}"));
    let mut images = packed.images.clone();
    let tampered = random.below(3);
    let done: Vec<String> = (0..=random.below(4))
        .map(|_| tamper(packed, other, &mut images[tampered], &mut random))
        .collect();
    // The order in which they are named is the order in which they are looked at.
    let drive = |i: usize| Arc::new(memory_of(&format!("drive {i}"), &images[i])) as Arc<dyn Drive>;
    let mut order = vec![0, 1, 2];
    order.rotate_left(random.below(3));
    let drives: Vec<_> = order.into_iter().map(drive).collect();
    let restored = restore(packed, &drives, &[]);
    let what = format!("tampering {number}, drive {tampered}: {done:?}");
    let result = &restored.result;
    assert!(
        result.is_ok(),
        "{what}: {} {:#?}",
        open::error_chain(result.as_ref().err().unwrap()),
        1
    );
    let all = packed.source.clone().without_folder_metadata();
    let told = || format!("{what}: {:?} {:#?}", restored.done().restored, restored.problems);
    assert!(restored.tree.as_ref() == Some(&all), "{}", told());
    // And nothing that honest drives hold is written over.
    let bench = Bench::new(&images);
    let found = open::find(&bench.shared(), &Recording::default());
    let quiet: &dyn Monitor = &Recording::default();
    let _ = repair_sets(found, &[], None, None, Memory::default(), quiet);
    let honest: BTreeSet<usize> = (0..3).filter(|i| *i != tampered).collect();
    for i in honest {
        let after = image_of(&bench.drives[i]);
        let changed =
            packed.images[i].iter().find(|(path, bytes)| after.get(*path) != Some(*bytes));
        assert_eq!(changed.map(|(path, _)| path), None, "{what}: repair changed drive {i}");
    }
}

/// A record file in which the slots of all shards are others, each the next one.
fn with_other_slots(bytes: &[u8], drives: u16) -> Vec<u8> {
    let header = record::decode_file(bytes).unwrap();
    let mut records: Vec<StripeRecord> =
        record::records(&header, bytes).map(Result::unwrap).collect();
    for shard in records.iter_mut().flat_map(|record| &mut record.shards) {
        shard.slot.0 = shard.slot.0 % drives + 1;
    }
    forged_file(&header, &records)
}

/// Records on a stick, or on one drive, that give the honest drives other slots are not believed,
/// whichever is looked at first.
#[rstest]
fn records_with_other_slots_turn_no_drive_around(
    #[values(false, true)] on_a_stick: bool,
    #[values(false, true)] closed: bool,
) {
    let packed = packed("other slots");
    let mut images = packed.images.clone();
    if !closed {
        images.iter_mut().for_each(|image| unclose(&packed, image));
    }
    let mut turned = images[0].clone();
    for path in paths(&packed, &images[0], "") {
        if path.contains("/records/") {
            turned.insert(path.clone(), with_other_slots(&images[0][&path], 3));
        } else if on_a_stick {
            turned.remove(&path);
        }
    }
    if on_a_stick {
        images.insert(0, turned);
    } else {
        images[0] = turned;
    }
    let first_honest = 1;
    let restored = restore_images(&packed, &images, &[]);
    restored.must_have_all(&packed);
    let verified = packed.verify(&Bench::new(&images).shared(), false);
    let blamed = |p: &Problem| p.detail.contains("it says slot");
    assert!(!verified.problems.iter().any(blamed), "{:#?}", verified.problems);
    if closed {
        let (conflict, after) = repaired(&images, Some(root(&packed)));
        assert!(conflict.is_none());
        assert!(after[first_honest..] == images[first_honest..], "an honest drive was changed");
    }
}

/// A label of another suite, or of another C, that one drive's own set.txt names stops nothing.
#[rstest]
#[case("\"suite\": ", "\"suite\": 7")]
#[case("\"chunk_bytes\": ", "\"chunk_bytes\": 1024, \"more\": ")]
fn a_turned_label_with_a_forged_set_txt_stops_nothing(#[case] from: &str, #[case] to: &str) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "label");
    let mut images = packed.images.clone();
    let folder = packed.set_folder();
    let label = String::from_utf8(images[0][&format!("{folder}/label.json")].clone()).unwrap();
    let label = label.replace(from, to).into_bytes();
    for path in ["label.json", "copy/label.json"] {
        images[0].insert(format!("{folder}/{path}"), label.clone());
    }
    let mut text = text_of(&packed, &images[0]);
    text.slots[0].label = Some(*blake3::hash(&label).as_bytes());
    text.runs[0].stripes += 1000;
    put_text(&packed, &mut images[0], &text);
    let restored = restore_images(&packed, &images, &[]);
    restored.must_be_complete(&packed, "a turned label");
}

/// Five bytes under a record file's name are no record that is missing, closed or not.
#[test]
fn junk_under_a_record_files_name_is_no_gap() {
    let packed = packed("junk");
    let mut images = packed.images.clone();
    images.iter_mut().for_each(|image| unclose(&packed, image));
    let name = format!("{}/records/aaaaaaaaaaaaaaaa-00000000.rec", packed.set_folder());
    images[0].insert(name, b"junk\n".into());
    let restored = restore_images(&packed, &images, &[]);
    restored.must_be_complete(&packed, "junk");
    assert!(!restored.done().gaps);
    assert_eq!(packed.verify(&Bench::new(&images).shared(), false).status, 3);
}

/// Somebody who has the recipient wraps a key of his own for a run of a set that is not closed, and makes
/// its records anew: the key counts that made records on most drives, however many another made on one; of
/// as many, the one that opens what its records name.
#[rstest]
fn a_key_of_somebody_else_hides_no_set_that_is_not_closed(
    #[values(0, 1)] tampered: usize,
    #[values(0, 20)] more: u32,
) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "another's key");
    let mut images = packed.images.clone();
    images.iter_mut().for_each(|image| unclose(&packed, image));
    let (header, records) = record_files(&packed, &images[0]).remove(0);
    let key = RunKey::new([5; 32], header.shipment, header.set, header.run);
    let records: Vec<Vec<u8>> = records.iter().map(StripeRecord::encode).collect();
    let wrapped = Recipients::read(&[packed.lab.recipient()], &[]).unwrap().wrap(&key).unwrap();
    let folder = packed.set_folder();
    if more > 0 {
        images[tampered].retain(|path, _| !path.contains("/records/"));
    }
    for number in 0..=more {
        let header = RecordFileHeader { commitment: key.commitment(), number, ..header };
        let file = record::encode_file(&header, &records, |body| key.record_mac(body));
        images[tampered].insert(format!("{folder}/{}", record_path(header.run, number)), file);
    }
    images[tampered].insert(format!("{folder}/{}", key_path(header.run)), wrapped);
    restore_images(&packed, &images, &[]).must_have_all(&packed);
}

/// A set.txt that is none, on all drives, is told: the set was closed.
#[test]
fn a_set_txt_that_is_rejected_everywhere_is_told() {
    let packed = packed("rubbish");
    let mut images = packed.images.clone();
    for image in &mut images {
        for place in ["set.txt", "copy/set.txt"] {
            image.insert(format!("{}/{place}", packed.set_folder()), b"rubbish\n".into());
        }
    }
    let verified = packed.verify(&Bench::new(&images).shared(), false);
    let told = |p: &Problem| p.subject.ends_with("set.txt");
    assert_eq!(verified.problems.iter().filter(|p| told(p)).count(), 6, "{:#?}", verified.problems);
    assert!(restore_images(&packed, &images, &[]).tells("was closed"));
}

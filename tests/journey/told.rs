//! What is told at the end, and what is printed to be typed next, is true (Review F14).

use super::closing::killed;
use crate::common::shipment::Shipment;
use crate::common::{Run, tree};
use rstest::rstest;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A verb with drives, in words for people.
fn run(shipment: &Shipment, words: &[&str], paths: &[PathBuf]) -> Run {
    let words = words.iter().map(OsString::from);
    shipment.run(words.chain(paths.iter().map(OsString::from)))
}

/// The arguments of the command behind this.
#[track_caller]
fn printed(text: &str, before: &str) -> Vec<OsString> {
    let line = text.lines().find_map(|line| line.strip_prefix(before));
    let line = line.unwrap_or_else(|| panic!("{before:?} is not in {text}"));
    let words = shlex::split(line).unwrap();
    assert_eq!(words[0], "holdall", "{line}");
    words[1..].iter().map(OsString::from).collect()
}

/// Review F14: a drive that is only not attached has not failed; what is to be typed names none
/// that is not here, and mends all.
#[test]
fn going_on_without_a_drive_says_what_completes_it() {
    let shipment = killed(&[1, 1, 1]);
    let paths = shipment.paths();
    let mut words: Vec<OsString> = ["resume", "--folder-drives"].map(Into::into).into();
    for (case, path) in [&shipment.drives[0], &shipment.drives[2]] {
        words.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
    }
    let packed = shipment.run(words).expect(3);
    let text = &packed.stdout;
    assert!(text.contains("1 drive left out: run holdall repair with all drives"), "{text}");
    let untrue = ["failed", "To prove it", "already carries", "Every block was read back"];
    for untrue in untrue {
        assert!(!packed.shown().contains(untrue), "{untrue}: {}", packed.shown());
    }
    run(&shipment, &["repair"], &paths).expect(0);
    let whole = shipment.verify(&paths).expect(0).event("verified");
    assert_eq!(whole["whole"], true);

    // A damaged drive: verify prints what mends it.
    let shard = shipment.files(0, "shards/").remove(0);
    let mut bytes = fs::read(&shard).unwrap();
    bytes[5000] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let told = run(&shipment, &["verify"], &paths).expect(3).stdout;
    shipment.run(printed(&told, "To repair it: ")).expect(0);
    shipment.verify(&paths).expect(0);
}

/// Harms a byte of a file.
fn harm(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[2000] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Where a drive's records are damaged, the others have them, and nothing else is accused.
#[test]
fn a_drive_without_its_records_asks_for_the_others() {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "no records", 200);
    shipment.pack("cases=1").expect(0);
    let (paths, to) = (shipment.paths(), shipment.new_destination());
    shipment.restore(&paths, &to, &[]).expect(0);
    let records = shipment.files(1, "records/");
    harm(&records[0]);
    let alone = &paths[1..2];
    let status = run(&shipment, &["status"], alone);
    assert!(status.stdout.contains("These drives would help: slot 1 (case "), "{}", status.shown());
    assert!(!status.stdout.contains("are lost"), "{}", status.shown());
    let verified = run(&shipment, &["verify"], alone).expect(1);
    assert!(!verified.stdout.contains("holdall repair"), "{}", verified.shown());
    assert!(verified.stdout.contains("To repair it, attach th"), "{}", verified.shown());
    let verified =
        run(&shipment, &["verify", "--json", "-i", shipment.key.to_str().unwrap()], alone);
    for sound in ["checklist", "catalog:"] {
        assert!(!verified.stderr.contains(sound), "{}", verified.shown());
    }
    let (found, decoded) = (verified.event("verified"), verified.event("decoded"));
    assert_eq!((&found["repair"], &found["drives"][0]["bad_files"]), (&Value::Null, &1.into()));
    assert_eq!((&decoded["catalog_agrees"], &decoded["complete"]), (&Value::Null, &false.into()));
    // The catalog, which is whole, names all that there is.
    let again = shipment.restore(alone, &to, &[]).expect(3).event("restored");
    assert_eq!(again["list_complete"], true, "{again}");
    let all = run(&shipment, &["verify"], &paths).expect(3).stdout;
    shipment.run(printed(&all, "To repair it: ")).expect(0);
    shipment.verify(&paths).expect(0);
}

/// Review F14: a stripe beyond its parity.
#[test]
fn what_no_repair_mends_is_not_sent_to_repair() {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "beyond", 200);
    shipment.pack("cases=1").expect(0);
    let paths = shipment.paths();
    let shards = |drive: usize| {
        let mut shards = shipment.files(drive, "shards/");
        shards.sort();
        shards
    };
    (0..3).for_each(|drive| harm(&shards(drive)[0]));
    let told = run(&shipment, &["verify"], &paths).expect(1);
    assert!(!told.stdout.contains("holdall repair"), "{}", told.shown());
    assert!(told.stdout.contains("Repair cannot bring that back"), "{}", told.shown());
    // Nor does a drive help that is not attached, where those that are lack too much without it.
    let told = run(&shipment, &["verify"], &paths[..2]).expect(1);
    assert!(told.stdout.contains("Repair cannot bring that back"), "{}", told.shown());
    harm(&shards(0)[1]);
    let told = run(&shipment, &["verify"], &paths).expect(1);
    assert!(told.stdout.contains("To repair it: holdall repair"), "{}", told.shown());
}

/// Review F6, F14: what is no part of the set is not to be repaired.
#[test]
fn what_a_set_packed_anew_has_left_is_to_be_erased() {
    let shipment = killed(&[1, 1]);
    let old = shipment.paths();
    let mut words: Vec<OsString> = ["resume", "--folder-drives", "--anew"].map(Into::into).into();
    let mut new = Vec::new();
    for (case, _) in &shipment.drives {
        let path = shipment.new_destination();
        fs::create_dir(&path).unwrap();
        words.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
        new.push(path);
    }
    shipment.run(words).expect(0);
    let all = [&old[..], &new].concat();
    let told = run(&shipment, &["verify"], &all).expect(3);
    assert!(!told.stdout.contains("holdall repair"), "{}", told.shown());
    let line = told.stdout.lines().find(|line| line.contains("not part of the set. ")).unwrap();
    let (_, command) = line.split_once("To remove them: holdall ").unwrap();
    assert!(new.iter().all(|path| !line.contains(path.to_str().unwrap())), "{line}");
    shipment.run(shlex::split(command).unwrap().into_iter().chain(["--yes".into()])).expect(0);
    shipment.verify(&new).expect(0);
}

/// Review F14: nothing was committed of it, and nothing of it is said to be verified.
#[test]
fn a_set_of_nothing_is_not_called_complete() {
    let shipment = killed(&[1, 1]);
    let paths = shipment.paths();
    for drive in 0..paths.len() {
        for kind in ["records/", "shards/"] {
            shipment.files(drive, kind).iter().for_each(|path| fs::remove_file(path).unwrap());
        }
    }
    let to = shipment.new_destination();
    let words = ["restore", "-i", shipment.key.to_str().unwrap(), "--to", to.to_str().unwrap()];
    let restored = run(&shipment, &words, &paths).expect(1);
    assert!(restored.stderr.contains("was committed to the drives"), "{}", restored.shown());
    let verified = run(&shipment, &["verify"], &paths).expect(3);
    assert!(verified.stdout.contains("there is nothing to restore"), "{}", verified.shown());
    for run in [restored, verified] {
        assert!(!run.stdout.contains("complete and verified"), "{}", run.shown());
        assert!(!run.stdout.contains("Everything can be restored"), "{}", run.shown());
    }
}

/// Of a drive that was pulled before anything was committed the others know more.
#[test]
fn a_drive_without_a_record_says_nothing_of_its_set() {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "pulled early", 100);
    shipment.pack("cases=1").expect(0);
    let (paths, set) = (shipment.paths(), shipment.set_folder(0));
    for name in ["records", "catalog", "copy"] {
        fs::remove_dir_all(set.join(name)).unwrap();
    }
    for name in ["set.txt", "checklist.b3"] {
        fs::remove_file(set.join(name)).unwrap();
    }
    let alone = &paths[..1];
    for verb in ["verify", "status"] {
        let told = run(&shipment, &[verb], alone).expect(1);
        let text = &told.stdout;
        assert!(text.contains("No records of the set can be read from these drives"), "{text}");
        assert!(text.contains("These drives would help: slot 2"), "{text}");
        assert!(text.contains("As far as these drives show, it was never closed"), "{text}");
        // What was noted of it earlier stays true.
        let now: Vec<&str> = text.lines().filter(|line| !line.starts_with("Last ")).collect();
        for untrue in ["Nothing was committed", "Everything", ": whole"] {
            assert!(!now.iter().any(|line| line.contains(untrue)), "{untrue}: {text}");
        }
        let verdict = &run(&shipment, &[verb, "--json"], alone).expect(1).stdout;
        assert!(verdict.contains("\"restorable\":false"), "{verdict}");
    }
    let to = shipment.new_destination();
    let told = shipment.restore(alone, &to, &[]).expect(1);
    assert!(told.stderr.contains("hint: attach its other drives"), "{}", told.shown());
    // The others know of the set, and what this one has of it.
    let set = shipment.verify(&paths).expect(3).event("verified");
    assert_eq!(
        (&set["verdict"]["restorable"], &set["drives"][0]["missing_shards"]),
        (&true.into(), &0.into())
    );
}

/// Files without which nothing is restored, damaged where they lie on all drives but one: that one
/// may not be lost. Of others that is no matter.
#[rstest]
#[case("records/", false)]
#[case("key-", false)]
#[case("label.json", true)]
#[case("catalog/", true)]
fn what_one_drive_alone_has_may_not_be_lost(#[case] beginning: &str, #[case] may: bool) {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "alone", 100);
    shipment.pack("cases=1").expect(0);
    for drive in [0, 2] {
        let copy = format!("copy/{beginning}");
        let mut files = shipment.files(drive, beginning);
        files.extend(shipment.files(drive, &copy));
        for path in files.iter().filter(|path| path.extension().unwrap() != "b3") {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    }
    for verb in ["status", "verify"] {
        let told = run(&shipment, &[verb], &shipment.paths());
        let said = ["If one more drive is lost, data may be", "You can still lose any 1 drive."];
        assert!(told.stdout.contains(said[usize::from(may)]), "{}", told.shown());
    }
}

/// Both copies of a drive's key against the line beside them: nothing is written over either, and
/// the identity tells which is damaged.
#[rstest]
#[case(".age", "restored")]
#[case(".b3", "whole")]
fn a_key_and_its_line_that_differ_are_left_to_the_identity(
    #[case] ending: &str,
    #[case] then: &str,
) {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "line", 100);
    shipment.pack("none").expect(0);
    let paths = shipment.paths();
    let mut files = shipment.files(0, "key-");
    files.extend(shipment.files(0, "copy/key-"));
    files.retain(|path| path.to_str().unwrap().ends_with(ending));
    for path in &files {
        let mut bytes = fs::read(path).unwrap();
        match ending {
            ".b3" => bytes[..64].rotate_left(1),
            _ => *bytes.last_mut().unwrap() ^= 1,
        }
        fs::write(path, bytes).unwrap();
    }
    let before: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    let told = run(&shipment, &["verify"], &paths).expect(1);
    assert!(told.stdout.contains("Either that key or the .b3 file"), "{}", told.shown());
    run(&shipment, &["repair"], &paths).expect(1);
    assert!(files.iter().map(|path| fs::read(path).unwrap()).eq(before), "nothing was written");
    let key = shipment.key.to_str().unwrap();
    let told = run(&shipment, &["verify", "-i", key], &paths);
    if then == "whole" {
        assert!(told.stdout.contains("Everything can be restored"), "{}", told.shown());
        fs::remove_file(&files[0]).unwrap();
        let command = "Delete that file on each drive, then run: ";
        let line = told.stdout.lines().find_map(|line| line.split_once(command)).unwrap().1;
        shipment.run(shlex::split(line).unwrap().into_iter().skip(1)).expect(0);
        shipment.verify(&paths).expect(0);
    } else {
        told.expect(1);
    }
}

/// Whoever checks the drives one by one as they come learns which is sound.
#[test]
fn a_sound_drive_is_told_from_a_damaged_one() {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "one by one", 200);
    shipment.pack("cases=1").expect(0);
    let paths = shipment.paths();
    harm(&shipment.files(1, "shards/")[0]);
    for (drive, sound) in [(0, true), (1, false)] {
        let alone = &paths[drive..=drive];
        let told = run(&shipment, &["verify"], alone).expect(if sound { 4 } else { 1 });
        let words = "The drive that is attached is sound: no damage was found.";
        assert_eq!(told.stdout.contains(words), sound, "{}", told.shown());
        let found = run(&shipment, &["verify", "--json"], alone).event("verified");
        assert_eq!((&found["sound"], &found["drives"][0]["sound"]), (&sound.into(), &sound.into()));
        run(&shipment, &["status"], alone).expect(4);
    }
}

/// A wrapped key of which every copy rotted is as good as none, and the identity is not to blame.
#[test]
fn a_key_of_which_no_copy_is_sound_is_said_to_be_lost() {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "keys", 100);
    shipment.pack("cases=1").expect(0);
    let paths = shipment.paths();
    let of_key = |drive: usize| {
        let mut files = shipment.files(drive, "key-");
        files.extend(shipment.files(drive, "copy/key-"));
        files
    };
    let status = |expected| run(&shipment, &["status"], &paths).expect(expected).stdout;
    assert!(status(0).contains("You can still lose any 1 drive."));

    // Where one drive alone has the key, that one may not be lost.
    let rotten = of_key(2).into_iter().filter(|path| path.extension().unwrap() == "age");
    [0, 1].into_iter().flat_map(of_key).for_each(|path| fs::remove_file(path).unwrap());
    let told = run(&shipment, &["status"], &paths).stdout;
    assert!(told.contains("If one more drive is lost, data may be lost with it."), "{told}");

    for (at, path) in rotten.enumerate() {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2 + at;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    for command in ["verify", "status", "repair"] {
        let told = run(&shipment, &[command], &paths).expect(1);
        assert!(
            told.stdout.contains("a sound copy of one of the wrapped keys"),
            "{}",
            told.shown()
        );
        assert!(!told.stdout.contains("holdall repair"), "{}", told.shown());
    }
    let to = shipment.new_destination();
    let restored = shipment.restore(&paths, &to, &[]).expect(1);
    assert!(restored.stderr.contains("attach another drive of the set"), "{}", restored.shown());
}

//! What lies beside the shards: anyone can check a drive with b3sum, and the set is restored
//! without the metadata files that repeat what the shards themselves say.

use crate::common::oracle::Oracle;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{has_programs, tool, tree};
use holdall::testing::keys::recipients::Identities;
use rstest::rstest;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

fn packed(seed: &str, cases: &[usize], survive: &str) -> (Shipment, Snapshot) {
    let shipment = Shipment::new(cases);
    tree::plain(&shipment.source, seed, 60);
    shipment.pack(survive).expect(0);
    let source = Snapshot::of(&shipment.source);
    (shipment, source)
}

#[rstest]
#[case(&[1], "none")]
#[case(&[1, 1, 2], "cases=1")]
fn b3sum_alone_checks_every_drive(#[case] cases: &[usize], #[case] survive: &str) {
    if !has_programs(&["b3sum"]) {
        return;
    }
    let (shipment, _) = packed("b3sum", cases, survive);
    for drive in 0..shipment.drives.len() {
        let folder = shipment.set_folder(drive);
        let check = || {
            let mut command = Command::new("b3sum");
            command.args(["--check", "checklist.b3"]).current_dir(&folder).output().unwrap()
        };
        let checked = check();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        let lines = fs::read_to_string(folder.join("checklist.b3")).unwrap();
        let lines: BTreeSet<&str> = lines.lines().map(|l| l.split_once("  ").unwrap().1).collect();
        let beside = ["checklist.b3", "copy/", "custody/", "key-"];
        for file in shipment.files(drive, "") {
            let name = file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            let listed = !beside.iter().any(|b| name.starts_with(b));
            assert_eq!(lines.contains(&name[..]), listed, "{name}");
        }
        for key in shipment.files(drive, "key-").iter().filter(|p| p.extension().unwrap() == "b3") {
            tool(
                "sh",
                [
                    "-c",
                    "cd \"$1\" && b3sum --check \"$2\"",
                    "sh",
                    folder.to_str().unwrap(),
                    key.to_str().unwrap(),
                ],
            );
        }
        let shard = shipment.files(drive, "shards/").remove(0);
        let mut bytes = fs::read(&shard).unwrap();
        bytes[5000] ^= 1;
        fs::write(&shard, bytes).unwrap();
        assert!(!check().status.success(), "b3sum sees the damage");
    }
}

#[test]
fn roots_in_the_catalog_are_what_b3sum_prints() {
    if !has_programs(&["b3sum"]) {
        return;
    }
    let shipment = Shipment::new(&[1, 1]);
    tree::rich(&shipment.source, "roots");
    let packed = shipment.pack("cases=1").expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    let identities = Identities::read(std::slice::from_ref(&shipment.key)).unwrap();
    let oracle = Oracle::of_folders(&shipment.paths(), &identities);
    assert!(oracle.files.len() > 100);
    let mut with_root = 0;
    for file in &oracle.files {
        // A whole file is verified by its chunk, and has none.
        let Some(root) = file.root else { continue };
        with_root += 1;
        let path = to.join(OsStr::from_bytes(&file.path));
        let printed = tool("b3sum", [OsStr::new("--no-names"), "--".as_ref(), path.as_ref()]);
        let root = blake3::Hash::from_bytes(root);
        assert_eq!(printed.trim(), root.to_hex().as_str(), "{}", path.display());
    }
    assert!(with_root > 10, "{with_root}");
    let root =
        tool("b3sum", [OsStr::new("--no-names"), shipment.set_folder(1).join("set.txt").as_ref()]);
    assert_eq!(packed.event("packed")["root"], root.trim());
}

#[test]
fn a_drive_explains_itself() {
    let (shipment, _) = packed("explains", &[2], "drives=1");
    let here = |path: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    for path in shipment.paths() {
        let metadata_file = |name: &str| fs::read(path.join("holdall").join(name)).unwrap();
        assert_eq!(metadata_file("format.md"), fs::read(here("src/format/format.md")).unwrap());
        assert_eq!(
            metadata_file("reader.py"),
            fs::read(here("tests/reference_reader.py")).unwrap()
        );
        let readme = String::from_utf8(metadata_file("README.txt")).unwrap();
        assert!(readme.contains("holdall restore"), "{readme}");
    }
}

/// Removes from every drive what begins so; says how many files that were.
fn remove_everywhere(shipment: &Shipment, beginning: &str) -> usize {
    let mut count = 0;
    for drive in 0..shipment.drives.len() {
        for file in shipment.files(drive, beginning) {
            fs::remove_file(file).unwrap();
            count += 1;
        }
    }
    count
}

#[rstest]
#[case::no_catalog(&["catalog/", "copy/catalog/"])]
#[case::no_index(&["catalog/", "copy/catalog/", "set.txt", "copy/set.txt"])]
#[case::no_set_txt(&["set.txt", "copy/set.txt"])]
#[case::no_metadata_files(&["catalog/", "set.txt", "checklist.b3", "label.json", "copy/set.txt", "copy/catalog/", "copy/key"])]
fn the_lists_in_the_shards_are_enough(#[case] gone: &[&str]) {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::rich(&shipment.source, &format!("{gone:?}"));
    shipment.pack("cases=1").expect(0);
    for beginning in gone {
        remove_everywhere(&shipment, beginning);
    }
    shipment.verify(&shipment.paths()).expect(3);
    let to = shipment.new_destination();
    // Without set.txt, nobody vouches for the end.
    let run = shipment.restore(&shipment.paths(), &to, &["--give-up"]).expect(3);
    // Without set.txt alone, the records name the catalog's parts.
    let has = |name: &str| gone.iter().any(|beginning| beginning.starts_with(name));
    assert_eq!(run.event("restored")["from_lists"], has("catalog/"));
    assert_eq!(run.event("restored")["end_unknown"], has("set.txt"));
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
    // Also with a drive less.
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths()[1..], &to, &["--give-up"]).expect(3);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

#[test]
fn what_was_given_up_without_lists_asks_for_no_drive() {
    let (shipment, _) = packed("given up", &[1, 1, 1], "cases=1");
    remove_everywhere(&shipment, "catalog/");
    let (one, to) = (&shipment.paths()[..1], shipment.new_destination());
    let waits = shipment.restore(one, &to, &[]).expect(4).event("restored");
    assert_ne!(waits["next"], serde_json::json!([]), "{waits}");
    let given_up = shipment.restore(one, &to, &["--give-up"]).expect(1).event("restored");
    assert_eq!(given_up["next"], serde_json::json!([]), "{given_up}");
    assert!(!to.join(".holdall").exists());
}

#[test]
fn a_restore_that_fails_leaves_the_list_of_an_earlier_one() {
    let (shipment, _) = packed("the list stays", &[1, 1, 1], "cases=1");
    let (one, to) = (&shipment.paths()[..1], shipment.new_destination());
    let folder = shipment.path().join("lists");
    fs::create_dir(&folder).unwrap();
    let list = folder.join("missing");
    let give_up = ["--give-up", "--missing", list.to_str().unwrap()];
    shipment.restore(one, &to, &give_up).expect(1).event("restored");
    let lines = fs::read_to_string(&list).unwrap();
    assert!(!lines.is_empty());
    let again = shipment.restore(one, &to, &give_up).expect(1);
    assert!(again.stderr.contains("is not empty"), "{}", again.shown());
    assert_eq!(fs::read_to_string(&list).unwrap(), lines);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing lies beside it");
    // The list of one that comes to its end replaces it.
    shipment.restore(&shipment.paths(), &shipment.new_destination(), &give_up).expect(0);
    assert_eq!(fs::read_to_string(&list).unwrap(), "");
}

#[test]
fn a_catalog_that_is_damaged_everywhere_at_one_place_is_no_loss() {
    let (shipment, source) = packed("everywhere", &[1, 1, 1, 1], "cases=1");
    let names: Vec<PathBuf> = shipment.files(0, "catalog/");
    assert!(names.len() > 1, "an index and parts");
    for name in names {
        let below = name.strip_prefix(shipment.set_folder(0)).unwrap();
        let sound = fs::read(&name).unwrap();
        let mut bad = sound.clone();
        bad[sound.len() / 3] ^= 4;
        for drive in 0..4 {
            fs::write(shipment.set_folder(drive).join(below), &bad).unwrap();
        }
        let to = shipment.new_destination();
        shipment.restore(&shipment.paths(), &to, &[]).expect(3);
        source.assert_equal(&Snapshot::of(&to));
        for drive in 0..4 {
            fs::write(shipment.set_folder(drive).join(below), &sound).unwrap();
        }
    }
    // Damaged at another place of each copy, a catalog needs no lists.
    let name = shipment.files(0, "catalog/").remove(0);
    let below = name.strip_prefix(shipment.set_folder(0)).unwrap().to_owned();
    for drive in 0..3 {
        let path = shipment.set_folder(drive).join(&below);
        let mut bytes = fs::read(&path).unwrap();
        let at = drive * 4096 % bytes.len();
        bytes[at + 100] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let to = shipment.new_destination();
    let run = shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert_eq!(run.event("restored")["from_lists"], false);
    source.assert_equal(&Snapshot::of(&to));
}

#[rstest]
#[case::records("records/")]
#[case::keys("key-")]
fn one_copy_anywhere_is_enough(#[case] beginning: &str) {
    let (shipment, source) = packed(beginning, &[1, 1, 1, 1], "cases=1");
    // Each file is left on one drive only, and not on the same.
    for (number, name) in shipment.files(0, beginning).iter().enumerate() {
        let below = name.strip_prefix(shipment.set_folder(0)).unwrap().to_owned();
        for drive in (0..4).filter(|drive| *drive != number % 4) {
            fs::remove_file(shipment.set_folder(drive).join(&below)).unwrap();
            let copy = shipment.set_folder(drive).join("copy").join(&below);
            if copy.exists() {
                fs::remove_file(copy).unwrap();
            }
        }
    }
    shipment.verify(&shipment.paths()).expect(3);
    let to = shipment.new_destination();
    // Records that a drive lacks are told, keys only if there is none.
    let status = if beginning == "records/" { 3 } else { 0 };
    shipment.restore(&shipment.paths(), &to, &[]).expect(status);
    source.assert_equal(&Snapshot::of(&to));
}

/// A wrapped key that no drive has as it was written is nothing that repair could make.
#[test]
fn a_key_that_is_corrupt_everywhere_is_not_sent_to_repair() {
    let (shipment, _) = packed("no key", &[1, 1], "cases=1");
    for drive in 0..2 {
        let keys =
            shipment.files(drive, "key-").into_iter().chain(shipment.files(drive, "copy/key-"));
        for path in keys.filter(|path| path.extension().unwrap() == "age") {
            fs::write(path, "rotten").unwrap();
        }
    }
    let paths = shipment.paths().into_iter().map(OsString::from);
    let told = shipment.run([OsString::from("verify")].into_iter().chain(paths)).expect(1);
    assert!(!told.stdout.contains("holdall repair"), "{}", told.shown());
    assert!(told.stdout.contains("Repair cannot bring that back"), "{}", told.shown());
    let one = [OsString::from("verify"), shipment.paths()[0].clone().into()];
    let told = shipment.run(one).expect(1);
    assert!(!told.stdout.contains("holdall repair"), "{}", told.shown());
    assert!(told.stdout.contains("Repair cannot remake a wrapped key"), "{}", told.shown());
}

#[test]
fn a_single_drive_has_second_copies() {
    let (shipment, source) = packed("second copies", &[1], "none");
    for beginning in ["label.json", "set.txt", "records/", "catalog/", "key-"] {
        assert!(remove_everywhere(&shipment, beginning) > 0, "{beginning}");
    }
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(3);
    source.assert_equal(&Snapshot::of(&to));
}

#[test]
fn missing_records_are_never_a_shorter_dataset() {
    let (shipment, _) = packed("gaps", &[1, 1, 1], "cases=1");
    let records = shipment.files(0, "records/");
    assert!(records.len() > 2, "{} record files", records.len());
    // In the middle, and at the end, where the chain alone does not show it.
    for name in [&records[1], &records[records.len() - 1]] {
        let below = name.strip_prefix(shipment.set_folder(0)).unwrap().to_owned();
        let sound = fs::read(name).unwrap();
        for drive in 0..3 {
            fs::remove_file(shipment.set_folder(drive).join(&below)).unwrap();
        }
        let verified = shipment.verify(&shipment.paths());
        assert_eq!(verified.status, 1, "verify: {}", verified.shown());
        let to = shipment.new_destination();
        let run = shipment.restore(&shipment.paths(), &to, &["--give-up"]);
        assert_eq!(run.status, 1, "restore: {}", run.shown());
        for drive in 0..3 {
            fs::write(shipment.set_folder(drive).join(&below), &sound).unwrap();
        }
    }
}

// Security S11: whoever finds a drive is told to run reader.py and to give it a key.
#[test]
fn a_tampered_reader_is_told_and_is_never_copied_on() {
    let (shipment, _) = packed("tampered reader", &[1, 1], "drives=1");
    let here = |path: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let ours = fs::read_to_string(here("tests/reference_reader.py")).unwrap();
    let reader = |drive: usize| shipment.paths()[drive].join("holdall/reader.py");
    let told = || {
        let run = shipment.verify(&shipment.paths()).expect(0);
        let notes = run.events_of("note");
        let texts = notes.iter().map(|note| note["text"].as_str().unwrap().to_owned());
        texts.filter(|text| text.contains("reader.py")).collect::<Vec<_>>()
    };
    let repair = || {
        let paths = shipment.paths();
        let words = [OsStr::new("repair"), OsStr::new("--json")].into_iter();
        shipment.run(words.chain(paths.iter().map(|path| path.as_os_str()))).expect(0)
    };
    assert_eq!(told(), Vec::<String>::new());
    fs::write(reader(0), ours.clone() + "send(key)\n").unwrap();
    fs::remove_file(reader(1)).unwrap();
    let [gone, note] = &told()[..] else { panic!("{:?}", told()) };
    let [drive, other] = [0, 1].map(|drive| shipment.paths()[drive].display().to_string());
    assert_eq!(
        *gone,
        format!("holdall/reader.py on {other}: missing; repair writes what is missing")
    );
    assert!(note.contains(&drive) && !note.contains("format.md,"), "{note}");
    repair();
    for drive in [0, 1] {
        assert_eq!(fs::read_to_string(reader(drive)).unwrap(), ours);
    }
    // One that does not say that it is ours may be anybody's: it stays, and is told each time.
    fs::write(reader(0), "print('hello')").unwrap();
    repair();
    assert_eq!(fs::read_to_string(reader(0)).unwrap(), "print('hello')");
    let own = shipment.set_folder(0).join("reader.py");
    assert_eq!(fs::read_to_string(&own).unwrap(), ours);
    assert_eq!(told().len(), 1);
    fs::write(&own, ours.clone() + "send(key)\n").unwrap();
    repair();
    assert_eq!(fs::read_to_string(&own).unwrap(), ours);
}

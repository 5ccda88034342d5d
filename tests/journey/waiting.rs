//! What waits for what: `status` of drives, and of a restore in progress, with and without drives.

use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{Run, is_root, skip, tree};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

fn with(words: &[&str], paths: &[PathBuf]) -> Vec<OsString> {
    words.iter().map(OsString::from).chain(paths.iter().map(Into::into)).collect()
}

fn packed(cases: &[usize], survive: &str) -> Shipment {
    let shipment = Shipment::new(cases);
    tree::plain(&shipment.source, "waiting", 60);
    shipment.pack(survive).expect(0);
    shipment
}

/// `status --to`, and what the folder looks like is not changed by it.
fn status_to(shipment: &Shipment, to: &Path, paths: &[PathBuf], json: bool) -> Run {
    let mut words = vec!["status", "--to", to.to_str().unwrap()];
    if json {
        words.push("--json");
    }
    let before = tree::walk(to);
    let run = shipment.run(with(&words, paths));
    assert_eq!(tree::walk(to), before);
    run
}

/// Review scale 3: drives that were here before do not count as attached.
#[test]
fn a_restore_in_progress_says_what_it_waits_for_with_nothing_attached() {
    let shipment = packed(&[1, 1, 1, 1], "cases=1");
    let paths = shipment.paths();
    let to = shipment.new_destination();
    shipment.restore(&paths[..2], &to, &[]).expect(4);
    // The drives are gone; nothing is named, and no drive of the set is mounted.
    let run = status_to(&shipment, &to, &[], true).expect(4);
    let set = run.event("restoring");
    assert_eq!(
        (&set["state"], &set["ended"], &set["lost"]),
        (&json!("begun"), &true.into(), &0.into())
    );
    assert!(set["waiting"].as_u64().unwrap() > 0, "{set}");
    let absent = json!([{"slot": 3, "case": "c"}, {"slot": 4, "case": "d"}]);
    assert_eq!((&set["absent"], &set["been"]), (&absent, &json!([1, 2])));
    // With nothing attached each has its own share, or three are needed at once.
    assert_eq!((&set["needed"], &set["at_least"]), (&json!([3, 4]), &2.into()));
    assert_eq!((&set["one_by_one"], &set["here"]), (&true.into(), &json!([])));
    // Beside the first two either will do (Review scale 3).
    let set = status_to(&shipment, &to, &paths[..2], true).expect(4).event("restoring");
    assert_eq!((&set["needed"], &set["at_least"]), (&json!([3, 4]), &1.into()));
    assert_eq!(set["one_by_one"], false);
    let text = status_to(&shipment, &to, &[], false).expect(4).stdout;
    let name = shipment.set_folder(0).file_name().unwrap().to_str().unwrap().to_owned();
    assert!(text.contains(&format!("Set {name}: waits with ")), "{text}");
    let words = "attached before: slot 1 (case a), slot 2 (case b); next: attach slot 3 (case c), slot 4 \
                 (case d); one at a time is enough";
    assert!(text.contains(words), "{text}");
    // One of them comes.
    let set = status_to(&shipment, &to, &paths[3..], true).expect(4).event("restoring");
    assert_eq!(set["here"][0]["slot"], 4);
    let text = status_to(&shipment, &to, &paths[3..], false).expect(4).stdout;
    assert!(
        text.contains(&format!("slot   4  case d  {} is attached", paths[3].display())),
        "{text}"
    );
    shipment.restore(&paths[1..], &to, &[]).expect(3);
    let run = status_to(&shipment, &to, &[], true).expect(0);
    assert!(run.events_of("restoring").is_empty());
    let note = run.event("note")["text"].as_str().unwrap().to_owned();
    assert!(note.contains("no restore is in progress"), "{note}");
}

/// Review F8: hard links count as in what the restore says.
#[test]
fn links_to_files_that_wait_or_are_lost_count_in_the_status() {
    let shipment = Shipment::new(&[1, 1]);
    for number in 0..12 {
        let file = shipment.source.join(format!("file {number}"));
        tree::write(&file, &Random::new(&format!("{number}")).bytes(90_000));
        fs::hard_link(&file, shipment.source.join(format!("link {number}"))).unwrap();
    }
    shipment.pack("none").expect(0);
    let shard = shipment.files(0, "shards/").remove(0);
    fs::write(shard, b"").unwrap();
    let to = shipment.new_destination();
    let told = shipment.restore(&shipment.paths()[..1], &to, &[]).expect(1).event("restored");
    let (waiting, lost) = (told["waiting"].as_u64().unwrap(), told["lost"].as_u64().unwrap());
    assert!(waiting > 3 && lost > 1, "{told}");
    let set = status_to(&shipment, &to, &[], true).expect(1).event("restoring");
    assert_eq!((&set["waiting"], &set["lost"]), (&waiting.into(), &lost.into()));
    let text = status_to(&shipment, &to, &[], false).expect(1).stdout;
    assert!(text.contains(&format!("waits with {waiting} files; {lost} entries cannot")), "{text}");
    // The rest comes.
    let told = shipment.restore(&shipment.paths()[1..], &to, &[]).expect(1).event("restored");
    let set = status_to(&shipment, &to, &[], true).expect(1).event("restoring");
    assert_eq!((&set["waiting"], &set["lost"]), (&told["waiting"], &told["lost"]));
}

/// Review scale 3: with a drive lost, the step that does without it is named too, and what must
/// come again for it.
#[test]
fn a_lost_drive_has_a_way_around_it() {
    let shipment = packed(&[1, 1, 1], "cases=1");
    let paths = shipment.paths();
    let (to, stage) = (shipment.new_destination(), shipment.path().join("stage"));
    let status = |paths: &[PathBuf]| status_to(&shipment, &to, paths, false).expect(4).stdout;
    for path in &paths[..2] {
        shipment.restore(std::slice::from_ref(path), &to, &[]).expect(4);
    }
    let instead = json!({"slots": [1, 2], "count": 2, "one_by_one": false, "part": false});
    let set = status_to(&shipment, &to, &[], true).expect(4).event("restoring");
    assert_eq!((&set["needed"], &set["instead"]), (&json!([3]), &instead));
    let words = "next: attach slot 3 (case c); or, if you cannot get it, attach slot 1 (case a), \
                 slot 2 (case b) together, or one at a time with --stage FOLDER.";
    assert!(status(&[]).contains(words), "{}", status(&[]));
    let words = "next: attach at least 1 of slot 1 (case a), slot 3 (case c) together with those that \
                 are attached now; or, with --stage FOLDER, run it with those first, and then with";
    assert!(status(&paths[1..2]).contains(words), "{}", status(&paths[1..2]));
    let staged = ["--stage", stage.to_str().unwrap()];
    let run = shipment.restore(&paths[1..2], &to, &staged).expect(4);
    assert_eq!(run.event("restored")["next"][0]["count"], 1, "{}", run.shown());
    let text = status(&[]);
    let words =
        "next: with the same --stage FOLDER attach at least 1 of slot 1 (case a), slot 3 (case c).";
    assert!(text.contains(words), "{text}");
    shipment.restore(&paths[..1], &to, &staged).expect(3);
}

/// Review scale 3: there was none, or even nothing left to do.
#[test]
fn a_restore_that_was_killed_has_a_next_step() {
    let shipment = packed(&[1, 1, 1], "cases=1");
    let (paths, to) = (shipment.paths(), shipment.new_destination());
    shipment.restore(&paths[..1], &to, &[]).expect(4);
    // As it lies there while a run goes on.
    let state = to.join(".holdall/seen-1");
    let mut seen: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    (seen["ended"], seen["listed"], seen["here"]) = (false.into(), false.into(), json!([1, 2]));
    fs::write(&state, serde_json::to_vec(&seen).unwrap()).unwrap();
    let set = status_to(&shipment, &to, &[], true).expect(4).event("restoring");
    assert_eq!((&set["ended"], &set["needed"]), (&false.into(), &json!([1, 2])));
    let text = status_to(&shipment, &to, &[], false).expect(4).stdout;
    assert!(text.contains("next: attach slot 1 (case a), slot 2 (case b) together"), "{text}");
    let set = status_to(&shipment, &to, &paths[..1], true).expect(4).event("restoring");
    assert_eq!(set["needed"], json!([2]));
    let again = "next: run the same restore again with what is attached";
    let text = status_to(&shipment, &to, &paths, false).expect(4).stdout;
    assert!(text.contains(again), "{text}");
    // Killed before it came to any set.
    fs::remove_file(&state).unwrap();
    let set = status_to(&shipment, &to, &[], true).expect(4).event("restoring");
    assert_eq!(set["state"], "unseen");
    let text = status_to(&shipment, &to, &[], false).expect(4).stdout;
    assert!(text.contains("its restore has not begun; next: attach its drives"), "{text}");
    let text = status_to(&shipment, &to, &paths, false).expect(4).stdout;
    assert!(text.contains(again), "{text}");
    shipment.restore(&paths, &to, &[]).expect(0);
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let shipment = Shipment::new(&[1]);
    let to = shipment.new_destination();
    let run = shipment.run(with(&["status", "--to", to.to_str().unwrap()], &[])).expect(1);
    assert!(run.stderr.contains("hint: --to names the folder"), "{}", run.shown());
    assert!(!to.exists());
}

#[test]
fn status_says_which_drives_belong_together() {
    let shipment = packed(&[1, 1, 1, 1], "cases=1");
    let paths = shipment.paths();
    let all = shipment.run(with(&["status", "--json"], &paths)).expect(0).event("status");
    assert_eq!(all["together"].as_array().unwrap().len(), 1, "{all}");
    let group = &all["together"][0];
    assert_eq!((&group["slots"], &group["at_once"]), (&json!([1, 2, 3, 4]), &3.into()));
    let less = shipment.run(with(&["status", "--json"], &paths[1..])).expect(3).event("status");
    assert_eq!(less["together"][0]["slots"], json!([2, 3, 4]));
    let text = shipment.run(with(&["status"], &paths[1..])).expect(3).stdout;
    let words =
        "If the missing drives never arrive, attach at the same time at least 3 of slot 2, 3, 4;";
    assert!(text.contains(words), "{text}");
    let text = shipment.run(with(&["status"], &paths)).expect(0).stdout;
    assert!(text.contains("one drive at a time is enough"), "{text}");
    let too_few = shipment.run(with(&["status", "--json"], &paths[2..])).expect(4).event("status");
    assert_eq!(too_few["together"], json!([]), "no two drives restore anything");
}

#[test]
fn a_damaged_metadata_file_that_was_told_shows_in_the_status() {
    let shipment = packed(&[1, 1, 1], "cases=1");
    let record = shipment.files(1, "records/").remove(0);
    let sound = fs::read(&record).unwrap();
    let spoil = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&record, bytes).unwrap();
    };
    // Of a copy that restore does not need, it reads the end; verify reads all of each.
    spoil(100);
    assert_eq!(shipment.verify(&shipment.paths()).expect(3).problems().len(), 1);
    spoil(sound.len() - 10);
    let run = shipment.restore(&shipment.paths(), &shipment.new_destination(), &[]).expect(3);
    assert_eq!(run.event("restored")["complete"], true);
    assert_eq!(run.events_of("problem").len(), 1, "{}", run.shown());
}

#[test]
fn a_fresh_ext4_is_empty() {
    if !is_root() {
        return skip("only root can make a lost+found that is root's");
    }
    let shipment = packed(&[1], "none");
    let to = shipment.new_destination();
    let found = to.join("lost+found");
    fs::create_dir_all(&found).unwrap();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert!(found.is_dir() && !to.join(".holdall").exists());
    for spoil in ["lost+found/file", "beside"] {
        let to = shipment.new_destination();
        fs::create_dir_all(to.join("lost+found")).unwrap();
        tree::write(&to.join(spoil), b"mine");
        let run = shipment.restore(&shipment.paths(), &to, &[]).expect(1);
        let told = format!("is not empty: it holds {}", spoil.split('/').next().unwrap());
        assert!(run.stderr.contains(&told), "{}", run.shown());
    }
    let to = shipment.new_destination();
    fs::create_dir_all(to.join("lost+found")).unwrap();
    std::os::unix::fs::chown(to.join("lost+found"), Some(1), None).unwrap();
    shipment.restore(&shipment.paths(), &to, &[]).expect(1);
}

#[test]
fn what_a_killed_scan_left_is_removed_unless_a_process_uses_it() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "orphans", 3);
    let orphan = |id: &str| {
        let path = shipment.state().join("holdall").join(id);
        tree::write(&path.join("list"), b"names");
        path
    };
    let (gone, used) = (orphan("00000000000000aa"), orphan("00000000000000bb"));
    let lock = File::open(&used).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    shipment.run(shipment.pack_arguments("none", &["--json"])).expect(0);
    assert!(!gone.exists() && used.join("list").exists());
    drop(lock);
    let drive = format!("a={}", shipment.drives[0].1.display());
    // Nothing of the shipment that was begun is packed, so something is left to do.
    // That stays so until a shipment is begun.
    for _ in 0..2 {
        let run = shipment.run(["resume", "--json", "--drive", &drive]).expect(2);
        assert!(run.stderr.contains("cut short before its list of entries"), "{}", run.shown());
        assert!(!used.exists());
    }
    shipment.run(shipment.pack_arguments("none", &["--json"])).expect(0);
    let run = shipment.run(["resume", "--json", "--drive", &drive]).expect(0);
    assert_eq!(run.event("nothing-left")["shipment"], Value::Null);
    let empty = format!("a={}", shipment.new_destination().display());
    std::fs::create_dir(&empty[2..]).unwrap();
    let run = shipment.run(["resume", "--json", "--drive", &empty]).expect(2);
    assert!(run.stderr.contains("these drives carry no set"), "{}", run.shown());
}

#[test]
fn a_plan_without_room_prints_sizes_as_people_read_them() {
    let shipment = Shipment::new(&[1, 1]);
    let Some(_drives) = shipment
        .drives
        .iter()
        .map(|(_, point)| crate::common::mounted::Memory::new(point, 4))
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    tree::write(&shipment.source.join("noise"), &vec![7; 40 << 20]);
    let run = shipment.run(shipment.pack_arguments("cases=1", &[])).expect(2);
    assert!(run.stderr.contains(" MB are missing"), "{}", run.shown());
    let words: Vec<&str> = run.stderr.split_whitespace().collect();
    let raw = words.iter().any(|word| word.len() > 6 && word.bytes().all(|b| b.is_ascii_digit()));
    assert!(!raw, "{}", run.shown());
}

//! The destination is looked at: what it does not take or keep is told, by kind and with the path in
//! the dataset, and the rest is restored (newcomer A13 and A19, reports R10, shape 6 K).

use crate::common::mounted::{FileSystem, Memory, Mounted};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{Run, tree};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn packed(fill: impl Fn(&Path)) -> Shipment {
    let shipment = Shipment::new(&[1]);
    fill(&shipment.source);
    shipment.pack("none").expect(0);
    shipment
}

/// The problems of one kind: what they are about, and what is said of it.
fn problems(run: &Run, kind: &str) -> Vec<(String, String)> {
    let of_kind = run.events_of("problem").into_iter().filter(|p| p["kind"] == kind);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    of_kind.map(|p| (text(&p["subject"]), text(&p["detail"]))).collect()
}

#[test]
fn exfat_takes_what_it_can() {
    let shipment = packed(|source| {
        for file in ["a", "folder/file", "folder/quiet"] {
            tree::write(&source.join(file), file.as_bytes());
            fs::set_permissions(source.join(file), PermissionsExt::from_mode(0o640)).unwrap();
        }
        tree::write(&source.join("large"), &Random::new("exfat").bytes(5 * tree::CHUNK));
        for (file, link) in [("a", "b"), ("large", "folder/large again")] {
            fs::hard_link(source.join(file), source.join(link)).unwrap();
        }
        symlink("a", source.join("folder/symlink")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            source.join("pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
    });
    let point = shipment.path().join("exfat");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Exfat, 32) else { return };
    let to = point.join("out");
    let run = shipment.restore(&shipment.paths(), &to, &[]).expect(3);
    let restored = run.event("restored");
    assert_eq!(restored["complete"], true, "{}", run.shown());
    for (field, count) in [("lost", 0), ("waiting", 0), ("refused", 0), ("unsupported", 2)] {
        assert_eq!(restored[field], count, "{field}: {}", run.shown());
    }
    let refused: Vec<String> =
        problems(&run, "refused").into_iter().map(|(path, _)| path).collect();
    assert_eq!(refused, ["folder/symlink", "pipe"], "{}", run.shown());
    let metadata = problems(&run, "metadata");
    let of = |what: &str| metadata.iter().filter(|(_, detail)| detail.starts_with(what)).count();
    assert_eq!(of("a file of its own, for want of a hard link"), 1, "{metadata:?}");
    assert_eq!(of("times not kept"), 1, "{metadata:?}");
    assert_eq!(of("mode not kept"), 1, "{metadata:?}");
    assert!(metadata.len() <= 5, "once a kind: {metadata:?}");
    for file in ["a", "b", "large", "folder/file", "folder/large again"] {
        assert!(fs::read(to.join(file)).unwrap() == fs::read(shipment.source.join(file)).unwrap());
    }
    assert!(!to.join(".holdall").exists());
}

#[test]
fn a_name_that_the_destination_refuses_is_one_files_matter() {
    let shipment = packed(|source| {
        for file in ["folder/what?", "bad:folder/inner", "folder/fine", "zz"] {
            tree::write(&source.join(file), file.as_bytes());
        }
        tree::write(&source.join("folder/large?"), &Random::new("name").bytes(5 * tree::CHUNK));
    });
    let point = shipment.path().join("exfat");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Exfat, 32) else { return };
    let (to, list) = (point.join("out"), shipment.path().join("missing"));
    let more = ["--missing", list.to_str().unwrap()];
    let run = shipment.restore(&shipment.paths(), &to, &more).expect(1);
    let restored = run.event("restored");
    assert_eq!(
        (&restored["refused"], &restored["lost"]),
        (&4.into(), &0.into()),
        "{}",
        run.shown()
    );
    assert_eq!(restored["awaited_sets"], serde_json::json!([]), "no drive would help");
    let mut refused: Vec<String> = problems(&run, "refused").into_iter().map(|p| p.0).collect();
    refused.sort();
    assert_eq!(refused, ["bad:folder", "bad:folder/inner", "folder/large?", "folder/what?"]);
    let list = fs::read_to_string(list).unwrap();
    assert!(refused.iter().all(|path| list.lines().any(|line| line.starts_with(path))), "{list}");
    assert_eq!(fs::read(to.join("folder/fine")).unwrap(), b"folder/fine");
    assert!(to.join("zz").is_file() && !to.join(".holdall").exists());
}

#[test]
fn a_file_that_is_too_large_is_one_files_matter() {
    let shipment = packed(|source| {
        tree::write(&source.join("large"), &Random::new("limit").bytes(3 << 20));
        for file in ["before", "zz"] {
            tree::write(&source.join(file), file.as_bytes());
        }
    });
    let to = shipment.new_destination();
    let mut words: Vec<OsString> = vec!["-c".into(), "ulimit -f 1024; exec \"$@\"".into()];
    words.extend(["bash".into(), env!("CARGO_BIN_EXE_holdall").into()]);
    words.extend(shipment.restore_arguments(&shipment.paths(), &to, &[]));
    let done = std::process::Command::new("bash").args(words).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(1), "{text}");
    let refused: Vec<&str> = text.lines().filter(|l| l.contains("\"refused\",")).collect();
    assert!(refused.len() == 1 && refused[0].contains("\"large\""), "{text}");
    assert!(to.join("before").is_file() && to.join("zz").is_file());
    assert!(!to.join("large").exists() && !to.join(".holdall").exists());
}

#[test]
fn too_little_room_is_said_before_the_first_byte() {
    let shipment = packed(|source| {
        tree::write(&source.join("noise"), &Random::new("room").bytes(24 << 20));
        let sparse = File::create(source.join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
    });
    let notes = |run: &Run| {
        let notes =
            run.events_of("note").into_iter().map(|n| n["text"].as_str().unwrap().to_owned());
        notes.filter(|note| note.contains("room for")).collect::<Vec<_>>()
    };
    let small = shipment.path().join("small");
    let Some(_small) = Memory::new(&small, 16) else { return };
    let run = shipment.restore(&shipment.paths(), &small.join("out"), &[]).expect(1);
    let notes_of_small = notes(&run);
    assert!(notes_of_small.len() == 1, "{}", run.shown());
    assert!(notes_of_small[0].starts_with("25.2 MB are to be written"), "{notes_of_small:?}");
    assert!(notes_of_small[0].contains("room for 16."), "{notes_of_small:?}");
    // Holes take no room, so the whole fits here.
    let large = shipment.path().join("large");
    let Some(_large) = Memory::new(&large, 40) else { return };
    let run = shipment.restore(&shipment.paths(), &large.join("out"), &[]).expect(0);
    assert_eq!(notes(&run), [""; 0]);
}

// A fresh drive's litter is no content, and what the dataset has of its name takes its place.
#[test]
fn a_drive_with_nothing_but_litter_is_empty() {
    let shipment = packed(|source| {
        tree::write(&source.join(".DS_Store"), b"the dataset's");
        tree::write(&source.join("file"), b"file");
    });
    let to = shipment.new_destination();
    for litter in ["System Volume Information/x", ".Trashes/501/y", ".DS_Store", "$RECYCLE.BIN/z"] {
        tree::write(&to.join(litter), b"litter");
    }
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert_eq!(fs::read(to.join(".DS_Store")).unwrap(), b"the dataset's");
    assert_eq!(fs::read(to.join("$RECYCLE.BIN/z")).unwrap(), b"litter");
    let to = shipment.new_destination();
    tree::write(&to.join(".Trashes/x"), b"litter");
    tree::write(&to.join("my notes.txt"), b"mine");
    let run = shipment.restore(&shipment.paths(), &to, &[]).expect(1);
    assert!(run.stderr.contains("is not empty: it holds my notes.txt"), "{}", run.shown());
}

// Reports R4: a dataset may have the working folder's name at its top.
#[test]
fn a_dataset_with_the_working_folders_name_is_restored() {
    let shipment = Shipment::new(&[1, 1]);
    for file in [".holdall/restore.json", ".holdall/parts/x", ".holdall/files", "z"] {
        tree::write(&shipment.source.join(file), &Random::new(file).bytes(3 * tree::CHUNK));
    }
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    // A run that knows nothing of that name, since what it selects has none of it, has begun before.
    let paths = shipment.paths();
    shipment.restore(&paths[..1], &to, &[]).expect(4);
    let words = ["status".into(), "--json".into(), "--to".into(), to.clone().into_os_string()];
    shipment.run(words.into_iter().chain([paths[1].clone().into()])).expect(4);
    let run = shipment.restore(&paths, &to, &[]).expect(0);
    assert_eq!(run.event("restored")["complete"], true);
    crate::common::snapshot::Snapshot::of(&shipment.source)
        .assert_equal(&crate::common::snapshot::Snapshot::of(&to));

    let one = Shipment::new(&[1]);
    let file = one.path().join(".holdall");
    fs::write(&file, b"one file").unwrap();
    let mut pack = one.pack_arguments("none", &[]);
    pack[1] = file.into();
    one.run(pack).expect(0);
    let to = one.new_destination();
    one.restore(&one.paths(), &to, &[]).expect(0);
    assert_eq!(fs::read(to.join(".holdall")).unwrap(), b"one file");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
}

/// Where `README` and `readme` are one name, the second of them is that file's problem, in every run:
/// what lies there as the first is not taken for it. The same holds of folders and what is in them.
#[test]
fn names_that_differ_by_case_alone_are_two_entries() {
    let shipment = Shipment::new(&[1, 1]);
    for file in ["Folder/same", "README", "folder/same", "readme", "zz"] {
        tree::write(&shipment.source.join(file), format!("{file:11}").as_bytes());
    }
    tree::write(&shipment.source.join("zzz"), &Random::new("case").bytes(20 * tree::CHUNK));
    let large = shipment.source.join("zzz");
    for file in tree::walk(&shipment.source).iter().filter(|path| path.is_file()) {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    }
    shipment.pack("none").expect(0);
    let point = shipment.path().join("exfat");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Exfat, 32) else { return };
    let to = point.join("out");
    let second = ["folder", "folder/same", "readme"];
    let check = |run: Run| {
        let mut refused: Vec<String> = problems(&run, "refused").into_iter().map(|p| p.0).collect();
        refused.sort();
        assert_eq!(refused, second, "{}", run.shown());
        assert_eq!(fs::read(to.join("README")).unwrap(), b"README     ");
        assert_eq!(fs::read(to.join("Folder/same")).unwrap(), b"Folder/same");
    };
    // The first drive alone leaves a cursor behind; which of the two has the small files is chance.
    let paths = shipment.paths();
    for path in &paths {
        let run = shipment.restore(std::slice::from_ref(path), &to, &[]);
        if to.join("README").is_file() {
            check(run);
        }
    }
    assert!(fs::read(to.join("zzz")).unwrap() == fs::read(large).unwrap());
    // It is finished, and not taken for whole.
    assert!(!to.join(".holdall").exists());
    shipment.restore(&paths, &to, &[]).expect(1);
}

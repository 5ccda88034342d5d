//! The destination is looked at: what it does not take or keep is told, by kind and with the path in
//! the dataset, and the rest is restored (Review A13, A19, R10, shape K).

use crate::common::mounted::{FileSystem, Memory, Mounted};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{Run, tree};
use holdall::testing::destination::{Destination, DestinationError, OnConflict};
use holdall::testing::format::list::{Entry, Kind};
use rstest::rstest;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

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

/// Review A13, R10, R15, F7: pipes are told, links become files, and the restore is complete.
#[test]
fn exfat_takes_what_it_can() {
    let shipment = packed(|source| {
        for file in ["a", "folder/file", "folder/quiet"] {
            tree::write(&source.join(file), file.as_bytes());
            fs::set_permissions(source.join(file), PermissionsExt::from_mode(0o640)).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_600_000_001, 500);
            File::options()
                .write(true)
                .open(source.join(file))
                .unwrap()
                .set_modified(time)
                .unwrap();
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
    for (field, count) in [("lost", 0), ("waiting", 0), ("refused", 0), ("unsupported", 1)] {
        assert_eq!(restored[field], count, "{field}: {}", run.shown());
    }
    let refused: Vec<String> =
        problems(&run, "refused").into_iter().map(|(path, _)| path).collect();
    assert_eq!(refused, ["pipe"], "{}", run.shown());
    let metadata = problems(&run, "metadata");
    let of = |what: &str| metadata.iter().filter(|(_, detail)| detail.starts_with(what)).count();
    assert_eq!(of("a separate file instead of a hard link"), 1, "{metadata:?}");
    assert_eq!(of("a small file with the target's path instead of a symlink"), 1, "{metadata:?}");
    assert_eq!(fs::read(to.join("folder/symlink")).unwrap(), b"a");
    // Its driver ignores a call that leaves the time of access alone.
    let times = metadata.iter().find(|(_, detail)| detail.starts_with("times not kept"));
    assert!(times.unwrap().1.contains("keeps them within"), "{metadata:?}");
    let seconds = |path: PathBuf| fs::metadata(path).unwrap().mtime();
    assert!((seconds(to.join("a")) - seconds(shipment.source.join("a"))).abs() <= 2);
    assert_eq!(of("mode not kept"), 1, "{metadata:?}");
    assert!(metadata.len() <= 6, "once a kind: {metadata:?}");
    for file in ["a", "b", "large", "folder/file", "folder/large again"] {
        assert!(fs::read(to.join(file)).unwrap() == fs::read(shipment.source.join(file)).unwrap());
    }
    assert!(!to.join(".holdall").exists());
    // Review A23: asked for again it was called a folder that is not empty.
    let again = shipment.restore(&shipment.paths(), &to, &[]).expect(3).event("restored");
    for (field, value) in [("in_place", true), ("complete", true)] {
        assert_eq!(again[field], value, "{field}: {again}");
    }
    assert_eq!((&again["lost"], &again["unsupported"]), (&0.into(), &1.into()), "{again}");
}

/// Review R15, F7: no drive is waited for, and `--give-up` ends it.
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
    assert_eq!(restored["refused_names"], 4, "{}", run.shown());
    assert_eq!(restored["awaited_sets"], serde_json::json!([]), "no drive would help");
    let mut refused: Vec<String> = problems(&run, "refused").into_iter().map(|p| p.0).collect();
    refused.sort();
    assert_eq!(refused, ["bad:folder", "bad:folder/inner", "folder/large?", "folder/what?"]);
    let list = fs::read_to_string(list).unwrap();
    assert!(refused.iter().all(|path| list.lines().any(|line| line.starts_with(path))), "{list}");
    assert_eq!(fs::read(to.join("folder/fine")).unwrap(), b"folder/fine");
    assert!(to.join("zz").is_file());
    // The same command tries again, until it is given up.
    let status = |status: i32| {
        let words = ["status".into(), "--json".into(), "--to".into(), to.clone().into_os_string()];
        shipment.run(words).expect(status)
    };
    let set = status(1).event("restoring");
    assert_eq!((&set["refused"], &set["lost"]), (&4.into(), &0.into()), "{set}");
    let again = |more: &[&str]| {
        let run = shipment.restore(&shipment.paths(), &to, more).expect(1);
        assert_eq!(run.event("restored")["refused"], 4, "{}", run.shown());
        assert_eq!(problems(&run, "refused").len(), 4, "{}", run.shown());
    };
    again(&[]);
    again(&["--give-up"]);
    status(0);
    assert!(!to.join(".holdall").exists());
}

/// The way back as restore.md gives it.
fn give_names_back(dir: &Path) {
    let page = include_str!("../../src/restorer/restore.md");
    let (_, script) = page.split_once("```python\n").unwrap();
    let (script, _) = script.split_once("```\n").unwrap();
    let run = std::process::Command::new("python3").args(["-c", script]).current_dir(dir).output();
    let run = run.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// Names that cannot be are mapped, in every run and from every drive to the same, and the list gives
/// each back.
#[rstest]
fn names_are_mapped_on_request_and_given_back(
    #[values(FileSystem::Exfat, FileSystem::Ntfs)] file_system: FileSystem,
) {
    let shipment = Shipment::new(&[1, 1]);
    let long = "?".repeat(250);
    let mut files: Vec<PathBuf> = [
        "bad:folder/inner",
        "con/aux.txt",
        "dot.",
        "etc. ",
        "Folder/same",
        "folder/same",
        "README",
        "readme",
        "Readme",
        "a%3Ab",
        "holdall-names.txt",
        ".holdall/x",
        "folder/what?",
        &long,
    ]
    .map(PathBuf::from)
    .into();
    files.push(OsStr::from_bytes(b"caf\xe9").into());
    let mut random = Random::new("mapped");
    for (number, file) in files.iter().enumerate() {
        tree::write(&shipment.source.join(file), &random.bytes(1000 + number * 90_000));
    }
    tree::write(&shipment.source.join("large?"), &random.bytes(30 * tree::CHUNK));
    fs::hard_link(shipment.source.join("dot."), shipment.source.join("z|link")).unwrap();
    shipment.pack("none").expect(0);
    let point = shipment.path().join("mounted");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, file_system, 96) else { return };
    let (to, paths) = (point.join("out"), shipment.paths());
    shipment.restore(&paths[..1], &to, &["--map-names"]).expect(4);
    let run = shipment.restore(&paths, &to, &[]).expect(1);
    assert!(run.stderr.contains("was begun with --map-names"), "{}", run.shown());
    let run = shipment.restore(&paths, &to, &["--map-names"]);
    let restored = run.event("restored");
    assert_eq!(restored["complete"], true, "{}", run.shown());
    assert!(!run.stdout.contains("another holdall has ended"), "{}", run.shown());
    for field in ["refused", "lost"] {
        assert_eq!(restored[field], 0, "{field}: {}", run.shown());
    }
    let list = fs::read_to_string(to.join("holdall-names.txt")).unwrap();
    let listed = list.lines().filter(|line| line.contains('\t')).count();
    assert_eq!(restored["mapped_names"], listed, "{list}");
    assert!(listed >= 13, "{list}");
    assert!(!to.join(".holdall").exists());
    // Asked for again, with the option or by the list alone, it is there.
    for more in [&["--map-names"][..], &[]] {
        let again = shipment.restore(&paths, &to, more).event("restored");
        assert_eq!((&again["in_place"], &again["lost"]), (&true.into(), &0.into()), "{again}");
    }
    // Without the list nothing in DIR says what a name that was cut was.
    let (list, kept) = (to.join("holdall-names.txt"), shipment.path().join("kept"));
    fs::copy(&list, &kept).unwrap();
    fs::remove_file(&list).unwrap();
    let run = shipment.restore(&paths, &to, &["--map-names"]).expect(3);
    assert!(problems(&run, "metadata")[0].1.starts_with("the list of mapped names is gone"));
    fs::copy(&kept, &list).unwrap();
    // On a file system that holds every name, the list gives each back.
    let copy = shipment.path().join("home/copy");
    fs::create_dir(copy.parent().unwrap()).unwrap();
    let copied = std::process::Command::new("cp").arg("-r").args([&to, &copy]).status().unwrap();
    assert!(copied.success());
    give_names_back(&copy);
    let below = |root: &Path| {
        let files = tree::walk(root).into_iter().filter(|path| path.is_file());
        let named = files
            .map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
        named.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (expected, found) = (below(&shipment.source), below(&copy));
    assert!(expected.keys().eq(found.keys()), "{:?} {:?}", expected.keys(), found.keys());
    assert!(expected == found);
}

/// exFAT by FUSE takes names that Windows then cannot open.
#[test]
fn names_that_windows_cannot_open_are_told() {
    let shipment = packed(|source| {
        for file in ["con/plain", "dot./inner.", "plain", "100%41"] {
            tree::write(&source.join(file), file.as_bytes());
        }
        fs::hard_link(source.join("plain"), source.join("nul")).unwrap();
        symlink("plain", source.join("aux.txt")).unwrap();
    });
    let point = shipment.path().join("mounted");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Exfat, 64) else { return };
    let (paths, to) = (shipment.paths(), point.join("out"));
    let told = shipment.restore(&paths, &to, &[]).event("restored");
    assert_eq!((&told["foreign_names"], &told["complete"]), (&5.into(), &true.into()), "{told}");
    let mapped = shipment.restore(&paths, &point.join("mapped"), &["--map-names"]);
    assert_eq!(mapped.event("restored")["foreign_names"], 0, "{}", mapped.shown());
    let elsewhere = shipment.restore(&paths, &shipment.new_destination(), &[]).expect(0);
    assert_eq!(elsewhere.event("restored")["foreign_names"], 0, "{}", elsewhere.shown());
}

/// A drive that is restored from is no good place for what comes of it; a folder is no drive.
#[test]
fn a_destination_on_a_drive_is_told() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "on a drive", 3);
    let paths = shipment.paths();
    let Some(_mounted) = Mounted::over(&paths[0], FileSystem::Ext4, 64) else { return };
    shipment.pack("none").expect(0);
    let told = |to: &Path| {
        let run = shipment.restore(&paths, to, &[]).expect(0);
        run.shown().contains("one of the drives being restored from")
    };
    assert!(told(&paths[0].join("out")));
    assert!(!told(&shipment.new_destination()));
}

/// Review R15, F7: what the destination refused stays refused while drives are here that do not
/// have it: none of them is to be fetched for it.
#[rstest]
fn a_refusal_stays_known_with_the_next_drive(
    #[values(FileSystem::Exfat, FileSystem::Ntfs)] file_system: FileSystem,
) {
    let shipment = Shipment::new(&[1, 1, 1]);
    let bad = |number: u8| match file_system {
        FileSystem::Ntfs => PathBuf::from(OsStr::from_bytes(&[b'b', 0xff, b'0' + number])),
        _ => PathBuf::from(format!("b:{number}")),
    };
    let mut random = Random::new("refused");
    for number in 0..9 {
        let bytes = random.bytes(100_000 + usize::from(number));
        tree::write(&shipment.source.join(bad(number)), &bytes);
    }
    shipment.pack("none").expect(0);
    let point = shipment.path().join("mounted");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, file_system, 64) else { return };
    let to = point.join("out");
    let mut refused = BTreeSet::new();
    let mut last = None;
    for path in shipment.paths().iter().cycle().take(5) {
        let run = shipment.restore(std::slice::from_ref(path), &to, &[]);
        let paths =
            |kind| problems(&run, kind).into_iter().map(|p| p.0).collect::<BTreeSet<String>>();
        let (now, waiting) = (paths("refused"), paths("waiting"));
        assert!(refused.is_subset(&now), "{refused:?} was refused: {}", run.shown());
        assert!(waiting.is_disjoint(&refused), "{}", run.shown());
        refused.extend(now);
        last = Some(run);
    }
    let run = last.unwrap().expect(1);
    assert_eq!(refused.len(), 9, "{}", run.shown());
    assert_eq!(run.event("restored")["awaited_sets"], serde_json::json!([]), "no drive would help");
    // Given up, it says the same, and says it once more.
    for _ in 0..2 {
        let run = shipment.restore(&shipment.paths(), &to, &["--give-up"]).expect(1);
        assert!(!run.stderr.contains("is not empty"), "{}", run.shown());
        assert!(run.stdout.contains("\"event\":\"restored\""), "{}", run.shown());
        assert!(!to.join(".holdall").exists());
    }
}

/// What is left of a file under NAME.incomplete may be refused as well: that is its matter alone.
#[test]
fn what_is_salvaged_may_be_refused() {
    let shipment = Shipment::new(&[1, 1, 1]);
    let mut random = Random::new("salvaged");
    for name in ["a:large", "large", "z/b?large", "z/large"] {
        tree::write(&shipment.source.join(name), &random.bytes(40 * tree::CHUNK));
    }
    shipment.pack("none").expect(0);
    let point = shipment.path().join("exfat");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Exfat, 32) else { return };
    let to = point.join("out");
    let run = shipment.restore(&shipment.paths()[..2], &to, &["--give-up", "--salvage"]).expect(1);
    let restored = run.event("restored");
    assert_eq!(restored["lost"].as_u64().unwrap() + restored["refused"].as_u64().unwrap(), 4);
    for name in ["large.incomplete", "z/large.incomplete"] {
        assert!(to.join(name).is_file(), "{name}: {}", run.shown());
    }
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
    assert!(!to.join("large").exists());
    // What was refused could never be had in the same folder.
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert!(to.join("large").is_file() && !to.join(".holdall").exists());
}

/// Review R15: XFS takes a target of 1023 bytes, others of 4095.
#[test]
fn a_symlink_that_is_too_long_is_a_file() {
    let long = "x/".repeat(1000);
    let shipment = packed(|source| {
        symlink(&long, source.join("long link")).unwrap();
        symlink("short", source.join("zz link")).unwrap();
        tree::write(&source.join("zz"), b"zz");
    });
    let point = shipment.path().join("xfs");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Xfs, 64) else { return };
    let to = point.join("out");
    let run = shipment.restore(&shipment.paths(), &to, &[]).expect(3);
    let told = problems(&run, "metadata");
    assert_eq!(told.len(), 1, "{}", run.shown());
    assert_eq!(told[0].0, "long link");
    assert!(told[0].1.contains("File name too long"), "{told:?}");
    assert_eq!(fs::read_to_string(to.join("long link")).unwrap(), long);
    assert_eq!(fs::read_link(to.join("zz link")).unwrap().to_str(), Some("short"));
    assert!(to.join("zz").is_file() && !to.join(".holdall").exists());
    assert_eq!(run.event("restored")["lost"], 0);
}

/// A destination on this file system, with a file in it.
fn with_file(dir: &Path, path: &str) -> Destination {
    let destination = Destination::open(dir, "00112233445566aa").unwrap().0;
    put(&destination, path).unwrap();
    destination
}

fn put(destination: &Destination, path: &str) -> Result<(), DestinationError> {
    let mut entry = Entry::new(path.as_bytes(), Kind::File);
    entry.mode = 0o644;
    let part = destination.begin_file(&entry)?;
    part.write_at(0, b"some bytes")?;
    destination.finish_file(part, &entry, OnConflict::Fail).map(|_| ())
}

fn link(path: &str, target: &str) -> Entry {
    let mut link = Entry::new(path.as_bytes(), Kind::HardLink);
    link.target = target.into();
    link.mode = 0o644;
    link
}

/// Review R10: `EMLINK`: ext4 takes 65,000 names of a file.
#[test]
fn a_file_that_can_have_no_further_name_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let point = folder.path().join("ext4");
    fs::create_dir(&point).unwrap();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Ext4, 64) else { return };
    let dir = point.join("out");
    let destination = with_file(&dir, "file");
    fs::create_dir(point.join("names")).unwrap();
    for number in 1..65_000 {
        fs::hard_link(dir.join("file"), point.join(format!("names/{number}"))).unwrap();
    }
    destination.link_or_copy(&link("again", "file"), OnConflict::Fail, &|| false).unwrap();
    assert_eq!(fs::read(dir.join("again")).unwrap(), b"some bytes");
    assert_eq!(fs::metadata(dir.join("again")).unwrap().nlink(), 1);
    let unkept =
        destination.unkept().unwrap().kinds.into_iter().find(|unkept| unkept.what == "hard link");
    let unkept = unkept.unwrap();
    assert_eq!((unkept.count, unkept.first.as_str()), (1, "again"));
    assert!(unkept.reason.contains("Too many links"), "{}", unkept.reason);
}

/// Review R10: `EXDEV`: another file system is mounted on a folder of the destination.
#[test]
fn what_lies_on_another_file_system_is_the_matter_of_that() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    let destination = with_file(&dir, "file");
    destination.make_folder(b"mounted").unwrap();
    drop(destination);
    let Some(_mounted) = Memory::new(&dir.join("mounted"), 1) else { return };
    let destination = Destination::open(&dir, "00112233445566aa").unwrap().0;
    let copied =
        destination.link_or_copy(&link("mounted/again", "file"), OnConflict::Fail, &|| false);
    for refused in [put(&destination, "mounted/file"), copied] {
        let error = refused.unwrap_err();
        assert!(!error.ends_all(), "{error:?}");
        assert!(error.reason().contains("Invalid cross-device link"), "{}", error.reason());
    }
    assert_eq!(fs::read_dir(dir.join("mounted")).unwrap().count(), 0);
    put(&destination, "another").unwrap();
    let parts: Vec<_> = tree::walk(&dir.join(".holdall/parts"));
    assert!(!parts.iter().any(|path| path.is_file()), "{parts:?}");
}

/// Review A19, R1, scale 2, shape K: holes take no room, and are no progress.
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
    // It stops when it is full, with what fitted so far, and says no more than that.
    assert!(notes_of_small[0].contains("the restore stops when it is full"), "{notes_of_small:?}");
    assert!(run.stderr.contains("hint: make room there"), "{}", run.shown());
    // Holes take no room, so the whole fits here.
    let large = shipment.path().join("large");
    let Some(_large) = Memory::new(&large, 40) else { return };
    let run = shipment.restore(&shipment.paths(), &large.join("out"), &[]).expect(0);
    assert_eq!(notes(&run), [""; 0]);
    let progress = run.events_of("progress").into_iter().rfind(|p| p["phase"] == "restore");
    let progress = progress.unwrap();
    assert_eq!((&progress["done"], &progress["total"]), (&(24 << 20).into(), &(24 << 20).into()));
}

/// Review R, small ones: a fresh drive's litter is no content, and what the dataset has of its name
/// takes its place.
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

/// Review R4: a dataset may have the working folder's name at its top.
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
    let check = |run: Run| {
        let mut refused: Vec<String> = problems(&run, "refused").into_iter().map(|p| p.0).collect();
        refused.sort();
        // Which of two that lie side by side comes first is chance.
        let names = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name());
        let first = names.into_iter().find(|name| name.eq_ignore_ascii_case("readme")).unwrap();
        let other = if first == "README" { "readme" } else { "README" };
        let mut second = ["folder", "folder/same", other];
        second.sort_unstable();
        assert_eq!(refused, second, "{}", run.shown());
        let content = format!("{:11}", first.to_str().unwrap());
        assert_eq!(fs::read_to_string(to.join(&first)).unwrap(), content);
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
    // It is never taken for whole, and ends when it is given up.
    check(shipment.restore(&paths, &to, &[]).expect(1));
    check(shipment.restore(&paths, &to, &["--give-up"]).expect(1));
    assert!(!to.join(".holdall").exists());
    shipment.restore(&paths, &to, &[]).expect(1).event("restored");
}

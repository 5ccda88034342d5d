//! Drives as people have them: desktops leave files in every folder, others use the same names, the
//! umask is strict, several shipments share a drive.

use super::repair::{Bench, repair};
use crate::common::images::{Image, Packed, image_of};
use crate::common::shipment::Shipment;
use crate::common::{is_root, tree};
use holdall::testing::drives::{Drive, WriteMode};
use holdall::testing::format::ids::{RunId, StripeId, StripeNumber, shard_path};
use holdall::testing::monitor::Recording;
use holdall::testing::sets::{RecordIndex, cleanup, open};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// What macOS and Windows leave; the last two lie in folders of their own.
const LITTER: [&str; 6] = [
    ".DS_Store",
    "._label.json",
    "Thumbs.db",
    "desktop.ini",
    ".Trashes/501/file",
    "System Volume Information/IndexerVolumeGuid",
];

/// Puts litter into every folder of an image; says where.
fn litter(image: &mut Image) -> Vec<String> {
    let mut folders: Vec<String> = vec!["holdall".into()];
    for path in image.keys() {
        let ends = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        folders.extend(ends);
    }
    folders.sort();
    folders.dedup();
    let paths = folders.iter().flat_map(|folder| LITTER.map(|name| format!("{folder}/{name}")));
    let paths: Vec<String> = paths.collect();
    image.extend(paths.iter().map(|path| (path.clone(), b"litter".to_vec())));
    paths
}

/// Review R13: on a drive that is verified, repaired and restored from.
#[test]
fn litter_in_any_folder_is_no_damage_and_stays_where_it_is() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "litter");
    let mut images = packed.images.clone();
    let paths = litter(&mut images[0]);
    assert!(paths.len() > 40, "{}", paths.len());
    let shard = super::repair::paths(&images[1], "/shards/00000/").remove(0);
    images[1].remove(&shard);
    let bench = Bench::new(&images);
    let verified = packed.verify(&Bench::new(&images[..1]).shared(), false);
    assert_eq!(verified.problems, []);
    assert!(verified.sets[0].drives[0].is_whole());
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], None, &monitor);
    assert!(done.is_whole(), "{:#?}", monitor.problems());
    images[1] = packed.images[1].clone();
    assert!(bench.images() == images, "nothing was copied, and nothing removed");
    packed.must_be_restored(&bench.shared(), "litter");
}

/// Review R13: a broken-off run is tidied up beside litter.
#[test]
fn litter_does_not_fail_a_drive_that_is_tidied() {
    let packed = Packed::new(&[1, 1], "drives=1", "tidied litter");
    let begun = RunId(0xabc);
    let broken = StripeId { run: begun, number: StripeNumber(0) };
    let ours = format!("{}/{}", packed.set_folder(), shard_path(broken, 0));
    let mut images = packed.images.clone();
    images[0].insert(ours.clone(), b"half".to_vec());
    let paths = litter(&mut images[0]);
    let bench = Bench::new(&images);
    let found = open::find(&bench.shared(), &Recording::default());
    let monitor = Recording::default();
    let record_index = RecordIndex::open(&found[0], None, &monitor);
    cleanup::remove_litter(&found[0], &record_index, &[begun], &monitor);
    assert_eq!(cleanup::level(&found[0], &record_index, &monitor).len(), 2);
    cleanup::reopen(&found[0], &monitor);
    assert_eq!(monitor.problems(), []);
    let after = image_of(&bench.drives[0]);
    assert!(!after.contains_key(&ours), "what the broken-off run left is gone");
    let closed = super::repair::paths(&after, "set.txt");
    assert_eq!(closed, Vec::<String>::new(), "it is not closed any more");
    assert!(paths.iter().all(|path| after.contains_key(path)), "the litter stays");
}

/// Review R18: whoever mounts the drive elsewhere is another user.
#[test]
fn all_may_read_a_drive_whatever_the_umask_says() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "umask", 5);
    let strict = |arguments: Vec<OsString>| {
        let mut words = vec![OsString::from("-c"), "umask 077; exec \"$0\" \"$@\"".into()];
        words.push(env!("CARGO_BIN_EXE_holdall").into());
        words.extend(arguments);
        let mut command = Command::new("sh");
        command.args(words).env("XDG_STATE_HOME", shipment.state());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let all_may_read = || {
        for drive in shipment.paths() {
            for path in tree::walk(&drive.join("holdall")) {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                let expected = if path.is_dir() { 0o755 } else { 0o644 };
                assert_eq!(mode, expected, "{}", path.display());
            }
        }
    };
    strict(shipment.pack_arguments("drives=1", &[]));
    all_may_read();
    fs::remove_file(&shipment.files(0, "shards/")[0]).unwrap();
    fs::remove_file(shipment.set_folder(0).join("set.txt")).unwrap();
    let paths = shipment.paths().into_iter().map(OsString::from);
    strict([OsString::from("repair")].into_iter().chain(paths).collect());
    all_may_read();
}

/// Review R18: the hint names permissions.
#[test]
fn a_drive_that_may_not_be_read_is_told_so() {
    if !is_root() {
        return; // only root can become another user
    }
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "denied", 3);
    shipment.pack("none").expect(0);
    let open = |path: PathBuf, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(shipment.path().into(), 0o755);
    open(shipment.path().join("drives"), 0o755);
    open(shipment.set_folder(0), 0o700);
    let program = shipment.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_holdall"), &program).unwrap();
    let mut command = Command::new(program);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = command.arg("verify").args(shipment.paths()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("permissions") && text.contains("chmod -R a+rX"), "{text}");
}

/// Review A14: the finder calls the right person.
#[test]
fn the_readme_names_every_set_on_its_drive() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "readme", 3);
    let pack = |name: &str, contact: &str| {
        let more = ["--json", "--name", name, "--contact", contact];
        let run = shipment.run(shipment.pack_arguments("none", &more)).expect(0);
        format!("{}-001", run.event("packed")["shipment"].as_str().unwrap())
    };
    let readme = || fs::read_to_string(shipment.paths()[0].join("holdall/README.txt")).unwrap();
    let first = pack("first", "Bob <bob@example.org>");
    let second = pack("second", "Eve");
    for words in ["first", "Bob <bob@", "second", "Eve", &first, &second, "pip install blake3"] {
        assert!(readme().contains(words), "{words}: {}", readme());
    }
    // Any Notepad shows it, and so does any terminal.
    let text = readme();
    assert!(text.is_ascii() && text.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
    let erase = |set: &str| {
        let drive = shipment.paths()[0].display().to_string();
        shipment.run(["erase", &drive, "--set", set, "--yes"]).expect(0);
    };
    erase(&first);
    assert!(!readme().contains("Bob") && readme().contains("Eve"), "{}", readme());
    erase(&second);
    assert!(!shipment.paths()[0].join("holdall").exists());
    // Reports, "small ones": what is printed on drives is one line.
    let more = ["--contact", "Eve\u{1b}[2J\nMallory"];
    let refused = shipment.run(shipment.pack_arguments("none", &more)).expect(2);
    assert!(refused.stderr.contains("control characters"), "{}", refused.shown());
}

/// A README.txt that holdall did not write is kept and told.
#[test]
fn files_of_somebody_else_stay_and_ours_lie_in_the_sets_folder() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "foreign", 3);
    let holdall = shipment.paths()[0].join("holdall");
    fs::create_dir(&holdall).unwrap();
    fs::write(holdall.join("README.txt"), "how to hold all of it").unwrap();
    fs::create_dir(holdall.join("format.md")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", holdall.join("reader.py")).unwrap();
    let run = shipment.run(shipment.pack_arguments("drives=1", &["--json"])).expect(0);
    let notes = run.events_of("note");
    let told = |n: &serde_json::Value| n["text"].as_str().unwrap().contains("holdall/README.txt");
    assert_eq!(notes.iter().filter(|n| told(n)).count(), 1, "{notes:?}");
    assert_eq!(fs::read(holdall.join("README.txt")).unwrap(), b"how to hold all of it");
    let name = run.event("packed")["shipment"].as_str().unwrap().to_owned() + "-001";
    for ours in ["README.txt", "format.md", "reader.py"] {
        assert!(holdall.join(&name).join(ours).is_file(), "{ours}");
    }
    shipment.verify(&shipment.paths()).expect(0);
    let drive = shipment.paths()[0].display().to_string();
    shipment.run(["erase", &drive, "--set", &name, "--yes"]).expect(0);
    let mut left: Vec<_> =
        fs::read_dir(&holdall).unwrap().map(|f| f.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["README.txt", "format.md", "reader.py"]);
}

#[test]
fn litter_is_not_taken_for_a_drive_that_a_repair_began() {
    let packed = Packed::new(&[1, 1], "cases=1", "new litter");
    let drive = holdall::testing::faulty::FaultyDrive::new("new", 64 << 20);
    for name in [".DS_Store", "shards/.DS_Store"] {
        let path = format!("{}/{name}", packed.set_folder());
        drive.make_folder(path.rsplit_once('/').unwrap().0).unwrap();
        drive.write(&path, b"litter", WriteMode::New).unwrap();
    }
    let new = || holdall::testing::repairer::onto::NewDrive {
        case: "case-0".into(),
        drive: std::sync::Arc::new(drive.clone()),
    };
    let bench = Bench::new(&packed.images[1..]);
    let done = repair(&bench.shared(), &[new()], None, &Recording::default());
    assert!(done.is_whole(), "{:#?}", done.repaired);
}

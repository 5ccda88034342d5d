//! Drives, sources and destinations that are not what they should be: each refusal names the thing,
//! the place and the remedy, and nothing is written where it is refused.

use crate::common::mounted::{FileSystem, Memory, Mounted};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{Run, has_programs, is_root, skip, tool, tree};
use crate::{assert_refused, holdall, small};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const NOBODY: u32 = 65534;

/// Runs the program as a user who owns nothing but what is given away to him; none, and a skip, if
/// we are not root.
pub(super) fn as_nobody(shipment: &Shipment, arguments: &[OsString]) -> Run {
    let program = shipment.path().join("program");
    // By another process: nobody who forks meanwhile keeps it open for writing.
    tool("cp", [Path::new(env!("CARGO_BIN_EXE_holdall")), &program]);
    let mut command = Command::new(&program);
    command.args(arguments).env("XDG_STATE_HOME", shipment.state()).uid(NOBODY).gid(NOBODY);
    let output = command.output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Gives everything below a folder to that user.
fn give_away(root: &Path) {
    for path in tree::walk(root) {
        std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// A shipment that belongs to somebody who is not root.
pub(super) fn nobodys() -> Option<Shipment> {
    if !is_root() {
        skip("only root can run a program as somebody else");
        return None;
    }
    let shipment = small();
    fs::set_permissions(shipment.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(shipment.state()).unwrap();
    give_away(shipment.path());
    Some(shipment)
}

/// Fails unless it was refused with this status, in these words.
#[track_caller]
fn assert_said(run: Run, status: i32, words: &[&str]) -> Run {
    let run = run.expect(status);
    for word in words {
        let told = run.stderr.contains(word) || run.stdout.contains(word);
        assert!(told, "{word:?} is not in\n{}", run.shown());
    }
    run
}

#[test]
fn what_may_not_be_read_is_left_out_and_said() {
    let Some(shipment) = nobodys() else { return };
    for (name, len) in [("secret", 10), ("large secret", 5 * tree::CHUNK)] {
        tree::write(&shipment.source.join(name), &vec![1; len]);
    }
    tree::write(&shipment.source.join("closed/file"), b"not to be seen");
    for (name, mode) in [("secret", 0o600), ("large secret", 0o600), ("closed", 0o700)] {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(shipment.source.join(name), permissions).unwrap();
    }
    let words = [
        "problem: secret: cannot open secret: Permission denied",
        "problem: large secret: cannot open large secret: Permission denied",
        "problem: closed: cannot open the folder: Permission denied",
        "49.2 kB in 2 files",
        "Packed without content because unreadable: 2 files",
        "could not be read: 3",
    ];
    assert_said(as_nobody(&shipment, &shipment.pack_arguments("drives=1", &[])), 3, &words);
    let to = shipment.new_destination();
    let mut restore = shipment.restore_arguments(&shipment.paths(), &to, &[]);
    restore.retain(|word| word != "--json");
    let words = [
        "secret: it could not be read when the dataset was packed",
        "2 files could not be read, or changed, while the dataset was packed",
        "closed: the packer could not list this folder",
        "1 entry could not be packed in full",
        "Every other file that was packed is complete and verified.",
    ];
    let run = assert_said(shipment.run(restore), 3, &words);
    assert!(!run.stdout.contains("Every file"), "{}", run.shown());
    assert!(to.join("folder/file").exists() && !to.join("secret").exists());
}

#[test]
fn a_source_that_may_not_be_read_is_refused() {
    let Some(shipment) = nobodys() else { return };
    chown(&shipment.source, Some(0), Some(0)).unwrap();
    fs::set_permissions(&shipment.source, fs::Permissions::from_mode(0o700)).unwrap();
    let run = as_nobody(&shipment, &shipment.pack_arguments("drives=1", &[]));
    let words =
        ["error: scan the source: cannot open ", "/source: Permission denied", "can be read"];
    assert_said(run, 1, &words);
}

#[test]
fn a_folder_of_somebody_else_is_no_drive_and_no_destination() {
    let Some(shipment) = nobodys() else { return };
    shipment.pack("drives=1").expect(0);
    let others = shipment.path().join("others");
    fs::create_dir(&others).unwrap();
    let mut pack = shipment.pack_arguments("none", &[]);
    while let Some(at) = pack.iter().position(|word| word == "--drive") {
        pack.drain(at..at + 2);
    }
    pack.extend(["--drive".into(), format!("c={}", others.display()).into()]);
    let words = ["/others cannot be used as a drive: write ", "Permission denied", "you may write"];
    assert_said(as_nobody(&shipment, &pack), 2, &words);
    for to in [others.clone(), others.join("new")] {
        let run = as_nobody(&shipment, &shipment.restore_arguments(&shipment.paths(), &to, &[]));
        let words = ["error: restore to ", "/others", "Permission denied", "can be written"];
        assert_said(run, 1, &words);
    }
    assert_eq!(fs::read_dir(&others).unwrap().count(), 0);
}

/// Mounts again what is mounted, with these options.
fn remount(point: &Path, options: &str) {
    let words = ["-o", &format!("remount,{options}")];
    tool(
        "mount",
        words
            .map(Into::into)
            .into_iter()
            .chain([point.as_os_str().into()])
            .collect::<Vec<OsString>>(),
    );
}

#[test]
fn what_is_mounted_read_only_is_no_drive_and_no_destination() {
    let shipment = small();
    let point = shipment.drives[0].1.clone();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Ext4, 32) else { return };
    remount(&point, "ro");
    let words = ["/a-1 cannot be used as a drive", "Read-only file system", "mounted read-only"];
    assert_said(shipment.run(shipment.pack_arguments("none", &[])), 2, &words);
    remount(&point, "rw");
    shipment.pack("drives=1").expect(0);
    remount(&point, "ro");
    shipment.verify(&shipment.paths()).expect(0);
    let to = point.join("new");
    let words = ["error: restore to ", "/a-1/new", "Read-only file system", "can be written"];
    assert_said(shipment.run(shipment.restore_arguments(&shipment.paths(), &to, &[])), 1, &words);
}

#[test]
fn one_drive_by_two_names_is_one_drive() {
    let mut shipment = small();
    shipment.pack("drives=1").expect(0);
    let first = shipment.paths()[0].clone();
    let link = shipment.path().join("link");
    std::os::unix::fs::symlink(&first, &link).unwrap();
    let mut paths = shipment.paths();
    paths.extend([link.clone(), first.join("../a-1"), first.join("holdall")]);
    let verified = shipment.verify(&paths).expect(0).event("verified");
    assert_eq!(verified["drives"].as_array().unwrap().len(), 4);

    if !is_root() {
        return skip("only root can mount a folder twice");
    }
    let bound = shipment.path().join("bound");
    fs::create_dir(&bound).unwrap();
    tool("mount", ["--bind".as_ref(), first.as_os_str(), bound.as_os_str()]);
    shipment.drives.push(("c".into(), bound.clone()));
    let run = shipment.run(shipment.pack_arguments("none", &[]));
    tool("umount", [&bound]);
    assert_said(run, 2, &["/bound was given twice", "hint: name each drive once"]);
}

#[test]
fn drives_on_one_device_share_its_room() {
    let shipment = small();
    let words = ["are on one device: if it is lost, all of them are; its room is counted once"];
    let run = assert_said(shipment.run(shipment.pack_arguments("none", &["--json"])), 0, &words);
    let plan = run.event("plan");
    let free: Vec<u64> = plan["drives"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["free_bytes"].as_u64().unwrap())
        .collect();
    let stat = rustix::fs::statvfs(shipment.path()).unwrap();
    let all = (stat.f_bavail * stat.f_frsize) as f64;
    let ratio = free.iter().sum::<u64>() as f64 / all;
    assert!((0.5..1.5).contains(&ratio), "{free:?} of {all}");
}

#[test]
fn drives_of_two_shipments_are_told_apart() {
    let (shipment, other) = (small(), small());
    shipment.pack("drives=1").expect(0);
    other.pack("drives=1").expect(0);
    let mut paths = shipment.paths();
    paths.push(other.paths()[0].clone());
    let to = shipment.new_destination();
    let run = shipment.run(shipment.restore_arguments(&paths, &to, &[]));
    assert_said(run, 1, &["the drives carry 2 shipments", "name one of them with --shipment"]);
    assert!(!to.exists());
    assert_eq!(shipment.verify(&paths).expect(4).events_of("verified").len(), 2);
    // The folder of one shipment says which is meant.
    paths.push(shipment.set_folder(0));
    shipment.restore(&paths, &to, &[]).expect(0);
    assert_eq!(shipment.verify(&paths).expect(0).events_of("verified").len(), 1);
    // The beginning of its id, too.
    paths.pop();
    let folder = shipment.set_folder(0);
    let beginning = &folder.file_name().unwrap().to_str().unwrap()[..12];
    let named = |id: &str| {
        let words = ["verify", "--json", "--shipment", id].map(OsString::from);
        shipment.run(words.into_iter().chain(paths.iter().map(OsString::from)))
    };
    assert_eq!(named(beginning).expect(0).events_of("verified").len(), 1);
    let other = if beginning.starts_with('0') { "1" } else { "0" }.repeat(12);
    assert_said(named(&other), 1, &["no drive that is here carries the shipment that was named"]);
}

#[test]
fn a_newer_format_asks_for_a_newer_holdall() {
    let shipment = small();
    shipment.pack("drives=1").expect(0);
    let renew = |drive: usize| {
        for path in shipment.files(drive, "").into_iter().filter(|p| p.ends_with("label.json")) {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
        }
    };
    renew(0);
    let key = shipment.key.display().to_string();
    let to = shipment.new_destination().display().to_string();
    let commands: [&[&str]; 4] =
        [&["verify"], &["status"], &["ls", "-i", &key], &["restore", "-i", &key, "--to", &to]];
    for words in commands {
        let mut command = holdall(shipment.path());
        command.args(words).arg(&shipment.paths()[0]);
        let words = ["label.json is of format 2", "hint: a newer holdall is needed"];
        assert_refused(&mut command, 1, &words);
    }
    // The other drives are enough.
    let words = ["label is of format 2", "a newer holdall is needed", "Every file is complete"];
    let mut restore = shipment.restore_arguments(&shipment.paths(), to.as_ref(), &[]);
    restore.retain(|word| word != "--json");
    assert_said(shipment.run(restore), 3, &words);
}

#[test]
fn metadata_files_that_are_cut_short_are_damage_and_no_panic() {
    let shipment = small();
    tree::write(&shipment.source.join("noise"), &Random::new("cut").bytes(40 * tree::CHUNK));
    shipment.pack("drives=1").expect(0);
    // Shards are no metadata files, and custody notes are outside of what is checked.
    let is_metadata_file = |p: &PathBuf| {
        !p.iter().any(|name| ["shards", "custody"].iter().any(|folder| name == *folder))
    };
    let metadata_files: Vec<_> =
        shipment.files(0, "").into_iter().filter(is_metadata_file).collect();
    assert!(metadata_files.len() > 8);
    for path in metadata_files {
        let bytes = fs::read(&path).unwrap();
        for len in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..len]).unwrap();
            let run = shipment.verify(&shipment.paths());
            assert_eq!(run.status, 3, "{} {len}: {}", path.display(), run.shown());
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(run.stdout.contains(name), "{name} {len}: {}", run.shown());
        }
        let to = shipment.new_destination();
        let run = shipment.restore(&shipment.paths(), &to, &[]);
        assert!([0, 3].contains(&run.status), "{}: {}", path.display(), run.shown());
        assert_eq!(fs::read(to.join("folder/file")).unwrap(), b"some bytes");
        fs::write(&path, &bytes).unwrap();
    }
    shipment.verify(&shipment.paths()).expect(0);
}

/// Review A3, R16: an empty mount point on the system's disk, beside the dataset.
#[test]
fn a_mount_point_without_its_drive_is_refused_until_folders_are_meant() {
    let shipment = small();
    let strict = |shipment: &Shipment, more: &[&str]| {
        let mut words = shipment.pack_arguments("drives=1", more);
        words.retain(|word| word != "--folder-drives");
        words
    };
    let words = ["/drives/a-1 is on the ", "no drive is mounted there", "add --folder-drives"];
    assert_said(shipment.run(strict(&shipment, &[])), 2, &words);
    crate::assert_untouched(&shipment);
    assert!(!shipment.state().exists(), "no state is left");
    let mounted: Option<Vec<Memory>> =
        shipment.paths().iter().map(|path| Memory::new(path, 32)).collect();
    let Some(_mounted) = mounted else { return };
    // A folder on a drive of its own is one.
    let inner = shipment.paths()[0].join("folder");
    fs::create_dir(&inner).unwrap();
    let mut pack = strict(&shipment, &["--json"]);
    let first = pack.iter().position(|word| word == "--drive").unwrap() + 1;
    pack[first] = format!("a={}", inner.display()).into();
    shipment.run(pack).expect(0);
    // The next set, and a new drive for a lost one, are no different.
    let lost = shipment.path().join("lost");
    fs::create_dir(&lost).unwrap();
    let onto = format!("a={}", lost.display());
    let mut repair: Vec<OsString> = ["repair", "--onto", &onto].map(OsString::from).into();
    repair.extend(shipment.paths()[1..].iter().map(OsString::from));
    let words = ["/lost is on the ", "add --folder-drives"];
    assert_said(shipment.run(repair.clone()), 2, &words);
    assert_eq!(fs::read_dir(&lost).unwrap().count(), 0);
    repair.push("--folder-drives".into());
    shipment.run(repair).expect(0);
}

/// Review R16: where drives are mounted, a folder on the system's disk is noted by `restore --to`.
#[test]
fn a_destination_whose_drive_is_not_mounted_is_noted() {
    if !is_root() || !has_programs(&["unshare", "mount"]) {
        return skip("only root can mount");
    }
    let shipment = small();
    shipment.pack("drives=1").expect(0);
    let run = |to: &str| {
        // What looks like /mnt here is a folder of this test.
        let line = "mount --bind \"$0\" /mnt && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", line]).arg(shipment.path());
        command.arg(env!("CARGO_BIN_EXE_holdall"));
        command.args(shipment.restore_arguments(&shipment.paths(), Path::new(to), &[]));
        let output = command.env("XDG_STATE_HOME", shipment.state()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let noted = run("/mnt/typo/x").contains("/mnt/typo/x is on the system's disk (/): no drive");
    let on_system =
        fs::metadata(shipment.path()).unwrap().dev() == fs::metadata("/").unwrap().dev();
    assert_eq!(noted, on_system);
    assert!(shipment.path().join("typo/x/folder/file").is_file());
    let elsewhere = shipment.new_destination();
    assert!(!run(elsewhere.to_str().unwrap()).contains("no drive is mounted"));
}

/// Review F3: it is told, and the others are worked on.
#[test]
fn a_named_drive_that_cannot_be_opened_stops_nothing() {
    let shipment = small();
    shipment.pack("cases=1,drives=1").expect(0);
    let dead = shipment.path().join("dead");
    let mut paths = shipment.paths();
    paths[1].clone_from(&dead);
    let key = shipment.key.as_os_str();
    let to = shipment.new_destination();
    let set = shipment.set_folder(0).file_name().unwrap().to_owned();
    let erase = vec!["erase".as_ref(), "--yes".as_ref(), "--set".as_ref(), set.as_os_str()];
    let restore = vec!["restore".as_ref(), "-i".as_ref(), key, "--to".as_ref(), to.as_os_str()];
    for words in [
        vec!["status".as_ref()],
        vec!["verify".as_ref()],
        vec!["verify".as_ref(), "-i".as_ref(), key],
        vec!["repair".as_ref()],
        vec!["ls".as_ref(), "-i".as_ref(), key],
        vec!["close".as_ref(), "--yes".as_ref()],
        restore,
        erase,
    ] {
        let with = |paths: &[PathBuf]| -> Vec<OsString> {
            let words = words.iter().copied().map(OsString::from);
            words.chain(paths.iter().map(OsString::from)).collect()
        };
        let run = assert_said(shipment.run(with(&paths)), 3, &["cannot be opened as a drive"]);
        let told = format!("problem: {}: ", dead.display());
        assert!(run.stderr.contains(&told), "{words:?}\n{}", run.shown());
        // If none can be opened, that is the error.
        let refused = shipment.run(with(std::slice::from_ref(&dead)));
        assert!([1, 2].contains(&refused.status), "{words:?}\n{}", refused.shown());
    }
    assert_eq!(fs::read(to.join("folder/file")).unwrap(), b"some bytes");
    assert_eq!(tree::walk(&paths[0]), [paths[0].clone()], "it is erased");
}

/// Issue 14: what the system and the disk itself tell of a drive is listed, and noted when it is packed
/// onto, without changing the status. `/sys` and smartctl are recorded ones here.
#[test]
fn what_costs_a_day_is_known_before_a_drive_is_packed_onto() {
    if !is_root() || !has_programs(&["unshare", "mount"]) {
        return skip("only root can mount");
    }
    let shipment = small();
    let point = shipment.drives[0].1.clone();
    let Some(_mounted) = Mounted::over(&point, FileSystem::Ext4, 64) else { return };
    let number = fs::metadata(&point).unwrap().dev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let sys = shipment.path().join("sys");
    let usb = "devices/pci0000:00/0000:00:14.0/usb1/1-4";
    let scsi = format!("{usb}/1-4:1.0/host6/target6:0:0/6:0:0:0");
    for (path, text) in [
        (format!("{usb}/idVendor"), "0781"),
        (format!("{usb}/speed"), "480"),
        (format!("{usb}/version"), " 2.10"),
        (format!("{usb}/serial"), "03021418050724"),
        (format!("{scsi}/vendor"), "SanDisk "),
        (format!("{scsi}/model"), "Ultra           "),
        (format!("{scsi}/block/sdz/removable"), "1"),
    ] {
        tree::write(&sys.join(path), text.as_bytes());
    }
    let link = |target: &str, path: &str| {
        let path = sys.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    };
    link("../../../6:0:0:0", &format!("{scsi}/block/sdz/device"));
    link(&format!("../../{scsi}/block/sdz"), &format!("dev/block/{major}:{minor}"));
    let smartctl = shipment.path().join("bin/smartctl");
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/drives/smart-failing.json");
    tree::write(&smartctl, format!("#!/bin/sh\ncat {recorded}\n").as_bytes());
    fs::set_permissions(&smartctl, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |words: Vec<OsString>| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", "mount --bind \"$0\" /sys && exec \"$@\""]).arg(&sys);
        command.arg(env!("CARGO_BIN_EXE_holdall")).args(words);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path);
        let first = std::iter::once(smartctl.parent().unwrap().to_owned());
        command.env("PATH", std::env::join_paths(first.chain(folders)).unwrap());
        let output = command.env("XDG_STATE_HOME", shipment.state()).output().unwrap();
        Run {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    };

    let listed = run(["drives", "--json"].map(OsString::from).into()).expect(0);
    let of = |path: &Path| {
        let events = listed.events_of("attached").into_iter();
        events.into_iter().find(|event| event["path"] == path.to_str().unwrap()).unwrap()
    };
    let drive = of(&point);
    for (field, value) in [
        ("model", "SanDisk Ultra"),
        ("serial", "03021418050724"),
        ("connection", "usb"),
        ("health", "failing"),
        ("file_system", "ext4"),
        ("level", "direct"),
    ] {
        assert_eq!(drive[field], value, "{drive}");
    }
    assert_eq!((&drive["megabits_per_second"], &drive["own_disk"]), (&480.into(), &false.into()));
    assert_eq!(of(Path::new("/"))["own_disk"], true);

    let mut pack = shipment.pack_arguments("none", &[]);
    let at = pack.iter().rposition(|word| word == "--drive").unwrap();
    pack.drain(pack.iter().position(|word| word == "--drive").unwrap() + 2..at + 2);
    let noted = [
        format!("note: {}: USB 2: about 7 hours for each TB", point.display()),
        format!("note: {}: it expects to fail soon (SMART)", point.display()),
    ];
    let noted: Vec<&str> = noted.iter().map(String::as_str).collect();
    assert_said(run(pack), 0, &noted);
    // It is known again, by what lies on it and by what is remembered.
    let page = run(vec!["drives".into()]).expect(0).stdout;
    for words in ["FAILING", "SanDisk Ultra, 03021418050724", "case a, slot 1", "\nLeft out: /"] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    let known = fs::read_to_string(shipment.state().join("holdall/drives.json")).unwrap();
    assert!(known.contains("\"case\": \"a\""), "{known}");
}

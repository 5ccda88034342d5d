//! Security S12: a shipment of somebody who is not trusted, restored by root.

use crate::common::shipment::Shipment;
use crate::common::{Run, is_root, skip};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, getxattr, makedev, mknodat, setxattr};
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

const CAPABILITY: &str = "security.capability";
/// `cap_net_raw+ep`, version 2.
const NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A source with one of each; false if its file system has no capabilities.
fn fill(source: &Path) -> bool {
    fs::create_dir_all(source.join("group")).unwrap();
    for (name, mode) in [("setuid", 0o4755), ("able", 0o755), ("plain", 0o644)] {
        fs::write(source.join(name), name).unwrap();
        fs::set_permissions(source.join(name), Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(source.join("group"), Permissions::from_mode(0o2755)).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, source.join("null"), FileType::CharacterDevice, mode, makedev(1, 3)).unwrap();
    for name in ["null again", "null third"] {
        fs::hard_link(source.join("null"), source.join(name)).unwrap();
    }
    mknodat(CWD, source.join("pipe"), FileType::Fifo, mode, 0).unwrap();
    setxattr(source.join("plain"), "trusted.mark", b"x", XattrFlags::empty()).is_ok()
        && setxattr(source.join("able"), CAPABILITY, &NET_RAW, XattrFlags::empty()).is_ok()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn has_capability(path: &Path) -> bool {
    getxattr(path.join("able"), CAPABILITY, &mut [0; 64][..]).is_ok()
}

/// Counts of a restore: devices, set-ids, attributes.
fn counts(run: &Run, names: [&str; 3]) -> [u64; 3] {
    let restored = run.event("restored");
    names.map(|name| restored[name].as_u64().unwrap())
}

const MADE: [&str; 3] = ["made_devices", "made_set_ids", "made_capabilities"];
const LEFT: [&str; 3] = ["left_devices", "left_set_ids", "left_attributes"];

/// The same restore in words.
fn words(shipment: &Shipment, paths: &[PathBuf], to: &Path, more: &[&str]) -> String {
    let arguments = shipment.restore_arguments(paths, to, more);
    shipment.run(arguments.into_iter().filter(|word| word != "--json")).expect(0).stdout
}

#[test]
fn what_lends_rights_is_told_or_left_out_as_asked() {
    if !is_root() {
        return skip("only root makes devices");
    }
    let shipment = Shipment::new(&[1, 1]);
    if !fill(&shipment.source) {
        return skip("no file capabilities here");
    }
    let root = shipment.pack("drives=1").expect(0).event("packed")["root"].clone();
    let (root, paths) = (root.as_str().unwrap(), shipment.paths());

    let exact = shipment.new_destination();
    let run = shipment.restore(&paths, &exact, &[]).expect(0);
    assert_eq!((counts(&run, MADE), counts(&run, LEFT)), ([1, 1, 1], [0; 3]));
    assert_eq!(mode(&exact.join("setuid")), 0o4755);
    assert!(fs::metadata(exact.join("null")).unwrap().file_type().is_char_device());
    assert!(has_capability(&exact));
    let told = words(&shipment, &paths, &shipment.new_destination(), &[]);
    let line = "This run created 1 device node, 1 setuid or setgid file, 1 file capability, and";
    assert!(told.lines().any(|said| said.starts_with(line)), "{told}");
    let told = words(&shipment, &paths, &shipment.new_destination(), &["--expect", root]);
    assert!(!told.contains("This run created"), "{told}");

    let tame = shipment.new_destination();
    let run = shipment.restore(&paths, &tame, &["--no-special"]).expect(0);
    assert_eq!((counts(&run, MADE), counts(&run, LEFT)), ([0; 3], [3, 2, 2]));
    assert!(run.problems().is_empty(), "{}", run.shown());
    for (name, wanted) in [("setuid", 0o755), ("able", 0o755), ("group", 0o755), ("pipe", 0o600)] {
        assert_eq!(mode(&tame.join(name)), wanted, "{name}");
    }
    for name in ["null", "null again", "null third"] {
        assert!(tame.join(name).symlink_metadata().is_err(), "{name}");
    }
    let mut value = [0; 8];
    assert!(getxattr(tame.join("plain"), "trusted.mark", &mut value[..]).is_err());
    assert!(!has_capability(&tame) && !tame.join(".holdall").exists());
    // Asked for again it is in place, and nothing of it is missed.
    let run = shipment.restore(&paths, &tame, &["--no-special"]).expect(0);
    assert_eq!(run.event("restored")["in_place"], true);
    let told = words(&shipment, &paths, &shipment.new_destination(), &["--no-special"]);
    let line =
        "Left out, as --no-special asks: 3 device nodes, 2 set-id entries, 2 system attributes.";
    assert!(told.contains(line) && !told.contains("This run created"), "{told}");
    // Of further names alone the device is not missed either.
    for included in ["null *", "null", "*l*"] {
        let more = ["--no-special", "--include", included];
        let run = shipment.restore(&paths, &shipment.new_destination(), &more).expect(0);
        assert!(run.event("restored")["left_devices"].as_u64().unwrap() > 0, "{}", run.shown());
    }
    // From the lists in the shards, too, where a link comes in another walk than its device.
    for drive in [0, 1] {
        fs::remove_dir_all(shipment.set_folder(drive).join("catalog")).unwrap();
        fs::remove_dir_all(shipment.set_folder(drive).join("copy/catalog")).ok();
    }
    let run = shipment.restore(&paths, &shipment.new_destination(), &["--no-special"]).expect(3);
    assert_eq!(counts(&run, LEFT), [3, 2, 2]);
}

/// Bits that one run left out come with no later run unless that asks for the same.
#[test]
fn a_restore_goes_on_as_it_was_asked_for() {
    let shipment = Shipment::new(&[1, 1]);
    for number in 0..40 {
        fs::create_dir_all(&shipment.source).unwrap();
        fs::write(shipment.source.join(format!("{number}")), vec![number; 90_000]).unwrap();
    }
    shipment.pack("none").expect(0);
    let (paths, to) = (shipment.paths(), shipment.new_destination());
    shipment.restore(&paths[..1], &to, &["--no-special"]).expect(4);
    let refused = shipment.restore(&paths, &to, &[]).expect(1);
    let hint = refused.event("error")["hint"].to_string();
    assert!(hint.contains("run it with --no-special"), "{hint}");
    let status = shipment.run(["status".as_ref(), "--to".as_ref(), to.as_os_str()]);
    assert!(status.stdout.contains("Begun with --no-special"), "{}", status.shown());
    shipment.restore(&paths, &to, &["--no-special"]).expect(0);
}

//! A `smartctl` that answers as recorded, in `fixtures/drives`.

use super::*;
use rstest::rstest;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A program that runs these lines of the shell's.
fn smartctl(folder: &Path, lines: &str) -> Smartctl {
    let program = folder.join("smartctl");
    fs::write(&program, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Smartctl { program: Some(program), patience: Duration::from_secs(20) }
}

fn recorded(name: &str) -> String {
    format!("cat {}/fixtures/drives/smart-{name}.json", env!("CARGO_MANIFEST_DIR"))
}

/// Runs it once more while another test that forks holds the program open for writing.
fn ask(smartctl: &Smartctl, disk: &str) -> Health {
    loop {
        let health = smartctl.ask(disk).unwrap();
        if !health.detail.as_ref().is_some_and(|text| text.contains("Text file busy")) {
            return health;
        }
    }
}

#[rstest]
#[case("passed", "sdb", State::Passed, None, 0)]
#[case("nvme", "nvme0n1", State::Passed, None, 0)]
#[case("failing", "sda", State::Failing, Some("it expects to fail soon"), 24)]
#[case("sectors", "sda", State::Passed, None, 8)]
#[case(
    "unsupported",
    "sdd",
    State::Unknown,
    Some("it has no SMART: it tells nothing of its health"),
    0
)]
#[case("denied", "sdb", State::Unknown, Some("only root may ask it: sudo smartctl -H /dev/sdb"), 0)]
#[case("bridge", "sdc", State::Unknown, Some("Unknown USB bridge [0x04e8:0x61f5 (0x100)]"), 0)]
fn a_disk_is_as_it_says(
    #[case] name: &str,
    #[case] disk: &str,
    #[case] state: State,
    #[case] detail: Option<&str>,
    #[case] bad_sectors: u64,
) {
    let folder = tempfile::tempdir().unwrap();
    let said = ask(&smartctl(folder.path(), &recorded(name)), disk);
    assert_eq!(said, Health { state, detail: detail.map(Into::into), bad_sectors });
}

#[test]
fn behind_a_bridge_that_is_not_known_it_is_asked_as_a_sata_disk() {
    let folder = tempfile::tempdir().unwrap();
    let lines = format!(
        "case \"$*\" in *'-d sat /dev/sdc') {};; *) {}; exit 1;; esac",
        recorded("passed"),
        recorded("bridge")
    );
    assert_eq!(ask(&smartctl(folder.path(), &lines), "sdc").state, State::Passed);
}

#[test]
fn what_does_not_answer_or_says_nothing_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let impatient = |lines: &str| Smartctl {
        patience: Duration::from_secs(1),
        ..smartctl(folder.path(), lines)
    };
    let hanging = ask(&impatient("exec sleep 600"), "sdb");
    assert_eq!(hanging, Health::unknown("it did not answer within 1 s"));
    let old = ask(&smartctl(folder.path(), "echo 'UNRECOGNIZED OPTION: json'; exit 1"), "sdb");
    assert!(old.detail.unwrap().contains("7.0 or later"));
    let none = Smartctl { program: None, patience: PATIENCE };
    assert_eq!(none.ask("sdb").unwrap(), Health::unknown("smartctl is not installed"));
    assert_eq!(none.ask("loop0"), None);
}

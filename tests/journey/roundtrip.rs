//! Trees in which everything occurs, on 1 to 8 drives under every rule, compared by rsync.

use crate::common::shipment::Shipment;
use crate::common::snapshot::assert_same_blocks;
use crate::common::{assert_rsync_equal, has_programs, tree};
use rstest::rstest;
use std::fs;

/// What the level follows is how fast the drives are, so it may be any.
#[test]
fn what_is_packed_as_hard_as_the_drives_allow_comes_back() {
    if !has_programs(&["rsync"]) {
        return;
    }
    let shipment = Shipment::new(&[1, 1]);
    tree::rich(&shipment.source, "level auto");
    shipment.run(shipment.pack_arguments("drives=1", &["--level", "auto"])).expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert_rsync_equal(&shipment.source, &to);
}

#[rstest]
#[case::one_drive(&[1], "none")]
#[case::one_drive_along(&[1], "blocks=1%")]
#[case::four_cases_along(&[1, 1, 1, 1], "cases=1,blocks=1%")]
#[case::two_drives_none(&[2], "none")]
#[case::two_drives(&[2], "drives=1")]
#[case::two_cases(&[1, 1], "cases=1")]
#[case::four_drives_none(&[4], "none")]
#[case::four_drives(&[4], "drives=1")]
#[case::four_cases(&[1, 1, 1, 1], "cases=1")]
#[case::four_cases_and_a_drive(&[1, 1, 1, 1], "cases=1,drives=1")]
#[case::two_cases_of_two(&[2, 2], "cases=1,drives=1")]
#[case::eight_drives_none(&[4, 4], "none")]
#[case::eight_drives(&[8], "drives=1")]
#[case::eight_drives_in_unequal_cases(&[3, 3, 2], "cases=1")]
#[case::eight_drives_in_four_cases(&[2, 2, 2, 2], "cases=1,drives=1")]
fn every_kind_of_entry_comes_back(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[values("chacha20", "aes256")] cipher: &str,
) {
    if !has_programs(&["rsync"]) {
        return;
    }
    let shipment = Shipment::new(cases);
    tree::rich(&shipment.source, &format!("{cases:?} {survive}"));
    let packed = shipment.pack_with(cipher, survive).expect(0);
    assert_eq!(packed.event("plan")["cipher"], cipher);
    let verified = shipment.verify(&shipment.paths()).expect(0);
    assert_eq!(verified.problems(), []);
    let to = shipment.new_destination();
    let restored = shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert_eq!(restored.event("restored")["complete"], true);
    assert_eq!(restored.event("restored")["rebuilt_blocks"], 0);
    assert_rsync_equal(&shipment.source, &to);
    assert_same_blocks(&shipment.source, &to);
}

#[test]
fn a_single_file_is_a_dataset() {
    let mut shipment = Shipment::new(&[1, 1]);
    let folder = shipment.source.clone();
    tree::plain(&folder, "single", 3);
    shipment.source = folder.join("large/noise");
    shipment.pack("drives=1").expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths()[1..], &to, &[]).expect(3);
    let restored: Vec<_> = fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(restored, ["noise"]);
    assert_eq!(fs::read(to.join("noise")).unwrap(), fs::read(&shipment.source).unwrap());
}

#[test]
fn an_empty_folder_is_a_dataset() {
    if !has_programs(&["rsync"]) {
        return;
    }
    let shipment = Shipment::new(&[1, 1, 1]);
    shipment.pack("cases=1").expect(0);
    shipment.verify(&shipment.paths()).expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert_rsync_equal(&shipment.source, &to);
}

#[test]
fn what_is_excluded_stays_behind() {
    let shipment = Shipment::new(&[1]);
    for name in ["keep/a.txt", "keep/a.tmp", "b.tmp", "skip/c.txt"] {
        tree::write(&shipment.source.join(name), b"bytes");
    }
    let more = ["--json", "--exclude", "*.tmp", "--exclude", "skip"];
    shipment.run(shipment.pack_arguments("none", &more)).expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    let left: Vec<_> =
        tree::walk(&to).iter().map(|p| p.strip_prefix(&to).unwrap().to_owned()).collect();
    assert_eq!(left, ["", "keep", "keep/a.txt"].map(std::path::PathBuf::from));
}

#[test]
fn two_names_of_one_symlink_stay_one() {
    if !has_programs(&["rsync"]) {
        return;
    }
    let shipment = Shipment::new(&[1]);
    let link = shipment.source.join("link");
    std::os::unix::fs::symlink("anywhere", &link).unwrap();
    fs::hard_link(&link, shipment.source.join("the same link")).unwrap();
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert_rsync_equal(&shipment.source, &to);
}

//! With room to spare, drives and cases carry the same.

use crate::common::lab::{Lab, small_geometry};
use crate::common::random::Random;
use crate::common::tree;
use rstest::rstest;

#[rstest]
#[case::cases(&[2, 2, 2, 2], "cases=1")]
#[case::cases_and_a_drive(&[2, 2, 2, 2], "cases=1,drives=1")]
#[case::drives(&[4], "drives=1")]
#[case::none(&[3, 3], "none")]
#[case::sixteen(&[4, 4, 4, 4], "cases=1,drives=1")]
fn equal_cases_carry_equal_bytes(#[case] cases: &[usize], #[case] survive: &str) {
    let source = tempfile::tempdir().unwrap();
    let mut random = Random::new("balance");
    for i in 0..40 {
        tree::write(&source.path().join(format!("{i}")), &random.bytes(1 << 20));
    }
    let mut lab = Lab::new(cases, 1 << 30, 3);
    let packed = lab.pack(source.path(), survive);
    let shard = small_geometry().blocks.file_bytes() as u64;
    let most = *packed.drive_bytes.iter().max().unwrap();
    let least = *packed.drive_bytes.iter().min().unwrap();
    assert!(least > 20 * shard, "{:?}", packed.drive_bytes);
    assert!(most - least <= 2 * shard, "{:?}", packed.drive_bytes);
    let mut next = packed.drive_bytes.iter();
    let sums: Vec<u64> = cases.iter().map(|n| next.by_ref().take(*n).sum()).collect();
    let (most, least) = (*sums.iter().max().unwrap(), *sums.iter().min().unwrap());
    assert!((most - least) * 100 <= most, "{sums:?}");
}

/// What a drive says it carries is what lies on it.
#[test]
fn bytes_on_drives_are_those_reported() {
    let source = tempfile::tempdir().unwrap();
    tree::plain(source.path(), "reported", 50);
    let mut lab = Lab::new(&[1, 2], 1 << 28, 4);
    let packed = lab.pack(source.path(), "drives=1");
    for (drive, bytes) in lab.drives.iter().zip(&packed.drive_bytes) {
        let shards = drive.paths().into_iter().filter(|p| p.contains("/shards/"));
        let lens = shards.map(|p| drive.with_file(&p, |bytes| bytes.len() as u64).unwrap());
        assert_eq!(lens.sum::<u64>(), *bytes);
    }
}

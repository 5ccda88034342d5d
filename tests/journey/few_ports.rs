//! Fewer ports at the far end than drives: one at a time is enough while nothing is lost; with a
//! loss, shards are kept until enough of a stripe's were here.

use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use rstest::rstest;
use std::fs;
use std::path::Path;

/// Small files, and larger ones over many shards and stripes, some with holes.
fn shipment(cases: &[usize], survive: &str) -> Shipment {
    let shipment = Shipment::new(cases);
    tree::plain(&shipment.source, "ports", 60);
    tree::rich(&shipment.source.join("rich"), "ports");
    let mut random = Random::new("ports");
    for i in 0..3 {
        tree::write(
            &shipment.source.join(format!("large-{i}")),
            &random.bytes(1_300_000 + i * 777),
        );
    }
    shipment.pack(survive).expect(0);
    shipment
}

/// Restores with one drive after the other attached alone, until all is there; the last status.
fn one_by_one(shipment: &Shipment, drives: &[usize], to: &Path, more: &[&str]) -> i32 {
    let mut status = -1;
    for drive in drives {
        let run = shipment.restore(&shipment.paths()[*drive..=*drive], to, more);
        assert!([0, 3, 4].contains(&run.status), "drive {drive}: {}", run.shown());
        assert!(!run.stderr.contains("panicked"), "{}", run.shown());
        status = run.status;
        if status != 4 {
            break; // all is there
        }
    }
    status
}

#[rstest]
#[case::three_and_one(&[1, 1, 1, 1], "cases=1", &[2, 0, 3, 1])]
#[case::along(&[1, 1, 1, 1], "cases=1,blocks=10%", &[0, 1, 2, 3])]
#[case::no_parity(&[3], "none", &[2, 1, 0])]
#[case::two_and_two(&[2, 2], "cases=1", &[3, 1, 0, 2])]
fn one_drive_at_a_time_is_enough(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[case] order: &[usize],
) {
    let shipment = shipment(cases, survive);
    let to = shipment.new_destination();
    let before = &order[..order.len() - 1];
    assert_eq!(one_by_one(&shipment, before, &to, &[]), 4, "the last drive has its own share");
    let last = order[order.len() - 1];
    let run = shipment.restore(&shipment.paths()[last..=last], &to, &[]).expect(0);
    assert_eq!(run.event("restored")["rebuilt_blocks"], 0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
    assert!(!to.join(".holdall").exists());
}

#[test]
fn a_piece_that_was_torn_is_read_again() {
    let shipment = shipment(&[1, 1, 1], "none");
    let to = shipment.new_destination();
    assert_eq!(one_by_one(&shipment, &[0, 1], &to, &[]), 4);
    let mut torn = 0;
    for file in fs::read_dir(to.join(".holdall/files")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0);
        fs::write(&path, bytes).unwrap();
        torn += 1;
    }
    assert!(torn > 5, "{torn}");
    assert_eq!(one_by_one(&shipment, &[2], &to, &[]), 4, "what was torn is not used");
    assert_eq!(one_by_one(&shipment, &[0, 1, 2, 0], &to, &[]), 0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

#[rstest]
#[case::three_and_one(&[1, 1, 1, 1], "cases=1", 1)]
#[case::along(&[1, 1, 1, 1], "cases=1,blocks=10%", 3)]
#[case::two_and_two(&[2, 2], "cases=1", 2)]
fn with_a_loss_shards_are_kept_until_enough_were_here(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[case] lost: usize,
) {
    let shipment = shipment(cases, survive);
    let (to, stage) = (shipment.new_destination(), shipment.path().join("stage"));
    let drives: Vec<usize> = (0..shipment.drives.len()).filter(|drive| *drive != lost).collect();
    // Every drive once: what is left lies on the lost one alone.
    one_by_one(&shipment, &drives, &to, &[]);
    let more = ["--stage", stage.to_str().unwrap()];
    let last = one_by_one(&shipment, &drives, &to, &more);
    // The last one to come need not be kept from.
    assert_eq!(last, 3, "it was rebuilt");
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
    assert_eq!(
        fs::read_dir(&stage)
            .unwrap()
            .flat_map(|d| fs::read_dir(d.unwrap().path()).unwrap())
            .count(),
        0
    );
}

#[test]
fn what_is_kept_is_not_believed() {
    let shipment = shipment(&[1, 1, 1, 1], "cases=1");
    let (to, stage) = (shipment.new_destination(), shipment.path().join("stage"));
    let more = ["--stage", stage.to_str().unwrap()];
    assert_eq!(one_by_one(&shipment, &[1, 2], &to, &more), 4);
    for path in tree::walk(&stage).into_iter().filter(|path| path.is_file()) {
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().step_by(1000).for_each(|byte| *byte ^= 1);
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(one_by_one(&shipment, &[3], &to, &more), 4);
    shipment.restore(&shipment.paths()[1..], &to, &more).expect(3);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

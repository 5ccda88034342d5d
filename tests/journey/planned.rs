//! What `plan` says is what `pack` does: as many sets, and on each drive no more than was said, and not
//! much less; by a plan file, round after round.

use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::tree;
use rstest::rstest;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

const DRIVE_MIB: u64 = 32;
const ROUNDS: usize = 3;

#[rstest]
#[case::of_one(&["--survive", "cases=1"], 30, 1)]
#[case::of_two(&["--survive", "cases=1"], 130, 2)]
#[case::of_more_parity(&["--survive", "cases=1,drives=1"], 85, 2)]
#[case::of_parity_along(&["--survive", "cases=1,blocks=10%"], 120, 2)]
fn sets_and_fill_are_as_planned(#[case] rule: &[&str], #[case] mib: usize, #[case] sets: usize) {
    let shipment = Shipment::new(&[ROUNDS; 4]);
    let mounted = shipment.drives.iter().map(|(_, point)| Memory::new(point, DRIVE_MIB));
    let Some(_mounted) = mounted.collect::<Option<Vec<_>>>() else { return };
    let mut random = Random::new("planned");
    tree::write(&shipment.source.join("large"), &random.bytes((mib - 10) << 20));
    for number in 0..100 {
        tree::write(&shipment.source.join(format!("small/{number}")), &random.bytes(104_857));
    }
    let file = shipment.path().join("plan.json");
    let (source, plan_file) = (shipment.source.to_str().unwrap(), file.to_str().unwrap());
    let mut words: Vec<OsString> = ["plan", source, "--json", "--ports", "4", "--save", plan_file]
        .iter()
        .chain(rule)
        .map(Into::into)
        .collect();
    for (case, path) in &shipment.drives {
        words.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
    }
    let plan = shipment.run(words).expect(0).event("shipment-plan");
    let planned = plan["sets"].as_array().unwrap().len();
    assert!(plan["fits"] == true && planned == sets, "{plan}");
    // The drives of another round are refused.
    let case = &shipment.drives[ROUNDS - 1];
    let other = format!("{}={}", case.0, case.1.display());
    let recipient = ["-r", &shipment.recipient, "--plan", plan_file];
    let pack = ["pack", source, "--json"];
    let refused = shipment.run(pack.iter().chain(&recipient).chain(&["--drive", &other]));
    assert!(refused.expect(2).stderr.contains("it is planned for round 3"));
    let mut run = shipment.run(pack.iter().chain(&recipient));
    let mut packed = 1;
    while run.event("packed")["left_entries"] != 0 {
        assert_eq!(run.status, 4, "{}", run.shown());
        run = shipment.run(["resume", "--json", "--plan", plan_file]);
        packed += 1;
    }
    run.expect(0);
    assert_eq!(packed, sets);
    for drive in plan["drives"].as_array().unwrap() {
        let bytes = bytes_in(Path::new(drive["drive"].as_str().unwrap()));
        let most = drive["bytes"].as_u64().unwrap();
        assert!(bytes <= most, "{bytes} {drive}");
        let is_full = drive["round"].as_u64().unwrap() < sets as u64;
        assert!(!is_full || bytes * 100 >= most * 80, "{bytes} {drive}");
        assert_eq!(bytes == 0, drive["round"].as_u64().unwrap() > sets as u64, "{drive}");
    }
}

/// Bytes of all files in a folder.
fn bytes_in(folder: &Path) -> u64 {
    let files = tree::walk(folder).into_iter().filter(|path| path.is_file());
    files.map(|path| fs::metadata(path).unwrap().len()).sum()
}

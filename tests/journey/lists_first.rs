//! A drive whose catalog is damaged is restored before its mates: what it cannot tell waits for them, and
//! nothing that was made of it stands in their way.

use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use rstest::rstest;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Drives of a set.
const DRIVES: usize = 3;

/// Of the dataset, its top and its folder too.
const ENTRIES: u64 = 65;

/// Two sets of three drives each; unmounted before their folders are removed.
struct TwoSets {
    _drives: Vec<Memory>,
    shipment: Shipment,
}

impl TwoSets {
    #[track_caller]
    fn packed(seed: &str) -> Option<Self> {
        let shipment = Shipment::new(&[2 * DRIVES]);
        let mount = |(_, point): &(String, PathBuf)| Memory::new(point, 8);
        let drives = shipment.drives.iter().map(mount).collect::<Option<Vec<_>>>()?;
        let (source, mut random) = (&shipment.source, Random::new(seed));
        tree::write(&source.join("large"), &random.bytes(9 << 20));
        for number in 0..60 {
            tree::write(&source.join(format!("some/{number:02}")), &random.bytes(100_000));
        }
        let sparse = fs::File::create(source.join("sparse")).unwrap();
        (0..5).for_each(|n| sparse.write_all_at(&random.bytes(50_000), n * 4_000_000).unwrap());
        sparse.set_len(20 << 20).unwrap();
        fs::hard_link(source.join("some/07"), source.join("zz link")).unwrap();
        let two = Self { _drives: drives, shipment };
        let source = two.shipment.source.to_str().unwrap();
        let rule = ["--survive", "drives=1", "--geometry", tree::GEOMETRY, "--checkpoint", "64KiB"];
        let first =
            [&["pack", source, "--json", "--yes", "-r", &two.shipment.recipient], &rule[..]];
        two.pack(&first.concat(), 0, 4);
        two.pack(&["resume", "--json"], 1, 0);
        Some(two)
    }

    #[track_caller]
    fn pack(&self, words: &[&str], set: usize, status: i32) {
        let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        arguments.push("--folder-drives".into());
        for (case, path) in &self.shipment.drives[set * DRIVES..][..DRIVES] {
            arguments.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
        }
        self.shipment.run(arguments).expect(status);
    }

    /// Spoils the catalog on a drive.
    fn spoil(&self, drive: usize) {
        let files = self.shipment.files(drive, "catalog/");
        assert!(!files.is_empty());
        for path in files {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[0; 3000], 50).unwrap();
        }
    }
}

/// Review F8: after such a drive files of its set were called lost for good, which all drives
/// together have.
#[rstest]
fn a_damaged_catalog_that_comes_first_takes_nothing(#[values(0, 1)] set: usize) {
    let Some(two) = TwoSets::packed(&format!("lists first {set}")) else { return };
    let (first, other) = (set * DRIVES, (1 - set) * DRIVES);
    two.spoil(first);
    let all: Vec<usize> = (0..2 * DRIVES).collect();
    let (own, others) = (&all[first..][..DRIVES], &all[other..][..DRIVES]);
    let (damaged, mate) = (&own[..1], &own[1..2]);
    let source = Snapshot::of(&two.shipment.source);
    for order in [
        &[damaged, own, others][..],
        &[damaged, others, own],
        &[others, damaged, own],
        &[damaged, others],
        &[mate, damaged, others],
        &[damaged, mate, others],
        &[others, damaged, mate],
        &[others, mate, damaged],
        &[damaged, mate, own, others],
        &[damaged, damaged, others, own],
    ] {
        let to = two.shipment.new_destination();
        for drives in order.iter().copied().chain([&all[..]]) {
            let paths: Vec<_> = drives.iter().map(|n| two.shipment.paths()[*n].clone()).collect();
            let run = two.shipment.restore(&paths, &to, &[]);
            let (told, restored) = (format!("{order:?} {drives:?}"), run.event("restored"));
            assert_eq!(restored["lost"], 0, "{told}: {}", run.shown());
            if restored["complete"] == true {
                assert!([0, 3].contains(&run.status), "{told}: {}", run.shown());
                break;
            }
            assert!(run.status == 4 && drives.len() < all.len(), "{told}: {}", run.shown());
        }
        source.assert_equal(&Snapshot::of(&to));
        assert!(!to.join(".holdall").exists());
        let paths = two.shipment.paths();
        let again = two.shipment.restore(&paths, &to, &[]).expect(0).event("restored");
        assert_eq!((&again["in_place"], &again["already"]), (&true.into(), &ENTRIES.into()));
        fs::remove_dir_all(to).unwrap();
    }
}

/// A catalog that cannot be read all the way, on no drive, says as wrongly as such a drive where the parts
/// of files begin: what it made is not believed when the lists are read, in the same run.
#[test]
fn a_catalog_with_a_gap_takes_nothing() {
    let Some(two) = TwoSets::packed("lists gap") else { return };
    let source = Snapshot::of(&two.shipment.source);
    for set in [0, 1] {
        let first = set * DRIVES;
        let parts = two.shipment.files(first, "catalog/");
        for part in parts.iter().step_by(parts.len().div_ceil(8)) {
            let name = part.strip_prefix(two.shipment.set_folder(first)).unwrap();
            let copies =
                (first..first + DRIVES).map(|drive| two.shipment.set_folder(drive).join(name));
            let sound = fs::read(part).unwrap();
            let mut spoilt = sound.clone();
            spoilt[50..3050].fill(0);
            copies.clone().for_each(|copy| fs::write(copy, &spoilt).unwrap());
            let to = two.shipment.new_destination();
            let run = two.shipment.restore(&two.shipment.paths(), &to, &[]).expect(3);
            let restored = run.event("restored");
            assert_eq!(restored["from_lists"], true, "{}", run.shown());
            // Every entry is counted once: folders that both sets name, and what both walks saw.
            assert_eq!((&restored["entries"], &restored["already"]), (&ENTRIES.into(), &0.into()));
            source.assert_equal(&Snapshot::of(&to));
            fs::remove_dir_all(to).unwrap();
            copies.for_each(|copy| fs::write(copy, &sound).unwrap());
        }
    }
}

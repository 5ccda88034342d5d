//! Damage of whole drives and of many places at once: verify reports it, restore heals it, nothing
//! panics. Damage beyond the rule: exactly the files it hit are named. (One damage at a time, of
//! every kind and place: see the matrix.)

use crate::common::oracle::Oracle;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, tree};
use holdall::testing::format::ids::shard_path;
use holdall::testing::keys::recipients::Identities;
use std::fs;
use std::path::{Path, PathBuf};

/// A packed set of four drives in four cases that survives one case.
struct Packed {
    shipment: Shipment,
    source: Snapshot,
}

impl Packed {
    fn new(seed: &str) -> Self {
        let shipment = Shipment::new(&[1, 1, 1, 1]);
        tree::plain(&shipment.source, seed, 40);
        shipment.pack("cases=1").expect(0);
        Self { source: Snapshot::of(&shipment.source), shipment }
    }

    /// Verify must report the damage of `file`, and restore must heal it.
    #[track_caller]
    fn must_be_found_and_healed(&self, file: &Path, what: &str) {
        let all = self.shipment.paths();
        let verified = self.shipment.verify(&all);
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(verified.status, 3, "{what} {name}: {}", verified.shown());
        assert!(!verified.stderr.contains("panicked"), "{what} {name}: {}", verified.shown());
        self.must_be_restored(what);
    }

    #[track_caller]
    fn must_be_restored(&self, what: &str) -> Run {
        let to = self.shipment.new_destination();
        let restored = self.shipment.restore(&self.shipment.paths(), &to, &[]);
        assert!(matches!(restored.status, 0 | 3), "{what}: {}", restored.shown());
        assert!(!restored.stderr.contains("panicked"), "{what}: {}", restored.shown());
        self.source.assert_equal(&Snapshot::of(&to));
        fs::remove_dir_all(&to).unwrap();
        restored
    }
}

#[test]
fn a_drive_of_garbage_is_healed() {
    let packed = Packed::new("garbage");
    let mut random = Random::new("garbage");
    for file in packed.shipment.files(3, "") {
        let len = fs::metadata(&file).unwrap().len() as usize;
        fs::write(&file, random.bytes(len)).unwrap();
    }
    packed.must_be_found_and_healed(Path::new("everything"), "garbage in");
}

#[test]
fn a_copied_drive_is_seen_and_helps() {
    let packed = Packed::new("double");
    let double = packed.shipment.path().join("double");
    crate::common::tool(
        "cp",
        ["-a".as_ref(), packed.shipment.paths()[1].as_os_str(), double.as_ref()],
    );
    let mut paths = packed.shipment.paths();
    paths.push(double.clone());
    let verified = packed.shipment.verify(&paths).expect(0).event("verified");
    let drives = verified["drives"].as_array().unwrap();
    assert_eq!(drives.iter().filter(|d| d["slot"] == 2).count(), 2, "both are listed");
    // The double is damaged: reported. The first is damaged too: the double and parity heal it.
    let shard = |root: &Path| {
        let below = packed.shipment.files(1, "shards/")[0].clone();
        root.join(below.strip_prefix(&packed.shipment.paths()[1]).unwrap())
    };
    fs::write(shard(&double), b"no shard").unwrap();
    packed.shipment.verify(&paths).expect(3);
    fs::remove_file(shard(&packed.shipment.paths()[1])).unwrap();
    packed.must_be_restored("a damaged double");
    fs::copy(packed.shipment.files(0, "shards/")[0].clone(), shard(&double)).unwrap();
    packed.shipment.verify(&paths).expect(3);
    packed.must_be_restored("a double with another shard");
}

#[test]
fn damage_in_different_places_of_every_drive_is_healed() {
    let packed = Packed::new("everywhere");
    let mut random = Random::new("everywhere");
    // One shard of each stripe, whatever its drive.
    for stripe in shards_by_stripe(&packed.shipment) {
        let path = random.pick(&stripe);
        let mut bytes = fs::read(path).unwrap();
        for _ in 0..20 {
            let at = random.below(bytes.len());
            bytes[at] ^= 0xff;
        }
        fs::write(path, bytes).unwrap();
    }
    packed.shipment.verify(&packed.shipment.paths()).expect(3);
    let restored = packed.must_be_restored("everywhere").event("restored").clone();
    assert!(restored["rebuilt_blocks"].as_u64().unwrap() > 0);
    assert_eq!(restored["damaged_blocks"], restored["rebuilt_blocks"], "no drive is missing");
}

/// The files of each stripe, over all drives.
fn shards_by_stripe(shipment: &Shipment) -> Vec<Vec<PathBuf>> {
    let mut stripes = std::collections::BTreeMap::<String, Vec<PathBuf>>::new();
    for drive in 0..shipment.drives.len() {
        for path in shipment.files(drive, "shards/") {
            let name = path.file_name().unwrap().to_str().unwrap();
            let stripe = name.rsplit_once('-').unwrap().0.to_owned();
            stripes.entry(stripe).or_default().push(path);
        }
    }
    stripes.into_values().collect()
}

#[test]
fn damage_beyond_the_rule_names_exactly_the_files_it_hit() {
    let packed = Packed::new("beyond");
    let shipment = &packed.shipment;
    let identities = Identities::read(std::slice::from_ref(&shipment.key)).unwrap();
    let oracle = Oracle::of_folders(&shipment.paths(), &identities);
    let mut random = Random::new("beyond");
    // The same column of two shards of some stripes, with parity for one.
    let mut bad = std::collections::BTreeSet::new();
    for record in oracle.records.values().step_by(2) {
        let column = random.below(record.blocks.count());
        for shard in random.choose(2, record.shards.len()) {
            bad.insert((record.id, shard, column));
            let drive = record.shards[shard].slot.0 as usize - 1;
            let path = shipment.set_folder(drive).join(shard_path(record.id, shard as u8));
            let mut bytes = fs::read(&path).unwrap();
            let block = record.blocks.bytes();
            bytes[column * block + random.below(block)] ^= 0x10;
            fs::write(path, bytes).unwrap();
        }
    }
    let lost = oracle.lost(|record, shard, column| bad.contains(&(record.id, shard, column)));
    assert!(!lost.paths.is_empty() && lost.paths.len() < packed.source.files().len());
    shipment.verify(&shipment.paths()).expect(1);
    let to = shipment.new_destination();
    let run = shipment.restore(&shipment.paths(), &to, &["--give-up"]).expect(1);
    let of_kind = run.events_of("problem").into_iter().filter(|p| p["kind"] == "lost");
    let mut named: Vec<String> =
        of_kind.map(|p| p["subject"].as_str().unwrap().to_owned()).collect();
    named.sort();
    assert_eq!(named, lost.shown());
    packed.source.assert_equal_but(&lost.paths, &Snapshot::of(&to));
}

/// Anybody can write a record file whose digest is right; only a key holder its MAC.
#[test]
fn a_forged_record_is_reported_and_not_believed() {
    let packed = Packed::new("forged record");
    let file = packed.shipment.files(0, "records/").remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len() - 32;
    bytes[end - 100] ^= 1;
    let digest = *blake3::hash(&bytes[..end]).as_bytes();
    bytes[end..].copy_from_slice(&digest);
    fs::write(&file, bytes).unwrap();
    let verified = packed.shipment.verify(&packed.shipment.paths());
    assert!([1, 3].contains(&verified.status), "{}", verified.shown());
    let told = verified.problems();
    assert!(
        told.iter().any(|(_, detail)| detail.contains("not the file that set.txt vouches for")),
        "{told:?}"
    );
    let restored = packed.must_be_restored("a forged record");
    let told = restored.problems();
    assert!(told.iter().any(|(_, detail)| detail.contains("is not authentic")), "{told:?}");
}

#[test]
fn a_forged_set_txt_is_reported_and_outvoted() {
    let packed = Packed::new("forged set.txt");
    let file = packed.shipment.files(0, "set.txt").remove(0);
    let text = fs::read_to_string(&file).unwrap();
    for (from, to) in [("\nlast yes\n", "\nlast no\n"), ("survive cases=1", "survive cases=2")] {
        assert!(text.contains(from));
        fs::write(&file, text.replace(from, to)).unwrap();
        packed.must_be_found_and_healed(&file, to);
    }
}

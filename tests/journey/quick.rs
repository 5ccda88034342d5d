//! `verify --quick`: structures whole, presence and length of every shard, and a random sample of
//! blocks; what it says of damage is what a sample can say.

use crate::common::Run;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::tree;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

const BLOCK: usize = 4096;

/// Two drives with the same content, of more blocks than a sample.
fn shipment() -> Shipment {
    let shipment = Shipment::new(&[1, 1]);
    tree::write(&shipment.source.join("noise"), &Random::new("quick").bytes(6 << 20));
    shipment.pack("cases=1").expect(0);
    shipment
}

fn quick(shipment: &Shipment, more: &[&str]) -> Run {
    let words = ["verify", "--quick"].iter().chain(more).map(OsString::from);
    shipment.run(words.chain(shipment.paths().into_iter().map(OsString::from)))
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sample_is_read_and_said_to_be_one() {
    let shipment = shipment();
    let verified = quick(&shipment, &["--json"]).expect(0).event("verified");
    let drive = &verified["drives"][0];
    assert_eq!((&drive["sampled_blocks"], &drive["bytes"]), (&688.into(), &(688 * BLOCK).into()));
    assert!(drive["shards"].as_u64().unwrap() * 16 > 1400, "there are more: {drive}");
    let text = quick(&shipment, &[]).expect(0).stdout;
    let words = "damage to 1 % or more of a drive goes unnoticed once in 1,000 times";
    assert!(text.contains(words), "{text}");
    let whole = shipment.verify(&shipment.paths()).expect(0).event("verified");
    assert_eq!(whole["drives"][0]["sampled_blocks"], serde_json::Value::Null);
    let both = quick(&shipment, &["-i", shipment.key.to_str().unwrap()]).expect(2);
    assert!(both.stderr.contains("cannot be used with"), "{}", both.stderr);
}

/// Of 1,500 blocks 60 are bad: that none of 688 is among them has a probability of 10^-17.
#[test]
fn spread_damage_is_found() {
    let shipment = shipment();
    let mut random = Random::new("spread");
    let shards = shipment.files(0, "shards/");
    for shard in random.choose(60, shards.len()) {
        let at = random.below(16 * BLOCK);
        change(&shards[shard], |bytes| {
            let at = at % bytes.len();
            bytes[at] ^= 1;
        });
    }
    let verified = quick(&shipment, &["--json"]).expect(3).event("verified");
    let bad = verified["drives"][0]["bad_blocks"].as_u64().unwrap();
    assert!((1..=60).contains(&bad), "{bad} of 60 bad blocks are in the sample");
    assert_eq!(verified["drives"][1]["bad_blocks"], 0);
}

#[test]
fn everything_but_the_inside_of_shards_is_looked_at() {
    let shipment = shipment();
    let shards = shipment.files(0, "shards/");
    fs::remove_file(&shards[3]).unwrap();
    let blocks = fs::metadata(&shards[5]).unwrap().len() as usize / BLOCK;
    change(&shards[5], |bytes| bytes.truncate(9 * BLOCK + 1));
    change(&shards[7], |bytes| bytes.push(0));
    for beginning in ["label.json", "set.txt", "catalog/", "records/", "checklist.b3", "key-"] {
        change(&shipment.files(1, beginning)[0], |bytes| bytes[20] ^= 1);
    }
    let verified = quick(&shipment, &["--json"]).expect(3).event("verified");
    let drives = &verified["drives"];
    assert_eq!((&drives[0]["missing_shards"], &drives[0]["long_shards"]), (&1.into(), &1.into()));
    assert_eq!(
        (&drives[0]["bad_blocks"], &drives[0]["bad_files"]),
        (&(blocks - 9).into(), &0.into())
    );
    assert!(drives[1]["bad_files"].as_u64().unwrap() >= 6, "{}", drives[1]);
    assert_eq!(verified["verdict"]["restorable"], true);
}

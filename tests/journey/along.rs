//! Parity along the drives: bad sectors are healed where a lost case has left nothing across, and
//! both codes in turn heal what neither heals alone; exactly that, and no more.

use super::repair::repair;
use crate::common::images::{Image, Packed, drive_of, image_of, memory_of};
use crate::common::oracle::{Oracle, places};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use holdall::testing::drives::Drive;
use holdall::testing::format::ids::{StripeId, shard_path};
use holdall::testing::format::record::{Member, StripeKind};
use holdall::testing::monitor::Recording;
use holdall::testing::repairer::onto::NewDrive;
use holdall::testing::sets::{RecordIndex, open};
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

const B: usize = 4096;
/// What 1 MiB is to blocks of 256 KiB.
const BURST: usize = 4;

/// Bad blocks, by stripe, shard and number.
type Blocks = BTreeSet<(StripeId, usize, usize)>;

/// A packed set, and all that is known of its records.
struct Case {
    packed: Packed,
    oracle: Oracle,
}

impl Case {
    fn new(cases: &[usize], survive: &str) -> Self {
        let packed = Packed::new(cases, survive, &format!("along {cases:?} {survive}"));
        let oracle = Oracle::read(&packed.drives(), &packed.lab.identities());
        Self { packed, oracle }
    }

    /// Every block on the drives of these slots, drive by drive in the order in which they were
    /// written.
    fn blocks_on(&self, slot: u16) -> Vec<(StripeId, usize, usize)> {
        let mut records: Vec<_> = self.oracle.records.values().collect();
        // One along is written after its last member.
        records.sort_by_key(|r| (r.members.last().map_or(r.id, |m| m.stripe), r.members.len()));
        let of_slot = |record: &holdall::testing::format::record::StripeRecord| {
            let (id, shards) = (record.id, record.shards.clone());
            let here = move |(shard, _): &(usize, usize)| shards[*shard].slot.0 == slot;
            places(record).filter(here).map(move |(shard, block)| (id, shard, block))
        };
        records.into_iter().flat_map(of_slot).collect()
    }

    /// The drives with these blocks changed, and those of `lost` slots left out.
    fn damaged(&self, bad: &Blocks, lost: &[u16]) -> Vec<Image> {
        let mut images = self.packed.images.clone();
        for (stripe, shard, block) in bad {
            let slot = self.oracle.records[stripe].shards[*shard].slot.0 as usize;
            let name = shard_path(*stripe, *shard as u8);
            let path = format!("{}/{name}", self.packed.set_folder());
            let bytes = images[slot - 1].get_mut(&path).unwrap();
            bytes[block * B + 7] ^= 0x20;
        }
        let slots = (1..).zip(images);
        slots.filter(|(slot, _)| !lost.contains(slot)).map(|(_, image)| image).collect()
    }

    fn lost_blocks(&self, bad: &Blocks, lost: &[u16]) -> Blocks {
        self.oracle.lost_blocks(|record, shard, block| {
            lost.contains(&record.shards[shard].slot.0) || bad.contains(&(record.id, shard, block))
        })
    }

    /// Verify and restore must say and give what the formula of the codes says, and repair must
    /// heal all of it; says whether all was there.
    fn check(&self, bad: &Blocks, lost: &[u16], what: &str) -> bool {
        let images = self.damaged(bad, lost);
        let drives: Vec<_> = images.iter().map(|image| drive_of("drive", image)).collect();
        let wanted = self.lost_blocks(bad, lost);
        let across = |(id, ..): &&(_, _, _)| self.oracle.records[id].kind == StripeKind::Across;
        let restorable = wanted.iter().find(across).is_none();
        let verified = self.packed.verify(&drives, false);
        assert_eq!(verified.status, if restorable { 3 } else { 1 }, "{what}");
        if restorable {
            self.packed.must_be_restored(&drives, what);
            self.must_be_mended(&images, lost, what);
        }
        restorable
    }

    /// In place, and then the lost drives onto new ones.
    fn must_be_mended(&self, images: &[Image], lost: &[u16], what: &str) {
        let memory: Vec<_> = images.iter().map(|image| memory_of("drive", image)).collect();
        let shared = |drives: &[holdall::testing::faulty::FaultyDrive]| -> Vec<Arc<dyn Drive>> {
            drives.iter().map(|d| Arc::new(d.clone()) as _).collect()
        };
        let new: Vec<_> = lost.iter().map(|_| memory_of("new", &Image::new())).collect();
        let onto = |(drive, slot): (&_, &u16)| NewDrive {
            case: format!("case-{}", slot - 1),
            drive: Arc::new(holdall::testing::faulty::FaultyDrive::clone(drive)),
        };
        let onto: Vec<NewDrive> = new.iter().zip(lost).map(onto).collect();
        let told = Recording::default();
        let done = repair(&shared(&memory), &onto, None, &told);
        assert!(done.is_whole(), "{what}: {:#?} {:#?}", done.repaired, told.problems());
        let mut all = memory;
        for (slot, drive) in lost.iter().zip(new) {
            all.insert(*slot as usize - 1, drive);
        }
        assert_eq!(self.packed.verify(&shared(&all), false).status, 0, "{what}");
        for (drive, image) in all.iter().zip(&self.packed.images) {
            let shards = |image: &Image| -> BTreeMap<String, Vec<u8>> {
                let shards = image.iter().filter(|(path, _)| path.contains("/shards/"));
                shards.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
            };
            assert!(shards(&image_of(drive)) == shards(image), "{what}: other shards");
        }
    }
}

/// Some blocks that follow each other on the drive.
fn burst(blocks: &[(StripeId, usize, usize)], random: &mut Random) -> Blocks {
    let at = random.below(blocks.len() - BURST);
    blocks[at..at + BURST].iter().copied().collect()
}

#[rstest]
#[case::one_percent("cases=1,blocks=1%")]
#[case::ten_percent("cases=1,blocks=10%")]
fn a_case_is_lost_and_every_drive_left_has_bad_places(#[case] survive: &str) {
    let case = Case::new(&[1, 1, 1, 1], survive);
    let mut random = Random::new(survive);
    let mut scattered = 0;
    for round in 0..12 {
        let lost = 1 + random.below(4) as u16;
        let mut bad = Blocks::new();
        for slot in (1..=4).filter(|slot| *slot != lost) {
            let blocks = case.blocks_on(slot);
            bad.extend(burst(&blocks, &mut random));
            // And single ones, where the code along has room for them.
            for _ in 0..3 {
                let one = *random.pick(&blocks);
                let mut more = bad.clone();
                more.insert(one);
                if case.lost_blocks(&more, &[lost]).is_empty() {
                    bad = more;
                    scattered += 1;
                }
            }
        }
        let what = format!("{survive}, round {round}, slot {lost} lost");
        assert!(case.check(&bad, &[lost], &what), "{what}: a burst is more than it can heal");
    }
    assert!(scattered > 12, "{scattered} single blocks were bad besides");
}

#[rstest]
#[case::three_and_one(&[1, 1, 1, 1], "cases=1,blocks=10%", &[2])]
#[case::nothing_lost(&[1, 1, 1, 1], "cases=1,blocks=20%", &[])]
#[case::two_of_two(&[2, 2], "drives=1,blocks=10%", &[3])]
#[case::only_along(&[1, 1], "blocks=10%", &[])]
#[case::one_drive(&[1], "blocks=5%", &[])]
fn what_is_had_is_exactly_what_the_codes_give(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[case] lost: &[u16],
) {
    let case = Case::new(cases, survive);
    let mut random = Random::new(survive);
    let all: Vec<_> = (1..=cases.iter().sum::<usize>() as u16)
        .filter(|slot| !lost.contains(slot))
        .flat_map(|slot| case.blocks_on(slot))
        .collect();
    let (mut had, mut lacking) = (0, 0);
    for round in 0..24 {
        let count = 1 + random.below(all.len() / if round % 2 == 0 { 3 } else { 60 });
        let bad: Blocks = (0..count).map(|_| *random.pick(&all)).collect();
        let what = format!("{survive}, round {round}, {} blocks, {lost:?} lost", bad.len());
        *if case.check(&bad, lost, &what) { &mut had } else { &mut lacking } += 1;
    }
    assert!(had > 0 && lacking > 0, "{had} were restorable, {lacking} not");
}

#[test]
fn every_shard_is_a_member_once_and_the_parity_is_their_sum() {
    let case = Case::new(&[1, 1, 1, 1], "cases=1,blocks=10%");
    check_members(&case.packed.drives(), 10);
}

/// Every shard across is a member of one stripe along its drive, of `most` members at most, and
/// the parity there is their sum.
fn check_members(drives: &[Arc<dyn Drive>], most: usize) {
    let told = Recording::default();
    let set = open::find(drives, &told).remove(0);
    let record_index = RecordIndex::open(&set, None, &told);
    let (mut shards, mut members) = (BTreeSet::new(), BTreeSet::new());
    let read = |slot, id, index| {
        let path = format!("{}/{}", set.folder, shard_path(id, index));
        set.drive(slot).unwrap().drive.read(&path, u64::MAX).unwrap()
    };
    record_index.walk(&told, |record| {
        if record.kind == StripeKind::Across {
            for (index, shard) in record.shards.iter().enumerate() {
                let member = Member { stripe: record.id, index: index as u8 };
                shards.insert((shard.slot, member));
            }
            return true;
        }
        let slot = record.shards[0].slot;
        assert!((1..=most).contains(&record.members.len()), "{} members", record.members.len());
        let mut sum = vec![0; record.blocks.file_bytes()];
        for member in &record.members {
            assert!(members.insert((slot, *member)), "{member:?} is a member twice");
            assert_eq!(record_index.along(member.stripe, slot), Some(record.id));
            let bytes = read(slot, member.stripe, member.index);
            sum.iter_mut().zip(bytes).for_each(|(sum, byte)| *sum ^= byte);
        }
        assert!(read(slot, record.id, 0) == sum, "{}: it is not the sum", record.id);
        true
    });
    assert_eq!(told.problems(), []);
    assert!(!shards.is_empty() && members == shards);
}

#[test]
fn a_pack_that_is_gone_on_with_covers_what_was_left_without() {
    let shipment = Shipment::new(&[1, 1, 1]);
    let mut random = Random::new("covers");
    for i in 0..300 {
        tree::write(&shipment.source.join(format!("{i:04}")), &random.bytes(50_000));
    }
    let source = Snapshot::of(&shipment.source);
    super::interrupted::pack_and_kill(&shipment, "cases=1,blocks=5%");
    shipment.resume().expect(0);
    let drive = |path| {
        Arc::new(holdall::testing::drives::LocalDrive::open(path).unwrap()) as Arc<dyn Drive>
    };
    let drives: Vec<_> = shipment.paths().iter().map(|path| drive(path)).collect();
    check_members(&drives, 20);
    // A case is lost, and the drives left have a bad place each.
    for lost in 1..3 {
        let file = shipment.files(lost, "shards/")[lost].clone();
        let mut bytes = fs::read(&file).unwrap();
        bytes[5000..20_000].fill(0);
        fs::write(file, bytes).unwrap();
    }
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths()[1..], &to, &[]).expect(3);
    source.assert_equal(&Snapshot::of(&to));
}

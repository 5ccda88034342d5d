//! What a hostile packer seals, with the right key: lists whose items say anything. Nothing panics,
//! hangs or takes what it names as so large (reviews S7, S8), and what is sound beside it comes back.

use super::repair::Bench;
use crate::common::images::{Image, Packed};
use crate::common::random::Random;
use crate::common::tree::CHUNK;
use holdall::testing::commands::decode::decode_sets;
use holdall::testing::commands::ls::ls_sets;
use holdall::testing::commands::repair::repair_sets;
use holdall::testing::commands::restore::{RestoreJob, restore_sets};
use holdall::testing::format::catalog::encode_frame_head;
use holdall::testing::format::ids::{
    Slot, StripeId, StripeNumber, key_path, part_path, record_path, shard_path,
};
use holdall::testing::format::list::{DataShard, End, Entry, Extent, Item, Kind, Method, State};
use holdall::testing::format::list_reader;
use holdall::testing::format::list_writer;
use holdall::testing::format::record::{
    self, Member, PartRecord, RecordFileHeader, ShardRecord, StripeKind, StripeRecord,
};
use holdall::testing::format::shard::{Blocks, TRAILER_BYTES, Trailer};
use holdall::testing::keys::RunKey;
use holdall::testing::keys::recipients::Recipients;
use holdall::testing::keys::run::StripeShape;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::Recording;
use holdall::testing::opening::unlock::unlock;
use holdall::testing::sets::open;
use holdall::testing::stages::hash::{block_hash, block_hashes};
use holdall::testing::stages::parity::Code;
use holdall::testing::stages::seal::{Cipher, Payload, seal_content, seal_stripe};

use std::time::{Duration, Instant};

/// Journeys of the test run.
const MUTATIONS: usize = 1500;
/// The same of those with mutated records.
const RECORDS: usize = 150;
/// None takes longer.
const MOST: Duration = Duration::from_secs(20);

/// Seals stripes anew, as their packer could have.
struct Forge {
    packed: Packed,
    key: RunKey,
    header: RecordFileHeader,
    record: StripeRecord,
    chunks: Vec<u8>,
    items: Vec<Item>,
}

impl Forge {
    fn new() -> Self {
        let packed = Packed::of_many_records(&[1], "none", "hostile");
        let (image, folder) = (&packed.images[0], packed.set_folder());
        let bench = Bench::new(&packed.images);
        let monitor = Recording::default();
        let mut sets = open::find(&bench.shared(), &monitor);
        let keys = unlock(&mut sets, &packed.lab.identities(), &[], &monitor).unwrap().remove(0);
        let key = keys.into_values().next().unwrap();
        let prefix = format!("{folder}/records/");
        let of_files = image.iter().filter(|(path, _)| path.starts_with(&prefix));
        // The first stripe that holds a part of a large file and small ones besides has all kinds.
        let opened = of_files.flat_map(|(_, bytes)| {
            let header = record::decode_file(bytes).unwrap();
            let records: Vec<_> = record::records(&header, bytes).map(Result::unwrap).collect();
            records.into_iter().map(move |record| (header, record)).collect::<Vec<_>>()
        });
        let (header, record, chunks, items) = opened
            .map(|(header, record)| {
                let shard = &image[&format!("{folder}/{}", shard_path(record.id, 0))];
                let (chunks, items) = open_shard(&key, &record, shard);
                (header, record, chunks, items)
            })
            .max_by_key(|(.., items)| items.iter().filter(|i| matches!(i, Item::End(_))).count())
            .unwrap();
        assert!(items.iter().any(|item| matches!(item, Item::End(_))), "{items:?}");
        Self { packed, key, header, record, chunks, items }
    }

    fn encode(&self, items: &[Item]) -> Vec<u8> {
        list_writer::encode(DataShard { stripe: self.record.id, index: 0 }, items)
    }

    /// A drive of an unclosed set of one stripe with this list, in the shard and in a part.
    fn image(&self, items: &[Item], with_part: bool) -> Image {
        self.image_of(items, with_part.then_some(items))
    }

    /// The same with another list in its part.
    fn image_of(&self, items: &[Item], in_part: Option<&[Item]>) -> Image {
        let folder = self.packed.set_folder();
        let mut image = self.packed.images[0].clone();
        image.retain(|path, _| {
            let name = path.strip_prefix(&folder).unwrap_or_default();
            name == "/label.json" || name.starts_with("/key-")
        });
        let list = self.encode(items);
        let record = &self.record;
        let capacity = record.blocks.payload_bytes() - TRAILER_BYTES;
        let chunks = &self.chunks[..self.chunks.len().min(capacity - list.len())];
        let shape = StripeShape::from(record);
        let mut buffer = vec![0; record.blocks.file_bytes()];
        let payload = Payload::new([chunks].into_iter(), list.clone());
        let (salts, code) = ([record.shards[0].salt], Code::new(1, 0).unwrap());
        let hashes =
            seal_stripe(&self.key, &shape, &salts, &[payload], &code, &mut buffer, vec![None]);
        image.insert(format!("{folder}/{}", shard_path(record.id, 0)), buffer);
        let record = StripeRecord { hashes, ..record.clone() };
        let list = in_part.map_or(list, |items| self.encode(items));
        let stored = zstd::bulk::compress(&list, 3).unwrap();
        let content =
            [&encode_frame_head(stored.len() as u32, list.len() as u32)[..], &stored].concat();
        let (salt, suite) = ([9; 32], self.packed.lab.suite);
        let (part, blocks) = seal_content(&content, 4096, &salt, |blocks| {
            self.key.part_key(&salt, suite, 0, blocks)
        });
        let root = *blake3::hash(&part).as_bytes();
        let part_record = in_part.map(|_| PartRecord { number: 0, blocks, root });
        image.insert(format!("{folder}/{}", part_path(record.id.run, 0)), part);
        self.put_records(&mut image, &[record], part_record);
        image
    }

    fn put_records(&self, image: &mut Image, records: &[StripeRecord], part: Option<PartRecord>) {
        let records: Vec<Vec<u8>> = records.iter().map(StripeRecord::encode).collect();
        self.put_encoded(image, &records, part);
    }

    fn put_encoded(&self, image: &mut Image, records: &[Vec<u8>], part: Option<PartRecord>) {
        let (number, stripes) = (0, records.len() as u32);
        let header = RecordFileHeader { number, stripes, part, previous: [0; 32], ..self.header };
        let file = record::encode_file(&header, records, |body| self.key.record_mac(body));
        let path = record_path(header.run, 0);
        image.insert(format!("{}/{path}", self.packed.set_folder()), file);
    }

    /// Restores, decodes and lists; fails if that takes long. How many entries came.
    #[track_caller]
    fn open(&self, image: &Image, what: &str) -> u64 {
        let begun = Instant::now();
        let bench = Bench::new(std::slice::from_ref(image));
        let monitor = Recording::default();
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let job = RestoreJob {
            identities: self.packed.lab.identities(),
            to: folder.path().join("to"),
            give_up: false,
            no_special: false,
            owners: None,
            map_names: false,
            salvage: what.len().is_multiple_of(2),
            stage: None,
            memory: Memory::default(),
            expect: Vec::new(),
            selection: None,
        };
        let restored = restore_sets(&open::find(&bench.shared(), &monitor), &job, &monitor);
        let found = open::find(&bench.shared(), &monitor);
        let identities = self.packed.lab.identities();
        let decoded = decode_sets(found, &identities, &[], Memory::default(), &monitor).unwrap();
        assert_eq!(decoded.len(), 1);
        let found = open::find(&bench.shared(), &monitor);
        ls_sets(found, &identities, None, &monitor, &mut |_, _| ()).unwrap();
        assert!(begun.elapsed() < MOST, "{what}: {:?}", begun.elapsed());
        restored.map_or(0, |outcome| outcome.restored.entries)
    }
}

fn open_shard(key: &RunKey, record: &StripeRecord, shard: &[u8]) -> (Vec<u8>, Vec<Item>) {
    let blocks = record.blocks;
    let cipher = Cipher::new(key.shard_key(&record.shards[0].salt, &StripeShape::from(record), 0));
    let mut plain = vec![0; blocks.payload_bytes()];
    for (number, block) in shard.chunks(blocks.bytes()).enumerate() {
        cipher.open(number, block, &mut plain[blocks.payload_range(number)]).unwrap();
    }
    let end = plain.len() - TRAILER_BYTES;
    let trailer = Trailer::decode(plain[end..].try_into().unwrap(), plain.len()).unwrap();
    let items = list_reader::decode(&plain[end - trailer.list_bytes as usize..end]).unwrap();
    plain.truncate(trailer.chunk_bytes as usize);
    (plain, items)
}

/// Review S5, of a set that is not closed: where two drives have as much of one run, by different keys that
/// each open what they name, nothing is chosen by chance; either drive alone is opened.
#[test]
fn two_keys_of_one_run_wait_until_one_drive_is_left_out() {
    let mut forge = Forge::new();
    let ours = forge.image(&forge.items, true);
    let header = forge.header;
    forge.key = RunKey::new([5; 32], header.shipment, header.set, header.run);
    forge.header.commitment = forge.key.commitment();
    let mut theirs = forge.image(&forge.items, true);
    let to = Recipients::read(&[forge.packed.lab.recipient()], &[]).unwrap();
    let path = format!("{}/{}", forge.packed.set_folder(), key_path(header.run));
    theirs.insert(path, to.wrap(&forge.key).unwrap());
    let open = |images: &[Image]| {
        let bench = Bench::new(images);
        let mut sets = open::find(&bench.shared(), &Recording::default());
        unlock(&mut sets, &forge.packed.lab.identities(), &[], &Recording::default())
    };
    for images in [[ours.clone(), theirs.clone()], [theirs.clone(), ours.clone()]] {
        let refused = open(&images).err().unwrap().to_string();
        assert!(refused.contains("one those on drive 0; one those on drive 1"), "{refused}");
    }
    for image in [ours, theirs] {
        assert_eq!(open(&[image]).unwrap()[0].len(), 1);
    }
}

/// A number of the kind that breaks things.
fn odd(random: &mut Random) -> u64 {
    let c = CHUNK as u64;
    let edges = [0, 1, 1023, 1024, 2048, 4096, c, 2 * c, 5 * c, 1 << 20, 64 << 20, 1 << 31];
    let far = [u64::from(u32::MAX), 1 << 32, 1 << 40, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX];
    let all = [&edges[..], &far[..]].concat();
    let near = [0, 0, 1, u64::MAX];
    random.pick(&all).wrapping_add(*random.pick(&near))
}

fn turn_entry(entry: &mut Entry, random: &mut Random) {
    match random.below(7) {
        0 => entry.size = odd(random),
        1 => entry.whole = !entry.whole,
        2 => entry.changed = entry.whole,
        3 => {
            let seconds = i64::from_le_bytes(odd(random).to_le_bytes());
            (entry.mtime, entry.mtime_nanos) = (seconds, 999_999_999);
        }
        4 => entry.kind = *random.pick(&[Kind::Folder, Kind::File, Kind::Fifo, Kind::Socket]),
        5 => entry.path = b"folder/again".to_vec(),
        _ => {
            let start = odd(random);
            entry.size = entry.size.max(odd(random));
            let most = entry.size.saturating_sub(start);
            if most > 0 {
                entry.holes = vec![(start, odd(random).clamp(1, most))];
            }
        }
    }
}

fn turn_extent(extent: &mut Extent, random: &mut Random) {
    let place = &mut extent.place;
    match random.below(10) {
        0 | 1 => extent.file_offset = odd(random),
        2 => extent.len = odd(random) as u32,
        3 => extent.chunk_offset = odd(random) as u32,
        4 => place.offset = odd(random) as u32,
        5 => place.head = odd(random) as u32,
        6 => place.stored = odd(random) as u32,
        7 => (place.plain, extent.len) = (odd(random) as u32, odd(random) as u32),
        8 => place.index = odd(random) as u8,
        _ => place.stripe.number.0 = odd(random) as u32,
    }
}

fn mutate(items: &mut Vec<Item>, random: &mut Random) {
    let at = random.below(items.len());
    match random.below(8) {
        0 => drop(items.remove(at)),
        1 => items.insert(random.below(items.len()), items[at].clone()),
        2 => items.swap(at, at.saturating_sub(1)),
        _ => match &mut items[at] {
            Item::Entry { entry, .. } => turn_entry(entry, random),
            Item::Extent(extent) => turn_extent(extent, random),
            Item::End(end) => match random.below(3) {
                0 => end.size = odd(random),
                1 => end.root = None,
                _ => end.state = *random.pick(&[State::Whole, State::Changed, State::Void]),
            },
        },
    }
}

#[test]
fn lists_that_say_anything_end_nothing() {
    let forge = Forge::new();
    assert!(forge.open(&forge.image(&forge.items, true), "as it was") > 0);
    let mut random = Random::new("hostile lists");
    for number in 0..MUTATIONS {
        let mut items = forge.items.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut items, &mut random);
            if items.is_empty() {
                break;
            }
        }
        let what = format!("mutation {number}: {items:?}");
        let run = || forge.open(&forge.image(&items, number % 2 == 0), &what);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        assert!(ended.is_ok(), "{what}");
    }
}

/// The items of one file.
fn file(
    extent: Extent,
    size: u64,
    holes: &[(u64, u64)],
    extents: &[(u64, u32)],
    root: Option<[u8; 32]>,
) -> Vec<Item> {
    let entry = Entry { size, holes: holes.to_vec(), ..Entry::new("a", Kind::File) };
    let mut items = vec![Item::Entry { entry, continued: false }];
    for (file_offset, len) in extents {
        let mut piece = extent;
        (piece.file_offset, piece.len) = (*file_offset, *len);
        items.push(Item::Extent(piece));
    }
    items.push(Item::End(End { state: State::Whole, root, size }));
    items
}

/// S8: pieces that begin or end where no C allows, holes that begin there, lengths of zero.
#[test]
fn pieces_at_odd_places_are_missing_and_end_nothing() {
    let forge = Forge::new();
    let extent = forge.items.iter().find_map(|item| match item {
        Item::Extent(extent) => Some(*extent),
        _ => None,
    });
    let extent = extent.unwrap();
    let len = extent.len;
    for items in [
        file(extent, 5000, &[], &[(100, len)], None),
        file(extent, 1 << 40, &[], &[(1024, len)], None),
        file(extent, 1 << 40, &[], &[(u64::MAX - u64::from(len), len)], None),
        file(extent, 1 << 40, &[(5, 1 << 20)], &[(0, 5)], Some([1; 32])),
        file(extent, 1 << 40, &[(7, 1 << 20)], &[(CHUNK as u64 * 4, len)], Some([1; 32])),
        file(extent, 0, &[], &[], Some([1; 32])),
        file(extent, 1 << 63, &[], &[], Some([1; 32])),
        file(extent, 1 << 63, &[(0, 1 << 63)], &[], Some([1; 32])),
        file(extent, u64::MAX, &[(1, u64::MAX - 1)], &[(0, 1)], None),
        file(extent, u64::MAX, &[(0, u64::MAX)], &[], None),
    ] {
        for with_part in [false, true] {
            forge.open(&forge.image(&items, with_part), &format!("{items:?}"));
        }
    }
}

/// S7: a claim of 4 GiB of plain bytes, and a second frame behind the first.
#[test]
fn a_chunk_is_one_frame_of_at_most_twice_c_bytes() {
    let forge = Forge::new();
    let zeros = zstd::bulk::compress(&[0; 1000], 3).unwrap();
    let write = |frames: &[u8], plain: u32, id: [u8; 32]| {
        let entry = Entry { size: 1000, whole: true, ..Entry::new("a", Kind::File) };
        let mut place = forge.items.iter().find_map(|item| match item {
            Item::Extent(extent) => Some(extent.place),
            _ => None,
        });
        let place = place.as_mut().unwrap();
        let stored = frames.len() as u32;
        (place.offset, place.head, place.stored, place.plain) = (0, stored, stored, plain);
        (place.stripe, place.index, place.method) = (forge.record.id, 0, Method::Zstd(3));
        let extent = Extent { file_offset: 0, len: 1000, chunk_offset: 0, id, place: *place };
        let items = [Item::Entry { entry, continued: false }, Item::Extent(extent)];
        let forge = Forge { chunks: frames.to_vec(), ..Forge::new() };
        forge.open(&forge.image(&items, false), "frames")
    };
    let id = |plain: usize| *blake3::hash(&vec![0; plain]).as_bytes();
    assert_eq!(write(&zeros, 1000, id(1000)), 1);
    assert_eq!(write(&zeros, 1000, id(999)), 0, "another id");
    assert_eq!(write(&[&zeros[..], &zeros].concat(), 2000, id(2000)), 0, "two frames");
    let nothing = zstd::bulk::compress(&[], 3).unwrap();
    let behind = [&zeros[..], &nothing].concat();
    assert_eq!(write(&behind, 1000, id(1000)), 0, "an empty frame behind it");
    for (most, restored) in [(2 * CHUNK, 1), (2 * CHUNK + 1, 0)] {
        let large = zstd::bulk::compress(&vec![0; most], 3).unwrap();
        assert_eq!(write(&large, most as u32, id(most)), restored, "{most}");
    }
    assert_eq!(write(&zeros, u32::MAX, id(1000)), 0);
}

/// The stripe records of an image of [`Forge::image`], and its part.
/// Security, hostile packer: a frame whose items and attributes would take a multiple of its bytes is none,
/// and the shards' lists tell what there is.
#[test]
fn a_frame_of_too_many_items_is_none() {
    let forge = Forge::new();
    let with = |folders: usize, attributes: usize| {
        let folder = |number: usize| {
            let mut entry = Entry::new(format!("zz{number:06}"), Kind::Folder);
            let name = |n: usize| (format!("user.{n:05}").into_bytes(), Vec::new());
            entry.xattrs = (0..attributes).map(name).collect();
            Item::Entry { entry, continued: false }
        };
        let more: Vec<Item> = (0..folders).map(folder).collect();
        let frame = [forge.items.clone(), more].concat();
        forge.open(&forge.image_of(&forge.items, Some(&frame)), "many items")
    };
    let listed = with(0, 0);
    assert!(listed > 0);
    assert_eq!(with(4, 32_768 - forge.items.len() - 2), listed + 4);
    assert_eq!([with(131_072, 0), with(4, 32_768), with(1, 32_769)], [listed; 3]);
}

fn records_of(forge: &Forge, image: &Image) -> (Vec<StripeRecord>, Option<PartRecord>) {
    let path = format!("{}/{}", forge.packed.set_folder(), record_path(forge.header.run, 0));
    let header = record::decode_file(&image[&path]).unwrap();
    (record::records(&header, &image[&path]).map(Result::unwrap).collect(), header.part)
}

/// A stripe along, over shards of these indexes of the one stripe across, and its shard.
fn along(forge: &Forge, image: &mut Image, blocks: Blocks, members: &[u8]) -> StripeRecord {
    let id = StripeId { number: StripeNumber((1 << 31) + 1), ..forge.record.id };
    let bytes = vec![3; blocks.bytes() * blocks.count().min(16)];
    let mut hashes = block_hashes(&bytes, blocks.bytes());
    hashes.resize(blocks.count(), [1; 32]);
    let member = |index: &u8| Member { stripe: forge.record.id, index: *index };
    image.insert(format!("{}/{}", forge.packed.set_folder(), shard_path(id, 0)), bytes);
    StripeRecord {
        id,
        kind: StripeKind::Along,
        k: 0,
        m: 1,
        blocks,
        members: members.iter().map(member).collect(),
        hashes,
        ..forge.record.clone()
    }
}

/// Opens and repairs it; fails if that takes long.
#[track_caller]
fn open_and_repair(forge: &Forge, image: Image, what: &str) {
    forge.open(&image, what);
    let (monitor, begun) = (Recording::default(), Instant::now());
    let found = open::find(&Bench::new(&[image]).shared(), &monitor);
    // What it refuses is as good as what it mends.
    let _ = repair_sets(found, &[], None, None, Memory::default(), &monitor);
    assert!(begun.elapsed() < MOST, "{what}: {:?}", begun.elapsed());
}

/// S8: a stripe along with other blocks than its members'; members that are none; a member whose hashes
/// are those of the longer blocks that the stripe along would give.
#[test]
fn a_stripe_along_that_does_not_fit_its_members_is_of_no_use() {
    let forge = Forge::new();
    let shards: [(u32, u32); 4] = [(8192, 16), (4096, 2), (4096, 65_536), (4096, 16)];
    for (number, (bytes, count)) in shards.into_iter().enumerate() {
        let all = [vec![0], vec![0, 0], vec![7], vec![0, 200]];
        for (members, believed) in all.into_iter().flat_map(|m| [(m.clone(), false), (m, true)]) {
            let mut image = forge.image(&forge.items, true);
            let blocks = Blocks::new(bytes, count).unwrap();
            let along = along(&forge, &mut image, blocks, &members);
            let (mut records, part) = records_of(&forge, &image);
            let count = records[0].blocks.count();
            if believed {
                let given = vec![3; blocks.bytes()];
                records[0].hashes = (0..count).map(|n| block_hash(&given, n, count)).collect();
            }
            forge.put_records(&mut image, &[records.remove(0), along], part);
            let folder = forge.packed.set_folder();
            let shard = format!("{folder}/{}", shard_path(forge.record.id, 0));
            image.get_mut(&shard).unwrap()[5000] ^= 1;
            let what = format!("along {number} {members:?} {believed}");
            open_and_repair(&forge, image, &what);
        }
    }
}

fn turn_record(record: &mut StripeRecord, random: &mut Random) {
    match random.below(8) {
        0 | 1 => {
            let bytes = *random.pick(&[4096, 4096, 8192, 65_536]);
            let count = *random.pick(&[1, 2, 15, 16, 17, 300]);
            record.blocks = Blocks::new(bytes, count).unwrap_or(record.blocks);
        }
        2 if record.kind == StripeKind::Across => {
            (record.k, record.m) = (*random.pick(&[1, 2, 3, 200]), *random.pick(&[0, 1, 2, 55]));
            let first = record.shards[0];
            let slots = (0..u16::from(record.k) + u16::from(record.m)).map(|n| first.slot.0 + n);
            record.shards =
                slots.map(|n| ShardRecord { slot: Slot(n), salt: first.salt }).collect();
        }
        3 => record.shards[0].slot = Slot(odd(random) as u16),
        4 => record.shards[0].salt[0] ^= 1,
        5 => {
            let number = *random.pick(&[record.id.number.0, 0, 1, 1 << 31, u32::MAX]);
            record.id.number = StripeNumber(number);
        }
        6 if record.kind == StripeKind::Along => {
            let member = Member { stripe: record.id, index: odd(random) as u8 };
            record.members.push(member);
        }
        _ => {
            let at = random.below(record.hashes.len());
            record.hashes[at] = record.hashes[0];
        }
    }
    let count = record.shards.len() * record.blocks.count();
    record.hashes.resize(count, [1; 32]);
}

/// S8: whole records that say anything, with the right digest and MAC.
#[test]
fn records_that_say_anything_end_nothing() {
    let forge = Forge::new();
    let mut random = Random::new("hostile records");
    let sound = forge.image(&forge.items, true);
    for number in 0..RECORDS {
        let mut image = sound.clone();
        let blocks = Blocks::new(4096, 16).unwrap();
        let along = along(&forge, &mut image, blocks, &[0]);
        let (mut records, part) = records_of(&forge, &image);
        records.push(along);
        for _ in 0..=random.below(3) {
            let at = random.below(records.len());
            match random.below(5) {
                0 => records.push(records[at].clone()),
                _ => turn_record(&mut records[at], &mut random),
            }
        }
        let mut encoded: Vec<Vec<u8>> = records.iter().map(StripeRecord::encode).collect();
        // And bytes that no record of ours can have: of the head, the shards or the members.
        if random.below(3) == 0 {
            let at = random.below(encoded.len());
            let place = random.below(encoded[at].len().min(120));
            encoded[at][place] = odd(&mut random) as u8;
        }
        forge.put_encoded(&mut image, &encoded, part);
        let shards: Vec<String> =
            image.keys().filter(|p| p.contains("/shards/")).cloned().collect();
        let shard = image.get_mut(random.pick(&shards)).unwrap();
        let at = random.below(shard.len());
        shard[at] ^= 1;
        let heads: Vec<_> =
            records.iter().map(|r| StripeRecord { hashes: vec![], ..r.clone() }).collect();
        let what = format!("mutation {number}: {heads:?}");

        let run = || open_and_repair(&forge, image, &what);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        assert!(ended.is_ok(), "{what}");
    }
}

/// S8, no attack: labels that cannot be read, and a file that runs on into another set.
#[test]
fn without_labels_a_file_that_runs_on_is_taken() {
    let forge = Forge::new();
    let mut items = forge.items.clone();
    items.retain(|item| !matches!(item, Item::End(_)));
    for with_part in [false, true] {
        let mut image = forge.image(&items, with_part);
        image.retain(|path, _| !path.contains("label.json"));
        forge.open(&image, "no labels");
    }
}
